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
// that time them: one before the first stage and one after each.
func BenchmarkChain(b *testing.B) {
	chain, x, ctx := trivial(b), pipeline.NewExchange(nil, pipeline.Peer{}), b.Context()
	ctx = context.WithoutCancel(ctx)
	b.ReportAllocs()
	for b.Loop() {
		chain.Run(ctx, x)
	}
	perRun := float64(b.Elapsed().Nanoseconds()) / float64(b.N)

	began, epoch := time.Now(), time.Now()
	for range b.N {
		for range 6 {
			_ = time.Since(epoch)
		}
	}
	clock := float64(time.Since(began).Nanoseconds()) / float64(b.N)
	b.ReportMetric(clock, "clock-ns/op")
	b.ReportMetric(perRun-clock, "beyond-clock-ns/op")
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
