// Command cavra-runtime answers, before an AI agent or a CI runner acts, whether
// it may: allow, require_approval or block; and records what it answered.
//
// It has one mode per file: serve.go is the daemon, daemon.go the client of it,
// lifecycle.go keeps a daemon in the background, once.go judges one request in
// process. verify.go checks an evidence log, prove.go proves single records of it,
// show.go and report.go show it. check.go explains a configuration, explain.go a
// decision; policytest.go and backtest.go try a policy, packs.go shows the built-in
// ones. readiness.go tries what a daemon needs, package.go verifies a
// release package, completion.go and man.go write the
// command line down for shells and readers. runner.go proves who asks. stages.go lists
// the stages that a configuration can name.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// Exit codes, the same in every mode.
const (
	exitOK      = 0 // done; in an evaluation mode whatever the decision
	exitFailed  = 1 // no decision, an invalid log, a faulty configuration
	exitUsage   = 2 // the command line is wrong
	exitWriting = 3 // the log is valid so far, but a writer is at work on its last line
)

func main() {
	hardenProcess() // first: keys stand in the environment
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// run is main without the process around it.
func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	cli, code, done := parse(args, stdout, stderr)
	if done {
		return code
	}
	ctx := context.Background()
	if !cli.Daemon { // which has nothing to clear up, and is to start fast
		var stop context.CancelFunc
		ctx, stop = signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
		defer stop()
	}
	if cli.asks() {
		sayThatWeWait(cli.Input, stdin, stderr)
	}
	switch {
	case cli.Version:
		return printVersion(stdout)
	case cli.Man:
		return printMan(stdout, stderr)
	case cli.Completion != "":
		return printCompletion(cli.Completion, stdout, stderr)
	case cli.PrintRunnerClaims:
		return printRunnerClaims(cli, stdout, stderr)
	case cli.VerifyEvidence:
		return verifyEvidence(cli, stdin, stdout, stderr)
	case cli.VerifyPackage != "":
		return verifyPackage(cli, stdout, stderr)
	case cli.Prove != "":
		return prove(cli, stdout, stderr)
	case cli.VerifyProof != "":
		return verifyProof(cli, stdin, stdout, stderr)
	case cli.EvidencePublicKey:
		return printPublicKey(cli, stdout, stderr)
	case cli.ShowEvidence:
		return showEvidence(ctx, cli, stdout, stderr)
	case cli.Report != "":
		return report(ctx, cli, stderr)
	case cli.ListPacks:
		return listPacks(cli, stdout, stderr)
	case cli.PrintPack != "":
		return printPack(cli.PrintPack, stdout, stderr)
	case cli.PolicyTest != "":
		return policyTest(cli, stdout, stderr)
	case cli.Backtest != "":
		return backtest(ctx, cli, stdout, stderr)
	case cli.Daemon:
		return askDaemon(ctx, cli, stdin, stdout, stderr)
	case cli.Check:
		return check(cli, stdout, stderr)
	case cli.Lifecycle != "":
		return manage(ctx, cli, stdout, stderr)
	case cli.Readiness:
		return readiness(ctx, cli, stdout, stderr)
	case cli.Serve:
		return serve(ctx, cli, stderr)
	}
	return once(ctx, cli, stdin, stdout, stderr)
}

// sayThatWeWait tells a person at a terminal why nothing happens.
func sayThatWeWait(input string, stdin io.Reader, stderr io.Writer) {
	if input == "-" && terminalOf(stdin).is {
		fmt.Fprintln(stderr, "cavra-runtime: reading one request from the terminal; --help lists what else there is")
	}
}
