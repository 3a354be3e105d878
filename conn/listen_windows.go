package conn

import (
	"syscall"

	"golang.org/x/sys/windows"
)

// maxPath is the longest socket path in bytes; a zero byte follows it.
const maxPath = len(windows.RawSockaddrUnix{}.Path) - 1

// modesHold says whether a socket's file has a mode that the system enforces.
// Here the directory's access control list protects it instead.
const modesHold = false

func private(_, _ string, _ syscall.RawConn) error { return nil }

// descriptors is 0: here no limit on them is near.
func descriptors() int { return 0 }

// busy reports whether a connection failed only because too many wait already.
func busy(error) bool { return false }
