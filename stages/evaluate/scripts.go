package evaluate

import (
	"path"
	"slices"
	"strings"
)

// Some commands take a program of their own as an argument, which can run
// commands and open files. It is read as far as it takes to know that it does not.

// sed looks at the scripts of a sed, and at the files that it changes in place.
func (s scope) sed(args []shellWord) {
	var words, scripts []string
	inPlace, ending := false, "" // the ending of the copy that it keeps
	for i := 0; i < len(args); i++ {
		text := args[i].text
		switch {
		case len(text) < 2 || text[0] != '-':
			words = append(words, text)
		case text == "--":
			for _, a := range args[i+1:] {
				words = append(words, a.text)
			}
			i = len(args)
		case strings.HasPrefix(text, "--expression="):
			scripts = append(scripts, text[len("--expression="):])
		case strings.HasPrefix(text, "--in-place"):
			inPlace = true
			_, ending, _ = strings.Cut(text, "=")
		case slices.Contains([]string{"--quiet", "--silent", "--regexp-extended", "--separate", "--unbuffered", "--null-data", "--posix", "--debug", "--sandbox"}, text):
		case text[1] == '-':
			s.doubt("an option of sed that is not known")
		default:
			for k := 1; k < len(text); k++ {
				switch text[k] {
				case 'n', 'E', 'r', 's', 'u', 'z':
					continue
				case 'i':
					inPlace, ending = true, text[k+1:]
				case 'e':
					if k+1 < len(text) {
						scripts = append(scripts, text[k+1:])
					} else if i++; i < len(args) {
						scripts = append(scripts, args[i].text)
					}
				default:
					s.doubt("an option of sed that is not known")
				}
				break
			}
		}
	}
	if strings.ContainsAny(ending, "*/") {
		s.doubt("an ending that is the name of a file")
		s.writes = append(s.writes, ending, path.Dir(ending)+"/x")
	}
	if len(words) > 0 && words[0] == "" { // what follows -i where it wants an ending
		words = words[1:]
	}
	if scripts == nil && len(words) > 0 {
		scripts, words = words[:1], words[1:]
	}
	s.reads = append(s.reads, words...)
	if inPlace {
		s.writes = append(s.writes, words...)
	}
	for _, script := range scripts {
		if rest, harmless := afterEdits(script); !harmless {
			s.doubt("a script of sed that may do more than edit")
			// What is left begins with what runs a command or names a file.
			s.maybe().script(strings.TrimLeft(strings.TrimLeft(rest, "eFrRwW"), " \t"))
			if name, _, _ := strings.Cut(rest, "\n"); name != "" {
				s.reads = append(s.reads, strings.TrimSpace(name[1:]))
				s.writes = append(s.writes, strings.TrimSpace(name[1:]))
			}
		}
	}
}

// afterEdits passes over the commands of a sed script that only edit text, and
// returns what is left where that is not all. The command r, w or e of the
// script comes first in it, or the flag of a substitution.
func afterEdits(script string) (rest string, harmless bool) {
	for {
		script = strings.TrimLeft(script, " \t\n;{}!,0123456789$+~")
		if script == "" {
			return "", true
		}
		c := script[0]
		script = script[1:]
		switch c {
		case '/': // an address
			_, after, ok := delimited(script, '/')
			if !ok {
				return "", false
			}
			script = strings.TrimLeft(after, "IM")
		case 'p', 'P', 'd', 'D', 'n', 'N', 'g', 'G', 'h', 'H', 'x', '=', 'z', 'l', 'q', 'Q':
		case 's', 'y':
			if script == "" || script[0] == '\\' || script[0] == '\n' {
				return "", false
			}
			delimiter := script[0]
			_, after, ok := delimited(script[1:], delimiter)
			if ok {
				_, after, ok = delimited(after, delimiter)
			}
			if !ok {
				return "", false
			}
			if c == 's' {
				after = strings.TrimLeft(after, "gpiImM0123456789")
			}
			if after != "" && !strings.ContainsRune(" \t\n;}", rune(after[0])) {
				return after, false
			}
			script = after
		case 'a', 'i', 'c': // text, to the end of the line
			for script != "" && script[0] != '\n' {
				if script[0] == '\\' && len(script) > 1 {
					script = script[1:]
				}
				script = script[1:]
			}
		case 'b', 't', 'T', ':': // a label
			script = strings.TrimLeft(script, " \t")
			script = script[len(script)-len(strings.TrimLeftFunc(script, func(r rune) bool { return !strings.ContainsRune(" \t\n;}", r) })):]
			if i := strings.IndexAny(script, " \t\n;}"); i >= 0 {
				script = script[i:]
			} else {
				script = ""
			}
		case '#':
			_, script, _ = strings.Cut(script, "\n")
		default:
			return string(c) + script, false
		}
	}
}

// delimited cuts text at the first delimiter that is not escaped. One that stands
// in brackets is another thing to each sed, so it is not looked for beyond.
func delimited(text string, delimiter byte) (before, after string, ok bool) {
	bracket := false
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '[':
			bracket = true
		case ']':
			bracket = false
		case delimiter:
			return text[:i], text[i+1:], !bracket
		}
	}
	return text, "", false
}

// awk looks at what an awk may run or open. The functions and operators for that
// are looked for as text: what is harmless in a string is put to approval.
func (s scope) awk(args []shellWord) {
	var words []string
	for i, a := range args {
		text := strings.ReplaceAll(a.text, "\\\n", " ")
		if len(text) > 1 && text[0] == '-' && text[1] != 'F' && text[1] != 'v' && text != "--" {
			s.doubt("an option of awk that can make it run something else")
		} else if text != "--" && (text == "" || text[0] != '-') && (i == 0 || args[i-1].text != "-F" && args[i-1].text != "-v") {
			words = append(words, a.text)
		}
		_, behind, prints := strings.Cut(text, "print")
		if holdsAny(text, "system", "getline", "ARGV", "@include", "@load") || prints && strings.ContainsAny(behind, "|>") || indirectCall(text) {
			s.doubt("a program of awk that may run or open something else")
			for _, piece := range strings.Split(text, `"`) {
				s.maybe().script(piece)
			}
		}
	}
	if len(words) > 1 {
		s.reads = append(s.reads, words[1:]...)
	}
}

func holdsAny(text string, parts ...string) bool {
	return slices.ContainsFunc(parts, func(part string) bool { return strings.Contains(text, part) })
}

// indirectCall reports whether an awk program holds a call like @name(.
func indirectCall(text string) bool {
	for _, rest := range strings.Split(text, "@")[1:] {
		name, _, called := strings.Cut(rest, "(")
		if called && plainName(strings.TrimSpace(name)) {
			return true
		}
	}
	return false
}

// modulesOfJq refuses what a program of jq takes out of other files.
func (s scope) modulesOfJq(args []shellWord) {
	for _, a := range args {
		if holdsAny(a.text, "import", "include") && strings.Contains(a.text, `"`) && strings.Contains(a.text, ";") {
			s.doubt("a program of jq that reads other files")
		}
	}
}

// toolFlags refuses what go is to hand to the compiler and its like, where that
// makes them write or run something else.
func (s scope) toolFlags(args []shellWord) {
	for i, a := range args {
		name, value, joined := strings.Cut(strings.TrimLeft(a.text, "-"), "=")
		if !slices.Contains([]string{"gcflags", "asmflags", "ldflags", "gccgoflags"}, name) {
			continue
		}
		if !joined && i+1 < len(args) {
			value = args[i+1].text
		}
		for _, flag := range strings.FieldsFunc(value, func(r rune) bool { return strings.ContainsRune(" \t\n='\"", r) }) {
			if flag = strings.TrimLeft(flag, "-"); strings.HasPrefix(flag, "ext") || slices.Contains(strings.Fields("o trace linkobj asmhdr symabis json bench importcfg embedcfg tmpdir"), flag) || strings.HasSuffix(flag, "profile") {
				s.doubt("a flag of go that makes its tools write or run something else")
			}
		}
	}
}

// makeVariables looks at the variables that a make is given. Most that a makefile
// runs are named by convention.
func (s scope) makeVariables(args []shellWord) {
	for _, a := range args {
		if s.input != nil && (strings.HasSuffix(a.text, "-") || strings.Contains(a.text, "/dev/")) {
			s.doubt("an input of make, which runs it")
		}
		name, value, ok := strings.Cut(a.text, "=")
		if !ok || strings.HasPrefix(name, "-") {
			continue
		}
		if strings.HasSuffix(name, "!") {
			s.doubt("a command that make runs for a variable")
			s.inNewShell().script(value)
		}
		name = strings.TrimRight(name, ":?+!")
		plain := !strings.ContainsFunc(value, func(r rune) bool { return r >= 0x80 || !inName(byte(r)) && !strings.ContainsRune("/,@:+", r) })
		if !plain || slices.Contains(strings.Fields("SHELL .SHELLFLAGS MAKE MAKEFLAGS MAKEFILES CC CXX CPP LD AR AS RM GO CARGO PYTHON NODE NPM DOCKER INSTALL SED AWK"), name) {
			s.doubt("a variable of make that can change what it runs")
			s.inNewShell().script(value)
		}
	}
}

// module looks at the module that a python runs, which is a program of its own.
func (s scope) module(args []shellWord) {
	for i, a := range args {
		if !strings.HasPrefix(a.text, "-") {
			return
		}
		if strings.HasPrefix(a.text, "--") {
			continue
		}
		_, name, found := strings.Cut(a.text, "m")
		if rest := args[i+1:]; found && (name != "" || len(rest) > 0) {
			if name == "" {
				name, rest = rest[0].text, rest[1:]
			}
			of := append([]shellWord{known(name)}, rest...)
			s.respelt(of)
			s.otherSpellings(command{words: of})
			if programs()[name] == nil {
				s.arguments(name, &program{words: wordsRead}, rest)
			}
			s.files(name, rest)
			return
		}
	}
}
