package pipeline

import (
	"context"
	"sync"

	enforcementv1 "github.com/Huzefaaa2/cavra/go/cavra-runtime/enforcement/v1"
)

// A Live answers through the chain that is in force, and lets another take its
// place while it does. A chain never changes, so an exchange is judged from its
// first stage to its last by one of them.
type Live struct {
	mu  sync.RWMutex
	now *generation
}

// A generation is a chain and the exchanges that are under way in it.
type generation struct {
	chain *Chain
	runs  sync.WaitGroup // added to only while mu is held for reading
}

// NewLive puts a chain in force.
func NewLive(c *Chain) *Live { return &Live{now: &generation{chain: c}} }

// Chain is the chain in force.
func (l *Live) Chain() *Chain {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.now.chain
}

// Run is Chain.Run of the chain that is in force when it is called.
func (l *Live) Run(ctx context.Context, x *Exchange) *enforcementv1.DecisionResponse {
	l.mu.RLock()
	g := l.now
	g.runs.Add(1)
	l.mu.RUnlock()
	defer g.runs.Done()
	return g.chain.Run(ctx, x)
}

// Answer is Chain.Answer of the chain in force.
func (l *Live) Answer(e *BlockError) *enforcementv1.DecisionResponse { return l.Chain().Answer(e) }

// String is the chain in force as people say it.
func (l *Live) String() string { return l.Chain().String() }

// Swap puts next in force for every exchange that begins from now on, waits for
// those under way in the chain before it, and closes that one. The error is of
// closing; next is in force all the same.
func (l *Live) Swap(next *Chain) error {
	l.mu.Lock()
	before := l.now
	l.now = &generation{chain: next}
	l.mu.Unlock()
	before.runs.Wait()
	return before.chain.Close()
}

// Close closes the chain in force. No Run may be under way.
func (l *Live) Close() error { return l.Chain().Close() }
