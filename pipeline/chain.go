package pipeline

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-multierror"

	enforcementv1 "github.com/Huzefaaa2/cavra/go/cavra-runtime/enforcement/v1"
)

// Options are what a chain needs beside its stages. The zero value works.
type Options struct {
	// Log receives the faults of stages with their causes, blocks at level info
	// and every other answer at level debug, each with its correlation_id. nil
	// logs nothing.
	Log hclog.Logger
	// DefaultPolicyPack names the policy_pack of a response whose request names
	// none. nil means the baseline pack.
	DefaultPolicyPack func() string
	// Observe, where set, is called at the end of each Run with the answer and
	// the time that each stage took, in the order of the chain; a stage that did
	// not run took 0. It must not keep took.
	Observe func(resp *enforcementv1.DecisionResponse, took []time.Duration)
}

// A Chain runs exchanges through its stages. It is made by New, is safe for
// concurrent use, and never changes.
type Chain struct {
	stages []Stage
	specs  []Spec
	decide int // how many of them are Decide stages
	o      Options
	epoch  time.Time // reading the clock against it costs half of time.Now
}

// New checks the order of the stages and makes a chain of them. The error holds
// every fault of the order at once, as a *multierror.Error.
func New(stages []Stage, o Options) (*Chain, error) {
	c := &Chain{stages: append([]Stage(nil), stages...), o: o, epoch: time.Now()}
	if c.o.Log == nil {
		c.o.Log = hclog.NewNullLogger()
	}
	if c.o.DefaultPolicyPack == nil {
		c.o.DefaultPolicyPack = func() string { return baselinePack }
	}
	c.specs = make([]Spec, len(stages))
	for i, s := range c.stages {
		if s == nil {
			return nil, multierror.Append(nil, fmt.Errorf("stage %d of the chain is nil", i+1))
		}
		c.specs[i] = s.Spec()
		if c.specs[i].Phase == Decide {
			c.decide++
		}
	}
	if err := checkOrder(c.specs); err != nil {
		return nil, err
	}
	return c, nil
}

// String is the chain as people say it, with a bar between the phases:
// "decode > auth > evaluate | redact > evidence".
func (c *Chain) String() string {
	var b strings.Builder
	for i, spec := range c.specs {
		switch {
		case i == 0:
		case i == c.decide:
			b.WriteString(" | ")
		default:
			b.WriteString(" > ")
		}
		b.WriteString(spec.Name)
	}
	return b.String()
}

// A Described stage is one of a chain, for people.
type Described struct {
	Name    string
	Setting string // what its Describe says; empty where it has none
}

// Stages describes the stages, in order.
func (c *Chain) Stages() []Described {
	list := make([]Described, len(c.specs))
	for i, spec := range c.specs {
		list[i].Name = spec.Name
		if d, ok := c.stages[i].(Describer); ok {
			list[i].Setting = d.Describe()
		}
	}
	return list
}

// Stage is the stage of that name, or nil.
func (c *Chain) Stage(name string) Stage {
	for i, spec := range c.specs {
		if spec.Name == name {
			return c.stages[i]
		}
	}
	return nil
}

// All yields the stages in order, each with its place.
func (c *Chain) All() iter.Seq2[int, Stage] { return slices.All(c.stages) }

// Close closes the stages that are io.Closers, last stage first. No Run may be
// under way.
func (c *Chain) Close() error {
	var faults *multierror.Error
	for i := len(c.stages) - 1; i >= 0; i-- {
		if closer, ok := c.stages[i].(io.Closer); ok {
			if err := closer.Close(); err != nil {
				faults = multierror.Append(faults, fmt.Errorf("closing stage %s: %w", c.specs[i].Name, err))
			}
		}
	}
	return faults.ErrorOrNil()
}

// Run takes an exchange through the chain and returns the answer, redacted. It
// never fails and never panics: whatever goes wrong is a block.
func (c *Chain) Run(ctx context.Context, x *Exchange) *enforcementv1.DecisionResponse {
	x.begin(c)
	clock := time.Since(c.epoch)
	for i := 0; i < c.decide && x.block == nil; i++ {
		if err := c.handle(ctx, i, x); err != nil {
			x.block = c.blockFor(i, x, err)
		}
		now := time.Since(c.epoch)
		x.took[i], clock = now-clock, now
	}
	if ctx.Done() != nil {
		// A client that hung up is recorded all the same.
		ctx = context.WithoutCancel(ctx)
	}
	for i := c.decide; i < len(c.stages); i++ {
		err := c.handle(ctx, i, x)
		redactor := c.specs[i].Gives&FactRedacted != 0
		if err != nil {
			block := c.blockFor(i, x, err)
			if redactor {
				x.redactedRequest, x.redactedResponse = &enforcementv1.EvaluateRequest{}, c.bare(x, block)
				x.given |= FactRedacted
			} else {
				x.replaceAnswer(block)
			}
		}
		if redactor {
			x.forget()
		}
		now := time.Since(c.epoch)
		x.took[i], clock = now-clock, now
	}
	x.active = nil
	resp := x.redactedResponse
	c.logAnswer(x.peer, resp)
	if c.o.Observe != nil {
		c.o.Observe(resp, x.took)
	}
	return resp
}

// Answer makes the response to something that is answered but not recorded,
// such as a connection over the limit. It runs no stage.
func (c *Chain) Answer(e *BlockError) *enforcementv1.DecisionResponse {
	return c.bare(&Exchange{chain: c}, e)
}

// handle runs one stage and holds it to its Spec.
func (c *Chain) handle(ctx context.Context, i int, x *Exchange) (err error) {
	spec := &c.specs[i]
	x.active, x.misuse = spec, nil
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	if err = c.stages[i].Handle(ctx, x); err != nil {
		return err
	}
	if x.misuse != nil {
		return fmt.Errorf("stage %s misused the exchange: %w", spec.Name, x.misuse)
	}
	if missing := spec.Gives &^ x.given; missing != 0 {
		return fmt.Errorf("stage %s passed without giving %v", spec.Name, missing)
	}
	return nil
}

// blockFor turns the error of a stage into the block that the client sees, and
// logs what it must not see.
func (c *Chain) blockFor(i int, x *Exchange, err error) *BlockError {
	name := c.specs[i].Name
	if block := asBlock(err); block != nil && block.rule != "" && validSeverity(block.severity) {
		if block.cause != nil {
			c.o.Log.Warn("stage blocked", "stage", name, "rule_id", block.rule, "correlation_id", x.correlationID(), "cause", block.cause)
		}
		return block
	}
	c.o.Log.Error("stage failed, the request is blocked", "stage", name, "correlation_id", x.correlationID(), "error", err)
	return &BlockError{
		rule:     name + ".fault",
		severity: enforcementv1.SeverityCritical,
		reason:   "stage " + name + " failed, so nothing is allowed; the runtime's log says why, under this response's correlation_id",
	}
}

// asBlock finds a BlockError in err. The assertion comes first because
// errors.As allocates.
func asBlock(err error) *BlockError {
	if block, ok := err.(*BlockError); ok {
		return block
	}
	var block *BlockError
	if errors.As(err, &block) {
		return block
	}
	return nil
}

// logAnswer writes the line of a decision: blocks at level info, all others at
// debug, so that a busy daemon's log is not a second evidence log.
func (c *Chain) logAnswer(peer Peer, resp *enforcementv1.DecisionResponse) {
	level, wanted := hclog.Debug, c.o.Log.IsDebug
	if resp.Decision == enforcementv1.DecisionBlock {
		level, wanted = hclog.Info, c.o.Log.IsInfo
	}
	if !wanted() {
		return
	}
	fields := []any{"correlation_id", resp.CorrelationID, "decision_id", resp.DecisionID,
		"decision", resp.Decision, "rule_id", resp.RuleID, "action_type", resp.ActionType}
	if peer.Known {
		fields = append(fields, "uid", peer.UID, "pid", peer.PID)
	}
	if level == hclog.Info { // the reason is redacted, as all of the answer is
		fields = append(fields, "reason", resp.Reason)
	}
	c.o.Log.Log(level, "answered", fields...)
}
