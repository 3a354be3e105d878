package auth

import (
	"container/heap"
	"crypto/sha256"
	"sync"
	"time"
)

// seen remembers what was used once, so that it is not used again. Put only
// verified values in: whoever could fill it would shut everybody out, since a
// full one refuses rather than forgets. It is safe for concurrent use.
type seen struct {
	max int
	now func() time.Time

	mu    sync.Mutex
	held  map[seenKey]struct{}
	order seenHeap  // what is held, the earliest to expire first
	clock time.Time // the latest time that was read
}

// seenKey is the hash of a value, so that long values take no more memory.
type seenKey [sha256.Size]byte

// newSeen makes a memory for max values.
func newSeen(max int, now func() time.Time) *seen {
	return &seen{max: max, now: now, held: make(map[seenKey]struct{})}
}

// add notes a value until the time from which on it is refused for its age. It
// is fresh where it was not noted before. Where there is no room for it, full is
// set and it is not fresh.
//
// A value whose time has passed is never fresh: it may have been noted and
// dropped, even if the clock was set back since.
func (s *seen) add(key string, until time.Time) (fresh, full bool) {
	k := seenKey(sha256.Sum256([]byte(key)))
	s.mu.Lock()
	defer s.mu.Unlock()
	// Round takes the monotonic reading off, by which a clock that was set back
	// would still be ahead.
	if now := s.now().Round(0); now.After(s.clock) {
		s.clock = now
	}
	for len(s.order) > 0 && !s.order[0].until.After(s.clock) {
		delete(s.held, s.order[0].key)
		heap.Pop(&s.order)
	}
	if !until.After(s.clock) {
		return false, false
	}
	if _, ok := s.held[k]; ok {
		return false, false
	}
	if len(s.held) >= s.max {
		return false, true
	}
	s.held[k] = struct{}{}
	heap.Push(&s.order, seenEntry{k, until})
	return true, false
}

type seenEntry struct {
	key   seenKey
	until time.Time
}

// seenHeap implements heap.Interface.
type seenHeap []seenEntry

func (h seenHeap) Len() int           { return len(h) }
func (h seenHeap) Less(i, j int) bool { return h[i].until.Before(h[j].until) }
func (h seenHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *seenHeap) Push(e any)        { *h = append(*h, e.(seenEntry)) }
func (h *seenHeap) Pop() any {
	last := len(*h) - 1
	e := (*h)[last]
	*h = (*h)[:last]
	return e
}
