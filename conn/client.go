package conn

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"slices"
	"sync"
	"time"

	enforcementv1 "github.com/Huzefaaa2/cavra/go/cavra-runtime/enforcement/v1"
)

// What can keep a client from getting an answer. Whatever the error, the caller
// must treat the action that it asked about as blocked.
var (
	// ErrNoDaemon means that nobody listens on the socket, or that it may not be
	// connected to.
	ErrNoDaemon = errors.New("no runtime can be reached")
	// ErrTimeout means that no answer came in time.
	ErrTimeout = errors.New("the runtime did not answer in time")
	// ErrNoAnswer means that the connection was closed without a whole answer, or
	// with one that cannot be read.
	ErrNoAnswer = errors.New("the runtime gave no answer")
	// ErrUntrustedServer means that the process that listens on the socket runs
	// as a user whose answers are not to be believed. Nothing was sent to it.
	ErrUntrustedServer = errors.New("the socket is served by an untrusted user")
)

// A Client asks a runtime over its socket. The zero value works, and a Client is
// safe for use by many goroutines at once. Each question is a connection of its
// own.
type Client struct {
	// Socket is the path of the runtime's socket; empty means DefaultSocket.
	Socket string
	// Timeout is how long one question may take, from connecting to the whole
	// answer. The default is 10 s. The context may end it sooner.
	Timeout time.Duration
	// TrustedUsers are the user ids that may serve the socket. nil means our own
	// and root's. Where the system does not tell who serves, the rights on the
	// socket's directory decide alone.
	TrustedUsers []uint32
	// MaxResponseBytes is the length of the longest answer that is read. The
	// default is 16 MiB.
	MaxResponseBytes int
}

// Evaluate asks for a decision. It returns the answer of the runtime, which may
// well be a block, or an error that wraps one of ErrNoDaemon, ErrTimeout,
// ErrNoAnswer and ErrUntrustedServer, or the context's error. No answer is a
// block.
func (c *Client) Evaluate(ctx context.Context, req *enforcementv1.EvaluateRequest) (*enforcementv1.DecisionResponse, error) {
	b := buffers.Get().(*[]byte)
	defer putBuffer(b)
	*b = append(req.AppendJSON((*b)[:0]), '\n')
	return c.EvaluateBytes(ctx, *b)
}

// EvaluateBytes is Evaluate for a request that is sent as it is, whatever it
// holds, so that the runtime itself judges and records it.
func (c *Client) EvaluateBytes(ctx context.Context, raw []byte) (*enforcementv1.DecisionResponse, error) {
	if err := ctx.Err(); err != nil {
		return nil, c.failed(ctx, ErrTimeout, err)
	}
	until := time.Now().Add(positive(c.Timeout, 10*time.Second))
	if d, ok := ctx.Deadline(); ok && d.Before(until) {
		until = d
	}
	conn, err := c.dial(ctx, until)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	conn.SetDeadline(until)
	if ctx.Done() != nil {
		defer context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })()
	}
	if err := c.checkServer(conn); err != nil {
		return nil, err
	}

	// A runtime that refuses may stop reading before we have sent all. Its answer
	// counts more than our failure to send.
	_, sendErr := conn.Write(raw)
	if sendErr == nil {
		conn.CloseWrite() // so that it need not wait for more
	}
	b := buffers.Get().(*[]byte)
	defer putBuffer(b)
	*b, err = c.receive(conn, (*b)[:0])
	switch {
	case err == nil:
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, c.failed(ctx, ErrTimeout, err)
	default:
		return nil, c.failed(ctx, ErrNoAnswer, errors.Join(sendErr, err))
	}
	resp, err := enforcementv1.DecodeResponse(*b)
	if err != nil {
		return nil, c.failed(ctx, ErrNoAnswer, fmt.Errorf("its answer cannot be read: %w", err))
	}
	return resp, nil
}

func (c *Client) socket() string {
	if c.Socket == "" {
		return DefaultSocket
	}
	return c.Socket
}

// dial connects. A runtime whose queue is full for the moment is tried again
// until then.
func (c *Client) dial(ctx context.Context, until time.Time) (*net.UnixConn, error) {
	if err := checkPath(c.socket()); err != nil {
		return nil, c.failed(ctx, ErrNoDaemon, err)
	}
	addr := &net.UnixAddr{Net: "unix", Name: c.socket()}
	for pause := time.Millisecond; ; pause = min(2*pause, 50*time.Millisecond) {
		conn, err := net.DialUnix("unix", nil, addr)
		if err == nil {
			return conn, nil
		}
		if !busy(err) {
			return nil, c.failed(ctx, ErrNoDaemon, err)
		}
		if time.Until(until) < pause {
			return nil, c.failed(ctx, ErrTimeout, err)
		}
		select {
		case <-ctx.Done():
			return nil, c.failed(ctx, ErrTimeout, ctx.Err())
		case <-time.After(pause):
		}
	}
}

// checkServer refuses a server that runs as somebody else: a neighbour who can
// write to the directory could put a socket of theirs in place of the runtime's,
// and allow everything.
func (c *Client) checkServer(conn *net.UnixConn) error {
	peer, err := peerOf(conn)
	if err != nil {
		return fmt.Errorf("%w: the system does not tell who serves %s (%w); nothing was sent; treat the action as blocked", ErrUntrustedServer, quote(c.socket()), err)
	}
	trusted := !peersKnown || peer.UID == 0 || peer.UID == uint32(os.Geteuid())
	if c.TrustedUsers != nil {
		trusted = peersKnown && slices.Contains(c.TrustedUsers, peer.UID)
	}
	if !trusted {
		return fmt.Errorf("%w: %s is served by process %d of user %d; nothing was sent; treat the action as blocked, and find out whose process that is", ErrUntrustedServer, quote(c.socket()), peer.PID, peer.UID)
	}
	return nil
}

// receive reads one JSON object into b.
func (c *Client) receive(conn *net.UnixConn, b []byte) ([]byte, error) {
	most := positive(c.MaxResponseBytes, 16<<20)
	var s scanner
	s.reset(16)
	for {
		if len(b) == cap(b) {
			b = slices.Grow(b, len(b)+1)
		}
		before := len(b)
		n, err := conn.Read(b[before:cap(b)])
		b = b[:before+n]
		switch v, end := s.scan(b[before:]); {
		case v == complete:
			return b[:before+end], nil
		case v == malformed:
			return b, errors.New("its answer is not a JSON object")
		case len(b) > most:
			return b, fmt.Errorf("its answer is longer than the limit of %d bytes", most)
		case err == io.EOF && len(b) == 0:
			return b, errors.New("it closed the connection")
		case err == io.EOF:
			return b, fmt.Errorf("its answer was cut off after %d bytes", len(b))
		case err != nil:
			return b, err
		}
	}
}

// failed says what kept us from an answer and what to do about it.
func (c *Client) failed(ctx context.Context, kind, cause error) error {
	do := "see the runtime's log"
	switch kind {
	case ErrNoDaemon:
		do = "start the runtime with --serve, or name the socket it serves"
		if errors.Is(cause, fs.ErrPermission) {
			do = "this user may not open the socket; ask as the user that the runtime runs as, or join the socket's group and log in again"
		}
	case ErrTimeout:
		do = "see whether the runtime is overloaded or stopped"
		if ctx.Err() != nil {
			cause = ctx.Err()
		}
		if errors.Is(cause, context.Canceled) {
			return fmt.Errorf("the question to %s was given up: %w; treat the action as blocked", quote(c.socket()), cause)
		}
	}
	return fmt.Errorf("%w: socket %s: %w; %s; treat the action as blocked", kind, quote(c.socket()), cause, do)
}

// buffers are for requests and answers. They are wiped before they are used
// again: a request may hold a credential.
var buffers = sync.Pool{New: func() any { b := make([]byte, 0, smallBuffer); return &b }}

func putBuffer(b *[]byte) {
	if cap(*b) > mediumBuffer {
		return
	}
	clear(*b)
	buffers.Put(b)
}
