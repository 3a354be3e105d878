package conn

import (
	"errors"
	"os"

	"golang.org/x/sys/windows"
)

func openLock(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
}

// lockFile locks one byte far behind the pid, which others must be able to
// read.
func lockFile(f *os.File) error {
	at := windows.Overlapped{OffsetHigh: 1}
	err := windows.LockFileEx(windows.Handle(f.Fd()), windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, &at)
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) {
		return errHeld
	}
	return err
}

// ours cannot be told from a file's mode on this system; its access control
// lists decide.
func ours(os.FileInfo) bool { return true }

func ownedBy(os.FileInfo, uint32) bool { return true }

// trusted cannot be told from a directory's mode on this system; its access
// control lists decide.
func trusted(os.FileInfo) bool { return true }
