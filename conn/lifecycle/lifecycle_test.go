//go:build unix

package lifecycle

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/Huzefaaa2/cavra/go/cavra-runtime/conn"
)

func TestFromStartToStop(t *testing.T) {
	d, c := daemonOf(t, "is well")
	if r := d.Status(t.Context()); r.Running || r.ProcessRunning || r.PID != 0 || r.Message != "the runtime is not running" {
		t.Errorf("before: %+v", r)
	}
	if r, err := d.Stop(t.Context()); err != nil || r.Running || r.Message != "the runtime is not running" {
		t.Errorf("stop of none: %+v, %v", r, err)
	}
	r, err := d.Start(t.Context(), c)
	if err != nil || !r.Running || !r.ProcessRunning || !r.SocketResponsive || r.PID == 0 || r.SocketPath != d.Socket || r.PIDPath != d.Socket+".pid" {
		t.Fatalf("start: %+v, %v", r, err)
	}
	if s := d.Status(t.Context()); !s.Running || s.PID != r.PID || s.Message != "the runtime is running" || len(s.Status) == 0 {
		t.Errorf("status: %+v", s)
	}
	if again, err := d.Start(t.Context(), c); !errors.Is(err, ErrRunning) || again.PID != r.PID || !again.Running {
		t.Errorf("a second start: %+v, %v", again, err)
	}
	if _, err := d.Reload(t.Context()); err == nil || !strings.Contains(err.Error(), "cannot reload") {
		t.Errorf("reload of what cannot: %v", err)
	}
	anew, err := d.Restart(t.Context(), c)
	if err != nil || !anew.Running || anew.PID == r.PID {
		t.Errorf("restart: %+v, %v", anew, err)
	}
	stopped, err := d.Stop(t.Context())
	if err != nil || stopped.Running || stopped.ProcessRunning || stopped.SocketResponsive || stopped.PID != anew.PID {
		t.Errorf("stop: %+v, %v", stopped, err)
	}
	for _, name := range []string{d.Socket, d.Socket + ".ctl", d.Socket + ".pid"} {
		if _, err := os.Lstat(name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is still there: %v", filepath.Base(name), err)
		}
	}
	if r, err := d.Restart(t.Context(), c); err != nil || !r.Running {
		t.Errorf("restart of none: %+v, %v", r, err)
	}
	_, err = d.Stop(t.Context())
	must(t, err)
}

// The report's members are those of the contract, in its order.
func TestTheReportsForm(t *testing.T) {
	d, _ := daemonOf(t, "is well")
	line, err := json.Marshal(d.Status(t.Context()))
	must(t, err)
	at := 0
	for _, member := range []string{"running", "pid", "socket_path", "pid_path", "process_running", "socket_responsive", "message"} {
		found := strings.Index(string(line), fmt.Sprintf("%q:", member))
		if found < at {
			t.Errorf("%s is not where it belongs in %s", member, line)
		}
		at = found
	}
}

func TestWhatTheStartedProcessGets(t *testing.T) {
	d, c := daemonOf(t, "is well")
	named, err := os.Create(filepath.Join(t.TempDir(), "named"))
	must(t, err)
	defer named.Close()
	r, w, err := os.Pipe()
	must(t, err)
	defer r.Close()
	defer w.Close()
	for _, f := range []*os.File{named, w} { // as a shell would leave them to us
		_, _, errno := syscall.Syscall(syscall.SYS_FCNTL, f.Fd(), syscall.F_SETFD, 0)
		if errno != 0 {
			t.Fatal(errno)
		}
	}
	c.Keep = []int{int(named.Fd())}
	c.Env = append(c.Env, "LIFECYCLE_TEST_SECRET=by the environment")
	report, err := d.Start(t.Context(), c)
	must(t, err)
	var got map[string]string
	must(t, json.Unmarshal(report.Status, &got))
	for name, want := range map[string]string{
		"leader": "true", "fds": fmt.Sprintf("%d=named", named.Fd()), "stdin": "/dev/null", "stdout": "s.log", "secret": "by the environment",
	} {
		if _, err := os.Stat("/proc/self/fd"); err != nil && name != "leader" && name != "secret" {
			continue // this system names no descriptor's file
		}
		if got[name] != want {
			t.Errorf("%s is %q, want %q", name, got[name], want)
		}
	}
	_, err = d.Stop(t.Context())
	must(t, err)
}

func TestAStartThatFails(t *testing.T) {
	for _, tc := range []struct {
		mood  string
		wants []string
	}{
		{"fails", []string{"ended before it was ready (exit status 1)", "\n  first line\n  the policy is faulty?[2J"}},
		{"is silent", []string{"exit status 1", "wrote nothing to its log"}},
		{"hangs", []string{"not ready within", "--lifecycle-timeout", "\n  thinking"}},
	} {
		t.Run(tc.mood, func(t *testing.T) {
			d, c := daemonOf(t, tc.mood)
			must(t, os.WriteFile(d.Socket+".log", []byte("of an earlier start\n"), 0o600))
			if tc.mood == "hangs" {
				d.Timeout = 300 * time.Millisecond
			}
			r, err := d.Start(t.Context(), c)
			var failed *StartError
			if !errors.As(err, &failed) || r.Running || strings.Contains(r.Message, "\n") {
				t.Fatalf("%+v, %v", r, err)
			}
			for _, want := range tc.wants {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q does not say %q", err, want)
				}
			}
			if strings.Contains(err.Error(), "earlier") {
				t.Errorf("%q shows what another start wrote", err)
			}
			if s := d.Status(t.Context()); s.ProcessRunning {
				t.Errorf("it was left behind: %+v", s)
			}
			must(t, childless())
		})
	}
}

// childless returns an error where this process has a child that does not end;
// those of earlier tests may be about to.
func childless() error {
	for deadline := time.Now().Add(10 * time.Second); ; {
		pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil)
		if errors.Is(err, syscall.ECHILD) {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("there is a child: %d, %w", pid, err)
		}
	}
}

func TestAStartThatIsRefused(t *testing.T) {
	for _, tc := range []struct {
		name  string
		do    func(t *testing.T, d *Daemon, c *Command)
		wants string
	}{
		{"the socket's path is too long", func(t *testing.T, d *Daemon, c *Command) { d.Socket = "/" + strings.Repeat("d", 200) }, "bytes and this system takes"},
		{"no room for the control socket", func(t *testing.T, d *Daemon, c *Command) {
			d.Socket = filepath.Dir(d.Socket) + "/" + strings.Repeat("d", 103-len(filepath.Dir(d.Socket)))
		}, "beside the socket stands the control socket"},
		{"its directory is a file", func(t *testing.T, d *Daemon, c *Command) { d.Socket = os.Args[0] + "/s" }, "not a directory"},
		{"its directory is open to others", func(t *testing.T, d *Daemon, c *Command) { must(t, os.Chmod(filepath.Dir(d.Socket), 0o777)) }, "open to other users"},
		{"the socket is a directory", func(t *testing.T, d *Daemon, c *Command) { must(t, os.Mkdir(d.Socket, 0o700)) }, "is not a socket"},
		{"the pid file is something else", func(t *testing.T, d *Daemon, c *Command) {
			must(t, os.WriteFile(d.Socket+".pid", []byte("notes\n"), 0o600))
		}, "is no pid file"},
		{"the pid file is a link", func(t *testing.T, d *Daemon, c *Command) { must(t, os.Symlink("elsewhere", d.Socket+".pid")) }, "is no pid file"},
		{"the log is a link", func(t *testing.T, d *Daemon, c *Command) { must(t, os.Symlink("elsewhere", d.Socket+".log")) }, "no link"},
		{"the log is a directory", func(t *testing.T, d *Daemon, c *Command) { must(t, os.Mkdir(d.Socket+".log", 0o700)) }, "log cannot be opened"},
		{"the log is a pipe", func(t *testing.T, d *Daemon, c *Command) { must(t, syscall.Mkfifo(d.Socket+".log", 0o600)) }, "not a plain file"},
		{"the log has another name", func(t *testing.T, d *Daemon, c *Command) {
			must(t, os.WriteFile(d.Socket+".other", nil, 0o600))
			must(t, os.Link(d.Socket+".other", d.Socket+".log"))
		}, "another name"},
		{"the log's directory is open to others", func(t *testing.T, d *Daemon, c *Command) {
			dir := filepath.Join(filepath.Dir(d.Socket), "open")
			must(t, os.Mkdir(dir, 0o700))
			must(t, os.Chmod(dir, 0o777))
			c.Log = dir + "/log"
		}, "log's directory"},
		{"no sockets are there, nor files", func(t *testing.T, d *Daemon, c *Command) {
			if _, err := os.Stat("/proc/self"); err != nil {
				t.Skip("this system has no /proc")
			}
			d.Socket, d.PIDFile, c.Log = "/proc/s", d.Socket+".pid", d.Socket+".log"
		}, "opening the lock"},
		{"a descriptor that is not open", func(t *testing.T, d *Daemon, c *Command) { c.Keep = []int{987} }, "descriptor 987 is named and is not open"},
		{"standard input", func(t *testing.T, d *Daemon, c *Command) { c.Keep = []int{0} }, "descriptor 0"},
		{"no program", func(t *testing.T, d *Daemon, c *Command) { c.Program = "/nonexistent" }, "cannot be started"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d, c := daemonOf(t, "is well")
			tc.do(t, &d, &c)
			c.Args = []string{d.Socket}
			r, err := d.Start(t.Context(), c)
			if err == nil || !strings.Contains(err.Error(), tc.wants) || r.Running {
				t.Fatalf("%+v, %v", r, err)
			}
			if s := d.Status(t.Context()); s.ProcessRunning {
				t.Errorf("it runs all the same: %+v", s)
			}
		})
	}
}

func TestOfTwoStartsAtOnceOneWins(t *testing.T) {
	d, c := daemonOf(t, "is well")
	for range 5 {
		var wg sync.WaitGroup
		reports, faults := make([]Report, 4), make([]error, 4)
		for i := range reports {
			wg.Go(func() { reports[i], faults[i] = d.Start(t.Context(), c) })
		}
		wg.Wait()
		won := 0
		for i, err := range faults {
			switch {
			case err == nil:
				won = reports[i].PID
			case !errors.Is(err, ErrRunning):
				t.Errorf("a loser is told %v", err)
			}
		}
		if s := d.Status(t.Context()); !s.Running || s.PID != won {
			t.Errorf("%d won, and the status is %+v", won, s)
		}
		_, err := d.Stop(t.Context())
		must(t, err)
	}
}

func TestASuspendedRuntime(t *testing.T) {
	d, r := started(t, "is well")
	suspend(t, r.PID)
	s := d.Status(t.Context())
	if s.Running || !s.ProcessRunning || s.SocketResponsive || s.PID != r.PID || !strings.Contains(s.Message, "kill -CONT") {
		t.Errorf("status: %+v", s)
	}
	if _, err := d.Start(t.Context(), Command{}); !errors.Is(err, ErrRunning) {
		t.Errorf("start: %v", err)
	}
	if s, err := d.Stop(t.Context()); err != nil || s.ProcessRunning {
		t.Errorf("stop: %+v, %v", s, err)
	}
}

// suspend stops a child of ours and waits until it is.
func suspend(t testing.TB, pid int) {
	t.Helper()
	must(t, syscall.Kill(pid, syscall.SIGSTOP))
	for {
		state, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			t.Skipf("this system has no /proc: %v", err)
		}
		if strings.Contains(string(state), ") T ") {
			return
		}
	}
}

func TestARuntimeThatDoesNotEnd(t *testing.T) {
	d, r := started(t, "is stubborn")
	d.Timeout = 200 * time.Millisecond
	s, err := d.Stop(t.Context())
	if err == nil || !s.ProcessRunning || s.PID != r.PID || !strings.Contains(err.Error(), "--lifecycle-timeout") {
		t.Errorf("%+v, %v", s, err)
	}
	if s := d.Status(t.Context()); !s.ProcessRunning {
		t.Errorf("it was killed: %+v", s)
	}
	must(t, syscall.Kill(r.PID, syscall.SIGKILL))
}

// A runtime that was killed leaves its files; they mislead nobody, and a bystander
// whose number stands in the pid file gets no signal.
func TestWhatAKilledRuntimeLeaves(t *testing.T) {
	d, r := started(t, "is well")
	_, c := daemonOf(t, "is well")
	c.Args = []string{d.Socket}
	killed := &target{mustFind(t, r.PID)}
	must(t, syscall.Kill(r.PID, syscall.SIGKILL))
	must(t, d.awaitEnd(t.Context(), conn.Owner{}, killed))
	s := d.Status(t.Context())
	if s.Running || s.ProcessRunning || s.SocketResponsive || !strings.Contains(s.Message, "left behind") {
		t.Errorf("status: %+v", s)
	}
	bystander := bystander(t)
	must(t, os.WriteFile(d.Socket+".pid", fmt.Appendln(nil, bystander.Process.Pid), 0o600))
	if s, err := d.Stop(t.Context()); err != nil || s.ProcessRunning || !strings.Contains(s.Message, "does not serve this socket") {
		t.Errorf("stop: %+v, %v", s, err)
	}
	if _, err := os.Lstat(d.Socket + ".pid"); err != nil {
		t.Errorf("the pid file was touched: %v", err)
	}
	if r, err := d.Start(t.Context(), c); err != nil || !r.Running {
		t.Errorf("start: %+v, %v", r, err)
	}
	if s, err := d.Stop(t.Context()); err != nil || s.ProcessRunning {
		t.Errorf("stop: %+v, %v", s, err)
	}
	must(t, bystander.Process.Signal(syscall.Signal(0)))
}

func mustFind(t testing.TB, pid int) *os.Process {
	t.Helper()
	p, err := os.FindProcess(pid)
	must(t, err)
	return p
}

// bystander is a process that must survive the test.
func bystander(t testing.TB) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), moodVariable+"=hangs")
	cmd.Args = append(cmd.Args, "none")
	must(t, cmd.Start())
	t.Cleanup(func() {
		if cmd.ProcessState != nil {
			t.Error("the bystander has ended")
		}
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return cmd
}

// What stands in the pid file and the lock file is compared and reported. A process
// that is not proven to be the runtime gets no signal, even where the runtime
// cannot be told otherwise.
func TestFilesThatSayOtherwise(t *testing.T) {
	for _, tc := range []struct {
		name, file, text string
		stop             bool // it can be stopped while suspended
		wants            string
	}{
		{"the pid file names another", ".pid", "BYSTANDER\n", true, "which is another"},
		{"the pid file is malformed", ".pid", "x", true, "is no pid file"},
		{"the pid file is empty", ".pid", "", true, "is not there"},
		{"the pid file is long", ".pid", strings.Repeat("1 ", 1000), true, "is no pid file"},
		{"the pid file says -1", ".pid", "-1\n", true, "is no pid file"},
		{"the pid file says 0", ".pid", "0\n", true, "is no pid file"},
		{"the pid file is more than a number", ".pid", "PID 17 of/some kind\n", true, ""},
		{"the lock file names another", ".lock", "BYSTANDER 1\n", false, ""},
		{"the lock file names another start", ".lock", "PID 1\n", false, ""},
		{"the lock file is empty", ".lock", "", false, ""},
		{"the lock file is malformed", ".lock", "\x00\xff", false, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d, r := started(t, "is well")
			other := bystander(t)
			text := strings.NewReplacer("BYSTANDER", fmt.Sprint(other.Process.Pid), "PID", fmt.Sprint(r.PID)).Replace(tc.text)
			must(t, os.WriteFile(d.Socket+tc.file, []byte(text), 0o600))
			if s := d.Status(t.Context()); !s.Running || s.PID != r.PID || !strings.Contains(s.Message, tc.wants) {
				t.Errorf("status: %+v", s)
			}
			suspend(t, r.PID)
			d.Timeout = 200 * time.Millisecond
			if !tc.stop {
				if s, err := d.Stop(t.Context()); err == nil || !strings.Contains(err.Error(), "no process is proven") {
					t.Errorf("a process that is not proven was stopped: %+v, %v", s, err)
				}
				must(t, syscall.Kill(r.PID, syscall.SIGCONT))
			}
			d.Timeout = 20 * time.Second
			if s, err := d.Stop(t.Context()); err != nil || s.ProcessRunning {
				t.Errorf("stop: %+v, %v", s, err)
			}
			must(t, other.Process.Signal(syscall.Signal(0)))
		})
	}
}

func TestARuntimeWhoseLockFileWasRemoved(t *testing.T) {
	d, r := started(t, "is well")
	must(t, os.Remove(d.Socket+".lock"))
	if s := d.Status(t.Context()); !s.Running || s.PID != r.PID || !strings.Contains(s.Message, "lock file was removed") {
		t.Errorf("status: %+v", s)
	}
	if s, err := d.Stop(t.Context()); err != nil || s.PID != r.PID {
		t.Errorf("stop: %+v, %v", s, err)
	}
}

func TestPIDFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pid")
	must(t, WritePID(path))
	text, err := os.ReadFile(path)
	if want := fmt.Sprintln(os.Getpid()); err != nil || string(text) != want {
		t.Errorf("it holds %q, %v, want %q", text, err, want)
	}
	must(t, os.Truncate(path, 0)) // as a crash of the machine can leave it
	must(t, WritePID(path))
	must(t, os.WriteFile(path, []byte("1\n"), 0o600))
	RemovePID(path)
	if _, err := os.Lstat(path); err != nil {
		t.Errorf("another's was removed: %v", err)
	}
	must(t, WritePID(path))
	must(t, os.Rename(path, path+".moved"))
	must(t, os.Symlink(path+".moved", path))
	RemovePID(path)
	if _, err := os.Lstat(path); err != nil {
		t.Errorf("a link was removed: %v", err)
	}
	if err := WritePID(path); err == nil {
		t.Error("a link was written through")
	}
	must(t, os.Remove(path))
	must(t, syscall.Mkfifo(path, 0o600))
	if _, err := ReadPID(path); err == nil || !strings.Contains(err.Error(), "is no pid file") {
		t.Errorf("of a pipe: %v", err)
	}
	must(t, os.Remove(path))
	must(t, WritePID(path))
	RemovePID(path)
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("ours was not removed: %v", err)
	}
	if os.Geteuid() != 0 {
		must(t, os.WriteFile(path, []byte("1\n"), 0))
		if _, err := ReadPID(path); err == nil || !strings.Contains(err.Error(), "cannot be read") {
			t.Errorf("of one that may not be read: %v", err)
		}
	}
}

func TestTheLogIsPrivate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	must(t, os.WriteFile(path, []byte("before\n"), 0o644))
	f, err := OpenLog(path)
	must(t, err)
	_, err = f.WriteString("after\n")
	must(t, err)
	must(t, f.Close())
	text, err := os.ReadFile(path)
	if err != nil || string(text) != "before\nafter\n" {
		t.Errorf("it holds %q, %v", text, err)
	}
	if info, err := os.Lstat(path); err != nil || info.Mode() != 0o600 {
		t.Errorf("it has mode %v, %v", info.Mode(), err)
	}
}

func TestTheLastLines(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	before := "before\n"
	for name, tc := range map[string]struct {
		since int64
		text  string
		want  int
		last  string
	}{
		"nothing":          {7, "", 0, ""},
		"one":              {7, "x\n", 1, "x"},
		"no line break":    {7, "x", 1, "x"},
		"many":             {7, strings.Repeat("line\n", 100), 20, "line"},
		"one that is long": {7, strings.Repeat("x", 1<<20) + "end\n", 1, strings.Repeat("x", 8<<10-4) + "end"},
		"it was cut since": {1000, "x\n", 0, ""},
		"blank":            {7, "\n\n \n", 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			must(t, os.WriteFile(path, []byte(before+tc.text), 0o600))
			got := lastLines(path, tc.since)
			if len(got) != tc.want || tc.want > 0 && got[len(got)-1] != tc.last {
				t.Errorf("%d lines, %.100q", len(got), got)
			}
		})
	}
}

// What a caller gives up is ended, not left behind.
func TestAStartThatIsGivenUp(t *testing.T) {
	d, c := daemonOf(t, "hangs")
	ctx, cancel := context.WithCancel(t.Context())
	go func() { // when the child has begun to write
		for {
			if info, err := os.Stat(d.Socket + ".log"); err == nil && info.Size() > 0 {
				cancel()
				return
			}
		}
	}()
	if _, err := d.Start(ctx, c); err == nil || !strings.Contains(err.Error(), "given up") {
		t.Errorf("%v", err)
	}
	must(t, childless())
}
