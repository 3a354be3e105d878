package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/Huzefaaa2/cavra/go/cavra-runtime/conn"
	"github.com/Huzefaaa2/cavra/go/cavra-runtime/document"
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
	timeout, _ := time.ParseDuration(c.Timeout) // checked with the command line
	client := conn.Client{Socket: socket, Timeout: timeout}
	resp, err := client.EvaluateBytes(ctx, raw)
	if err != nil {
		return fail(stderr, "there is no decision, which is to be taken as a block", err)
	}
	if c.Explain {
		return c.explainDaemon(raw, resp, stdout, stderr)
	}
	return c.show(resp, stdout, stderr)
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
