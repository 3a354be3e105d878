package evidence

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// syncData makes the bytes of f durable, and its length, but not its times:
// that saves a write of the journal.
func syncData(f *os.File) error {
	for {
		err := unix.Fdatasync(int(f.Fd()))
		if !errors.Is(err, unix.EINTR) {
			return os.NewSyscallError("fdatasync", err)
		}
	}
}
