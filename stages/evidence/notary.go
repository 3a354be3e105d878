package evidence

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/Huzefaaa2/cavra/go/cavra-runtime/stages/evidence/checkpoint"
)

// A notary keeps the Merkle tree of a log's lines and signs what the log holds,
// at most 100 ms after it was synced. It is the follower of the log; its own
// goroutine hashes and signs, and no answer waits for it.
//
// It signs nothing but extensions of what it signed before: it starts from the
// checkpoint beside the log, which the log has to bear out, and its tree only
// grows.
type notary struct {
	key   ed25519.PrivateKey
	known []ed25519.PublicKey // keys of before; see Options.CheckpointPublicKeyFile
	log   hclog.Logger

	delay   time.Duration // from a sync to the writing of its checkpoint
	replace func(path string, signed []byte) error

	path string // of the log

	covered atomic.Int64 // records that the checkpoint beside the log covers

	mu     sync.Mutex // guards what the writer hands over
	next   handover
	offset int64 // where in its file the next line will stand
	armed  bool  // a checkpoint is due

	work    sync.Mutex // held by whoever hashes; guards what follows
	spare   handover
	leafer  *checkpoint.Leafer
	tree    checkpoint.Tree
	stored  []checkpoint.Hash
	store   *checkpoint.Store // nil where it cannot be written
	origin  string            // empty before the first record
	durable checkpoint.Checkpoint

	soon, full, now chan struct{} // the goroutine is to do something: see run
	quit, ended     chan struct{} // nil before Start

	// The goroutine's, or who waited for its end.
	last     checkpoint.Checkpoint // that stands beside the log
	signed   []byte                // the same as it was written; nil where there is none
	current  bool                  // it is signed with our key, not with one of before
	tried    []byte                // what could not be written, or who knows
	failures int                   // in a row
}

// A handover is what the writer wrote and nobody has hashed.
type handover struct {
	lines  []byte
	parts  []part // the first begins with lines
	synced int    // how much of lines is durable; -1 where nothing was synced since
}

// A part is a run of lines of one file.
type part struct {
	begin  int   // in lines
	offset int64 // in the file
}

const (
	checkpointDelay = 50 * time.Millisecond // leaves as much for the writing
	checkpointRetry = 5 * time.Second       // the longest wait after a failure

	handoverFull = 256 << 10 // bytes from which on the goroutine hashes at once
	handoverMost = 4 << 20   // bytes from which on the writer hashes itself
)

func newNotary(key ed25519.PrivateKey, known []ed25519.PublicKey, log hclog.Logger) *notary {
	return &notary{
		key:     key,
		known:   append([]ed25519.PublicKey{key.Public().(ed25519.PublicKey)}, known...),
		log:     log,
		delay:   checkpointDelay,
		replace: checkpoint.Replace,
		leafer:  checkpoint.NewLeafer(),
		next:    handover{synced: -1},
		soon:    make(chan struct{}, 1),
		full:    make(chan struct{}, 1),
		now:     make(chan struct{}, 1),
	}
}

// Start finds the tree that the log has, holds the log to its checkpoint, and
// begins to follow.
func (n *notary) Start(files []string, size int64, sequence uint64, hash string) error {
	n.path = files[len(files)-1]
	checkpoint.Sweep(n.path + checkpoint.Suffix)
	if err := n.resume(heldLog{files, size, int64(sequence), hash}); err != nil {
		n.closeStore()
		return err
	}
	n.covered.Store(n.last.Size)
	n.offset = size
	n.next.parts = []part{{0, size}}
	n.durable = n.checkpoint()
	n.quit, n.ended = make(chan struct{}), make(chan struct{})
	if !n.current || n.durable.Size != n.last.Size {
		poke(n.now) // what a crash left without a checkpoint
	}
	go n.run()
	return nil
}

// Written takes the lines over.
func (n *notary) Written(_ uint64, lines []byte) {
	n.mu.Lock()
	n.next.lines = append(n.next.lines, lines...)
	n.offset += int64(len(lines))
	have := len(n.next.lines)
	n.mu.Unlock()
	switch {
	case have >= handoverMost:
		n.hash()
	case have >= handoverFull:
		poke(n.full)
	}
}

// Synced makes a checkpoint due.
func (n *notary) Synced() {
	n.mu.Lock()
	n.next.synced = len(n.next.lines)
	due := !n.armed
	n.armed = true
	n.mu.Unlock()
	if due {
		poke(n.soon)
	}
}

// Rotated makes a checkpoint due at once.
func (n *notary) Rotated(string) {
	n.mu.Lock()
	n.offset = 0
	n.next.parts = append(n.next.parts, part{begin: len(n.next.lines)})
	n.mu.Unlock()
	n.Synced()
	poke(n.now)
}

// Close writes the last checkpoint.
func (n *notary) Close() error {
	if n.quit == nil {
		return nil // it never started
	}
	close(n.quit)
	<-n.ended
	n.hash()
	defer n.closeStore()
	if err := n.write(); err != nil {
		return fmt.Errorf("writing the last checkpoint of the evidence log: %w; the next start makes up for it", err)
	}
	return nil
}

func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default: // it is poked already
	}
}

// run is the notary's goroutine.
func (n *notary) run() {
	defer close(n.ended)
	timer := time.NewTimer(n.delay)
	defer timer.Stop()
	for {
		select {
		case <-n.quit:
			return
		case <-n.full:
			n.hash()
			continue
		case <-n.soon:
			if n.failures == 0 {
				timer.Reset(n.delay)
			}
			continue
		case <-n.now:
		case <-timer.C:
			n.mu.Lock()
			n.armed = false // before the hashing, so that what comes meanwhile makes the next one due
			n.mu.Unlock()
		}
		n.hash()
		if err := n.write(); err != nil {
			if n.failures++; n.failures == 1 {
				n.log.Error("the checkpoint of the evidence log cannot be written; records go on being written, and it is tried again", "path", n.path+checkpoint.Suffix, "error", err)
			}
			timer.Reset(min(n.delay<<min(n.failures, 16), checkpointRetry))
		} else if n.failures > 0 {
			n.log.Info("the checkpoint of the evidence log is written again", "path", n.path+checkpoint.Suffix, "failures", n.failures)
			n.failures = 0
		}
	}
}

// hash puts what was handed over into the tree.
func (n *notary) hash() {
	n.work.Lock()
	defer n.work.Unlock()
	n.mu.Lock()
	h := n.next
	n.next = handover{n.spare.lines[:0], append(n.spare.parts[:0], part{0, n.offset}), -1}
	n.mu.Unlock()

	if h.synced == 0 {
		n.durable = n.checkpoint()
	}
	parts := h.parts
	for at := 0; at < len(h.lines); {
		for len(parts) > 1 && parts[1].begin <= at {
			parts = parts[1:]
		}
		end := at + bytes.IndexByte(h.lines[at:], '\n')
		line := h.lines[at:end]
		n.add(line, parts[0].offset+int64(at-parts[0].begin))
		if at = end + 1; at == h.synced {
			n.durable = n.checkpoint()
		}
	}
	n.flush(handoverFull)
	if cap(h.lines) > 2*handoverMost {
		h.lines = nil
	}
	n.spare = h
}

// add puts a line at the end of the tree.
func (n *notary) add(line []byte, offset int64) {
	if n.origin == "" {
		n.origin = checkpoint.Origin(string(glance(line).recordHash))
	}
	n.stored = n.tree.Add(n.leafer.Leaf(line), n.stored[:0])
	if n.store != nil {
		n.store.Add(n.stored, idOf(line), offset)
	}
}

// checkpoint is that of the tree as it is.
func (n *notary) checkpoint() checkpoint.Checkpoint {
	return checkpoint.Checkpoint{Origin: n.origin, Size: n.tree.Size(), Root: n.tree.Root()}
}

// openStore opens the files that make proofs quick, as of the first size lines.
func (n *notary) openStore(size int64) {
	n.closeStore()
	var err error
	if n.store, err = checkpoint.OpenStore(n.path, size); err != nil {
		n.withoutStore(err)
	}
}

// flush writes to the store once it holds so many bytes.
func (n *notary) flush(from int) {
	if n.store != nil && n.store.Buffered() >= from {
		if err := n.store.Flush(); err != nil {
			n.withoutStore(err)
		}
	}
}

func (n *notary) withoutStore(err error) {
	n.log.Warn("the hashes beside the evidence log cannot be written, so proofs take longer until a restart", "path", n.path+checkpoint.HashesSuffix, "error", err)
	n.closeStore()
}

func (n *notary) closeStore() {
	if n.store != nil {
		_ = n.store.Close() // a cache
		n.store = nil
	}
}

var errOtherNotary = errors.New("the checkpoint beside the log was signed with our key and not by us: another process uses the key for this log, and we sign nothing that its checkpoint does not lead to; stop one of the two")

// write signs what is durable, where that is more than was signed before.
func (n *notary) write() error {
	n.work.Lock()
	n.flush(0) // so that whoever reads the checkpoint finds its hashes
	c := n.durable
	n.work.Unlock()
	if c.Size == n.last.Size && n.current || c.Size == 0 {
		return nil
	}
	path := n.path + checkpoint.Suffix
	found, err := readCheckpoint(path)
	if err != nil {
		return err
	}
	if !bytes.Equal(found, n.signed) && !bytes.Equal(found, n.tried) {
		other, err := checkpoint.Read(found, n.known...)
		if err == nil && other.Origin == c.Origin && other.Size >= n.last.Size {
			return errOtherNotary
		}
		n.log.Warn("somebody changed or removed the checkpoint of the evidence log; it is written anew", "path", path)
	}
	signed, err := c.Sign(n.key)
	if err != nil {
		return err
	}
	n.tried = signed
	if err := n.replace(path, signed); err != nil {
		return err
	}
	n.last, n.signed, n.current = c, signed, true
	n.covered.Store(c.Size)
	return nil
}

// readCheckpoint reads the checkpoint at path; nil where there is none.
func readCheckpoint(path string) ([]byte, error) {
	f, err := OpenRegular(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	signed, err := io.ReadAll(io.LimitReader(f, checkpoint.MaxSize+1))
	if len(signed) > checkpoint.MaxSize {
		return nil, fmt.Errorf("%s is too long: no checkpoint has more than %d bytes", path, checkpoint.MaxSize)
	}
	return signed, err // empty is not nil, which is for a missing one
}
