package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/hashicorp/go-hclog"

	"github.com/Huzefaaa2/cavra/go/cavra-runtime/conn"
	"github.com/Huzefaaa2/cavra/go/cavra-runtime/document"
	enforcementv1 "github.com/Huzefaaa2/cavra/go/cavra-runtime/enforcement/v1"
)

// askDaemon sends the request of --input to the daemon and prints its decision.
// The bytes go as they are, so that the daemon answers a malformed request as it
// would any other client.
func askDaemon(ctx context.Context, c *cli, stdin io.Reader, stdout, stderr io.Writer) int {
	socket, err := c.socket()
	if err != nil {
		return fail(stderr, "the request is not sent", err)
	}
	raw, err := readRaw(ctx, c, stdin, c.clientLog(stderr))
	if err != nil {
		return fail(stderr, "the request is not sent", err)
	}
	client := conn.Client{Socket: socket}
	resp, err := client.EvaluateBytes(ctx, raw)
	if err != nil {
		return fail(stderr, "there is no decision, which is to be taken as a block", err)
	}
	if c.Explain {
		return c.explainDaemon(raw, resp, stdout, stderr)
	}
	return c.show(resp, stdout, stderr)
}

// show prints a decision and compares it with what is expected.
func (c *cli) show(resp *enforcementv1.DecisionResponse, stdout, stderr io.Writer) int {
	if _, err := stdout.Write(append(resp.AppendJSON(nil), '\n')); err != nil {
		return fail(stderr, "the decision cannot be printed", err)
	}
	return c.expect(resp, stderr)
}

// expect compares a decision with what is expected.
func (c *cli) expect(resp *enforcementv1.DecisionResponse, stderr io.Writer) int {
	if expected := c.ExpectDecision; expected != "" && expected != resp.Decision {
		return fail(stderr, "the decision is not the expected one", fmt.Errorf("%s was expected, and it is %s by %s: %s", expected, resp.Decision, resp.RuleID, resp.Reason))
	}
	if expected := c.ExpectRule; expected != "" && expected != resp.RuleID {
		return fail(stderr, "the rule is not the expected one", fmt.Errorf("%s decided: %s", resp.RuleID, resp.Reason))
	}
	return exitOK
}

// socket is where the daemon listens: what the flag says, else the
// configuration, of which a client needs no more.
func (c *cli) socket() (string, error) {
	if c.Socket != "" || c.Config == "" {
		return c.Socket, nil
	}
	var file fileConfig
	err := readInto(c.Config, &file)
	return file.Server.Socket, err
}

// maxInput bounds what a client reads; whether the daemon takes as much is the
// daemon's to say.
const maxInput = 64 << 20

// readRaw reads the whole of --input and signs it where that is asked for.
func readRaw(ctx context.Context, c *cli, stdin io.Reader, log hclog.Logger) ([]byte, error) {
	in, err := openInput(c.Input, stdin)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	raw, err := io.ReadAll(io.LimitReader(in, maxInput+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("the request cannot be read: %w", err)
	case len(raw) > maxInput:
		return nil, fmt.Errorf("the request is larger than %v; send less", document.Bytes(maxInput))
	case c.signs():
		return sign(ctx, c, raw, log)
	}
	return raw, nil
}

// openInput opens the file of --input, or standard input for "-".
func openInput(path string, stdin io.Reader) (io.ReadCloser, error) {
	if path == "-" {
		return io.NopCloser(stdin), nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("the request cannot be read: %w; name the file with --input", err)
	}
	return f, nil
}
