package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/Huzefaaa2/cavra/go/cavra-runtime/conn"
)

// A Command is how the runtime is started.
type Command struct {
	// Program is the path of the program; empty means the one that runs.
	Program string
	// Args follow the program's name. They must make it serve the Daemon's socket
	// and write its pid file, and hold no key: others can read them.
	Args []string
	// Env is what its environment holds beside ours; it may hold keys.
	Env []string
	// Log is the file that it writes its log to; empty means the socket's path and
	// .log. See OpenLog.
	Log string
	// Keep are the descriptors that it inherits under the same numbers beside the
	// first three. All others are closed to it.
	Keep []int
}

// A StartError says why a runtime did not come up.
type StartError struct {
	Problem string   // in a few words
	Log     string   // the path of its log
	Lines   []string // the last ones that it wrote there
}

// Error is the problem and the end of the log.
func (e *StartError) Error() string {
	if len(e.Lines) == 0 {
		return fmt.Sprintf("%s; it wrote nothing to its log %s", e.Problem, quote(e.Log))
	}
	return fmt.Sprintf("%s; the end of its log %s:\n  %s", e.Problem, quote(e.Log), strings.Join(e.Lines, "\n  "))
}

// endGrace is how long a runtime that was not ready in time may take to end
// before it is killed.
const endGrace = 2 * time.Second

// Start starts the runtime in the background, in a session of its own, and returns
// when it answers. The error wraps ErrRunning where one serves the socket already,
// and is a *StartError where it was started and did not come up; then it has
// ended.
//
// Start marks every descriptor of this process above the first three to be closed
// in programs that it starts, but for those that the Command keeps.
func (d Daemon) Start(ctx context.Context, c Command) (Report, error) {
	d = d.withDefaults()
	ctx, cancel := context.WithTimeout(ctx, d.Timeout)
	defer cancel()

	r := d.report()
	fault := func(err error) (Report, error) {
		r.Message, _, _ = strings.Cut(err.Error(), "\n")
		return r, err
	}
	owner, held, err := conn.OwnerOf(d.Socket)
	if err != nil {
		return fault(err)
	}
	if held {
		r = d.Status(ctx)
		return r, fmt.Errorf("%w (%s); stop it first, restart it, or choose another socket", ErrRunning, r.Message)
	}
	log, err := d.prepare(&c)
	if err != nil {
		return fault(err)
	}
	defer log.Close()
	before, err := log.Seek(0, 2)
	if err != nil {
		return fault(fmt.Errorf("the log %s cannot be used: %w", quote(c.Log), err))
	}

	child, err := spawn(c, log)
	if err != nil {
		return fault(fmt.Errorf("the runtime cannot be started: %w", err))
	}
	answer, err := d.awaitReady(ctx, child)
	if err == nil {
		r.PID = child.Process.Pid
		r.answered(answer, r.PID)
		r.Message = "the runtime has started"
		return r, nil
	}
	child.end()
	if owner, held, _ = conn.OwnerOf(d.Socket); held && owner.PID != child.Process.Pid {
		r = d.Status(context.WithoutCancel(ctx))
		return r, fmt.Errorf("%w: another start was sooner (%s)", ErrRunning, r.Message)
	}
	return fault(&StartError{Problem: err.Error(), Log: c.Log, Lines: lastLines(c.Log, before)})
}

// prepare checks what can be checked before anything is started, and opens the
// log.
func (d Daemon) prepare(c *Command) (*os.File, error) {
	if os.Getpid() == 1 {
		return nil, errors.New("this process is the first of its container, which ends with it; run --serve there, which needs no start")
	}
	if err := conn.CheckControlPath(d.Socket); err != nil {
		return nil, err
	}
	if err := conn.PrivateDirectory(filepath.Dir(d.Socket), "socket"); err != nil {
		return nil, err
	}
	if err := checkPIDFile(d.PIDFile); err != nil {
		return nil, err
	}
	if c.Program == "" {
		program, err := os.Executable()
		if err != nil {
			return nil, fmt.Errorf("the path of this program cannot be told: %w", err)
		}
		c.Program = program
	}
	if c.Log == "" {
		c.Log = d.Socket + ".log"
	}
	return OpenLog(c.Log)
}

// A child is the runtime that was started, as long as it is not known to be ready.
type child struct {
	*exec.Cmd
	ended chan struct{} // closed when it has ended
}

func spawn(c Command, log *os.File) (*child, error) {
	if err := keepOnly(c.Keep); err != nil {
		return nil, err
	}
	cmd := exec.Command(c.Program, c.Args...)
	cmd.Env = append(os.Environ(), c.Env...)
	cmd.Stdout, cmd.Stderr = log, log // files, so that no pipe and no goroutine is between
	cmd.SysProcAttr = ownSession()
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	s := &child{cmd, make(chan struct{})}
	go func() {
		_ = cmd.Wait() // how it ended stands in ProcessState
		close(s.ended)
	}()
	return s, nil
}

// awaitReady waits until the child answers on the control socket.
func (d Daemon) awaitReady(ctx context.Context, c *child) (conn.ControlAnswer, error) {
	for pause := time.Millisecond; ; pause = min(2*pause, 10*time.Millisecond) {
		select {
		case <-c.ended:
			return conn.ControlAnswer{}, fmt.Errorf("the runtime ended before it was ready (%v)", c.ProcessState)
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.Canceled) {
				return conn.ControlAnswer{}, errors.New("the start was given up")
			}
			return conn.ControlAnswer{}, fmt.Errorf("the runtime was not ready within %v; wait longer with --lifecycle-timeout", d.Timeout)
		case <-time.After(pause):
		}
		// Whoever else answers was started by somebody else.
		answer, peer, err := conn.AskControl(ctx, d.Socket, conn.CommandStatus)
		if err == nil && answer.OK && (!peer.Known || int(peer.PID) == c.Process.Pid) {
			return answer, nil
		}
	}
}

// end makes sure that the child has ended. It is ours and nobody has waited for
// it, so its number is its own.
func (c *child) end() {
	_ = c.Process.Signal(syscall.SIGTERM)
	select {
	case <-c.ended:
	case <-time.After(endGrace):
		_ = c.Process.Kill()
		<-c.ended
	}
}
