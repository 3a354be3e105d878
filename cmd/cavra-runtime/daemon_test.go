//go:build linux

package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/Huzefaaa2/cavra/go/cavra-runtime/conn"
)

// A process is a daemon under test, at the other end of a socket.
type process struct {
	socket string
	pid    int
	took   time.Duration // from its start to its first answer
	log    *bytes.Buffer // complete once stopped
	stop   func()        // ends it with SIGTERM and waits; may be called twice
}

// startRuntime starts the command itself as a daemon, with its socket in a
// directory of the test's own.
func startRuntime(t testing.TB, env []string, args ...string) *process {
	t.Helper()
	dir := t.TempDir()
	socket := filepath.Join(dir, "run", "s")
	return start(t, socket, env, "cavra-runtime", append([]string{"--serve", "--socket", socket, "--workspace", dir}, args...)...)
}

// startEcho starts the daemon that everything is measured against: it accepts,
// reads once, writes the prepared bytes and closes.
func startEcho(t testing.TB, response []byte) *process {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "s")
	return start(t, socket, nil, "echo-daemon", socket, string(response))
}

func start(t testing.TB, socket string, env []string, name string, args ...string) *process {
	t.Helper()
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), name, args...)
	cmd.Env = append(os.Environ(), env...)
	p := &process{socket: socket, log: new(bytes.Buffer)}
	cmd.Stderr = p.log
	began := time.Now()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p.pid = cmd.Process.Pid
	p.stop = sync.OnceFunc(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil && name != "echo-daemon" {
			t.Errorf("%s ended with %v:\n%s", name, err, p.log)
		}
	})
	t.Cleanup(p.stop)
	for {
		if answer, err := ask(socket, []byte("{\"action_type\":\"read_file\",\"target\":\"README.md\"}\n")); err == nil && len(answer) > 0 {
			p.took = time.Since(began)
			return p
		}
		if time.Since(began) > 10*time.Second {
			t.Fatalf("%s does not answer", name)
		}
		time.Sleep(time.Millisecond) // between two looks at the condition
	}
}

// ask is the leanest client: dial, write, read to the end, close.
func ask(socket string, request []byte) ([]byte, error) {
	c, err := net.Dial("unix", socket)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	if _, err := c.Write(request); err != nil {
		return nil, err
	}
	return io.ReadAll(c)
}

// A client sends one request and reads the answer.
type client func(socket string, request []byte) error

// library asks as Go programs and --daemon do.
func library(socket string, request []byte) error {
	c := conn.Client{Socket: socket}
	_, err := c.EvaluateBytes(context.Background(), request)
	return err
}

// load sends requests from so many clients at once and returns the time it took.
func load(t testing.TB, ask client, socket string, request []byte, clients, requests int) time.Duration {
	t.Helper()
	var wg sync.WaitGroup
	began := time.Now()
	for c := range clients {
		wg.Go(func() {
			for i := c; i < requests; i += clients {
				if err := ask(socket, request); err != nil {
					t.Errorf("request %d: %v", i, err)
					return
				}
			}
		})
	}
	wg.Wait()
	return time.Since(began)
}

var answers = sync.Pool{New: func() any { b := make([]byte, 8<<10); return &b }}

// bare asks as nc does: it writes, reads a line and hangs up, and never ends its
// half of the connection before.
func bare(socket string, request []byte) error {
	c, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: socket, Net: "unix"})
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err := c.Write(request); err != nil {
		return err
	}
	b := answers.Get().(*[]byte)
	defer answers.Put(b)
	for n := 0; n == 0 || (*b)[n-1] != '\n'; {
		read, err := c.Read((*b)[n:])
		if err != nil {
			return err
		}
		n += read
	}
	return nil
}

// resident is the resident memory of a process, now or at its highest (VmRSS,
// VmHWM), in bytes.
func resident(t testing.TB, pid int, field string) int64 {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(string(status), "\n") {
		if rest, ok := strings.CutPrefix(line, field+":"); ok {
			kib, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return kib << 10
		}
	}
	t.Fatalf("/proc/%d/status holds no %s", pid, field)
	return 0
}

// cpu is the processor time that a process has used.
func cpu(t testing.TB, pid int) time.Duration {
	t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	// After the name in parentheses: state is the first field, utime and stime
	// are the 12th and 13th, in hundredths of a second.
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	var ticks time.Duration
	for _, f := range fields[11:13] {
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		ticks += time.Duration(n)
	}
	return ticks * 10 * time.Millisecond
}
