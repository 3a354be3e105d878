package pipelinetest_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"

	enforcementv1 "github.com/Huzefaaa2/cavra/go/cavra-runtime/enforcement/v1"
	"github.com/Huzefaaa2/cavra/go/cavra-runtime/pipeline"
	"github.com/Huzefaaa2/cavra/go/cavra-runtime/pipeline/pipelinetest"
)

// A stage made of a Spec and a function.
type stage struct {
	spec   pipeline.Spec
	handle func(context.Context, *pipeline.Exchange) error
}

func (s *stage) Spec() pipeline.Spec { return s.spec }

func (s *stage) Handle(ctx context.Context, x *pipeline.Exchange) error { return s.handle(ctx, x) }

func pass(context.Context, *pipeline.Exchange) error { return nil }

var slot = pipeline.NewSlot[string]("pipelinetest slot")

func TestHandleGivesAStageWhatItNeeds(t *testing.T) {
	const all = pipeline.FactRequest | pipeline.FactIdentity | pipeline.FactDecision
	saw := func(_ context.Context, x *pipeline.Exchange) error {
		if x.Request() == nil || x.Request().Target != "a" || x.Identity() != pipeline.Anonymous || x.Decision().RuleID != "test.allow" {
			return errors.New("something is missing")
		}
		return nil
	}
	r := pipelinetest.Handle(t, &stage{pipeline.Spec{Name: "late", Phase: pipeline.Decide, Needs: all}, saw}, pipelinetest.NewExchange(`{"target":"a"}`))
	if r.Err != nil || r.Response.Decision != enforcementv1.DecisionAllow {
		t.Errorf("%v, answered %s", r.Err, r.Response.RuleID)
	}

	r = pipelinetest.Handle(t, &stage{pipeline.Spec{Name: "audit", Phase: pipeline.Record}, saw}, pipelinetest.NewExchange(`{"target":"a"}`))
	if r.Err != nil {
		t.Errorf("a Record stage before redaction: %v", r.Err)
	}

	redacted := func(_ context.Context, x *pipeline.Exchange) error {
		req, resp := x.Redacted()
		if req.Target != "a" || resp.Decision != enforcementv1.DecisionAllow || x.Request() != nil {
			return errors.New("it is not as after redaction")
		}
		x.SetEvidence("ref")
		return nil
	}
	r = pipelinetest.Handle(t, &stage{pipeline.Spec{Name: "record", Phase: pipeline.Record, Needs: pipeline.FactRedacted, Gives: pipeline.FactEvidence}, redacted}, pipelinetest.NewExchange(`{"target":"a"}`))
	if r.Err != nil || r.RedactedResponse.EvidenceRefs[2] != "ref" {
		t.Errorf("a Record stage after redaction: %v, %v", r.Err, r.RedactedResponse)
	}
}

func TestHandleReportsWhatBecame(t *testing.T) {
	block := pipeline.Block("a.rule", "because")
	r := pipelinetest.Handle(t, &stage{pipeline.Spec{Name: "no", Phase: pipeline.Decide}, func(context.Context, *pipeline.Exchange) error { return block }}, pipelinetest.NewExchange(`{}`))
	if !errors.Is(r.Err, block) || r.Response.RuleID != "a.rule" {
		t.Errorf("%v, answered %s", r.Err, r.Response.RuleID)
	}
	r = pipelinetest.Handle(t, &stage{pipeline.Spec{Name: "bad", Phase: pipeline.Decide}, func(context.Context, *pipeline.Exchange) error { panic("oh") }}, pipelinetest.NewExchange(`{}`))
	if r.Panic != "oh" || r.Response.RuleID != "bad.fault" {
		t.Errorf("panic %v, answered %s", r.Panic, r.Response.RuleID)
	}
}

func TestStagesBeforeFillSlots(t *testing.T) {
	x := pipelinetest.NewExchange(`{}`)
	x.Before = []pipeline.Stage{&stage{pipeline.Spec{Name: "giver", Phase: pipeline.Decide, Gives: slot.Fact()}, func(_ context.Context, x *pipeline.Exchange) error {
		slot.Set(x, "ticket")
		return nil
	}}}
	var got string
	x.Inspect = func(px *pipeline.Exchange) { got, _ = slot.Get(px) }
	r := pipelinetest.Handle(t, &stage{pipeline.Spec{Name: "taker", Phase: pipeline.Decide, Needs: slot.Fact()}, pass}, x)
	if r.Err != nil || got != "ticket" {
		t.Errorf("%v, the slot held %q", r.Err, got)
	}
}

func TestWithinCallsAsOftenAsAsked(t *testing.T) {
	calls := 0
	s := &stage{pipeline.Spec{Name: "counts", Phase: pipeline.Decide}, func(context.Context, *pipeline.Exchange) error { calls++; return nil }}
	pipelinetest.Within(t, s, pipelinetest.NewExchange(`{}`), func(handle func() error) {
		for range 7 {
			if err := handle(); err != nil {
				t.Error(err)
			}
		}
	})
	if calls != 7 {
		t.Errorf("%d calls", calls)
	}
}

// bad are stages that Conform must not accept, and what it says of them.
var bad = map[string]struct {
	stage pipeline.Stage
	says  string
}{
	"gives what it does not say": {&stage{pipeline.Spec{Name: "bad", Phase: pipeline.Decide}, func(_ context.Context, x *pipeline.Exchange) error {
		x.SetIdentity(pipeline.Anonymous)
		return nil
	}}, "broke its Spec"},
	"says what it does not give": {&stage{pipeline.Spec{Name: "bad", Phase: pipeline.Decide, Gives: pipeline.FactDecision}, pass}, "broke its Spec"},
	"fails": {&stage{pipeline.Spec{Name: "bad", Phase: pipeline.Decide}, func(context.Context, *pipeline.Exchange) error {
		return errors.New("no")
	}}, "broke its Spec or failed"},
	"panics on the odd": {&stage{pipeline.Spec{Name: "bad", Phase: pipeline.Decide, Needs: pipeline.FactRequest}, func(_ context.Context, x *pipeline.Exchange) error {
		if x.Request().ReleaseGovernance != nil {
			panic("unforeseen")
		}
		return nil
	}}, "the stage panicked: unforeseen"},
	"edits the request": {&stage{pipeline.Spec{Name: "bad", Phase: pipeline.Decide, Needs: pipeline.FactRequest}, func(_ context.Context, x *pipeline.Exchange) error {
		x.Request().Target = "edited"
		return nil
	}}, "the request"},
	"needs a request to record": {&stage{pipeline.Spec{Name: "bad", Phase: pipeline.Record}, func(_ context.Context, x *pipeline.Exchange) error {
		if x.Request() == nil {
			return errors.New("no request")
		}
		return nil
	}}, "the stage returned no request"},
	"changes its Spec": {&fickle{}, "and then"},
}

// fickle says another name each time.
type fickle struct{ n int }

func (f *fickle) Spec() pipeline.Spec {
	f.n++
	return pipeline.Spec{Name: "bad" + strings.Repeat("x", f.n%7), Phase: pipeline.Decide}
}

func (f *fickle) Handle(context.Context, *pipeline.Exchange) error { return nil }

const badStage = "PIPELINETEST_BAD_STAGE"

// TestConformAcceptsNoBadStage runs itself once for each bad stage, since
// Conform fails the test that calls it.
func TestConformAcceptsNoBadStage(t *testing.T) {
	if name := os.Getenv(badStage); name != "" {
		pipelinetest.Conform(t, bad[name].stage)
		return
	}
	for name, b := range bad {
		t.Run(name, func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^TestConformAcceptsNoBadStage$")
			cmd.Env = append(os.Environ(), badStage+"="+name)
			out, err := cmd.CombinedOutput()
			if err == nil {
				t.Fatalf("Conform accepts it:\n%s", out)
			}
			if !strings.Contains(string(out), b.says) {
				t.Errorf("Conform does not say %q but:\n%s", b.says, out)
			}
		})
	}
}

func TestConformAcceptsAGoodStage(t *testing.T) {
	pipelinetest.Conform(t, &stage{pipeline.Spec{Name: "good", Phase: pipeline.Decide}, pass})
	pipelinetest.Conform(t, &stage{pipeline.Spec{Name: "good", Phase: pipeline.Record, Needs: pipeline.FactRedacted}, pass})
}
