//go:build unix

package release

import (
	"io/fs"
	"syscall"
)

const (
	permissionsAreKept = true               // by the file system
	dontWait           = syscall.O_NONBLOCK // for the writer of a pipe that was put in the place of a file
)

// hardLinks is how many names a file has.
func hardLinks(info fs.FileInfo) uint64 {
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		return uint64(s.Nlink)
	}
	return 1
}
