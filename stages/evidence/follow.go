package evidence

import "crypto/sha256"

// A follower keeps pace with the writer of a log. Its methods are called by one
// goroutine at a time, in the order of the log. Callers wait while they run, so
// they do little: what takes long belongs on a goroutine of the follower's own.
type follower interface {
	// Start is called once, when the log is locked and verified and before
	// anything is written. files are those of the set that are there, oldest
	// first, the log itself last; of that, the first size bytes are whole lines.
	// sequence and hash are those of the last record, 0 and empty where there is
	// none. An error keeps the log from opening, and leaves it as it is.
	Start(files []string, size int64, sequence uint64, hash string) error
	// Written gives the lines of one batch, each with its line end; first is
	// the sequence of the first. With SyncAlways they are durable. lines are
	// valid during the call only.
	Written(first uint64, lines []byte)
	// Synced says that all lines so far are durable.
	Synced()
	// Rotated says that all lines so far are durable and stand in the set of
	// files that ends with old, and that the next begin a new file at the log's
	// path.
	Rotated(old string)
	// Close is called when the log ends, after Synced if that succeeded and
	// before the lock is given up.
	Close() error
}

// A Witness knows from elsewhere what a log has to hold, as a checkpoint does. A
// verifier tells it what the log does hold.
type Witness interface {
	// Line gives a record's sequence, its record_hash and the leaf of its line in
	// the tree of RFC 6962. Lines come in the order of the log; there is no call
	// for a line that is no record.
	Line(sequence uint64, recordHash string, leaf [sha256.Size]byte)
	// Finish is called when all is read. It may add what it found to the
	// report's members and warnings, and gives the faults. covers says that each
	// line is one that the witness vouches for, so that records which are
	// missing before one were moved away and not cut off.
	Finish(r *Report) (faults []Fault, covers bool)
}
