package auth

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// testClock is a clock that stands until it is set.
type testClock struct{ ns atomic.Int64 }

func newTestClock(at time.Time) *testClock {
	c := new(testClock)
	c.set(at)
	return c
}

func (c *testClock) now() time.Time          { return time.Unix(0, c.ns.Load()) }
func (c *testClock) set(at time.Time)        { c.ns.Store(at.UnixNano()) }
func (c *testClock) advance(d time.Duration) { c.ns.Add(int64(d)) }

func TestSeen(t *testing.T) {
	clock := newTestClock(time.Unix(1_800_000_000, 0))
	s := newSeen(2, clock.now)
	start := clock.now()
	check := func(what, key string, until time.Duration, fresh, full bool) {
		t.Helper()
		if gotFresh, gotFull := s.add(key, start.Add(until)); gotFresh != fresh || gotFull != full {
			t.Errorf("%s: add gives fresh %t, full %t; want %t, %t", what, gotFresh, gotFull, fresh, full)
		}
	}
	check("a first use", "a", 10*time.Second, true, false)
	check("a second use", "a", 10*time.Second, false, false)
	check("a second use that claims to last longer", "a", time.Hour, false, false)
	check("another value", "b", 20*time.Second, true, false)
	check("one too many", "c", 20*time.Second, false, true)
	check("a second use while it is full", "a", 10*time.Second, false, false)
	clock.advance(10 * time.Second)
	check("a value whose time has passed", "a", 10*time.Second, false, false)
	check("what was refused while it was full", "c", 20*time.Second, true, false)
	check("one too many again", "d", 20*time.Second, false, true)
	clock.set(start)
	check("after the clock was set back", "a", 10*time.Second, false, false)
	check("what is still noted after the clock was set back", "b", 20*time.Second, false, false)
	clock.advance(time.Hour)
	check("when all have expired", "e", 2*time.Hour, true, false)
	if len(s.held) != 1 || len(s.order) != 1 {
		t.Errorf("%d and %d values are held, want 1", len(s.held), len(s.order))
	}
}

// Whatever comes in whatever order, no value is fresh twice and never more than
// the bound are held.
func TestSeenIsFreshOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		clock := newTestClock(time.Unix(1_800_000_000, 0))
		s := newSeen(3, clock.now)
		used := map[string]bool{}
		for i := range 50 {
			clock.advance(time.Duration(rapid.IntRange(-5, 5).Draw(t, "step")) * time.Second)
			// A value has one end for ever, as an exp is signed with its jti.
			n := rapid.IntRange(1, 20).Draw(t, "value")
			key, until := fmt.Sprint(n), time.Unix(1_800_000_000, 0).Add(time.Duration(n)*time.Second)
			if fresh, full := s.add(key, until); fresh {
				if used[key] || full {
					t.Fatalf("step %d: %s is fresh twice, or fresh and full", i, key)
				}
				used[key] = true
			}
			if len(s.held) > 3 || len(s.held) != len(s.order) {
				t.Fatalf("%d values are held, %d in order", len(s.held), len(s.order))
			}
		}
	})
}

func TestSeenIsFreshForOneOfMany(t *testing.T) {
	s := newSeen(10, time.Now)
	var fresh atomic.Int32
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if ok, _ := s.add("nonce", time.Now().Add(time.Hour)); ok {
				fresh.Add(1)
			}
		})
	}
	wg.Wait()
	if fresh.Load() != 1 {
		t.Errorf("%d callers were told that it is fresh", fresh.Load())
	}
}
