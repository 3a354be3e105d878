package evidence

import (
	"crypto/hmac"
	"crypto/sha256"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	enforcementv1 "github.com/Huzefaaa2/cavra/go/cavra-runtime/enforcement/v1"
)

// typical is an exchange whose record has about 1.2 KiB.
func typical() (*enforcementv1.EvaluateRequest, *enforcementv1.DecisionResponse) {
	req := &enforcementv1.EvaluateRequest{
		SessionID: "session-4711", AgentID: "agent-1", Actor: "octo", ActionType: "execute_command",
		Target: "terraform plan -out=plan.bin && cat plan.bin", RequestedOperation: "execute", PolicyPack: "cavra-ai-agent-baseline", Cwd: "/home/octo/src/infra",
	}
	resp := &enforcementv1.DecisionResponse{
		DecisionID: "dec_0123456789ab", SessionID: req.SessionID, AgentID: req.AgentID, Actor: req.Actor, ActionType: req.ActionType,
		Target: req.Target, RequestedOperation: req.RequestedOperation, PolicyPack: req.PolicyPack, PolicyID: req.PolicyPack,
		RuleID: "commands.require_approval", Decision: "require_approval", Severity: "medium",
		Reason:        `the command "terraform plan" matches "terraform *" in commands.require_approval; ask Repository Owners`,
		EvidenceRefs:  []string{"evidence://session-4711/dec_0123456789ab", "policy://cavra-ai-agent-baseline@sha256:" + strings.Repeat("0", 64), "runner-auth://none", refPrefix + strings.Repeat("0", 24)},
		ApproverGroup: "Repository Owners", Timestamp: "2026-03-01T12:00:00.123456789Z", CorrelationID: "corr_0123456789ab",
	}
	return req, resp
}

// per times f, which does n operations.
func per(n int, f func()) time.Duration {
	begin := time.Now()
	f()
	return time.Since(begin) / time.Duration(n)
}

// BenchmarkAppend appends signed records without a sync. x-hash is its time
// over that of SHA-256 and HMAC-SHA-256 of the same bytes; at most 5.
func BenchmarkAppend(b *testing.B) {
	o := signed
	o.Sync = SyncOff
	path := newPath(b)
	l := open(b, path, o)
	req, resp := typical()
	id := nextID()
	must(b, l.Append(id, req, resp))
	line := linesOf(b, path)[0]
	b.SetBytes(int64(len(line)))
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		if err := l.Append(id, req, resp); err != nil {
			b.Fatal(err)
		}
		n++
	}
	took := b.Elapsed() / time.Duration(n)
	hashes := per(20000, func() {
		for range 20000 {
			sha256.Sum256(line)
			mac := hmac.New(sha256.New, testKey)
			mac.Write(line)
			mac.Sum(nil)
		}
	})
	b.ReportMetric(float64(took)/float64(hashes), "x-hash")
}

func TestAppendAllocatesLittle(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector empties pools")
	}
	o := signed
	o.Sync = SyncOff
	l := open(t, newPath(t), o)
	req, resp := typical()
	id := nextID()
	if n := testing.AllocsPerRun(200, func() { must(t, l.Append(id, req, resp)) }); n > 3 {
		t.Errorf("%v allocations a record, want at most 3", n)
	}
}

// bareSync writes and syncs a record n times, one by one, and gives the time of
// one.
func bareSync(b *testing.B, line []byte, n int, sync func(*os.File) error) time.Duration {
	b.Helper()
	f, err := os.OpenFile(newPathIn(b), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	must(b, err)
	defer f.Close()
	return per(n, func() {
		for range n {
			_, err := f.Write(line)
			must(b, err)
			must(b, sync(f))
		}
	})
}

func newPathIn(b *testing.B) string { return b.TempDir() + "/bare" }

// BenchmarkAppendSynced appends durable records from 1 and from 64 callers at a
// time. x-fsync is how many times as fast that is as a write and an fsync for
// each; with 64 callers at least 15. x-bare is the time of one over that of a
// bare write and fdatasync; with one caller at most 1.3.
func BenchmarkAppendSynced(b *testing.B) {
	for _, callers := range []int{1, 64} {
		b.Run(map[int]string{1: "callers=1", 64: "callers=64"}[callers], func(b *testing.B) {
			path := newPath(b)
			l := open(b, path, signed)
			req, resp := typical()
			must(b, l.Append(nextID(), req, resp))
			line := linesOf(b, path)[0]
			bare := bareSync(b, line, 200, syncFile)
			fsync := bareSync(b, line, 200, (*os.File).Sync)
			b.ResetTimer()
			var left atomic.Int64
			left.Store(int64(b.N))
			var all sync.WaitGroup
			begin := time.Now()
			for range callers {
				all.Go(func() {
					for left.Add(-1) >= 0 {
						if err := l.Append(nextID(), req, resp); err != nil {
							b.Error(err)
						}
					}
				})
			}
			all.Wait()
			took := time.Since(begin) / time.Duration(b.N)
			b.StopTimer()
			bare = (bare + bareSync(b, line, 200, syncFile)) / 2
			fsync = (fsync + bareSync(b, line, 200, (*os.File).Sync)) / 2
			b.ReportMetric(float64(took)/float64(bare), "x-bare")
			b.ReportMetric(float64(fsync)/float64(took), "x-fsync")
		})
	}
}

// BenchmarkAppendOne has one caller append, in turns with a bare write and
// fdatasync of the same bytes to a file that grows as the log does. x-bare is the
// median of the turns; at most 1.3.
func BenchmarkAppendOne(b *testing.B) {
	l := open(b, newPath(b), signed)
	req, resp := typical()
	must(b, l.Append(nextID(), req, resp))
	line := linesOf(b, l.path)[0]
	f, err := os.OpenFile(newPathIn(b), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	must(b, err)
	defer f.Close()
	const turn = 50
	var ratios []float64
	for b.Loop() {
		begin := time.Now()
		for range turn {
			must(b, l.Append(nextID(), req, resp))
		}
		ours := time.Since(begin)
		begin = time.Now()
		for range turn {
			_, err := f.Write(line)
			must(b, err)
			must(b, syncFile(f))
		}
		ratios = append(ratios, float64(ours)/float64(time.Since(begin)))
	}
	slices.Sort(ratios)
	b.ReportMetric(ratios[len(ratios)/2], "x-bare")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkVerify verifies a signed log of 64 MiB. x-sha256 is its speed over
// that of Go's SHA-256 over the same file on one core, x-sha256sum over that of
// the program of that name, where it is installed; at least 0.5.
func BenchmarkVerify(b *testing.B) {
	o := signed
	o.Sync = SyncOff
	path := newPath(b)
	l := open(b, path, o)
	req, resp := typical()
	for range 64 << 20 / 1300 {
		must(b, l.Append(nextID(), req, resp))
	}
	mustClose(b, l)
	file := read(b, path)
	b.SetBytes(int64(len(file)))
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		r, err := VerifyFile(path, signed.verify())
		if err != nil || !r.Valid {
			b.Fatal(r, err)
		}
		n++
	}
	took := b.Elapsed() / time.Duration(n)
	bare := per(3, func() {
		for range 3 {
			f, err := os.Open(path)
			must(b, err)
			_, err = io.Copy(sha256.New(), f)
			must(b, err)
			f.Close()
		}
	})
	b.ReportMetric(float64(bare)/float64(took), "x-sha256")
	if program, err := exec.LookPath("sha256sum"); err == nil {
		bare := per(3, func() {
			for range 3 {
				must(b, exec.Command(program, path).Run())
			}
		})
		b.ReportMetric(float64(bare)/float64(took), "x-sha256sum")
	}
}

// The memory of a verification does not grow with the log.
func TestVerifyMemoryIsBounded(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector multiplies memory and time")
	}
	const size = 128 << 20
	req, resp := typical()
	log := &growing{
		Log:  Log{hasher: newHasher(), o: LogOptions{now: time.Now}},
		body: appendBody(nil, req, resp), left: size,
	}
	if r := Verify(log, VerifyOptions{}); !r.Valid || r.Records < size/2000 {
		t.Fatalf("%+v", r)
	}
	if log.most > 32<<20 {
		t.Errorf("the heap had %d MiB", log.most>>20)
	}
}

// growing makes up a log while it is read, and watches the heap.
type growing struct {
	Log
	body []byte
	left int
	at   head
	rest []byte
	most uint64
}

func (g *growing) Read(b []byte) (int, error) {
	if len(g.rest) == 0 {
		if g.left <= 0 {
			return 0, io.EOF
		}
		g.rest = g.rest[:0]
		for len(g.rest) < chunkSize {
			g.rest = g.encode(g.rest, &g.at, &entry{eventType: EventDecision, recordID: nextID(), body: g.body})
		}
		g.left -= len(g.rest)
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		g.most = max(g.most, m.HeapAlloc)
	}
	n := copy(b, g.rest)
	g.rest = g.rest[n:]
	return n, nil
}
