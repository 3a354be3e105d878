package evidence

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"time"

	enforcementv1 "github.com/Huzefaaa2/cavra/go/cavra-runtime/enforcement/v1"
)

// rotatePause is how long a log whose rotation failed waits before it tries
// again by itself.
const rotatePause = time.Minute

// Rotate closes the file at the log's path under the next number, as
// evidence.log.000001, and goes on in a new one: its first record names the old
// file, and the chain goes on through it. A log without records stays as it is.
//
// After an error the log goes on in the old file, unless the error says that
// nothing more is written.
func (l *Log) Rotate() error {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.closed {
		return errClosed
	}
	l.own.Lock()
	defer l.own.Unlock()
	return l.rotate()
}

// rotateIfLarge rotates a log that has grown to the size for that.
func (l *Log) rotateIfLarge() {
	if l.o.RotateSize <= 0 || l.size < l.o.RotateSize || l.poison != nil || l.head.sequence == l.begun {
		return
	}
	now := time.Now()
	if now.Before(l.rotateAfter) {
		return
	}
	if err := l.rotate(); err != nil && l.poison == nil {
		l.rotateAfter = now.Add(rotatePause)
		l.o.Log.Error("the evidence log could not be rotated and grows on", "path", l.path, "error", err, "next_try_in", rotatePause)
	}
}

// rotate is Rotate for whoever holds own.
//
// At every moment a log stands at its path, locked by us, and each record has a
// name, so that there is no step at which a crash or another process could find
// no log and begin one:
//
//  1. the old file is synced
//  2. the new file is made beside it, locked, given its first record, synced
//  3. the old file gets its number as a second name; a name in use is refused
//  4. the directory is synced
//  5. the new file is renamed to the log's path, which leaves the old one with
//     its number only
//  6. the directory is synced
//
// A crash before the fifth step leaves the log as it was, with a second name or
// the new file as leftovers, which the next start removes.
func (l *Log) rotate() error {
	if l.poison != nil || l.head.sequence == 0 {
		return l.poison
	}
	if err := l.settle(); err != nil {
		return err
	}
	if err := l.file.Unchanged(l.size); err != nil {
		return l.die(err)
	}
	failed := func(err error) error { return fmt.Errorf("rotating the evidence log %s: %w", l.path, err) }
	numbers, err := rotatedFiles(l.path)
	if err != nil {
		return failed(err)
	}
	number := l.number + 1
	if n := len(numbers); n > 0 {
		number = max(number, numbers[n-1]+1)
	}
	old := rotatedName(l.path, number)
	end := l.head
	line := l.encode(nil, &end, l.rotationEntry(old))
	next, err := l.makeNext(line)
	if err != nil {
		return failed(err)
	}
	if err := l.exchange(old); err != nil {
		_ = next.Close()
		if l.poison == nil {
			_ = l.o.files.Remove(nextName(l.path)) // or the next start does
		}
		return failed(err)
	}
	if err := l.file.Close(); err != nil { // it was synced, so this loses nothing
		l.o.Log.Warn("the rotated evidence log did not close cleanly", "path", old, "error", err)
	}
	l.file, l.size, l.number = next, int64(len(line)), number
	first := l.head.sequence + 1
	l.head, l.begun = end, first
	l.o.Log.Info("the evidence log was rotated", "path", l.path, "old", old, "sequence", first)
	if l.o.follow != nil {
		l.o.follow.Rotated(old)
		l.o.follow.Written(first, line)
		l.o.follow.Synced()
	}
	return nil
}

// nextSuffix ends the name of the file that is to follow a log.
const nextSuffix = ".next"

// nextName is where the file that follows the log is made.
func nextName(path string) string { return path + nextSuffix }

// makeNext makes the file that follows, holding its first line, durably.
func (l *Log) makeNext(line []byte) (logFile, error) {
	next, err := l.o.files.CreateNext(l.path)
	if err != nil {
		return nil, err
	}
	if _, err = next.Write(line); err == nil {
		err = next.Sync()
	}
	if err != nil {
		_ = next.Close()
		_ = l.o.files.Remove(nextName(l.path))
		return nil, err
	}
	return next, nil
}

// exchange gives the log its number and puts the next file in its place.
func (l *Log) exchange(old string) error {
	files, dir := l.o.files, filepath.Dir(l.path)
	if err := files.Link(l.path, old); err != nil {
		return err
	}
	err := files.SyncDir(dir)
	if err == nil {
		err = files.Rename(nextName(l.path), l.path)
	}
	if err != nil {
		return errors.Join(err, l.takeBack(old))
	}
	if err := files.SyncDir(dir); err != nil {
		return l.die(fmt.Errorf("%w; which file a crash would leave at the log's path is unknown, so nothing more is written until a restart", err))
	}
	return nil
}

// takeBack removes the second name of the log, but never its last: whatever a
// failed rename said, it may have happened.
func (l *Log) takeBack(name string) error {
	if err := l.file.Unchanged(l.size); err != nil {
		return l.die(err)
	}
	if err := l.o.files.Remove(name); err != nil {
		return l.die(fmt.Errorf("the name %s could not be taken back: %w; nothing more is written until a restart has done so", name, err))
	}
	return nil
}

// rotationEntry is the first record of a file that follows another.
func (l *Log) rotationEntry(old string) *entry {
	return l.eventEntry(EventLogRotated, enforcementv1.DecisionResponse{
		Target:   filepath.Base(old),
		RuleID:   "evidence.log.rotated",
		Severity: enforcementv1.SeverityLow,
		Reason: fmt.Sprintf("The log goes on in this file. The one before is kept as %s; its last record is number %d, with record_hash %s.",
			filepath.Base(old), l.head.sequence, l.head.previousHash()),
	})
}

// eventEntry is the record of something that happened to the log. It has the
// shape of a decision, so that every verifier takes it, but decides nothing.
func (l *Log) eventEntry(eventType string, resp enforcementv1.DecisionResponse) *entry {
	id := newRecordID()
	resp.DecisionID, resp.CorrelationID = "dec_"+id[:12], "corr_"+id[12:]
	resp.SessionID, resp.AgentID, resp.Actor = "local", "cavra-runtime", "cavra-runtime"
	resp.ActionType = "evidence_log"
	resp.EvidenceRefs = []string{"evidence://local/" + resp.DecisionID, refPrefix + id}
	resp.Timestamp = l.o.now().UTC().Format(time.RFC3339Nano)
	return &entry{eventType: eventType, recordID: id, body: appendValidBody(nil, &enforcementv1.EvaluateRequest{}, &resp)}
}

// origin finds what the first record of the log's file has to follow: nothing,
// or the end of the rotated file that it names. It refuses a file that does not
// belong with those that are numbered, since the two would never verify together.
func (l *Log) origin(size int64) (before head, err error) {
	numbers, err := rotatedFiles(l.path)
	if err != nil {
		return head{}, fmt.Errorf("looking for rotated files of the evidence log: %w", err)
	}
	last := uint64(0)
	if len(numbers) > 0 {
		last = numbers[len(numbers)-1]
	}
	first, err := l.firstRecord(size)
	if err != nil {
		return head{}, fmt.Errorf("reading the evidence log %s: %w", l.path, err)
	}
	goesOn := first.isRecord && first.follows != "" && first.sequence > 1
	if goesOn { // only the number counts: the set may have got another name since
		l.number = numberIn(first.follows)
	}
	remedy := "put the right file back; or, to begin a new log, move this one and all of its rotated files away"
	switch {
	case last > l.number && goesOn:
		return head{}, fmt.Errorf("the evidence log %s follows %s, and there is a later one, %s: it is an older copy; %s", l.path, rotatedName(filepath.Base(l.path), l.number), filepath.Base(rotatedName(l.path, last)), remedy)
	case last > 0 && !goesOn:
		return head{}, fmt.Errorf("the evidence log %s does not go on from its rotated files, of which %s is the last: %s", l.path, filepath.Base(rotatedName(l.path, last)), remedy)
	case !goesOn:
		return head{}, nil
	}
	before.sequence = first.sequence - 1
	copy(before.hash[:], first.previousHash)
	if last == l.number {
		if end, err := l.endOf(rotatedName(l.path, last)); err != nil {
			return head{}, err
		} else if end != before {
			return head{}, fmt.Errorf("the evidence log %s does not follow the end of %s, which it names: one of them was changed; %s", l.path, filepath.Base(rotatedName(l.path, last)), remedy)
		}
	}
	return before, nil
}

// firstRecord checks the first line of the log's file; a file without a whole
// one has none.
func (l *Log) firstRecord(size int64) (first checked, err error) {
	line, err := bufio.NewReaderSize(io.NewSectionReader(l.file, 0, min(size, maxRecord)), 4<<10).ReadBytes('\n')
	if errors.Is(err, io.EOF) {
		return first, nil
	}
	if err == nil {
		newChecker(VerifyOptions{}).check(line[:len(line)-1], &first)
	}
	return first, err
}

// endOf is the end of the chain in a rotated file, by its last line alone. Its
// signature is not looked at: the key may be gone that wrote the old file, and
// the record that names its hash is signed.
func (l *Log) endOf(path string) (end head, err error) {
	damaged := func(what string) error {
		return fmt.Errorf("the rotated evidence log %s %s: keep it and look at it with --verify-evidence; to go on, put a whole copy back or move it away", path, what)
	}
	f, err := OpenRegular(path)
	if err != nil {
		return end, fmt.Errorf("opening the rotated evidence log: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return end, fmt.Errorf("opening the rotated evidence log: %w", err)
	}
	line, err := lastLine(f, info.Size())
	if err != nil {
		return end, fmt.Errorf("reading the rotated evidence log: %w", err)
	}
	var last checked
	newChecker(VerifyOptions{}).check(line, &last)
	if len(last.faults) > 0 {
		return end, damaged("does not end with a whole record (" + last.faults[0].kind + ": " + last.faults[0].message + ")")
	}
	end.sequence = last.sequence
	copy(end.hash[:], last.recordHash)
	return end, nil
}

// lastLine is the last line of a file, without its end; empty where the file
// does not end with one that may be a record.
func lastLine(r io.ReaderAt, size int64) ([]byte, error) {
	for length := min(size, 64<<10); ; length = min(size, 2*length) {
		tail := make([]byte, length)
		if _, err := r.ReadAt(tail, size-length); err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		line, whole := bytes.CutSuffix(tail, []byte("\n"))
		if !whole {
			return nil, nil
		}
		at := bytes.LastIndexByte(line, '\n')
		if at >= 0 || length == size {
			return line[at+1:], nil
		}
		if length > maxRecord {
			return nil, nil
		}
	}
}
