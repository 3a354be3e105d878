package evidence

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// seen is what a glance at a line gives. It is what the line says, unchecked.
type seen struct {
	ok           bool // false where the line is not written as a record
	sequence     int64
	recordID     []byte
	previousHash []byte // nil in the first record
	recordHash   []byte
}

// glance reads the members at the start of a line.
func glance(line []byte) (s seen) {
	g := guesser{rest: line, ok: true}
	g.skip(`{"schema_version":"` + SchemaVersion + `","product":"` + Product + `","event_type":"`)
	g.until(`","record_id":"`)
	s.recordID = g.until(`","sequence":`)
	for len(g.rest) > 0 && g.rest[0] >= '0' && g.rest[0] <= '9' && s.sequence < 1<<59 {
		s.sequence = 10*s.sequence + int64(g.rest[0]-'0')
		g.rest = g.rest[1:]
	}
	g.skip(`,"`)
	if rest, found := bytes.CutPrefix(g.rest, []byte(`previous_hash":"`)); found {
		g.rest = rest
		s.previousHash = g.until(`","`)
	}
	g.skip(`record_hash":"`)
	s.recordHash = g.until(`"`)
	s.ok = g.ok && s.sequence > 0 && len(s.recordHash) == len(digest{})
	return s
}

// idOf is the record's id of a line that the writer wrote.
func idOf(line []byte) []byte {
	_, rest, _ := bytes.Cut(line, []byte(`","record_id":"`))
	return rest[:min(recordIDLength, len(rest))]
}

// A heldLog is a log that its writer holds: the files that are there, and where
// the last one ends.
type heldLog struct {
	files    []string // oldest first
	size     int64    // of the whole lines of the last file; negative for all of it
	sequence int64    // of the last record; 0 where there is none
	hash     string   // its record_hash
}

// errEnough ends the reading of lines early.
var errEnough = errors.New("enough was read")

// firstOf is what the first line of a file says; ok is false where it has none.
func (l heldLog) firstOf(file int) (first seen, err error) {
	err = l.lines(file, 0, func(line []byte, s seen, _ int64) error {
		first = s
		first.recordHash = bytes.Clone(s.recordHash)
		return errEnough
	})
	if err == errEnough {
		err = nil
	}
	return first, err
}

// fileOf is the file that holds the line of a sequence, if any does.
func (l heldLog) fileOf(sequence int64) (file int, err error) {
	for file = len(l.files) - 1; file >= 0; file-- {
		if first, err := l.firstOf(file); err != nil || first.ok && first.sequence <= sequence {
			return file, err
		}
	}
	return 0, errors.New("no file of the log holds that record")
}

// lines gives each whole line from an offset in a file on, to the end of the
// last file, until see fails.
func (l heldLog) lines(file int, offset int64, see func(line []byte, s seen, offset int64) error) error {
	for ; file < len(l.files); file, offset = file+1, 0 {
		size := int64(-1)
		if file == len(l.files)-1 {
			size = l.size
		}
		if err := linesOfFile(l.files[file], offset, size, see); err != nil {
			return err
		}
	}
	return nil
}

// linesOfFile gives the whole lines of a file that stand from an offset up to
// size; all of them where size is negative.
func linesOfFile(path string, offset, size int64, see func(line []byte, s seen, offset int64) error) error {
	f, err := OpenRegular(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if size < 0 {
		info, err := f.Stat()
		if err != nil {
			return err
		}
		size = info.Size()
	}
	if offset < 0 || offset > size {
		return errShrunk
	}
	r := bufio.NewReaderSize(io.NewSectionReader(f, offset, size-offset), chunkSize)
	var long []byte // a line that is longer than the reader's buffer
	for {
		line, err := r.ReadSlice('\n')
		switch {
		case err == bufio.ErrBufferFull && len(long) <= maxRecord:
			long = append(long, line...)
			continue
		case err == io.EOF:
			return nil // what has no line end is no line
		case err != nil:
			return fmt.Errorf("%s: byte %s: %w", path, strconv.FormatInt(offset, 10), err)
		case len(long) > 0:
			line = append(long, line...)
			long = long[:0]
		}
		bare := line[:len(line)-1]
		if err := see(bare, glance(bare), offset); err != nil {
			return err
		}
		offset += int64(len(line))
	}
}
