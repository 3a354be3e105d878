package conn

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/hashicorp/go-hclog"
	"golang.org/x/time/rate"
)

// What a runtime can be told over its control socket.
const (
	CommandStatus = "status"
	CommandReload = "reload"
	CommandStop   = "stop"
)

var commands = []string{CommandStatus, CommandReload, CommandStop}

// ControlPath is the path of the control socket of the runtime that serves the
// socket at path.
func ControlPath(path string) string { return path + ".ctl" }

// CheckControlPath refuses a socket's path beside which no control socket has
// room.
func CheckControlPath(path string) error {
	if err := checkPath(path); err != nil {
		return err
	}
	if err := checkPath(ControlPath(path)); err != nil {
		return fmt.Errorf("beside the socket stands the control socket: %w", err)
	}
	return nil
}

// A Control lets the one who runs a runtime look at it, reload it and stop it.
// It is served on a socket of its own, outside the chain: a look at the runtime
// is no request, is not counted as one and leaves no record.
//
// One connection carries one command, {"command":"status"}, and one answer, a
// ControlAnswer, each an object on a line. What is longer than 4 KiB, or takes
// longer than two seconds, is refused.
type Control struct {
	// Status describes the runtime; what it returns is sent as JSON and holds no
	// secret.
	Status func() any
	// Reload reads the configuration again. It is called by one connection at a
	// time, and its context ends with Serve. nil means that the runtime cannot.
	Reload func(context.Context) error
	// Stop begins the end of the runtime and does not wait for it. It may be called
	// more than once.
	Stop func()
	// AllowedUsers are the user ids that may control the runtime. The default is
	// our own and root's.
	AllowedUsers []uint32
	// Log receives what is done and what is refused. nil logs nothing.
	Log hclog.Logger

	reloading sync.Mutex
}

// A ControlAnswer is what a runtime answers to a command.
type ControlAnswer struct {
	OK     bool           `json:"ok"`
	Error  string         `json:"error,omitzero"`  // why not
	Status jsontext.Value `json:"status,omitzero"` // of CommandStatus
}

// Bounds of the control socket. A shortage of descriptors or memory must not come
// from here, and one idle connection must not keep the next out for long.
const (
	maxControls    = 8
	maxCommand     = 4 << 10
	controlTimeout = 2 * time.Second
)

// Serve answers the connections of l until ctx ends, then closes l and returns
// when those under way are answered. Nothing that a client does ends it.
func (c *Control) Serve(ctx context.Context, l *Listener) error {
	if c.Log == nil {
		c.Log = hclog.NewNullLogger()
	}
	if c.AllowedUsers == nil {
		c.AllowedUsers = []uint32{0, uint32(os.Geteuid())}
	}
	var workers sync.WaitGroup
	defer workers.Wait()
	unhook := context.AfterFunc(ctx, func() { _ = l.Close() })
	defer unhook()

	faults := rate.Sometimes{Interval: time.Second}
	free := make(chan struct{}, maxControls)
	for {
		free <- struct{}{} // whoever comes when all are taken waits in the socket's queue
		conn, err := l.socket.AcceptUnix()
		if err == nil {
			workers.Go(func() {
				defer func() { <-free }()
				c.serve(ctx, conn)
			})
			continue
		}
		<-free
		if ctx.Err() != nil {
			return l.Close()
		}
		if errors.Is(err, net.ErrClosed) {
			return errors.New("conn: the control socket was closed while it was served; end the context of Serve instead")
		}
		faults.Do(func() { c.Log.Error("cannot accept on the control socket, trying again", "error", err) })
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
		}
	}
}

// serve answers one connection. A bug in what the runtime says of itself must not
// end it.
func (c *Control) serve(ctx context.Context, conn *net.UnixConn) {
	defer conn.Close()
	defer func() {
		if p := recover(); p != nil {
			c.Log.Error("panic at the control socket", "panic", p, "stack", string(debug.Stack()))
		}
	}()
	conn.SetDeadline(time.Now().Add(controlTimeout))
	defer context.AfterFunc(ctx, func() { conn.SetReadDeadline(time.Now().Add(stopRead)) })()
	command, err := c.read(conn)
	var answer ControlAnswer
	if err == nil {
		answer.Status, err = c.do(ctx, command)
	}
	if answer.OK = err == nil; err != nil {
		answer.Error = err.Error()
	}
	line, err := json.Marshal(answer)
	if err != nil {
		line = []byte(`{"ok":false,"error":"the answer cannot be written; the runtime's log says why"}`)
		c.Log.Error("the answer of the control socket cannot be written", "command", command, "error", err)
	}
	conn.SetDeadline(time.Now().Add(controlTimeout))
	_, _ = conn.Write(append(line, '\n')) // whoever hung up does not want it
	if answer.OK && command == CommandStop {
		c.Stop()
	}
	_, _ = arrived(conn, make([]byte, maxCommand)) // to close over unread bytes would break the client's pipe
}

// read checks who is there and reads what they want.
func (c *Control) read(conn *net.UnixConn) (command string, err error) {
	peer, err := peerOf(conn)
	if err != nil {
		c.Log.Warn("refused at the control socket", "cause", err)
		return "", errors.New("the system did not tell which user connects, so nothing is done")
	}
	if peersKnown && !slices.Contains(c.AllowedUsers, peer.UID) {
		c.Log.Warn("refused at the control socket", "uid", peer.UID, "pid", peer.PID)
		return "", fmt.Errorf("user %d may not control this runtime; ask as the user it runs as", peer.UID)
	}
	line, err := readObject(conn, maxCommand)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return "", fmt.Errorf("the command was not complete within %v", controlTimeout)
	}
	if err != nil {
		return "", fmt.Errorf("the command cannot be read: %w", err)
	}
	var request struct {
		Command string `json:"command"`
	}
	if err := json.Unmarshal(line, &request, json.RejectUnknownMembers(true)); err != nil {
		return "", fmt.Errorf(`the command cannot be read; write it as {"command":"status"}`)
	}
	if !slices.Contains(commands, request.Command) {
		return "", fmt.Errorf("there is no command %s; there are %s", cut(request.Command), strings.Join(commands, ", "))
	}
	if request.Command != CommandStatus {
		if gone(conn) {
			return "", errors.New("whoever asked is gone") // and was told that it was not done
		}
		c.Log.Info("told over the control socket", "command", request.Command, "uid", peer.UID, "pid", peer.PID)
	}
	return request.Command, nil
}

// do does what is wanted, but for stop, which is answered first.
func (c *Control) do(ctx context.Context, command string) (jsontext.Value, error) {
	switch command {
	case CommandStatus:
		status, err := json.Marshal(c.Status(), json.Deterministic(true))
		if err != nil {
			c.Log.Error("the status cannot be written", "error", err)
			return nil, errors.New("the status cannot be written; the runtime's log says why")
		}
		return status, nil
	case CommandReload:
		if c.Reload == nil {
			return nil, errors.New("this runtime cannot reload; restart it to change its policy and keys")
		}
		c.reloading.Lock()
		defer c.reloading.Unlock()
		return nil, c.Reload(ctx)
	}
	return nil, nil
}

// cut makes a word of a client fit for a message.
func cut(word string) string {
	const most = 40
	if len(word) > most {
		return strconv.QuoteToASCII(word[:most]) + "…"
	}
	return strconv.QuoteToASCII(word)
}

// readObject reads until one JSON object has arrived, of most bytes at most.
func readObject(conn *net.UnixConn, most int) ([]byte, error) {
	var s scanner
	s.reset(16)
	b := make([]byte, 0, 512)
	for {
		if len(b) == cap(b) {
			b = slices.Grow(b, len(b))
		}
		before := len(b)
		n, err := conn.Read(b[before:min(cap(b), most+1)])
		b = b[:before+n]
		switch v, end := s.scan(b[before:]); {
		case v == complete:
			return b[:before+end], nil
		case v == malformed:
			return nil, errors.New("it is not a JSON object")
		case len(b) > most:
			return nil, fmt.Errorf("it is longer than the limit of %d bytes", most)
		case err != nil:
			return nil, ended(len(b), err)
		}
	}
}
