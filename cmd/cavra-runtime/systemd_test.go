//go:build linux

package main

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A fakeManager plays systemd for one service: it binds the socket, hands it
// over, and hears how the service fares.
type fakeManager struct {
	*testing.T
	socket string
	bound  *net.UnixListener
	notify *net.UnixConn
}

func newFakeManager(t *testing.T) *fakeManager {
	t.Helper()
	dir, err := os.MkdirTemp("", "sd")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	m := &fakeManager{T: t, socket: filepath.Join(dir, "s")}
	if m.bound, err = net.ListenUnix("unix", &net.UnixAddr{Net: "unix", Name: m.socket}); err != nil {
		t.Fatal(err)
	}
	if m.notify, err = net.ListenUnixgram("unixgram", &net.UnixAddr{Net: "unixgram", Name: filepath.Join(dir, "notify")}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.bound.Close(); m.notify.Close() })
	return m
}

// start starts the runtime as the service; the shell gives it the pid that
// LISTEN_PID has to name.
func (m *fakeManager) start(args ...string) *exec.Cmd {
	m.Helper()
	file, err := m.bound.File()
	if err != nil {
		m.Fatal(err)
	}
	defer file.Close()
	cmd := exec.Command("sh", append([]string{"-c", `LISTEN_PID=$$ exec cavra-runtime "$@"`, "sh", "--serve"}, args...)...)
	cmd.ExtraFiles = []*os.File{file}
	cmd.Env = append(os.Environ(), "LISTEN_FDS=1", "LISTEN_FDNAMES=cavra", "NOTIFY_SOCKET="+m.notify.LocalAddr().String(), "WATCHDOG_USEC=100000")
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		m.Fatal(err)
	}
	return cmd
}

// hears waits for a message that holds the text, and lets others pass.
func (m *fakeManager) hears(text string) {
	m.Helper()
	buf := make([]byte, 4096)
	_ = m.notify.SetReadDeadline(time.Now().Add(20 * time.Second))
	for {
		n, err := m.notify.Read(buf)
		if err != nil {
			m.Fatalf("the service never says %s: %v", text, err)
		}
		if strings.Contains(string(buf[:n]), text) {
			return
		}
	}
}

// The service takes the socket that it is handed, says when it is ready, alive,
// reloading and ending, and leaves the socket to the manager.
func TestServiceManager(t *testing.T) {
	m := newFakeManager(t)
	asked := make(chan string, 1)
	go func() { // before anything serves
		answer, _ := ask(m.socket, []byte(readRequest))
		asked <- string(answer)
	}()
	cmd := m.start("--socket", m.socket, "--workspace", t.TempDir(), "--log-level", "error")
	m.hears("READY=1")
	if answer := <-asked; !strings.Contains(answer, `"decision"`) {
		t.Errorf("who asked before is answered %q", answer)
	}
	m.hears("WATCHDOG=1")
	if err := cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	m.hears("RELOADING=1\nMONOTONIC_USEC=")
	m.hears("READY=1")
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	m.hears("STOPPING=1")
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(m.socket); err != nil {
		t.Errorf("the manager's socket is gone: %v", err)
	}
}

// A socket other than the configured one would leave clients and policy with the
// wrong path.
func TestServiceManagerHandsOverAnotherSocket(t *testing.T) {
	m := newFakeManager(t)
	cmd := m.start("--socket", filepath.Join(t.TempDir(), "other"), "--workspace", t.TempDir())
	if err := cmd.Wait(); err == nil || cmd.ProcessState.ExitCode() != exitFailed {
		t.Errorf("it ends with %v", err)
	}
}

// The units in docs are good for the systemd that is installed here.
func TestUnits(t *testing.T) {
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Skip("systemd-analyze is not installed, so the units in docs/systemd are not checked")
	}
	dir := t.TempDir()
	var units []string
	for _, name := range []string{"cavra-runtime.service", "cavra-runtime.socket"} {
		text, err := os.ReadFile(filepath.Join("../../docs/systemd", name))
		if err != nil {
			t.Fatal(err)
		}
		self, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(strings.ReplaceAll(string(text), "/usr/bin/cavra-runtime", self)), 0o644); err != nil {
			t.Fatal(err)
		}
		units = append(units, path)
	}
	out, err := exec.Command("systemd-analyze", append([]string{"verify", "--man=no", "--recursive-errors=no"}, units...)...).CombinedOutput()
	if err != nil || len(out) > 0 {
		t.Errorf("systemd-analyze says %v:\n%s", err, out)
	}
	// The configuration beside them is a good one, but for its directories.
	text, err := os.ReadFile("../../docs/systemd/cavra-runtime.yaml")
	if err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(dir, "cavra-runtime.yaml")
	if err := os.WriteFile(config, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("cavra-runtime", "--check", "--config", config).CombinedOutput(); err != nil {
		t.Errorf("the configuration: %v\n%s", err, out)
	}
}
