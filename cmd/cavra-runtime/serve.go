package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"sync"
	"syscall"

	"github.com/hashicorp/go-hclog"

	"github.com/Huzefaaa2/cavra/go/cavra-runtime/conn"
	"github.com/Huzefaaa2/cavra/go/cavra-runtime/pipeline"
)

// serve runs the daemon until ctx ends.
func serve(ctx context.Context, c *cli, stderr io.Writer) int {
	// A daemon outlives the pipe that its log goes to.
	signal.Ignore(syscall.SIGPIPE)
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(softMemoryLimit)
	}

	log := hclog.NewNullLogger()
	cfg, chain, err := assemble(c, false, func(l logConfig) hclog.Logger {
		log = newLogger(l, stderr)
		return log
	})
	if err != nil {
		return fail(stderr, "the daemon does not start", err)
	}
	if err := listenAndServe(ctx, cfg, chain, log); err != nil {
		return fail(stderr, "the daemon ends", err)
	}
	log.Info("ended")
	return exitOK
}

// softMemoryLimit is what the daemon's memory is held to while large requests
// are in flight; from there on garbage is collected more often.
const softMemoryLimit = 128 << 20

// listenAndServe takes the socket, says so in the pid file, and serves. The
// chain is closed before the socket's lock is given back, so that a successor
// finds everything free.
func listenAndServe(ctx context.Context, cfg *configuration, chain *pipeline.Chain, log hclog.Logger) (err error) {
	closeChain := func() { err = errors.Join(err, chain.Close()) }
	listener, err := conn.Listen(cfg.file.Server.Socket)
	if err != nil {
		closeChain()
		return err
	}
	defer func() { err = errors.Join(err, listener.Close()) }()
	defer closeChain()
	if err := writePID(cfg.file.Server.PID); err != nil {
		return err
	}
	defer removePID(cfg.file.Server.PID)
	defer onSignal(syscall.SIGHUP, func() {
		log.Warn("SIGHUP: reloading is not available in this version; policy and keys stay as they are, restart to change them")
	})()
	defer onSignal(rotateSignal, func() { cfg.rotate(log) })()
	return cfg.server(chain, log).Serve(ctx, listener)
}

// onSignal runs do at each signal sig, which else would end the daemon. The
// function it returns undoes that and waits for the last run.
func onSignal(sig os.Signal, do func()) (stop func()) {
	if sig == nil {
		return func() {}
	}
	came, done := make(chan os.Signal, 1), make(chan struct{})
	signal.Notify(came, sig)
	var running sync.WaitGroup
	running.Go(func() {
		for {
			select {
			case <-came:
				do()
			case <-done:
				return
			}
		}
	})
	return func() {
		signal.Stop(came)
		close(done)
		running.Wait()
	}
}

// rotate has each stage that writes a file of its own begin another.
func (cfg *configuration) rotate(log hclog.Logger) {
	if len(cfg.rotators) == 0 {
		log.Warn("asked to rotate, and no stage of the chain keeps a file that could be")
	}
	for _, r := range cfg.rotators {
		if err := r.Rotate(); err != nil {
			log.Error("rotating failed", "error", err)
		}
	}
}

// fail prints an error, one fault a line, and returns the exit code for it.
func fail(stderr io.Writer, what string, err error) int {
	fmt.Fprintf(stderr, "cavra-runtime: %s:\n%s\n", what, err)
	return exitFailed
}

// newLogger logs to w.
func newLogger(cfg logConfig, w io.Writer) hclog.Logger {
	return hclog.New(&hclog.LoggerOptions{
		Name:       "cavra-runtime",
		Level:      hclog.LevelFromString(string(cfg.Level)),
		JSONFormat: cfg.JSON,
		Output:     w,
	})
}
