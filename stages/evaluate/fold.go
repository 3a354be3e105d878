package evaluate

import (
	"runtime"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Some file systems take names for the same that differ in case, in how accents
// are written or in characters that show nothing. There ".ENV" opens what a pattern
// for ".env" is to keep. So a target that no pattern matches is matched once more
// with both folded. A match counts where the file system folds: on systems that do
// by default always, elsewhere where the file system itself shows it. Folding blocks
// and asks for approval; it never allows.

// foldsByDefault reports whether file systems fold on this system unless somebody
// has chosen otherwise.
func foldsByDefault() bool {
	return runtime.GOOS == "darwin" || runtime.GOOS == "ios" || runtime.GOOS == "windows"
}

// folded is what is the same for all names that some file system takes for one: in
// small letters, each in parts (canonical decomposition), without characters that
// show nothing. It knows full case folding, so "ſ" is "s", the Kelvin sign "k" and
// "ß" is "ss". No file system folds more; some fold less.
func folded(s string) string {
	switch {
	case isPlainASCII(s):
		return s
	case isASCII(s):
		return strings.ToLower(s)
	}
	s = strings.ToValidUTF8(s, "\ufffd") // or what follows a stray byte is not taken to parts
	s = strings.Map(foldRune, longFolds.Replace(norm.NFD.String(s)))
	return norm.NFD.String(s) // folding may change the order of accents
}

// isFolded reports whether folding changes nothing of s.
func isFolded(s string) bool { return isPlainASCII(s) || !isASCII(s) && folded(s) == s }

// isPlainASCII reports whether s is ASCII without capitals. It takes eight bytes at
// once, since nearly every path is asked.
func isPlainASCII(s string) bool {
	const each = 0x0101010101010101
	for ; len(s) >= 8; s = s[8:] {
		b := uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
			uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
		// A high bit is one of a byte that is not ASCII, or is from A to Z.
		if (b|(b+(0x80-'A')*each)&^(b+(0x80-'Z'-1)*each))&(0x80*each) != 0 {
			return false
		}
	}
	for i := range len(s) {
		if c := s[i]; c >= utf8.RuneSelf || c-'A' < 26 {
			return false
		}
	}
	return true
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// foldRune is the one that stands for all that differ from r in case, or -1 for
// what shows nothing.
func foldRune(r rune) rune {
	if r >= utf8.RuneSelf && unicode.In(r, unicode.Cf, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector) {
		return -1
	}
	least := r
	for next := unicode.SimpleFold(r); next != r; next = unicode.SimpleFold(next) {
		least = min(least, next)
	}
	if 'A' <= least && least <= 'Z' {
		least += 'a' - 'A'
	}
	return least
}

// longFolds are the letters whose other case is more than one letter, as far as
// taking them to parts does not tell. The "i" without a dot is there since systems
// that compare capitals may take it for any "i".
var longFolds = strings.NewReplacer("ı", "i", "ß", "ss", "ẞ", "ss", "ŉ", "ʼn", "ẚ", "aʾ", "և", "եւ",
	"ﬀ", "ff", "ﬁ", "fi", "ﬂ", "fl", "ﬃ", "ffi", "ﬄ", "ffl", "ﬅ", "st", "ﬆ", "st",
	"ﬓ", "մն", "ﬔ", "մե", "ﬕ", "մի", "ﬖ", "վն", "ﬗ", "մխ")

// foldedPatterns are those of a list that folding changes, folded. The others match
// as they are.
type foldedPatterns struct {
	patterns
	at []int // which pattern of the list each one is
}

func foldPatterns(texts []string) (f foldedPatterns) {
	var changed []string
	for i, text := range texts {
		if g := folded(text); g != text {
			changed, f.at = append(changed, g), append(f.at, i)
		}
	}
	f.patterns = compilePatterns(changed)
	return f
}

// matchFolded is the first pattern that matches a folded text when folded itself,
// or -1. What is not new has been matched as it is.
func (l *ruleList) matchFolded(text string, isNew bool) int {
	first := -1
	if isNew {
		first = l.patterns.match(text)
	}
	if i := l.folded.match(text); i >= 0 && (first < 0 || l.folded.at[i] < first) {
		first = l.folded.at[i]
	}
	return first
}

// underFolded is under likewise.
func (l *ruleList) underFolded(dir string, _ bool) int {
	if dir == "." || dir == "/" || dir == "" {
		return -1
	}
	if i := l.matchFolded(dir+"/*", true); i >= 0 {
		return i
	}
	return slices.IndexFunc(l.patterns.texts, func(pattern string) bool { return within(dir, folded(pattern)) })
}

// matchFolded is the first folded form that match finds on the list, which is the
// list's matchFolded or underFolded, and the pattern, or -1. It looks at all forms,
// so it comes after them.
func (f *forms) matchFolded(list *ruleList, match func(text string, isNew bool) int) (form, int) {
	if len(list.patterns.texts) == 0 {
		return form{}, -1
	}
	bases := [...]string{f.cwd, f.place.workspace, f.place.itself, f.cwdItself}
	basesSettled := !slices.ContainsFunc(bases[:], func(base string) bool { return !f.settled(base) })
	for i := range f.list {
		was := f.list[i].text
		if basesSettled && list.folded.at == nil && f.settled(was) {
			continue // mostly
		}
		text := folded(was)
		isNew := text != was
		if n := match(text, isNew); n >= 0 {
			return f.whereFolded(list, text, n)
		}
		if !list.anchored || !isAbs(was) {
			continue
		}
		for _, base := range bases {
			if base == "" || within(base, was) || !isNew && basesSettled {
				continue
			}
			if base := folded(base); within(base, text) {
				rest := strings.TrimPrefix(text[len(base):], "/")
				if n := match(rest, true); n >= 0 {
					return f.whereFolded(list, rest, n)
				}
			}
		}
	}
	return form{}, -1
}

// whereFolded is pattern n that matches the folded text, where names fold. Where
// they do not no other match counts either.
func (f *forms) whereFolded(list *ruleList, text string, n int) (form, int) {
	if !f.folds() {
		return form{}, -1
	}
	const how = "with its case folded"
	if list.rec != nil {
		list.rec.hows[text] = how
		list.rec.tried(list, text, n)
	}
	return form{how, text}, n
}

// settled reports whether folding changes nothing of a form that counts: the part
// that the workspace is counts only where names fold on the way there.
func (f *forms) settled(text string) bool {
	if w := f.place.workspace; w != "" && !f.place.foldsAbove {
		if text == w {
			return true
		}
		if within(w, text) {
			text = text[len(w):]
		}
	}
	return isFolded(text)
}

// folds reports whether the target lies where names fold. Where that cannot be
// told the target is unresolved.
func (f *forms) folds() bool {
	if f.place.folds {
		return true
	}
	if f.asked || f.place.disk == nil {
		return f.foldsHere
	}
	q := question{place: f.place}
	for i := range f.list {
		if text := f.list[i].text; isAbs(text) {
			q.folding = append(q.folding, text)
		}
	}
	if f.asked = true; len(q.folding) == 0 {
		return false // which file is meant is not known
	}
	a, ok := f.place.disk.ask(q)
	switch {
	case !ok:
		f.unresolved = notInTime
	case a.fault != nil:
		f.unresolved = a.fault.Error()
	}
	f.foldsHere = a.folds
	return f.foldsHere
}
