package evaluate

import (
	"slices"
	"strings"
)

// git looks at the commands that git runs by itself.
func (s scope) git(args []shellWord) {
	s.gitSubcommand(args[s.gitOptions(args):])
	s.spellOut(args)
	for i, a := range args {
		switch {
		case holdsAny(strings.ToLower(a.text[:min(len(a.text), 32)]), "ext::", "fd::") && !strings.Contains(a.text, " "), strings.HasPrefix(strings.ToLower(a.text), "ext::"):
			s.doubt("an address that makes git run a command")
			_, script, _ := strings.Cut(a.text, "::")
			s.inNewShell().script(script)
		case strings.HasPrefix(a.text, ":(") && strings.Contains(a.text, "icase"):
			s.doubt("a name of git that stands for others")
		case otherEnd.find(args, i, otherEnd.runs) != nil, strings.HasPrefix(a.text, "--template="):
			s.doubt("an option of git that can make it run another program")
		case len(toOutput.find(args, i, toOutput.writes)) > 0:
			s.writes = append(s.writes, toOutput.find(args, i, toOutput.writes)...)
		case a.text == "--no-index":
			for _, file := range args[i+1:] {
				s.reads = append(s.reads, file.text)
			}
		case a.text == "-C" && i+1 < len(args):
			s.move(args[i+1 : i+2])
		case strings.HasPrefix(strings.ToLower(a.text), "alias."):
			if _, value, ok := strings.Cut(a.text, "="); ok {
				s.doubt("an alias of git")
				if script, ok := strings.CutPrefix(value, "!"); ok {
					s.inNewShell().script(script)
				} else {
					s.inNewShell().script("git " + value)
				}
			}
		case a.text == "foreach" && i > 0 && args[i-1].text == "submodule", a.text == "run" && i > 0 && args[i-1].text == "bisect":
			s.inNewShell().script(texts(args[i+1:]))
		}
	}
}

// otherEnd is a git, as far as it says what runs at the other end.
var otherEnd = program{runs: "--upload-pack --receive-pack --exec"}

// toOutput is a git, as far as it writes what it would print.
var toOutput = program{writes: "--output"}

// gitCutShort are the options that people name in their patterns. Git takes each
// cut short, too.
var gitCutShort = strings.Fields("--output --ext-diff --textconv --hard --exec --upload-pack --receive-pack --force --delete --mirror --open-files-in-pager --recurse-submodules")

// spellOut adds the command with its options as they would be written in full, to
// see what is blocked.
func (s scope) spellOut(args []shellWord) {
	full, changed := append([]shellWord{known("git")}, args...), false
	for i, a := range full {
		name, _, _ := strings.Cut(a.text, "=")
		for _, option := range gitCutShort {
			if len(name) > 3 && name != option && strings.HasPrefix(option, name) {
				full[i], changed = known(option+strings.TrimPrefix(a.text, name)), true
			}
		}
	}
	if changed {
		s.respelt(full)
	}
	sub := min(s.gitOptions(args)+1, len(full)-1)
	switch full[sub].text {
	case "push": // a sign before a branch says what an option says as well
		for i := sub + 1; i < len(full); i++ {
			if option := map[byte]string{'+': "--force", ':': "--delete"}[(full[i].text + " ")[0]]; option != "" {
				if !s.respelt(slices.Concat(full[:sub+1], []shellWord{known(option)}, full[sub+1:i], []shellWord{known(full[i].text[1:])}, full[i+1:])) {
					break
				}
			}
		}
	case "branch": // to delete by force is an option, too
		by := arrangement{words: []string{"git", "branch"}, options: []patternOption{{"-df", " "}}}
		text, _ := by.spell(full, 0, false)
		if rest, ok := strings.CutPrefix(text, "git branch -df"); ok {
			words := []shellWord{}
			for w := range strings.FieldsSeq("git branch -D" + rest) {
				words = append(words, known(w))
			}
			s.respelt(words)
		}
	}
}

// gitOptions looks at the options before the subcommand, of which some make git
// run what the configuration that they give says.
// It returns where the subcommand stands.
func (s scope) gitOptions(args []shellWord) int {
	i := 0
	for ; i < len(args) && strings.HasPrefix(args[i].text, "-"); i++ {
		switch option, _, _ := strings.Cut(args[i].text, "="); option {
		case "-c", "--config-env", "--exec-path", "--git-dir", "--work-tree":
			if args[i].text == "--exec-path" { // only prints it
				continue
			}
			s.doubt("an option of git that can make it run another program")
			if option == args[i].text {
				i++
			}
		case "-C", "--namespace", "--super-prefix", "--attr-source":
			if option == args[i].text {
				i++
			}
		}
	}
	return min(i, len(args))
}

// gitSubcommand looks at a subcommand and its arguments, which begin with it.
func (s scope) gitSubcommand(args []shellWord) {
	if len(args) == 0 {
		return
	}
	name := args[0].text
	if p := programs()["git "+name]; p != nil {
		s.arguments("git "+name, p, args[1:])
	}
	if slices.ContainsFunc(args, func(w shellWord) bool { return w.text == "--" }) && name == "checkout" {
		s.arguments(name, programs()["git restore"], args[1:])
	}
	if slices.Contains(gitReaches, name) && slices.ContainsFunc(args, func(w shellWord) bool {
		helper, _, ok := strings.Cut(w.text, "::")
		return ok && plainName(helper)
	}) {
		s.doubt("an address that makes git run a helper")
	}
	if name == "config" {
		s.gitConfig(args[1:])
	}
	if slices.Contains(gitRunners, name) {
		s.doubt("a subcommand of git that runs other programs")
	}
}

// gitReaches are the subcommands that take an address.
var gitReaches = []string{"fetch", "pull", "push", "clone", "ls-remote", "remote", "submodule", "archive"}

// gitRunners are the subcommands of git that run what the configuration or their
// arguments say.
var gitRunners = []string{
	"hook", "for-each-repo", "p4", "svn", "mergetool", "difftool", "send-email", "cvsimport", "instaweb", "web--browse", "gui", "citool", "daemon", "shell",
	"merge-index", "maintenance", "filter-branch", "remote-ext", "remote-fd", "http-backend", "upload-pack", "receive-pack", "upload-archive",
}

// ofConfig is a git config, as far as it changes a file.
var ofConfig = program{writes: "-f --file"}

// gitConfig looks at a git config: most settings can name a command that git
// then runs.
func (s scope) gitConfig(args []shellWord) {
	var words []string
	for i, a := range args {
		switch a.text {
		case "--get", "--get-all", "--get-regexp", "--get-urlmatch", "--list", "-l", "--unset", "--unset-all":
			return
		case "get", "list", "unset":
			if i == 0 {
				return
			}
		case "-e", "--edit", "edit":
			s.doubt("an editor that git runs")
		case "set":
			if i == 0 {
				continue
			}
		}
		for _, file := range ofConfig.find(args, i, ofConfig.writes) {
			s.writes = append(s.writes, file)
		}
		if !strings.HasPrefix(a.text, "-") {
			words = append(words, a.text)
		}
	}
	if len(words) < 2 {
		return
	}
	key := strings.ToLower(words[0])
	for _, harmless := range []string{"user.name", "user.email", "color.", "advice.", "pull.rebase", "pull.ff", "push.default", "push.autosetupremote", "fetch.prune", "init.defaultbranch", "core.autocrlf", "core.filemode", "core.ignorecase", "core.quotepath", "commit.gpgsign", "merge.conflictstyle", "rerere.enabled"} {
		if key == harmless || strings.HasSuffix(harmless, ".") && strings.HasPrefix(key, harmless) {
			return
		}
	}
	s.doubt("a setting of git that can make it run something else")
	for _, value := range words[1:] {
		s.inNewShell().script(strings.TrimPrefix(value, "!"))
	}
}

// clone looks at what gh hands to a git clone.
func (s scope) clone(args []shellWord) {
	i := slices.IndexFunc(args, func(w shellWord) bool { return w.text == "clone" })
	if i < 0 {
		return
	}
	s.gitSubcommand(args[i:])
	s.git(slices.DeleteFunc(slices.Clone(args[i:]), func(w shellWord) bool { return w.text == "--" }))
}
