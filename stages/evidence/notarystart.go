package evidence

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/Huzefaaa2/cavra/go/cavra-runtime/stages/evidence/checkpoint"
)

// resume finds the tree of a log that was verified, and refuses a log that does
// not bear its checkpoint out.
func (n *notary) resume(l heldLog) error {
	path := n.path + checkpoint.Suffix
	var err error
	if n.signed, err = readCheckpoint(path); err != nil {
		return fmt.Errorf("reading the checkpoint of the evidence log: %w", err)
	}
	if n.signed != nil {
		if n.last, err = checkpoint.Read(n.signed, n.known...); err != nil {
			return n.refuseCheckpoint(path, err)
		}
		_, err := checkpoint.Read(n.signed, n.known[0])
		n.current = err == nil
		first, err := l.firstOf(0)
		if err != nil {
			return fmt.Errorf("reading the evidence log: %w", err)
		}
		switch {
		case first.sequence == 1 && checkpoint.Origin(string(first.recordHash)) != n.last.Origin:
			return n.refuse("was replaced: its checkpoint is of another log, whose first record has another hash")
		case n.last.Size > l.sequence:
			return n.refuse(fmt.Sprintf("was truncated or rolled back: it ends with record %d, and its checkpoint covers %d records. Its end was cut off, or an older copy was put back", l.sequence, n.last.Size))
		}
		if n.resumeQuickly(l) == nil {
			return nil
		}
	} else if l.sequence > 0 {
		n.log.Warn("there is no checkpoint beside the evidence log, so nothing tells whether its end is there; that is right where checkpoints are new to it, and otherwise somebody removed it", "path", path, "records", l.sequence)
	}
	return n.resumeWhole(l)
}

// refuseCheckpoint says why a checkpoint is not gone on from.
func (n *notary) refuseCheckpoint(path string, err error) error {
	switch {
	case errors.Is(err, checkpoint.ErrUnknownKey):
		return fmt.Errorf("the checkpoint %s was signed with another key than the configured one. After a change of keys, name the public key of before with --evidence-checkpoint-public-key for one start; otherwise somebody replaced the checkpoint: compare the log with one kept elsewhere", path)
	case errors.Is(err, checkpoint.ErrSignature):
		return fmt.Errorf("the checkpoint %s was changed after it was signed: compare the log with one kept elsewhere (--verify-evidence --evidence-checkpoint), put that one in its place and start again", path)
	}
	return fmt.Errorf("the checkpoint %s is damaged: %w. Checkpoints are replaced whole, so no crash does that: compare the log with one kept elsewhere (--verify-evidence --evidence-checkpoint), put that one in its place and start again", path, err)
}

// refuse says that the log is not the one that was signed.
func (n *notary) refuse(what string) error {
	return fmt.Errorf("the evidence log %s %s. Put the whole log back; to go on without it, keep what is there and its checkpoint elsewhere, and move both away, so that a new log begins", n.path, what)
}

// errNotProven is for hashes beside the log that lead to no root that was
// signed. It is never shown: the log itself decides.
var errNotProven = errors.New("the stored hashes do not lead to the checkpoint")

// resumeQuickly finds the tree from the stored hashes, where they lead to the
// checkpoint and the log holds the last line that it covers. That line holds,
// through the chain, all before it.
func (n *notary) resumeQuickly(l heldLog) error {
	c := n.last
	hashes, index, err := openStored(n.path)
	if err != nil {
		return err
	}
	defer hashes.Close()
	defer index.Close()
	stored := checkpoint.Hashes{File: hashes}
	tree, err := checkpoint.TreeAt(c.Size, stored)
	if err != nil {
		return err
	}
	path, err := tlog.ProveRecord(c.Size, c.Size-1, stored)
	if err != nil || tree.Root() != c.Root {
		return errNotProven
	}
	offset, err := checkpoint.Offset(index, c.Size)
	if err != nil {
		return err
	}
	file, err := l.fileOf(c.Size)
	if err != nil {
		return err
	}
	n.tree, n.origin = tree, c.Origin
	n.openStore(c.Size)
	proven := false
	return n.follow(l, file, offset, func(line []byte, s seen) (own bool, err error) {
		if proven {
			return true, nil
		}
		proven = s.sequence == c.Size && tlog.CheckRecord(path, c.Size, c.Root, c.Size-1, n.leafer.Leaf(line)) == nil
		if !proven {
			return false, errNotProven
		}
		return false, nil
	})
}

func openStored(log string) (hashes, index *os.File, err error) {
	if hashes, err = OpenRegular(log + checkpoint.HashesSuffix); err != nil {
		return nil, nil, err
	}
	if index, err = OpenRegular(log + checkpoint.IndexSuffix); err != nil {
		hashes.Close()
	}
	return hashes, index, err
}

// resumeWhole finds the tree from the lines of the log, and makes the stored
// hashes anew. Where the oldest files were moved away, the hashes stand for them
// as far as the checkpoint proves them.
func (n *notary) resumeWhole(l heldLog) error {
	c := n.last
	n.tree, n.origin = checkpoint.Tree{}, ""
	first, err := l.firstOf(0)
	if err != nil {
		return fmt.Errorf("reading the evidence log: %w", err)
	}
	var refused error // where the hashes stand for lines and do not prove right
	if missing := first.sequence - 1; missing > 0 {
		refused = fmt.Errorf("the records before record %d of the evidence log %s were moved away, and without them its tree is not known: the hashes beside the log are missing or do not lead to its checkpoint. Put the older files back, or move the log and its checkpoint away, so that a new one begins", first.sequence, n.path)
		if n.signed == nil {
			return fmt.Errorf("the records before record %d of the evidence log %s were moved away, and so was its checkpoint, without which nothing proves what they were. Put the checkpoint or the older files back; or move the log away, so that a new one begins", first.sequence, n.path)
		}
		if n.tree, err = storedTree(n.path, missing); err != nil {
			return refused
		}
		n.origin = c.Origin
	}
	n.openStore(n.tree.Size())
	proven := n.signed == nil
	look := func() { proven = proven || n.tree.Size() == c.Size && n.tree.Root() == c.Root }
	err = n.follow(l, 0, 0, func([]byte, seen) (bool, error) {
		look()
		return true, nil
	})
	look()
	switch {
	case err != nil:
		return fmt.Errorf("reading the evidence log %s: %w", n.path, err)
	case !proven && refused != nil:
		return refused
	case !proven:
		return n.refuse(fmt.Sprintf("was rewritten: its records up to %d are not those that its checkpoint covers. They were changed, or an older copy was put back and went on", c.Size))
	}
	return nil
}

// storedTree is the tree of the first size lines from the hashes beside the log.
func storedTree(log string, size int64) (checkpoint.Tree, error) {
	f, err := OpenRegular(log + checkpoint.HashesSuffix)
	if err != nil {
		return checkpoint.Tree{}, err
	}
	defer f.Close()
	return checkpoint.TreeAt(size, checkpoint.Hashes{File: f})
}

// follow puts the lines of the log that follow the tree into it. before sees
// each line first and says whether it is one of them. The lines have to be a
// chain that ends with the log's last record.
func (n *notary) follow(l heldLog, file int, offset int64, before func([]byte, seen) (follows bool, err error)) error {
	last := "" // the record_hash of the line before, where it was seen
	err := l.lines(file, offset, func(line []byte, s seen, offset int64) error {
		follows, err := before(line, s)
		switch {
		case err != nil:
			return err
		case !s.ok:
			return fmt.Errorf("byte %d holds no record: verify the log with --verify-evidence", offset)
		case last != "" && string(s.previousHash) != last, follows && s.sequence != n.tree.Size()+1:
			return fmt.Errorf("record %d does not follow the one before: verify the log with --verify-evidence", s.sequence)
		}
		last = string(s.recordHash)
		if !follows {
			return nil
		}
		n.add(line, offset)
		n.flush(handoverMost)
		return nil
	})
	if err != nil {
		return err
	}
	n.flush(0)
	if n.tree.Size() != l.sequence || last != l.hash {
		return errShrunk
	}
	return nil
}
