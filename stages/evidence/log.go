package evidence

import (
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	enforcementv1 "github.com/Huzefaaa2/cavra/go/cavra-runtime/enforcement/v1"
)

// SyncMode says when a record counts as recorded.
type SyncMode string

const (
	// SyncAlways makes each record durable before Append returns. Records that
	// wait at the same time share one sync.
	SyncAlways SyncMode = "always"
	// SyncInterval writes each record before Append returns and syncs every 100
	// ms: a crash of the machine can lose the last records.
	SyncInterval SyncMode = "interval"
	// SyncOff writes each record before Append returns and syncs when the log is
	// closed.
	SyncOff SyncMode = "off"
)

// valid reports whether m is a mode; empty means SyncAlways.
func (m SyncMode) valid() bool {
	return m == "" || m == SyncAlways || m == SyncInterval || m == SyncOff
}

// UnmarshalText reads a mode.
func (m *SyncMode) UnmarshalText(text []byte) error {
	if *m = SyncMode(text); !m.valid() || *m == "" {
		return m.fault()
	}
	return nil
}

// Wants says what to write; see document.Decode.
func (*SyncMode) Wants() string { return "one of always, interval, off" }

func (m SyncMode) fault() error {
	return errors.New("evidence sync is none of always, interval and off")
}

const syncInterval = 100 * time.Millisecond

// LogOptions are those of Open. The zero value writes an unsigned log, synced
// always.
type LogOptions struct {
	Sync SyncMode // empty means SyncAlways
	// Key signs each record; empty signs none.
	Key []byte
	// KeyID is written into each signature, so that a verifier knows which key it
	// needs.
	KeyID string
	// OldKeys are keys that signed records of the log before Key did. With them
	// each key needs its id.
	OldKeys []Key
	// VerifyAll has Open verify the whole file however long it is, rather than
	// its last 64 MiB.
	VerifyAll bool
	// RotateSize is the size in bytes from which on the file is rotated; see
	// Rotate. 0 rotates on request only.
	RotateSize int64
	// WarnFree and MinFree are how much space in bytes the log's file system
	// must have free, or a warning is logged and Append fails. 0 means the
	// defaults; see freeSpace.
	WarnFree, MinFree int64
	// Log is told of repairs and of what ends the log's life. nil logs nothing.
	Log hclog.Logger

	// follow keeps pace with the log; nil where nobody does.
	follow follower

	// For tests.
	files     fileSystem
	now       func() time.Time
	verifyEnd int64
}

// A Log appends records to a file. It is safe for concurrent use.
//
// With SyncAlways one goroutine writes: callers hand it what to record and wait,
// and it writes and syncs once for all that wait. Where nobody waits for a disk,
// handing over would cost more than writing, so callers write in turn.
type Log struct {
	path string
	o    LogOptions

	mu     sync.RWMutex // guards closed, and queue against a send after its close
	closed bool
	queue  chan *entry
	ended  chan struct{} // closed when the goroutine has ended
	err    error         // of ending, readable once ended is closed

	// own is held by whoever writes or syncs; it guards what follows.
	own    sync.Mutex
	file   logFile
	head   head
	size   int64 // of all whole records, in bytes
	dirty  bool  // something was written and not synced
	looked time.Time
	poison error // why nothing more is written; nil while all is well
	hasher *hasher
	signer *signer // nil where records are not signed
	space  *freeSpace
	seen   observed
	batch  []*entry
	buf    []byte
	stamp  []byte

	number      uint64 // of the rotated file before this one; 0 where there is none
	begun       uint64 // sequence of this file's first record, where we began it
	rotateAfter time.Time
}

// A head is the end of a chain: what the next record follows.
type head struct {
	sequence uint64 // 0 before the first record
	hash     digest
}

// previousHash is the member of that name of the record that follows.
func (h *head) previousHash() []byte {
	if h.sequence == 0 {
		return nil
	}
	return h.hash[:]
}

// An entry is a record on its way to the goroutine, and the answer back.
type entry struct {
	eventType string
	recordID  string
	body      []byte
	done      chan error
}

var entries = sync.Pool{New: func() any { return &entry{done: make(chan error, 1)} }}

const (
	queueLength = 256      // entries that wait without their caller being parked
	batchSize   = 1 << 20  // bytes after which no further record joins a batch
	keepBuffer  = 1 << 20  // buffers of a goroutine that grew beyond this are not kept
	keepBody    = 64 << 10 // the same for those of entries, of which there are many
)

var errClosed = errors.New("the evidence log is closed")

// Open opens the log at path, makes it where there is none, verifies it,
// repairs a last line that was cut short, and locks it until Close.
//
// It refuses, with an error that says what to do, a path that others could
// tamper with, a log that another process has open, a damaged log, and one that
// does not match the key: a log is signed from its first record to its last or
// not at all.
func Open(path string, o LogOptions) (*Log, error) {
	if !o.Sync.valid() {
		return nil, o.Sync.fault()
	}
	if o.Sync == "" {
		o.Sync = SyncAlways
	}
	if o.Log == nil {
		o.Log = hclog.NewNullLogger()
	}
	if o.files == nil {
		o.files = osFiles{}
	}
	if o.now == nil {
		o.now = time.Now
	}
	if o.verifyEnd == 0 {
		o.verifyEnd = verifyEnd
	}
	if err := checkName(path); err != nil {
		return nil, err
	}
	// The path is looked up again before each batch, so it must not depend on
	// the working directory.
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("the path of the evidence log: %w", err)
	}
	l := &Log{
		path:   path,
		o:      o,
		queue:  make(chan *entry, queueLength),
		ended:  make(chan struct{}),
		hasher: newHasher(),
	}
	if len(o.Key) > 0 {
		l.signer = newSigner(o.Key)
	}
	if l.file, err = o.files.OpenLog(path); err != nil {
		return nil, err
	}
	if err := l.resume(); err != nil {
		if l.o.follow != nil {
			_ = l.o.follow.Close()
		}
		l.file.Close()
		return nil, err
	}
	l.seen.wrote(l.head, 0)
	l.space = newFreeSpace(l)
	_ = l.space.check(time.Now()) // warns now; with too little each request is refused
	go l.run()
	return l, nil
}

// Append records a decision and returns once the record is as durable as the
// log's SyncMode says. recordID is 24 hex digits that no other record has. An
// error means that the record was not made durable; it may stand in the log
// all the same where the disk failed, but nothing may rely on it.
func (l *Log) Append(recordID string, req *enforcementv1.EvaluateRequest, resp *enforcementv1.DecisionResponse) error {
	if !isHex(recordID, recordIDLength) {
		return errors.New("the record's id is not 24 hex digits")
	}
	e := entries.Get().(*entry)
	defer e.free()
	e.eventType, e.recordID = EventDecision, recordID
	e.body = appendValidBody(e.body[:0], req, resp)
	if err := e.tooLong(); err != nil {
		return err
	}
	l.mu.RLock()
	if l.closed {
		l.mu.RUnlock()
		return errClosed
	}
	if l.o.Sync != SyncAlways {
		defer l.mu.RUnlock()
		return l.write(e)
	}
	l.queue <- e
	l.mu.RUnlock()
	return <-e.done
}

// write writes one record, without waiting for the disk.
func (l *Log) write(e *entry) error {
	l.own.Lock()
	defer l.own.Unlock()
	l.batch = append(l.batch[:0], e)
	err := l.commit(l.batch)
	clear(l.batch)
	l.rotateIfLarge()
	return err
}

// recordRest is more than a record holds beside its messages.
const recordRest = 4 << 10

func (e *entry) tooLong() error {
	if len(e.body) > maxRecord-recordRest {
		return fmt.Errorf("the record would have %d bytes, and %d are the most: lower the limit of a request's size", len(e.body), maxRecord-recordRest)
	}
	return nil
}

func (e *entry) free() {
	if cap(e.body) > keepBody {
		e.body = nil
	}
	entries.Put(e)
}

// Close records what was handed over, syncs, and gives up the file. Closing
// again does nothing.
func (l *Log) Close() error {
	l.mu.Lock()
	if !l.closed {
		l.closed = true
		close(l.queue)
	}
	l.mu.Unlock()
	<-l.ended
	return l.err
}

// run is the goroutine that writes and syncs for those who wait in the queue.
func (l *Log) run() {
	defer close(l.ended)
	var tick <-chan time.Time
	if l.o.Sync == SyncInterval {
		ticker := time.NewTicker(syncInterval)
		defer ticker.Stop()
		tick = ticker.C
	}
	for {
		select {
		case e, open := <-l.queue:
			if !open {
				l.end()
				return
			}
			l.own.Lock()
			l.gather(e)
			err := l.commit(l.batch)
			for _, e := range l.batch {
				e.done <- err
			}
			clear(l.batch)
			l.rotateIfLarge()
			l.own.Unlock()
		case <-tick:
			l.own.Lock()
			_ = l.settle() // what fails here poisons the log
			l.own.Unlock()
		}
	}
}

// gather makes a batch of e and of all that wait.
func (l *Log) gather(e *entry) {
	l.batch = append(l.batch[:0], e)
	size := len(e.body)
	// Those whose records were just synced come back with the next ones; let them
	// join rather than wait for a sync of their own.
	runtime.Gosched()
	for size < batchSize {
		select {
		case e, open := <-l.queue:
			if !open {
				return // run finds the queue closed again
			}
			l.batch = append(l.batch, e)
			size += len(e.body)
		default:
			return
		}
	}
}

// commit writes a batch and, with SyncAlways, syncs it. Nothing of a batch
// counts where any of it fails.
func (l *Log) commit(batch []*entry) error {
	if l.poison != nil {
		return l.poison
	}
	if err := l.look(); err != nil {
		return err
	}
	next, b := l.head, l.buf[:0]
	for _, e := range batch {
		b = l.encode(b, &next, e)
	}
	if l.buf = b; cap(b) > 2*keepBuffer {
		l.buf = nil
	}
	if _, err := l.file.Write(b); err != nil {
		err = fmt.Errorf("writing to the evidence log: %w", err)
		if cut := l.file.Truncate(l.size); cut != nil {
			return l.die(fmt.Errorf("%w; what was written of the record could not be cut off (%w), so nothing more is written until a restart has repaired the log", err, cut))
		}
		l.seen.failed(err)
		return err
	}
	l.dirty = true
	if l.o.Sync == SyncAlways {
		if err := l.sync(); err != nil {
			return err
		}
	}
	first := l.head.sequence + 1
	l.head = next
	l.size += int64(len(b))
	l.seen.wrote(next, len(b))
	if l.o.follow != nil {
		l.o.follow.Written(first, b)
		if !l.dirty {
			l.o.follow.Synced()
		}
	}
	return nil
}

// lookEvery is how often the file is looked at where records are not synced:
// looking costs half of what writing a record does.
const lookEvery = time.Millisecond

// look makes sure that the file is still ours alone, with SyncAlways before each
// batch, which a sync outweighs by far; and now and then that there is room.
func (l *Log) look() error {
	now := time.Now()
	if l.o.Sync == SyncAlways || now.Sub(l.looked) >= lookEvery {
		l.looked = now
		if err := l.file.Unchanged(l.size); err != nil {
			return l.die(err)
		}
	}
	err := l.space.check(now)
	if err != nil {
		l.seen.failed(err)
	}
	return err
}

// encode appends the line of the record that follows at, and moves at to it.
func (l *Log) encode(b []byte, at *head, e *entry) []byte {
	l.stamp = l.o.now().UTC().AppendFormat(l.stamp[:0], time.RFC3339Nano)
	d := draft{
		eventType:    e.eventType,
		recordID:     e.recordID,
		sequence:     at.sequence + 1,
		previousHash: at.previousHash(),
		timestamp:    l.stamp,
		body:         e.body,
	}
	b, hashAt := l.hasher.append(b, &d)
	hash := digest(b[hashAt:])
	if l.signer != nil {
		value := l.signer.sign(d.previousHash, hash[:])
		b = appendSignature(b, l.o.KeyID, value[:])
	}
	*at = head{d.sequence, hash}
	return append(b, '}', '\n')
}

// sync makes what was written durable. It is never tried again: the kernel
// drops what it could not write, so that a second sync would lie.
func (l *Log) sync() error {
	if !l.dirty || l.poison != nil {
		return l.poison
	}
	began := time.Now()
	if err := l.file.Sync(); err != nil {
		return l.die(fmt.Errorf("syncing the evidence log: %w; what the disk holds is unknown, so nothing more is written until a restart has verified the log", err))
	}
	l.seen.syncs.Observe(time.Since(began))
	l.dirty = false
	return nil
}

// settle makes durable what was written before it returned to its callers.
func (l *Log) settle() error {
	if !l.dirty {
		return l.poison
	}
	err := l.sync()
	if err == nil && l.o.follow != nil {
		l.o.follow.Synced()
	}
	return err
}

// die ends the log's life but for the answer to those who still come.
func (l *Log) die(err error) error {
	l.poison = err
	l.seen.failed(err)
	l.o.Log.Error("the evidence log can no longer be written; every request is blocked until a restart", "path", l.path, "error", err)
	return err
}

// end syncs what is left and gives up the file.
func (l *Log) end() {
	l.own.Lock()
	defer l.own.Unlock()
	l.err = l.settle()
	if l.o.follow != nil {
		l.err = errors.Join(l.err, l.o.follow.Close())
	}
	if err := l.file.Close(); l.err == nil && err != nil {
		l.err = fmt.Errorf("closing the evidence log: %w", err)
	}
}
