package evidence

import (
	"bytes"
	"fmt"
	"io"
	"path/filepath"
	"runtime"
	"slices"
	"time"
)

// A scan reads the files of a log once, in order. One goroutine cuts what it
// reads into chunks of whole lines, several check the lines of a chunk, and the
// one that called run links them in order.
type scan struct {
	o      VerifyOptions
	reader *Reader // who is shown each line; nil where nobody is

	// The reader's, to be read when run has returned: of the current file.
	readErr error // other than the end of the file
	read    int64 // bytes
	torn    int64 // bytes after the last line end

	// Of the current file.
	file   string // its name in faults; empty where it has none
	before int64  // bytes of the files before it
	start  int64  // where in it the scan begins; the chain before that is unknown
	number uint64 // of the rotated file before it, as far as the set holds it
	line   uint64 // lines so far
	whole  int64  // their bytes

	// Of the whole log.
	log    Report
	base   string // its name, as far as it has one
	faults uint64
	kinds  map[string]uint64 // faults by kind
	head   head              // what the last record says
	total  int64             // bytes of all files; 0 where it is not known

	// What the next record must follow.
	sequence      uint64
	sequenceKnown bool
	hash          string
	hashKnown     bool

	clock       time.Time
	backwards   uint64
	backwardsAt string
}

// newScan makes a scan of a log from its first record.
func newScan(o VerifyOptions) *scan {
	return &scan{o: o, base: "log", kinds: map[string]uint64{}, sequenceKnown: true, hashKnown: true}
}

// follow has the scan go on from a record that was read before.
func (s *scan) follow(h head) {
	s.sequence, s.hash = h.sequence, string(h.previousHash())
}

// followUnknown has the scan go on from start, where a line begins of which
// nobody knows what it follows.
func (s *scan) followUnknown(start int64) {
	s.start, s.sequenceKnown, s.hashKnown = start, false, false
}

// begin turns to the next file of a set; number is that of the file before it.
func (s *scan) begin(path string, number uint64) {
	s.before += s.whole
	s.readErr, s.read, s.torn = nil, 0, 0
	s.file, s.start, s.line, s.whole = filepath.Base(path), 0, 0, 0
	s.number = number
	s.log.Files = append(s.log.Files, FileReport{Path: path})
}

// A chunk is a run of whole lines.
type chunk struct {
	buf     []byte
	skipped int64     // in place of buf: the length of a line that is too long
	lines   []checked // in order
	done    chan struct{}
}

const chunkSize = 256 << 10

// run reads r to its end.
func (s *scan) run(r io.Reader) {
	workers := runtime.GOMAXPROCS(0)
	chunks := 2*workers + 2 // enough to keep the workers busy while the reader holds two
	free := make(chan *chunk, chunks)
	for range chunks {
		free <- &chunk{done: make(chan struct{}, 1)}
	}
	work, ordered := make(chan *chunk, chunks), make(chan *chunk, chunks)
	go func() {
		defer close(ordered)
		defer close(work)
		s.split(r, free, func(c *chunk) { work <- c; ordered <- c })
	}()
	for range workers {
		go func() {
			c := newChecker(s.o)
			for chunk := range work {
				c.checkAll(chunk)
				chunk.done <- struct{}{}
			}
		}()
	}
	for c := range ordered {
		<-c.done
		text := c.buf
		for i := range c.lines {
			k := &c.lines[i]
			s.link(k)
			if s.reader != nil {
				s.reader.linked(k, text)
				text = text[min(k.length, int64(len(text))):]
			}
		}
		c.reset()
		free <- c
		if s.o.Progress != nil {
			s.o.Progress(s.before+s.whole, s.total)
		}
	}
}

// reset empties a chunk for its next use. One that grew for a long line gives
// up its memory.
func (c *chunk) reset() {
	clear(c.lines)
	c.lines, c.skipped = c.lines[:0], 0
	if c.buf = c.buf[:0]; cap(c.buf) > 4*chunkSize {
		c.buf = nil
	}
}

// split cuts what r gives into chunks of whole lines.
func (s *scan) split(r io.Reader, free <-chan *chunk, emit func(*chunk)) {
	c := <-free
	for {
		var end bool
		c.buf, end = s.fill(r, c.buf)
		cut := bytes.LastIndexByte(c.buf, '\n') + 1
		switch {
		case end:
			s.torn = int64(len(c.buf) - cut)
			c.buf = c.buf[:cut]
			emit(c)
			return
		case cut > 0:
			next := <-free
			next.buf = append(next.buf, c.buf[cut:]...)
			c.buf = c.buf[:cut]
			emit(c)
			c = next
		case len(c.buf) > maxRecord:
			next := <-free
			c.skipped, next.buf, end = s.skip(r, int64(len(c.buf)), next.buf)
			if end {
				s.torn = c.skipped
				return
			}
			emit(c)
			c = next
		}
	}
}

// fill reads at least a chunk's worth of bytes more, where there are as many.
func (s *scan) fill(r io.Reader, buf []byte) (filled []byte, end bool) {
	have := len(buf)
	if cap(buf)-have < chunkSize/2 {
		buf = append(make([]byte, 0, max(chunkSize, 2*have)), buf...)
	}
	n, err := io.ReadFull(r, buf[have:cap(buf)])
	return buf[:have+n], s.readTo(n, err)
}

// skip reads past the rest of a line of which length bytes were read, and gives
// its whole length and what was read beyond it.
func (s *scan) skip(r io.Reader, length int64, room []byte) (skipped int64, rest []byte, end bool) {
	for {
		rest, end = s.fill(r, room[:0])
		if i := bytes.IndexByte(rest, '\n'); i >= 0 {
			// The end, if this is it, shows again at the next read.
			return length + int64(i) + 1, rest[:copy(rest, rest[i+1:])], false
		}
		if length += int64(len(rest)); end {
			return length, nil, true
		}
		room = rest
	}
}

// readTo counts n bytes and reports whether they were the last.
func (s *scan) readTo(n int, err error) (end bool) {
	s.read += int64(n)
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		s.readErr = err
	}
	return err != nil
}

// link puts the next line at the end of the chain.
func (s *scan) link(c *checked) {
	s.line++
	at := Fault{File: s.file, Line: s.line, Offset: s.start + s.whole, RecordID: c.recordID}
	s.whole += c.length
	for _, f := range c.faults {
		at.Kind, at.Message = f.kind, f.message
		s.fault(at)
	}
	if !c.isRecord {
		// The line most likely was the next record, whose hash nobody knows now.
		s.sequence, s.hashKnown = s.sequence+1, false
		return
	}
	s.checkChain(at, c)

	// Go on from what the line says, so that one fault is not found again in
	// every line that follows.
	s.sequence, s.sequenceKnown = c.sequence, true
	s.hash, s.hashKnown = c.recordHash, true
	s.head.sequence = c.sequence
	copy(s.head.hash[:], c.recordHash)

	if s.log.Records++; s.log.Records == 1 {
		s.log.FirstSequence = c.sequence
	}
	s.log.LastSequence, s.log.HeadHash = c.sequence, c.recordHash
	if n := len(s.log.Files); n > 0 {
		file := &s.log.Files[n-1]
		if file.Records++; file.Records == 1 {
			file.FirstSequence = c.sequence
		}
		file.LastSequence, file.HeadHash = c.sequence, c.recordHash
	}
	if c.signed {
		s.log.SignedRecords++
	}
	if c.time.Before(s.clock) {
		if s.backwards++; s.backwards == 1 {
			s.backwardsAt = at.where()
		}
	}
	s.clock = c.time
	if s.o.Witness != nil {
		s.o.Witness.Line(c.sequence, c.recordHash, c.leaf)
	}
}

// checkChain holds a record to the one before it.
func (s *scan) checkChain(at Fault, c *checked) {
	fault := func(kind, message string) {
		at.Kind, at.Message = kind, message
		s.fault(at)
	}
	want := s.sequence + 1
	switch {
	case !s.sequenceKnown || c.sequence == want:
	case s.line == 1 && c.sequence > want && s.misses(c):
		fault(KindMissing, "the file starts with record "+decimal(c.sequence)+" and goes on from "+rotatedName(s.base, numberIn(c.follows))+", which is missing here: that is valid only under a checkpoint that covers it")
		s.hashKnown = false
	case s.line == 1 && s.log.Records == 0:
		fault(KindStart, "the file starts with record "+decimal(c.sequence)+": the records before it are missing")
		s.hashKnown = false
	default:
		fault(KindSequence, "the sequence is "+decimal(c.sequence)+" where "+decimal(want)+" follows")
	}
	switch {
	case s.hashKnown && c.previousHash == s.hash:
	case s.hashKnown && s.hash == "":
		fault(KindPreviousHash, "the first record has a previous_hash")
	case s.hashKnown:
		fault(KindPreviousHash, "previous_hash is not the record_hash of the record before")
	case c.sequence == 1 && c.previousHash != "":
		fault(KindPreviousHash, "record 1 has a previous_hash")
	case c.sequence != 1 && c.previousHash == "":
		fault(KindPreviousHash, "the record has no previous_hash, which only record 1 lacks")
	}
}

// misses reports whether files are missing before the current one, whose first
// record is given, and notes their names.
func (s *scan) misses(first *checked) bool {
	last := numberIn(first.follows)
	if last <= s.number {
		return false
	}
	for n := s.number + 1; n <= last; n++ {
		if len(s.log.Missing) == maxFaults {
			s.log.Missing = append(s.log.Missing, fmt.Sprintf("and %d more", last-n+1))
			break
		}
		s.log.Missing = append(s.log.Missing, rotatedName(s.base, n))
	}
	return true
}

// waive takes back the faults of a kind.
func (s *scan) waive(kind string) {
	s.faults -= s.kinds[kind]
	delete(s.kinds, kind)
	s.log.ErrorDetails = slices.DeleteFunc(s.log.ErrorDetails, func(f Fault) bool { return f.Kind == kind })
}

// fault adds to the report.
func (s *scan) fault(f Fault) {
	s.faults++
	s.kinds[f.Kind]++
	if s.reader != nil {
		s.reader.line.Faults = append(s.reader.line.Faults, f)
	}
	if len(s.log.ErrorDetails) < maxFaults {
		s.log.ErrorDetails = append(s.log.ErrorDetails, f)
	}
}

// only reports whether there are faults and all are of one kind.
func (s *scan) only(kind string) bool { return s.faults > 0 && s.kinds[kind] == s.faults }
