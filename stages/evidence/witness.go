package evidence

import (
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"

	"github.com/Huzefaaa2/cavra/go/cavra-runtime/stages/evidence/checkpoint"
)

// What a log is found to be by a checkpoint.
const (
	KindCheckpointMalformed = "checkpoint.malformed" // it is no checkpoint
	KindCheckpointSignature = "checkpoint.signature" // none of the keys given signed it as it is
	KindCheckpointTruncated = "checkpoint.truncated" // the log ends before it does
	KindCheckpointRollback  = "checkpoint.rollback"  // so does the log with its own checkpoint: both are older copies
	KindCheckpointReplaced  = "checkpoint.replaced"  // it is of a log with another first record
	KindCheckpointRewritten = "checkpoint.rewritten" // records that it covers are not those of the log
)

// A CheckpointStatus is what a verifier found of one checkpoint.
type CheckpointStatus struct {
	// Path is its file, as it was named.
	Path string `json:"path"`
	// Origin, Size and Root are what it says: which log it is of, how many records
	// it covers, and the root of their tree in base64.
	Origin string `json:"origin,omitempty"`
	Size   int64  `json:"size"`
	Root   string `json:"root,omitempty"`
	// Verified is true where a key that was given has signed it.
	Verified bool `json:"verified"`
	// Covered is true where the log holds just the records that it covers, and
	// maybe more after them.
	Covered bool `json:"covered"`
}

// Checkpoints is the Witness that computes the root of a log's tree and holds
// the log to checkpoints: the one beside it, and one that was kept elsewhere.
// Make it before the verification begins, or a writer may be ahead of what is
// verified. It serves one verification.
type Checkpoints struct {
	log  string
	keys []ed25519.PublicKey
	held []heldCheckpoint

	tree   checkpoint.Tree
	stored []checkpoint.Hash
	origin string          // of the log; empty where its first record is not seen
	start  checkpoint.Tree // of the records before the first one seen
	state  treeState
}

// heldCheckpoint is one that the log is held to.
type heldCheckpoint struct {
	checkpoint.Checkpoint
	status CheckpointStatus
	kept   bool  // elsewhere
	fault  error // it cannot be used
	root   *checkpoint.Hash
}

// treeState is whether the tree is known.
type treeState int

const (
	treeEmpty   treeState = iota // nothing was seen
	treeKnown                    // as it is, or as the hashes beside the log say
	treeMissing                  // records before the first one are missing, and their hashes too
	treeBroken                   // a line was no record, or out of order
)

// NewCheckpoints makes the Witness of the log at a path, which is empty for a log
// that has none, as from a pipe. kept names a checkpoint that was kept elsewhere,
// or is empty. Without keys no signature is checked, and warnings say so. The
// error says why the file at kept cannot be read.
func NewCheckpoints(log, kept string, keys []ed25519.PublicKey) (*Checkpoints, error) {
	w := &Checkpoints{log: log, keys: keys}
	if kept != "" {
		signed, err := readCheckpoint(kept)
		if err == nil && signed == nil {
			err = fmt.Errorf("%s: there is no such file", kept)
		}
		if err != nil {
			return nil, fmt.Errorf("reading the checkpoint: %w", err)
		}
		w.hold(kept, signed, true)
	}
	beside := log + checkpoint.Suffix
	if log == "" || sameFile(kept, beside) {
		return w, nil
	}
	// The log is the point here: what is wrong with the file beside it is told in
	// the report.
	if signed, err := readCheckpoint(beside); err != nil {
		w.held = append(w.held, heldCheckpoint{status: CheckpointStatus{Path: beside}, fault: err})
	} else if signed != nil {
		w.hold(beside, signed, false)
	}
	return w, nil
}

func sameFile(a, b string) bool {
	infoA, errA := os.Stat(a)
	infoB, errB := os.Stat(b)
	return errA == nil && errB == nil && os.SameFile(infoA, infoB)
}

func (w *Checkpoints) hold(path string, signed []byte, kept bool) {
	c, err := checkpoint.Read(signed, w.keys...)
	h := heldCheckpoint{Checkpoint: c, status: CheckpointStatus{Path: path, Origin: c.Origin, Size: c.Size}, kept: kept, fault: err}
	if c.Size > 0 {
		h.status.Root = c.Root.String()
	}
	h.status.Verified = err == nil && len(w.keys) > 0
	w.held = append(w.held, h)
}

// Line puts a line into the tree.
func (w *Checkpoints) Line(sequence uint64, recordHash string, leaf [sha256.Size]byte) {
	if w.state == treeEmpty {
		w.begin(int64(sequence), recordHash)
	}
	if w.state != treeKnown {
		return
	}
	if int64(sequence) != w.tree.Size()+1 {
		w.state = treeBroken
		return
	}
	w.stored = w.tree.Add(leaf, w.stored[:0])
	w.look()
}

// begin finds the tree before the first line.
func (w *Checkpoints) begin(sequence int64, recordHash string) {
	w.state = treeKnown
	if sequence == 1 {
		w.origin = checkpoint.Origin(recordHash)
		return
	}
	w.state = treeMissing
	if w.log == "" {
		return
	}
	tree, err := storedTree(w.log, sequence-1)
	if err != nil {
		return
	}
	w.tree, w.state = tree, treeKnown
	w.start = w.tree.Clone()
	w.look()
}

// look keeps the root for those whose size the tree has.
func (w *Checkpoints) look() {
	for i := range w.held {
		if h := &w.held[i]; h.Size == w.tree.Size() {
			root := w.tree.Root()
			h.root = &root
		}
	}
}

// Finish compares.
func (w *Checkpoints) Finish(r *Report) (faults []Fault, covers bool) {
	size := w.tree.Size()
	// Records that are missing before the first are those of the hashes beside the
	// log where a checkpoint that was signed bears the hashes out. Nothing covers
	// a gap after the first.
	for _, h := range w.held {
		covers = covers || w.state == treeKnown && w.start.Size() > 0 &&
			h.status.Verified && h.Size >= w.start.Size() && h.root != nil && *h.root == h.Root
	}
	for i := range w.held {
		h := &w.held[i]
		if covers && h.root == nil && h.Size < w.start.Size() {
			h.root = w.before(h.Size)
		}
		h.status.Covered = h.fault == nil && h.root != nil && *h.root == h.Root && (w.origin == "" || w.origin == h.Origin)
	}
	if w.state == treeKnown && (w.start.Size() == 0 || covers) {
		root := w.tree.Root()
		r.Root = root.String()
	}
	for _, h := range w.held {
		r.Checkpoints = append(r.Checkpoints, h.status)
		if kind, message := w.judge(h, size); kind != "" {
			faults = append(faults, Fault{Kind: kind, Message: h.status.Path + ": " + message})
		}
		if len(w.keys) == 0 && h.fault == nil {
			r.Warnings = append(r.Warnings, fmt.Sprintf("the signature of the checkpoint %s was not checked: no public key was given", h.status.Path))
		}
	}
	return faults, covers
}

// before is the root of the first size records, which stood in files that are
// missing, from the hashes beside the log.
func (w *Checkpoints) before(size int64) *checkpoint.Hash {
	f, err := OpenRegular(w.log + checkpoint.HashesSuffix)
	if err != nil {
		return nil
	}
	defer f.Close()
	root, ok := checkpoint.PrefixRoot(size, w.start, checkpoint.Hashes{File: f})
	if !ok {
		return nil
	}
	return &root
}

// judge says what a checkpoint finds wrong with a log of size records, or with
// the checkpoint; kind is empty where all is well.
func (w *Checkpoints) judge(h heldCheckpoint, size int64) (kind, message string) {
	switch {
	case errors.Is(h.fault, checkpoint.ErrUnknownKey), errors.Is(h.fault, checkpoint.ErrSignature):
		return KindCheckpointSignature, h.fault.Error()
	case h.fault != nil:
		return KindCheckpointMalformed, h.fault.Error()
	case h.status.Covered:
		return "", ""
	case w.origin != "" && w.origin != h.Origin:
		return KindCheckpointReplaced, "it is of a log whose first record has another hash: another log stands in its place, or this is another log's checkpoint"
	case w.state == treeMissing:
		return KindCheckpointRewritten, "whether the log is what it covers cannot be told: the oldest records are missing, and so are their hashes; put the older files, or the file of hashes, back beside the log"
	case w.state == treeBroken:
		return KindCheckpointRewritten, "the records that it covers are not all there: lines are missing, out of order or no records"
	case h.Size > size && w.older(h):
		return KindCheckpointRollback, fmt.Sprintf("it covers %d records, and the log holds %d, as its own checkpoint says: an older copy of both was put back", h.Size, size)
	case h.Size > size:
		return KindCheckpointTruncated, fmt.Sprintf("it covers %d records, and the log holds %d: the end was cut off, or an older copy was put back", h.Size, size)
	}
	return KindCheckpointRewritten, fmt.Sprintf("the first %d records are not those that it covers: they were changed, or an older copy was put back and went on", h.Size)
}

// older reports whether the log agrees with its own checkpoint, which is older
// than h.
func (w *Checkpoints) older(h heldCheckpoint) bool {
	for _, own := range w.held {
		if h.kept && !own.kept && own.status.Covered && own.Size < h.Size {
			return true
		}
	}
	return false
}
