package conn

import "sync/atomic"

// Stats are what a Server has done since it began.
type Stats struct {
	Accepted     uint64 `json:"accepted"`      // connections accepted
	Answered     uint64 `json:"answered"`      // responses written whole, those of refused connections too
	Unanswered   uint64 `json:"unanswered"`    // responses that could not be written, the peer having hung up or stopped reading
	Gone         uint64 `json:"gone"`          // peers that were gone without having sent a byte
	TooLarge     uint64 `json:"too_large"`     // requests over the size limit
	TimedOut     uint64 `json:"timed_out"`     // requests that were not complete in time
	Overloaded   uint64 `json:"overloaded"`    // connections and requests refused over a limit
	Denied       uint64 `json:"denied"`        // connections of users who may not ask
	AcceptFaults uint64 `json:"accept_faults"` // failures to accept, such as running out of descriptors
	Panics       uint64 `json:"panics"`        // bugs of this package, each in the log
	Open         int64  `json:"open"`          // connections open now
}

// counters is Stats while they are counted.
type counters struct {
	accepted, answered, unanswered, gone, tooLarge, timedOut,
	overloaded, denied, acceptFaults, panics atomic.Uint64
	open atomic.Int64
}

// Stats returns a snapshot. Its numbers are read one after another, so while
// connections come and go they need not add up.
func (s *Server) Stats() Stats {
	c := &s.count
	return Stats{
		Accepted: c.accepted.Load(), Answered: c.answered.Load(), Unanswered: c.unanswered.Load(),
		Gone: c.gone.Load(), TooLarge: c.tooLarge.Load(), TimedOut: c.timedOut.Load(),
		Overloaded: c.overloaded.Load(), Denied: c.denied.Load(),
		AcceptFaults: c.acceptFaults.Load(), Panics: c.panics.Load(), Open: c.open.Load(),
	}
}
