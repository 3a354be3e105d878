package evidence

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"strconv"
	"time"

	enforcementv1 "github.com/Huzefaaa2/cavra/go/cavra-runtime/enforcement/v1"
)

// What stands in every record.
const (
	SchemaVersion = "cavra.go-daemon.evidence.v1"
	Product       = "CAVRA"
	Algorithm     = "HMAC-SHA256"
)

// What a record tells of.
const (
	EventDecision    = "cavra.go_daemon.decision"
	EventLogRepaired = "cavra.go_daemon.log_repaired"
	EventLogRotated  = "cavra.go_daemon.log_rotated" // the first record of a file; its target is the file before
)

// A Record is one line of a log.
type Record struct {
	SchemaVersion string                         `json:"schema_version"`
	Product       string                         `json:"product"`
	EventType     string                         `json:"event_type"`
	RecordID      string                         `json:"record_id"`               // 24 hex digits
	Sequence      uint64                         `json:"sequence"`                // from 1, without a gap
	PreviousHash  string                         `json:"previous_hash,omitempty"` // RecordHash of the line before
	RecordHash    string                         `json:"record_hash"`             // 64 hex digits
	Timestamp     string                         `json:"timestamp"`               // RFC 3339
	Request       enforcementv1.EvaluateRequest  `json:"request"`
	Response      enforcementv1.DecisionResponse `json:"response"`
	Signature     *Signature                     `json:"signature,omitempty"`
}

// A Signature vouches for a record with a key.
type Signature struct {
	Algorithm string `json:"algorithm"`
	KeyID     string `json:"key_id,omitempty"`
	Value     string `json:"value"` // 64 hex digits
}

// maxRecord is how long a line may be, in bytes. A request of 1 MiB can become
// twelve times as long: it stands in the request and in the response, and each
// byte can take six. The writer refuses what the verifier would.
const maxRecord = 32 << 20

// digest is a hash or a signature in lower-case hex, as a record holds it.
type digest [2 * sha256.Size]byte

// A draft is a record without its hash and signature.
type draft struct {
	eventType    string
	recordID     string
	sequence     uint64
	previousHash []byte // empty in the first record
	timestamp    []byte
	body         []byte // the members request and response, from appendBody
}

// appendBody appends the members request and response.
func appendBody(b []byte, req *enforcementv1.EvaluateRequest, resp *enforcementv1.DecisionResponse) []byte {
	b = req.AppendJSON(append(b, `,"request":`...))
	return resp.AppendJSON(append(b, `,"response":`...))
}

const hashMember = `,"record_hash":"`

// A hasher computes the hashes of records. It reuses its state, so it belongs
// to one goroutine.
type hasher struct {
	sha hash.Hash
	sum [sha256.Size]byte
}

func newHasher() *hasher { return &hasher{sha: sha256.New()} }

// append appends the record of d up to its signature, without the closing
// brace, and returns where in b the 64 digits of its hash stand. The hash is
// that of the record's bytes without record_hash and signature, so it is taken
// over the bytes before that member, those after it, and the brace.
func (h *hasher) append(b []byte, d *draft) (line []byte, at int) {
	start := len(b)
	b = append(b, `{"schema_version":"`+SchemaVersion+`","product":"`+Product+`","event_type":`...)
	b = enforcementv1.AppendString(b, d.eventType)
	b = append(b, `,"record_id":"`...)
	b = append(b, d.recordID...)
	b = append(b, `","sequence":`...)
	b = strconv.AppendUint(b, d.sequence, 10)
	if len(d.previousHash) > 0 {
		b = append(b, `,"previous_hash":"`...)
		b = append(b, d.previousHash...)
		b = append(b, '"')
	}
	split := len(b)
	b = append(b, hashMember...)
	at = len(b)
	var room digest
	b = append(b, room[:]...)
	b = append(b, '"')
	rest := len(b)
	b = append(b, `,"timestamp":"`...)
	b = append(b, d.timestamp...)
	b = append(b, '"')
	b = append(b, d.body...)

	h.sha.Reset()
	h.sha.Write(b[start:split])
	h.sha.Write(b[rest:])
	h.sha.Write(closingBrace)
	hex.Encode(b[at:], h.sha.Sum(h.sum[:0]))
	return b, at
}

var closingBrace = []byte{'}'}

// leaf is the hash of a line, given without its end, as a leaf of the tree of
// RFC 6962.
func (h *hasher) leaf(line []byte) (leaf [sha256.Size]byte) {
	h.sha.Reset()
	h.sha.Write(leafPrefix)
	h.sha.Write(line)
	h.sha.Sum(leaf[:0])
	return leaf
}

var leafPrefix = []byte{0}

// appendSignature appends the member signature.
func appendSignature(b []byte, keyID string, value []byte) []byte {
	b = append(b, `,"signature":{"algorithm":"`+Algorithm+`"`...)
	if keyID != "" {
		b = append(b, `,"key_id":`...)
		b = enforcementv1.AppendString(b, keyID)
	}
	b = append(b, `,"value":"`...)
	b = append(b, value...)
	return append(b, `"}`...)
}

// A signer computes signatures with one key. It reuses its state, so it belongs
// to one goroutine.
type signer struct {
	mac  hash.Hash
	text []byte
	sum  [sha256.Size]byte
}

func newSigner(key []byte) *signer { return &signer{mac: hmac.New(sha256.New, key)} }

// sign gives the signature's value over schema_version, previous_hash and
// record_hash.
func (s *signer) sign(previousHash, recordHash []byte) (value digest) {
	s.text = append(s.text[:0], SchemaVersion+"\n"...)
	s.text = append(s.text, previousHash...)
	s.text = append(s.text, '\n')
	s.text = append(s.text, recordHash...)
	s.mac.Reset()
	s.mac.Write(s.text)
	hex.Encode(value[:], s.mac.Sum(s.sum[:0]))
	return value
}

// malformed says what makes r no record of this schema, or "". A record that
// passes can be written again without escaping more than its event_type, its
// messages and its key id.
func (r *Record) malformed() string {
	switch {
	case r.SchemaVersion != SchemaVersion:
		return "schema_version is not " + SchemaVersion
	case r.Product != Product:
		return "product is not " + Product
	case r.EventType == "":
		return "event_type is missing"
	case !isHex(r.RecordID, recordIDLength):
		return "record_id is not 24 hex digits"
	case r.Sequence == 0:
		return "sequence is missing or 0; the first record has 1"
	case r.PreviousHash != "" && !isHex(r.PreviousHash, len(digest{})):
		return "previous_hash is not 64 hex digits"
	case !isHex(r.RecordHash, len(digest{})):
		return "record_hash is not 64 hex digits"
	}
	if _, err := time.Parse(time.RFC3339Nano, r.Timestamp); err != nil {
		return "timestamp is not RFC 3339"
	}
	return ""
}

const recordIDLength = 24

// isHex reports whether s is n lower-case hex digits.
func isHex(s string, n int) bool {
	if len(s) != n {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// appendValidBody is appendBody for messages that may hold bytes that are no
// UTF-8, say from a file's name. Those would be written as \ufffd, which reads
// back as another spelling of itself, so they are replaced before.
func appendValidBody(b []byte, req *enforcementv1.EvaluateRequest, resp *enforcementv1.DecisionResponse) []byte {
	start := len(b)
	b = appendBody(b, req, resp)
	if !bytes.Contains(b[start:], []byte(`\ufffd`)) {
		return b
	}
	valid := func(s string) string { return string([]rune(s)) } // a U+FFFD for each such byte
	return appendBody(b[:start], req.MapStrings(valid), resp.MapStrings(valid))
}
