package pipeline

import (
	"fmt"
	"math/bits"
	"strings"
	"sync"
)

// A Fact is something that one stage gives and later stages need. Facts are
// bits, so that a Spec can name several: FactRequest | FactIdentity.
type Fact uint32

// The facts of the built-in stages.
const (
	FactRequest  Fact = 1 << iota // the decoded request, given by decode
	FactIdentity                  // who asks and how far that is proven, given by auth
	FactDecision                  // the decision, given by evaluate
	FactRedacted                  // the redacted request and response, given by redact
	FactEvidence                  // the durable record, given by evidence
)

const (
	decideFacts = FactRequest | FactIdentity | FactDecision // only a Decide stage can give these
	recordFacts = FactRedacted | FactEvidence               // only a Record stage can give these
)

var facts = struct {
	sync.Mutex
	names []string // by bit
}{names: []string{"request", "identity", "decision", "redacted", "evidence"}}

// NewFact registers a fact of a fork's own under a name for messages. Call it
// once, from a package variable. It panics when the name is taken or when all
// 32 bits are in use, both of which are mistakes in the program.
func NewFact(name string) Fact {
	facts.Lock()
	defer facts.Unlock()
	for _, taken := range facts.names {
		if taken == name {
			panic(fmt.Sprintf("pipeline: fact %q is registered twice", name))
		}
	}
	if len(facts.names) == 32 {
		panic(fmt.Sprintf("pipeline: no bit is left for fact %q: 32 facts are the most", name))
	}
	facts.names = append(facts.names, name)
	return 1 << (len(facts.names) - 1)
}

// String lists the facts by name, as in "request, identity".
func (f Fact) String() string {
	if f == 0 {
		return "nothing"
	}
	facts.Lock()
	defer facts.Unlock()
	var names []string
	for ; f != 0; f &= f - 1 {
		bit := bits.TrailingZeros32(uint32(f))
		if bit < len(facts.names) {
			names = append(names, facts.names[bit])
		} else {
			names = append(names, fmt.Sprintf("unregistered fact %d", bit))
		}
	}
	return strings.Join(names, ", ")
}

// A Slot carries a fork's own value from the stage that gives it to the stages
// that need it, with its type kept. Declare it once, as a package variable.
type Slot[T any] struct{ fact Fact }

// NewSlot registers a slot, and the fact that it is filled, under a name.
func NewSlot[T any](name string) Slot[T] { return Slot[T]{NewFact(name)} }

// Fact is what a Spec lists under Gives or Needs.
func (s Slot[T]) Fact() Fact { return s.fact }

// Set fills the slot. The stage that runs must give the slot's fact.
func (s Slot[T]) Set(x *Exchange, v T) {
	if !x.give(s.fact) {
		return
	}
	bit := bits.TrailingZeros32(uint32(s.fact))
	for len(x.slots) <= bit {
		x.slots = append(x.slots, nil)
	}
	x.slots[bit] = v
}

// Get returns the value and whether the slot was filled.
func (s Slot[T]) Get(x *Exchange) (T, bool) {
	bit := bits.TrailingZeros32(uint32(s.fact))
	if bit < len(x.slots) {
		v, ok := x.slots[bit].(T)
		return v, ok
	}
	var zero T
	return zero, false
}
