package conn

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	enforcementv1 "github.com/Huzefaaa2/cavra/go/cavra-runtime/enforcement/v1"
)

// echo is a bare daemon: accept, one read, write the same answer, close.
func echo(b *testing.B, answer []byte) (path string) {
	path = privateDir(b) + "/echo"
	l, err := net.Listen("unix", path)
	if err != nil {
		b.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				var buf [4096]byte
				c.Read(buf[:])
				c.Write(answer)
				c.Close()
			}()
		}
	})
	b.Cleanup(func() { l.Close(); wg.Wait() })
	return path
}

// ask lets clients ask n questions between them and returns the time they took.
func ask(b *testing.B, c *Client, clients, n int) time.Duration {
	var wg sync.WaitGroup
	var left atomic.Int64
	left.Store(int64(n))
	begun := time.Now()
	for range clients {
		wg.Go(func() {
			req := &enforcementv1.EvaluateRequest{ActionType: "read_file", Target: "config/prod.pem"}
			for left.Add(-1) >= 0 {
				if _, err := c.Evaluate(context.Background(), req); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	return time.Since(begun)
}

// BenchmarkAgainstEcho compares the server, over a chain that does nothing, with
// a bare echo daemon: the same client, the same bytes, turn by turn in one run.
func BenchmarkAgainstEcho(b *testing.B) {
	d := start(b, func(d *daemon) { d.redact.keep, d.ended = false, nil })
	resp, err := d.client.Evaluate(context.Background(), fakeRequest)
	if err != nil {
		b.Fatal(err)
	}
	bare := &Client{Socket: echo(b, append(resp.AppendJSON(nil), '\n'))}
	for _, clients := range []int{1, 8} {
		b.Run(map[int]string{1: "one", 8: "eight"}[clients], func(b *testing.B) {
			const turn = 500
			var ours, theirs time.Duration
			for b.Loop() {
				theirs += ask(b, bare, clients, turn)
				ours += ask(b, d.client, clients, turn)
			}
			n := float64(b.N * turn)
			b.ReportMetric(float64(theirs)/float64(ours), "of-echo")
			b.ReportMetric(n/ours.Seconds(), "req/s")
			b.ReportMetric(n/theirs.Seconds(), "echo-req/s")
			b.ReportMetric(0, "ns/op")
		})
	}
}

func BenchmarkScanner(b *testing.B) {
	for name, in := range map[string]string{"small": good, "1MiB": object(1 << 20)} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(in)))
			var s scanner
			for b.Loop() {
				s.reset(64)
				if v, _ := s.scan([]byte(in)); v != complete {
					b.Fatal(v)
				}
			}
		})
	}
}
