package show

import (
	"time"

	enforcementv1 "github.com/Huzefaaa2/cavra/go/cavra-runtime/enforcement/v1"
)

// counts are numbers of decisions. Other is what is none of the three.
type counts struct{ Allow, Approval, Block, Other uint64 }

func (c counts) Total() uint64 { return c.Allow + c.Approval + c.Block + c.Other }

func (c *counts) add(o counts) {
	c.Allow += o.Allow
	c.Approval += o.Approval
	c.Block += o.Block
	c.Other += o.Other
}

// one is the count of a single decision.
func one(decision string) counts {
	switch decision {
	case enforcementv1.DecisionAllow:
		return counts{Allow: 1}
	case enforcementv1.DecisionRequireApproval:
		return counts{Approval: 1}
	case enforcementv1.DecisionBlock:
		return counts{Block: 1}
	}
	return counts{Other: 1}
}

// maxBins is how many bins a timeline has at most, minBins how many it is drawn
// with at least, so that one moment does not fill the picture.
const (
	maxBins = 120
	minBins = 30
)

// widths are those that bins can have, in seconds. Each is a multiple of the one
// before, so that bins can be merged; after the last they double.
var widths = []int64{1, 5, 15, 60, 300, 900, 3600, 3 * 3600, 12 * 3600, 86400}

// A timeline counts decisions over time in one pass, without knowing the span
// beforehand: when there come to be too many bins they are merged.
type timeline struct {
	width       int64 // seconds
	bins        map[int64]counts
	first, last int64 // bins
}

func newTimeline() *timeline { return &timeline{width: widths[0], bins: map[int64]counts{}} }

func (t *timeline) add(at time.Time, c counts) {
	bin := floorDiv(at.Unix(), t.width)
	if len(t.bins) == 0 {
		t.first, t.last = bin, bin
	}
	t.first, t.last = min(t.first, bin), max(t.last, bin)
	sum := t.bins[bin]
	sum.add(c)
	t.bins[bin] = sum
	for t.last-t.first >= maxBins {
		t.merge()
	}
}

// merge makes bins of the next width.
func (t *timeline) merge() {
	factor := int64(2)
	for i, w := range widths[:len(widths)-1] {
		if w == t.width {
			factor = widths[i+1] / w
		}
	}
	merged := make(map[int64]counts, len(t.bins))
	for bin, c := range t.bins {
		sum := merged[floorDiv(bin, factor)]
		sum.add(c)
		merged[floorDiv(bin, factor)] = sum
	}
	t.bins, t.width = merged, t.width*factor
	t.first, t.last = floorDiv(t.first, factor), floorDiv(t.last, factor)
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// A bin is one as it is drawn. X counts bins from the left.
type bin struct {
	X        int
	Start    time.Time
	Count    counts
	Segments []segment
}

// A segment is a part of a bar. Y is its upper end, from the top of the picture
// down, in percent.
type segment struct {
	Class     string
	Y, Height float64
}

// minHeight keeps a few blocks among many allows in sight, in percent.
const minHeight = 1.5

// A chart is a timeline ready to be drawn.
type chart struct {
	Bins             []bin // those that are not empty
	Width            int   // in bins
	Most             uint64
	Each             string // how long a bin is
	Start, Mid, Stop time.Time
}

func (t *timeline) chart() *chart {
	if len(t.bins) == 0 {
		return nil
	}
	first, n := t.first, t.last-t.first+1
	if n < minBins {
		first -= (minBins - n) / 2
		n = minBins
	}
	at := func(bin int64) time.Time { return time.Unix(bin*t.width, 0).UTC() }
	c := &chart{
		Width: int(n), Each: inWords(t.width),
		Start: at(first), Mid: at(first + n/2), Stop: at(first + n),
	}
	for _, b := range t.bins {
		c.Most = max(c.Most, b.Total())
	}
	for i := first; i < first+n; i++ {
		count, ok := t.bins[i]
		if !ok {
			continue
		}
		b := bin{X: int(i - first), Start: at(i), Count: count}
		top := 100.0
		for _, part := range []struct {
			class string
			n     uint64
		}{{"block", count.Block}, {"approval", count.Approval}, {"allow", count.Allow}, {"other", count.Other}} {
			if part.n == 0 {
				continue
			}
			height := max(minHeight, float64(part.n)/float64(c.Most)*(100-4*minHeight))
			top -= height
			b.Segments = append(b.Segments, segment{part.class, top, height})
		}
		c.Bins = append(c.Bins, b)
	}
	return c
}

// inWords is one of the widths in words.
func inWords(seconds int64) string {
	switch {
	case seconds >= 86400:
		return plural(seconds/86400, "day")
	case seconds >= 3600:
		return plural(seconds/3600, "hour")
	case seconds >= 60:
		return plural(seconds/60, "minute")
	}
	return plural(seconds, "second")
}
