package conn

import (
	"errors"
	"fmt"
	"net"
	"os"
)

// ListenOn takes a socket that a service manager has bound and listens on, such
// as systemd for a socket unit. Who may connect is the manager's to say, by the
// socket's mode and group, and so is removing it: neither the end of Serve nor
// Close does. The lock beside the socket is held until Close all the same, so
// that no other runtime serves it. file is closed in every case.
//
// The error wraps ErrLocked where another process serves the socket.
func ListenOn(file *os.File) (*Listener, error) {
	defer file.Close()
	given, err := net.FileListener(file) // works on a copy of the descriptor
	if err != nil {
		return nil, fmt.Errorf("the descriptor that the service manager hands over is no listening socket: %w", err)
	}
	socket, ok := given.(*net.UnixListener)
	path := given.Addr().String()
	if !ok || given.Addr().Network() != "unix" {
		err = fmt.Errorf("the service manager hands over a %s socket; write a path after ListenStream= in the socket unit", given.Addr().Network())
	} else if err = checkPath(path); err == nil {
		socket.SetUnlinkOnClose(false)
		var held *os.File
		if held, err = lock(path + ".lock"); err == nil {
			return &Listener{path: path, socket: socket, given: true, lock: held}, nil
		}
	}
	return nil, errors.Join(err, given.Close())
}
