package conn

import (
	"errors"
	"fmt"
	"os"
	"strconv"
)

// ErrLocked means that another process holds the socket's lock.
var ErrLocked = errors.New("another runtime holds the lock")

// errHeld is what lockFile returns where another open file holds the lock.
var errHeld = errors.New("the lock is held")

// lock takes the lock file at path for as long as the file stays open, and
// writes who we are into it. The file is never removed: two processes could
// otherwise each hold a lock, one of them on a file that has no name any more.
func lock(path string) (*os.File, error) {
	for range 10 {
		f, err := openLock(path)
		if err != nil {
			return nil, fmt.Errorf("opening the lock %s: %w; it must be a plain file of the runtime's own user", quote(path), err)
		}
		locked, err := claim(f, path)
		if locked {
			return f, nil
		}
		f.Close()
		if err != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("the lock %s is replaced again and again; see who does that, and remove it if it is a link", quote(path))
}

// claim locks f. false without an error means that somebody removed the file
// since it was opened, so that the lock is not the one others would meet.
func claim(f *os.File, path string) (bool, error) {
	opened, err := f.Stat()
	if err != nil {
		return false, err
	}
	if !opened.Mode().IsRegular() || !ours(opened) {
		return false, fmt.Errorf("the lock %s is not a plain file of the runtime's own user; remove it", quote(path))
	}
	switch err := lockFile(f); {
	case errors.Is(err, errHeld):
		return false, fmt.Errorf("%w %s: process %s serves this socket; stop it first, or choose another socket", ErrLocked, quote(path), holder(f))
	case err != nil:
		return false, fmt.Errorf("locking %s: %w; the socket must lie on a file system with locks", quote(path), err)
	}
	if named, err := os.Lstat(path); err != nil || !os.SameFile(opened, named) {
		return false, nil
	}
	if err := sign(f); err != nil {
		return false, fmt.Errorf("writing the lock %s: %w", quote(path), err)
	}
	return true, nil
}

// sign writes into the file who we are, for those whom it keeps out and for
// OwnerOf, and makes it private: whoever can open it can hold the lock.
func sign(f *os.File) error {
	if err := f.Chmod(0o600); err != nil {
		return err
	}
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err := f.WriteAt([]byte(signature()), 0)
	return err
}

// holder is the pid that the lock file names, or "unknown".
func holder(f *os.File) string {
	if pid, _ := readSignature(f); pid > 0 {
		return strconv.Itoa(pid)
	}
	return "unknown"
}

// quote makes a path fit for a message: escaped, and cut where it is long.
func quote(path string) string {
	const most = 200
	if len(path) > most {
		return strconv.QuoteToASCII(path[:most]) + "…"
	}
	return strconv.QuoteToASCII(path)
}
