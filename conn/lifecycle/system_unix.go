//go:build unix

package lifecycle

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// openNoFollow opens a file that must not be a link. A pipe in its place does not
// make it wait.
func openNoFollow(path string, flags int) (*os.File, error) {
	return os.OpenFile(path, flags|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0o600)
}

// makePrivate checks that the file is a plain one of ours with one name, and
// closes it to others.
func makePrivate(f *os.File) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !info.Mode().IsRegular():
		return errors.New("it is not a plain file")
	case !ok || int(st.Uid) != os.Geteuid():
		return errors.New("it belongs to another user")
	case st.Nlink != 1:
		return errors.New("it has another name too, by which others may hold it")
	case info.Mode().Perm() != 0o600:
		return f.Chmod(0o600)
	}
	return nil
}

// ownSession keeps a child from the signals and the terminal of our session.
func ownSession() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }

func resume(p *os.Process) error { return p.Signal(syscall.SIGCONT) }

// keepOnly has every descriptor above the first three closed in the programs that
// we start, but for those named. Ours are marked so already; those that we
// inherited, such as the pipe of a shell that captures what we print, need not be.
func keepOnly(keep []int) error {
	if err := closeAllOnExec(); err != nil {
		// Each in turn, as far as there can be any.
		limit := unix.Rlimit{Cur: 1 << 16}
		_ = unix.Getrlimit(unix.RLIMIT_NOFILE, &limit)
		for fd := 3; fd < int(min(limit.Cur, 1<<16)); fd++ {
			unix.CloseOnExec(fd)
		}
	}
	for _, fd := range keep {
		if fd < 3 {
			return fmt.Errorf("descriptor %d is not the runtime's to read; name a file, or a descriptor from 3 on", fd)
		}
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_SETFD, 0); err != nil {
			return fmt.Errorf("descriptor %d is named and is not open: %w", fd, err)
		}
	}
	return nil
}
