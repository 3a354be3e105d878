package conn

import (
	"errors"
	"io"
	"net"
	"runtime/debug"
	"time"

	enforcementv1 "github.com/Huzefaaa2/cavra/go/cavra-runtime/enforcement/v1"
	"github.com/Huzefaaa2/cavra/go/cavra-runtime/pipeline"
)

// A session is one connection, from its acceptance to its end. Sessions are
// used again for other connections.
type session struct {
	run     *run
	wake    chan struct{} // tells the goroutine of an idle session of its next connection; closed to end it
	conn    *net.UnixConn
	since   time.Time // when the connection was accepted
	peer    pipeline.Peer
	counted bool                 // in run.perUser
	refused *pipeline.BlockError // over the limit of connections
	small   []byte               // the first buffer of each request
	reader  reader
	x       pipeline.Exchange
	out     []byte
}

func newSession(r *run) *session {
	s := &session{run: r, small: make([]byte, smallBuffer), out: make([]byte, 0, 1024)}
	s.reader = reader{limits: r.Limits, slots: r.slots, arrived: s.arrived, waited: s.waited}
	return s
}

// work serves one connection after another. What a request held, which may be a
// credential, is wiped after each.
func (s *session) work() {
	for more := true; more; {
		s.serve()
		clear(s.small)
		if !s.run.leave(s) {
			return
		}
		_, more = <-s.wake
	}
}

// serve answers the connection's request and closes it.
func (s *session) serve() {
	defer s.conn.Close()
	defer s.reader.release()
	defer s.survive()

	// One timer covers reading and, for an ordinary request, writing the answer
	// as well: setting another costs as much as a system call.
	r := s.run
	s.conn.SetDeadline(s.since.Add(r.Limits.ReadTimeout))
	if r.stopping.Load() {
		s.conn.SetReadDeadline(time.Now().Add(stopRead))
	}
	resp := s.answer()
	if resp == nil {
		r.count.gone.Add(1)
		return
	}
	written := s.write(resp)
	s.reader.release() // what is drained needs no memory that others wait for
	if written {
		s.finish()
	}
}

// survive keeps a bug of ours from ending the process. The client is not
// answered, which it must take for a block.
func (s *session) survive() {
	if p := recover(); p != nil {
		s.run.count.panics.Add(1)
		s.run.log.Error("panic while serving a connection; it is closed without an answer", "panic", p, "stack", string(debug.Stack()))
	}
}

// answer comes to a response; nil where nobody is left to read one.
func (s *session) answer() *enforcementv1.DecisionResponse {
	r := s.run
	block := s.refused
	if block == nil {
		block = r.mayAsk(s)
	}
	if block != nil {
		r.note(block, s.peer)
		return r.Chain.Answer(block)
	}
	s.reader.from, s.reader.buf = s.conn, s.small[:0]
	s.reader.scanner.reset(r.Limits.Depth)
	err := s.reader.read()
	if err == nil {
		err = s.reader.work()
	}
	s.x.Reset(s.reader.buf, s.peer)
	switch block, refused := err.(*pipeline.BlockError); {
	case refused && errors.Is(block, errOverloaded):
		r.note(block, s.peer)
		return r.Chain.Answer(block)
	case refused:
		s.x.Reset(nil, s.peer)
		s.x.Refuse(s.refine(block))
	case err != nil && (!errors.Is(err, io.EOF) || gone(s.conn)):
		return nil
	}
	return r.Chain.Run(r.ctx, &s.x)
}

// arrived is the reader's look at what came with the request.
func (s *session) arrived(b []byte) (int, error) { return arrived(s.conn, b) }

// waited moves the deadlines by the time that a slot made the request wait.
func (s *session) waited(d time.Duration) {
	s.since = s.since.Add(d)
	if !s.run.stopping.Load() {
		s.conn.SetDeadline(s.since.Add(s.run.Limits.ReadTimeout))
	}
}

// refine counts a refused request and says so where it was our end that cut it
// short.
func (s *session) refine(block *pipeline.BlockError) *pipeline.BlockError {
	if errors.Is(block, errTooLarge) {
		s.run.count.tooLarge.Add(1)
		return block
	}
	s.run.count.timedOut.Add(1)
	if s.run.stopping.Load() {
		return errTimeout.Reasonf("the runtime is ending and the request was not complete: %d bytes had arrived; ask again when it is back", len(s.reader.buf))
	}
	return block
}

// write sends the response and reports whether all of it went out.
func (s *session) write(resp *enforcementv1.DecisionResponse) bool {
	s.out = append(resp.AppendJSON(s.out[:0]), '\n')
	// Less than half of the first deadline may be left only after a slow chain
	// or a slow client, and a long answer may need all of its time.
	if len(s.out) > smallBuffer || time.Since(s.since) > s.run.Limits.ReadTimeout/2 {
		s.conn.SetWriteDeadline(time.Now().Add(s.run.WriteTimeout))
	}
	if _, err := s.conn.Write(s.out); err != nil {
		s.run.count.unanswered.Add(1)
		s.run.log.Debug("the answer could not be written", "correlation_id", resp.CorrelationID, "error", err)
		return false
	}
	s.run.count.answered.Add(1)
	return true
}

// reset makes the session ready for another connection. Buffers that grew are
// dropped.
func (s *session) reset() {
	if cap(s.out) > smallBuffer {
		s.out = make([]byte, 0, 1024)
	}
	s.conn, s.peer, s.counted, s.refused = nil, pipeline.Peer{}, false, nil
	s.reader.from, s.reader.buf = nil, nil
	s.x.Reset(nil, pipeline.Peer{})
}
