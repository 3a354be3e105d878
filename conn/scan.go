package conn

// A verdict is what a scanner knows after some bytes.
type verdict uint8

const (
	unfinished verdict = iota // the object has not ended yet
	complete                  // its last brace has arrived
	malformed                 // no further byte can make it a JSON object
)

// A scanner finds the end of one JSON object in bytes that arrive bit by bit.
// It looks at each byte once and knows strings, escapes and brackets only. It
// never refuses a valid object within its depth: what it lets through may still
// be no JSON, which is for the decode stage to say.
type scanner struct {
	maxDepth int
	depth    int
	arrays   []uint64 // one bit a level: set for [, clear for {
	inString bool
	escaped  bool
}

// scan looks at the next bytes. It returns the verdict and how many bytes of b
// it looked at; it looks at none after the object ended.
func (s *scanner) scan(b []byte) (verdict, int) {
	for i := 0; i < len(b); i++ {
		if s.inString && !s.escaped { // where most of a large request lies
			for i < len(b) && !special[b[i]] {
				i++
			}
			if i == len(b) {
				break
			}
		}
		c := b[i]
		if s.inString {
			switch {
			case s.escaped:
				s.escaped = false
				if c < ' ' {
					return malformed, i + 1
				}
			case c == '"':
				s.inString = false
			case c == '\\':
				s.escaped = true
			case c < ' ':
				return malformed, i + 1
			}
			continue
		}
		switch c {
		case ' ', '\t', '\r', '\n':
		case '{', '[':
			if s.depth == s.maxDepth || s.depth == 0 && c == '[' {
				return malformed, i + 1
			}
			s.open(c == '[')
		case '}', ']':
			if s.depth == 0 || s.inArray() != (c == ']') {
				return malformed, i + 1
			}
			if s.depth--; s.depth == 0 {
				return complete, i + 1
			}
		case '"':
			if s.depth == 0 {
				return malformed, i + 1
			}
			s.inString = true
		default:
			if s.depth == 0 || c < ' ' {
				return malformed, i + 1
			}
		}
	}
	return unfinished, len(b)
}

// special are the bytes that a string does not simply contain.
var special = func() (t [256]bool) {
	for c := range ' ' {
		t[c] = true
	}
	t['"'], t['\\'] = true, true
	return t
}()

func (s *scanner) open(array bool) {
	word, bit := s.depth/64, uint64(1)<<(s.depth%64)
	if word == len(s.arrays) {
		s.arrays = append(s.arrays, 0)
	}
	if array {
		s.arrays[word] |= bit
	} else {
		s.arrays[word] &^= bit
	}
	s.depth++
}

func (s *scanner) inArray() bool {
	top := s.depth - 1
	return s.arrays[top/64]&(1<<(top%64)) != 0
}

// reset makes the scanner ready for another object.
func (s *scanner) reset(maxDepth int) {
	*s = scanner{maxDepth: maxDepth, arrays: s.arrays[:0]}
}
