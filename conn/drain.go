package conn

import "time"

// finish makes sure that the client can read its answer. To close while the
// client is still sending would kill it with SIGPIPE, or show it an error in
// place of the answer. So our half is ended, which tells it that the answer is
// whole, and what it still sends is read and thrown away, within bounds.
//
// A client that ended its own half, as ours does, sends nothing more: one look
// tells, and the connection can be closed at once.
func (s *session) finish() {
	n, err := arrived(s.conn, s.small)
	if err != nil {
		return
	}
	s.conn.CloseWrite()
	limit := s.run.DrainTimeout
	if s.run.stopping.Load() {
		limit = min(limit, stopRead)
	}
	s.conn.SetReadDeadline(time.Now().Add(limit))
	for left := s.run.DrainBytes - int64(n); left > 0; left -= int64(n) {
		if n, err = s.conn.Read(s.small); err != nil {
			return
		}
	}
}

// refuseHastily answers and closes a connection without waiting for anything,
// for when too many others are being refused already.
func (s *session) refuseHastily() {
	s.run.note(s.refused, s.peer)
	s.conn.SetWriteDeadline(time.Now().Add(stopRead))
	if s.write(s.run.Chain.Answer(s.refused)) {
		arrived(s.conn, s.small) // what has been read cannot break the client's pipe
	}
	s.conn.Close()
}
