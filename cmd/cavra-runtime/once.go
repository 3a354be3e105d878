package main

import (
	"bytes"
	"context"
	"fmt"
	"io"

	"github.com/hashicorp/go-hclog"

	"github.com/Huzefaaa2/cavra/go/cavra-runtime/conn"
	"github.com/Huzefaaa2/cavra/go/cavra-runtime/pipeline"
)

// once judges one request in process and prints the decision. A request that
// cannot be read is answered with its block, as on the wire.
func once(ctx context.Context, c *cli, stdin io.Reader, stdout, stderr io.Writer) int {
	cfg, chain, err := assemble(c, assembly{log: func(l logConfig) hclog.Logger { return newLogger(l, stderr) }})
	if err != nil {
		return fail(stderr, "the request cannot be judged", err)
	}
	var code int
	x, err := readInput(ctx, c, stdin, cfg.limits(), c.clientLog(stderr))
	if err != nil {
		code = fail(stderr, "there is no decision", err)
	} else {
		raw := bytes.Clone(x.Raw()) // which the chain lets go of
		resp := chain.Run(ctx, x)
		if c.Explain {
			code = c.explainOnce(cfg.explainer, raw, resp, stdout, stderr)
		} else {
			code = c.show(resp, stdout, stderr)
		}
	}
	if err := chain.Close(); err != nil {
		code = fail(stderr, "the evidence did not close cleanly", err)
	}
	return code
}

// readInput reads the request of --input and signs it where that is asked for.
func readInput(ctx context.Context, c *cli, stdin io.Reader, limits conn.Limits, log hclog.Logger) (*pipeline.Exchange, error) {
	in, err := openInput(c.Input, stdin)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	x, err := conn.ReadFrom(in, limits)
	if err != nil {
		return nil, fmt.Errorf("the request cannot be read: %w", err)
	}
	if c.signs() && x.Raw() != nil {
		signed, err := sign(ctx, c, x.Raw(), log)
		if err != nil {
			return nil, err
		}
		x.Reset(signed, x.Peer())
	}
	return x, nil
}
