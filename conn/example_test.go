package conn_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/Huzefaaa2/cavra/go/cavra-runtime/conn"
	enforcementv1 "github.com/Huzefaaa2/cavra/go/cavra-runtime/enforcement/v1"
)

// Where nobody answers, nothing is allowed.
func ExampleClient_noDaemon() {
	runtime := conn.Client{Socket: "no-such-directory/cavra-runtime.sock"}
	err := runtime.Require(context.Background(), &enforcementv1.EvaluateRequest{
		ActionType: enforcementv1.ActionReadFile, Target: "README.md",
	})
	if errors.Is(err, conn.ErrNoDaemon) {
		fmt.Println("nobody is there to allow it")
	}
	// Output: nobody is there to allow it
}

// One line asks before an action and gives up where it is not allowed.
func ExampleClient_Require() {
	runtime := conn.Client{Socket: exampleSocket()}
	read := func(path string) error {
		err := runtime.Require(context.Background(), &enforcementv1.EvaluateRequest{
			ActionType: enforcementv1.ActionReadFile, Target: path,
		})
		if err != nil {
			return err
		}
		fmt.Println("reading", path)
		return nil
	}
	fmt.Println(read("README.md"))
	fmt.Println(read("config/prod.pem"))
	// Output:
	// reading README.md
	// <nil>
	// blocked by filesystem.read.block: it holds a key (decision dec_0123456789ab)
}

// Who has to approve stands in the response.
func ExampleDecisionError() {
	runtime := conn.Client{Socket: exampleSocket()}
	err := runtime.Require(context.Background(), &enforcementv1.EvaluateRequest{
		ActionType: enforcementv1.ActionExecuteCommand, Target: "terraform apply",
	})
	var decision *conn.DecisionError
	if errors.Is(err, conn.ErrApprovalRequired) && errors.As(err, &decision) {
		fmt.Println("ask", decision.Response.ApproverGroup)
	}
	// Output: ask Repository Owners
}

// The whole response says by which rule and policy it was decided, and where the
// evidence is.
func ExampleClient_Evaluate() {
	runtime := conn.Client{Socket: exampleSocket()}
	resp, err := runtime.Evaluate(context.Background(), &enforcementv1.EvaluateRequest{
		ActionType: enforcementv1.ActionReadFile, Target: "README.md",
	})
	if err != nil {
		fmt.Println("to be taken as a block:", err)
		return
	}
	fmt.Println(resp.Decision, resp.RuleID)
	// Output: allow filesystem.read.allow
}
