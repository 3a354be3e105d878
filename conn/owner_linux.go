package conn

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// showHolder takes a lock of the kind that F_GETLK shows with the number of its
// holder. It is taken before the other, which keeps out whoever shares our number,
// so whoever is kept out can see by whom. A file system that has none of this kind
// leaves what we write into the file.
func showHolder(f *os.File) error {
	err := unix.FcntlFlock(f.Fd(), unix.F_SETLK, &unix.Flock_t{Type: unix.F_WRLCK})
	if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EACCES) {
		return errHeld
	}
	return nil
}
