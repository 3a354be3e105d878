package conn_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/Huzefaaa2/cavra/go/cavra-runtime/conn"
	enforcementv1 "github.com/Huzefaaa2/cavra/go/cavra-runtime/enforcement/v1"
)

func ExampleClient() {
	runtime := conn.Client{Socket: "no-such-directory/cavra-runtime.sock"}
	resp, err := runtime.Evaluate(context.Background(), &enforcementv1.EvaluateRequest{
		ActionType: enforcementv1.ActionReadFile,
		Target:     "config/prod.pem",
	})
	switch {
	case errors.Is(err, conn.ErrNoDaemon):
		fmt.Println("blocked: nobody is there to allow it")
	case err != nil:
		fmt.Println("blocked:", err)
	default:
		fmt.Println(resp.Decision, resp.Reason)
	}
	// Output: blocked: nobody is there to allow it
}
