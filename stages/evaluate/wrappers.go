package evaluate

import (
	"path"
	"slices"
	"strings"
)

// A wrapper is a command that runs another one, which its arguments name.
type wrapper struct {
	flags  string // letters of options without a value
	values string // letters of options with one
	long   string // names of long options: "a b=" where b takes a value
	skip   int    // words before the command
	// unseen says what the command gets besides, where there is something.
	unseen string
	// joined wrappers hand their words to a shell as one script.
	joined bool
}

// wrappers are the commands that are looked into by their options alone.
var wrappers = map[string]wrapper{
	"env":     {flags: "i0v", values: "uC", long: "ignore-environment null debug unset= chdir="},
	"sudo":    {flags: "AbEHiKknPSsvN", values: "CghpRrTtUu", long: "askpass background preserve-env login non-interactive stdin shell user= group= host= prompt="},
	"doas":    {flags: "nsL", values: "Cu"},
	"nohup":   {},
	"time":    {flags: "pvaV", values: "f", long: "portability verbose append format="},
	"timeout": {flags: "fpv", values: "ks", long: "foreground preserve-status verbose kill-after= signal=", skip: 1},
	"nice":    {flags: "0123456789", values: "n", long: "adjustment="},
	"ionice":  {flags: "t", values: "cn", long: "ignore class= classdata="},
	"setsid":  {flags: "cfw", long: "ctty fork wait"},
	"stdbuf":  {values: "ioe", long: "input= output= error="},
	"xargs": {flags: "0rtxp", values: "adEILnPs", unseen: "the arguments that xargs adds",
		long: "null no-run-if-empty verbose exit interactive arg-file= delimiter= eof= replace= max-lines= max-args= max-procs= max-chars="},
	"watch":    {flags: "bcdegtxpCw", values: "nq", long: "beep color differences errexit chgexit no-title exec precise interval=", joined: true},
	"parallel": {flags: "0kqtvXmu", values: "jIaN", unseen: "the arguments that parallel adds", joined: true, long: "jobs= dry-run keep-order"},
	"ssh":      {flags: "46AaCfGgKkMNnqsTtVvXxYy", values: "BbcDEeIiJLlmOopPQRSWw", skip: 1, joined: true},
	"exec":     {flags: "cl", values: "a"},
	"command":  {flags: "pvV"},
	"builtin":  {},
	"chroot":   {skip: 1}, "gosu": {skip: 1}, "su-exec": {skip: 1}, "repeat": {skip: 1},
	"taskset":  {flags: "ac", skip: 1},
	"chrt":     {flags: "bfior", skip: 1},
	"flock":    {flags: "sxeunoF", values: "wE", skip: 1},
	"strace":   {flags: "fFqvVxyTtrcCdDhik", values: "eoOpsSuPabEIX"},
	"ltrace":   {flags: "cCfhirStTV", values: "aAelnosuxp"},
	"unshare":  {flags: "mnuipUCTrfc"},
	"valgrind": {}, "nsenter": {}, "setpriv": {}, "runuser": {}, "systemd-run": {}, "numactl": {}, "prlimit": {}, "firejail": {}, "bwrap": {},
	"dbus-run-session": {}, "xvfb-run": {}, "unbuffer": {}, "pkexec": {}, "tini": {}, "dumb-init": {}, "catchsegv": {}, "entr": {}, "hyperfine": {joined: true},
	"noglob": {}, "nocorrect": {}, // of zsh
	"busybox": {},
	"toybox":  {},
}

// shells are the commands that run a script.
var shells = []string{"sh", "bash", "dash", "zsh", "ksh", "mksh", "ash", "rbash"}

// arithmetical are the builtins that work out an index in the name of a variable,
// which runs the substitutions in it.
var arithmetical = []string{"[", "test", "printf", "read", "readarray", "mapfile", "unset", "let", "getopts", "wait", "declare", "typeset", "local", "export", "readonly"}

// interpreters run what they read, which is not looked into.
var interpreters = []string{"python", "python2", "python3", "perl", "ruby", "node", "deno", "bun", "php", "lua", "tclsh", "fish", "csh", "tcsh", "pwsh", "osascript", "R", "at", "batch", "crontab"}

// special reports whether a line of plain words, which begins with word, needs more
// than a look at its text: it runs or reads something else, or the shell knows the word.
func special(word, line string) bool {
	if word[0] == '#' || strings.IndexByte(word, '=') >= 0 || strings.IndexByte(word, '/') >= 0 {
		return true
	}
	if specials[word] || strings.HasPrefix(word, "git-") || strings.HasPrefix(word, "python") {
		return true
	}
	if hasSynonyms(word, line) {
		return true
	}
	p := programOf(word)
	return p != nil && !p.idle(line)
}

// idle reports whether a line of plain words holds nothing that the program does
// more with than a look at its text tells.
func (p *program) idle(line string) bool {
	if _, rest, _ := strings.Cut(line, " "); p.subs != "" {
		if sub, _, _ := strings.Cut(rest, " "); strings.Contains(p.subs, sub) {
			return false
		}
	}
	files := p.words != 0
	if p.words&wordsMaybe != 0 {
		_, rest, _ := strings.Cut(line, " ")
		if files = holdsFile(rest); p == anyProgram {
			return !files
		}
	}
	if files || p.starts || p.goals && strings.Count(line, " ") > 1 || p.ends && holdsAny(line, " exe", " x", " dlx") || p.hints != "" && strings.Contains(line, "=") {
		return false
	}
	for from := 0; ; {
		i := strings.IndexAny(line[from:], "-+")
		if i < 0 {
			return true
		}
		i += from
		from = i + 1
		if i > 0 && line[i-1] != ' ' {
			continue
		}
		if !p.single {
			return false
		}
		name, _, _ := strings.Cut(line[i:], " ")
		name, _, _ = strings.Cut(strings.TrimPrefix(name, "-"), "=")
		name = strings.TrimPrefix(name, "-")
		for _, list := range [...]string{p.runs, p.reads, p.writes, p.moves, p.refuse, p.hints} {
			if name == "" || strings.Contains(list, name) {
				return false
			}
		}
	}
}

var specials = func() map[string]bool {
	set := map[string]bool{}
	for _, list := range [][]string{shells, {
		"git", "eval", "trap", "find", "cd", "pushd", "popd", "alias", "dd", "sed", "gsed", "awk", "gawk", "mawk", "nawk", "fish", "csh", "tcsh", "pwsh",
		"hash", "enable", "bind", "fc", "wget",
		"!", "{", "}", "if", "then", "elif", "else", "fi", "for", "while", "until", "do", "done", "case", "esac", "select", "function", "coproc",
		"[[", "]]", "in", "export", "declare", "typeset", "local", "readonly", "nameref", "let",
	}} {
		for _, name := range list {
			set[name] = true
		}
	}
	for name := range wrappers {
		set[name] = true
	}
	return set
}()

// run notes a command and looks into it.
func (s scope) run(c command) {
	s, ok := s.deeper()
	if !ok || !s.note(c) {
		return
	}
	if s.traced {
		s = s.in("what " + quote(c.words[0].base()) + " runs")
	}
	if strings.ContainsAny(c.words[0].text, " \t\n") {
		s.doubt("a command whose name holds a blank")
	}

	if variable, _, assigns := strings.Cut(c.words[0].text, "="); assigns && plainName(variable) && len(c.words) > 1 {
		s.doubt("an assignment where a command should stand")
		s.run(command{words: c.words[1:]})
	}

	name, args := c.words[0].base(), c.words[1:]
	w, wraps := wrappers[name]
	switch {
	case slices.Contains(shells, name):
		s.runShell(args)
	case wraps:
		s.unwrap(name, &w, args)
	case slices.Contains(interpreters, strings.TrimRight(name, "0123456789.")):
		if s.input != nil {
			s.doubt("an input of " + quote(name) + ", which runs it")
		}
		if strings.HasPrefix(name, "python") {
			s.module(args)
		}
	}
	if strings.HasPrefix(c.words[0].text, "=") && len(c.words[0].text) > 1 {
		s.doubt("a word that zsh takes for the path of a command")
		s.run(command{words: append([]shellWord{known(c.words[0].text[1:])}, args...)})
	}
	s.otherSpellings(c)
	if slices.Contains(setters, name) {
		s.variablesOf(name, args)
	}
	if slices.Contains(arithmetical, name) && strings.Contains(texts(args), "[") && strings.ContainsAny(texts(args), "$`") {
		s.doubt("an index that can run commands")
	}
	switch name {
	case "exec":
		if len(args) == 0 && s.input != nil {
			s.doubt("an input for all that follows")
		}
	case "eval":
		if len(args) > 0 && args[0].text == "--" {
			args = args[1:]
		}
		s.script(texts(args))
	case "trap":
		if i := slices.IndexFunc(args, func(w shellWord) bool { return w.text != "--" }); i >= 0 && !strings.HasPrefix(args[i].text, "-") {
			s.maybe().script(args[i].text)
		}
	case "find":
		s.find(args)
	case "git":
		s.git(args)
	case "cd", "pushd", "popd":
		s.move(args)
	case "alias":
		s.doubt("an alias, which makes a word run something else")
		for _, a := range args {
			if _, value, ok := strings.Cut(a.text, "="); ok {
				s.maybe().script(value)
			}
		}
	case "hash", "enable", "bind", "fc", "complete", "compgen":
		if len(args) > 0 {
			s.doubt("a builtin that can make a word run something else")
		}
	case "ln":
		s.linked = true
	case "fish", "csh", "tcsh", "pwsh":
		if i := slices.IndexFunc(args, func(w shellWord) bool {
			return strings.HasPrefix(w.text, "-") && strings.Contains(strings.ToLower(w.text), "c")
		}); i >= 0 && i+1 < len(args) {
			s.doubt("a script of another kind of shell")
			s.inNewShell().script(args[i+1].text)
		}
	case "su":
		if s.input != nil {
			s.runShell(nil)
		}
	case "source", ".":
		s.tampered = name
		if len(args) > 0 {
			s.device(args[0].text)
		}
	case "read", "readarray", "mapfile", "getopts", "unset", "let", "wait", "set":
		s.tampered = name
	case "printf":
		if len(args) > 0 && strings.HasPrefix(args[0].text, "-v") {
			s.tampered = name
		}
	}
	s.files(name, args)
}

// unwrap looks at what a wrapper runs. Where it does not know an option, it
// takes every word for the command in turn, to see what is blocked.
func (s scope) unwrap(name string, w *wrapper, args []shellWord) {
	i, known := w.options(args)
	for range w.skip {
		if i < len(args) {
			i++
		}
		more, ok := w.options(args[min(i, len(args)):])
		i, known = i+more, known && ok
	}
	options, rest := args[:min(i, len(args))], args[min(i, len(args)):]
	for k, o := range options {
		switch {
		case name == "ssh" && holdsAny(strings.ToLower(o.text), "command", "provider"), name == "ssh" && (strings.HasPrefix(o.text, "-F") || strings.HasPrefix(o.text, "-I")):
			s.doubt("an option of ssh that can run a command")
			if _, value, ok := strings.Cut(o.text, "="); ok {
				s.inNewShell().script(value)
			}
		case name == "env":
			for _, dir := range changesDirectory.find(options, k, changesDirectory.moves) {
				s.move([]shellWord{{text: dir, static: o.static && options[min(k+1, len(options)-1)].static}})
			}
		case name == "command" && (o.text == "-v" || o.text == "-V"):
			return // only says what would run
		}
	}
	if name == "env" && len(rest) > 0 && rest[0].text == "-" {
		rest = rest[1:]
	}
	if name == "env" || name == "sudo" || name == "doas" {
		for len(rest) > 0 && strings.Contains(rest[0].text, "=") {
			variable, _, _ := strings.Cut(rest[0].text, "=")
			s.loader(variable)
			rest = rest[1:]
		}
	}
	if w.unseen != "" {
		s.doubt(w.unseen)
	}
	if !known {
		s.doubt("an option of " + quote(name) + " that is not known")
		for i := range min(len(args), 16) {
			if strings.HasPrefix(args[i].text, "-S") { // env's, which splits
				s.inNewShell().script(args[i].text[len("-S"):])
			}
			s.inNewShell().script(args[i].text)
			s.run(command{words: args[i:]})
		}
		return
	}
	switch {
	case len(rest) == 0:
		if s.input != nil && slices.Contains([]string{"ssh", "sudo", "doas", "chroot", "unshare", "nsenter"}, name) {
			s.runShell(nil)
		}
	case w.joined:
		s.inNewShell().script(texts(rest))
	default:
		s.run(command{words: rest})
	}
}

// changesDirectory is an env, as far as it says where the command runs.
var changesDirectory = program{moves: "-C --chdir"}

// options is how many of the words are options and their values, and whether all
// of them are known.
func (w *wrapper) options(args []shellWord) (int, bool) {
	for i := 0; i < len(args); i++ {
		text := args[i].text
		switch {
		case text == "--":
			return i + 1, true
		case len(text) < 2 || text[0] != '-':
			return i, args[i].static || text == "" || text[0] != '$'
		case text[1] == '-':
			name, _, hasValue := strings.Cut(text[2:], "=")
			long := strings.Fields(w.long)
			switch {
			case slices.Contains(long, name+"="):
				if !hasValue {
					i++
				}
			case !slices.Contains(long, name):
				return i, false
			}
		default:
			for k := 1; k < len(text); k++ {
				if strings.IndexByte(w.values, text[k]) >= 0 {
					if k == len(text)-1 {
						i++
					}
					break
				}
				if strings.IndexByte(w.flags, text[k]) < 0 {
					return i, false
				}
			}
		}
	}
	return len(args), true
}

// runShell looks at the script that a shell is to run: behind -c, or what it reads.
func (s scope) runShell(args []shellWord) {
	command, fromInput := false, true
	for i := 0; i < len(args); i++ {
		text := args[i].text
		switch {
		case len(text) > 1 && (text[0] == '-' || text[0] == '+') && text[1] != '-':
			command = command || strings.Contains(text, "c")
			i += strings.Count(text, "o") + strings.Count(text, "O") // each takes a value
			if strings.Contains(text, "s") && !command {
				i = len(args)
			}
			continue
		case strings.HasPrefix(text, "--") && text != "--":
			if text == "--rcfile" || text == "--init-file" {
				s.doubt("a file that the shell runs first")
				i++
			}
			continue
		case text == "--" || text == "-":
			continue
		}
		fromInput = false
		if command {
			s.inNewShell().script(text)
		} else {
			s.device(text)
			s.reads = append(s.reads, text)
		}
		break
	}
	if fromInput && s.input != nil {
		if !s.input.known {
			s.doubt("an input of a shell, which runs it")
		}
		if s.input.script != "" {
			in := s.inNewShell()
			in.input = &input{} // what the script leaves
			in.script(s.input.script)
		}
	}
}

// device refuses a script that is no file.
func (s scope) device(name string) {
	if clean := path.Clean(name); strings.HasPrefix(clean, "/dev/") || strings.HasPrefix(clean, "/proc/") {
		s.doubt("a script that is no file")
	}
}

// find looks at what find does with the files that it finds.
func (s scope) find(args []shellWord) {
	var roots []shellWord
	for _, a := range args {
		if strings.HasPrefix(a.text, "-") || a.text == "(" || a.text == "!" {
			break
		}
		roots = append(roots, a)
	}
	for i, a := range args {
		switch a.text {
		case "-exec", "-ok", "-execdir", "-okdir":
			s.doubt("the files that find finds")
			end := i + 1
			for end < len(args) && args[end].text != ";" && args[end].text != "+" {
				end++
			}
			if end > i+1 {
				s.run(command{words: args[i+1 : end]})
			}
		case "-delete":
			s.doubt("the files that find finds")
			s.run(command{words: append([]shellWord{known("rm"), known("-rf")}, roots...)})
		case "-fprint", "-fprint0", "-fls", "-fprintf":
			if i+1 < len(args) {
				s.writes = append(s.writes, args[i+1].text)
			}
		case "-files0-from":
			s.doubt("the files that find finds")
		}
	}
}

// move notes a change of directory: what follows names its files from there.
func (s scope) move(args []shellWord) {
	dir := shellWord{}
	for i, a := range args {
		if a.text == "--" || a.text == "-P" || a.text == "-L" {
			continue
		}
		if dir = a; i < len(args)-1 { // zsh puts one for the other
			dir.static = false
		}
		break
	}
	if dir.text == "" || dir.text[0] == '-' || dir.text[0] == '+' || !dir.static || len(s.moves) >= mostMoves {
		s.doubt("a change to a directory that is not known")
		return
	}
	s.moves = append(s.moves, dir.text)
}

func known(text string) shellWord { return shellWord{text, text, true} }

// files notes the files that a well-known command reads and writes, and what it
// runs by an argument.
func (s scope) files(name string, args []shellWord) {
	if p := programOf(name); p != nil {
		s.arguments(name, p, args)
	}
	if programs()[name] == nil {
		name = withoutVersion(name)
	}
	switch name {
	case "sed", "gsed":
		s.sed(args)
	case "awk", "gawk", "mawk", "nawk":
		s.awk(args)
	case "make", "gmake":
		s.makeVariables(args)
	case "jq":
		s.modulesOfJq(args)
	case "go":
		s.toolFlags(args)
	case "gh":
		s.clone(args)
	case "docker", "podman", "nerdctl":
		s.container(args)
	case "curl", "wget":
		for i, a := range args {
			if strings.ContainsAny(a.text, "{[") && (strings.HasPrefix(a.text, "-T") || strings.HasPrefix(a.text, "--up") || i > 0 && (strings.HasSuffix(args[i-1].text, "T") || strings.HasPrefix(args[i-1].text, "--up"))) {
				s.doubt("a name that curl takes for several files")
			}
			if url := strings.TrimPrefix(a.text, "file:"); url != a.text {
				s.reads = append(s.reads, "/"+strings.TrimPrefix(strings.TrimLeft(url, "/"), "localhost/"))
				if strings.ContainsAny(url, "{[%") {
					s.doubt("an address that stands for others")
				}
			} else if strings.Contains(a.text, "://") { // what it is saved as
				s.writes = append(s.writes, path.Base(a.text))
			}
		}
	case "dd":
		for _, a := range args {
			if from, ok := strings.CutPrefix(a.text, "if="); ok {
				s.reads = append(s.reads, from)
			}
			if to, ok := strings.CutPrefix(a.text, "of="); ok {
				s.writes = append(s.writes, to)
			}
		}
	}
}
