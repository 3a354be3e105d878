//go:build !windows

package main

import (
	"os"
	"os/signal"

	"golang.org/x/sys/unix"
)

// errNobodyReads is that of a write to a pipe that nobody reads any more.
var errNobodyReads error = unix.EPIPE

// ignoreClosedOutput has a write to a closed pipe fail rather than end the
// process.
func ignoreClosedOutput() { signal.Ignore(unix.SIGPIPE) }

// terminalColumns is how wide a terminal is; is reports whether f is one.
func terminalColumns(f *os.File) (columns int, is bool) {
	size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return 0, false
	}
	return int(size.Col), true
}

// nobodyReads reports whether f is a pipe that nobody reads any more.
func nobodyReads(f *os.File) bool {
	fds := []unix.PollFd{{Fd: int32(f.Fd())}}
	n, err := unix.Poll(fds, 0)
	return err == nil && n > 0 && fds[0].Revents&(unix.POLLERR|unix.POLLHUP|unix.POLLNVAL) != 0
}
