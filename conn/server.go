package conn

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/time/rate"

	enforcementv1 "github.com/Huzefaaa2/cavra/go/cavra-runtime/enforcement/v1"
	"github.com/Huzefaaa2/cavra/go/cavra-runtime/pipeline"
)

// A Chain answers exchanges. A *pipeline.Chain is one; a *pipeline.Live is one that
// can be replaced while it is served.
type Chain interface {
	// Run takes an exchange through the chain. It never fails: whatever goes wrong
	// is a block.
	Run(ctx context.Context, x *pipeline.Exchange) *enforcementv1.DecisionResponse
	// Answer makes the response to what is answered and not recorded.
	Answer(e *pipeline.BlockError) *enforcementv1.DecisionResponse
	// String names the stages in order.
	String() string
}

// A Server answers the connections of a socket through a chain. Only Chain must
// be set; a zero field means its default. A Server must not be copied, nor
// changed while it serves.
type Server struct {
	// Chain answers the requests.
	Chain Chain
	// Limits bound each request.
	Limits Limits
	// MaxConnections is how many connections may be open at once, and
	// MaxConnectionsPerUser how many of them by one user. The defaults are 1024
	// and MaxConnections. One more is answered with server.overloaded. Where the
	// process may open too few descriptors for that, fewer are taken, so that some
	// are left to answer with, to be controlled and to record.
	MaxConnections, MaxConnectionsPerUser int
	// MaxBytesInFlight bounds the buffers of all requests that outgrew their
	// first 4 KiB, and once more what the stages take to work on the large ones.
	// A request waits for its share, each time no longer than two ReadTimeouts,
	// and is then answered with server.overloaded. The default is 32 MiB.
	MaxBytesInFlight int64
	// WriteTimeout is how long a client may take to read its answer. The default
	// is 5 s.
	WriteTimeout time.Duration
	// DrainTimeout and DrainBytes bound what is still read from a client that
	// has been answered, so that it comes to read the answer. The defaults are
	// 1 s and 16 MiB.
	DrainTimeout time.Duration
	DrainBytes   int64
	// Grace is how long those who are connected may take to be answered once
	// Serve is told to end. The default is 5 s.
	Grace time.Duration
	// AllowedUsers are the user ids that may ask. The default is our own and
	// root's.
	AllowedUsers []uint32
	// Log receives refused connections, at most a line a second of each kind,
	// and faults. nil logs nothing.
	Log hclog.Logger

	count counters
	// closed, where a test sets it, is called after each connection's end.
	closed func()
}

// stopRead is what a connection whose request has not begun to arrive gets when
// the server is told to end: enough for what is on its way.
const stopRead = 250 * time.Millisecond

// stopAccept is how long those who wait in the socket's queue are still accepted
// then. Nobody new can join them.
const stopAccept = 20 * time.Millisecond

// maxRefusals is how many refused connections are seen to in full at once.
// Beyond, a refused client that is still sending may miss its answer.
const maxRefusals = 64

// What is kept of the process's descriptors for all that is no client: sockets,
// logs, files that a reload reads. fewestClients is what clients get even so.
const (
	ownDescriptors = 48
	fewestClients  = 16
)

// maxIdle is how many sessions are kept for other connections: their goroutines
// have grown their stacks and their buffers are made.
const maxIdle = 64

// Serve answers what connects to l until ctx ends. It then stops listening,
// answers those who are connected, and returns nil; l stays locked until its
// Close. An error means that the server could not begin, that l was closed
// behind it, or that exchanges did not end within twice the grace time.
func (s *Server) Serve(ctx context.Context, l *Listener) error {
	r, err := s.begin(ctx)
	if err != nil {
		return err
	}
	defer r.cancel()
	stopped := make(chan struct{})
	unhook := context.AfterFunc(ctx, func() {
		defer close(stopped)
		if err := l.vanish(); err != nil {
			r.log.Warn("the socket could not be removed", "socket", l.Path(), "error", err)
		}
		l.socket.SetDeadline(time.Now().Add(stopAccept))
		r.hurry()
	})
	r.log.Info("serving", "socket", l.Path(), "chain", s.Chain.String())
	err = r.acceptAll(ctx, l)
	if unhook() {
		r.hurry()
	} else {
		<-stopped
	}
	l.socket.Close()
	if late := r.wait(); late != nil {
		err = errors.Join(err, late)
	}
	return err
}

// A run is one call of Serve.
type run struct {
	*Server  // with its defaults in place of zeros
	ctx      context.Context
	cancel   context.CancelFunc
	log      hclog.Logger
	slots    *slots
	users    []uint32
	stopping atomic.Bool
	lines    struct{ overloaded, denied, accept rate.Sometimes }
	workers  sync.WaitGroup // the goroutines of sessions

	mu          sync.Mutex
	idle        []*session // without a connection, their goroutines waiting for one
	sessions    map[*session]struct{}
	refusals    int // how many of sessions are refusals
	maxRefusals int
	perUser     map[uint32]int // sessions by user
}

func (s *Server) begin(ctx context.Context) (*run, error) {
	if s.Chain == nil {
		return nil, errors.New("conn: the server has no chain; set Server.Chain")
	}
	if !peersKnown && s.AllowedUsers != nil {
		return nil, errors.New("conn: this system does not tell which user connects, so AllowedUsers cannot be held to; leave it out")
	}
	s.Limits = s.Limits.withDefaults()
	s.MaxConnections = positive(s.MaxConnections, 1024)
	s.MaxConnectionsPerUser = positive(s.MaxConnectionsPerUser, s.MaxConnections)
	s.MaxBytesInFlight = positive(s.MaxBytesInFlight, 32<<20)
	s.WriteTimeout = positive(s.WriteTimeout, 5*time.Second)
	s.DrainTimeout = positive(s.DrainTimeout, time.Second)
	s.DrainBytes = positive(s.DrainBytes, 16<<20)
	s.Grace = positive(s.Grace, 5*time.Second)

	r := &run{
		Server: s, log: s.Log, users: s.AllowedUsers,
		slots:    newSlots(s.MaxBytesInFlight, s.Limits.RequestBytes),
		sessions: map[*session]struct{}{}, perUser: map[uint32]int{},
		maxRefusals: maxRefusals,
	}
	// What was accepted is answered after ctx ended.
	r.ctx, r.cancel = context.WithCancel(context.WithoutCancel(ctx))
	if r.log == nil {
		r.log = hclog.NewNullLogger()
	}
	if n := descriptors(); n > 0 {
		r.share(max(n-ownDescriptors, fewestClients))
	}
	for _, line := range []*rate.Sometimes{&r.lines.overloaded, &r.lines.denied, &r.lines.accept} {
		line.Interval = time.Second
	}
	if r.users == nil {
		r.users = []uint32{0, uint32(os.Geteuid())}
	}
	if !peersKnown {
		r.log.Warn("this system does not tell which user connects; only the rights on the socket's directory keep others out")
	}
	return r, nil
}

// share parts the descriptors that clients may take.
func (r *run) share(room int) {
	r.maxRefusals = min(maxRefusals, room/4)
	if most := room - r.maxRefusals; r.MaxConnections > most {
		r.log.Warn("there are too few descriptors for as many connections as are configured, so fewer are taken; raise the limit of the process, by ulimit -n or LimitNOFILE=",
			"configured", r.MaxConnections, "taken", most, "descriptors", descriptors())
		r.MaxConnections = most
	}
}

// acceptAll accepts until ctx ends. No failure to accept ends it: it waits
// longer and longer, up to a second, and tries again.
func (r *run) acceptAll(ctx context.Context, l *Listener) error {
	const first, longest = 5 * time.Millisecond, time.Second
	pause := first
	for {
		c, err := l.socket.AcceptUnix()
		if err == nil {
			pause = first
			r.admit(c)
			continue
		}
		if ctx.Err() != nil {
			return nil
		}
		if errors.Is(err, net.ErrClosed) {
			return errors.New("conn: the listener was closed while it was served; end the context of Serve instead")
		}
		faults := r.count.acceptFaults.Add(1)
		r.lines.accept.Do(func() {
			r.log.Error("cannot accept connections, trying again", "error", err, "faults", faults)
		})
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
		pause = min(2*pause, longest)
	}
}

// admit gives a connection to a session, or refuses it over a limit.
func (r *run) admit(c *net.UnixConn) {
	r.count.accepted.Add(1)
	r.mu.Lock()
	full := len(r.sessions)-r.refusals >= r.MaxConnections
	hasty := full && r.refusals == r.maxRefusals
	var x *session
	if last := len(r.idle) - 1; last >= 0 && !hasty {
		x, r.idle = r.idle[last], r.idle[:last]
	} else {
		x = newSession(r)
	}
	x.conn, x.since = c, time.Now()
	if full {
		x.refused = errOverloaded.Reasonf("%d connections are open, which is the limit; try again in a moment", r.MaxConnections)
	}
	if hasty {
		r.mu.Unlock()
		x.refuseHastily()
		return
	}
	if full {
		r.refusals++
	}
	r.sessions[x] = struct{}{}
	r.mu.Unlock()

	r.count.open.Add(1)
	if x.wake != nil {
		x.wake <- struct{}{}
		return
	}
	x.wake = make(chan struct{}, 1)
	r.workers.Go(x.work)
}

// leave forgets a session's connection, which is closed, and reports whether
// the session is kept for another.
func (r *run) leave(x *session) (kept bool) {
	r.mu.Lock()
	delete(r.sessions, x)
	if x.counted {
		if r.perUser[x.peer.UID]--; r.perUser[x.peer.UID] == 0 {
			delete(r.perUser, x.peer.UID)
		}
	} else if x.refused != nil {
		r.refusals--
	}
	x.reset()
	if kept = len(r.idle) < maxIdle && !r.stopping.Load(); kept {
		r.idle = append(r.idle, x)
	}
	r.mu.Unlock()
	r.count.open.Add(-1)
	if r.closed != nil {
		r.closed()
	}
	return kept
}

// mayAsk checks the user behind a connection and the connections that this user
// holds. nil means yes.
func (r *run) mayAsk(x *session) *pipeline.BlockError {
	peer, err := peerOf(x.conn)
	x.peer = peer
	switch {
	case err != nil:
		return errDenied.Reasonf("the system did not tell which user connects, so nothing is allowed; the runtime's log says more").Because(err)
	case peersKnown && !slices.Contains(r.users, peer.UID):
		return errDenied.Reasonf("user %d may not ask this runtime; have its id written under allowed_uids, or ask as a user who is let in", peer.UID)
	case !peersKnown:
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.perUser[peer.UID] >= r.MaxConnectionsPerUser {
		return errOverloaded.Reasonf("user %d has %d connections open, which is the limit; try again in a moment", peer.UID, r.MaxConnectionsPerUser)
	}
	r.perUser[peer.UID]++
	x.counted = true
	return nil
}

// note counts and logs a refusal.
func (r *run) note(block *pipeline.BlockError, peer pipeline.Peer) {
	kind, line, total := "overloaded", &r.lines.overloaded, &r.count.overloaded
	if block.Rule() == errDenied.Rule() {
		kind, line, total = "denied", &r.lines.denied, &r.count.denied
	}
	so := total.Add(1)
	line.Do(func() {
		r.log.Warn("refused", "kind", kind, "reason", block.Reason(), "cause", block.Unwrap(),
			"uid", peer.UID, "pid", peer.PID, "peer_known", peer.Known, "so_far", so)
	})
}

// hurry makes those who are still silent decide: what has not arrived soon is
// answered as too late. Sessions without a connection end.
func (r *run) hurry() {
	r.stopping.Store(true)
	until := time.Now().Add(min(stopRead, r.Grace))
	r.mu.Lock()
	defer r.mu.Unlock()
	for x := range r.sessions {
		x.conn.SetReadDeadline(until)
	}
	for _, x := range r.idle {
		close(x.wake)
	}
	r.idle = nil
}

// wait waits for the connections to end; after the grace time it cancels what
// the stages do, and closes the connections.
func (r *run) wait() error {
	done := make(chan struct{})
	go func() {
		r.workers.Wait()
		close(done)
	}()
	grace := time.NewTimer(r.Grace)
	defer grace.Stop()
	select {
	case <-done:
		return nil
	case <-grace.C:
	}
	r.log.Warn("the grace time is over; closing what is still open", "grace", r.Grace, "open", r.count.open.Load())
	r.cancel()
	r.mu.Lock()
	for x := range r.sessions {
		x.conn.Close()
	}
	r.mu.Unlock()
	grace.Reset(r.Grace)
	select {
	case <-done:
		return nil
	case <-grace.C:
		return fmt.Errorf("conn: %d exchanges did not end within %v of being told to; a stage ignores its context", r.count.open.Load(), 2*r.Grace)
	}
}
