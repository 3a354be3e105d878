//go:build unix

package conn

import (
	"errors"
	"io"
	"net"

	"golang.org/x/sys/unix"
)

// arrived reads what has already arrived, without waiting. It returns 0 and nil
// where nothing has, and io.EOF where the peer will send nothing more.
func arrived(c *net.UnixConn, b []byte) (n int, err error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, err
	}
	var fault error
	// A descriptor of package net never blocks, so neither does this read.
	if err := raw.Control(func(fd uintptr) {
		for {
			if n, fault = unix.Read(int(fd), b); fault != unix.EINTR {
				return
			}
		}
	}); err != nil {
		return 0, err
	}
	switch {
	case errors.Is(fault, unix.EAGAIN):
		return 0, nil
	case fault != nil:
		return 0, fault
	case n == 0:
		return 0, io.EOF
	}
	return n, nil
}
