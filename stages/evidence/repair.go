package evidence

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	enforcementv1 "github.com/Huzefaaa2/cavra/go/cavra-runtime/enforcement/v1"
)

// verifyEnd is how much of a log Open verifies: all of a log up to this length,
// the end of a longer one.
const verifyEnd = 64 << 20

// resume verifies the log, finds where it ends, and repairs its last line.
func (l *Log) resume() error {
	if err := l.o.files.SyncDir(filepath.Dir(l.path)); err != nil {
		return fmt.Errorf("syncing the directory of the evidence log: %w", err)
	}
	size, err := l.file.Size()
	if err != nil {
		return fmt.Errorf("opening the evidence log: %w", err)
	}
	start := int64(0)
	if size > l.o.verifyEnd && !l.o.VerifyAll {
		if start, err = lineAfter(l.file, size-l.o.verifyEnd, size); err != nil {
			return fmt.Errorf("reading the evidence log %s: %w", l.path, err)
		}
	}
	before, err := l.origin(size)
	if err != nil {
		return err
	}
	s := l.scanFrom(start, size, before)
	if start > 0 && s.line == 0 && s.readErr == nil {
		// The end holds no whole line to go on from, so the rest must be read.
		start = 0
		s = l.scanFrom(start, size, before)
	}
	if s.readErr == nil && s.read < size-start {
		s.readErr = errShrunk
	}
	if s.readErr != nil {
		return fmt.Errorf("reading the evidence log %s: %w", l.path, s.readErr)
	}
	if err := l.refuse(s); err != nil {
		return err
	}
	l.head, l.size = s.head, start+s.whole
	if l.o.follow != nil {
		// What a killed process wrote stands in the log and may not be on the disk,
		// while a follower takes it for durable.
		if err := l.file.Sync(); err != nil {
			return fmt.Errorf("syncing the evidence log: %w", err)
		}
		files, err := Files(l.path)
		if err != nil {
			return fmt.Errorf("looking for rotated files of the evidence log: %w", err)
		}
		if err := l.o.follow.Start(files, l.size, l.head.sequence, string(l.head.previousHash())); err != nil {
			return err
		}
	}
	return l.repair(s.torn)
}

// verifyOptions are those that check what the log signs.
func (l *Log) verifyOptions() VerifyOptions {
	return VerifyOptions{Key: l.o.Key, KeyID: l.o.KeyID, OldKeys: l.o.OldKeys}
}

// scanFrom reads the file from start, which begins a line. before is what its
// first record follows.
func (l *Log) scanFrom(start, size int64, before head) *scan {
	s := newScan(l.verifyOptions())
	if start == 0 {
		s.follow(before)
	} else {
		s.followUnknown(start)
	}
	s.run(io.NewSectionReader(l.file, start, size-start))
	return s
}

// lineAfter is where the first line begins that starts at or after offset: size
// where there is none.
func lineAfter(r io.ReaderAt, offset, size int64) (int64, error) {
	buf := make([]byte, 64<<10)
	for at := offset - 1; at < size; {
		n, err := r.ReadAt(buf[:min(int64(len(buf)), size-at)], at)
		if i := bytes.IndexByte(buf[:n], '\n'); i >= 0 {
			return at + int64(i) + 1, nil
		}
		if at += int64(n); err != nil && at < size {
			return 0, err
		}
	}
	return size, nil
}

// refuse gives the reason not to continue the log that s has read, or nil. A
// last line that was cut short is none.
func (l *Log) refuse(s *scan) error {
	r := &s.log
	switch {
	case s.faults == 0 && l.signer == nil && r.SignedRecords > 0:
		return fmt.Errorf("the evidence log %s is signed and no signing key is configured: configure the key, or move the log away to start an unsigned one", l.path)
	case s.faults == 0:
		return nil
	case s.only(KindSignatureMissing) && r.SignedRecords == 0:
		return fmt.Errorf("the evidence log %s is not signed and a signing key is configured: move the log away, so that a signed one begins, or start without the key", l.path)
	case s.only(KindSignatureInvalid) && s.faults == r.Records:
		return fmt.Errorf("no signature in the evidence log %s can be verified with the configured key: configure the key that signed it, or move the log away to start a new one", l.path)
	case s.only(KindSignatureKeyID):
		return fmt.Errorf("the evidence log %s holds records that were signed under another key id than the configured one: configure that key and its id too, under signing_keys, or move the log away to start a new one", l.path)
	}
	first := r.ErrorDetails[0]
	if s.start > 0 {
		first.Line = 0 // it was not counted from the start of the file
	}
	more := ""
	if s.faults > 1 {
		more = fmt.Sprintf(", and %d more", s.faults-1)
	}
	return fmt.Errorf("the evidence log %s is damaged and is not continued: at byte %d, %v%s. Keep it and look at it with --verify-evidence; to go on, move it away, so that a new one begins, or put a whole copy back", l.path, first.Offset, first, more)
}

// repair cuts off the torn bytes that follow the last whole line, keeps them
// beside the log, and appends a record that says so. A repair that was
// interrupted after the cut lacks its record; it is made up for, since the kept
// bytes still bear the name of the record to come.
func (l *Log) repair(torn int64) error {
	failed := func(what string, err error) error {
		return fmt.Errorf("repairing the evidence log %s, whose last line was cut short: %s: %w", l.path, what, err)
	}
	kept, free, err := l.asides()
	if err != nil {
		return failed("looking for what was kept before", err)
	}
	if torn == 0 && l.head.sequence == 0 {
		return nil // an empty log: what lies beside it was kept of another
	}
	if torn > 0 {
		if err := l.copyAside(free, torn); err != nil {
			return failed("keeping what is cut off in "+free, err)
		}
		kept = append(kept, free)
		if err := l.file.Truncate(l.size); err != nil {
			return failed("cutting it off", err)
		}
		if err := l.file.Sync(); err != nil {
			return failed("syncing", err)
		}
	}
	if len(kept) == 0 {
		return nil
	}
	e, err := l.repairEntry(kept)
	if err != nil {
		return failed("describing it", err)
	}
	if err := l.commit([]*entry{e}); err != nil {
		return failed("recording it", err)
	}
	if err := l.settle(); err != nil { // whatever the SyncMode
		return failed("recording it", err)
	}
	l.o.Log.Warn("the last line of the evidence log was cut short, as after a crash; it was kept and cut off", "path", l.path, "kept", kept)
	return nil
}

// asides are the files that hold what was cut off where the next record will
// stand, and a name for another. There can be several: a repair can be
// interrupted too. The name holds the start of the last record's hash, so that
// what was kept of another log that stood at this path is not taken for ours.
func (l *Log) asides() (kept []string, free string, err error) {
	name := fmt.Sprintf("%s.torn-%d", l.path, l.head.sequence+1)
	if l.head.sequence > 0 {
		name = fmt.Sprintf("%s-%s", name, l.head.hash[:8])
	}
	free = name
	for i := 2; ; i++ {
		if _, err := os.Lstat(free); errors.Is(err, os.ErrNotExist) {
			return kept, free, nil
		} else if err != nil {
			return nil, "", err
		}
		kept = append(kept, free)
		free = fmt.Sprintf("%s-%d", name, i)
	}
}

// copyAside copies the last n bytes of the log to a new file, durably.
func (l *Log) copyAside(path string, n int64) error {
	f, err := l.o.files.CreateAside(path)
	if err != nil {
		return err
	}
	// A plain copy: the seam is to see every write.
	_, err = io.Copy(struct{ io.Writer }{f}, io.NewSectionReader(l.file, l.size, n))
	if err == nil {
		err = f.Sync()
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = l.o.files.SyncDir(filepath.Dir(path))
	}
	return err
}

// repairEntry is the record of a repair.
func (l *Log) repairEntry(kept []string) (*entry, error) {
	described := make([]string, len(kept))
	for i, path := range kept {
		var err error
		if described[i], err = describeFile(path); err != nil {
			return nil, err
		}
	}
	return l.eventEntry(EventLogRepaired, enforcementv1.DecisionResponse{
		Target:   filepath.Base(l.path),
		RuleID:   "evidence.log.repaired",
		Severity: enforcementv1.SeverityMedium,
		Reason: "The log did not end with a whole line when it was opened, as after a crash. What followed the last whole line was cut off and is kept beside the log: " +
			strings.Join(described, ", ") + ".",
	}), nil
}

// describeFile names a file with its length and its hash, which ties the file
// to the chain.
func describeFile(path string) (string, error) {
	f, err := OpenRegular(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	sum := sha256.New()
	n, err := io.Copy(sum, f)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s (%d bytes, sha256 %x)", filepath.Base(path), n, sum.Sum(nil)), nil
}

// refPrefix makes a record's id an evidence ref.
const refPrefix = "go-daemon-evidence://"

// newRecordID draws the id of a record.
func newRecordID() string {
	var random [recordIDLength / 2]byte
	rand.Read(random[:]) // never fails
	return hex.EncodeToString(random[:])
}
