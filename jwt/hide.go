// Package jwt finds JSON Web Tokens in text and hides them. It verifies nothing.
//
// No token survives Hide in any string, whatever it is glued to; a text without
// one stays as it is; hiding twice is hiding once; and the work grows with the
// length of the text and no faster, whatever the text is.
package jwt

import "strings"

// Redacted is what stands in the place of a token.
const Redacted = "<redacted-jwt>"

// A JSON Web Token in compact form is base64url parts between dots: a header,
// two parts more where it is signed, four where it is encrypted. Any part but
// the header can be empty. A header is a JSON object with the member alg.
//
// The first part of what stands in a text may start with other base64url
// characters that the token was glued to, as in Bearer_eyJhb…, so a header is
// looked for from its end: the last byte that the part encodes closes the
// object, and read backwards the object has one place where it can start. That
// keeps the search linear. JSON is read leniently, since what reads the token
// elsewhere may be lenient too; text that is no token does not encode anything
// of the kind.
//
// Line breaks in the first two parts are skipped: some readers skip them, and
// text copied from a terminal has them. They end the last part, so that the next
// line stays; the rest of a signature without its token is worth nothing.

const (
	leastHeader = 12              // the length of the shortest header, {"alg":0}
	leastJWT    = leastHeader + 2 // and with two dots
)

// Hide gives s with Redacted in the place of each token. Tokens joined by
// dots or glued to each other are hidden as one.
func Hide(s string) string {
	if len(s) < leastJWT || strings.Count(s, ".") < 2 {
		return s
	}
	var hidden strings.Builder
	done := 0 // s[:done] is in hidden
	for from := 0; ; {
		dot := strings.IndexByte(s[from:], '.')
		if dot < 0 {
			break
		}
		dot += from
		from = dot + 1
		start := headerBefore(s[done:dot])
		if start < 0 {
			continue
		}
		end := tokenEnd(s, dot)
		if end < 0 {
			continue
		}
		hidden.WriteString(s[done : done+start])
		hidden.WriteString(Redacted)
		done, from = end, end
	}
	if done == 0 {
		return s
	}
	hidden.WriteString(s[done:])
	return hidden.String()
}

// tokenEnd gives the end of the token whose header ends at the dot, or -1 where
// no second dot follows. Everything that hangs on the token belongs to it, save
// dots at the end that it can do without: they close a sentence.
func tokenEnd(s string, dot int) int {
	dots, second := 0, -1
	end := dot
	for ; end < len(s); end++ {
		b := s[end]
		if b == '.' {
			if dots++; dots == 2 {
				second = end
			}
		} else if !isBase64URL(b) && b != '=' && (dots >= 2 || !isLineBreak(b)) {
			break
		}
	}
	if dots < 2 {
		return -1
	}
	for end-1 > second && s[end-1] == '.' {
		end--
	}
	return end
}

// headerBefore gives the place in s where a header starts that s ends with, or
// -1 where there is none.
func headerBefore(s string) int {
	end := len(s)
	for end > 0 && (s[end-1] == '=' || isLineBreak(s[end-1])) { // padding
		end--
	}
	begin := end
	for begin > 0 && (isBase64URL(s[begin-1]) || isLineBreak(s[begin-1])) {
		begin--
	}
	run := s[begin:end]
	if len(run) < leastHeader {
		return -1
	}
	first := headerIn(dropLineBreaks.Replace(run))
	if first < 0 {
		return -1
	}
	for i := 0; i <= first; i++ { // count the line breaks that were dropped
		if isLineBreak(run[i]) {
			first++
		}
	}
	return begin + first
}

var dropLineBreaks = strings.NewReplacer("\n", "", "\r", "")

// headerIn gives the place in a run of base64url characters where a header
// starts that runs to its end, or -1 where there is none.
func headerIn(run string) int {
	// What the header is glued to can have any length, so each of four
	// characters can be the first of a group.
	first := -1
	for shift := range min(4, len(run)) {
		if at := encoded(run[shift:]).header(); at >= 0 && (first < 0 || shift+at < first) {
			first = shift + at
		}
	}
	return first
}

// encoded is base64url text, without padding, read as the bytes that it stands
// for. Bits left over at its end are ignored.
type encoded string

// size is the number of bytes.
func (e encoded) size() int { return len(e) * 3 / 4 }

// at is the byte i.
func (e encoded) at(i int) byte {
	c, third := charOf(i), i%3
	return sextets[e[c]]<<(2+2*third) | sextets[e[c+1]]>>(4-2*third)
}

// charOf is the character that holds the first bits of the byte i.
func charOf(i int) int { return i + i/3 }

// header gives the character at which a header starts that runs to the end, or
// -1 where there is none.
func (e encoded) header() int {
	last := e.spaceBefore(e.size()) - 1
	if last < 0 || e.at(last) != '}' {
		return -1
	}
	depth, hasAlg := 0, false
	after := byte(0) // what follows, white space aside
	for i := last; i >= 0; i-- {
		b := e.at(i)
		switch {
		case isSpace(b):
			continue
		case b < ' ' || b > '~': // never outside of a JSON string
			return -1
		case b == '}':
			depth++
		case b == '{':
			if depth--; depth == 0 {
				if !hasAlg {
					return -1
				}
				return charOf(e.spaceBefore(i))
			}
		case b == '"':
			opening := e.openingQuote(i)
			if opening < 0 {
				return -1
			}
			if depth == 1 && after == ':' && e.spellsAlg(opening+1, i) {
				hasAlg = true
			}
			i = opening
		}
		after = b
	}
	return -1
}

// spaceBefore gives the start of the white space that ends before the byte i; i
// where there is none.
func (e encoded) spaceBefore(i int) int {
	for i > 0 && isSpace(e.at(i-1)) {
		i--
	}
	return i
}

// openingQuote gives the quote that opens the string which the byte closing
// closes, or -1. A quote behind an odd number of backslashes is part of the
// string.
func (e encoded) openingQuote(closing int) int {
	for i := closing - 1; i >= 0; i-- {
		if e.at(i) != '"' {
			continue
		}
		slashes := 0
		for i-slashes > 0 && e.at(i-slashes-1) == '\\' {
			slashes++
		}
		if slashes%2 == 0 {
			return i
		}
		i -= slashes
	}
	return -1
}

// spellsAlg reports whether the inside of a JSON string, from the byte from up
// to the byte to, is alg, escapes undone.
func (e encoded) spellsAlg(from, to int) bool {
	for _, want := range []byte("alg") {
		if from == to {
			return false
		}
		b := e.at(from)
		from++
		if b == '\\' { // \u0061
			if to-from < 5 || e.at(from) != 'u' {
				return false
			}
			char := 0
			for i := from + 1; i < from+5; i++ {
				char = char<<4 | hexDigit(e.at(i))
			}
			if char != int(want) {
				return false
			}
			from += 5
		} else if b != want {
			return false
		}
	}
	return from == to
}

// hexDigit is the value of a hex digit, or more than any character for another
// byte.
func hexDigit(b byte) int {
	switch {
	case '0' <= b && b <= '9':
		return int(b - '0')
	case 'a' <= b|0x20 && b|0x20 <= 'f':
		return int(b|0x20-'a') + 10
	}
	return 1 << 16
}

func isSpace(b byte) bool { return b == ' ' || b == '\t' || b == '\n' || b == '\r' }

func isLineBreak(b byte) bool { return b == '\n' || b == '\r' }

func isBase64URL(b byte) bool { return sextets[b] != notBase64URL }

const notBase64URL = 0xff

// sextets are the six bits of each base64url character.
var sextets = func() (table [256]byte) {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	for i := range table {
		table[i] = notBase64URL
	}
	for i := range len(alphabet) {
		table[alphabet[i]] = byte(i)
	}
	return table
}()
