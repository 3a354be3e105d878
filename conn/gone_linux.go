package conn

import (
	"net"

	"golang.org/x/sys/unix"
)

// gone reports whether a peer that ended its stream is gone altogether, so that
// no answer can reach it.
func gone(c *net.UnixConn) bool {
	raw, err := c.SyscallConn()
	if err != nil {
		return true
	}
	var hungUp bool
	err = raw.Control(func(fd uintptr) {
		// A peer that ended only its own half shows POLLRDHUP without POLLHUP.
		fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLRDHUP}}
		n, err := unix.Poll(fds, 0)
		hungUp = err == nil && n > 0 && fds[0].Revents&(unix.POLLHUP|unix.POLLERR) != 0
	})
	return err != nil || hungUp
}
