package show

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/Huzefaaa2/cavra/go/cavra-runtime/stages/evidence"
)

// A Filter picks records. The zero value picks all.
type Filter struct {
	conditions []condition
	since      time.Time
	text       []string // the conditions as they were written
}

// A condition holds a member of the response to a pattern.
type condition struct {
	key     string
	not     bool
	pattern []string // what stands between the asterisks
}

// filterKeys are what a condition can be about.
var filterKeys = []string{"decision", "severity", "rule", "actor", "action", "target", "agent", "session", "policy"}

// ParseFilter reads conditions, KEY=PATTERN or KEY!=PATTERN, of which a record
// must meet all; in a pattern * stands for any run of characters. since is empty,
// a time in RFC 3339, a date (which begins at midnight UTC), or a duration before
// now such as 2h or 7d. The error names every fault and repeats no value.
func ParseFilter(conditions []string, since string, now time.Time) (*Filter, error) {
	f := &Filter{}
	var faults []error
	for i, text := range conditions {
		key, pattern, found := strings.Cut(text, "=")
		key, not := strings.CutSuffix(key, "!")
		switch {
		case !found:
			faults = append(faults, fmt.Errorf("filter %d has no =; write KEY=PATTERN or KEY!=PATTERN", i+1))
			continue
		case !slices.Contains(filterKeys, key):
			faults = append(faults, fmt.Errorf("filter %d has an unknown key; the keys are %s", i+1, strings.Join(filterKeys, ", ")))
			continue
		}
		f.conditions = append(f.conditions, condition{key, not, strings.Split(pattern, "*")})
		f.text = append(f.text, text)
	}
	var err error
	if f.since, err = parseSince(since, now); err != nil {
		faults = append(faults, err)
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	return f, nil
}

func parseSince(s string, now time.Time) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.RFC3339Nano, time.DateOnly} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, nil
		}
	}
	if days, ok := strings.CutSuffix(s, "d"); ok {
		if n, err := strconv.ParseUint(days, 10, 16); err == nil {
			return now.AddDate(0, 0, -int(n)), nil
		}
	}
	if d, err := time.ParseDuration(s); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	return time.Time{}, errors.New("since is none of a time such as 2026-01-31T08:00:00Z, a date such as 2026-01-31 and a duration such as 2h or 7d")
}

// Match reports whether a record is picked.
func (f *Filter) Match(r *evidence.Record) bool {
	for i := range f.conditions {
		c := &f.conditions[i]
		if matches(c.pattern, member(r, c.key)) == c.not {
			return false
		}
	}
	if f.since.IsZero() {
		return true
	}
	t, err := time.Parse(time.RFC3339Nano, r.Timestamp)
	return err == nil && !t.Before(f.since)
}

// String is the filter in words, or empty.
func (f *Filter) String() string {
	text := slices.Clone(f.text)
	if !f.since.IsZero() {
		text = append(text, "since "+f.since.UTC().Format(time.RFC3339))
	}
	return strings.Join(text, ", ")
}

func member(r *evidence.Record, key string) string {
	switch m := &r.Response; key {
	case "decision":
		return m.Decision
	case "severity":
		return m.Severity
	case "rule":
		return m.RuleID
	case "actor":
		return m.Actor
	case "action":
		return m.ActionType
	case "target":
		return m.Target
	case "agent":
		return m.AgentID
	case "session":
		return m.SessionID
	}
	return r.Response.PolicyID
}

// matches holds the whole of s to a pattern, given as what stands between its
// asterisks. It takes time in the order of both lengths: the first place where
// a part fits is as good as any later one.
func matches(parts []string, s string) bool {
	first, last := parts[0], parts[len(parts)-1]
	if len(parts) == 1 {
		return s == first
	}
	s, ok := strings.CutPrefix(s, first)
	if !ok {
		return false
	}
	s, ok = strings.CutSuffix(s, last)
	if !ok {
		return false
	}
	for _, part := range parts[1 : len(parts)-1] {
		if _, s, ok = strings.Cut(s, part); !ok {
			return false
		}
	}
	return true
}
