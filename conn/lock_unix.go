//go:build unix

package conn

import (
	"errors"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

func openLock(path string) (*os.File, error) {
	// O_NONBLOCK keeps a fifo at that place from stopping us.
	return os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0o600)
}

func lockFile(f *os.File) error {
	if err := showHolder(f); err != nil {
		return err
	}
	for {
		switch err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); {
		case err == unix.EINTR:
		case errors.Is(err, unix.EWOULDBLOCK):
			return errHeld
		default:
			return err
		}
	}
}

// ours reports whether the file belongs to the user that we run as.
func ours(fi os.FileInfo) bool { return ownedBy(fi, uint32(os.Geteuid())) }

func ownedBy(fi os.FileInfo, uid uint32) bool {
	st, ok := fi.Sys().(*syscall.Stat_t)
	return ok && st.Uid == uid
}

// trusted reports whether the directory belongs to us or root, and nobody else
// may write to it.
func trusted(fi os.FileInfo) bool {
	return (ownedBy(fi, 0) || ours(fi)) && fi.Mode().Perm()&0o022 == 0
}
