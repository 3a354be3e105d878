package pipeline_test

import (
	"context"
	"testing"
	"time"

	enforcementv1 "github.com/Huzefaaa2/cavra/go/cavra-runtime/enforcement/v1"
	"github.com/Huzefaaa2/cavra/go/cavra-runtime/pipeline"
)

// trivial is a chain of five stages that give prepared values, so that what is
// left to measure is the chain.
func trivial(t testing.TB) *pipeline.Chain {
	req, resp := &enforcementv1.EvaluateRequest{}, &enforcementv1.DecisionResponse{Decision: enforcementv1.DecisionAllow}
	f := newFive()
	f.decode.do = func(_ context.Context, x *pipeline.Exchange) error { x.SetRequest(req); return nil }
	f.evaluate.do = func(_ context.Context, x *pipeline.Exchange) error { x.SetDecision(allow); return nil }
	f.redact.do = func(_ context.Context, x *pipeline.Exchange) error { x.SetRedacted(req, resp); return nil }
	f.evidence.do = func(_ context.Context, x *pipeline.Exchange) error { x.SetEvidence(""); return nil }
	chain, err := pipeline.New(f.stages(), pipeline.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return chain
}

// BenchmarkChain prints what five trivial stages cost beyond the clock reads
// that time them: one before the first stage and one after each. Both are timed
// in turns, and the fastest batch of each counts: whatever else the machine does
// only makes one slower.
func BenchmarkChain(b *testing.B) {
	const batch, reads = 1000, 6
	chain, x := trivial(b), pipeline.NewExchange(nil, pipeline.Peer{})
	ctx, epoch := context.Background(), time.Now()
	run, clock := time.Hour, time.Hour
	b.ReportAllocs()
	for b.Loop() {
		began := time.Now()
		for range batch {
			chain.Run(ctx, x)
		}
		run = min(run, time.Since(began))
		began = time.Now()
		for range batch * reads {
			_ = time.Since(epoch)
		}
		clock = min(clock, time.Since(began))
	}
	b.ReportMetric(float64(run.Nanoseconds())/batch, "ns/run")
	b.ReportMetric(float64(clock.Nanoseconds())/batch, "clock-ns/run")
	b.ReportMetric(float64((run-clock).Nanoseconds())/batch, "beyond-clock-ns/run")
	b.ReportMetric(0, "ns/op")
}

func TestTheChainAllocatesNothing(t *testing.T) {
	chain, x := trivial(t), pipeline.NewExchange(nil, pipeline.Peer{})
	ctx := context.Background()
	if n := testing.AllocsPerRun(100, func() { chain.Run(ctx, x) }); n != 0 {
		t.Errorf("a run of five trivial stages allocates %v times", n)
	}

	refusal := pipeline.Block("some.rule", "because")
	f := newFive()
	resp := &enforcementv1.DecisionResponse{Decision: enforcementv1.DecisionBlock}
	f.decode.do = func(context.Context, *pipeline.Exchange) error { return refusal }
	f.redact.do = func(_ context.Context, x *pipeline.Exchange) error {
		x.SetRedacted(&enforcementv1.EvaluateRequest{}, resp)
		return nil
	}
	f.evidence.do = func(_ context.Context, x *pipeline.Exchange) error { x.SetEvidence(""); return nil }
	chain, err := pipeline.New(f.stages(), pipeline.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(100, func() { chain.Run(ctx, x) }); n > 1 { // one is the fake's empty request
		t.Errorf("a declared block allocates %v times", n)
	}
}
