package evaluate

import (
	"cmp"
	"math"
	"math/bits"
	"slices"
)

// A matcher finds the first pattern of a list that matches a value. Literal
// patterns are looked up. Of every other one it knows a gram, a few bytes in a
// row that a value must hold, and only those whose gram a value holds are tried.
// So what a value costs depends on its length and on the patterns that are close
// to it, hardly on how many there are.
type matcher struct {
	literal map[string]int // pattern by its text
	always  int            // the first pattern that matches whatever comes; noPattern where none does
	globs   []glob         // all others, in the order of the list
	few     bool           // they are tried one by one: that is quicker
	grams   []gram         // sorted by bytes within each table
	tables  []gramTable    // by width, empty ones left out
}

// A gram is what a value must hold for a glob to match.
type gram struct {
	bytes uint64 // the last one lowest
	glob  int32
}

// A gramTable finds the grams of one width by their bytes.
type gramTable struct {
	mask  uint64  // of the bytes that count
	slots []int32 // 1 + the first gram with such bytes, by hash; the next slot after a clash
	shift int     // makes a slot of a hash
}

const (
	noPattern = math.MaxInt
	// mostFew is how many globs are tried one by one. About here both ways take
	// as long for a value of a short line.
	mostFew = 8
)

// gramWidths are the lengths of grams, and how much rarer in a policy a shorter
// gram has to be than a longer one to be taken for it, in powers of two: short
// ones stand in many values.
var gramWidths = [...]struct{ bytes, handicap int }{{8, 0}, {4, 3}, {2, 8}, {1, 12}}

func newMatcher(globs []glob) *matcher {
	m := &matcher{literal: map[string]int{}, always: noPattern}
	for i := range globs {
		switch g := &globs[i]; {
		case !g.open:
			if _, ok := m.literal[g.head]; !ok {
				m.literal[g.head] = g.pattern
			}
		case g.least == 0:
			m.always = min(m.always, g.pattern)
		default:
			m.globs = append(m.globs, *g)
		}
	}
	if m.few = len(m.globs) <= mostFew; !m.few {
		m.index()
	}
	return m
}

// index picks the gram of each glob, the rarest that it has, and sorts them into
// tables.
func (m *matcher) index() {
	total := 0
	for i := range m.globs {
		total += m.globs[i].least
	}
	// How often each gram stands in the list, those of one hash taken together.
	size := bits.Len(uint(min(4*total, 1<<20)))
	counts := make([]uint32, 1<<size)
	count := func(width int, b uint64) *uint32 { return &counts[hash(b+uint64(width))>>(64-size)] }
	for i := range m.globs {
		m.globs[i].eachGram(func(width int, b uint64) { *count(width, b)++ })
	}
	var byWidth [len(gramWidths)][]gram
	for i := range m.globs {
		least, width, rarest := uint64(math.MaxUint64), 0, uint64(0)
		m.globs[i].eachGram(func(w int, b uint64) {
			if n := uint64(*count(w, b)) << gramWidths[w].handicap; n < least {
				least, width, rarest = n, w, b
			}
		})
		byWidth[width] = append(byWidth[width], gram{rarest, int32(i)})
	}
	m.grams = make([]gram, 0, len(m.globs))
	for w, list := range byWidth {
		if len(list) > 0 {
			slices.SortFunc(list, func(a, b gram) int {
				return cmp.Or(cmp.Compare(a.bytes, b.bytes), cmp.Compare(a.glob, b.glob))
			})
			m.tables = append(m.tables, newGramTable(gramWidths[w].bytes, list, len(m.grams)))
			m.grams = append(m.grams, list...)
		}
	}
}

// eachGram visits the grams of all the literal parts, by the number of their width.
func (g *glob) eachGram(visit func(width int, b uint64)) {
	part := func(s string) {
		var run uint64
		for i := range len(s) {
			run = run<<8 | uint64(s[i])
			for w := range gramWidths {
				if n := gramWidths[w].bytes; i+1 >= n {
					visit(w, run&widthMask(n))
				}
			}
		}
	}
	part(g.head)
	part(g.tail)
	for _, s := range g.middle {
		part(s)
	}
}

func widthMask(bytes int) uint64 { return math.MaxUint64 >> (64 - 8*bytes) }

// newGramTable makes the table of a sorted list, of which the first will be gram
// number from. Three slots of four stay empty, so that most looks end at once.
func newGramTable(width int, list []gram, from int) gramTable {
	size := bits.Len(uint(4 * len(list)))
	t := gramTable{mask: widthMask(width), slots: make([]int32, 1<<size), shift: 64 - size}
	for i := range list {
		if i > 0 && list[i].bytes == list[i-1].bytes {
			continue
		}
		slot := hash(list[i].bytes) >> t.shift
		for t.slots[slot] != 0 {
			slot = (slot + 1) % uint64(len(t.slots))
		}
		t.slots[slot] = int32(from + i + 1)
	}
	return t
}

// hash spreads the bytes of a gram over the high bits.
func hash(b uint64) uint64 { return b * 0x9e3779b97f4a7c15 } // 2^64 by the golden ratio

// find is the number of the first gram that the last bytes of run are, or -1.
func (m *matcher) find(t *gramTable, run uint64) int32 {
	b := run & t.mask
	for slot := hash(b) >> t.shift; ; slot = (slot + 1) % uint64(len(t.slots)) {
		i := t.slots[slot] - 1
		if i < 0 || m.grams[i].bytes == b {
			return i
		}
	}
}

// match is the index of the first pattern that matches s, or -1. No glob is tried
// twice, and each in a time linear in the length of s.
func (m *matcher) match(s string) int {
	best := m.always
	if i, ok := m.literal[s]; ok {
		best = min(best, i)
	}
	if m.few {
		for i := range m.globs {
			if g := &m.globs[i]; g.pattern >= best || g.match(s) {
				best = min(best, g.pattern)
				break
			}
		}
	} else {
		best = m.matchGrams(s, best)
	}
	if best == noPattern {
		return -1
	}
	return best
}

// matchGrams is the first pattern before the one called best that matches s by a
// glob, or else best. At the beginning of s, run holds zeros that are not there;
// a gram found for them is one glob tried for nothing.
func (m *matcher) matchGrams(s string, best int) int {
	var tried numbers
	for i := range m.tables {
		t, run := &m.tables[i], uint64(0)
		for i := range len(s) {
			run = run<<8 | uint64(s[i])
			if t.slots[hash(run&t.mask)>>t.shift] == 0 {
				continue // mostly
			}
			at := m.find(t, run)
			if at < 0 || m.globs[m.grams[at].glob].pattern >= best || !tried.add(at, len(m.grams)) {
				continue
			}
			for b := m.grams[at].bytes; int(at) < len(m.grams) && m.grams[at].bytes == b; at++ {
				g := &m.globs[m.grams[at].glob]
				if g.pattern >= best {
					break
				}
				if g.match(s) {
					best = g.pattern
					break
				}
			}
		}
	}
	return best
}

// numbers are a set of small numbers. The first few take no memory of their own.
type numbers struct {
	few  [8]int32
	n    int
	bits []uint64
}

// add reports whether n, which is below limit, is new to the set.
func (s *numbers) add(n int32, limit int) bool {
	if s.bits == nil {
		if slices.Contains(s.few[:s.n], n) {
			return false
		}
		if s.n < len(s.few) {
			s.few[s.n] = n
			s.n++
			return true
		}
		s.bits = make([]uint64, limit/64+1)
		for _, n := range s.few {
			s.bits[n/64] |= 1 << (n % 64)
		}
	}
	word, bit := &s.bits[n/64], uint64(1)<<(n%64)
	if *word&bit != 0 {
		return false
	}
	*word |= bit
	return true
}
