package pipeline

import "context"

// A Phase says when a stage runs.
type Phase uint8

const (
	// Decide stages run in order until one blocks.
	Decide Phase = iota + 1
	// Record stages run once for every exchange, blocked ones too.
	Record
)

// String is the phase's name as messages use it.
func (p Phase) String() string {
	switch p {
	case Decide:
		return "Decide"
	case Record:
		return "Record"
	}
	return "unknown phase"
}

// A Spec is what a stage says of itself. It never changes during the life of
// the stage: New reads it once.
type Spec struct {
	Name  string // lower-case letters, digits, "-" and "_", a letter first; unique in a chain
	Phase Phase
	Needs Fact // what earlier stages must have given
	Gives Fact // what this stage has given whenever Handle returned nil
}

// A Describer is a stage that can say in a line, for people, how it is set up.
// The line holds no secret.
type Describer interface {
	Describe() string
}

// A Stage is one step of the chain. One value serves all connections at once,
// so Handle must be safe for concurrent use.
//
// A stage that holds files, goroutines or connections also implements
// io.Closer; Chain.Close calls it, last stage first.
type Stage interface {
	// Spec says what the stage is called, when it runs, and what it needs and
	// gives.
	Spec() Spec

	// Handle does the stage's work on one exchange. nil passes the exchange on;
	// every fact that Spec lists under Gives must have been set by then. An
	// error blocks: return a *BlockError to name the rule and to tell the client
	// what to do, and any other error for a failure of the stage itself, which
	// the client sees as "<stage>.fault" and the log in full.
	//
	// A Record stage is called for blocked exchanges as well, so Request may be
	// nil, and its context is never cancelled.
	//
	// Handle must not keep x or anything reached through it after it returns.
	Handle(ctx context.Context, x *Exchange) error
}

// A Checker is a stage that can tell whether it is able to do its work. The
// error says what is wrong and what to do, and holds no secret.
type Checker interface {
	Health() error
}

// A Reporter is a stage that tells its state to whoever runs the daemon. What it
// returns is written as JSON; it holds no secret and nothing of a request.
type Reporter interface {
	Report() any
}
