package evaluate

import (
	"slices"
	"strings"
	"sync"
)

// Subcommands are the beginnings of the patterns of a policy, as far as they are
// plain words: of "terraform state push*" they are the program terraform, its
// subcommand state, and a word that begins with push. A program takes options
// before and between these words, where the text no longer begins like the pattern.
type subcommands struct {
	inner   map[string]bool // "terraform", "terraform state": more words follow
	ends    map[string]bool // "terraform state push": the last word may be cut short
	longest int             // the length of the longest end
}

// addPatterns adds the beginnings of a list.
func (s *subcommands) addPatterns(texts []string) {
	for _, text := range texts {
		head, _, _ := strings.Cut(text, "*")
		head = strings.TrimSuffix(head, " ")
		if !strings.Contains(head, " ") {
			continue
		}
		if s.inner == nil {
			s.inner, s.ends = map[string]bool{}, map[string]bool{}
		}
		for i := range len(head) {
			if head[i] == ' ' {
				s.inner[head[:i]] = true
			}
		}
		s.ends[head], s.longest = true, max(s.longest, len(head))
	}
}

// mayHide reports whether a line of plain words, of which one is an option, may
// have it before a word that a pattern begins with.
func (s *subcommands) mayHide(line string) bool {
	program, rest, _ := strings.Cut(line, " ")
	sub, _, _ := strings.Cut(rest, " ")
	return s.inner[program] && (sub[0] == '-' || s.inner[line[:len(program)+1+len(sub)]])
}

// What one command costs at most: a line made to take more is not allowed.
const (
	mostFound  = 16
	mostTurns  = 4096
	optionsHow = "with its options put last"
)

// addHidden adds each command as it reads without the options before its
// subcommands, and with these options at its end.
func (l *commandLine) addHidden(s *subcommands, sh *shell) {
	if len(s.inner) == 0 {
		return
	}
	for _, list := range [][]command{sh.commands, sh.suspects} {
		for i := range list {
			c := &list[i]
			if !c.hasOption() {
				continue
			}
			w := optionWalk{subcommands: s}
			w.through(texts(c.words[:1]), c.words, func(word shellWord) string { return word.text })
			w.through(bares(c.words[:1]), c.words, func(word shellWord) string { return word.bare })
			slices.Sort(w.found)
			for _, text := range slices.Compact(w.found) {
				l.add(optionsHow, text)
			}
			if w.tooMany {
				sh.limit("more options than are looked through")
			}
		}
	}
}

// hasOption reports whether a word after the first begins with a dash.
func (c *command) hasOption() bool {
	return len(c.words) > 1 && slices.ContainsFunc(c.words[1:], func(w shellWord) bool {
		return strings.HasPrefix(w.text, "-") || strings.HasPrefix(w.bare, "-")
	})
}

// An optionWalk looks for the words of patterns among those of one command, over
// the options that stand between.
type optionWalk struct {
	*subcommands
	words   []string
	turns   int
	tooMany bool
	found   []string
}

// through looks through the words of a command, in one of their spellings.
func (w *optionWalk) through(program string, words []shellWord, spelling func(shellWord) string) {
	program = program[strings.LastIndexByte(program, '/')+1:]
	if !w.inner[program] {
		return
	}
	w.words = []string{program}
	for _, word := range words[1:] {
		w.words = append(w.words, spelling(word))
	}
	w.from(program, []int{0})
}

// from goes on after the words that were taken, which node is the text of.
func (w *optionWalk) from(node string, taken []int) {
	for i := taken[len(taken)-1] + 1; i < len(w.words) && !w.tooMany; i++ {
		w.take(node, taken, i)
		option := w.words[i]
		if len(option) < 2 || option[0] != '-' || option == "--" {
			return // what follows are no words of subcommands
		}
		if i+1 < len(w.words) && !strings.Contains(option, "=") && !strings.HasPrefix(w.words[i+1], "-") {
			i++ // its value, or a word
			if !takesValue(w.words[0], option) {
				w.take(node, taken, i)
			}
		}
	}
}

// take takes word i for the next one of a pattern, if there is such a pattern.
func (w *optionWalk) take(node string, taken []int, i int) {
	if w.turns++; w.turns > mostTurns || len(w.found) >= mostFound {
		w.tooMany = true
		return
	}
	word := w.words[i]
	if len(node)+1+len(word) > w.longest {
		word = word[:max(0, w.longest-len(node)-1)]
	}
	text := node + " " + word
	taken = append(slices.Clip(taken), i)
	if i >= len(taken) { // options were left out
		for end := len(text); end > len(node)+1; end-- {
			if w.ends[text[:end]] {
				w.add(taken)
				break
			}
		}
	}
	if len(word) == len(w.words[i]) && w.inner[text] {
		w.from(text, taken)
	}
}

// add notes how the command reads with these words first.
func (w *optionWalk) add(taken []int) {
	last := taken[len(taken)-1]
	var first, options []string
	for i, word := range w.words[:last+1] {
		if slices.Contains(taken, i) {
			first = append(first, word)
		} else {
			options = append(options, word)
		}
	}
	first = append(first, w.words[last+1:]...)
	w.found = append(w.found, strings.Join(first, " "), strings.Join(append(first, options...), " "))
}

// takesValue reports whether what follows an option of a program is its value for
// certain, so that it is no subcommand. Of other options either is thought of.
func takesValue(program, option string) bool {
	return slices.Contains(valueOptions()[program], option)
}

var valueOptions = sync.OnceValue(func() map[string][]string {
	rows := map[string]string{
		"git":     "-C -c --namespace --config-env",
		"kubectl": "-n --namespace -s --server --context --cluster --user --kubeconfig --token --as --as-group --request-timeout -f --filename -o --output -l --selector",
		"helm":    "-n --namespace --kube-context --kubeconfig --registry-config --repository-config",
		"docker":  "-H --host -c --context --config -l --log-level",
		"aws":     "--profile --region --output --query --endpoint-url --ca-bundle",
		"az":      "--subscription --query -o --output",
		"gcloud":  "--project --account --configuration --format --impersonate-service-account --verbosity",
		"npm":     "--prefix --registry --userconfig",
		"gh":      "-R --repo",
	}
	options := map[string][]string{}
	for program, list := range rows {
		options[program] = strings.Fields(list)
	}
	return options
})
