package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync"
	"syscall"

	"github.com/hashicorp/go-hclog"

	"github.com/Huzefaaa2/cavra/go/cavra-runtime/conn/lifecycle"
)

// serve runs the daemon until ctx ends.
func serve(ctx context.Context, c *cli, stderr io.Writer) int {
	// A daemon outlives the pipe that its log goes to.
	signal.Ignore(syscall.SIGPIPE)
	// By default these would end it, also while it begins and ends.
	hangUps, rotations := caught(syscall.SIGHUP), caught(rotateSignal)
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(softMemoryLimit)
	}
	s, err := newService(c, func(l logConfig) hclog.Logger { return newLogger(l, stderr) })
	if err != nil {
		return fail(stderr, "the daemon does not start", err)
	}
	s.hangUps, s.rotations = hangUps, rotations
	if err := s.openLog(); err != nil {
		return fail(stderr, "the daemon does not start", errors.Join(err, s.live.Close()))
	}
	if err := s.listenAndServe(ctx); err != nil {
		return fail(stderr, "the daemon ends", err)
	}
	s.log.Info("ended")
	return exitOK
}

// softMemoryLimit is what the daemon's memory is held to while large requests
// are in flight; from there on garbage is collected more often.
const softMemoryLimit = 128 << 20

// listenAndServe takes the socket, says so in the pid file, and serves until ctx
// ends. The chain is closed before the socket's lock is given back, so that a
// successor finds everything free.
func (s *service) listenAndServe(ctx context.Context) (err error) {
	closeChain := func() { err = errors.Join(err, s.live.Close()) }
	listener, err := listen(s.cfg.file.Server.Socket)
	if err != nil {
		closeChain()
		return err
	}
	defer func() { err = errors.Join(err, listener.Close()) }()
	defer closeChain()
	if err := lifecycle.WritePID(s.cfg.file.Server.PID); err != nil {
		return err
	}
	defer lifecycle.RemovePID(s.cfg.file.Server.PID)
	if address := s.cfg.file.Server.MetricsListen; address != "" {
		wait, err := monitor(ctx, address, s, s.log.Named("metrics"))
		if err != nil {
			return err
		}
		defer wait()
	}
	s.confine()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	defer forEach(s.hangUps, func() { s.hangUp(ctx) })()
	defer forEach(s.rotations, s.rotate)()
	endControl, err := s.serveControl(listener, stop)
	if err != nil {
		return err
	}
	defer endControl()
	s.manager.ready()
	defer s.manager.watch()()
	defer context.AfterFunc(ctx, s.manager.stopping)()
	return s.server.Serve(ctx, listener)
}

// confine takes from the process what it will not need any more, as far as the
// kernel can.
func (s *service) confine() {
	if s.cfg.file.Server.NoConfinement {
		s.confinement = "not confined: the configuration says so"
		return
	}
	var err error
	if s.confinement, err = confine(s.cfg.writeDirectories()); err != nil {
		s.log.Warn("the process could not be confined; it runs on as it is", "error", err)
		return
	}
	s.log.Info(s.confinement)
}

// writeDirectories are those that a daemon writes in: of its socket, its pid
// file, its log, its metrics, and what the stages write.
func (cfg *configuration) writeDirectories() []string {
	files := []string{cfg.file.Server.Socket, cfg.file.Server.PID}
	if cfg.file.Log.File != "" {
		files = append(files, cfg.file.Log.File)
	}
	if path, ok := strings.CutPrefix(cfg.file.Server.MetricsListen, "unix:"); ok {
		files = append(files, path)
	}
	for _, p := range cfg.stages {
		for _, f := range p.Files() {
			if f.Written {
				files = append(files, f.Path)
			}
		}
	}
	for i, f := range files {
		files[i] = filepath.Dir(f)
	}
	return files
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

// caught takes a signal from now on until the process ends. Several that come
// before one was looked at are one.
func caught(sig os.Signal) <-chan os.Signal {
	came := make(chan os.Signal, 1)
	if sig != nil {
		signal.Notify(came, sig)
	}
	return came
}

// forEach runs do for each signal that came or comes, one after another, until the
// function it returns is called, which waits for the last run.
func forEach(came <-chan os.Signal, do func()) (stop func()) {
	done := make(chan struct{})
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
		close(done)
		running.Wait()
	}
}

// rotate has each stage that writes a file of its own begin another.
func (s *service) rotate() {
	found := false
	for _, stage := range s.live.Chain().All() {
		r, ok := stage.(interface{ Rotate() error })
		if !ok {
			continue
		}
		found = true
		if err := r.Rotate(); err != nil {
			s.log.Error("rotating failed", "error", err)
		}
	}
	if !found {
		s.log.Warn("asked to rotate, and no stage of the chain keeps a file that could be")
	}
}
