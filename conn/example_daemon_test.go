package conn_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/Huzefaaa2/cavra/go/cavra-runtime/conn"
	enforcementv1 "github.com/Huzefaaa2/cavra/go/cavra-runtime/enforcement/v1"
	"github.com/Huzefaaa2/cavra/go/cavra-runtime/pipeline"
)

// exampleSocket is served by a chain that reads requests, blocks keys, asks for
// approval of commands and allows the rest.
var exampleSocket = sync.OnceValue(func() string {
	dir, err := os.MkdirTemp("", "conn")
	if err != nil {
		panic(err)
	}
	listener, err := conn.Listen(filepath.Join(dir, "s"))
	if err != nil {
		panic(err)
	}
	chain, err := pipeline.New([]pipeline.Stage{exampleDecode{}, exampleJudge{}, exampleRedact{}}, pipeline.Options{})
	if err != nil {
		panic(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = (&conn.Server{Chain: chain}).Serve(ctx, listener)
	}()
	conn.AfterExamples = func() {
		stop()
		<-ended
		_ = listener.Close()
		_ = os.RemoveAll(dir)
	}
	return listener.Path()
})

type exampleDecode struct{}

func (exampleDecode) Spec() pipeline.Spec {
	return pipeline.Spec{Name: "decode", Phase: pipeline.Decide, Gives: pipeline.FactRequest}
}

func (exampleDecode) Handle(_ context.Context, x *pipeline.Exchange) error {
	req, err := enforcementv1.DecodeRequest(x.Raw())
	if err != nil {
		return err
	}
	x.SetRequest(req)
	return nil
}

type exampleJudge struct{}

func (exampleJudge) Spec() pipeline.Spec {
	return pipeline.Spec{Name: "judge", Phase: pipeline.Decide, Needs: pipeline.FactRequest, Gives: pipeline.FactDecision}
}

func (exampleJudge) Handle(_ context.Context, x *pipeline.Exchange) error {
	d := pipeline.Decision{Decision: "allow", Severity: "low", RuleID: "filesystem.read.allow", Reason: "nothing stands against it", ActionType: x.Request().ActionType, Target: x.Request().Target}
	switch {
	case strings.HasSuffix(d.Target, ".pem"):
		d.Decision, d.Severity, d.RuleID, d.Reason = "block", "high", "filesystem.read.block", "it holds a key"
	case d.ActionType == enforcementv1.ActionExecuteCommand:
		d.Decision, d.Severity, d.RuleID, d.ApproverGroup = "require_approval", "medium", "commands.require_approval", "Repository Owners"
	}
	x.SetDecision(d)
	return nil
}

type exampleRedact struct{}

func (exampleRedact) Spec() pipeline.Spec {
	return pipeline.Spec{Name: "redact", Phase: pipeline.Record, Gives: pipeline.FactRedacted}
}

func (exampleRedact) Handle(_ context.Context, x *pipeline.Exchange) error {
	resp := *x.Response()
	resp.DecisionID = "dec_0123456789ab" // so that the examples print the same each time
	x.SetRedacted(&enforcementv1.EvaluateRequest{}, &resp)
	return nil
}
