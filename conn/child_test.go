//go:build linux

package conn

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/sys/unix"

	"github.com/Huzefaaa2/cavra/go/cavra-runtime/pipeline"
)

// Variables that make the test binary a daemon.
const (
	childSocket = "CONN_TEST_SOCKET"
	childFiles  = "CONN_TEST_FILES" // the limit of descriptors
)

// beChild runs the test binary as a daemon of its own, where a test asked so.
func beChild() bool {
	path := os.Getenv(childSocket)
	if path == "" {
		return false
	}
	if n, err := strconv.ParseUint(os.Getenv(childFiles), 10, 32); err == nil {
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: n, Max: n}); err != nil {
			panic(err)
		}
	}
	chain, err := pipeline.New([]pipeline.Stage{copyingDecode{}, &fakeEvaluate{}, &copyingRedact{}}, pipeline.Options{})
	if err != nil {
		panic(err)
	}
	l, err := Listen(path)
	if err != nil {
		panic(err)
	}
	fmt.Println("listening")
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	if err := (&Server{Chain: chain, Log: hclog.New(&hclog.LoggerOptions{Output: os.Stderr})}).Serve(ctx, l); err != nil {
		panic(err)
	}
	l.Close()
	return true
}

// copyingDecode and copyingRedact hold as many copies of a request as the real
// stages do: decoded, redacted, answered, recorded.
type copyingDecode struct{ fakeDecode }

func (copyingDecode) Handle(_ context.Context, x *pipeline.Exchange) error {
	req := *fakeRequest
	req.Target = string(x.Raw())
	x.SetRequest(&req)
	return nil
}

type copyingRedact struct{ fakeRedact }

func (*copyingRedact) Handle(_ context.Context, x *pipeline.Exchange) error {
	resp, req := *x.Response(), *fakeRequest
	if x.Request() != nil {
		req.Target = strings.Clone(x.Request().Target)
		resp.Target = req.Target
	}
	x.SetRedacted(&req, &resp)
	sink.Lock()
	sink.n += len(resp.AppendJSON(req.AppendJSON(nil)))
	sink.Unlock()
	return nil
}

var sink struct {
	sync.Mutex
	n int
}

// child starts a daemon process and returns its client, its log and its pid.
func child(t *testing.T, env ...string) (*Client, *bufio.Reader, int) {
	t.Helper()
	path := privateDir(t) + "/s"
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(append(os.Environ(), childSocket+"="+path), env...)
	out, err := cmd.StdoutPipe()
	must(t, err)
	log, err := cmd.StderrPipe()
	must(t, err)
	must(t, cmd.Start())
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		io.Copy(io.Discard, log)
		if err := cmd.Wait(); err != nil {
			t.Errorf("the daemon ended with %v", err)
		}
	})
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "listening\n" {
		t.Fatalf("the daemon said %q, %v", line, err)
	}
	return &Client{Socket: path, Timeout: 30 * time.Second}, bufio.NewReader(log), cmd.Process.Pid
}

func TestRunningOutOfDescriptorsEndsNothing(t *testing.T) {
	client, log, _ := child(t, childFiles+"=24")
	var open []net.Conn
	for range 60 {
		c, err := net.Dial("unix", client.Socket)
		must(t, err)
		defer c.Close()
		open = append(open, c)
	}
	for {
		line, err := log.ReadString('\n')
		must(t, err)
		if strings.Contains(line, "cannot accept") {
			break
		}
	}
	for _, c := range open {
		c.Close()
	}
	// The daemon may take a moment to see that they are gone.
	for began := time.Now(); ; {
		resp, err := client.Evaluate(t.Context(), fakeRequest)
		if err == nil && resp.Decision == "allow" {
			return
		}
		if err != nil || resp.RuleID != "server.overloaded" || time.Since(began) > 30*time.Second {
			t.Fatalf("with descriptors again: %+v, %v", resp, err)
		}
	}
}

func TestMemoryOfOneThousandConnections(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector needs memory and time of its own, so the figure would say nothing")
	}
	client, _, pid := child(t)
	for range 1000 {
		c, err := net.Dial("unix", client.Socket)
		must(t, err)
		defer c.Close()
	}
	if _, err := client.Evaluate(t.Context(), fakeRequest); err != nil {
		t.Fatal(err)
	}
	expectResident(t, pid, 64)
}

func TestMemoryOfLargeRequestsAtOnce(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector needs memory and time of its own, so the figure would say nothing")
	}
	client, _, pid := child(t)
	for range 3 {
		var wg sync.WaitGroup
		for range 64 {
			wg.Go(func() {
				if resp, err := client.EvaluateBytes(t.Context(), []byte(object(1<<20))); err != nil || resp.Decision != "allow" {
					t.Errorf("answered %+v, %v", resp, err)
				}
			})
		}
		wg.Wait()
	}
	expectResident(t, pid, 256)
}

// expectResident compares the most memory that a process ever held resident
// with a limit in MiB.
func expectResident(t *testing.T, pid int, limit int) {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	must(t, err)
	_, rest, _ := strings.Cut(string(b), "VmHWM:")
	peak, err := strconv.Atoi(strings.Fields(rest)[0])
	must(t, err)
	t.Logf("at most %d MiB were resident; the limit is %d", peak>>10, limit)
	if peak>>10 >= limit {
		t.Errorf("%d MiB were resident, want less than %d", peak>>10, limit)
	}
}
