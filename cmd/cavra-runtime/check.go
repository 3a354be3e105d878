package main

import (
	"fmt"
	"io"

	"github.com/hashicorp/go-hclog"
)

// check prints the chain that the configuration makes, or every fault of it. It
// opens nothing that a running daemon uses.
func check(c *cli, stdout, stderr io.Writer) int {
	cfg, chain, err := assemble(c, assembly{log: func(l logConfig) hclog.Logger { return newLogger(l, stderr) }, dryRun: true})
	if err != nil {
		return fail(stderr, "the configuration is faulty", err)
	}
	defer chain.Close()
	line := func(name, setting string) { fmt.Fprintf(stdout, "%-10s %s\n", name, setting) }
	line("chain", chain.String())
	for _, s := range chain.Stages() {
		if s.Setting != "" {
			line("  "+s.Name, s.Setting)
		}
	}
	line("socket", cfg.file.Server.Socket)
	line("workspace", cfg.file.Workspace)
	return exitOK
}
