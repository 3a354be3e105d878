package conn

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

func TestScanner(t *testing.T) {
	for _, tc := range []struct {
		name, in string
		want     verdict
		end      int
	}{
		{"nothing", "", unfinished, 0},
		{"white space", " \t\r\n", unfinished, 4},
		{"empty object", "{}", complete, 2},
		{"space around", " {} \n", complete, 3},
		{"brackets in a string", `{"a":"}]{["}x`, complete, 12},
		{"escaped quote", `{"a":"\"}"}`, complete, 11},
		{"escaped backslash", `{"a":"\\"}}`, complete, 10},
		{"nested", `{"a":[{"b":[]}]}`, complete, 16},
		{"two values", `{}{}`, complete, 2},
		{"array at the top", `[1]`, malformed, 1},
		{"string at the top", `"a"`, malformed, 1},
		{"word at the top", `null`, malformed, 1},
		{"byte order mark", "\ufeff{}", malformed, 1},
		{"closing first", `}`, malformed, 1},
		{"brace closes array", `{"a":[}`, malformed, 7},
		{"bracket closes object", `{]`, malformed, 2},
		{"newline in a string", "{\"a\n", malformed, 4},
		{"control character after a backslash", "{\"\\\x01", malformed, 4},
		{"zero byte between", "{\x00", malformed, 2},
		{"open string", `{"a`, unfinished, 3},
		{"at the depth", `{"a":[[[]]]}`, complete, 12},
		{"over the depth", `{"a":[[[[`, malformed, 9},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := scanner{maxDepth: 4}
			if v, end := s.scan([]byte(tc.in)); v != tc.want || end != tc.end {
				t.Errorf("scan(%q) = %d at %d, want %d at %d", tc.in, v, end, tc.want, tc.end)
			}
		})
	}
}

// FuzzScanner holds the scanner to two laws: it does not matter how the bytes
// are split, and an object that is valid JSON ends exactly where encoding/json
// says.
func FuzzScanner(f *testing.F) {
	for _, seed := range []string{"{}", `{"a":"\"}"}`, ` {"a":[{"b":[1,"x"]}]} {`, "[", "{\"\x01", `{"a":` + strings.Repeat("[", 70)} {
		f.Add([]byte(seed), uint8(1))
	}
	const depth = 64
	f.Fuzz(func(t *testing.T, in []byte, step uint8) {
		whole := scanner{maxDepth: depth}
		v, end := whole.scan(in)

		split, at := scanner{maxDepth: depth}, 0
		for at < len(in) {
			next := min(len(in), at+1+int(step))
			sv, n := split.scan(in[at:next])
			at += n
			if sv != unfinished {
				if sv != v || at != end {
					t.Fatalf("split: %d at %d, whole: %d at %d", sv, at, v, end)
				}
				break
			}
		}
		if at == len(in) && end != len(in) {
			t.Fatalf("split looked at all, whole ended at %d", end)
		}

		dec := json.NewDecoder(bytes.NewReader(in))
		var value json.RawMessage
		if dec.Decode(&value) != nil || value[0] != '{' || deepest(value) > depth {
			return
		}
		if v != complete || int64(end) != dec.InputOffset() {
			t.Fatalf("%q is an object that ends at %d; the scanner says %d at %d", in, dec.InputOffset(), v, end)
		}
	})
}

// deepest is the depth of a valid JSON value.
func deepest(value []byte) (most int) {
	dec, depth := json.NewDecoder(bytes.NewReader(value)), 0
	for {
		token, err := dec.Token()
		if err != nil {
			return most
		}
		switch token {
		case json.Delim('{'), json.Delim('['):
			depth++
			most = max(most, depth)
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
	}
}
