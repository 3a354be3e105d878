package conn

import (
	"bytes"
	"errors"
	"io"
	"os"
	"time"

	"github.com/Huzefaaa2/cavra/go/cavra-runtime/pipeline"
)

// Limits bound one request. A zero field means its default.
type Limits struct {
	// RequestBytes is the length of the largest request, white space before it
	// included. The default is 1 MiB.
	RequestBytes int
	// Depth is how many objects and arrays may stand open at once, the outermost
	// one included. It must not be less than what the decode stage takes: reading
	// ends at the first bracket beyond. The default is 64.
	Depth int
	// ReadTimeout is how long the whole request may take to arrive, from the
	// moment its connection was accepted. The default is 5 s.
	ReadTimeout time.Duration
}

func (l Limits) withDefaults() Limits {
	l.RequestBytes = positive(l.RequestBytes, 1<<20)
	l.Depth = positive(l.Depth, 64)
	l.ReadTimeout = positive(l.ReadTimeout, 5*time.Second)
	return l
}

// positive is v, or otherwise where v is not positive.
func positive[N int | int64 | time.Duration](v, otherwise N) N {
	if v > 0 {
		return v
	}
	return otherwise
}

// ReadFrom reads one request from r as it would be read from the socket, and
// makes an exchange of it. A request that is too large or too late is an
// exchange that Refuse was called on. The time limit holds where r has a
// SetReadDeadline that works, as a pipe has. The error is that of r, other than
// io.EOF; there is no exchange then.
func ReadFrom(r io.Reader, limits Limits) (*pipeline.Exchange, error) {
	limits = limits.withDefaults()
	q := reader{from: r, limits: limits, buf: make([]byte, 0, smallBuffer)}
	q.scanner.reset(limits.Depth)
	if d, ok := r.(interface{ SetReadDeadline(time.Time) error }); ok {
		if d.SetReadDeadline(time.Now().Add(limits.ReadTimeout)) == nil {
			defer d.SetReadDeadline(time.Time{})
		}
	}
	err := q.read()
	if block, ok := err.(*pipeline.BlockError); ok {
		x := pipeline.NewExchange(nil, pipeline.Peer{})
		x.Refuse(block)
		return x, nil
	}
	if err != nil && err != io.EOF {
		return nil, err
	}
	return pipeline.NewExchange(q.buf, pipeline.Peer{}), nil
}

// spare is kept free at the end of each buffer for the first bytes that follow
// a request which filled it.
const spare = 64

// A reader reads one request.
type reader struct {
	from    io.Reader
	arrived func(b []byte) (int, error) // reads without waiting; nil where nothing can
	limits  Limits
	scanner scanner
	buf     []byte // what has arrived

	slots                                 *slots // nil where memory is not shared
	holdsMedium, holdsLarge, holdsWorking bool
	waited                                func(time.Duration) // is told how long a slot made the request wait
}

// read reads until the object has ended, can no longer become one, or the
// stream ends; what has arrived is then in buf, for the decode stage to judge. A
// *pipeline.BlockError refuses the request instead. Any other error is that of
// the stream: io.EOF where it ended without a byte.
func (r *reader) read() error {
	for {
		if len(r.buf) == cap(r.buf)-spare {
			if err := r.grow(); err != nil {
				return err
			}
		}
		before, room := len(r.buf), cap(r.buf)-spare
		n, err := r.from.Read(r.buf[before:room])
		r.buf = r.buf[:before+n]
		switch v, end := r.scanner.scan(r.buf[before:]); {
		case v == malformed:
			return nil
		case v == complete && before+end <= r.limits.RequestBytes:
			r.follow(before+end, before+n == room)
			return nil
		case v == complete, len(r.buf) > r.limits.RequestBytes:
			return errTooLarge.Reasonf("the request is larger than the limit of %d bytes: %d had arrived when reading ended; send less, or raise the limit where the runtime is configured",
				r.limits.RequestBytes, len(r.buf))
		case err == nil:
		case errors.Is(err, os.ErrDeadlineExceeded):
			return errTimeout.Reasonf("the request was not complete within the limit of %v: %d bytes had arrived; send one whole JSON object as soon as the connection stands",
				r.limits.ReadTimeout, len(r.buf))
		case len(r.buf) == 0:
			return err
		default:
			return nil // cut off: decode says where
		}
	}
}

// follow sees to what follows the request that ends at end: white space is
// dropped, anything else stays for the decode stage to refuse. Where the last
// read filled the buffer more may have arrived with the request.
func (r *reader) follow(end int, filled bool) {
	if !blank(r.buf[end:]) {
		return
	}
	r.buf = r.buf[:end]
	if !filled || r.arrived == nil {
		return
	}
	for looked := 0; looked < r.limits.RequestBytes; {
		more := r.buf[end:min(end+spare, cap(r.buf))]
		n, err := r.arrived(more)
		if n == 0 || err != nil {
			return
		}
		if !blank(more[:n]) {
			r.buf = r.buf[:end+n]
			return
		}
		looked += n
	}
}

// grow makes room for more, and waits for a slot where it must.
func (r *reader) grow() error {
	size := 8 * cap(r.buf)
	if 2*size > r.limits.RequestBytes {
		size = r.limits.RequestBytes + 1 + spare
	}
	if r.slots != nil && !r.holdsMedium {
		if err := r.take(r.slots.medium, &r.holdsMedium); err != nil {
			return err
		}
	}
	if r.slots != nil && !r.holdsLarge && size > mediumBuffer {
		if err := r.take(r.slots.large, &r.holdsLarge); err != nil {
			return err
		}
	}
	bigger := make([]byte, len(r.buf), size)
	copy(bigger, r.buf)
	clear(r.buf)
	r.buf = bigger
	return nil
}

// work waits until the stages may work on the request.
func (r *reader) work() error {
	if !r.holdsLarge {
		return nil
	}
	return r.take(r.slots.working, &r.holdsWorking)
}

// patience is for how many ReadTimeouts a request waits for each of its slots.
const patience = 2

// take waits for a slot. The time is ours, not the client's, so it does not
// count against its deadline.
func (r *reader) take(slot chan struct{}, holds *bool) error {
	longest := patience * r.limits.ReadTimeout
	waited, ok := take(slot, longest)
	if !ok {
		return errOverloaded.Reasonf("other requests held all the memory that requests may hold for %v, and %d bytes of this one had arrived; try again in a moment, or send less",
			longest, len(r.buf))
	}
	*holds = true
	if waited > 0 {
		r.waited(waited)
	}
	return nil
}

// release drops the buffer and gives its slots back.
func (r *reader) release() {
	r.buf = nil
	if r.holdsWorking {
		<-r.slots.working
	}
	if r.holdsLarge {
		<-r.slots.large
	}
	if r.holdsMedium {
		<-r.slots.medium
	}
	r.holdsWorking, r.holdsLarge, r.holdsMedium = false, false, false
}

func blank(b []byte) bool { return len(bytes.Trim(b, " \t\r\n")) == 0 }
