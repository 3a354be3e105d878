package evaluate

import (
	"slices"
	"strings"
	"sync"
	"unicode/utf8"
)

// Programs take options in any order, behind what they are for, with letters
// together or apart, short or long, with their value in one word or in two. A
// pattern spells one way. What it asks for is found in a command whichever way it
// is spelt there, and the command is judged as the pattern would spell it, too.

// An arrangement is how a pattern spells options: "rm -rf *" has -rf after rm, and
// "gh api *-X PATCH*" has -X last after gh api.
type arrangement struct {
	words   []string // the program and its subcommands, up to the options or a star
	last    bool     // the options stand behind a star
	options []patternOption
}

type patternOption struct {
	name string
	glue string // what stands between it and its value: a blank, "=" or nothing
}

// Arrangements are those of a policy, by the program and the first option.
type arrangements struct {
	of       map[string]map[string][]*arrangement
	known    map[string]bool // to have each once
	programs map[string]bool // with the subcommand, where there is one
}

// addPatterns adds the arrangements of a list.
func (a *arrangements) addPatterns(texts []string) {
	for _, text := range texts {
		if !strings.Contains(text, " -") && !strings.Contains(text, "*-") {
			continue
		}
		found := arrangementOf(text)
		if len(found.words) == 0 || len(found.options) == 0 {
			continue
		}
		key := strings.Join(found.words, " ") + "\n"
		if found.last {
			key += "*"
		}
		for _, o := range found.options {
			key += o.name + o.glue + "\n"
		}
		if a.known[key] {
			continue
		}
		if a.known == nil {
			a.of, a.known, a.programs = map[string]map[string][]*arrangement{}, map[string]bool{}, map[string]bool{}
		}
		a.known[key] = true
		a.programs[strings.Join(found.words[:min(2, len(found.words))], " ")] = true
		program := found.words[0]
		if a.of[program] == nil {
			a.of[program] = map[string][]*arrangement{}
		}
		first := sameOptions(program, lettersOf(program, found.options[0].name)[0])[0]
		a.of[program][first] = append(a.of[program][first], found)
	}
}

// arrangementOf reads a pattern.
func arrangementOf(text string) *arrangement {
	a := &arrangement{}
	star := false
	for word := range strings.SplitSeq(text, " ") {
		option := strings.TrimLeft(word, "*")
		name, _, _ := strings.Cut(option, "*")
		switch {
		case strings.HasPrefix(option, "-") && strings.Trim(name, "-") != "":
			if star = star || option != word; len(a.options) == 0 {
				a.last = star
			}
			a.options = append(a.options, a.option(name))
		case len(a.options) > 0 || star:
		case strings.Contains(word, "*"):
			star = true
		default:
			a.words = append(a.words, word)
		}
	}
	return a
}

// option reads the text of an option in a pattern, which may hold its value.
func (a *arrangement) option(text string) patternOption {
	if name, _, joined := strings.Cut(text, "="); joined {
		return patternOption{name, "="}
	}
	if len(text) > 2 && len(a.words) > 0 && strings.IndexByte(valueLetters()[a.words[0]], text[1]) >= 0 {
		return patternOption{text[:2], ""}
	}
	return patternOption{text, " "}
}

// mayRearrange reports whether a line of plain words may hold options that a
// pattern spells otherwise.
func (a *arrangements) mayRearrange(line string) bool {
	program, rest, _ := strings.Cut(line, " ")
	if a.of[program] == nil {
		return false
	}
	sub, _, _ := strings.Cut(rest, " ")
	return sub[0] == '-' || a.programs[program] || a.programs[line[:len(program)+1+len(sub)]]
}

const arrangedHow = "with its options as a pattern has them"

// addRearranged adds each command as the patterns would spell it.
func (l *commandLine) addRearranged(a *arrangements, sh *shell) {
	if len(a.of) == 0 {
		return
	}
	cost := 0
	for _, list := range [][]command{sh.commands, sh.suspects} {
		for i := range list {
			c := &list[i]
			byOption := a.of[c.words[0].base()]
			if byOption == nil || !c.hasOption() {
				continue
			}
			line, tried := texts(c.words), map[*arrangement]bool{}
			for _, option := range optionsOf(c.words) {
				for _, arranged := range byOption[option] {
					if tried[arranged] {
						continue
					}
					tried[arranged] = true
					as := line // which is looked at anyway
					for nth, more := 0, true; more; nth++ {
						if cost += len(line) + 32*len(c.words); cost > mostArranged {
							sh.limit("more options than are looked through")
							return
						}
						for _, withNext := range [...]bool{false, true} {
							var text string
							if text, more = arranged.spell(c.words, nth, withNext); text != as {
								l.add(arrangedHow, text)
								as = text
							}
						}
					}
				}
			}
		}
	}
}

// mostArranged bounds what all arrangements of a line cost: the bytes that are looked
// at, and for each word as much as 32 of them.
const mostArranged = 1 << 20

// optionsOf is every option that the words of a command may hold, each letter and
// each long name, in all its spellings.
func optionsOf(words []shellWord) []string {
	var found []string
	for _, w := range words[1:] {
		if w.text == "--" {
			break
		}
		name, _, _ := strings.Cut(w.text, "=")
		if len(name) < 2 || name[0] != '-' {
			continue
		}
		found = append(found, sameOptions(words[0].base(), name)...)
		if name[1] != '-' && !oneDash(words[0].base()) {
			for _, letter := range name[1:] {
				found = append(found, sameOptions(words[0].base(), "-"+string(letter))...)
			}
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// spell is the command as the arrangement has it, or "" where it lacks an option
// or a word. Of an option that is given several times the nth is taken, or the last
// one; more says that there are others. The word that follows an option may be its
// value, which goes with it, or not.
func (a *arrangement) spell(words []shellWord, nth int, withNext bool) (text string, more bool) {
	base := words[0].base()
	rest := slices.Clone(words)
	rest[0] = known(base)
	at := find(a.words, rest, false)
	if at == nil {
		return "", false
	}
	taken := make([]bool, len(rest)+1)
	for _, i := range at {
		taken[i] = true
	}
	var options []string
	for _, o := range a.options {
		letters := lettersOf(base, o.name)
		value := ""
		for n, letter := range letters {
			valued := n == len(letters)-1 && (withNext || o.glue != " ")
			i, v, others := takeOption(base, rest, taken, letter, nth, valued)
			if i == 0 {
				return "", false
			}
			more = more || others
			if value = v; v == "" && valued && i+1 < len(rest) && !taken[i+1] && !strings.HasPrefix(rest[i+1].text, "-") {
				value, taken[i+1] = rest[i+1].text, true
			}
		}
		if value == "" {
			options = append(options, o.name)
		} else {
			options = append(options, o.name+o.glue+value)
		}
	}
	list := slices.Clone(a.words)
	if !a.last {
		list = append(list, options...)
	}
	for i := range rest {
		if !taken[i] {
			list = append(list, rest[i].text)
		}
	}
	if a.last {
		list = append(list, options...)
	}
	return strings.Join(list, " "), more
}

// takeOption takes an option out of the words: one letter out of several, or all of
// a word. It returns where it stood, or 0, and the value that stood in the same word.
func takeOption(program string, words []shellWord, taken []bool, option string, nth int, valued bool) (at int, value string, more bool) {
	same := sameOptions(program, option)
	letter, seen := 0, 0
	for i, w := range words {
		if i == 0 || taken[i] {
			continue
		}
		if w.text == "--" {
			break
		}
		k := standsIn(program, same, w.text)
		if k < 0 {
			continue
		}
		if seen++; seen > nth+1 {
			more = true
			break
		}
		at, letter = i, k
	}
	if at == 0 {
		return 0, "", false
	}
	text := words[at].text
	if letter == 0 {
		taken[at] = true
		_, value, _ = strings.Cut(text, "=")
		return at, value, more
	}
	_, size := utf8.DecodeRuneInString(text[letter:])
	before, after := text[:letter], text[letter+size:]
	if valued {
		value, after = strings.TrimPrefix(after, "="), ""
	}
	words[at] = known(before + after)
	taken[at] = strings.Trim(before+after, "-") == "" // nothing is left of it
	return at, value, more
}

// standsIn is where in a word an option stands that is one of same: 0 where the word
// is that option, the place of the letter where it is one of several, else -1.
func standsIn(program string, same []string, word string) int {
	name, _, _ := strings.Cut(word, "=")
	if len(name) < 2 || name[0] != '-' {
		return -1
	}
	if slices.ContainsFunc(sameOptions(program, name), func(n string) bool { return slices.Contains(same, n) }) {
		return 0
	}
	if name[1] == '-' || oneDash(program) {
		return -1
	}
	for k, letter := range name[1:] {
		if slices.Contains(same, "-"+string(letter)) {
			return k + 1
		}
		if strings.ContainsRune(valueLetters()[program], letter) {
			break // what follows is its value
		}
	}
	return -1
}

// oneDash reports whether the long options of a program have one dash, so that its
// letters are never written together.
func oneDash(program string) bool {
	p := programs()[program]
	return p != nil && p.single || slices.Contains([]string{"find", "java", "javac", "ffmpeg", "convert"}, program)
}

// lettersOf is an option of a pattern, as the single options that it stands for.
func lettersOf(program, name string) []string {
	if len(name) < 3 || name[1] == '-' || oneDash(program) || strings.ContainsRune(valueLetters()[program], rune(name[1])) {
		return []string{name}
	}
	var list []string
	for _, letter := range name[1:] {
		if letter < 'A' || letter > 'z' {
			return []string{name}
		}
		list = append(list, "-"+string(letter))
	}
	return list
}

// sameOptions are all spellings of an option, which may be cut short.
func sameOptions(program, name string) []string {
	list := []string{name}
	if oneDash(program) && strings.HasPrefix(name, "--") {
		list[0] = name[1:]
	}
	for _, group := range optionSynonyms()[program] {
		if slices.ContainsFunc(group, func(option string) bool {
			return option == name || len(name) > 2 && name[1] == '-' && strings.HasPrefix(option, name)
		}) {
			list = append(list, group...)
		}
	}
	return list
}

// optionSynonyms are options that are the same to a program. One stands alone where
// it is but cut short.
var optionSynonyms = sync.OnceValue(func() map[string][][]string {
	rows := map[string]string{
		"rm":        "-r=-R=--recursive -f=--force",
		"chmod":     "-R=--recursive",
		"chown":     "-R=--recursive",
		"cp":        "-r=-R=--recursive -f=--force",
		"grep":      "-r=-R=--recursive=--dereference-recursive -f=--file",
		"git":       "-f=--force -n=--no-verify -d=--delete -a=--all -q=--quiet --hard --mirror --amend --output --ext-diff --textconv",
		"curl":      "-X=--request -T=--upload-file -d=--data -o=--output -F=--form -K=--config -k=--insecure -u=--user -H=--header -L=--location -x=--proxy",
		"wget":      "-O=--output-document -i=--input-file -e=--execute",
		"gh":        "-X=--method -f=--raw-field -F=--field -R=--repo -H=--header",
		"npm":       "-g=--global=--location -f=--force -w=--workspace -D=--save-dev",
		"pip":       "-r=--requirement -i=--index-url -e=--editable -U=--upgrade -c=--constraint -t=--target -y=--yes",
		"kubectl":   "-n=--namespace -f=--filename -A=--all-namespaces -l=--selector -k=--kustomize -s=--server -o=--output -R=--recursive -i=--stdin -t=--tty -c=--container",
		"helm":      "-n=--namespace -f=--values -d=--destination",
		"docker":    "-v=--volume=--volumes -e=--env -p=--publish -f=--force=--file -H=--host -c=--context -u=--user -i=--interactive -t=--tty=--tag -d=--detach -a=--all",
		"az":        "-n=--name -g=--resource-group -y=--yes -o=--output",
		"gcloud":    "-q=--quiet",
		"psql":      "-c=--command -f=--file -o=--output -h=--host -d=--dbname -U=--username",
		"make":      "-C=--directory -f=--file=--makefile -j=--jobs -B=--always-make",
		"tar":       "-C=--directory -f=--file -x=--extract=--get -c=--create -P=--absolute-names -I=--use-compress-program",
		"rsync":     "-e=--rsh -a=--archive -r=--recursive --delete=--del",
		"sed":       "-i=--in-place -f=--file -e=--expression",
		"apt-get":   "-y=--yes=--assume-yes",
		"apt":       "-y=--yes=--assume-yes",
		"cargo":     "-p=--package -j=--jobs",
		"sudo":      "-u=--user -i=--login -s=--shell",
		"pytest":    "-c=--config-file -o=--override-ini",
		"systemctl": "-f=--force -H=--host",
	}
	options := map[string][][]string{}
	for program, row := range rows {
		for group := range strings.FieldsSeq(row) {
			options[program] = append(options[program], strings.Split(group, "="))
		}
	}
	options["podman"], options["nerdctl"], options["oc"], options["pnpm"] = options["docker"], options["docker"], options["kubectl"], options["npm"]
	return options
})

// valueLetters are the letters of a program behind which the rest of a word is a
// value.
var valueLetters = sync.OnceValue(func() map[string]string {
	return map[string]string{
		"git": "mFCcStoLGO", "curl": "XdHoTFuAbceEmwxKtyYzCDhPQrU", "gh": "XfFRHqtTBbal", "kubectl": "nflocsvk", "helm": "nfd",
		"docker": "epuwhmcH", "tar": "fCTXIFbgKNV", "pip": "rcietdw", "psql": "cfohdULpvRFPT", "grep": "efABCmdD", "sed": "efl", "rsync": "efMTB",
		"make": "CfjIloW", "npm": "w", "sort": "okSTt", "wget": "OioePUtTwQa", "az": "ngo", "ssh": "BbcDEeFIiJLlmOopQRSWw", "pytest": "pckmonW", "apt-get": "otc",
	}
})
