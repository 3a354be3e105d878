package checkpoint

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// A Checkpoint says what a log held at some time.
type Checkpoint struct {
	// Origin names the log: see Origin.
	Origin string
	// Size is the number of lines, at least 1.
	Size int64
	// Root is that of the tree over the lines.
	Root Hash
}

// OriginPrefix is what every origin starts with.
const OriginPrefix = "cavra.go-daemon.evidence/"

// Origin names the log whose first record has a hash, given in hex. Two logs
// never share one, so a checkpoint cannot be taken for another log's.
func Origin(firstRecordHash string) string { return OriginPrefix + firstRecordHash }

// MaxSize is the length in bytes that no checkpoint exceeds, with the signatures
// that others may have added to it.
const MaxSize = 64 << 10

// What Read fails with.
var (
	// ErrMalformed is for text that is no checkpoint of such a log.
	ErrMalformed = errors.New("it is no checkpoint of an evidence log: that has an origin, a size, a root and a signature")
	// ErrUnknownKey is for a checkpoint that none of the keys has signed.
	ErrUnknownKey = errors.New("it was not signed with the key given, but with another")
	// ErrSignature is for a checkpoint that bears the name of a key which did not
	// sign its text.
	ErrSignature = errors.New("it was changed: its signature is not that of its text")
)

// text is what is signed.
func (c Checkpoint) text() string {
	return fmt.Sprintf("%s\n%d\n%s\n", c.Origin, c.Size, c.Root)
}

// parse reads the text of a checkpoint, of which there is one spelling. Lines
// that extend it are allowed by the format and never written by us.
func parse(text string) (c Checkpoint, err error) {
	lines := strings.Split(text, "\n")
	if len(lines) != 4 {
		return c, ErrMalformed
	}
	hash, ok := strings.CutPrefix(lines[0], OriginPrefix)
	if !ok || len(hash) != 2*sha256.Size || strings.Trim(hash, "0123456789abcdef") != "" {
		return c, ErrMalformed
	}
	c.Origin = lines[0]
	if c.Size, err = strconv.ParseInt(lines[1], 10, 64); err != nil || c.Size < 1 || c.Size > maxLines {
		return c, ErrMalformed
	}
	if c.Root, err = tlog.ParseHash(lines[2]); err != nil || c.text() != text {
		return c, ErrMalformed
	}
	return c, nil
}

// Sign gives the signed checkpoint.
func (c Checkpoint) Sign(key ed25519.PrivateKey) ([]byte, error) {
	return note.Sign(&note.Note{Text: c.text()}, signer{newVerifier(c.Origin, key.Public().(ed25519.PublicKey)), key})
}

// Read reads a signed checkpoint. Where keys are given, one of them must have
// signed it; without any the checkpoint is what somebody claims. With
// ErrUnknownKey and ErrSignature the checkpoint is returned all the same.
func Read(signed []byte, keys ...ed25519.PublicKey) (Checkpoint, error) {
	if len(signed) > MaxSize {
		return Checkpoint{}, ErrMalformed
	}
	// Read it first as one that nobody vouches for: its origin is the keys' name.
	_, err := note.Open(signed, nil)
	unverified, ok := errors.AsType[*note.UnverifiedNoteError](err)
	if !ok {
		return Checkpoint{}, ErrMalformed
	}
	for _, sig := range unverified.Note.UnverifiedSigs {
		// A note's reader takes several spellings of one signature.
		if _, err := base64.StdEncoding.Strict().DecodeString(sig.Base64); err != nil {
			return Checkpoint{}, ErrMalformed
		}
	}
	c, err := parse(unverified.Note.Text)
	if err != nil || len(keys) == 0 {
		return c, err
	}
	var known []note.Verifier
	for i, key := range keys {
		if !slices.ContainsFunc(keys[:i], func(k ed25519.PublicKey) bool { return k.Equal(key) }) {
			known = append(known, newVerifier(c.Origin, key))
		}
	}
	_, err = note.Open(signed, note.VerifierList(known...))
	if _, unknown := errors.AsType[*note.UnverifiedNoteError](err); unknown {
		return c, ErrUnknownKey
	}
	if err != nil {
		return c, ErrSignature
	}
	return c, nil
}

// verifier is an Ed25519 key as signed notes know it.
type verifier struct {
	name string
	key  ed25519.PublicKey
	id   uint32
}

const algorithmEd25519 = 1 // in a note's key id

func newVerifier(name string, key ed25519.PublicKey) verifier {
	sum := sha256.Sum256(slices.Concat([]byte(name), []byte{'\n', algorithmEd25519}, key))
	return verifier{name, key, binary.BigEndian.Uint32(sum[:])}
}

func (v verifier) Name() string                { return v.name }
func (v verifier) KeyHash() uint32             { return v.id }
func (v verifier) Verify(msg, sig []byte) bool { return ed25519.Verify(v.key, msg, sig) }

type signer struct {
	verifier
	key ed25519.PrivateKey
}

func (s signer) Sign(msg []byte) ([]byte, error) { return ed25519.Sign(s.key, msg), nil }

// A Proof shows that a line stands in the log of a checkpoint.
type Proof struct {
	// Index is the line's place, from 0: one less than its sequence.
	Index int64
	// Path are the hashes from the leaf's sibling up to the root's child.
	Path tlog.RecordProof
	// Line is the record, without its line end.
	Line []byte
	// Signed is the signed checkpoint.
	Signed []byte
}

// MaxProof is the length in bytes that no proof exceeds: a record of 32 MiB in
// base64, its path and its checkpoint.
const MaxProof = 48 << 20

const proofHeader = "c2sp.org/tlog-proof@v1"

// ErrProof is for text that is no proof.
var ErrProof = errors.New("it is no proof of a record: that starts with the line " + proofHeader)

// Text gives the proof as C2SP tlog-proof, with the line as its extra data.
func (p *Proof) Text() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s\nextra %s\nindex %d\n", proofHeader, base64.StdEncoding.EncodeToString(p.Line), p.Index)
	for _, h := range p.Path {
		fmt.Fprintf(&b, "%s\n", h)
	}
	b.WriteByte('\n')
	b.Write(p.Signed)
	return b.Bytes()
}

// ParseProof reads a proof, of which there is one spelling. It checks the form
// alone.
func ParseProof(text []byte) (*Proof, error) {
	if len(text) > MaxProof {
		return nil, ErrProof
	}
	head, signed, ok := bytes.Cut(text, []byte("\n\n"))
	const most = 3 + 63 // a tree of 2^63 leaves has paths of 63 hashes
	lines := strings.SplitN(string(head), "\n", most+1)
	if !ok || len(lines) < 3 || len(lines) > most || lines[0] != proofHeader {
		return nil, ErrProof
	}
	p := &Proof{Signed: signed}
	line, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(lines[1], "extra "))
	if err != nil {
		return nil, ErrProof
	}
	p.Line = line
	if p.Index, err = strconv.ParseInt(strings.TrimPrefix(lines[2], "index "), 10, 64); err != nil {
		return nil, ErrProof
	}
	for _, line := range lines[3:] {
		h, err := tlog.ParseHash(line)
		if err != nil {
			return nil, ErrProof
		}
		p.Path = append(p.Path, h)
	}
	if !bytes.Equal(p.Text(), text) {
		return nil, ErrProof
	}
	return p, nil
}

// Includes reports whether the proof leads from its line to the root of a
// checkpoint.
func (p *Proof) Includes(c Checkpoint) bool {
	return tlog.CheckRecord(p.Path, c.Size, c.Root, p.Index, tlog.RecordHash(p.Line)) == nil
}
