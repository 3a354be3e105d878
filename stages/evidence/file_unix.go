//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package evidence

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// osFiles is the fileSystem of the machine.
type osFiles struct{}

// permissions are those of every file that the package makes: ours alone.
const permissions = 0o600

// OpenLog locks the log itself rather than a file beside it: a lock on a second
// file is lost with that file's name, while this one stays with the bytes it
// guards.
func (osFiles) OpenLog(path string) (logFile, error) {
	if err := makeDir(filepath.Dir(path)); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_APPEND|os.O_CREATE|unix.O_NOFOLLOW|unix.O_NONBLOCK, permissions)
	switch {
	case errors.Is(err, unix.ELOOP), errors.Is(err, unix.EMLINK): // EMLINK on FreeBSD
		return nil, fmt.Errorf("the evidence log %s is a symbolic link: name the file itself", path)
	case errors.Is(err, unix.EISDIR):
		return nil, fmt.Errorf("the evidence log %s is a directory: name a file", path)
	case err != nil:
		return nil, fmt.Errorf("opening the evidence log: %w", err)
	}
	l := &osLog{File: f, path: path}
	if err := l.check(); err != nil {
		f.Close()
		return nil, err
	}
	return l, nil
}

// CreateNext needs no check of the file's mode and owner: it is new.
func (osFiles) CreateNext(path string) (logFile, error) {
	name := nextName(path)
	if err := os.Remove(name); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	f, err := os.OpenFile(name, os.O_RDWR|os.O_APPEND|os.O_CREATE|os.O_EXCL|unix.O_NOFOLLOW, permissions)
	if err != nil {
		return nil, err
	}
	l := &osLog{File: f, path: path}
	if err = unix.Fstat(int(f.Fd()), &l.stat); err == nil {
		err = l.lock()
	}
	if err != nil {
		f.Close()
		_ = os.Remove(name)
		return nil, err
	}
	return l, nil
}

func (osFiles) Link(path, name string) error   { return os.Link(path, name) }
func (osFiles) Rename(path, name string) error { return os.Rename(path, name) }
func (osFiles) Remove(path string) error       { return os.Remove(path) }

func (osFiles) CreateAside(path string) (asideFile, error) {
	return os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL|unix.O_NOFOLLOW, permissions)
}

func (osFiles) SyncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// makeDir makes a directory and those above it, only for us and durably. One
// that exists must be safe from others: who can write to it can replace the log.
func makeDir(dir string) error {
	info, err := os.Stat(dir)
	if errors.Is(err, os.ErrNotExist) {
		above := filepath.Dir(dir)
		if above == dir {
			return err
		}
		if _, err := os.Stat(above); errors.Is(err, os.ErrNotExist) {
			if err := makeDir(above); err != nil {
				return err
			}
		}
		if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
			return fmt.Errorf("making the directory of the evidence log: %w", err)
		}
		if err := (osFiles{}).SyncDir(above); err != nil {
			return fmt.Errorf("making the directory of the evidence log: %w", err)
		}
		info, err = os.Stat(dir)
	}
	if err != nil {
		return fmt.Errorf("the directory of the evidence log: %w", err)
	}
	switch owner := info.Sys().(*syscall.Stat_t).Uid; {
	case !info.IsDir():
		return fmt.Errorf("%s, which is to hold the evidence log, is no directory", dir)
	case owner != uint32(os.Geteuid()) && owner != 0:
		return fmt.Errorf("the directory %s of the evidence log belongs to user %d, who could replace the log: use a directory of your own", dir, owner)
	case info.Mode().Perm()&0o022 != 0:
		return fmt.Errorf("others can write to the directory %s of the evidence log (mode %04o): use another one or run chmod go-w on it", dir, info.Mode().Perm())
	}
	return nil
}

// osLog is a log on the disk.
type osLog struct {
	*os.File
	path string
	stat unix.Stat_t // when it was opened: device and inode tell it from others
}

// check refuses a file that is no safe place for a log, and locks it.
func (l *osLog) check() error {
	if err := unix.Fstat(int(l.Fd()), &l.stat); err != nil {
		return fmt.Errorf("opening the evidence log: %w", err)
	}
	switch st := &l.stat; {
	case st.Mode&unix.S_IFMT != unix.S_IFREG:
		return fmt.Errorf("the evidence log %s is not a regular file: name a file", l.path)
	case st.Uid != uint32(os.Geteuid()):
		return fmt.Errorf("the evidence log %s belongs to user %d: use one of your own, or run chown", l.path, st.Uid)
	case st.Mode&0o077 != 0:
		return fmt.Errorf("others can read or write the evidence log %s (mode %04o): run chmod 600 on it", l.path, st.Mode&0o777)
	}
	if err := l.lock(); err != nil {
		return err
	}
	// Between the opening and the lock the file may have been given another name.
	if err := l.Unchanged(-1); err != nil {
		return err
	}
	if err := l.undoRotation(); err != nil {
		return fmt.Errorf("taking back a rotation of the evidence log %s that was interrupted: %w", l.path, err)
	}
	if l.stat.Nlink > 1 {
		return fmt.Errorf("the evidence log %s has %d names (hard links): whoever made the others can reach it; remove them", l.path, l.stat.Nlink)
	}
	return nil
}

// undoRotation removes what a rotation that was interrupted left beside the log:
// the file that was to follow, and the log's name with a number. Nothing was
// answered from that file.
func (l *osLog) undoRotation() error {
	if err := os.Remove(nextName(l.path)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if l.stat.Nlink == 1 {
		return nil
	}
	numbers, err := rotatedFiles(l.path)
	if err != nil {
		return err
	}
	for _, n := range numbers {
		name := rotatedName(l.path, n)
		var st unix.Stat_t
		if err := unix.Lstat(name, &st); err != nil || st.Dev != l.stat.Dev || st.Ino != l.stat.Ino {
			continue
		}
		if err := os.Remove(name); err != nil {
			return err
		}
	}
	// What is left of other names shows in the count.
	return unix.Fstat(int(l.Fd()), &l.stat)
}

// A verifier holds the lock for a moment to see whether a writer does, so a
// lock that is taken is tried again before it is believed.
const (
	lockTries = 5
	lockPause = 20 * time.Millisecond
)

func (l *osLog) lock() error {
	for try := 1; ; try++ {
		err := unix.Flock(int(l.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, unix.EINTR):
			continue
		case !errors.Is(err, unix.EWOULDBLOCK):
			return fmt.Errorf("locking the evidence log %s: %w", l.path, err)
		case try >= lockTries:
			return fmt.Errorf("%s: %w", l.path, errInUse)
		}
		time.Sleep(lockPause)
	}
}

func (l *osLog) Size() (int64, error) {
	info, err := l.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

func (l *osLog) Sync() error { return syncData(l.File) }

// Unchanged takes a negative size for any.
func (l *osLog) Unchanged(size int64) error {
	var now unix.Stat_t
	switch err := unix.Lstat(l.path, &now); {
	case errors.Is(err, unix.ENOENT):
		return errMoved
	case err != nil:
		return fmt.Errorf("looking at the evidence log: %w", err)
	case now.Dev != l.stat.Dev || now.Ino != l.stat.Ino:
		return errMoved
	case size >= 0 && now.Size != size:
		return errForeign
	}
	return nil
}

// beingWritten reports whether a writer has the log f open.
func beingWritten(f *os.File) bool {
	err := unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB)
	if err == nil {
		unix.Flock(int(f.Fd()), unix.LOCK_UN)
	}
	return errors.Is(err, unix.EWOULDBLOCK)
}
