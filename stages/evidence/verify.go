package evidence

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// What a fault is of. Kinds are stable: programs may rely on them.
const (
	KindRead             = "read"                // the file could not be read to its end
	KindTorn             = "torn"                // the last line has no line end: a record was cut short
	KindTooLong          = "record.too_long"     // the line is longer than any record may be
	KindSchema           = "record.schema"       // the line is no record of this schema
	KindBytes            = "record.bytes"        // the record is not written as its one encoding
	KindHash             = "record.hash"         // the record does not have the hash that it holds
	KindStart            = "chain.start"         // the file does not start with record 1
	KindMissing          = "chain.missing"       // a file goes on from one that is not there
	KindSequence         = "chain.sequence"      // records are missing, repeated or out of order
	KindPreviousHash     = "chain.previous_hash" // the record does not follow the one before it
	KindSignatureMissing = "signature.missing"   // the record is not signed
	KindSignatureInvalid = "signature.invalid"   // the signature is not that of the key
	KindSignatureKeyID   = "signature.key_id"    // the signature names a key that was not given
)

// VerifyOptions are those of Verify. The zero value checks the chain and no
// signature.
type VerifyOptions struct {
	// Key is the signing key. With it every record must be signed by it; without
	// it no signature is checked, and a warning says so.
	Key []byte
	// KeyID, where set, must stand in every signature; beside Key and OldKeys it
	// names Key.
	KeyID string
	// OldKeys are further keys. With them each record must be signed by that key
	// whose id it holds, Key among them.
	OldKeys []Key
	// Witness, where set, is told what the log holds, and judges it too.
	Witness Witness
	// Progress, where set, is told now and then how many bytes of how many were
	// verified. The whole is 0 where it is not known.
	Progress func(done, whole int64)
}

// A Report is what a verifier found.
type Report struct {
	// Path is the file that was verified, as it was named.
	Path string `json:"path"`
	// Valid is true where there are no errors. It says nothing of what may have
	// been cut off the end.
	Valid bool `json:"valid"`
	// Records is the number of lines that are records.
	Records uint64 `json:"records"`
	// SignedRecords is how many of them hold a signature, right or wrong.
	SignedRecords uint64 `json:"signed_records"`
	// Errors are the faults as sentences, in the order of the file: the first
	// 1,000, and a last one that counts the rest.
	Errors []string `json:"errors,omitempty"`
	// ErrorDetails are the same faults for programs, without the count.
	ErrorDetails []Fault `json:"error_details,omitempty"`
	// Warnings are what an auditor should know and what makes no log invalid.
	Warnings []string `json:"warnings,omitempty"`
	// FirstSequence and LastSequence are what the first and the last record say
	// of themselves.
	FirstSequence uint64 `json:"first_sequence,omitempty"`
	LastSequence  uint64 `json:"last_sequence,omitempty"`
	// HeadHash is the record_hash of the last record. Kept elsewhere, it proves
	// what the log held.
	HeadHash string `json:"head_hash,omitempty"`
	// Root is the root of the tree of RFC 6962 over the log's lines, where a
	// Witness computes it.
	Root string `json:"root,omitempty"`
	// Checkpoints are the checkpoints that the log was held to.
	Checkpoints []CheckpointStatus `json:"checkpoints,omitempty"`
	// InProgress is true where the last line is not whole and a writer has the
	// log open: it is at work on that line.
	InProgress bool `json:"in_progress,omitempty"`
	// Files are the files that were read, oldest first: what was rotated and the
	// log itself. A log from a pipe has none.
	Files []FileReport `json:"files,omitempty"`
	// Missing are the files that others go on from and that were not there, or not
	// asked for. Under a checkpoint that covers them that is a warning, else an
	// error.
	Missing []string `json:"missing,omitempty"`
}

// A FileReport says what one file of a log holds.
type FileReport struct {
	Path          string `json:"path"`
	Records       uint64 `json:"records"`
	FirstSequence uint64 `json:"first_sequence,omitempty"`
	LastSequence  uint64 `json:"last_sequence,omitempty"`
	HeadHash      string `json:"head_hash,omitempty"`
}

// A Fault is one thing that is wrong with a log. It holds nothing of what the
// log says but numbers, a record's id and the names of files.
type Fault struct {
	File     string `json:"file,omitempty"`      // its name, without the directory; empty for a pipe
	Line     uint64 `json:"line"`                // from 1; 0 where it is not known
	Offset   int64  `json:"offset"`              // of the line, in bytes from the start of the file
	RecordID string `json:"record_id,omitempty"` // where the line has one
	Kind     string `json:"kind"`                // one of the Kind constants
	Message  string `json:"message"`
}

// String is the fault as a sentence.
func (f Fault) String() string {
	return f.where() + ": " + f.Kind + ": " + f.Message
}

// where names the place of the fault.
func (f Fault) where() string {
	where := "a line"
	switch {
	case f.Line > 0 && f.RecordID != "":
		where = "line " + decimal(f.Line) + ", record " + f.RecordID
	case f.Line > 0:
		where = "line " + decimal(f.Line)
	case f.RecordID != "":
		where = "record " + f.RecordID
	case strings.HasPrefix(f.Kind, "checkpoint."):
		where = "the log"
	}
	if f.File != "" {
		where = f.File + ", " + where
	}
	return where
}

// maxFaults is how many faults a report lists.
const maxFaults = 1000

// Verify reads a log to its end and reports all that is wrong with it. It reads
// once, so r may be a pipe, and its memory does not grow with the log.
func Verify(r io.Reader, o VerifyOptions) Report {
	s := newScan(o)
	s.run(r)
	s.end(false)
	return s.finish()
}

// VerifyFile is Verify for the log at path, which a writer may have open: for
// all of its files that are there, in order. The name of a rotated file stands
// for that file alone. What is written after the call began is not looked at.
// The error says why a file could not be opened.
func VerifyFile(path string, o VerifyOptions) (Report, error) {
	// The log itself is opened first. Should it be rotated now, it turns up again
	// under its number, and the set ends there.
	f, err := openToVerify(path, os.Open)
	if err != nil {
		return Report{}, err
	}
	defer f.Close()
	s := newScan(o)
	if base, number := cutNumber(filepath.Base(path)); number > 0 {
		s.base, s.total = base, f.info.Size()
		s.begin(path, 0)
	} else {
		s.base = base
		if err := s.rotated(path, f); err != nil {
			return Report{}, err
		}
	}
	s.readFile(f)
	r := s.finish()
	r.Path = path
	return r, nil
}

// rotated reads the rotated files of the log at path, which is open as live, and
// turns to the log itself.
func (s *scan) rotated(path string, live *verifyFile) error {
	s.total = live.info.Size()
	var numbers []uint64
	if live.info.Mode().IsRegular() {
		all, err := rotatedFiles(path)
		if err != nil {
			return err
		}
		for _, n := range all {
			info, err := os.Stat(rotatedName(path, n))
			if err != nil {
				return err
			}
			if os.SameFile(info, live.info) {
				break
			}
			numbers = append(numbers, n)
			s.total += info.Size()
		}
	}
	before := uint64(0)
	for _, n := range numbers {
		name := rotatedName(path, n)
		f, err := openToVerify(name, OpenRegular)
		if err != nil {
			return err
		}
		s.begin(name, before)
		s.readFile(f)
		f.Close()
		before = n
	}
	s.begin(path, before)
	return nil
}

// A verifyFile is a file as it was when it was opened.
type verifyFile struct {
	*os.File
	info os.FileInfo
}

func openToVerify(path string, open func(string) (*os.File, error)) (*verifyFile, error) {
	f, err := open(path)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && info.IsDir() {
		err = fmt.Errorf("%s is a directory: name an evidence log", path)
	}
	if err == nil && info.Mode()&os.ModeDevice != 0 { // which may never end
		err = fmt.Errorf("%s is a device: name an evidence log, or - for what a pipe brings", path)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return &verifyFile{f, info}, nil
}

var errShrunk = errors.New("the file became shorter while it was read")

// readFile reads one file to the end that it had when it was opened.
func (s *scan) readFile(f *verifyFile) {
	if !f.info.Mode().IsRegular() {
		s.run(f)
		s.end(false)
		return
	}
	s.run(io.LimitReader(f, f.info.Size()))
	if s.read < f.info.Size() && s.readErr == nil {
		s.readErr = errShrunk
	}
	// A writer was at work on a last line without an end if it still has the log
	// open, or if the line went on since.
	inProgress := false
	if s.torn > 0 {
		now, err := f.Stat()
		inProgress = beingWritten(f.File) || err == nil && now.Size() > f.info.Size()
	}
	s.end(inProgress)
}

// end reports how the current file ends.
func (s *scan) end(inProgress bool) {
	at := Fault{File: s.file, Line: s.line + 1, Offset: s.start + s.whole}
	if s.readErr != nil {
		at.Kind, at.Message = KindRead, "the file could not be read to its end: "+s.readErr.Error()
		s.fault(at)
	}
	if s.torn > 0 && !inProgress {
		at.Kind = KindTorn
		at.Message = fmt.Sprintf("the last line, %d bytes, has no line end: a record was cut short, as by a crash. The next start of the daemon repairs that", s.torn)
		s.fault(at)
	}
	s.log.InProgress = inProgress
}

// finish completes the report.
func (s *scan) finish() Report {
	r := &s.log
	warn := func(format string, args ...any) { r.Warnings = append(r.Warnings, fmt.Sprintf(format, args...)) }
	if s.o.Witness != nil {
		faults, covers := s.o.Witness.Finish(r)
		for _, f := range faults {
			s.fault(f)
		}
		if covers && s.kinds[KindMissing] > 0 {
			s.waive(KindMissing)
			warn("files of the log are missing; the checkpoint covers what they held, which was not verified")
		}
	}
	r.Valid = s.faults == 0
	for _, f := range r.ErrorDetails {
		r.Errors = append(r.Errors, f.String())
	}
	if more := s.faults - uint64(len(r.ErrorDetails)); more > 0 {
		r.Errors = append(r.Errors, fmt.Sprintf("and %d more", more))
	}
	if r.Records == 0 && s.faults == 0 {
		warn("the log holds no record")
	}
	if len(s.o.Key) == 0 && len(s.o.OldKeys) == 0 && r.SignedRecords > 0 {
		warn("signatures were not checked: no key was given")
		if unsigned := r.Records - r.SignedRecords; unsigned > 0 {
			warn("%d of %d records are not signed: with the key that is an error", unsigned, r.Records)
		}
	}
	if s.backwards > 0 {
		warn("the clock went back before %d of the records, first before %s; their order is that of the sequence", s.backwards, s.backwardsAt)
	}
	return *r
}
