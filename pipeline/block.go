package pipeline

import (
	"fmt"

	enforcementv1 "github.com/Huzefaaa2/cavra/go/cavra-runtime/enforcement/v1"
)

// A BlockError ends the Decide phase with a block of its own rule. Declare it
// once, as a package variable, so that blocking allocates nothing:
//
//	var errTooMany = pipeline.Block("ratelimit.exceeded", "too many requests; slow down")
//
// It is never changed: the methods return copies.
type BlockError struct {
	rule     string
	severity string
	reason   string
	cause    error
}

// Block makes a block. rule is the rule_id that clients and auditors see, in
// the form "area.what"; reason says in plain words what is wrong and what to do
// about it, and never holds a secret. The severity is high.
func Block(rule, reason string) *BlockError {
	return &BlockError{rule: rule, severity: enforcementv1.SeverityHigh, reason: reason}
}

// WithSeverity returns the block with another severity: low, medium, high or
// critical.
func (e *BlockError) WithSeverity(severity string) *BlockError {
	c := *e
	c.severity = severity
	return &c
}

// Reasonf returns the block with another reason, for one that depends on the
// request.
func (e *BlockError) Reasonf(format string, args ...any) *BlockError {
	c := *e
	c.reason = fmt.Sprintf(format, args...)
	return &c
}

// Because returns the block with a cause for the log. The cause is never sent
// or stored.
func (e *BlockError) Because(cause error) *BlockError {
	c := *e
	c.cause = cause
	return &c
}

// Rule is the rule_id of the block.
func (e *BlockError) Rule() string { return e.rule }

// Severity is low, medium, high or critical.
func (e *BlockError) Severity() string { return e.severity }

// Reason is what the client is told.
func (e *BlockError) Reason() string { return e.reason }

// Error is the rule, the reason and, for the log, the cause.
func (e *BlockError) Error() string {
	s := e.rule + ": " + e.reason
	if e.cause != nil {
		s += ": " + e.cause.Error()
	}
	return s
}

// Unwrap is the cause.
func (e *BlockError) Unwrap() error { return e.cause }

// Is makes errors.Is find a block by its rule, whatever its reason and cause.
func (e *BlockError) Is(target error) bool {
	t, ok := target.(*BlockError)
	return ok && t != nil && t.rule == e.rule
}
