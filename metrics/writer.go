package metrics

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
)

// ContentType is that of what a Writer writes.
const ContentType = "text/plain; version=0.0.4; charset=utf-8"

// A Collector has figures to write.
type Collector interface {
	Collect(*Writer)
}

// A Writer gathers figures and writes them family by family, as the format
// wants it, in whatever order they come. The zero value is ready to use.
type Writer struct {
	families []*family
	byName   map[string]*family
}

type family struct {
	name, help, kind string
	lines            []byte
	series           int
}

// maxSeries is how many series a family may have: each costs whoever stores
// them.
const maxSeries = 1000

// Counter writes a number that only grows while the process lives. Its name ends
// in _total.
func (w *Writer) Counter(name, help string, value uint64, labels ...string) {
	if f := w.family(name, help, "counter"); f != nil {
		f.sample("", labels, strconv.FormatUint(value, 10))
	}
}

// Gauge writes a number that rises and falls. Names end in their unit, which is
// a base unit: _seconds, _bytes.
func (w *Writer) Gauge(name, help string, value float64, labels ...string) {
	if f := w.family(name, help, "gauge"); f != nil {
		f.sample("", labels, number(value))
	}
}

// Histogram writes how often durations were at most so long.
func (w *Writer) Histogram(name, help string, h *Histogram, labels ...string) {
	f := w.family(name, help, "histogram")
	if f == nil {
		return
	}
	counts, sum := h.read()
	total := uint64(0)
	for i, n := range counts {
		total += n
		bound := "+Inf"
		if i < len(bounds) {
			bound = number(bounds[i].Seconds())
		}
		f.sample("_bucket", append(slices.Clip(labels), "le", bound), strconv.FormatUint(total, 10))
	}
	f.sample("_sum", labels, number(sum.Seconds()))
	f.sample("_count", labels, strconv.FormatUint(total, 10))
}

// WriteTo writes what was gathered.
func (w *Writer) WriteTo(to io.Writer) (n int64, err error) {
	for _, f := range w.families {
		wrote, err := fmt.Fprintf(to, "# HELP %s %s\n# TYPE %s %s\n%s", f.name, helpEscaper.Replace(f.help), f.name, f.kind, f.lines)
		if n += int64(wrote); err != nil {
			return n, err
		}
	}
	return n, nil
}

// family finds the family of that name, or begins it. It is nil where another
// series of it would be one too many.
func (w *Writer) family(name, help, kind string) *family {
	f := w.byName[name]
	if f == nil {
		f = &family{name: name, help: help, kind: kind}
		if w.byName == nil {
			w.byName = map[string]*family{}
		}
		w.byName[name] = f
		w.families = append(w.families, f)
	}
	if f.series == maxSeries {
		return nil
	}
	f.series++
	return f
}

func (f *family) sample(suffix string, labels []string, value string) {
	b := append(f.lines, f.name...)
	b = append(b, suffix...)
	for i := 0; i+1 < len(labels); i += 2 {
		b = append(b, "{,"[min(i, 1)])
		b = append(b, labels[i]...)
		b = append(b, `="`...)
		b = append(b, labelEscaper.Replace(strings.ToValidUTF8(labels[i+1], "\uFFFD"))...)
		b = append(b, '"')
	}
	if len(labels) > 1 {
		b = append(b, '}')
	}
	b = append(b, ' ')
	b = append(b, value...)
	f.lines = append(b, '\n')
}

var (
	labelEscaper = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)
	helpEscaper  = strings.NewReplacer(`\`, `\\`, "\n", `\n`)
)

func number(v float64) string {
	switch {
	case math.IsInf(v, 1):
		return "+Inf"
	case math.IsInf(v, -1):
		return "-Inf"
	}
	return strconv.FormatFloat(v, 'g', -1, 64)
}
