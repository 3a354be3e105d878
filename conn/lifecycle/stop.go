package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"github.com/Huzefaaa2/cavra/go/cavra-runtime/conn"
	"github.com/Huzefaaa2/cavra/go/cavra-runtime/conn/internal/process"
)

// Stop tells the runtime to end and waits until it is gone: it answers whom it
// has accepted, closes its evidence and removes its socket and its pid file. None
// running is no error. One that does not end in time is, and goes on ending.
//
// The runtime is told over its control socket; where it does not answer there, and
// is proven to be the runtime, by SIGTERM.
func (d Daemon) Stop(ctx context.Context) (Report, error) {
	d = d.withDefaults()
	ctx, cancel := context.WithTimeout(ctx, d.Timeout)
	defer cancel()

	r := d.report()
	fault := func(err error) (Report, error) {
		r.Message = err.Error()
		return r, err
	}
	owner, held, err := conn.OwnerOf(d.Socket)
	r.PID, r.ProcessRunning = owner.PID, held
	if err != nil {
		return fault(fmt.Errorf("whether a runtime serves the socket cannot be told: %w", err))
	}
	target := d.find(owner)
	untold := errSuspended
	if !owner.Suspended {
		// Half of the time, so that some is left should there be no answer.
		half, cancel := context.WithTimeout(ctx, d.Timeout/2)
		untold = d.askToStop(half, &r)
		cancel()
	}
	switch {
	case untold == nil:
	case !held && errors.Is(untold, conn.ErrNoDaemon):
		r.Message = "the runtime is not running" + d.aboutPIDFile(r)
		return r, nil
	case target != nil:
		if err := target.terminate(); err != nil {
			return fault(fmt.Errorf("process %d cannot be told to end: %w", owner.PID, err))
		}
	case errors.Is(untold, conn.ErrNoDaemon): // it may be ending already
	default:
		return fault(fmt.Errorf("the runtime cannot be told to end, and no process is proven to be it, so none gets a signal: %w", untold))
	}
	if err := d.awaitEnd(ctx, owner, target); err != nil {
		if target == nil && untold != nil {
			err = fmt.Errorf("%w; no process is proven to be it, so none got a signal: %w", err, untold)
		}
		return fault(fmt.Errorf("the runtime has not ended within %v (%w); if it is still ending, --lifecycle-timeout lets you wait longer; its log says more", d.Timeout, err))
	}
	r.ProcessRunning = false
	r.Message = "the runtime has stopped"
	return r, nil
}

var errSuspended = errors.New("it is suspended")

// askToStop tells the runtime over its control socket.
func (d Daemon) askToStop(ctx context.Context, r *Report) error {
	answer, peer, err := conn.AskControl(ctx, d.Socket, conn.CommandStop)
	if err != nil {
		return err
	}
	r.ProcessRunning = true
	if r.PID == 0 {
		r.PID = int(peer.PID)
	}
	if !answer.OK {
		return errors.New(brief(answer.Error))
	}
	return nil
}

// A target is a process that is proven to be the runtime. On Linux os.Process
// holds it by a descriptor, so that a signal never meets a later process of the
// same number.
type target struct{ *os.Process }

// find takes hold of the owner; nil where it is not proven. The owner is looked
// at once more after it was taken hold of: before, its number could have passed on.
func (d Daemon) find(owner conn.Owner) *target {
	if !owner.Proven {
		return nil
	}
	p, err := os.FindProcess(owner.PID)
	if err != nil {
		return nil
	}
	again, held, err := conn.OwnerOf(d.Socket)
	if err != nil || !held || !again.Proven || again.PID != owner.PID {
		_ = p.Release()
		return nil
	}
	return &target{p}
}

// terminate tells the process to end, and lets it go on where it is suspended, as
// it could not end otherwise.
func (t *target) terminate() error {
	err := t.Signal(syscall.SIGTERM)
	if err == nil {
		err = resume(t.Process)
	}
	if errors.Is(err, os.ErrProcessDone) {
		return nil
	}
	return err
}

// gone reports whether the process has ended. One that nobody has waited for, as
// in a container whose first process does not, has.
func (t *target) gone() bool {
	if errors.Is(t.Signal(syscall.Signal(0)), os.ErrProcessDone) {
		return true
	}
	info, err := process.Look(t.Pid)
	return err == nil && info.Ended
}

// awaitEnd waits until the process has ended; where it could not be taken hold of,
// as in another container, until it has given up the socket's lock.
func (d Daemon) awaitEnd(ctx context.Context, owner conn.Owner, t *target) error {
	over := func() bool {
		if t != nil {
			return t.gone()
		}
		now, held, err := conn.OwnerOf(d.Socket)
		return err == nil && (!held || now.PID != owner.PID)
	}
	for pause := time.Millisecond; !over(); pause = min(2*pause, 5*time.Millisecond) {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
	}
	if t != nil {
		_ = t.Release()
	}
	return nil
}

// Restart stops the runtime, where one runs, and starts it anew. Where it cannot
// be stopped nothing is started, and where it could not be started by us nothing is
// stopped.
func (d Daemon) Restart(ctx context.Context, c Command) (Report, error) {
	if err := d.withDefaults().mayRestart(ctx, c); err != nil {
		r := d.withDefaults().report()
		r.Message = err.Error()
		return r, err
	}
	if r, err := d.Stop(ctx); err != nil {
		return r, err
	}
	return d.Start(ctx, c)
}

// mayRestart finds what would keep a runtime from coming up again as it is, while
// the old one still runs.
func (d Daemon) mayRestart(ctx context.Context, c Command) error {
	ctx, cancel := context.WithTimeout(ctx, d.Timeout)
	defer cancel()
	if _, peer, _ := conn.AskControl(ctx, d.Socket, conn.CommandStatus); peer.PID != 0 && int(peer.UID) != os.Geteuid() {
		return fmt.Errorf("process %d runs as user %d, and started from here it would run as user %d; restart it by the service manager, or as that user", peer.PID, peer.UID, os.Geteuid())
	}
	log, err := d.prepare(&c)
	if err == nil {
		_ = log.Close()
	}
	return err
}
