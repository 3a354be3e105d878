package ratelimit

import (
	"errors"
	"strings"
	"testing"
	"time"

	enforcementv1 "github.com/Huzefaaa2/cavra/go/cavra-runtime/enforcement/v1"
	"github.com/Huzefaaa2/cavra/go/cavra-runtime/pipeline"
	"github.com/Huzefaaa2/cavra/go/cavra-runtime/pipeline/pipelinetest"
)

// newStage makes a stage whose clock the test moves.
func newStage(t *testing.T, o Options) (*Stage, func(time.Duration)) {
	t.Helper()
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Unix(0, 0)
	s.now = func() time.Time { return now }
	return s, func(d time.Duration) { now = now.Add(d) }
}

func from(uid uint32) *pipelinetest.Exchange {
	x := pipelinetest.NewExchange(`{"action_type":"read_file","target":"README.md"}`)
	x.Peer = pipeline.Peer{Known: true, UID: uid}
	return x
}

func TestAfterTheBurstTheRateHolds(t *testing.T) {
	s, pass := newStage(t, Options{Rate: 2, Burst: 3, By: "uid", MaxKeys: 10})
	for i := range 3 {
		if r := pipelinetest.Handle(t, s, from(1)); r.Err != nil {
			t.Fatalf("request %d of the burst: %v", i+1, r.Err)
		}
	}
	r := pipelinetest.Handle(t, s, from(1))
	if !errors.Is(r.Err, errExceeded) || r.Response.RuleID != "ratelimit.exceeded" || r.Response.Decision != enforcementv1.DecisionBlock {
		t.Fatalf("after the burst: %v, answered %s by %s", r.Err, r.Response.Decision, r.Response.RuleID)
	}
	if r := pipelinetest.Handle(t, s, from(2)); r.Err != nil {
		t.Errorf("another user pays for the first: %v", r.Err)
	}
	pass(500 * time.Millisecond)
	if r := pipelinetest.Handle(t, s, from(1)); r.Err != nil {
		t.Errorf("half a second later at two a second: %v", r.Err)
	}
	if r := pipelinetest.Handle(t, s, from(1)); r.Err == nil {
		t.Error("half a second gave two tokens")
	}
}

func TestByRunnerOnlyAProvenIdentityCounts(t *testing.T) {
	s, _ := newStage(t, Options{Rate: 1, Burst: 1, By: "runner", MaxKeys: 10})
	runner := func(proof, repository string) error {
		x := from(1)
		x.Identity = pipeline.Identity{Proof: proof, Runner: enforcementv1.RunnerIdentity{Provider: "ci", Repository: repository}}
		return pipelinetest.Handle(t, s, x).Err
	}
	if err := errors.Join(runner("hmac/k", "a"), runner("hmac/k", "b")); err != nil {
		t.Errorf("two repositories: %v", err)
	}
	if runner("hmac/k", "a") == nil {
		t.Error("the same repository twice passes a burst of one")
	}
	if runner("none", "c") != nil || runner("none", "d") == nil {
		t.Error("names that nobody proved are told apart")
	}
}

func TestKeysAreBounded(t *testing.T) {
	s, pass := newStage(t, Options{Rate: 1, Burst: 1, By: "uid", MaxKeys: 2})
	if pipelinetest.Handle(t, s, from(1)).Err != nil || pipelinetest.Handle(t, s, from(2)).Err != nil {
		t.Fatal("two users do not fit")
	}
	if pipelinetest.Handle(t, s, from(3)).Err == nil {
		t.Error("a third user passes uncounted")
	}
	pass(time.Second)
	if err := pipelinetest.Handle(t, s, from(3)).Err; err != nil {
		t.Errorf("after the others got their tokens back: %v", err)
	}
	if len(s.keys) != 1 {
		t.Errorf("%d keys are kept", len(s.keys))
	}
}

func TestEveryFaultOfTheOptionsIsNamed(t *testing.T) {
	_, err := New(Options{By: "moon"})
	if err == nil {
		t.Fatal("accepted")
	}
	for _, want := range []string{"rate", "burst", "by", "max_keys"} {
		if !strings.Contains(err.Error(), "ratelimit: "+want+" must be") {
			t.Errorf("%s is not named in %v", want, err)
		}
	}
}

func TestConform(t *testing.T) {
	s, _ := newStage(t, Options{Rate: 1e9, Burst: 1e9, By: "uid", MaxKeys: 10})
	pipelinetest.Conform(t, s)
}

func BenchmarkHandle(b *testing.B) {
	s, err := New(Options{Rate: 1e9, Burst: 1e9, By: "uid", MaxKeys: 10})
	if err != nil {
		b.Fatal(err)
	}
	pipelinetest.Within(b, s, from(1), func(handle func() error) {
		for b.Loop() {
			if err := handle(); err != nil {
				b.Fatal(err)
			}
		}
	})
}
