package show

import (
	"strings"
	"testing"
	"time"

	enforcementv1 "github.com/Huzefaaa2/cavra/go/cavra-runtime/enforcement/v1"
)

func TestFilter(t *testing.T) {
	record := line(1, start, enforcementv1.DecisionResponse{
		Decision: "block", Severity: "high", RuleID: "filesystem.read.block", Actor: "maria", ActionType: "read_file",
		Target: "a*b/.env", AgentID: "agent-1", SessionID: "s-1", PolicyID: "baseline",
	}).Record
	tests := []struct {
		name       string
		conditions string // separated by |
		since      string
		want       bool
	}{
		{"none", "", "", true},
		{"equal", "decision=block", "", true},
		{"not equal", "decision=allow", "", false},
		{"case counts", "decision=Block", "", false},
		{"negated", "decision!=allow", "", true},
		{"negated, equal", "decision!=block", "", false},
		{"all must hold", "decision=block|severity=low", "", false},
		{"all hold", "decision=block|severity=high", "", true},
		{"start", "rule=filesystem.*", "", true},
		{"end", "rule=*.block", "", true},
		{"middle", "rule=*read*", "", true},
		{"parts do not overlap", "actor=mari*ria", "", false},
		{"parts in order", "rule=*block*file*", "", false},
		{"anything", "actor=*", "", true},
		{"only the whole value", "rule=filesystem", "", false},
		{"slashes are like others", "target=*.env", "", true},
		{"an equals sign in the pattern", "target==x", "", false},
		{"empty", "actor=", "", false},
		{"action", "action=read_file", "", true},
		{"agent", "agent=agent-1", "", true},
		{"session", "session=s-*", "", true},
		{"policy", "policy=baseline", "", true},
		{"since before", "", "2026-03-01T08:59:59Z", true},
		{"since then", "", "2026-03-01T09:00:00Z", true},
		{"since after, in another zone", "", "2026-03-01T09:30:00-00:30", false},
		{"since the day", "", "2026-03-01", true},
		{"since the day after", "", "2026-03-02", false},
		{"hours ago", "", "2h", true},
		{"minutes ago", "", "30m", false},
		{"days ago", "", "1d", true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var conditions []string
			if test.conditions != "" {
				conditions = strings.Split(test.conditions, "|")
			}
			f, err := ParseFilter(conditions, test.since, start.Add(time.Hour))
			if err != nil {
				t.Fatal(err)
			}
			if got := f.Match(record); got != test.want {
				t.Errorf("%v", got)
			}
		})
	}
}

func TestFilterFaults(t *testing.T) {
	tests := []struct {
		name       string
		conditions []string
		since      string
		want       []string
	}{
		{"unknown key", []string{"verdict=block"}, "", []string{"filter 1", "decision, severity, rule, actor, action, target, agent, session, policy"}},
		{"no equals sign", []string{"decision"}, "", []string{"filter 1 has no ="}},
		{"spaces are not trimmed", []string{"decision =block"}, "", []string{"unknown key"}},
		{"all of them", []string{"a", "b=c"}, "yesterday", []string{"filter 1", "filter 2", "since"}},
		{"a time to come", nil, "-2h", []string{"since"}},
		{"half a date", nil, "2026-03", []string{"since"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := ParseFilter(test.conditions, test.since, start)
			if err == nil {
				t.Fatal("no fault")
			}
			for _, word := range test.want {
				if !strings.Contains(err.Error(), word) {
					t.Errorf("%q does not say %q", err, word)
				}
			}
			for _, value := range append(test.conditions, test.since) {
				if strings.Contains(value, "=") && strings.Contains(err.Error(), value) || value == "yesterday" && strings.Contains(err.Error(), value) {
					t.Errorf("%q repeats a value", err)
				}
			}
		})
	}
}

// FuzzMatches compares matching with the plain way to do it.
func FuzzMatches(f *testing.F) {
	f.Add("a*b*c", "axbxc")
	f.Add("*", "")
	f.Add("ab*ba", "aba")
	f.Fuzz(func(t *testing.T, pattern, s string) {
		if len(pattern) > 30 || len(s) > 60 {
			t.Skip("the plain way takes long")
		}
		if got, want := matches(strings.Split(pattern, "*"), s), plainly(pattern, s); got != want {
			t.Errorf("%q on %q: %v, want %v", pattern, s, got, want)
		}
	})
}

func plainly(pattern, s string) bool {
	// can[i] says whether the pattern so far matches the first i bytes.
	can := make([]bool, len(s)+1)
	can[0] = true
	for i := range len(pattern) {
		next := make([]bool, len(s)+1)
		for j := range next {
			if pattern[i] == '*' {
				next[j] = can[j] || j > 0 && next[j-1]
			} else {
				next[j] = j > 0 && can[j-1] && s[j-1] == pattern[i]
			}
		}
		can = next
	}
	return can[len(s)]
}
