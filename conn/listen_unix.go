//go:build unix

package conn

import (
	"errors"
	"syscall"

	"golang.org/x/sys/unix"
)

// maxPath is the longest socket path in bytes; a zero byte follows it.
const maxPath = len(unix.RawSockaddrUnix{}.Path) - 1

// modesHold says whether a socket's file has a mode that the system enforces.
const modesHold = true

// private gives the socket its mode before it is bound, so that its file is
// never open to others. A system that refuses is met by checkMode.
func private(_, _ string, c syscall.RawConn) error {
	return c.Control(func(fd uintptr) { _ = unix.Fchmod(int(fd), 0o600) })
}

// descriptors is how many this process may have open; 0 means that it is not known.
func descriptors() int {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 0
	}
	return int(min(uint64(limit.Cur), 1<<30))
}

// busy reports whether a connection failed only because too many wait already.
func busy(err error) bool { return errors.Is(err, unix.EAGAIN) }
