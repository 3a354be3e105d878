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
	p := pipeline.Peer{Known: true}
	var fault error
	if err := raw.Control(func(fd uintptr) {
		var cred *unix.Xucred
		if cred, fault = unix.GetsockoptXucred(int(fd), unix.SOL_LOCAL, unix.LOCAL_PEERCRED); fault != nil {
			return
		}
		p.UID = cred.Uid
		if cred.Ngroups > 0 {
			p.GID = cred.Groups[0]
		}
		if pid, err := unix.GetsockoptInt(int(fd), unix.SOL_LOCAL, unix.LOCAL_PEERPID); err == nil {
			p.PID = int32(pid)
		}
	}); err != nil {
		return pipeline.Peer{}, err
	}
	if fault != nil {
		return pipeline.Peer{}, fmt.Errorf("getsockopt LOCAL_PEERCRED: %w", fault)
	}
	return p, nil
}
