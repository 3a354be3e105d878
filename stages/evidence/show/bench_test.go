package show

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"testing"
	"time"

	enforcementv1 "github.com/Huzefaaa2/cavra/go/cavra-runtime/enforcement/v1"
	"github.com/Huzefaaa2/cavra/go/cavra-runtime/stages/evidence"
)

// typical is a decision as the runtime makes it.
func typical(i int) enforcementv1.DecisionResponse {
	response := allowed(fmt.Sprintf("src/service/handler_%d.go", i%5000))
	if i%50 == 0 {
		response = blocked(fmt.Sprintf("config/production/%d.pem", i%5000))
	}
	response.DecisionID, response.CorrelationID = "dec_0123456789ab", "corr_0123456789ab"
	response.Timestamp = start.Format(time.RFC3339Nano)
	response.EvidenceRefs = []string{"evidence://local/dec_0123456789ab"}
	return response
}

// bigLog makes a log of n records, without a key and without syncs.
func bigLog(tb testing.TB, n int) (path string, size int64) {
	tb.Helper()
	path = newPath(tb)
	log, err := evidence.Open(path, evidence.LogOptions{Sync: evidence.SyncOff})
	if err != nil {
		tb.Fatal(err)
	}
	for i := range n {
		response := typical(i)
		if err := log.Append(newID(), &enforcementv1.EvaluateRequest{ActionType: response.ActionType, Target: response.Target}, &response); err != nil {
			tb.Fatal(err)
		}
	}
	if err := log.Close(); err != nil {
		tb.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		tb.Fatal(err)
	}
	return path, info.Size()
}

// BenchmarkShow reads a log of 200,000 records. x-verify is its time over that of
// the verifier alone.
func BenchmarkShow(b *testing.B) {
	const n = 200_000
	path, size := bigLog(b, n)
	verify := func() {
		if r, err := evidence.VerifyFile(path, evidence.VerifyOptions{}); err != nil || !r.Valid {
			b.Fatal(r, err)
		}
	}
	blocks, err := ParseFilter([]string{"decision=block"}, "", start)
	if err != nil {
		b.Fatal(err)
	}
	table := func(o PrinterOptions) func() {
		return func() {
			p := NewPrinter(io.Discard, o)
			readAll(b, path, p.See)
			if err := p.Flush(); err != nil || p.Lines != n {
				b.Fatal(p.Lines, err)
			}
		}
	}
	for _, way := range []struct {
		name string
		run  func()
	}{
		{"table", table(PrinterOptions{Terminal: true, Width: 140, Color: true})},
		{"filter", table(PrinterOptions{Filter: blocks})},
		{"last", table(PrinterOptions{Limit: 20})},
		{"json", table(PrinterOptions{JSON: true})},
		{"report", func() {
			p := NewPage(PageOptions{Made: start})
			report := readAll(b, path, p.See)
			if err := p.WritePage(io.Discard, report); err != nil || !report.Valid {
				b.Fatal(report, err)
			}
		}},
	} {
		b.Run(way.name, func(b *testing.B) {
			b.SetBytes(size)
			began := time.Now()
			verify()
			bare := time.Since(began)
			runs := 0
			for b.Loop() {
				way.run()
				runs++
			}
			took := b.Elapsed() / time.Duration(runs)
			began = time.Now()
			verify()
			bare = (bare + time.Since(began)) / 2
			b.ReportMetric(float64(n)/took.Seconds(), "records/s")
			b.ReportMetric(float64(took)/float64(bare), "x-verify")
		})
	}
}

func readAll(tb testing.TB, path string, see func(*evidence.Line)) evidence.Report {
	tb.Helper()
	reader := evidence.NewReader(evidence.VerifyOptions{}, see)
	log := OpenLog(path, reader)
	defer log.Close()
	if err := log.Read(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	return reader.Report()
}

// Neither the table nor the page keeps a log in memory. The same lines are read
// again and again: to the chain that is a fault, to the memory it is a log.
func TestMemoryIsBounded(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: no large log is read")
	}
	path, _ := bigLog(t, 2000)
	text := readFile(t, path)
	const whole = 48 << 20
	for name, see := range map[string]func(*evidence.Line){
		"table": NewPrinter(io.Discard, PrinterOptions{Limit: 100}).See,
		"page":  NewPage(PageOptions{}).See,
	} {
		t.Run(name, func(t *testing.T) {
			var most uint64
			lines, again := 0, whole/len(text)
			src := &repeated{text: text, left: again, look: func() {
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				most = max(most, m.HeapAlloc)
			}}
			reader := evidence.NewReader(evidence.VerifyOptions{}, func(l *evidence.Line) { lines++; see(l) })
			reader.File("big", 0)
			if _, err := reader.Read(src); err != nil {
				t.Fatal(err)
			}
			if lines != 2000*again || most > 40<<20 {
				t.Errorf("%d lines, and the heap had %d MiB", lines, most>>20)
			}
		})
	}
}

// repeated gives a text several times over, and looks around before each.
type repeated struct {
	text string
	at   int
	left int
	look func()
}

func (r *repeated) Read(b []byte) (int, error) {
	if r.left == 0 {
		return 0, io.EOF
	}
	n := copy(b, r.text[r.at:])
	if r.at += n; r.at == len(r.text) {
		r.at = 0
		r.left--
		r.look()
	}
	return n, nil
}
