package show

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestPrintable(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"plain", "config/prod.pem", "config/prod.pem"},
		{"letters of the world", "Überprüfung 日本語 한국어", "Überprüfung 日本語 한국어"},
		{"terminal sequence", "\x1b[2J\x1b]0;title\a", `\x1b[2J\x1b]0;title\a`},
		{"line ends", "a\r\nb", `a\r\nb`},
		{"one-byte terminal sequence", "\u009b31m", `\u009b31m`},
		{"direction of writing", "a\u202egnp.exe", `a\u202egnp.exe`},
		{"isolates", "\u2066x\u2069", `\u2066x\u2069`},
		{"no width", "a\u200bb\ufeffc\u00add", `a\u200bb\ufeffc\u00add`},
		{"blank letters", "\u3164\uffa0\u115f\u2800", `\u3164\uffa0\u115f\u2800`},
		{"blank marks", "a\ufe0fb\u034fc", `a\ufe0fb\u034fc`},
		{"tags", "a\U000e0041", `a\U000e0041`},
		{"odd spaces", "a\u00a0b\u2003c", `a\u00a0b\u2003c`},
		{"private use", "\ue000", `\ue000`},
		{"piled marks", "a\u0301\u0301\u0301", "a\u0301\u0301" + `\u0301`},
		{"no UTF-8", "a\xffb", `a\xffb`},
		{"the replacement character itself", "\ufffd", "\ufffd"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := Printable(test.text); got != test.want {
				t.Errorf("%q, want %q", got, test.want)
			}
		})
	}
}

func TestFit(t *testing.T) {
	tests := []struct {
		name, text string
		columns    int
		want       string
	}{
		{"fits", "target", 6, "target"},
		{"cut", "targets", 6, "targe…"},
		{"wide", "日本語", 6, "日本語"},
		{"wide, cut", "日本語x", 6, "日本…"},
		{"wide, half a column short", "日本語", 5, "日本…"},
		{"marks take no column", "a\u0301b", 2, "a\u0301b"},
		{"escapes count", "\n\n", 4, `\n\n`},
		{"one column", "ab", 1, "…"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := fit(test.text, test.columns); got != test.want {
				t.Errorf("%q, want %q", got, test.want)
			}
		})
	}
}

// A target of a megabyte costs no more than what is shown of it.
func TestFitLooksAtNoMoreThanItNeeds(t *testing.T) {
	long := strings.Repeat("\u202e", 1<<20)
	if allocated := testing.AllocsPerRun(10, func() { fit(long, 20) }); allocated > 250 {
		t.Errorf("%.0f allocations", allocated)
	}
}

// What fit gives is as wide as was asked for at most, holds only what can be
// seen, and is its own fit.
func FuzzFit(f *testing.F) {
	for _, s := range []string{"", "config/prod.pem", "日本語", "a\u202eb", "a\u0301\u0301\u0301", "\xff\xfe", "\x1b[31m", "👩\u200d👩"} {
		f.Add(s, uint8(7))
	}
	f.Fuzz(func(t *testing.T, s string, columns uint8) {
		n := int(columns) + 1
		got := fit(s, n)
		if width(got) > n {
			t.Errorf("%q has %d columns, not %d", got, width(got), n)
		}
		for _, r := range got {
			if !visible(r) {
				t.Errorf("%q holds %U", got, r)
			}
		}
		if again := fit(got, n); again != got {
			t.Errorf("%q became %q", got, again)
		}
	})
}

// An escaped line says the same and holds nothing that a terminal obeys.
func FuzzEscapeJSON(f *testing.F) {
	for _, s := range []string{"", "plain", "\u009b31m", "\u202e", "\U000e0041", "\ufeff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if !utf8.ValidString(s) {
			t.Skip("records hold valid UTF-8 only")
		}
		line, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		escaped := escapeJSON(line)
		var back string
		if err := json.Unmarshal(escaped, &back); err != nil || back != s {
			t.Fatalf("%q became %q (%v)", s, back, err)
		}
		for _, r := range string(escaped) {
			if !visible(r) {
				t.Errorf("%q holds %U", escaped, r)
			}
		}
	})
}
