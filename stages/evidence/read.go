package evidence

import (
	"io"
	"os"
	"path/filepath"
)

// A Line is one line of a log and what the verifier says of it.
type Line struct {
	File   string // as Reader.File named it
	Number uint64 // in its file, from 1
	Offset int64  // in its file, in bytes
	// Text is the line without its end. It is empty where the line is longer than
	// any record, or torn, and holds only until the next line is shown.
	Text []byte
	// Record is what the line says, also where it does not say the truth; nil
	// where the line is no record.
	Record *Record
	// Faults are those of the line alone and of its place in the chain. They hold
	// only until the next line is shown.
	Faults []Fault
}

// A Reader reads a log as the verifier does and shows each line with what is
// wrong with it. Reading goes on after a fault, and its memory does not grow
// with the log.
//
// The files of a log that was rotated are one chain. Read them oldest first:
// File, Read as often as there is more, and End for each.
type Reader struct {
	see  func(*Line)
	s    *scan
	line Line
}

// NewReader makes a reader that calls see for each line, in order, from the
// goroutine that calls the reader.
func NewReader(o VerifyOptions, see func(*Line)) *Reader {
	r := &Reader{see: see, s: newScan(o)}
	r.s.reader = r
	return r
}

// File says that what is read next is the start of the file at path; before is
// the number of the rotated file before it, and 0 where there is none.
func (r *Reader) File(path string, before uint64) {
	r.line.File = path
	r.s.begin(path, before)
}

// Read reads src to its end. torn is the number of bytes after the last line
// end, which count as not read: a writer may be at work on them. Read again
// from there, or call End.
func (r *Reader) Read(src io.Reader) (torn int64, err error) {
	r.s.readErr, r.s.torn = nil, 0
	r.s.run(src)
	return r.s.torn, r.s.readErr
}

// End ends the file. Bytes at which the last Read stopped are shown as a torn
// line, unless a writer is at work on them.
func (r *Reader) End(inProgress bool) {
	r.s.end(inProgress)
	if r.s.torn > 0 && !inProgress {
		r.show(Line{Number: r.s.line + 1, Offset: r.s.start + r.s.whole})
	}
	r.line.Faults = r.line.Faults[:0]
}

// Report is what the verifier says of all that was read. Call it once, when the
// last file has ended.
func (r *Reader) Report() Report { return r.s.finish() }

// linked shows a line that the scan has put into the chain; it is the first of
// text.
func (r *Reader) linked(k *checked, text []byte) {
	r.show(Line{
		Number: r.s.line, Offset: r.s.start + r.s.whole - k.length, Record: k.record,
		Text: text[:max(0, min(k.length-1, int64(len(text))))],
	})
}

// show gives a line to who wants to see it.
func (r *Reader) show(l Line) {
	l.File, l.Faults = r.line.File, r.line.Faults
	r.line = l
	r.see(&r.line)
	r.line.Faults = l.Faults[:0]
}

// BeingWritten reports whether a writer has the log f open.
func BeingWritten(f *os.File) bool { return beingWritten(f) }

// Files are the files of the log at path, oldest first: those that rotation has
// numbered, and path itself last, whether or not it exists.
func Files(path string) ([]string, error) {
	numbers, err := rotatedFiles(path)
	if err != nil {
		return nil, err
	}
	files := make([]string, 0, len(numbers)+1)
	for _, n := range numbers {
		files = append(files, rotatedName(path, n))
	}
	return append(files, path), nil
}

// FileNumber is the number in the name that rotation gives to a file of a log,
// and 0 for any other name.
func FileNumber(path string) uint64 { return numberIn(filepath.Base(path)) }
