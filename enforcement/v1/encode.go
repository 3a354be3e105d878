package enforcementv1

import (
	"strconv"
	"unicode/utf8"
)

// AppendString appends s to b as a JSON string, with the same bytes as
// encoding/json: <, >, &, U+2028 and U+2029 are escaped, and each byte that is
// no UTF-8 becomes the six characters \ufffd. Read back, those are the character
// U+FFFD, which is written as it stands: text whose bytes are to be hashed must
// be UTF-8.
func AppendString(b []byte, s string) []byte {
	b = append(b, '"')
	plain := 0 // s[plain:i] is yet to be copied
	for i := 0; i < len(s); {
		if c := s[i]; c < utf8.RuneSelf {
			if !mustEscape[c] {
				i++
				continue
			}
			b = append(b, s[plain:i]...)
			b = appendEscape(b, c)
			i++
			plain = i
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			b = append(b, s[plain:i]...)
			b = append(b, `\ufffd`...)
			plain = i + size
		case r == '\u2028' || r == '\u2029': // line ends to JavaScript
			b = append(b, s[plain:i]...)
			b = append(b, `\u202`...)
			b = append(b, hexDigits[r&0xf])
			plain = i + size
		}
		i += size
	}
	b = append(b, s[plain:]...)
	return append(b, '"')
}

const hexDigits = "0123456789abcdef"

// mustEscape says which ASCII bytes cannot stand for themselves.
var mustEscape = func() (t [utf8.RuneSelf]bool) {
	for c := range 0x20 {
		t[c] = true
	}
	for _, c := range `"\<>&` {
		t[c] = true
	}
	return t
}()

// appendEscape appends the escape of an ASCII byte.
func appendEscape(b []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(b, '\\', c)
	case '\b':
		return append(b, '\\', 'b')
	case '\f':
		return append(b, '\\', 'f')
	case '\n':
		return append(b, '\\', 'n')
	case '\r':
		return append(b, '\\', 'r')
	case '\t':
		return append(b, '\\', 't')
	}
	return append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&0xf])
}

// appendName appends the name of the next member to an object that is being
// written. The names of the contract need no escapes.
func appendName(b []byte, name string) []byte {
	if b[len(b)-1] != '{' {
		b = append(b, ',')
	}
	b = append(b, '"')
	b = append(b, name...)
	return append(b, '"', ':')
}

func appendStringMember(b []byte, name, v string) []byte {
	if v == "" {
		return b
	}
	return AppendString(appendName(b, name), v)
}

func appendInt32Member(b []byte, name string, v int32) []byte {
	if v == 0 {
		return b
	}
	return strconv.AppendInt(appendName(b, name), int64(v), 10)
}

func appendBoolMember(b []byte, name string, v bool) []byte {
	if !v {
		return b
	}
	return append(appendName(b, name), "true"...)
}

func appendStringsMember(b []byte, name string, v []string) []byte {
	if len(v) == 0 {
		return b
	}
	b = append(appendName(b, name), '[')
	for i, s := range v {
		if i > 0 {
			b = append(b, ',')
		}
		b = AppendString(b, s)
	}
	return append(b, ']')
}

// mapString gives f(s), save that an empty member stays empty.
func mapString(s string, f func(string) string) string {
	if s == "" {
		return ""
	}
	return f(s)
}

// mapStrings gives a new list of f of each element; an empty list gives nil.
func mapStrings(list []string, f func(string) string) []string {
	if len(list) == 0 {
		return nil
	}
	mapped := make([]string, len(list))
	for i, s := range list {
		mapped[i] = f(s)
	}
	return mapped
}
