//go:build unix

package lifecycle

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/Huzefaaa2/cavra/go/cavra-runtime/conn"
)

// The test binary is the runtime that is started, in one of several moods.
const moodVariable = "LIFECYCLE_TEST_MOOD"

func TestMain(m *testing.M) {
	if mood := os.Getenv(moodVariable); mood != "" {
		os.Exit(play(mood, os.Args[1]))
	}
	os.Exit(m.Run())
}

// play is a runtime that serves only its control socket.
func play(mood, socket string) int {
	switch mood {
	case "fails":
		fmt.Println("first line")
		fmt.Fprintln(os.Stderr, "the policy is faulty\x1b[2J")
		return 1
	case "is silent":
		return 1
	case "hangs":
		fmt.Println("thinking")
		time.Sleep(time.Hour) // until it is ended
	}
	listener, err := conn.Listen(socket)
	if err != nil {
		fmt.Println(err)
		return 1
	}
	control, err := listener.Control()
	if err != nil {
		fmt.Println(err)
		return 1
	}
	if err := WritePID(socket + ".pid"); err != nil {
		fmt.Println(err)
		return 1
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	c := conn.Control{Status: func() any { return report(mood) }, Stop: stop}
	if mood == "is stubborn" {
		signal.Ignore(syscall.SIGTERM)
		c.Stop = func() {}
	}
	err = c.Serve(ctx, control)
	RemovePID(socket + ".pid")
	if err := listener.Close(); err != nil {
		fmt.Println(err)
	}
	if err != nil {
		return 1
	}
	return 0
}

// report is what a test wants to know of the process that was started.
func report(mood string) map[string]string {
	session, _ := syscall.Getpgid(0)
	fds := []string{}
	if dir, err := os.Open("/dev/fd"); err == nil {
		names, _ := dir.Readdirnames(-1)
		for _, name := range names {
			if n, err := strconv.Atoi(name); err == nil && n > 2 && n != int(dir.Fd()) {
				if target, err := os.Readlink("/dev/fd/" + name); err == nil && !strings.HasPrefix(target, "socket:") && !strings.HasPrefix(target, "anon_inode:") && !strings.HasSuffix(target, ".lock") && !strings.HasPrefix(target, "/sys/") {
					fds = append(fds, name+"="+filepath.Base(target))
				}
			}
		}
		dir.Close()
	}
	stdin, _ := os.Readlink("/dev/fd/0")
	stdout, _ := os.Readlink("/dev/fd/1")
	return map[string]string{
		"mood": mood, "leader": strconv.FormatBool(session == os.Getpid()), "fds": strings.Join(fds, " "),
		"stdin": stdin, "stdout": filepath.Base(stdout), "secret": os.Getenv("LIFECYCLE_TEST_SECRET"),
	}
}

// daemonOf is a Daemon with a socket of the test's own, and the command for it.
func daemonOf(t testing.TB, mood string) (Daemon, Command) {
	t.Helper()
	dir, err := os.MkdirTemp("", "life cycle") // shorter than what the test has, with a space
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	d := Daemon{Socket: filepath.Join(dir, "s"), Timeout: 20 * time.Second}
	t.Cleanup(func() {
		if r := d.Status(context.Background()); r.ProcessRunning {
			_ = syscall.Kill(r.PID, syscall.SIGKILL) // of a test that failed
		}
	})
	return d, Command{Args: []string{d.Socket}, Env: []string{moodVariable + "=" + mood}}
}

// started is a Daemon that runs.
func started(t testing.TB, mood string) (Daemon, Report) {
	t.Helper()
	d, c := daemonOf(t, mood)
	r, err := d.Start(t.Context(), c)
	must(t, err)
	return d, r
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
