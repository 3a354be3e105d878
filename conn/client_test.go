package conn

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	enforcementv1 "github.com/Huzefaaa2/cavra/go/cavra-runtime/enforcement/v1"
	"github.com/Huzefaaa2/cavra/go/cavra-runtime/pipeline"
)

// impostor serves a socket with what serve does to each connection.
func impostor(t *testing.T, serve func(c net.Conn)) string {
	t.Helper()
	path := privateDir(t) + "/s"
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer c.Close()
				serve(c)
			})
		}
	})
	t.Cleanup(func() { l.Close(); wg.Wait() })
	return path
}

// read takes in one request.
func read(c net.Conn) { _, _ = ReadFrom(c, Limits{}) }

func TestClientErrors(t *testing.T) {
	valid := string((&enforcementv1.DecisionResponse{Decision: "allow", Severity: "low", RuleID: "x"}).AppendJSON(nil))
	for _, tc := range []struct {
		name   string
		client Client
		serve  func(c net.Conn)
		want   error
		says   string
	}{
		{"no socket", Client{Socket: privateDir(t) + "/none"}, nil, ErrNoDaemon, "start the runtime"},
		{"a path too long", Client{Socket: strings.Repeat("x", 300)}, nil, ErrNoDaemon, "has 300 bytes"},
		{"an abstract socket", Client{Socket: "@x"}, nil, ErrNoDaemon, "begins with @"},
		{"closed at once", Client{}, func(net.Conn) {}, ErrNoAnswer, "see the runtime's log"},
		{"closed after the request", Client{}, read, ErrNoAnswer, "it closed the connection"},
		{"a cut-off answer", Client{}, func(c net.Conn) { read(c); c.Write([]byte(valid[:20])) }, ErrNoAnswer, "cut off after 20 bytes"},
		{"no JSON", Client{}, func(c net.Conn) { read(c); c.Write([]byte("allow\n")) }, ErrNoAnswer, "not a JSON object"},
		{"another object", Client{}, func(c net.Conn) { read(c); c.Write([]byte(`{"decision":1}`)) }, ErrNoAnswer, "cannot be read"},
		{"an endless answer", Client{MaxResponseBytes: 1000}, func(c net.Conn) {
			read(c)
			for {
				if _, err := c.Write([]byte("           ")); err != nil {
					return
				}
			}
		}, ErrNoAnswer, "limit of 1000 bytes"},
		{"silent", Client{Timeout: 5 * time.Millisecond}, func(c net.Conn) { read(c); c.Read(make([]byte, 1)); c.Read(make([]byte, 1)) }, nil, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if tc.serve != nil && tc.want != nil {
				tc.client.Socket = impostor(t, tc.serve)
			} else if tc.serve != nil { // it never answers
				d := start(t, func(d *daemon) {
					d.evaluate.before = func(ctx context.Context, _ *pipeline.Exchange) { <-ctx.Done() }
					d.Grace = time.Millisecond
				})
				tc.client.Socket, tc.want, tc.says = d.path, ErrTimeout, "overloaded or stopped"
			}
			_, err := tc.client.Evaluate(t.Context(), fakeRequest)
			for _, kind := range []error{ErrNoDaemon, ErrTimeout, ErrNoAnswer, ErrUntrustedServer} {
				if errors.Is(err, kind) != (kind == tc.want) {
					t.Errorf("errors.Is(%v, %v) = %v", err, kind, errors.Is(err, kind))
				}
			}
			if err == nil || !strings.Contains(err.Error(), tc.says) || !strings.Contains(err.Error(), "treat the action as blocked") {
				t.Errorf("the error says %v, want %q in it", err, tc.says)
			}
		})
	}
}

func TestClientSendsNothingToAnUntrustedServer(t *testing.T) {
	if !peersKnown {
		t.Skip("this system does not tell who serves a socket")
	}
	d := start(t, nil)
	d.client.TrustedUsers = []uint32{uint32(os.Geteuid()) + 1}
	_, err := d.client.Evaluate(t.Context(), fakeRequest)
	if !errors.Is(err, ErrUntrustedServer) || !strings.Contains(err.Error(), fmt.Sprint("process ", os.Getpid())) {
		t.Errorf("Evaluate: %v", err)
	}
	d.wait(t, 1)
	if d.Stats().Gone != 1 {
		t.Errorf("something was sent: %+v", d.Stats())
	}
}

func TestClientHeedsItsContext(t *testing.T) {
	var waits chan struct{}
	var release func()
	d := start(t, func(d *daemon) { waits, release = d.hold() })
	defer release()

	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-waits; cancel() }()
	if _, err := d.client.Evaluate(ctx, fakeRequest); !errors.Is(err, context.Canceled) || errors.Is(err, ErrTimeout) {
		t.Errorf("cancelled: %v", err)
	}
	if _, err := d.client.Evaluate(ctx, fakeRequest); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled before: %v", err)
	}
	ctx, cancel = context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if _, err := d.client.Evaluate(ctx, fakeRequest); !errors.Is(err, ErrTimeout) || !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("past its deadline: %v", err)
	}
}

func TestClientReadsARefusalWhileItSends(t *testing.T) {
	d := start(t, nil)
	resp, err := d.client.EvaluateBytes(t.Context(), []byte(object(12<<20)))
	if err != nil || resp.RuleID != "request.too_large" {
		t.Errorf("answered %+v, %v", resp, err)
	}
	resp, err = d.client.EvaluateBytes(t.Context(), append([]byte("["), make([]byte, 12<<20)...))
	if err != nil || resp.RuleID != "request.invalid" {
		t.Errorf("answered %+v, %v", resp, err)
	}
}

func TestClientPassesBytesOn(t *testing.T) {
	for _, raw := range []string{"", " ", "{", "nonsense", good + "x"} {
		t.Run(raw, func(t *testing.T) {
			d := start(t, nil)
			resp, err := d.client.EvaluateBytes(t.Context(), []byte(raw))
			if err != nil || resp.RuleID != "request.invalid" {
				t.Fatalf("answered %+v, %v", resp, err)
			}
			if d.redact.raws[0] != raw {
				t.Errorf("the chain got %q", d.redact.raws[0])
			}
		})
	}
}

func TestClientIsSafeForManyGoroutines(t *testing.T) {
	d := start(t, nil)
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() {
			for range 10 {
				if resp, err := d.client.Evaluate(t.Context(), fakeRequest); err != nil || resp.Decision != "allow" {
					t.Errorf("answered %+v, %v", resp, err)
				}
			}
		})
	}
	wg.Wait()
}
