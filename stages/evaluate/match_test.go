package evaluate

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestPatterns(t *testing.T) {
	tests := []struct {
		pattern, value string
		want           bool
	}{
		{"server.pem", "server.pem", true},
		{"server.pem", "server.pem.bak", false},
		{"server.pem", "a/server.pem", false},
		{"", "", true},
		{"", "a", false},
		{"*", "", true},
		{"*", "a/b\nc", true},
		{"**", "a/b\nc", true},
		{"*.pem", "a/b.pem", true},
		{"a*", "a", true},
		{"*a", "ba", true},
		{"a*a", "a", false},
		{"a*a", "aa", true},
		{"a*b*c", "a-b-b-c", true},
		{"a*b*c", "a-c-b", false},
		{"ab*bc", "abc", false},
		{"**/*.pem", "server.pem", true},
		{"**/*.pem", "a/b/server.pem", true},
		{"**/*.pem", "server.pem/x", false},
		{"**/id_rsa", "id_rsa", true},
		{"**/id_rsa", "my_id_rsa", false},
		{"**/id_rsa", "/id_rsa", true},
		{"**/iam/**", "iam/x", true},
		{"**/iam/**", "a/iam/x", true},
		{"**/iam/**", "diam/x", false},
		{"**/iam/**", "iam", false},
		{"**/**/x", "x", true},
		{"**/**/x", "a/b/x", true},
		{"**/**/x", "ax", false},
		{"***/x", "x", false},
		{"***/x", "a/x", true},
		{"*/x", "x", false},
		{"a/**/b", "a/b", false},
		{"a/**/b", "a/c/b", true},
		{"**/", "", true},
		{"**/", "a/", true},
		{"**/", "a", false},
		{"a.c", "abc", false},
		{"[ab]", "a", false},
		{"a?", "ab", false},
		{"é*", "ete", false},
		{"é*", "été", true},
	}
	for _, tt := range tests {
		if got := compilePatterns([]string{tt.pattern}).match(tt.value) == 0; got != tt.want {
			t.Errorf("pattern %q on %q: got %v", tt.pattern, tt.value, got)
		}
	}
}

func TestTheFirstPatternOfAListThatMatchesIsNamed(t *testing.T) {
	list := compilePatterns([]string{"b*", "a*", "*"})
	for value, want := range map[string]int{"b": 0, "ab": 1, "c": 2} {
		if got := list.match(value); got != want {
			t.Errorf("%q: pattern %d, want %d", value, got, want)
		}
	}
	if got := compilePatterns(nil).match("a"); got != -1 {
		t.Errorf("an empty list matches with %d", got)
	}
}

// matchSlowly is the pattern language said as shortly as it can be.
func matchSlowly(pattern, value string) bool {
	if rest, ok := strings.CutPrefix(pattern, "**/"); ok && matchSlowly(rest, value) {
		return true
	}
	return runSlowly(pattern, value)
}

func runSlowly(pattern, value string) bool {
	switch {
	case pattern == "":
		return value == ""
	case pattern[0] == '*':
		return runSlowly(pattern[1:], value) || value != "" && runSlowly(pattern, value[1:])
	}
	return value != "" && value[0] == pattern[0] && runSlowly(pattern[1:], value[1:])
}

func TestPatternsAgreeWithTheSlowMatcher(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pattern := rapid.StringMatching(`(\*\*/){0,2}[ab/*]{0,7}`).Draw(t, "pattern")
		value := rapid.StringMatching(`[ab/]{0,9}`).Draw(t, "value")
		if got, want := compilePatterns([]string{pattern}).match(value) == 0, matchSlowly(pattern, value); got != want {
			t.Fatalf("pattern %q on %q: got %v, want %v", pattern, value, got, want)
		}
	})
}

func FuzzMatch(f *testing.F) {
	f.Add("**/*.pem", "config/server.pem")
	f.Add("a*b*c", "aXbYc")
	f.Fuzz(func(t *testing.T, pattern, value string) {
		if len(pattern) > 12 || len(value) > 24 {
			return // the slow matcher takes exponential time
		}
		if got, want := compilePatterns([]string{pattern}).match(value) == 0, matchSlowly(pattern, value); got != want {
			t.Fatalf("pattern %q on %q: got %v, want %v", pattern, value, got, want)
		}
	})
}

func TestTenThousandStarsTakeLinearTime(t *testing.T) {
	list := compilePatterns([]string{strings.Repeat("a*", 10_000) + "b"})
	value := strings.Repeat("a", 1<<20)
	start := time.Now()
	if list.match(value) != -1 {
		t.Error("matched a value without b")
	}
	if list.match(value+"b") != 0 {
		t.Error("did not match a value with b")
	}
	if took := time.Since(start); took > 2*time.Second {
		t.Errorf("took %v", took)
	}
}

// What anchored spares is sound: with a list that is not anchored, no path taken
// relative to a directory matches where the absolute one does not.
func TestOnlyAnchoredListsNeedRelativePaths(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		word := rapid.StringOfN(rapid.SampledFrom([]rune("ab./*")), 1, 6, -1)
		texts := rapid.SliceOfN(word, 1, 4).Draw(t, "patterns")
		if rapid.Bool().Draw(t, "with the deep one") {
			texts = append(texts, "**/"+texts[0])
		}
		base := rapid.StringMatching(`(/[ab.]{1,3}){1,3}`).Draw(t, "directory")
		rest := rapid.StringMatching(`[ab.]{1,3}(/[ab.]{1,3}){0,2}`).Draw(t, "path")
		list := compilePatterns(texts)
		if !anchored(texts) && list.match(rest) >= 0 && list.match(base+"/"+rest) < 0 {
			t.Fatalf("%q matches %q and not %q", texts, rest, base+"/"+rest)
		}
	})
	for want, texts := range map[bool][]string{true: {"iam/**", "**/x"}, false: {".env", "**/.env", "**/*.pem"}} {
		if anchored(texts) != want {
			t.Errorf("anchored(%q) is not %v", texts, want)
		}
	}
}
