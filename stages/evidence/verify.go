package evidence

import (
	"errors"
	"fmt"
	"io"
	"os"
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
	KindSequence         = "chain.sequence"      // records are missing, repeated or out of order
	KindPreviousHash     = "chain.previous_hash" // the record does not follow the one before it
	KindSignatureMissing = "signature.missing"   // the record is not signed
	KindSignatureInvalid = "signature.invalid"   // the signature is not that of the key
	KindSignatureKeyID   = "signature.key_id"    // the signature names another key
)

// VerifyOptions are those of Verify. The zero value checks the chain and no
// signature.
type VerifyOptions struct {
	// Key is the signing key. With it every record must be signed by it; without
	// it no signature is checked, and a warning says so.
	Key []byte
	// KeyID, where set, must stand in every signature.
	KeyID string
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
	// InProgress is true where the last line is not whole and a writer has the
	// log open: it is at work on that line.
	InProgress bool `json:"in_progress,omitempty"`
}

// A Fault is one thing that is wrong with a log. It holds nothing of what the
// log says but numbers and a record's id.
type Fault struct {
	Line     uint64 `json:"line"`                // from 1; 0 where it is not known
	Offset   int64  `json:"offset"`              // of the line, in bytes from the start of the file
	RecordID string `json:"record_id,omitempty"` // where the line has one
	Kind     string `json:"kind"`                // one of the Kind constants
	Message  string `json:"message"`
}

// String is the fault as a sentence.
func (f Fault) String() string {
	where := "line " + decimal(f.Line)
	switch {
	case f.Line == 0 && f.RecordID != "":
		where = "record " + f.RecordID
	case f.Line == 0:
		where = "a line"
	case f.RecordID != "":
		where += ", record " + f.RecordID
	}
	return where + ": " + f.Kind + ": " + f.Message
}

// maxFaults is how many faults a report lists.
const maxFaults = 1000

// Verify reads a log to its end and reports all that is wrong with it. It reads
// once, so r may be a pipe, and its memory does not grow with the log.
func Verify(r io.Reader, o VerifyOptions) Report {
	s := newScan(o, 0)
	s.run(r)
	return s.finish(false)
}

// VerifyFile is Verify for a file, which a writer may have open. What is
// written after the call began is not looked at. The error says why the file
// could not be opened.
func VerifyFile(path string, o VerifyOptions) (Report, error) {
	f, err := os.Open(path)
	if err != nil {
		return Report{}, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return Report{}, err
	}
	if info.IsDir() {
		return Report{}, fmt.Errorf("%s is a directory: name an evidence log", path)
	}
	s := newScan(o, 0)
	if info.Mode().IsRegular() {
		s.run(io.LimitReader(f, info.Size()))
		if s.read < info.Size() && s.readErr == nil {
			s.readErr = errShrunk
		}
	} else {
		s.run(f)
	}
	r := s.finish(s.torn > 0 && beingWritten(f))
	r.Path = path
	return r, nil
}

var errShrunk = errors.New("the file became shorter while it was read")

// finish completes the report.
func (s *scan) finish(inProgress bool) Report {
	r := &s.report
	end := Fault{Line: s.line + 1, Offset: s.start + s.whole}
	if s.readErr != nil {
		end.Kind, end.Message = KindRead, "the file could not be read to its end: "+s.readErr.Error()
		s.fault(end)
	}
	if s.torn > 0 && !inProgress {
		end.Kind = KindTorn
		end.Message = fmt.Sprintf("the last line, %d bytes, has no line end: a record was cut short, as by a crash. The next start of the daemon repairs that", s.torn)
		s.fault(end)
	}
	r.InProgress = inProgress
	r.Valid = s.faults == 0
	for _, f := range r.ErrorDetails {
		r.Errors = append(r.Errors, f.String())
	}
	if more := s.faults - uint64(len(r.ErrorDetails)); more > 0 {
		r.Errors = append(r.Errors, fmt.Sprintf("and %d more", more))
	}

	warn := func(format string, args ...any) { r.Warnings = append(r.Warnings, fmt.Sprintf(format, args...)) }
	if r.Records == 0 && s.faults == 0 {
		warn("the log holds no record")
	}
	if len(s.o.Key) == 0 && r.SignedRecords > 0 {
		warn("signatures were not checked: no key was given")
		if unsigned := r.Records - r.SignedRecords; unsigned > 0 {
			warn("%d of %d records are not signed: with the key that is an error", unsigned, r.Records)
		}
	}
	if s.backwards > 0 {
		warn("the clock went back before %d of the records, first before line %d; their order is that of the sequence", s.backwards, s.backwardsAt)
	}
	return *r
}
