package show

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// However decisions lie in time, none is lost, the bins stay few, and each
// decision is in the bin of its time.
func TestTimelineKeepsEveryDecision(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		times := rapid.SliceOfN(rapid.Int64Range(-1<<40, 1<<40), 1, 200).Draw(t, "times")
		if rapid.Bool().Draw(t, "near") {
			for i := range times {
				times[i] %= 5000
			}
		}
		line := newTimeline()
		for i, at := range times {
			line.add(time.Unix(at, 0), one([]string{"allow", "block", "require_approval", "?"}[i%4]))
		}
		sum := counts{}
		for bin, c := range line.bins {
			sum.add(c)
			n := uint64(0)
			for _, at := range times {
				if floorDiv(at, line.width) == bin {
					n++
				}
			}
			if n != c.Total() {
				t.Fatalf("the bin %d holds %d and not %d", bin, c.Total(), n)
			}
		}
		if sum.Total() != uint64(len(times)) {
			t.Fatalf("%d of %d are left", sum.Total(), len(times))
		}
		if span := line.last - line.first + 1; span > maxBins {
			t.Fatalf("%d bins", span)
		}
		c := line.chart()
		for _, bin := range c.Bins {
			for _, s := range bin.Segments {
				if s.Y < 0 || s.Y+s.Height > 100.001 {
					t.Fatalf("drawn outside: %+v", s)
				}
			}
		}
	})
}
