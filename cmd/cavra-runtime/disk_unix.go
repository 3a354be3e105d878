//go:build linux || darwin

package main

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// canWrite asks the system whether we may write to a directory; known is false
// where it does not tell.
func canWrite(dir string) (known bool, err error) {
	return true, unix.Access(dir, unix.W_OK|unix.X_OK)
}

// freeBytes is how much an ordinary user may still write to dir's file system.
func freeBytes(dir string) (free uint64, known bool, err error) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return 0, true, err
	}
	return s.Bavail * uint64(s.Bsize), true, nil
}

func ownedByUsOrRoot(info os.FileInfo) bool {
	s, ok := info.Sys().(*syscall.Stat_t)
	return ok && (s.Uid == 0 || int(s.Uid) == os.Geteuid())
}
