// Package pipelinetest tests stages: Handle runs one stage alone, Within lets a
// benchmark call it many times, and Conform holds any stage to the rules of
// package pipeline.
//
// A stage runs inside a real chain whose other stages are fakes that give what
// it needs, so it meets the same checks as in the daemon.
package pipelinetest

import (
	"context"
	"encoding/json"
	"errors"
	"testing"

	enforcementv1 "github.com/Huzefaaa2/cavra/go/cavra-runtime/enforcement/v1"
	"github.com/Huzefaaa2/cavra/go/cavra-runtime/pipeline"
)

// An Exchange is what the stage under test meets. Change its fields before
// Handle; the stages before the one under test give what they hold.
type Exchange struct {
	Raw      []byte
	Peer     pipeline.Peer
	Request  *enforcementv1.EvaluateRequest // given where the stage needs FactRequest, and to Record stages
	Identity pipeline.Identity              // given where the stage needs FactIdentity, and to Record stages
	Decision pipeline.Decision              // given where the stage needs FactDecision, and to Record stages
	Block    *pipeline.BlockError           // for a Record stage: what ended the Decide phase; nil means Decision stands
	Refused  *pipeline.BlockError           // what the reader of the request refused it with

	// Before are stages that run before the one under test, in place of the
	// fakes of the facts that they give: for a stage that needs a fork's slot.
	Before []pipeline.Stage
	// Inspect, where set, sees the exchange right after the stage handled it:
	// for what the stage put into a slot.
	Inspect func(*pipeline.Exchange)
}

// NewExchange is an exchange of one request: its bytes, the request decoded from
// them where they can be decoded, an anonymous identity and an allow.
func NewExchange(raw string) *Exchange {
	x := &Exchange{
		Raw:      []byte(raw),
		Identity: pipeline.Anonymous,
		Decision: pipeline.Decision{
			Decision: enforcementv1.DecisionAllow, Severity: enforcementv1.SeverityLow,
			RuleID: "test.allow", Reason: "the test allows it",
		},
	}
	req := &enforcementv1.EvaluateRequest{}
	if json.Unmarshal(x.Raw, req) == nil {
		x.Request = req
	}
	return x
}

// A Result is what became of an exchange.
type Result struct {
	Err   error // what Handle returned
	Panic any   // what Handle panicked with; the chain made a fault of it

	// The exchange as the stage left it.
	Request          *enforcementv1.EvaluateRequest
	Identity         pipeline.Identity
	Decision         pipeline.Decision
	RedactedRequest  *enforcementv1.EvaluateRequest
	RedactedResponse *enforcementv1.DecisionResponse

	// Response is what the chain answered: "<stage>.fault" where the stage broke
	// its Spec. The fake that redacts in this chain changes nothing.
	Response *enforcementv1.DecisionResponse
}

// Handle runs one exchange through the stage.
func Handle(t testing.TB, s pipeline.Stage, x *Exchange) Result {
	t.Helper()
	return HandleContext(t.Context(), t, s, x)
}

// HandleContext is Handle with a context.
func HandleContext(ctx context.Context, t testing.TB, s pipeline.Stage, x *Exchange) Result {
	t.Helper()
	var r Result
	ran := false
	r.Response = run(ctx, t, s, x, func(ctx context.Context, px *pipeline.Exchange) error {
		ran = true
		defer func() {
			if r.Panic = recover(); r.Panic != nil {
				panic(r.Panic)
			}
		}()
		r.Err = s.Handle(ctx, px)
		r.Request, r.Identity, r.Decision = px.Request(), px.Identity(), px.Decision()
		r.RedactedRequest, r.RedactedResponse = px.Redacted()
		if x.Inspect != nil {
			x.Inspect(px)
		}
		return r.Err
	})
	if !ran {
		t.Fatalf("stage %s was not reached: the answer is %s: %s", s.Spec().Name, r.Response.RuleID, r.Response.Reason)
	}
	return r
}

// Within calls f once, in the stage's place in a chain. f may call handle as
// often as it likes: each call is the stage's Handle on the same exchange.
func Within(t testing.TB, s pipeline.Stage, x *Exchange, f func(handle func() error)) {
	t.Helper()
	run(t.Context(), t, s, x, func(ctx context.Context, px *pipeline.Exchange) error {
		var last error
		f(func() error {
			last = s.Handle(ctx, px)
			return last
		})
		return last
	})
}

// run puts handle in the place of s in a chain of fakes.
func run(ctx context.Context, t testing.TB, s pipeline.Stage, x *Exchange, handle func(context.Context, *pipeline.Exchange) error) *enforcementv1.DecisionResponse {
	t.Helper()
	chain, err := pipeline.New(around(x, &standIn{s.Spec(), handle}), pipeline.Options{})
	if err != nil {
		t.Fatalf("no chain can be made around stage %s: %v", s.Spec().Name, err)
	}
	px := pipeline.NewExchange(x.Raw, x.Peer)
	if x.Refused != nil {
		px.Refuse(x.Refused)
	}
	return chain.Run(ctx, px)
}

// around lists the fakes that a stage needs around it.
func around(x *Exchange, s pipeline.Stage) []pipeline.Stage {
	spec := s.Spec()
	var given pipeline.Fact
	for _, b := range x.Before {
		given |= b.Spec().Gives
	}
	const decideFacts = pipeline.FactRequest | pipeline.FactIdentity | pipeline.FactDecision
	redact := &standIn{pipeline.Spec{Name: "fake-redact", Phase: pipeline.Record, Gives: pipeline.FactRedacted}, fakeRedact}

	if spec.Phase != pipeline.Record {
		stages := []pipeline.Stage{fakeDecide(x, "fake-before", spec.Needs&^given&decideFacts)}
		stages = append(append(stages, x.Before...), s)
		if (spec.Gives|spec.Needs|given)&pipeline.FactDecision == 0 {
			stages = append(stages, fakeDecide(x, "fake-after", pipeline.FactDecision))
		}
		return append(stages, redact)
	}

	decide := fakeDecide(x, "fake-decide", decideFacts&^given)
	stages := []pipeline.Stage{decide}
	redacted := given&pipeline.FactRedacted != 0
	for _, b := range x.Before {
		if b.Spec().Phase == pipeline.Record && !redacted {
			stages, redacted = append(stages, redact), true
		}
		stages = append(stages, b)
	}
	switch {
	case redacted || spec.Gives&pipeline.FactRedacted != 0:
		return append(stages, s)
	case spec.Needs&pipeline.FactRedacted != 0 || spec.Gives&pipeline.FactEvidence != 0:
		return append(stages, redact, s)
	}
	return append(stages, s, redact)
}

// A standIn is a fake, or the stage under test with an eye on it.
type standIn struct {
	spec   pipeline.Spec
	handle func(context.Context, *pipeline.Exchange) error
}

func (s *standIn) Spec() pipeline.Spec { return s.spec }

func (s *standIn) Handle(ctx context.Context, x *pipeline.Exchange) error { return s.handle(ctx, x) }

var errNoRequest = errors.New("pipelinetest: the exchange has no Request and the stage needs one")

// fakeDecide gives what the test's exchange holds.
func fakeDecide(x *Exchange, name string, gives pipeline.Fact) pipeline.Stage {
	spec := pipeline.Spec{Name: name, Phase: pipeline.Decide, Gives: gives}
	return &standIn{spec, func(_ context.Context, px *pipeline.Exchange) error {
		if gives&pipeline.FactRequest != 0 {
			switch {
			case x.Request != nil:
				px.SetRequest(x.Request)
			case x.Block != nil:
				return x.Block
			default:
				return errNoRequest
			}
		}
		if gives&pipeline.FactIdentity != 0 {
			px.SetIdentity(x.Identity)
		}
		if gives&pipeline.FactDecision != 0 {
			px.SetDecision(x.Decision)
		}
		if x.Block != nil {
			return x.Block
		}
		return nil
	}}
}

// fakeRedact passes copies on as they are.
func fakeRedact(_ context.Context, px *pipeline.Exchange) error {
	req, resp := enforcementv1.EvaluateRequest{}, *px.Response()
	if px.Request() != nil {
		req = *px.Request()
	}
	px.SetRedacted(&req, &resp)
	return nil
}
