package conn

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"go.uber.org/goleak"

	enforcementv1 "github.com/Huzefaaa2/cavra/go/cavra-runtime/enforcement/v1"
	"github.com/Huzefaaa2/cavra/go/cavra-runtime/pipeline"
)

const good = `{"action_type":"read_file","target":"a.txt"}`

// answer reads the whole answer: one line, then the end of the stream.
func answer(t testing.TB, c *net.UnixConn) *enforcementv1.DecisionResponse {
	t.Helper()
	b, err := io.ReadAll(c)
	if err != nil {
		t.Fatalf("reading the answer: %v (after %q)", err, b)
	}
	if strings.Count(string(b), "\n") != 1 || b[len(b)-1] != '\n' {
		t.Fatalf("the answer is not one line: %q", b)
	}
	resp, err := enforcementv1.DecodeResponse(b)
	if err != nil {
		t.Fatalf("the answer %q: %v", b, err)
	}
	return resp
}

func TestServerAnswers(t *testing.T) {
	for _, tc := range []struct {
		name     string
		send     []string // one write each
		end      bool     // half-close after them
		limits   Limits
		rule     string
		severity string
		raw      string // what the chain gets
		reason   string // part of it
	}{
		{name: "without newline or end", send: []string{good}, rule: "filesystem.read.allow", severity: "low", raw: good},
		{name: "with a newline", send: []string{good + "\n"}, rule: "filesystem.read.allow", severity: "low", raw: good},
		{name: "with an end", send: []string{good}, end: true, rule: "filesystem.read.allow", severity: "low", raw: good},
		{name: "byte by byte", send: strings.Split(good, ""), rule: "filesystem.read.allow", severity: "low", raw: good},
		{name: "a letter split between writes", send: []string{"{\"target\":\"\xc3", "\xa9\"}"}, rule: "filesystem.read.allow", severity: "low", raw: `{"target":"é"}`},
		{name: "space before", send: []string{" \n", "\t", good}, rule: "filesystem.read.allow", severity: "low", raw: " \n\t" + good},
		{name: "more in the same write", send: []string{good + good[:5]}, rule: "request.invalid", severity: "high", raw: good + good[:5]},
		{name: "more behind a full buffer", send: []string{object(smallBuffer-spare) + "x"}, rule: "request.invalid", severity: "high", raw: object(smallBuffer-spare) + "x"},
		{name: "more behind a full buffer and space", send: []string{object(smallBuffer-spare) + strings.Repeat(" ", 500) + "x"}, rule: "request.invalid", severity: "high"},
		{name: "space behind a full buffer", send: []string{object(smallBuffer-spare) + strings.Repeat("\n", 500)}, rule: "filesystem.read.allow", severity: "low", raw: object(smallBuffer - spare)},
		{name: "nothing but an end", end: true, rule: "request.invalid", severity: "high", raw: ""},
		{name: "cut off", send: []string{`{"a":`}, end: true, rule: "request.invalid", severity: "high", raw: `{"a":`},
		{name: "an array", send: []string{"["}, rule: "request.invalid", severity: "high", raw: "["},
		{name: "no JSON", send: []string{"GET / HTTP/1.0\r\n\r\n"}, rule: "request.invalid", severity: "high", raw: "GET / HTTP/1.0\r\n\r\n"},
		{name: "a newline in a string", send: []string{"{\"a\n"}, rule: "request.invalid", severity: "high", raw: "{\"a\n"},
		{name: "too deep", send: []string{`{"a":` + strings.Repeat("[", 100)}, rule: "request.invalid", severity: "high"},
		{name: "at the limit", send: []string{object(1 << 20)}, rule: "filesystem.read.allow", severity: "low", raw: object(1 << 20)},
		{name: "over the limit", send: []string{object(1<<20 + 1)}, rule: "request.too_large", severity: "high", reason: "limit of 1048576 bytes: 1048577 had arrived"},
		{name: "far over the limit", send: []string{object(8 << 20)}, rule: "request.too_large", severity: "high"},
		{name: "endless space", send: []string{strings.Repeat(" ", 2<<20)}, rule: "request.too_large", severity: "high"},
		{name: "too late", send: []string{`{"a":`}, limits: Limits{ReadTimeout: time.Millisecond}, rule: "request.timeout", severity: "medium", reason: "limit of 1ms: 5 bytes"},
		{name: "silent", limits: Limits{ReadTimeout: time.Millisecond}, rule: "request.timeout", severity: "medium", reason: "0 bytes"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := start(t, func(d *daemon) { d.Limits = tc.limits })
			c := d.dial(t, "")
			for _, part := range tc.send {
				if _, err := c.Write([]byte(part)); err != nil {
					t.Fatalf("the client could not send: %v", err)
				}
			}
			if tc.end {
				c.CloseWrite()
			}
			resp := answer(t, c)
			if resp.RuleID != tc.rule || resp.Severity != tc.severity || !strings.Contains(resp.Reason, tc.reason) {
				t.Errorf("answered %s, %s: %s", resp.RuleID, resp.Severity, resp.Reason)
			}
			c.Close()
			d.wait(t, 1)
			if d.redact.recorded() != 1 {
				t.Fatalf("recorded %d times", d.redact.recorded())
			}
			if got := d.redact.raws[0]; tc.raw != "" && got != tc.raw {
				t.Errorf("the chain got %.60q (%d bytes), want %.60q (%d)", got, len(got), tc.raw, len(tc.raw))
			}
			if s := d.Stats(); s.Accepted != 1 || s.Answered != 1 || s.Open != 0 {
				t.Errorf("stats: %+v", s)
			}
		})
	}
}

// One byte after another, never pausing: the deadline is that of the whole
// request.
func TestDeadlineIsOfTheWholeRequest(t *testing.T) {
	d := start(t, func(d *daemon) {
		d.Limits = Limits{ReadTimeout: 20 * time.Millisecond, RequestBytes: 64 << 20}
	})
	c := d.dial(t, "{")
	answered := make(chan *enforcementv1.DecisionResponse)
	go func() { answered <- answer(t, c) }()
	for {
		select {
		case resp := <-answered:
			if resp.RuleID != "request.timeout" {
				t.Errorf("answered %s", resp.RuleID)
			}
			return
		default:
			c.Write([]byte(" "))
		}
	}
}

func TestWhatComesLaterIsDrained(t *testing.T) {
	d := start(t, func(d *daemon) { d.DrainTimeout = 30 * time.Second })
	c := d.dial(t, good)
	if resp := answer(t, c); resp.Decision != "allow" {
		t.Fatalf("answered %+v", resp)
	}
	if _, err := c.Write(make([]byte, 4<<20)); err != nil {
		t.Errorf("sending after the answer: %v", err)
	}
	c.Close()
	d.wait(t, 1)
	if d.redact.recorded() != 1 {
		t.Errorf("recorded %d times", d.redact.recorded())
	}
}

func TestDrainIsBounded(t *testing.T) {
	for name, change := range map[string]func(*daemon){
		"in bytes": func(d *daemon) { d.DrainBytes, d.DrainTimeout = 1<<20, time.Hour },
		"in time":  func(d *daemon) { d.DrainBytes, d.DrainTimeout = 1<<40, 20*time.Millisecond },
	} {
		t.Run(name, func(t *testing.T) {
			d := start(t, change)
			c := d.dial(t, good)
			for {
				if _, err := c.Write(make([]byte, 64<<10)); err != nil {
					break // closed by the server, though we never stopped
				}
			}
			// The answer can be read all the same; only then comes the reset.
			line, err := bufio.NewReader(c).ReadBytes('\n')
			if _, bad := enforcementv1.DecodeResponse(line); err != nil || bad != nil {
				t.Errorf("read %q, %v, %v", line, err, bad)
			}
			d.wait(t, 1)
		})
	}
}

func TestGonePeersAreNoRequests(t *testing.T) {
	d := start(t, nil)
	for range 20 {
		d.dial(t, "").Close()
	}
	d.wait(t, 20)
	if s := d.Stats(); s.Accepted != 20 || d.redact.recorded()+int(s.Gone) != 20 {
		t.Errorf("recorded %d, stats %+v", d.redact.recorded(), s)
	} else if d.redact.recorded() != 0 && peersKnown {
		t.Errorf("recorded %d peers that were gone", d.redact.recorded())
	}
}

func TestEarlyCloseAtEveryPoint(t *testing.T) {
	d := start(t, nil)
	for i := range len(good) + 1 {
		d.dial(t, good[:i]).Close()
	}
	d.wait(t, len(good)+1)
	if got := d.redact.recorded(); got != len(good) {
		t.Errorf("recorded %d requests, want one for each that had a byte: %d", got, len(good))
	}
	if _, err := d.client.Evaluate(t.Context(), fakeRequest); err != nil {
		t.Error(err)
	}
}

func TestConnectionLimit(t *testing.T) {
	d := start(t, func(d *daemon) { d.MaxConnections = 3 })
	var open []*net.UnixConn
	for range 3 {
		open = append(open, d.dial(t, "{"))
	}
	for range 2 {
		c := d.dial(t, "")
		resp := answer(t, c)
		if resp.RuleID != "server.overloaded" || resp.Severity != "high" || resp.Decision != "block" {
			t.Errorf("answered %+v", resp)
		}
		for _, ref := range resp.EvidenceRefs {
			if strings.HasPrefix(ref, "go-daemon-evidence://") {
				t.Errorf("refers to a record: %s", ref)
			}
		}
		c.Close()
		d.wait(t, 1)
	}
	if d.redact.recorded() != 0 || d.Stats().Overloaded != 2 {
		t.Errorf("recorded %d, stats %+v", d.redact.recorded(), d.Stats())
	}
	open[0].Close()
	d.wait(t, 1)
	if resp, err := d.client.Evaluate(t.Context(), fakeRequest); err != nil || resp.Decision != "allow" {
		t.Errorf("with room again: %+v, %v", resp, err)
	}
}

// More refused at once than are seen to in full: each is answered all the same.
func TestFloodOverTheLimitIsAnswered(t *testing.T) {
	d := start(t, func(d *daemon) { d.MaxConnections, d.DrainTimeout = 1, time.Minute })
	d.dial(t, "{")
	var refused []*net.UnixConn
	for range maxRefusals + 20 {
		c := d.dial(t, "")
		c.Write([]byte(good)) // one that is refused hastily may be closed by now
		refused = append(refused, c)
	}
	for _, c := range refused {
		line, err := bufio.NewReader(c).ReadBytes('\n')
		if resp, bad := enforcementv1.DecodeResponse(line); bad != nil || resp.RuleID != "server.overloaded" {
			t.Fatalf("read %q, %v", line, err)
		}
	}
	if s := d.Stats(); s.Overloaded != maxRefusals+20 || s.Open > maxRefusals+1 {
		t.Errorf("stats %+v", s)
	}
	for _, c := range refused {
		c.Close()
	}
	d.wait(t, maxRefusals)
}

// hold makes evaluate wait, and returns a channel that tells of each that waits
// and a function that lets all go.
func (d *daemon) hold() (waits chan struct{}, release func()) {
	waits, gate := make(chan struct{}, 1000), make(chan struct{})
	d.evaluate.before = func(context.Context, *pipeline.Exchange) {
		waits <- struct{}{}
		<-gate
	}
	return waits, sync.OnceFunc(func() { close(gate) })
}

func TestUserLimit(t *testing.T) {
	if !peersKnown {
		t.Skip("this system does not tell which user connects")
	}
	var waits chan struct{}
	var release func()
	d := start(t, func(d *daemon) { d.MaxConnectionsPerUser = 2; waits, release = d.hold() })
	defer release()
	d.dial(t, good)
	d.dial(t, good)
	<-waits
	<-waits
	if resp := answer(t, d.dial(t, good)); resp.RuleID != "server.overloaded" || !strings.Contains(resp.Reason, fmt.Sprint("user ", os.Geteuid())) {
		t.Errorf("answered %s: %s", resp.RuleID, resp.Reason)
	}
}

func TestPeerDenied(t *testing.T) {
	if !peersKnown {
		t.Skip("this system does not tell which user connects")
	}
	d := start(t, func(d *daemon) { d.AllowedUsers = []uint32{uint32(os.Geteuid()) + 4242} })
	c := d.dial(t, good)
	resp := answer(t, c)
	if resp.RuleID != "peer.denied" || resp.Severity != "critical" || resp.Decision != "block" {
		t.Errorf("answered %+v", resp)
	}
	c.Close()
	d.wait(t, 1)
	if d.redact.recorded() != 0 || d.Stats().Denied != 1 {
		t.Errorf("recorded %d, stats %+v", d.redact.recorded(), d.Stats())
	}
}

func TestPeerReachesTheChain(t *testing.T) {
	d := start(t, nil)
	if _, err := d.client.Evaluate(t.Context(), fakeRequest); err != nil {
		t.Fatal(err)
	}
	d.wait(t, 1)
	want := pipeline.Peer{}
	if peersKnown {
		want = pipeline.Peer{Known: true, PID: int32(os.Getpid()), UID: uint32(os.Geteuid()), GID: uint32(os.Getegid())}
	}
	if d.redact.last != want {
		t.Errorf("the chain was told %+v, want %+v", d.redact.last, want)
	}
}

func TestMemoryForLargeRequests(t *testing.T) {
	var waits chan struct{}
	var release func()
	d := start(t, func(d *daemon) {
		d.MaxBytesInFlight = 1 // room for one large request
		d.Limits.ReadTimeout = 50 * time.Millisecond
		waits, release = d.hold()
	})
	defer release()
	first := d.dial(t, object(200_000))
	<-waits
	second := d.dial(t, object(200_000))
	if resp := answer(t, second); resp.RuleID != "server.overloaded" || !strings.Contains(resp.Reason, "memory") {
		t.Errorf("without room: %s: %s", resp.RuleID, resp.Reason)
	}
	small := d.dial(t, good)
	<-waits // it got through: small requests need no share
	release()
	for _, c := range []*net.UnixConn{first, small} {
		if resp := answer(t, c); resp.Decision != "allow" {
			t.Errorf("answered %+v", resp)
		}
	}
	if got := d.redact.recorded(); got != 2 {
		t.Errorf("recorded %d, want 2", got)
	}
}

// A client that has its answer and stays holds up nobody's large request.
func TestMemoryIsGivenBackBeforeTheDrain(t *testing.T) {
	d := start(t, func(d *daemon) { d.MaxBytesInFlight, d.DrainTimeout = 1, time.Minute })
	for range 3 {
		c := d.dial(t, object(200_000))
		if resp := answer(t, c); resp.Decision != "allow" {
			t.Fatalf("answered %+v", resp)
		}
	}
}

func TestRefusalsDoNotFillTheLog(t *testing.T) {
	var log bytes.Buffer
	d := start(t, func(d *daemon) {
		d.MaxConnections, d.Log = 1, hclog.New(&hclog.LoggerOptions{Output: &log})
	})
	d.dial(t, "{")
	begun := time.Now()
	for range 100 {
		c := d.dial(t, "")
		answer(t, c)
		c.Close()
		d.wait(t, 1)
	}
	if err := d.stop(); err != nil {
		t.Error(err)
	}
	lines := strings.Count(log.String(), "refused")
	if most := 1 + int(time.Since(begun)/time.Second); lines < 1 || lines > most {
		t.Errorf("%d lines for 100 refusals, want 1 to %d:\n%s", lines, most, &log)
	}
}

// However little memory there is, requests that wait for each other's share are
// all answered in the end.
func TestLargeRequestsTakeTurns(t *testing.T) {
	d := start(t, func(d *daemon) { d.MaxBytesInFlight, d.Limits.ReadTimeout = 2<<20, time.Minute })
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			resp, err := d.client.EvaluateBytes(t.Context(), []byte(object(1<<20)))
			if err != nil || resp.Decision != "allow" {
				t.Errorf("answered %+v, %v", resp, err)
			}
		})
	}
	wg.Wait()
}

func TestStopAnswersThoseWhoAreConnected(t *testing.T) {
	var waits chan struct{}
	var release func()
	d := start(t, func(d *daemon) { waits, release = d.hold() })
	busy := d.dial(t, good)
	<-waits
	silent := d.dial(t, "")
	begun := d.dial(t, `{"a":`)

	stopped := make(chan error)
	go func() { stopped <- d.stop() }()
	for _, c := range []*net.UnixConn{silent, begun} {
		if resp := answer(t, c); resp.RuleID != "request.timeout" || !strings.Contains(resp.Reason, "is ending") {
			t.Errorf("answered %s: %s", resp.RuleID, resp.Reason)
		}
		c.Close()
	}
	if _, err := net.Dial("unix", d.path); err == nil {
		t.Error("the socket still takes connections")
	}
	if _, err := Listen(d.path); !errors.Is(err, ErrLocked) {
		t.Errorf("a successor may begin while we answer: %v", err)
	}
	release()
	if resp := answer(t, busy); resp.Decision != "allow" {
		t.Errorf("answered %+v", resp)
	}
	if err := <-stopped; err != nil {
		t.Errorf("Serve: %v", err)
	}
	l, err := Listen(d.path)
	if err != nil {
		t.Fatalf("a successor: %v", err)
	}
	l.Close()
}

func TestGraceEnds(t *testing.T) {
	entered := make(chan struct{})
	d := start(t, func(d *daemon) {
		d.Grace = 10 * time.Millisecond
		d.evaluate.before = func(ctx context.Context, _ *pipeline.Exchange) {
			close(entered)
			<-ctx.Done() // a stage that waits for something outside
		}
	})
	d.dial(t, good)
	<-entered
	if err := d.stop(); err != nil {
		t.Errorf("Serve: %v", err)
	}
}

func TestServeSaysWhichExchangesDidNotEnd(t *testing.T) {
	var waits chan struct{}
	var release func()
	d := start(t, func(d *daemon) { d.Grace = 10 * time.Millisecond; waits, release = d.hold() })
	d.dial(t, good)
	<-waits
	if err := d.stop(); err == nil || !strings.Contains(err.Error(), "1 exchanges did not end") {
		t.Errorf("Serve: %v", err)
	}
	release()
	d.wait(t, 1)
	d.stop = func() error { return nil } // its error was what we wanted
}

func TestServeNeedsAChain(t *testing.T) {
	l, err := Listen(privateDir(t) + "/s")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := new(Server).Serve(t.Context(), l); err == nil || !strings.Contains(err.Error(), "set Server.Chain") {
		t.Errorf("Serve: %v", err)
	}
}

func TestServeEndsWhenTheListenerIsClosed(t *testing.T) {
	l, err := Listen(privateDir(t) + "/s")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	if err := (&Server{Chain: chainOf(t)}).Serve(t.Context(), l); err == nil || !strings.Contains(err.Error(), "was closed while") {
		t.Errorf("Serve: %v", err)
	}
}

// panicky panics where the server logs a refusal: a bug inside conn.
type panicky struct {
	hclog.Logger
	said chan string
}

func (panicky) Warn(string, ...any)              { panic("a bug") }
func (p panicky) Error(msg string, _ ...any)     { p.said <- msg }
func (p panicky) Named(string) hclog.Logger      { return p }
func (p panicky) ResetNamed(string) hclog.Logger { return p }

func TestABugEndsOneConnectionOnly(t *testing.T) {
	if !peersKnown {
		t.Skip("the bug is planted where a peer is denied, and this system does not tell peers")
	}
	log := panicky{hclog.NewNullLogger(), make(chan string, 1)}
	d := start(t, func(d *daemon) { d.Log, d.AllowedUsers = log, []uint32{uint32(os.Geteuid()) + 1} })
	if b, err := io.ReadAll(d.dial(t, "")); len(b) != 0 || err != nil {
		t.Errorf("read %q, %v", b, err)
	}
	d.wait(t, 1)
	if said := <-log.said; !strings.Contains(said, "panic") || d.Stats().Panics != 1 {
		t.Errorf("logged %q, stats %+v", said, d.Stats())
	}
}

func TestMain(m *testing.M) {
	if beChild() {
		return
	}
	goleak.VerifyTestMain(thenStop{m})
}

// AfterExamples ends what the examples serve.
var AfterExamples = func() {}

// thenStop runs the tests and ends what the examples began, before leaks are
// looked for.
type thenStop struct{ *testing.M }

func (t thenStop) Run() int {
	defer func() { AfterExamples() }()
	return t.M.Run()
}
