package conn

import (
	"bytes"
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	enforcementv1 "github.com/Huzefaaa2/cavra/go/cavra-runtime/enforcement/v1"
	"github.com/Huzefaaa2/cavra/go/cavra-runtime/pipeline"
)

// fakeDecode takes what holds one brace pair at its ends, and nothing else.
type fakeDecode struct{}

func (fakeDecode) Spec() pipeline.Spec {
	return pipeline.Spec{Name: "decode", Phase: pipeline.Decide, Gives: pipeline.FactRequest}
}

var (
	errFakeInvalid = pipeline.Block("request.invalid", "not one whole object")
	fakeRequest    = &enforcementv1.EvaluateRequest{ActionType: "read_file", Target: "a.txt"}
)

func (fakeDecode) Handle(_ context.Context, x *pipeline.Exchange) error {
	raw := bytes.TrimSpace(x.Raw())
	if len(raw) < 2 || raw[0] != '{' || raw[len(raw)-1] != '}' {
		return errFakeInvalid.Reasonf("not one whole object: %d bytes", len(raw))
	}
	x.SetRequest(fakeRequest)
	return nil
}

// fakeEvaluate allows; where a test sets before, it is called first.
type fakeEvaluate struct {
	before func(ctx context.Context, x *pipeline.Exchange)
}

func (*fakeEvaluate) Spec() pipeline.Spec {
	return pipeline.Spec{Name: "evaluate", Phase: pipeline.Decide, Needs: pipeline.FactRequest, Gives: pipeline.FactDecision}
}

func (f *fakeEvaluate) Handle(ctx context.Context, x *pipeline.Exchange) error {
	if f.before != nil {
		f.before(ctx, x)
	}
	x.SetDecision(pipeline.Decision{Decision: "allow", Severity: "low", RuleID: "filesystem.read.allow", Reason: "nothing stands against it", ActionType: "read_file", Target: "a.txt"})
	return nil
}

// fakeRedact keeps what it saw, where a test wants it.
type fakeRedact struct {
	keep bool
	long bool // answer with 4 MiB
	mu   sync.Mutex
	raws []string
	last pipeline.Peer
}

func (*fakeRedact) Spec() pipeline.Spec {
	return pipeline.Spec{Name: "redact", Phase: pipeline.Record, Gives: pipeline.FactRedacted}
}

func (f *fakeRedact) Handle(_ context.Context, x *pipeline.Exchange) error {
	if f.keep {
		f.mu.Lock()
		f.raws, f.last = append(f.raws, string(x.Raw())), x.Peer()
		f.mu.Unlock()
	}
	resp := *x.Response()
	if f.long {
		resp.Reason = strings.Repeat("x", 4<<20)
	}
	x.SetRedacted(&enforcementv1.EvaluateRequest{}, &resp)
	return nil
}

// recorded is how many exchanges went through the chain.
func (f *fakeRedact) recorded() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.raws)
}

// A daemon is a server under test.
type daemon struct {
	*Server
	path     string
	client   *Client
	redact   *fakeRedact
	evaluate *fakeEvaluate
	ended    chan struct{} // one value for each closed connection
	stop     func() error  // ends it and returns what Serve returned
}

// start serves a chain of fakes; change may set the server up first.
func start(t testing.TB, change func(*daemon)) *daemon {
	t.Helper()
	d := &daemon{
		path:     filepath.Join(privateDir(t), "s"),
		redact:   &fakeRedact{keep: true},
		evaluate: &fakeEvaluate{},
		Server:   &Server{},
		ended:    make(chan struct{}, 100_000),
	}
	d.client = &Client{Socket: d.path}
	if change != nil {
		change(d)
	}
	if d.ended != nil {
		d.Server.closed = func() { d.ended <- struct{}{} }
	}
	chain, err := pipeline.New([]pipeline.Stage{fakeDecode{}, d.evaluate, d.redact}, pipeline.Options{})
	if err != nil {
		t.Fatal(err)
	}
	d.Chain = chain
	l, err := Listen(d.path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- d.Serve(ctx, l) }()
	d.stop = sync.OnceValue(func() error {
		cancel()
		err := <-served
		l.Close()
		return err
	})
	t.Cleanup(func() {
		if err := d.stop(); err != nil && !t.Failed() {
			t.Errorf("Serve: %v", err)
		}
	})
	return d
}

// privateDir is a directory that Listen takes, with a short path.
func privateDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "conn")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// wait waits until n connections have ended.
func (d *daemon) wait(t testing.TB, n int) {
	t.Helper()
	for range n {
		select {
		case <-d.ended:
		case <-time.After(30 * time.Second):
			t.Fatal("a connection did not end within 30 s")
		}
	}
}

// dial connects and sends what is given.
func (d *daemon) dial(t testing.TB, send string) *net.UnixConn {
	t.Helper()
	c, err := net.DialUnix("unix", nil, &net.UnixAddr{Net: "unix", Name: d.path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(30 * time.Second))
	if send != "" {
		if _, err := c.Write([]byte(send)); err != nil {
			t.Fatal(err)
		}
	}
	return c
}
