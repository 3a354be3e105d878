//go:build unix

package conn

import (
	"io"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// hostile are ways to treat a connection badly. Each closes it.
var hostile = []func(r *rand.Rand, c *net.UnixConn){
	func(*rand.Rand, *net.UnixConn) {},                                                    // gone at once
	func(_ *rand.Rand, c *net.UnixConn) { c.CloseWrite(); io.ReadAll(c) },                 // nothing to say
	func(r *rand.Rand, c *net.UnixConn) { io.WriteString(c, good[:r.IntN(len(good)+1)]) }, // hangs up early
	func(_ *rand.Rand, c *net.UnixConn) { io.WriteString(c, good) },                       // does not read
	func(r *rand.Rand, c *net.UnixConn) { // noise
		b := make([]byte, r.IntN(8<<10))
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		c.Write(b)
		c.CloseWrite()
		io.ReadAll(c)
	},
	func(r *rand.Rand, c *net.UnixConn) { // noise in an object, and never an end
		io.WriteString(c, `{"a":"`+strings.Repeat("\\u0000", r.IntN(2000)))
	},
	func(r *rand.Rand, c *net.UnixConn) { // deep
		io.WriteString(c, strings.Repeat(`{"a":`, r.IntN(100)))
		c.CloseWrite()
		io.ReadAll(c)
	},
	func(r *rand.Rand, c *net.UnixConn) { // in small pieces
		for i := 0; i < len(good); {
			next := min(len(good), i+1+r.IntN(8))
			io.WriteString(c, good[i:next])
			i = next
		}
		io.ReadAll(c)
	},
	func(r *rand.Rand, c *net.UnixConn) { // larger than the first buffer, left unread
		io.WriteString(c, object(smallBuffer+r.IntN(8*smallBuffer)))
	},
	func(_ *rand.Rand, c *net.UnixConn) { // reads one byte of the answer
		io.WriteString(c, good)
		c.Read(make([]byte, 1))
	},
	func(_ *rand.Rand, c *net.UnixConn) { // hears nothing
		c.CloseRead()
		io.WriteString(c, good)
	},
	func(r *rand.Rand, c *net.UnixConn) { // keeps talking
		io.WriteString(c, good)
		c.Write(make([]byte, r.IntN(300<<10)))
		io.ReadAll(c)
	},
}

func TestTenThousandHostileConnections(t *testing.T) {
	const workers, each = 20, 500
	d := start(t, nil)
	if _, err := d.client.Evaluate(t.Context(), fakeRequest); err != nil {
		t.Fatal(err)
	}
	d.wait(t, 1)
	descriptors, goroutines := countDescriptors(t), runtime.NumGoroutine()

	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(1, uint64(w)))
			for range each {
				c, err := net.DialUnix("unix", nil, &net.UnixAddr{Net: "unix", Name: d.path})
				if err != nil {
					t.Error(err)
					return
				}
				c.SetDeadline(time.Now().Add(30 * time.Second))
				hostile[r.IntN(len(hostile))](r, c)
				c.Close()
			}
		})
	}
	wg.Wait()
	d.wait(t, workers*each)
	if resp, err := d.client.Evaluate(t.Context(), fakeRequest); err != nil || resp.Decision != "allow" {
		t.Errorf("a good request is answered %+v, %v", resp, err)
	}
	d.wait(t, 1)
	if now := countDescriptors(t); now > descriptors {
		t.Errorf("%d descriptors are open, %d were before", now, descriptors)
	}
	// Idle sessions wait for further connections; TestMain sees that they end
	// with the server.
	if now := runtime.NumGoroutine(); now > goroutines+maxIdle {
		t.Errorf("%d goroutines run, %d did before", now, goroutines)
	}
	if s := d.Stats(); s.Open != 0 || s.Panics != 0 || s.Accepted != workers*each+2 ||
		s.Answered+s.Unanswered+s.Gone != s.Accepted || d.redact.recorded()+int(s.Gone) != int(s.Accepted) {
		t.Errorf("the numbers do not add up: recorded %d, %+v", d.redact.recorded(), s)
	}
}

func countDescriptors(t testing.TB) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip("this system has no /proc/self/fd to count descriptors in")
	}
	return len(entries)
}

// Five hundred connections say nothing, and one asks.
func TestIdleConnectionsDoNotHinder(t *testing.T) {
	d := start(t, func(d *daemon) { d.Limits.ReadTimeout = time.Minute })
	for range 500 {
		d.dial(t, "")
	}
	if resp, err := d.client.Evaluate(t.Context(), fakeRequest); err != nil || resp.Decision != "allow" {
		t.Errorf("answered %+v, %v", resp, err)
	}
}

// Clients that do not read a long answer are not waited for beyond the limit.
func TestUnreadAnswersAreGivenUp(t *testing.T) {
	d := start(t, func(d *daemon) { d.WriteTimeout = time.Millisecond; d.redact.long = true })
	d.dial(t, good)
	d.wait(t, 1)
	if s := d.Stats(); s.Unanswered != 1 {
		t.Errorf("stats %+v", s)
	}
}
