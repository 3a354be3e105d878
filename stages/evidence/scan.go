package evidence

import (
	"bytes"
	"io"
	"runtime"
	"time"
)

// A scan reads a log once. One goroutine cuts what it reads into chunks of
// whole lines, several check the lines of a chunk, and the one that called run
// links them in order.
type scan struct {
	o     VerifyOptions
	start int64 // where in the file it begins; the chain before that is unknown

	// The reader's, to be read when run has returned.
	readErr error // other than the end of the file
	read    int64 // bytes
	torn    int64 // bytes after the last line end

	report Report
	faults uint64
	kinds  map[string]uint64 // faults by kind
	line   uint64            // lines so far
	whole  int64             // their bytes
	head   head              // what the last record says

	// What the next record must follow.
	sequence      uint64
	sequenceKnown bool
	hash          string
	hashKnown     bool

	clock       time.Time
	backwards   uint64
	backwardsAt uint64
}

// newScan makes a scan of what follows the first start bytes of a log.
func newScan(o VerifyOptions, start int64) *scan {
	return &scan{o: o, start: start, kinds: map[string]uint64{}, sequenceKnown: start == 0, hashKnown: start == 0}
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
		for i := range c.lines {
			s.link(&c.lines[i])
		}
		c.reset()
		free <- c
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
	at := Fault{Line: s.line, Offset: s.start + s.whole, RecordID: c.recordID}
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

	if s.report.Records++; s.report.Records == 1 {
		s.report.FirstSequence = c.sequence
	}
	s.report.LastSequence, s.report.HeadHash = c.sequence, c.recordHash
	if c.signed {
		s.report.SignedRecords++
	}
	if c.time.Before(s.clock) {
		if s.backwards++; s.backwards == 1 {
			s.backwardsAt = s.line
		}
	}
	s.clock = c.time
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
	case s.line == 1:
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

// fault adds to the report.
func (s *scan) fault(f Fault) {
	s.faults++
	s.kinds[f.Kind]++
	if len(s.report.ErrorDetails) < maxFaults {
		s.report.ErrorDetails = append(s.report.ErrorDetails, f)
	}
}

// only reports whether there are faults and all are of one kind.
func (s *scan) only(kind string) bool { return s.faults > 0 && s.kinds[kind] == s.faults }
