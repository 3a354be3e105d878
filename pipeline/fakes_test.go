package pipeline_test

import (
	"context"
	"sync/atomic"
	"testing"

	enforcementv1 "github.com/Huzefaaa2/cavra/go/cavra-runtime/enforcement/v1"
	"github.com/Huzefaaa2/cavra/go/cavra-runtime/pipeline"
)

// A fake is a stage made of a Spec and a function.
type fake struct {
	spec  pipeline.Spec
	do    func(context.Context, *pipeline.Exchange) error
	calls atomic.Int32
	close func() error
}

func (f *fake) Spec() pipeline.Spec { return f.spec }

func (f *fake) Handle(ctx context.Context, x *pipeline.Exchange) error {
	f.calls.Add(1)
	return f.do(ctx, x)
}

func (f *fake) Close() error {
	if f.close == nil {
		return nil
	}
	return f.close()
}

// five are fakes of the built-in stages, by name. Tests change one of them and
// look at what comes of it.
type five struct{ decode, auth, evaluate, redact, evidence *fake }

const recordRef = "go-daemon-evidence://0123456789abcdef01234567"

func newFive() *five {
	return &five{
		decode: &fake{
			spec: pipeline.Spec{Name: "decode", Phase: pipeline.Decide, Gives: pipeline.FactRequest},
			do: func(_ context.Context, x *pipeline.Exchange) error {
				x.SetRequest(&enforcementv1.EvaluateRequest{
					ActionType: "read_file", Target: string(x.Raw()),
					RunnerAuth: &enforcementv1.RunnerAuthentication{Signature: "credential"},
				})
				return nil
			},
		},
		auth: &fake{
			spec: pipeline.Spec{Name: "auth", Phase: pipeline.Decide, Needs: pipeline.FactRequest, Gives: pipeline.FactIdentity},
			do: func(_ context.Context, x *pipeline.Exchange) error {
				x.SetIdentity(pipeline.Anonymous)
				return nil
			},
		},
		evaluate: &fake{
			spec: pipeline.Spec{Name: "evaluate", Phase: pipeline.Decide, Needs: pipeline.FactRequest | pipeline.FactIdentity, Gives: pipeline.FactDecision},
			do: func(_ context.Context, x *pipeline.Exchange) error {
				x.SetDecision(pipeline.Decision{
					Decision: enforcementv1.DecisionAllow, Severity: enforcementv1.SeverityLow, RuleID: "fake.allow",
					PolicyID: "fake", PolicyRef: "policy://fake@sha256:00",
				})
				return nil
			},
		},
		redact: &fake{
			spec: pipeline.Spec{Name: "redact", Phase: pipeline.Record, Gives: pipeline.FactRedacted},
			do: func(_ context.Context, x *pipeline.Exchange) error {
				resp := *x.Response()
				x.SetRedacted(&enforcementv1.EvaluateRequest{Target: "redacted"}, &resp)
				return nil
			},
		},
		evidence: &fake{
			spec: pipeline.Spec{Name: "evidence", Phase: pipeline.Record, Needs: pipeline.FactRedacted, Gives: pipeline.FactEvidence},
			do: func(_ context.Context, x *pipeline.Exchange) error {
				x.SetEvidence(recordRef)
				return nil
			},
		},
	}
}

func (f *five) stages() []pipeline.Stage {
	return []pipeline.Stage{f.decode, f.auth, f.evaluate, f.redact, f.evidence}
}

// run takes one exchange through a chain of the five.
func (f *five) run(t testing.TB) *enforcementv1.DecisionResponse {
	t.Helper()
	return runChain(t, f.stages(), pipeline.NewExchange([]byte("secret"), pipeline.Peer{}))
}

func runChain(t testing.TB, stages []pipeline.Stage, x *pipeline.Exchange) *enforcementv1.DecisionResponse {
	t.Helper()
	chain, err := pipeline.New(stages, pipeline.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return chain.Run(t.Context(), x)
}
