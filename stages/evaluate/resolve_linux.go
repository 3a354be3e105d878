package evaluate

import "golang.org/x/sys/unix"

// isPlain asks Linux itself, in one call. A link on the way is another error than
// a part that does not exist, and the system stops at the first of them, so what
// it misses has no link before it, nor after it where the path is clean.
func isPlain(name string, clean bool) bool {
	fd, err := unix.Openat2(unix.AT_FDCWD, name, &unix.OpenHow{
		Flags:   unix.O_PATH | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_NO_SYMLINKS,
	})
	if err != nil {
		return clean && (err == unix.ENOENT || err == unix.ENOTDIR)
	}
	_ = unix.Close(fd) // nothing was written
	return true
}
