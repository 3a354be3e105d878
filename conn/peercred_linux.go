package conn

import (
	"fmt"
	"net"

	"golang.org/x/sys/unix"

	"github.com/Huzefaaa2/cavra/go/cavra-runtime/pipeline"
)

// peersKnown says whether this system names the process behind a connection.
const peersKnown = true

// peerOf asks the kernel who connected, or, on a client's connection, who
// listens.
func peerOf(c *net.UnixConn) (pipeline.Peer, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return pipeline.Peer{}, err
	}
	var cred *unix.Ucred
	var fault error
	if err := raw.Control(func(fd uintptr) {
		cred, fault = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); err != nil {
		return pipeline.Peer{}, err
	}
	if fault != nil {
		return pipeline.Peer{}, fmt.Errorf("getsockopt SO_PEERCRED: %w", fault)
	}
	return pipeline.Peer{Known: true, PID: cred.Pid, UID: cred.Uid, GID: cred.Gid}, nil
}
