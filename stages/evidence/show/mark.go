package show

import (
	"strings"

	"github.com/Huzefaaa2/cavra/go/cavra-runtime/stages/evidence"
)

// markOK is the mark of a line without a fault.
const markOK = "ok"

// maxMark is the length of the longest mark.
const maxMark = len("bad signature")

// mark is a kind of fault in a word or two.
func mark(kind string) string {
	switch kind {
	case evidence.KindTorn:
		return "torn"
	case evidence.KindTooLong:
		return "too long"
	case evidence.KindSchema:
		return "no record"
	case evidence.KindBytes:
		return "bad bytes"
	case evidence.KindHash:
		return "bad hash"
	case evidence.KindStart, evidence.KindMissing, evidence.KindSequence, evidence.KindPreviousHash:
		return "broken link"
	case evidence.KindSignatureMissing:
		return "unsigned"
	case evidence.KindSignatureInvalid:
		return "bad signature"
	case evidence.KindSignatureKeyID:
		return "other key"
	}
	return "fault"
}

// event is what a record tells of that is no decision, such as log_repaired; ""
// for a decision.
func event(r *evidence.Record) string {
	if r.EventType == evidence.EventDecision {
		return ""
	}
	return strings.TrimPrefix(r.EventType, "cavra.go_daemon.")
}
