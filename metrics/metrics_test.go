package metrics_test

import (
	"bytes"
	"math"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"pgregory.net/rapid"

	"github.com/Huzefaaa2/cavra/go/cavra-runtime/metrics"
)

// parse reads what a Writer wrote as Prometheus would.
func parse(t rapid.TB, w *metrics.Writer) map[string]*dto.MetricFamily {
	t.Helper()
	var b bytes.Buffer
	n, err := w.WriteTo(&b)
	if err != nil || n != int64(b.Len()) {
		t.Fatalf("WriteTo gives %d, %v; it wrote %d bytes", n, err, b.Len())
	}
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(&b)
	if err != nil {
		t.Fatal(err)
	}
	return families
}

func labelsOf(m *dto.Metric) map[string]string {
	labels := map[string]string{}
	for _, l := range m.Label {
		labels[l.GetName()] = l.GetValue()
	}
	return labels
}

// Samples of one family may come apart; the format wants them together.
func TestFamiliesStandTogether(t *testing.T) {
	var w metrics.Writer
	w.Counter("asked_total", `what was "asked", a\b`, 1, "by", "a")
	w.Gauge("open_connections", "now", math.Inf(1))
	w.Counter("asked_total", `what was "asked", a\b`, math.MaxUint64, "by", "b")
	var b strings.Builder
	if _, err := w.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	const want = `# HELP asked_total what was "asked", a\\b
# TYPE asked_total counter
asked_total{by="a"} 1
asked_total{by="b"} 18446744073709551615
# HELP open_connections now
# TYPE open_connections gauge
open_connections +Inf
`
	if b.String() != want {
		t.Errorf("got\n%swant\n%s", b.String(), want)
	}
	parse(t, &w)
}

// Whatever a label holds, Prometheus reads back.
func TestLabelsHoldAnyText(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		value, other := rapid.String().Draw(t, "value"), rapid.String().Draw(t, "other")
		n := rapid.Float64().Draw(t, "n")
		var w metrics.Writer
		w.Gauge("any", "", n, "first", value, "second", other)
		got := parse(t, &w)["any"].Metric[0]
		labels := labelsOf(got)
		if labels["first"] != value || labels["second"] != other || got.Gauge.GetValue() != n {
			t.Fatalf("wrote %q, %q, %v; Prometheus reads %v", value, other, n, got)
		}
	})
}

func TestLabelsThatAreNotUTF8(t *testing.T) {
	var w metrics.Writer
	w.Gauge("any", "", math.NaN(), "text", "a\xffb")
	if got := labelsOf(parse(t, &w)["any"].Metric[0])["text"]; got != "a\uFFFDb" {
		t.Errorf("reads %q", got)
	}
}

func TestHistogram(t *testing.T) {
	var h metrics.Histogram
	for _, d := range []time.Duration{0, time.Microsecond, time.Microsecond + 1, 30 * time.Microsecond, 5 * time.Second, time.Hour} {
		h.Observe(d)
	}
	var w metrics.Writer
	w.Histogram("stage_seconds", "", &h, "stage", "auth")
	got := parse(t, &w)["stage_seconds"].Metric[0].Histogram
	if want := (5*time.Second + time.Hour + 32*time.Microsecond + 1).Seconds(); got.GetSampleCount() != 6 || got.GetSampleSum() != want {
		t.Errorf("count %d, sum %v; want 6 and %v", got.GetSampleCount(), got.GetSampleSum(), want)
	}
	want := map[float64]uint64{1e-6: 2, 2.5e-6: 3, 25e-6: 3, 50e-6: 4, 2.5: 4, 5: 5, math.Inf(1): 6}
	last := -1.0
	for _, b := range got.Bucket {
		if n, ok := want[b.GetUpperBound()]; ok && n != b.GetCumulativeCount() {
			t.Errorf("at most %v: %d, want %d", b.GetUpperBound(), b.GetCumulativeCount(), n)
		}
		delete(want, b.GetUpperBound())
		if b.GetUpperBound() <= last {
			t.Errorf("bound %v after %v", b.GetUpperBound(), last)
		}
		last = b.GetUpperBound()
	}
	if len(want) != 0 {
		t.Errorf("there are no bounds %v", want)
	}
}

// A family whose labels come from outside stays bounded.
func TestFamilyIsBounded(t *testing.T) {
	var w metrics.Writer
	for i := range 5000 {
		w.Gauge("many", "", float64(i), "n", strings.Repeat("x", i))
	}
	if n := len(parse(t, &w)["many"].Metric); n != 1000 {
		t.Errorf("%d series", n)
	}
}

func TestObserveAllocatesNothing(t *testing.T) {
	var h metrics.Histogram
	if n := testing.AllocsPerRun(100, func() { h.Observe(time.Millisecond) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
