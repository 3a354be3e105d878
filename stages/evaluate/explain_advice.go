package evaluate

import (
	"fmt"
	"slices"
	"strings"

	enforcementv1 "github.com/Huzefaaa2/cavra/go/cavra-runtime/enforcement/v1"
)

// advise says what would have to change for another decision. All of it must
// change for an allow. It never names a pattern that would allow a shell or what
// can run one.
func (r *recorder) advise() []string {
	var advice []string
	add := func(format string, args ...any) {
		if text := fmt.Sprintf(format, args...); !slices.Contains(advice, text) {
			advice = append(advice, text)
		}
	}
	e := &r.told
	if e.Decision == enforcementv1.DecisionAllow {
		r.adviseStricter(add)
		return advice
	}
	for _, t := range e.Tried {
		if t.Match == nil || t.List == allowedCommands || t.List == allowedServers {
			continue
		}
		if t.List == protectedBranches && r.policy.protectedByDefault() {
			add("%s is protected by default; push to another branch, or list in git.protected_branches those that are to be protected instead", quote(t.Match.Pattern))
			continue
		}
		add("remove or narrow %s[%d], %s", t.List, t.Match.Index, quote(t.Match.Pattern))
	}
	for _, v := range e.Verdicts {
		switch {
		case v.RuleID == commandUnresolved.ruleID:
			add("write the command so that what runs can be told from its text: without %s", e.Unresolved)
		case v.RuleID == commandDefault.ruleID:
			r.adviseAllow(add)
		case v.RuleID == readUnresolved.ruleID || v.RuleID == writeUnresolved.ruleID:
			add("name the file itself, by a path that leads through no link that cannot be followed")
		case v.RuleID == gitUnresolved.ruleID:
			add("name one branch as the destination of the push, as in git push origin feature")
		case v.RuleID == serverBlock.ruleID && e.Call != nil && e.Call.Server != "" && !r.matched(blockedServers) && literalPattern(e.Call.Server):
			add("no pattern of mcp.allowed_servers holds for the server; one that would: %s", quote(e.Call.Server))
		case strings.HasPrefix(v.RuleID, "mcp.registry."):
			add("have the entry of the server in the trust registry changed")
		case strings.HasPrefix(v.RuleID, "release_governance."):
			add("change the record where the reason says so; no policy rules on release governance")
		case strings.Contains(v.Reason, "one of the runtime's own files"):
			add("no policy lets anyone touch the runtime's own files")
		case v.RuleID == unknownAction.ruleID:
			add("send one of the known action types; no policy rules on others")
		}
	}
	if len(advice) == 0 {
		add("change the request as the reason says; no pattern of the policy decided")
	}
	return advice
}

// The lists that allow, and those with words of their own here.
const (
	allowedCommands   = "commands.allow"
	allowedServers    = "mcp.allowed_servers"
	blockedServers    = "mcp.blocked_servers"
	protectedBranches = "git.protected_branches"
)

// matched reports whether a pattern of the list matched something.
func (r *recorder) matched(list string) bool {
	return slices.ContainsFunc(r.told.Tried, func(t Trial) bool { return t.List == list && t.Match != nil })
}

// protectedByDefault reports whether the policy names no protected branches.
func (p *policy) protectedByDefault() bool {
	return slices.Equal(p.protectedBranches.patterns.texts, defaultProtectedBranches)
}

// adviseAllow names the patterns that would allow the commands that no pattern
// does: their exact text, which allows nothing else.
func (r *recorder) adviseAllow(add func(string, ...any)) {
	for _, c := range r.told.Commands {
		switch {
		case !c.Static || r.allowed(c.Text):
		case unbounded(c.Words):
			add("no pattern is advised for %s, since it can run anything or destroy much; send what it is meant to run by itself, or ask for approval", quote(c.Text))
		case !literalPattern(c.Text):
			add("no pattern of commands.allow holds for %s, and no plain one would hold for nothing else; send it in other words", quote(c.Text))
		default:
			add("no pattern of commands.allow holds for %s; one that would, and for nothing else: %s", quote(c.Text), quote(c.Text))
		}
	}
}

// allowed reports whether commands.allow holds a pattern for a command.
func (r *recorder) allowed(text string) bool {
	return slices.ContainsFunc(r.told.Tried, func(t Trial) bool { return t.Match != nil && t.List == allowedCommands && t.Text == text })
}

// adviseStricter says what would make an allow something else.
func (r *recorder) adviseStricter(add func(string, ...any)) {
	for _, t := range r.told.Tried {
		if t.Match != nil && (t.List == allowedCommands || t.List == allowedServers) {
			add("without %s[%d], %s, it would not be allowed by that pattern", t.List, t.Match.Index, quote(t.Match.Pattern))
		}
	}
	target := r.told.Request.Target
	if !literalPattern(target) {
		return
	}
	switch r.action {
	case enforcementv1.ActionReadFile:
		add("filesystem.block_read with %s would block it", quote(target))
	case enforcementv1.ActionWriteFile:
		add("filesystem.block_write with %s would block it, filesystem.require_approval_write would put it to approval", quote(target))
	case enforcementv1.ActionExecuteCommand:
		add("commands.block with %s would block it, commands.require_approval would put it to approval", quote(target))
	}
}

// literalPattern reports whether a text, as a pattern, matches nothing but itself
// and can be shown whole.
func literalPattern(text string) bool {
	shown := quote(text)
	return text != "" && len(text) <= mostQuoted && !strings.Contains(text, "*") && shown == `"`+text+`"`
}

// unadvised are commands that can do anything, beside shells, wrappers and
// interpreters: run other commands in ways that are not looked into, or destroy.
var unadvised = []string{
	"su", "chroot", "nsenter", "unshare", "script", "expect", "gdb", "strace", "ltrace", "docker", "podman", "kubectl", "nerdctl", "crictl",
	"npx", "bunx", "pnpx", "uvx", "pipx", "make", "awk", "gawk", "mawk", "sed", "vi", "vim", "nvim", "view", "ex", "ed", "emacs", "nano",
	"less", "more", "man", "screen", "tmux", "systemd-run", "runuser", "pkexec", "flock", "start-stop-daemon", "capsh", "setpriv", "ssh", "mosh",
	"nc", "ncat", "netcat", "socat", "telnet", "tclsh", "m4", "find", "tar", "rsync", "zip", "rm", "dd", "shred", "mkfs", "chmod", "chown", "shutdown", "reboot", "kill", "killall", "pkill",
}

// unbounded reports whether a command can do anything.
func unbounded(words []string) bool {
	for i, w := range words {
		name := shellWord{text: w}.base()
		bare := strings.TrimRight(name, "0123456789.")
		_, wraps := wrappers[name]
		switch {
		case slices.Contains(shells, bare), slices.Contains(interpreters, bare):
			return true // wherever it stands: a launcher that is not known may run it
		case i > 0:
		case wraps, bare == "", strings.Contains(w, "="), strings.Contains(w, "/"), slices.Contains(unadvised, bare),
			slices.Contains([]string{"eval", "trap", "source", ".", "alias", "exec", "command", "builtin"}, name):
			return true
		}
	}
	return false
}
