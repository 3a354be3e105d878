// Package pipeline runs one exchange through an ordered list of stages and
// makes sure that it ends in an answer.
//
// A chain has two phases. Decide stages run in order until one returns an
// error, which blocks. Record stages run, in order, once for every exchange,
// whatever became of it. The default chain reads
//
//	decode > auth > evaluate | redact > evidence
//
// where the bar separates the phases.
//
// # What the package promises
//
//  1. An allow needs every Decide stage to return nil and a stage that gives a
//     decision. Nothing else leads to an allow.
//  2. An error blocks. A BlockError carries its own rule; any other error, and
//     a panic, blocks as "<stage>.fault", and its text goes to the log only.
//  3. Every Record stage runs once for every exchange: after an unreadable
//     request, a panic, a client that hung up, and the failure of another
//     Record stage.
//  4. A Record stage that fails turns the answer into a block.
//  5. After redaction the raw bytes, the request and its credential are gone
//     from the exchange, even where redaction failed.
//  6. No byte of the answer exists before the chain has ended: Run returns it.
//  7. A chain cannot be changed after New.
//
// Each has a test that bears its name.
//
// # Facts
//
// What one stage gives and a later one needs is a Fact. A stage declares both
// in its Spec, New refuses an order in which a need is not met, and a setter of
// Exchange refuses what the Spec does not give. So a rate limiter cannot set an
// allow, and nothing meets an exchange that lacks what it needs. A stage from a
// fork carries its own value in a Slot.
package pipeline
