package conn

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// DefaultSocket is where the runtime listens unless told otherwise.
const DefaultSocket = ".cavra/cavra-runtime.sock"

// A Listener is a Unix socket that this process alone serves. Make it with
// Listen, or with ListenOn.
type Listener struct {
	path   string
	socket *net.UnixListener
	bound  fs.FileInfo // the socket's file as we made it
	given  bool        // by a service manager, whose the file is
	lock   *os.File

	vanishOnce, closeOnce sync.Once
	vanishErr, closeErr   error
}

// Listen takes the socket at path for this process, until Close. Clients can
// connect as soon as it returns.
//
// The directory is made, with mode 0700, where it is missing; one that exists
// must be a directory, not a link, of our user or root, to which nobody else may
// write. A lock on path + ".lock" is held until Close, so a socket found at path
// is a leftover of a process that has ended, and is removed; what is not a
// socket stays, and is an error. The socket has mode 0600.
//
// The error wraps ErrLocked where another process serves the socket.
func Listen(path string) (*Listener, error) {
	if err := checkPath(path); err != nil {
		return nil, err
	}
	if err := PrivateDirectory(filepath.Dir(path), "socket"); err != nil {
		return nil, err
	}
	held, err := lock(path + ".lock")
	if err != nil {
		return nil, err
	}
	l := &Listener{path: path, lock: held}
	if err := l.bind(); err != nil {
		held.Close()
		return nil, err
	}
	return l, nil
}

// Control takes the socket on which the runtime is controlled, beside the one of
// l and under the same lock. It has the same mode. Close it before l.
func (l *Listener) Control() (*Listener, error) {
	c := &Listener{path: ControlPath(l.path)}
	if err := checkPath(c.path); err != nil {
		return nil, err
	}
	if err := c.bind(); err != nil {
		return nil, err
	}
	return c, nil
}

// checkPath refuses what the system would cut short or take for something
// other than a path.
func checkPath(path string) error {
	switch {
	case path == "":
		return errors.New("the socket's path is empty; name a file, such as " + DefaultSocket)
	case path[0] == '@':
		return fmt.Errorf("the socket's path %s begins with @, which would make a socket without a file that every user can reach; write ./ before it", quote(path))
	case strings.ContainsRune(path, 0):
		return fmt.Errorf("the socket's path %s holds a zero byte; remove it", quote(path))
	case len(path) > maxPath:
		return fmt.Errorf("the socket's path %s has %d bytes and this system takes %d; choose a shorter one, or a relative one", quote(path), len(path), maxPath)
	}
	return nil
}

// PrivateDirectory makes the directory dir, with mode 0700, where it is missing.
// One that exists must be a directory, not a link, of our user or root, to which
// nobody else may write. Messages say that it is for the socket, or whatever what
// names.
func PrivateDirectory(dir, what string) error {
	fi, err := os.Lstat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return fmt.Errorf("making the %s's directory: %w; start in a directory that you can write to, or name another path", what, err)
		}
		fi, err = os.Lstat(dir)
	}
	switch {
	case err != nil:
		return fmt.Errorf("looking at the %s's directory: %w", what, err)
	case fi.Mode()&fs.ModeSymlink != 0:
		return fmt.Errorf("the %s's directory %s is a link, which could be turned elsewhere; name the directory itself", what, quote(dir))
	case !fi.IsDir():
		return fmt.Errorf("the %s's directory %s is not a directory; choose another path", what, quote(dir))
	case !trusted(fi) && fi.Mode().Perm()&0o022 == 0:
		return fmt.Errorf("the %s's directory %s belongs to another user, who may be the one to start this as; or choose a path in a directory of your own, such as that of "+DefaultSocket, what, quote(dir))
	case !trusted(fi):
		return fmt.Errorf("the %s's directory %s is open to other users (mode %04o): whoever can write there can put one of their own in place of this one; choose a path in a directory of your own, such as that of "+DefaultSocket,
			what, quote(dir), fi.Mode().Perm())
	}
	return nil
}

// bind removes a leftover socket and makes ours. The lock is held.
func (l *Listener) bind() error {
	if err := l.clear(); err != nil {
		return err
	}
	config := net.ListenConfig{Control: private}
	made, err := config.Listen(context.Background(), "unix", l.path)
	if err != nil {
		return fmt.Errorf("listening on %s: %w", quote(l.path), err)
	}
	l.socket = made.(*net.UnixListener)
	l.socket.SetUnlinkOnClose(false) // it would remove a successor's socket too
	if l.bound, err = os.Lstat(l.path); err == nil {
		err = l.checkMode()
	}
	if err != nil {
		l.socket.Close()
		os.Remove(l.path)
		return fmt.Errorf("listening on %s: %w", quote(l.path), err)
	}
	return nil
}

// clear removes the socket of a process that has ended.
func (l *Listener) clear() error {
	fi, err := os.Lstat(l.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("looking at the socket's path: %w", err)
	case fi.Mode()&fs.ModeSocket == 0:
		return fmt.Errorf("%s exists and is not a socket, so it stays; choose another path or move it away", quote(l.path))
	}
	// Nobody holds the lock. Where somebody answers all the same, the lock file
	// was removed behind a running process.
	if c, err := net.DialUnix("unix", nil, &net.UnixAddr{Net: "unix", Name: l.path}); err == nil || busy(err) {
		if c != nil {
			c.Close()
		}
		return fmt.Errorf("%w no more, yet a process answers on %s: its lock file was removed; stop that process first, or choose another socket", ErrLocked, quote(l.path))
	}
	if err := os.Remove(l.path); err != nil {
		return fmt.Errorf("removing the leftover socket: %w", err)
	}
	return nil
}

// checkMode makes sure of mode 0600 where the system ignored the one that
// the socket was made with.
func (l *Listener) checkMode() error {
	if !modesHold || l.bound.Mode().Perm() == 0o600 {
		return nil
	}
	if err := os.Chmod(l.path, 0o600); err != nil {
		return err
	}
	var err error
	if l.bound, err = os.Lstat(l.path); err != nil {
		return err
	}
	if mode := l.bound.Mode().Perm(); mode != 0o600 {
		return fmt.Errorf("the socket has mode %04o and cannot be given 0600; choose another file system", mode)
	}
	return nil
}

// Path is the path that the listener was made with.
func (l *Listener) Path() string { return l.path }

// vanish removes the socket, if it is still ours, so that nobody else can
// connect; those who wait in the queue can still be accepted.
func (l *Listener) vanish() error {
	if l.given {
		return nil
	}
	l.vanishOnce.Do(func() {
		fi, err := os.Lstat(l.path)
		if err == nil && os.SameFile(fi, l.bound) && fi.ModTime().Equal(l.bound.ModTime()) {
			l.vanishErr = os.Remove(l.path)
		}
	})
	return l.vanishErr
}

// Close ends listening, removes the socket and gives the lock back. Call it
// when Serve has returned and nothing that a successor would take is in use any
// more. Further calls return what the first did.
func (l *Listener) Close() error {
	l.closeOnce.Do(func() {
		err := l.socket.Close()
		if errors.Is(err, net.ErrClosed) { // by Serve
			err = nil
		}
		l.closeErr = errors.Join(l.vanish(), err)
		if l.lock != nil { // a control socket has none of its own
			l.closeErr = errors.Join(l.closeErr, l.lock.Close())
		}
	})
	return l.closeErr
}

// Accept waits for a connection.
func (l *Listener) Accept() (net.Conn, error) { return l.socket.Accept() }

// Addr is the socket's path.
func (l *Listener) Addr() net.Addr { return l.socket.Addr() }
