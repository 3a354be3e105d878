package evidence

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	enforcementv1 "github.com/Huzefaaa2/cavra/go/cavra-runtime/enforcement/v1"
)

// checked is what one line says of itself, and what is wrong with it alone.
type checked struct {
	length   int64 // in bytes, with the line end
	isRecord bool  // false where nothing of what follows is known but faults
	faults   []lineFault
	record   *Record

	recordID     string
	sequence     uint64
	previousHash string
	recordHash   string
	time         time.Time
	signed       bool
	follows      string            // the file that the record of a rotation names
	leaf         [sha256.Size]byte // of the line in the tree, where somebody asks
}

type lineFault struct{ kind, message string }

func (c *checked) fault(kind, message string) { c.faults = append(c.faults, lineFault{kind, message}) }

// A checker checks lines, each alone. It belongs to one goroutine.
type checker struct {
	o      VerifyOptions
	hasher *hasher
	ring   *ring
	body   []byte
	line   []byte

	// The last key id that guess met, as it is spelt and what it means.
	keyIDText []byte
	keyID     string
}

func newChecker(o VerifyOptions) *checker {
	return &checker{o: o, hasher: newHasher(), ring: newRing(o)}
}

// checkAll checks the lines of a chunk.
func (c *checker) checkAll(k *chunk) {
	if k.skipped > 0 {
		line := checked{length: k.skipped}
		line.tooLong()
		k.lines = append(k.lines, line)
		return
	}
	for rest := k.buf; len(rest) > 0; {
		end := bytes.IndexByte(rest, '\n')
		line := checked{length: int64(end) + 1}
		if end > maxRecord {
			line.tooLong()
		} else {
			c.check(rest[:end], &line)
		}
		if c.o.Witness != nil && line.isRecord {
			line.leaf = c.hasher.leaf(rest[:end])
		}
		k.lines = append(k.lines, line)
		rest = rest[end+1:]
	}
}

func (k *checked) tooLong() {
	k.fault(KindTooLong, fmt.Sprintf("the line has %d bytes, and no record has more than %d", k.length, maxRecord))
}

// check checks one line, given without its end.
func (c *checker) check(line []byte, k *checked) {
	var r Record
	if c.guess(line, &r) {
		if c.judge(line, &r, k); len(k.faults) == 0 {
			return // what was guessed encodes to the line, so it was right
		}
	}
	*k = checked{length: k.length}
	c.checkSlowly(line, k)
}

// checkSlowly checks a line whatever it is.
func (c *checker) checkSlowly(line []byte, k *checked) {
	var r Record
	if err := json.Unmarshal(line, &r, json.RejectUnknownMembers(true)); err != nil {
		k.fault(KindSchema, "the line is no record: "+describeJSON(err))
		return
	}
	c.judge(line, &r, k)
}

// judge compares a record with the line that it was read from.
func (c *checker) judge(line []byte, r *Record, k *checked) {
	if problem := r.malformed(); problem != "" {
		k.fault(KindSchema, problem)
		return
	}
	k.isRecord, k.record = true, r
	k.recordID, k.sequence, k.previousHash, k.recordHash = r.RecordID, r.Sequence, r.PreviousHash, r.RecordHash
	k.time, _ = time.Parse(time.RFC3339Nano, r.Timestamp)
	k.signed = r.Signature != nil
	if r.EventType == EventLogRotated {
		k.follows = r.Response.Target
	}

	// Write the record again with what it claims, and compare.
	c.body = appendBody(c.body[:0], &r.Request, &r.Response)
	again, at := c.hasher.append(c.line[:0], &draft{
		eventType:    r.EventType,
		recordID:     r.RecordID,
		sequence:     r.Sequence,
		previousHash: []byte(r.PreviousHash),
		timestamp:    []byte(r.Timestamp),
		body:         c.body,
	})
	if string(again[at:at+len(digest{})]) != r.RecordHash {
		k.fault(KindHash, "record_hash is not the hash of the record: it was changed")
		copy(again[at:], r.RecordHash)
	}
	wellFormed := c.checkSignature(r, k)
	if k.signed && wellFormed {
		again = appendSignature(again, r.Signature.KeyID, []byte(r.Signature.Value))
	}
	again = append(again, '}')
	if wellFormed && !bytes.Equal(again, line) {
		k.fault(KindBytes, "the line is not written as the record's one encoding: members were added, left out, reordered or spelt otherwise")
	}
	c.line = again
	if cap(c.line) > keepBuffer {
		c.line, c.body = nil, nil
	}
}

// checkSignature reports whether the signature, if there is one, has a form in
// which it can be written again.
func (c *checker) checkSignature(r *Record, k *checked) (wellFormed bool) {
	sig := r.Signature
	switch {
	case sig == nil:
		if c.ring.requires() {
			k.fault(KindSignatureMissing, "the record is not signed")
		}
		return true
	case sig.Algorithm != Algorithm:
		k.fault(KindSignatureInvalid, "the signature's algorithm is not "+Algorithm)
		return false
	case !isHex(sig.Value, len(digest{})):
		k.fault(KindSignatureInvalid, "the signature's value is not 64 hex digits")
		return false
	}
	if c.ring.keyID != "" && sig.KeyID != c.ring.keyID {
		k.fault(KindSignatureKeyID, "the signature names another key than the one given")
		return true
	}
	if len(c.ring.signers) == 0 {
		return true
	}
	signer := c.ring.find(sig.KeyID)
	if signer == nil {
		k.fault(KindSignatureKeyID, "the signature names none of the keys given")
		return true
	}
	if want := signer.sign([]byte(r.PreviousHash), []byte(r.RecordHash)); !hmac.Equal(want[:], []byte(sig.Value)) {
		k.fault(KindSignatureInvalid, "the signature is not that of the key")
	}
	return true
}

// describeJSON says why a line is no record without quoting any of it.
func describeJSON(err error) string {
	if bad, ok := errors.AsType[*enforcementv1.DecodeError](err); ok {
		return bad.Error()
	}
	if bad, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		return "not JSON from byte " + strconv.FormatInt(bad.ByteOffset, 10) + " of the line on"
	}
	if bad, ok := errors.AsType[*json.SemanticError](err); ok {
		return "a member is unknown or of a wrong type at byte " + strconv.FormatInt(bad.ByteOffset, 10) + " of the line"
	}
	return "it cannot be decoded"
}

func decimal(n uint64) string { return strconv.FormatUint(n, 10) }
