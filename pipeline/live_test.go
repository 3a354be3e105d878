package pipeline_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/Huzefaaa2/cavra/go/cavra-runtime/pipeline"
)

// An exchange that began before a swap ends under the chain it began in, which
// is closed after it and not before.
func TestLiveEndsUnderTheChainItBeganIn(t *testing.T) {
	inside, goOn := make(chan struct{}), make(chan struct{})
	var closed atomic.Bool
	old := newFive()
	old.evaluate.do = func(_ context.Context, x *pipeline.Exchange) error {
		close(inside)
		<-goOn
		x.SetDecision(pipeline.Decision{Decision: "allow", Severity: "low", RuleID: "old", PolicyID: "p", PolicyRef: "policy://p@sha256:00"})
		return nil
	}
	old.evidence.close = func() error { closed.Store(true); return errors.New("the old one cannot be closed") }
	live := pipeline.NewLive(chainOf(t, old))

	answer := make(chan string)
	go func() { answer <- live.Run(t.Context(), pipeline.NewExchange(nil, pipeline.Peer{})).RuleID }()
	<-inside

	next := chainOf(t, newFive())
	swapped := make(chan error)
	go func() { swapped <- live.Swap(next) }()
	for live.Chain() != next { // the swap does not wait to take effect
	}
	if got := live.Run(t.Context(), pipeline.NewExchange(nil, pipeline.Peer{})).RuleID; got != "fake.allow" {
		t.Errorf("after the swap %s decides", got)
	}
	if closed.Load() {
		t.Error("the old chain was closed while an exchange was under way in it")
	}
	close(goOn)
	if got := <-answer; got != "old" {
		t.Errorf("the exchange that was under way was decided by %s", got)
	}
	if err := <-swapped; err == nil || !closed.Load() {
		t.Errorf("Swap gives %v, closed %v; want the error of closing", err, closed.Load())
	}
	if live.Chain() != next || live.String() != next.String() {
		t.Error("a fault of closing undid the swap")
	}
}

// Each exchange is answered by one chain alone, whatever is swapped meanwhile,
// and every chain is closed once.
func TestLiveUnderLoad(t *testing.T) {
	const swaps, askers = 50, 4
	var wrong, closes atomic.Int32
	chain := func(n int) *pipeline.Chain {
		five, name, ended := newFive(), fmt.Sprint("policy-", n), new(atomic.Bool)
		five.evaluate.do = func(_ context.Context, x *pipeline.Exchange) error {
			x.SetDecision(pipeline.Decision{Decision: "allow", Severity: "low", RuleID: name, PolicyID: name, PolicyRef: "policy://" + name + "@sha256:00"})
			return nil
		}
		five.evidence.do = func(_ context.Context, x *pipeline.Exchange) error {
			_, resp := x.Redacted()
			if ended.Load() || resp.RuleID != name {
				wrong.Add(1)
			}
			x.SetEvidence("")
			return nil
		}
		five.evidence.close = func() error { closes.Add(1); ended.Store(true); return nil }
		return chainOf(t, five)
	}
	live := pipeline.NewLive(chain(0))
	done := make(chan struct{})
	var asking sync.WaitGroup
	for range askers {
		asking.Go(func() {
			x := pipeline.NewExchange(nil, pipeline.Peer{})
			for {
				select {
				case <-done:
					return
				default:
					x.Reset(nil, pipeline.Peer{})
					if resp := live.Run(t.Context(), x); resp.RuleID != resp.PolicyID {
						wrong.Add(1)
					}
				}
			}
		})
	}
	for n := range swaps {
		if err := live.Swap(chain(n + 1)); err != nil {
			t.Fatal(err)
		}
	}
	close(done)
	asking.Wait()
	if err := live.Close(); err != nil || wrong.Load() != 0 || closes.Load() != swaps+1 {
		t.Errorf("%d exchanges met two chains or a closed one; %d chains were closed, %d were made; %v", wrong.Load(), closes.Load(), swaps+1, err)
	}
}

func TestLiveAllocatesNothing(t *testing.T) {
	live, x := pipeline.NewLive(trivial(t)), pipeline.NewExchange(nil, pipeline.Peer{})
	ctx := context.Background()
	if n := testing.AllocsPerRun(100, func() { live.Run(ctx, x) }); n != 0 {
		t.Errorf("a run allocates %v times", n)
	}
}

func chainOf(t *testing.T, f *five) *pipeline.Chain {
	t.Helper()
	chain, err := pipeline.New(f.stages(), pipeline.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return chain
}
