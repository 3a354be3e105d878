// Package lifecycle starts a runtime in the background, looks at it, reloads it
// and stops it.
//
// # What the package promises
//
//  1. A process is taken for the runtime only if the system says that it holds the
//     lock of the socket, and it gets a signal only if it was started when the
//     holder of the lock says that it was. What a pid file says is compared and
//     reported, and never acted upon.
//  2. A look at a runtime is no request: it goes over the control socket beside
//     the socket, is not counted and leaves no record.
//  3. Start returns when the runtime answers. Where it does not come up, nothing of
//     it is left behind and the end of its log is in the error.
//  4. What is started has a session of its own and no descriptor of its parent but
//     those that are named for it, so nobody waits for it who does not mean to.
//  5. Nothing is ever killed: a runtime that does not end in time is reported. Only
//     what Start itself has just started and is not ready is.
//
// None of it is available on Windows.
package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/Huzefaaa2/cavra/go/cavra-runtime/conn"
)

// DefaultTimeout is how long each operation may take unless told otherwise.
const DefaultTimeout = 5 * time.Second

// ErrRunning is what Start returns, wrapped, where the runtime runs already.
var ErrRunning = errors.New("a runtime serves this socket already")

// A Daemon says which runtime is meant: the one that serves a socket, be it there
// or not. The zero value is the one at the default socket.
type Daemon struct {
	// Socket is the path of its socket; empty means conn.DefaultSocket.
	Socket string
	// PIDFile is the file that it writes its number to; empty means the socket's
	// path and .pid.
	PIDFile string
	// Timeout is how long an operation may take; 0 means DefaultTimeout. The
	// context may end it sooner.
	Timeout time.Duration
}

// A Report is what is known of a runtime, as --lifecycle prints it.
type Report struct {
	// Running means that the runtime is there and answers.
	Running bool `json:"running"`
	// PID is the number of its process, after a stop that of the process that ended.
	// It is 0 where there is none or the system does not tell, as of a process in
	// another container.
	PID        int    `json:"pid"`
	SocketPath string `json:"socket_path"`
	PIDPath    string `json:"pid_path"`
	// ProcessRunning means that a process serves the socket, be it that it does not
	// answer.
	ProcessRunning bool `json:"process_running"`
	// SocketResponsive means that it answers on its control socket.
	SocketResponsive bool `json:"socket_responsive"`
	// Message says it in words, and what to do where something is wrong.
	Message string `json:"message"`
	// Status is what the runtime says of itself; none where it does not answer.
	Status jsontext.Value `json:"status,omitzero"`
}

func (d Daemon) withDefaults() Daemon {
	if d.Socket == "" {
		d.Socket = conn.DefaultSocket
	}
	if d.PIDFile == "" {
		d.PIDFile = d.Socket + ".pid"
	}
	if d.Timeout <= 0 {
		d.Timeout = DefaultTimeout
	}
	return d
}

func (d Daemon) report() Report { return Report{SocketPath: d.Socket, PIDPath: d.PIDFile} }

// Status looks at the runtime. It changes nothing, and what it cannot find out
// stands in the report's message.
func (d Daemon) Status(ctx context.Context) Report {
	d = d.withDefaults()
	ctx, cancel := context.WithTimeout(ctx, d.Timeout)
	defer cancel()

	r := d.report()
	owner, held, err := conn.OwnerOf(d.Socket)
	r.PID, r.ProcessRunning = owner.PID, held
	if err != nil {
		r.Message = "whether a runtime serves the socket cannot be told: " + err.Error()
		return r
	}
	if owner.Suspended {
		r.Message = fmt.Sprintf("process %d serves the socket and is suspended, so it answers nothing; kill -CONT %d lets it go on", r.PID, r.PID) + d.aboutPIDFile(r)
		return r
	}
	answer, peer, err := conn.AskControl(ctx, d.Socket, conn.CommandStatus)
	switch {
	case err != nil && !held && errors.Is(err, conn.ErrNoDaemon):
		r.Message = "the runtime is not running"
	case err != nil:
		r.Message = "a process serves the socket and does not answer: " + err.Error() + "; see its log"
		if !held {
			r.Message = "no process holds the socket's lock, and the control socket does not answer: " + err.Error()
		}
	case !answer.OK:
		r.Message = "the runtime does not say how it is: " + brief(answer.Error)
	case owner.PID != 0 && peer.PID != 0 && int(peer.PID) != owner.PID:
		r.Message = fmt.Sprintf("process %d holds the socket's lock, and another, %d, answers on the control socket; find out what that is", owner.PID, peer.PID)
	default:
		r.answered(answer, int(peer.PID))
		if !held {
			r.Message += ", and its lock file was removed; restart it, or a second one could start beside it"
		}
	}
	r.Message += d.aboutPIDFile(r)
	return r
}

// answered notes what a runtime said of itself. The number is that of the process
// that listens.
func (r *Report) answered(answer conn.ControlAnswer, pid int) {
	r.Running, r.ProcessRunning, r.SocketResponsive = true, true, true
	r.Status = answer.Status
	r.Message = "the runtime is running"
	if r.PID == 0 {
		r.PID = pid
	}
}

// aboutPIDFile is what is to be said of the pid file, to follow a message.
func (d Daemon) aboutPIDFile(r Report) string {
	pid, err := ReadPID(d.PIDFile)
	switch {
	case errors.Is(err, errNoPIDFile) && r.ProcessRunning:
		return fmt.Sprintf("; its pid file %s is not there", quote(d.PIDFile))
	case errors.Is(err, errNoPIDFile):
		return ""
	case err != nil:
		return "; " + err.Error()
	case !r.ProcessRunning:
		return fmt.Sprintf("; the pid file %s names process %d, which does not serve this socket: it was left behind, and the next start writes it anew", quote(d.PIDFile), pid)
	case r.PID != 0 && pid != r.PID:
		return fmt.Sprintf("; the pid file %s names process %d, which is another", quote(d.PIDFile), pid)
	}
	return ""
}

// Reload tells the runtime to read its configuration again. The error is the
// runtime's where it keeps what it has.
func (d Daemon) Reload(ctx context.Context) (Report, error) {
	d = d.withDefaults()
	r := d.Status(ctx)
	if !r.Running {
		return r, errors.New(r.Message)
	}
	asking, cancel := context.WithTimeout(ctx, d.Timeout)
	defer cancel()
	answer, _, err := conn.AskControl(asking, d.Socket, conn.CommandReload)
	if err == nil && !answer.OK {
		err = errors.New(brief(answer.Error))
	}
	r = d.Status(ctx) // which tells of this reload too
	if err != nil {
		r.Message = "the runtime did not reload: " + err.Error()
		return r, err
	}
	r.Message = "the runtime has reloaded"
	return r, nil
}

// brief makes what another process says fit for a message.
func brief(text string) string {
	const most = 4 << 10
	if len(text) > most {
		text = text[:most] + "…"
	}
	return strings.Map(visible, text)
}
