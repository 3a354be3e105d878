package pipeline_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"

	enforcementv1 "github.com/Huzefaaa2/cavra/go/cavra-runtime/enforcement/v1"
	"github.com/Huzefaaa2/cavra/go/cavra-runtime/pipeline"
)

// failures are the ways in which a stage can fail, and the rule that each leads
// to when the stage is called NAME.
var failures = []struct {
	name, rule string
	fail       func() error
}{
	{"a block", "some.rule", func() error { return pipeline.Block("some.rule", "because") }},
	{"a wrapped block", "some.rule", func() error { return fmt.Errorf("wrapped: %w", pipeline.Block("some.rule", "because")) }},
	{"another error", "NAME.fault", func() error { return errors.New("internal detail") }},
	{"a typed nil", "NAME.fault", func() error { var none *pipeline.BlockError; return none }},
	{"a block without a rule", "NAME.fault", func() error { return pipeline.Block("", "because") }},
	{"a block of no severity", "NAME.fault", func() error { return pipeline.Block("some.rule", "because").WithSeverity("meh") }},
	{"a panic", "NAME.fault", func() error { panic("internal detail") }},
	{"a panic with nil", "NAME.fault", func() error { panic(nil) }},
	{"a nil dereference", "NAME.fault", func() error { var s *fake; s.calls.Add(1); return nil }},
}

func TestPromise1AnAllowNeedsEveryDecideStageAndADecision(t *testing.T) {
	if resp := newFive().run(t); resp.Decision != enforcementv1.DecisionAllow {
		t.Fatalf("five good stages lead to %s by %s, want an allow", resp.Decision, resp.RuleID)
	}

	t.Run("every way to fail, in every stage", func(t *testing.T) {
		for i := range newFive().stages() {
			for _, failure := range failures {
				f := newFive()
				stage := f.stages()[i].(*fake)
				work := stage.do
				stage.do = func(ctx context.Context, x *pipeline.Exchange) error {
					if err := work(ctx, x); err != nil { // fails after its work is done
						t.Fatal(err)
					}
					return failure.fail()
				}
				if resp := f.run(t); resp.Decision != enforcementv1.DecisionBlock {
					t.Errorf("%s in %s leads to %s", failure.name, stage.spec.Name, resp.Decision)
				}
			}
		}
	})

	t.Run("a stage that gives less than its Spec says", func(t *testing.T) {
		for i := range newFive().stages() {
			f := newFive()
			stage := f.stages()[i].(*fake)
			stage.do = func(context.Context, *pipeline.Exchange) error { return nil }
			if resp := f.run(t); resp.Decision != enforcementv1.DecisionBlock || resp.RuleID != stage.spec.Name+".fault" {
				t.Errorf("%s gives nothing and the answer is %s by %s", stage.spec.Name, resp.Decision, resp.RuleID)
			}
		}
	})

	t.Run("a stage that gives what its Spec does not", func(t *testing.T) {
		for name, misuse := range map[string]func(*pipeline.Exchange){
			"an allow":             func(x *pipeline.Exchange) { x.SetDecision(allow) },
			"an identity":          func(x *pipeline.Exchange) { x.SetIdentity(pipeline.Anonymous) },
			"a request":            func(x *pipeline.Exchange) { x.SetRequest(&enforcementv1.EvaluateRequest{}) },
			"a redacted pair":      func(x *pipeline.Exchange) { x.SetRedacted(&enforcementv1.EvaluateRequest{}, &allowed) },
			"evidence":             func(x *pipeline.Exchange) { x.SetEvidence("go-daemon-evidence://1") },
			"a slot of some other": func(x *pipeline.Exchange) { ticket.Set(x, 1) },
		} {
			for _, phase := range []pipeline.Phase{pipeline.Decide, pipeline.Record} {
				f := newFive()
				rogue := &fake{
					spec: pipeline.Spec{Name: "rogue", Phase: phase},
					do:   func(_ context.Context, x *pipeline.Exchange) error { misuse(x); return nil },
				}
				stages := slices.Insert(f.stages(), map[pipeline.Phase]int{pipeline.Decide: 3, pipeline.Record: 4}[phase], pipeline.Stage(rogue))
				resp := runChain(t, stages, pipeline.NewExchange(nil, pipeline.Peer{}))
				if resp.Decision != enforcementv1.DecisionBlock || resp.RuleID != "rogue.fault" {
					t.Errorf("a %v stage sets %s and the answer is %s by %s", phase, name, resp.Decision, resp.RuleID)
				}
			}
		}
	})

	t.Run("values that say nothing", func(t *testing.T) {
		for name, do := range map[string]func(*pipeline.Exchange){
			"decode":   func(x *pipeline.Exchange) { x.SetRequest(nil) },
			"auth":     func(x *pipeline.Exchange) { x.SetIdentity(pipeline.Identity{}) },
			"evaluate": func(x *pipeline.Exchange) { x.SetDecision(pipeline.Decision{Decision: "allow", Severity: "low"}) },
			"redact":   func(x *pipeline.Exchange) { x.SetRedacted(nil, nil) },
		} {
			f := newFive()
			for _, s := range f.stages() {
				if s.Spec().Name == name {
					s.(*fake).do = func(_ context.Context, x *pipeline.Exchange) error { do(x); return nil }
				}
			}
			if resp := f.run(t); resp.RuleID != name+".fault" {
				t.Errorf("%s: the answer is %s by %s", name, resp.Decision, resp.RuleID)
			}
		}
		f := newFive()
		f.evaluate.do = func(_ context.Context, x *pipeline.Exchange) error {
			x.SetDecision(pipeline.Decision{Decision: "ALLOW", Severity: "low", RuleID: "r"})
			return nil
		}
		if resp := f.run(t); resp.RuleID != "evaluate.fault" {
			t.Errorf("an unknown decision leads to %s by %s", resp.Decision, resp.RuleID)
		}
	})

	t.Run("a decision from before the chain", func(t *testing.T) {
		f := newFive()
		x := pipeline.NewExchange([]byte("secret"), pipeline.Peer{})
		if resp := runChain(t, f.stages(), x); resp.Decision != enforcementv1.DecisionAllow {
			t.Fatal(resp)
		}
		f.evaluate.do = func(context.Context, *pipeline.Exchange) error { return nil }
		if resp := runChain(t, f.stages(), x); resp.Decision != enforcementv1.DecisionBlock {
			t.Errorf("an exchange that was allowed once is %s without a new decision", resp.Decision)
		}
		x.SetDecision(allow)
		if resp := runChain(t, f.stages(), x); resp.Decision != enforcementv1.DecisionBlock {
			t.Errorf("a decision set outside the chain leads to %s", resp.Decision)
		}
	})
}

var (
	ticket = pipeline.NewSlot[int]("test ticket")
	allow  = pipeline.Decision{Decision: enforcementv1.DecisionAllow, Severity: enforcementv1.SeverityLow, RuleID: "rogue.allow"}

	allowed = enforcementv1.DecisionResponse{Decision: enforcementv1.DecisionAllow}
)

func TestPromise2AnErrorBlocksByItsOwnRuleOrAsAFault(t *testing.T) {
	for i := range newFive().stages() {
		for _, failure := range failures {
			f := newFive()
			stage := f.stages()[i].(*fake)
			stage.do = func(context.Context, *pipeline.Exchange) error { return failure.fail() }
			var log bytes.Buffer
			chain, err := pipeline.New(f.stages(), pipeline.Options{Log: hclog.New(&hclog.LoggerOptions{Output: &log})})
			if err != nil {
				t.Fatal(err)
			}
			resp := chain.Run(t.Context(), pipeline.NewExchange(nil, pipeline.Peer{}))
			want := strings.Replace(failure.rule, "NAME", stage.spec.Name, 1)
			if resp.Decision != enforcementv1.DecisionBlock || resp.RuleID != want {
				t.Errorf("%s in %s leads to %s by %s, want a block by %s", failure.name, stage.spec.Name, resp.Decision, resp.RuleID, want)
			}
			if strings.Contains(resp.Reason, "internal detail") {
				t.Errorf("%s in %s shows the client %q", failure.name, stage.spec.Name, resp.Reason)
			}
			if !strings.Contains(log.String(), resp.CorrelationID) {
				t.Errorf("%s in %s leaves no line with the correlation_id in the log:\n%s", failure.name, stage.spec.Name, &log)
			}
		}
	}

	t.Run("the cause goes to the log only", func(t *testing.T) {
		f := newFive()
		f.auth.do = func(context.Context, *pipeline.Exchange) error {
			return pipeline.Block("some.rule", "do this").Because(errors.New("internal detail"))
		}
		var log bytes.Buffer
		chain, _ := pipeline.New(f.stages(), pipeline.Options{Log: hclog.New(&hclog.LoggerOptions{Output: &log})})
		resp := chain.Run(t.Context(), pipeline.NewExchange(nil, pipeline.Peer{}))
		if resp.Reason != "do this" || !strings.Contains(log.String(), "internal detail") {
			t.Errorf("the reason is %q and the log reads:\n%s", resp.Reason, &log)
		}
	})

	t.Run("no stage after the block decides", func(t *testing.T) {
		f := newFive()
		f.decode.do = func(context.Context, *pipeline.Exchange) error { return pipeline.Block("some.rule", "") }
		f.run(t)
		if f.auth.calls.Load()+f.evaluate.calls.Load() != 0 {
			t.Errorf("auth ran %d times and evaluate %d times", f.auth.calls.Load(), f.evaluate.calls.Load())
		}
	})
}

func TestPromise3EveryRecordStageRunsOnceForEveryExchange(t *testing.T) {
	check := func(name string, f *five, x *pipeline.Exchange, ctx context.Context) {
		t.Helper()
		audit := &fake{
			spec: pipeline.Spec{Name: "audit", Phase: pipeline.Record},
			do:   func(ctx context.Context, _ *pipeline.Exchange) error { return ctx.Err() },
		}
		chain, err := pipeline.New(slices.Insert(f.stages(), 3, pipeline.Stage(audit)), pipeline.Options{})
		if err != nil {
			t.Fatal(err)
		}
		resp := chain.Run(ctx, x)
		if audit.calls.Load() != 1 || f.redact.calls.Load() != 1 || f.evidence.calls.Load() != 1 {
			t.Errorf("%s: audit ran %d times, redact %d, evidence %d", name, audit.calls.Load(), f.redact.calls.Load(), f.evidence.calls.Load())
		}
		if resp.RuleID == "audit.fault" {
			t.Errorf("%s: a Record stage met a cancelled context", name)
		}
	}
	good := func() *pipeline.Exchange { return pipeline.NewExchange([]byte("x"), pipeline.Peer{}) }

	check("an allow", newFive(), good(), t.Context())
	for i := range newFive().stages() {
		for _, failure := range failures {
			f := newFive()
			stage := f.stages()[i].(*fake)
			stage.do = func(context.Context, *pipeline.Exchange) error { return failure.fail() }
			check(failure.name+" in "+stage.spec.Name, f, good(), t.Context())
		}
	}

	refused := good()
	refused.Refuse(pipeline.Block("request.too_large", ""))
	f := newFive()
	check("a request that could not be read", f, refused, t.Context())
	if f.decode.calls.Load() != 0 {
		t.Error("a Decide stage ran for a request that could not be read")
	}

	gone, hangUp := context.WithCancel(t.Context())
	hangUp()
	check("a client that hung up", newFive(), good(), gone)
}

func TestPromise4ARecordStageThatFailsTurnsTheAnswerIntoABlock(t *testing.T) {
	for i := range newFive().stages() {
		stage := newFive().stages()[i].(*fake)
		if stage.spec.Phase != pipeline.Record {
			continue
		}
		for _, failure := range failures {
			f := newFive()
			stage := f.stages()[i].(*fake)
			work := stage.do
			stage.do = func(ctx context.Context, x *pipeline.Exchange) error {
				_ = work(ctx, x)
				return failure.fail()
			}
			resp := f.run(t)
			want := strings.Replace(failure.rule, "NAME", stage.spec.Name, 1)
			if resp.Decision != enforcementv1.DecisionBlock || resp.RuleID != want || resp.PolicyID != "" {
				t.Errorf("%s in %s leads to %s by %s of policy %q", failure.name, stage.spec.Name, resp.Decision, resp.RuleID, resp.PolicyID)
			}
			if stage == f.evidence && slices.Contains(resp.EvidenceRefs, recordRef) {
				t.Errorf("%s in evidence leaves the ref of a record that is not there: %q", failure.name, resp.EvidenceRefs)
			}
			if len(resp.EvidenceRefs) < 2 || !strings.HasPrefix(resp.EvidenceRefs[0], "evidence://local/dec_") {
				t.Errorf("%s in %s leaves the refs %q", failure.name, stage.spec.Name, resp.EvidenceRefs)
			}
		}
	}

	t.Run("what evidence records after another stage's failure is the block that is sent", func(t *testing.T) {
		f := newFive()
		f.redact.do = func(context.Context, *pipeline.Exchange) error { return errors.New("no") }
		var recorded string
		work := f.evidence.do
		f.evidence.do = func(ctx context.Context, x *pipeline.Exchange) error {
			req, resp := x.Redacted()
			recorded = resp.RuleID + " " + resp.DecisionID
			if !req.IsZero() {
				t.Errorf("the record holds the request %+v after redaction failed", req)
			}
			return work(ctx, x)
		}
		resp := f.run(t)
		if sent := resp.RuleID + " " + resp.DecisionID; recorded != sent || !strings.HasPrefix(sent, "redact.fault dec_") {
			t.Errorf("recorded %s, sent %s", recorded, sent)
		}
		if resp.Target != "" {
			t.Errorf("the answer holds the target %q after redaction failed", resp.Target)
		}
	})
}

func TestPromise5AfterRedactionTheSecretsAreGone(t *testing.T) {
	for _, failure := range append(failures, struct {
		name, rule string
		fail       func() error
	}{"no failure", "", func() error { return nil }}) {
		f := newFive()
		work := f.redact.do
		f.redact.do = func(ctx context.Context, x *pipeline.Exchange) error {
			if string(x.Raw()) != "secret" || x.Request() == nil || x.Response().Target != "secret" {
				t.Errorf("%s: redaction has nothing to work on", failure.name)
			}
			_ = work(ctx, x)
			return failure.fail()
		}
		f.evidence.do = func(_ context.Context, x *pipeline.Exchange) error {
			switch {
			case x.Raw() != nil, x.Request() != nil, x.Response() != nil, x.Blocked() != nil:
				t.Errorf("%s: raw %q, request %v, response %v, block %v are left", failure.name, x.Raw(), x.Request(), x.Response(), x.Blocked())
			case x.Identity() != pipeline.Identity{}, x.Decision() != pipeline.Decision{}:
				t.Errorf("%s: identity %v, decision %v are left", failure.name, x.Identity(), x.Decision())
			}
			if req, resp := x.Redacted(); req == nil || resp == nil {
				t.Errorf("%s: there is no redacted pair", failure.name)
			}
			x.SetEvidence(recordRef)
			return nil
		}
		f.run(t)
	}
}

func TestPromise6NoAnswerExistsBeforeTheChainHasEnded(t *testing.T) {
	// Run returns the answer, so nobody can write it sooner; what is left to
	// show is that it is the one that stands after the last stage.
	f := newFive()
	ended := false
	f.evidence.do = func(_ context.Context, x *pipeline.Exchange) error {
		_, resp := x.Redacted()
		if resp.Decision != enforcementv1.DecisionAllow {
			t.Errorf("the answer is %s before the last stage", resp.Decision)
		}
		ended = true
		return pipeline.Block("evidence.unavailable", "the disk is full").WithSeverity(enforcementv1.SeverityCritical)
	}
	resp := f.run(t)
	if !ended || resp.Decision != enforcementv1.DecisionBlock || resp.RuleID != "evidence.unavailable" || resp.Severity != enforcementv1.SeverityCritical {
		t.Errorf("the answer is %s by %s (%s), ended %v", resp.Decision, resp.RuleID, resp.Severity, ended)
	}
}

func TestPromise7AChainCannotBeChangedAfterNew(t *testing.T) {
	f := newFive()
	stages := f.stages()
	chain, err := pipeline.New(stages, pipeline.Options{})
	if err != nil {
		t.Fatal(err)
	}
	stages[1] = nil                       // the caller's slice
	f.evaluate.spec = pipeline.Spec{}     // a stage's own Spec
	f.redact.spec.Phase = pipeline.Decide //
	clear(chain.Stages())                 // what the chain hands out
	const want = "decode > auth > evaluate | redact > evidence"
	if chain.String() != want {
		t.Errorf("the chain reads %q, want %q", chain, want)
	}
	if resp := chain.Run(t.Context(), pipeline.NewExchange(nil, pipeline.Peer{})); resp.Decision != enforcementv1.DecisionAllow {
		t.Errorf("the answer is %s by %s", resp.Decision, resp.RuleID)
	}
}
