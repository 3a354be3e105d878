package metrics

import (
	"sync/atomic"
	"time"
)

// bounds are those of every histogram: from a microsecond, below which a stage
// is not worth a look, to the longest that a client waits.
var bounds = [...]time.Duration{
	time.Microsecond, 2500 * time.Nanosecond, 5 * time.Microsecond,
	10 * time.Microsecond, 25 * time.Microsecond, 50 * time.Microsecond,
	100 * time.Microsecond, 250 * time.Microsecond, 500 * time.Microsecond,
	time.Millisecond, 2500 * time.Microsecond, 5 * time.Millisecond,
	10 * time.Millisecond, 25 * time.Millisecond, 50 * time.Millisecond,
	100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond,
	time.Second, 2500 * time.Millisecond, 5 * time.Second,
}

// A Histogram counts durations by their length. The zero value is ready to use,
// by many goroutines at once.
type Histogram struct {
	counts [len(bounds) + 1]atomic.Uint64
	sum    atomic.Int64 // nanoseconds
}

// Observe counts a duration. It allocates nothing.
func (h *Histogram) Observe(d time.Duration) {
	low, high := 0, len(bounds)
	for low < high { // the first bound that d does not exceed
		if mid := (low + high) / 2; bounds[mid] < d {
			low = mid + 1
		} else {
			high = mid
		}
	}
	h.counts[low].Add(1)
	h.sum.Add(int64(d))
}

func (h *Histogram) read() (counts [len(bounds) + 1]uint64, sum time.Duration) {
	for i := range h.counts {
		counts[i] = h.counts[i].Load()
	}
	return counts, time.Duration(h.sum.Load())
}
