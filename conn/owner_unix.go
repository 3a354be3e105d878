//go:build unix

package conn

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// openToLook opens a lock file that somebody else may hold.
func openToLook(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
}

// holderOf tells who holds the lock that showHolder takes. pid is 0 or less where
// the system knows that somebody does and not who.
func holderOf(f *os.File) (pid int, held bool, err error) {
	l := unix.Flock_t{Type: unix.F_WRLCK}
	for {
		err = unix.FcntlFlock(f.Fd(), unix.F_GETLK, &l)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	return int(l.Pid), err == nil && l.Type != unix.F_UNLCK, err
}
