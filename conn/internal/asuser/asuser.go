//go:build linux

// Package asuser lets a test that root runs do something as another user.
package asuser

import (
	"net"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// Listen listens on a socket as another user: one thread becomes that user, and ends
// with its goroutine.
func Listen(t testing.TB, uid int, path string) net.Listener {
	t.Helper()
	type result struct {
		l   net.Listener
		err error
	}
	done := make(chan result)
	go func() {
		runtime.LockOSThread()
		if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, uintptr(uid), uintptr(uid), uintptr(uid)); errno != 0 {
			done <- result{nil, errno}
			return
		}
		l, err := net.Listen("unix", path)
		done <- result{l, err}
	}()
	r := <-done
	if r.err != nil {
		t.Fatal(r.err)
	}
	t.Cleanup(func() { r.l.Close() })
	return r.l
}
