package pipeline_test

import (
	"context"
	"encoding/json"
	"errors"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	enforcementv1 "github.com/Huzefaaa2/cavra/go/cavra-runtime/enforcement/v1"
	"github.com/Huzefaaa2/cavra/go/cavra-runtime/pipeline"
)

func TestAResponseCarriesWhatTheContractAsksFor(t *testing.T) {
	before := time.Now()
	resp := newFive().run(t)
	for what, c := range map[string]struct{ value, pattern string }{
		"decision_id":    {resp.DecisionID, `^dec_[0-9a-f]{12}$`},
		"correlation_id": {resp.CorrelationID, `^corr_[0-9a-f]{12}$`},
		"timestamp":      {resp.Timestamp, `^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z$`},
		"session_id":     {resp.SessionID, `^local$`},
		"agent_id":       {resp.AgentID, `^unknown-agent$`},
		"actor":          {resp.Actor, `^ai-agent$`},
		"policy_pack":    {resp.PolicyPack, `^cavra-ai-agent-baseline$`},
		"action_type":    {resp.ActionType, `^read_file$`},
		"target":         {resp.Target, `^secret$`},
	} {
		if !regexp.MustCompile(c.pattern).MatchString(c.value) {
			t.Errorf("%s is %q", what, c.value)
		}
	}
	if at, err := time.Parse(time.RFC3339Nano, resp.Timestamp); err != nil || at.Before(before.Add(-time.Second)) || at.After(time.Now().Add(time.Second)) {
		t.Errorf("the timestamp is %s (%v)", resp.Timestamp, err)
	}
	want := []string{"evidence://local/" + resp.DecisionID, "policy://fake@sha256:00", "runner-auth://none", recordRef}
	if !slices.Equal(resp.EvidenceRefs, want) {
		t.Errorf("the refs are %q, want %q", resp.EvidenceRefs, want)
	}
}

func TestABlockEchoesTheRequestAndNoPolicy(t *testing.T) {
	f := newFive()
	f.decode.do = func(_ context.Context, x *pipeline.Exchange) error {
		x.SetRequest(&enforcementv1.EvaluateRequest{
			SessionID: "s", AgentID: "a", Actor: "me", Target: "kind", Capability: "cap", PolicyPack: "pack",
			ReleaseGovernance: &enforcementv1.ReleaseGovernanceEvidence{},
		})
		return nil
	}
	f.evaluate.do = func(_ context.Context, x *pipeline.Exchange) error {
		x.SetDecision(allow)
		return pipeline.Block("some.rule", "because").WithSeverity(enforcementv1.SeverityMedium)
	}
	resp := f.run(t)
	resp.DecisionID, resp.CorrelationID, resp.Timestamp, resp.EvidenceRefs = "", "", "", nil
	want := &enforcementv1.DecisionResponse{
		SessionID: "s", AgentID: "a", Actor: "me", ActionType: "release_governance_record", Target: "kind",
		RequestedOperation: "cap", PolicyPack: "pack",
		RuleID: "some.rule", Decision: "block", Severity: "medium", Reason: "because",
	}
	if !reflect.DeepEqual(resp, want) {
		t.Errorf("got  %+v\nwant %+v", resp, want)
	}
}

func TestAnswerRunsNoStage(t *testing.T) {
	f := newFive()
	chain, err := pipeline.New(f.stages(), pipeline.Options{DefaultPolicyPack: func() string { return "mine" }})
	if err != nil {
		t.Fatal(err)
	}
	resp := chain.Answer(pipeline.Block("server.overloaded", "later"))
	if resp.Decision != "block" || resp.RuleID != "server.overloaded" || resp.PolicyPack != "mine" || len(resp.EvidenceRefs) != 2 {
		t.Errorf("the answer is %+v", resp)
	}
	if f.evidence.calls.Load() != 0 {
		t.Error("a stage ran")
	}
}

func TestASlotCarriesAForksValue(t *testing.T) {
	giver := &fake{
		spec: pipeline.Spec{Name: "giver", Phase: pipeline.Decide, Gives: ticket.Fact()},
		do:   func(_ context.Context, x *pipeline.Exchange) error { ticket.Set(x, 42); return nil },
	}
	taker := &fake{
		spec: pipeline.Spec{Name: "taker", Phase: pipeline.Decide, Needs: ticket.Fact()},
		do: func(_ context.Context, x *pipeline.Exchange) error {
			if v, ok := ticket.Get(x); v != 42 || !ok {
				t.Errorf("the slot holds %d, %v", v, ok)
			}
			return nil
		},
	}
	chain, err := pipeline.New(slices.Insert(newFive().stages(), 1, pipeline.Stage(giver), pipeline.Stage(taker)), pipeline.Options{})
	if err != nil {
		t.Fatal(err)
	}
	x := pipeline.NewExchange(nil, pipeline.Peer{})
	if resp := chain.Run(t.Context(), x); resp.Decision != "allow" {
		t.Fatalf("%s: %s", resp.RuleID, resp.Reason)
	}
	x.Reset(nil, pipeline.Peer{})
	if v, ok := ticket.Get(x); ok {
		t.Errorf("after Reset the slot still holds %d", v)
	}
	if _, err := pipeline.New(slices.Insert(newFive().stages(), 1, pipeline.Stage(taker)), pipeline.Options{}); err == nil || !strings.Contains(err.Error(), "taker needs test ticket") {
		t.Errorf("a chain without the giver: %v", err)
	}
}

func TestAFactIsRegisteredOnce(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("a second fact of the same name was registered")
		}
	}()
	pipeline.NewFact("test ticket")
}

func TestFactsHaveNames(t *testing.T) {
	for want, f := range map[string]pipeline.Fact{
		"nothing":              0,
		"request":              pipeline.FactRequest,
		"identity, evidence":   pipeline.FactIdentity | pipeline.FactEvidence,
		"decision, redacted":   pipeline.FactDecision | pipeline.FactRedacted,
		"unregistered fact 31": 1 << 31,
		"request, test ticket": pipeline.FactRequest | ticket.Fact(),
	} {
		if f.String() != want {
			t.Errorf("%d reads %q, want %q", f, f, want)
		}
	}
}

func TestStagesAreTimed(t *testing.T) {
	f := newFive()
	f.auth.do = func(context.Context, *pipeline.Exchange) error {
		for began := time.Now(); time.Since(began) < time.Millisecond; {
		}
		return pipeline.Block("some.rule", "")
	}
	var took []time.Duration
	chain, err := pipeline.New(f.stages(), pipeline.Options{
		Observe: func(_ *enforcementv1.DecisionResponse, t []time.Duration) { took = slices.Clone(t) },
	})
	if err != nil {
		t.Fatal(err)
	}
	chain.Run(t.Context(), pipeline.NewExchange(nil, pipeline.Peer{}))
	if len(took) != 5 || took[0] <= 0 || took[1] < time.Millisecond || took[2] != 0 || took[3] <= 0 || took[4] <= 0 {
		t.Errorf("the stages took %v", took)
	}
}

func TestCloseGoesFromTheLastStageToTheFirst(t *testing.T) {
	f := newFive()
	var order []string
	for _, s := range f.stages() {
		s := s.(*fake)
		s.close = func() error {
			order = append(order, s.spec.Name)
			return errors.New("cannot")
		}
	}
	chain, err := pipeline.New(f.stages(), pipeline.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := chain.Close(); err == nil || strings.Count(err.Error(), "cannot") != 5 {
		t.Errorf("Close says %v", err)
	}
	if got := strings.Join(order, " "); got != "evidence redact evaluate auth decode" {
		t.Errorf("closed in the order %s", got)
	}
}

func TestABlockIsFoundByItsRule(t *testing.T) {
	declared := pipeline.Block("some.rule", "because")
	made := declared.Reasonf("because of %d", 1).Because(context.Canceled).WithSeverity("low")
	if !errors.Is(made, declared) || !errors.Is(made, context.Canceled) || errors.Is(made, pipeline.Block("other.rule", "")) {
		t.Error("errors.Is does not go by the rule and the cause")
	}
	if declared.Reason() != "because" || declared.Severity() != "high" || declared.Unwrap() != nil {
		t.Errorf("the declared block changed: %v", declared)
	}
	if got := made.Error(); got != "some.rule: because of 1: context canceled" {
		t.Errorf("the error reads %q", got)
	}
}

func TestARunIsReadableAsJSON(t *testing.T) {
	b, err := json.Marshal(newFive().run(t))
	if err != nil || !strings.HasPrefix(string(b), `{"decision_id":"dec_`) {
		t.Errorf("%s, %v", b, err)
	}
}
