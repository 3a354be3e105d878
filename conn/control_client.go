package conn

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/Huzefaaa2/cavra/go/cavra-runtime/pipeline"
)

// maxControlAnswer is the length of the longest answer that AskControl reads.
const maxControlAnswer = 4 << 20

// AskControl gives a command to the runtime that serves the socket at path, and
// returns its answer and the process that listens there, as the system names it.
// It waits as long as ctx lets it. The error wraps ErrNoDaemon, ErrTimeout,
// ErrNoAnswer or ErrUntrustedServer where there is no answer; peer is known all
// the same once somebody was connected to. A runtime that refuses gave an answer.
func AskControl(ctx context.Context, path, command string) (answer ControlAnswer, peer pipeline.Peer, err error) {
	control := ControlPath(path)
	if err := checkPath(control); err != nil {
		return answer, peer, fmt.Errorf("%w: %w", ErrNoDaemon, err)
	}
	made, err := (&net.Dialer{}).DialContext(ctx, "unix", control)
	if err != nil {
		kind := ErrNoDaemon
		if ctx.Err() != nil || busy(err) {
			kind = ErrTimeout
		}
		return answer, peer, fmt.Errorf("%w on its control socket %s: %w", kind, quote(control), err)
	}
	conn := made.(*net.UnixConn)
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })()
	if peer, err = peerOf(conn); err != nil {
		return answer, peer, fmt.Errorf("%w: the system does not tell who serves %s: %w", ErrUntrustedServer, quote(control), err)
	}
	if peersKnown && !mayServe(control, peer.UID) {
		return answer, peer, fmt.Errorf("%w: %s is served by process %d of user %d; ask as that user, or find out whose process that is", ErrUntrustedServer, quote(control), peer.PID, peer.UID)
	}
	request, err := json.Marshal(map[string]string{"command": command})
	if err != nil {
		return answer, peer, err
	}
	_, sendErr := conn.Write(append(request, '\n'))
	line, err := readObject(conn, maxControlAnswer)
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return answer, peer, fmt.Errorf("%w on its control socket %s: %w", ErrTimeout, quote(control), context.Cause(ctx))
	case err != nil:
		return answer, peer, fmt.Errorf("%w on its control socket %s: %w", ErrNoAnswer, quote(control), errors.Join(sendErr, err))
	}
	if err := json.Unmarshal(line, &answer); err != nil {
		return answer, peer, fmt.Errorf("%w that can be read on its control socket %s", ErrNoAnswer, quote(control))
	}
	return answer, peer, nil
}

// mayServe reports whether a user's answers on a control socket are believed: our
// own, root's, and where we are root those of the user that alone may write to the
// socket's directory, which root has put in charge of it.
func mayServe(control string, uid uint32) bool {
	if uid == 0 || int(uid) == os.Geteuid() {
		return true
	}
	fi, err := os.Stat(filepath.Dir(control))
	return err == nil && os.Geteuid() == 0 && ownedBy(fi, uid) && fi.Mode().Perm()&0o022 == 0
}

// ended says what a connection that ended too soon did.
func ended(arrived int, err error) error {
	switch {
	case err != io.EOF:
		return err
	case arrived == 0:
		return errors.New("the connection was closed")
	}
	return fmt.Errorf("it was cut off after %d bytes", arrived)
}
