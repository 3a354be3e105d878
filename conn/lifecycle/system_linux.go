package lifecycle

import (
	"math"
	"os"

	"golang.org/x/sys/unix"
)

// closeAllOnExec does it in one call, where the kernel has it.
func closeAllOnExec() error { return unix.CloseRange(3, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC) }

// Redirect lets all that this process prints, the end of a panic too, go to a
// file.
func Redirect(f *os.File) error {
	for _, fd := range []int{1, 2} {
		if err := unix.Dup3(int(f.Fd()), fd, 0); err != nil {
			return err
		}
	}
	return nil
}
