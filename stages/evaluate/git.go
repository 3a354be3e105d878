package evaluate

import (
	"slices"
	"strings"
	"unicode"

	enforcementv1 "github.com/Huzefaaa2/cavra/go/cavra-runtime/enforcement/v1"
	"github.com/Huzefaaa2/cavra/go/cavra-runtime/pipeline"
)

var (
	gitProtected  = row{enforcementv1.DecisionBlock, "git.protected_branch.block_direct_push", enforcementv1.SeverityHigh, ""}
	gitUnresolved = row{enforcementv1.DecisionBlock, "git.push.unresolved", enforcementv1.SeverityHigh, ""}
	gitAllow      = row{enforcementv1.DecisionAllow, "git.allow", enforcementv1.SeverityLow, ""}
)

// judgeGit keeps pushes from protected branches. Everything else is allowed.
func judgeGit(p *policy, req *enforcementv1.EvaluateRequest) pipeline.Decision {
	push, found := readPush(pipeline.Operation(req), req.Target)
	if !found {
		return gitAllow.because("the operation is no push")
	}
	if p.blockProtectedPushes {
		for _, name := range push.names {
			if branch := push.branch(name); branch != "" {
				if i := p.protectedBranches.match(branch); i >= 0 {
					return gitProtected.because(p.protectedBranches.reason("the branch "+quote(branch), i))
				}
			}
		}
	}
	if push.unclear != "" {
		return gitUnresolved.because("a push is judged by its destination, and " + push.unclear + "; name one branch")
	}
	return gitAllow.because("the push goes to one branch, which is not protected")
}

// A gitPush is a push as it was asked for.
type gitPush struct {
	names   []string // all that could name its destination
	remote  string   // where it goes, if that was named
	unclear string   // why the destination is not one plain branch; empty where it is one
}

// readPush reads a push out of an operation and its target, and reports whether
// there is one. The words of a push may be spread over both in any way: "push"
// and "main", "git push --force origin" and "HEAD:main", "push origin main" and
// nothing.
func readPush(operation, target string) (gitPush, bool) {
	if strings.TrimSpace(operation) == "" {
		operation, target = target, ""
	}
	said, aimed := gitWords(operation), gitWords(target)
	if len(said)+len(aimed) > mostPushWords {
		return gitPush{unclear: "it has too many words to be read"}, mayPush(said) || mayPush(aimed)
	}
	rest, found := afterPush(said)
	if !found {
		// A target of other operations is no push unless they take one, or it can end them.
		more := strings.ContainsAny(target, shellOperators) || slices.Contains(said, "subtree")
		if !mayPush(said) && !(more && mayPush(aimed)) {
			return gitPush{}, false
		}
		names := strings.FieldsFunc(operation, func(r rune) bool { return unicode.IsSpace(r) || strings.ContainsRune(shellOperators, r) })
		return gitPush{names: append(names, aimed...), unclear: "the operation is more than a plain git push"}, true
	}
	if again, repeated := afterPush(aimed); repeated && len(aimed) > 1 {
		aimed = again // the target repeats the operation
	}

	push := gitPush{}
	flagsEnd := false
	read := func(words []string) {
		for i := 0; i < len(words); i++ {
			switch w := words[i]; {
			case w == "--":
				flagsEnd = true
			case flagsEnd || w[0] != '-':
				push.names = append(push.names, w)
			case w == "-o" || w == "--push-option":
				i++ // its value
			case !plainPushFlag(w):
				push.doubt("one of its flags can change it")
			}
		}
	}
	read(rest)
	inOperation := len(push.names)
	read(aimed)

	destinations := push.names
	if len(destinations) > 1 || inOperation == len(destinations) && inOperation == 1 || len(destinations) == 1 && isRemote(destinations[0]) {
		push.remote, destinations = destinations[0], destinations[1:]
	}
	switch len(destinations) {
	case 0:
		push.doubt("none is named")
	case 1:
		if !plainBranch(push.branch(destinations[0])) {
			push.doubt("this is not one plain branch")
		}
	default:
		push.doubt("several are named")
	}
	return push, true
}

// mostPushWords is more than any push has.
const mostPushWords = 64

// mayPush reports whether the words could be a push in some other spelling:
// behind a wrapper, through another command of git, in letters that look alike.
func mayPush(words []string) bool {
	if len(words) > 1 && words[0] == "stash" || len(words) > 2 && words[0] == "git" && words[1] == "stash" {
		return false // git stash push goes nowhere
	}
	for _, w := range words {
		visible := strings.Map(func(r rune) rune {
			if r > '~' {
				return -1
			}
			return unicode.ToLower(r)
		}, w)
		if strings.Contains(visible, "send-pack") || slices.Contains(strings.FieldsFunc(visible, notLetter), "push") {
			return true
		}
	}
	return false
}

func notLetter(r rune) bool { return r < 'a' || r > 'z' }

func (p *gitPush) doubt(why string) {
	if p.unclear == "" {
		p.unclear = why
	}
}

// branch is the branch at the remote that a refspec or branch name leads to;
// empty where it names none. A prefix that only says where the branch stands is
// taken off, so that refs/heads/main and origin/main are main.
func (p *gitPush) branch(refspec string) string {
	name := strings.TrimPrefix(refspec, "+")
	if i := strings.IndexByte(name, ':'); i >= 0 {
		name = name[i+1:]
	}
	for {
		bare := strings.TrimPrefix(strings.TrimPrefix(name, "refs/heads/"), "heads/")
		if rest, ok := strings.CutPrefix(strings.TrimPrefix(bare, "refs/"), "remotes/"); ok {
			if _, branch, ok := strings.Cut(rest, "/"); ok {
				bare = branch
			}
		}
		for _, remote := range [...]string{"origin", "upstream", p.remote} {
			if within(remote, bare) {
				bare = bare[len(remote)+1:]
			}
		}
		if bare == name {
			return name
		}
		name = bare
	}
}

// plainBranch reports whether name can only be the name of one branch.
func plainBranch(name string) bool {
	if name == "" || name == "@" || strings.EqualFold(name, "HEAD") || strings.EqualFold(name, "FETCH_HEAD") {
		return false
	}
	for _, part := range [...]string{"..", "//", "@{", "://"} {
		if strings.Contains(name, part) {
			return false
		}
	}
	for _, prefix := range [...]string{"refs/", "tags/", "-", ".", "/"} {
		if strings.HasPrefix(name, prefix) {
			return false
		}
	}
	if strings.HasSuffix(name, "/") || strings.HasSuffix(name, ".") {
		return false
	}
	return !strings.ContainsFunc(name, func(r rune) bool {
		return r <= ' ' || r == 0x7f || strings.ContainsRune(`~^:?*[\{`, r) || strings.ContainsRune(shellOperators, r)
	})
}

// isRemote reports whether a word that stands alone names a remote rather than a
// branch.
func isRemote(name string) bool {
	return name == "origin" || name == "upstream" || strings.Contains(name, "://") ||
		strings.Contains(name, "@") && strings.Contains(name, ":")
}

// afterPush is what follows the word push, and whether the words are a push. A
// "git" before it and the flags of git itself are passed over.
func afterPush(words []string) ([]string, bool) {
	if len(words) > 0 && strings.EqualFold(words[0], "git") {
		words = words[1:]
	}
	for len(words) > 0 && strings.HasPrefix(words[0], "-") {
		takesValue := holdsFold([]string{"-c", "--git-dir", "--work-tree", "--namespace", "--config-env", "--exec-path", "--super-prefix"}, words[0])
		words = words[1:]
		if takesValue && len(words) > 0 {
			words = words[1:]
		}
	}
	if len(words) == 0 || !holdsFold([]string{"push", "git-push", "git_push"}, words[0]) {
		return nil, false
	}
	return words[1:], true
}

// plainPushFlag reports whether a flag leaves the destination of a push as its
// words say. What it does not know may name further destinations.
func plainPushFlag(flag string) bool {
	if len(flag) > 1 && flag[1] != '-' {
		return strings.Trim(flag[1:], "fuqvnd46") == ""
	}
	name, _, _ := strings.Cut(flag, "=")
	switch name {
	case "--force", "--no-force", "--force-with-lease", "--no-force-with-lease", "--force-if-includes", "--no-force-if-includes",
		"--set-upstream", "--delete", "--quiet", "--verbose", "--dry-run", "--porcelain", "--progress", "--no-progress",
		"--verify", "--no-verify", "--atomic", "--no-atomic", "--thin", "--no-thin", "--signed", "--no-signed",
		"--tags", "--follow-tags", "--no-follow-tags", "--ipv4", "--ipv6", "--push-option":
		return true
	}
	return false
}

// gitWords splits a text into its words. Quotes and backslashes go: no branch is
// plain with them.
func gitWords(text string) []string {
	text = strings.ReplaceAll(text, "\\\n", "") // which a shell takes out
	if strings.ContainsAny(text, `'"\`) {
		text = strings.NewReplacer(`'`, "", `"`, "", `\`, "").Replace(text)
	}
	return strings.Fields(text)
}

// pushIn is the operation of a git push that the words of a command make, or "".
// What could be one in a way that is not known keeps all its words, so that it is
// not resolved.
func pushIn(words []shellWord) string {
	name := words[0].base()
	all := "git " + texts(words[1:])
	switch {
	case strings.HasPrefix(name, "git-"):
		words = append([]shellWord{words[0], known(name[len("git-"):])}, words[1:]...)
		all = "git " + texts(words[1:])
	case name != "git":
		return ""
	}
	rest := words[1:]
	for len(rest) > 0 && strings.HasPrefix(rest[0].text, "-") {
		flag := rest[0].text
		rest = rest[1:]
		if slices.Contains([]string{"-C", "-c", "--git-dir", "--work-tree", "--namespace", "--config-env", "--super-prefix", "--attr-source"}, flag) && len(rest) > 0 {
			rest = rest[1:]
		}
	}
	if len(rest) == 0 {
		return ""
	}
	sub, args := rest[0].text, rest[1:]
	switch {
	case strings.EqualFold(sub, "push"):
		return "push " + texts(args)
	case sub == "send-pack" || sub == "http-push":
		return "git send-pack " + texts(args)
	case sub == "subtree" && slices.ContainsFunc(args, func(w shellWord) bool { return w.text == "push" }), !rest[0].static && mayPush(gitWords(all)):
		return all
	}
	return ""
}
