package main

import (
	"strings"
	"testing"
	"time"
)

// The line on how far a verification is comes late, changes seldom, and goes;
// where nobody looks it does not come at all.
func TestProgress(t *testing.T) {
	const mib = 1 << 20
	for name, c := range map[string]struct {
		terminal bool
		whole    int64
		after    []time.Duration // when it is told of one MiB more
		want     string
	}{
		"no terminal":  {false, 4 * mib, []time.Duration{time.Hour}, ""},
		"soon done":    {true, 4 * mib, []time.Duration{0, 999 * time.Millisecond}, ""},
		"seldom":       {true, 4 * mib, []time.Duration{time.Second, 1099 * time.Millisecond, 1100 * time.Millisecond}, "\rcavra-runtime: 1 MiB of 4, 25% verified \rcavra-runtime: 3 MiB of 4, 75% verified \r\x1b[K"},
		"from a pipe":  {true, 0, []time.Duration{time.Second}, "\rcavra-runtime: 1 MiB verified \r\x1b[K"},
		"a grown file": {true, mib / 2, []time.Duration{time.Second}, "\rcavra-runtime: 1 MiB of 0, 100% verified \r\x1b[K"},
	} {
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			p := newProgress(c.terminal, &out)
			start := p.next.Add(-progressAfter)
			for i, after := range c.after {
				p.now = func() time.Time { return start.Add(after) }
				p.show(int64(i+1)*mib, c.whole)
			}
			p.clear()
			if out.String() != c.want {
				t.Errorf("printed %q, want %q", out.String(), c.want)
			}
		})
	}
}
