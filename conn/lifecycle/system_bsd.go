//go:build unix && !linux

package lifecycle

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

func closeAllOnExec() error { return errors.ErrUnsupported }

// Redirect lets all that this process prints, the end of a panic too, go to a
// file.
func Redirect(f *os.File) error {
	for _, fd := range []int{1, 2} {
		if err := unix.Dup2(int(f.Fd()), fd); err != nil {
			return err
		}
	}
	return nil
}
