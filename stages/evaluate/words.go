package evaluate

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/expand"
	"mvdan.cc/sh/v3/syntax"
)

// A shellWord is a word of a command as the command gets it. Where a part of it is
// not known, text holds that part as it is written and bare leaves it out.
type shellWord struct {
	text, bare string
	static     bool // all of it is known
}

// base is the name of the command that the word names.
func (w shellWord) base() string { return path.Base(w.text) }

// texts joins words by single blanks.
func texts(words []shellWord) string {
	list := make([]string, len(words))
	for i := range words {
		list[i] = words[i].text
	}
	return strings.Join(list, " ")
}

// bares joins what is known of words.
func bares(words []shellWord) string {
	var list []string
	for i := range words {
		if words[i].bare != "" {
			list = append(list, words[i].bare)
		}
	}
	return strings.Join(list, " ")
}

// fields resolves words of a command: braces, variables, quotes, and blanks that
// come out of variables. What cannot be known is noted as a doubt.
func (s scope) fields(words []*syntax.Word) []shellWord {
	list := make([]shellWord, 0, len(words))
	for _, w := range words {
		// Most words are as they are written.
		if text := w.Lit(); text != "" && (text == "[" || !strings.ContainsAny(text, `\*?[~{`)) && s.spend(len(text)) {
			list = append(list, known(text))
			continue
		}
		if !strings.Contains(s.text(w), "{") {
			list = append(list, s.resolve(w, true)...)
			continue
		}
		copied := &syntax.Word{Parts: slices.Clone(w.Parts)}
		if split := syntax.SplitBraces(copied); !plainBraces(w, s.text(w), split) {
			s.doubt("braces that not every shell expands alike")
		}
		n := 0
		for expanded, err := range expand.BracesSeq(nil, copied) {
			if n++; err != nil || n > mostExpanded || s.left < 0 {
				s.doubt(fmt.Sprintf("braces that come to more than %d words", mostExpanded))
				break
			}
			list = append(list, s.resolve(expanded, true)...)
		}
	}
	return list
}

// plainBraces reports whether there is no doubt about what the braces of a word
// come to: none stands in another or beside quotes, and what is not split holds
// nothing that a shell might split.
func plainBraces(w *syntax.Word, text string, split bool) bool {
	if split {
		open := false
		for i := range len(text) {
			switch text[i] {
			case '{', '}':
				if open == (text[i] == '{') {
					return false
				}
				open = !open
			case '\\', '\'', '"', '$', '`':
				return false
			}
		}
		return !open
	}
	bare := slices.ContainsFunc(w.Parts, func(p syntax.WordPart) bool {
		lit, ok := p.(*syntax.Lit)
		return ok && strings.Contains(lit.Value, "{")
	})
	return !bare || !strings.Contains(text, ",") && !strings.Contains(text, "..")
}

// single resolves the value of an assignment, which is not split.
func (s scope) single(w *syntax.Word) shellWord {
	if list := s.resolve(w, false); len(list) > 0 {
		return list[0]
	}
	return shellWord{static: true}
}

// A resolver puts a word together.
type resolver struct {
	scope
	split bool // blanks of variables part words
	list  []shellWord
	word  shellWord
	begun bool // there is a word, though it may be empty
}

func (s scope) resolve(w *syntax.Word, split bool) []shellWord {
	r := &resolver{scope: s, split: split, word: shellWord{static: true}}
	for _, part := range w.Parts {
		r.part(part, false)
	}
	r.end()
	return r.list
}

func (r *resolver) end() {
	if r.begun {
		r.list = append(r.list, r.word)
	}
	r.word, r.begun = shellWord{static: true}, false
}

func (r *resolver) add(text string) {
	r.begun = true
	if r.spend(len(text)) {
		r.word.text += text
		r.word.bare += text
	}
}

// unknown adds a part of which only the spelling is known.
func (r *resolver) unknown(n syntax.Node, what string) {
	text := r.text(n)
	if what == "" {
		what = "the expansion " + quote(text)
	}
	if r.unwrapped == 1 {
		what += fmt.Sprintf(" at byte %d", n.Pos().Offset())
	}
	r.doubt(what)
	r.begun, r.word.static = true, false
	if r.spend(len(text)) {
		r.word.text += text
	}
}

func (r *resolver) part(part syntax.WordPart, quoted bool) {
	switch p := part.(type) {
	case *syntax.Lit:
		r.literal(p, quoted)
	case *syntax.SglQuoted:
		switch {
		case !p.Dollar:
			r.add(p.Value)
		case strings.Contains(p.Value, `\c`), strings.Contains(p.Value, `\'`):
			// Where $'' is not known, the escaped quote ends the word.
			r.unknown(p, "an escape that not every shell reads alike")
		default:
			text, _, err := expand.Format(nil, p.Value, nil)
			if err != nil || strings.IndexByte(text, 0) >= 0 {
				r.unknown(p, "an escape")
				return
			}
			r.add(text)
		}
	case *syntax.DblQuoted:
		r.begun = true
		if p.Dollar {
			r.doubt("a translated string")
			r.word.static = false
		}
		for _, part := range p.Parts {
			r.part(part, true)
		}
	case *syntax.ParamExp:
		r.param(p, quoted)
	case *syntax.CmdSubst:
		r.unknown(p, "a substitution")
		r.maybe().in("a substitution").statements(p.Stmts)
	case *syntax.ProcSubst:
		r.unknown(p, "a substitution")
		r.maybe().in("a substitution").statements(p.Stmts)
	case *syntax.ExtGlob:
		r.unknown(p, "a pattern that stands for file names")
	default:
		r.tampered = "arithmetic"
		r.unknown(p, "arithmetic")
		r.passive(p)
	}
}

// literal adds text that stands in the line.
func (r *resolver) literal(lit *syntax.Lit, quoted bool) {
	text := lit.Value
	if !strings.ContainsAny(text, `\*?[~`) {
		r.add(text)
		return
	}
	b := make([]byte, 0, len(text))
	doubt := func(what string) {
		if r.unwrapped == 1 && lit.ValuePos.IsValid() {
			what += fmt.Sprintf(" at byte %d", lit.ValuePos.Offset())
		}
		r.doubt(what)
		r.word.static = false
	}
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case c == '\\' && i+1 == len(text):
			doubt("a backslash at its end")
		case c == '\\' && quoted && strings.IndexByte("$`\"\\\n", text[i+1]) < 0:
			b = append(b, c)
		case c == '\\':
			if i++; text[i] != '\n' {
				b = append(b, text[i])
			}
			continue
		case quoted:
			b = append(b, c)
		case c == '*' || c == '?' || c == '[':
			doubt("a " + string(rune(c)) + " that stands for file names")
			b = append(b, c)
		case c == '~' && (i == 0 && !r.begun || i > 0 && (text[i-1] == '=' || text[i-1] == ':')):
			doubt("a ~ that stands for a home directory")
			b = append(b, c)
		default:
			b = append(b, c)
		}
	}
	r.add(string(b))
}

// param adds the value of a variable.
func (r *resolver) param(p *syntax.ParamExp, quoted bool) {
	plain := p.Param != nil && p.Flags == nil && !p.Excl && !p.Length && !p.Width && !p.IsSet && p.NestedParam == nil && p.Index == nil &&
		len(p.Modifiers) == 0 && p.Slice == nil && p.Repl == nil && p.Names == 0
	if !plain {
		r.unknown(p, "")
		if p.Index != nil || p.Slice != nil {
			r.tampered = "arithmetic"
		}
		r.passive(p)
		return
	}
	v := r.variables[p.Param.Value]
	if p.Exp == nil {
		switch {
		case v != nil:
			v.used = true
			r.value(p, v.value, quoted)
		case p.Param.Value == "IFS": // that it has this value is likely, no more
			r.doubt("the expansion " + quote(r.text(p)))
			r.value(p, " \t\n", quoted)
		default:
			r.unknown(p, "")
		}
		return
	}

	// ${X:-word} and its like. A variable that the line does not set may be set
	// around it, so the word is only what it may come to.
	other := ""
	if p.Exp.Word != nil {
		other = r.single(p.Exp.Word).text
	}
	r.taint(p)
	switch p.Exp.Op {
	case syntax.DefaultUnset, syntax.DefaultUnsetOrNull, syntax.AssignUnset, syntax.AssignUnsetOrNull, syntax.ErrorUnset, syntax.ErrorUnsetOrNull:
		if v != nil && v.value != "" {
			v.used = true
			r.value(p, v.value, quoted)
			return
		}
	case syntax.AlternateUnset, syntax.AlternateUnsetOrNull:
	default:
		other = ""
		if v != nil {
			other = v.value
		}
	}
	r.doubt("the expansion " + quote(r.text(p)))
	if other != "" {
		r.value(p, other, quoted)
	} else {
		r.unknown(p, "")
	}
	r.word.static = false
}

// value adds the value of a variable. Outside quotes its blanks part words, and
// its stars stand for file names.
func (r *resolver) value(p *syntax.ParamExp, value string, quoted bool) {
	if quoted || !r.split {
		r.add(value)
		return
	}
	if strings.ContainsAny(value, `*?[\`) {
		r.doubt("a value of " + quote(p.Param.Value) + " that stands for file names")
		r.word.static = false
	}
	fields := strings.Fields(value)
	blankAt := func(i int) bool { return value != "" && strings.IndexByte(" \t\n", value[i]) >= 0 }
	if value != "" && blankAt(0) {
		r.end()
	}
	for i, f := range fields {
		if i > 0 {
			r.end()
		}
		r.add(f)
	}
	if len(fields) > 0 && blankAt(len(value)-1) {
		r.end()
	}
}

// literal reports whether the words of a command hold nothing but literal text
// and quotes.
func literal(c *syntax.CallExpr) bool {
	for _, w := range c.Args {
		for _, p := range w.Parts {
			switch p := p.(type) {
			case *syntax.Lit:
				if strings.Contains(p.Value, "{") {
					return false
				}
			case *syntax.SglQuoted:
				if p.Dollar {
					return false
				}
			case *syntax.DblQuoted:
				for _, inner := range p.Parts {
					if _, ok := inner.(*syntax.Lit); !ok {
						return false
					}
				}
			default:
				return false
			}
		}
	}
	return true
}
