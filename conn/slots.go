package conn

import "time"

// What a request holds grows in steps. The first buffer is small enough for
// every connection to have one; each further step needs a slot.
const (
	smallBuffer  = 4 << 10
	mediumBuffer = 8 * smallBuffer
)

// workingCopies is how many times its size a large request may take while the
// stages work on it: the request, what redaction makes of it, and its record, in
// which each of its bytes may have become six.
const workingCopies = 8

// Slots bound the memory of all requests that outgrew their first buffer. A
// large request holds a medium slot, then a large one as well, and in the end,
// while the stages work on it, a working slot. They are always taken in this
// order, and whoever holds a working slot waits for no other: so all requests
// end, whatever the order in which they grow. Small requests need no slot, and
// large ones cannot starve them.
type slots struct {
	medium, large, working chan struct{}
}

// newSlots shares total bytes out: a quarter to medium buffers, the rest to
// buffers of limit bytes; working slots come out of as many bytes again. There
// is at least one of each.
func newSlots(total int64, limit int) *slots {
	return &slots{
		medium:  make(chan struct{}, max(1, total/4/mediumBuffer)),
		large:   make(chan struct{}, max(1, total*3/4/int64(limit))),
		working: make(chan struct{}, max(1, total/workingCopies/int64(limit))),
	}
}

// take waits for a slot, no longer than that, and reports how long it waited and
// whether it got one.
func take(slot chan struct{}, longest time.Duration) (waited time.Duration, ok bool) {
	select {
	case slot <- struct{}{}:
		return 0, true
	default:
	}
	began := time.Now()
	timer := time.NewTimer(longest)
	defer timer.Stop()
	select {
	case slot <- struct{}{}:
		return time.Since(began), true
	case <-timer.C:
		return longest, false
	}
}
