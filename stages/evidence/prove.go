package evidence

import (
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/Huzefaaa2/cavra/go/cavra-runtime/stages/evidence/checkpoint"
)

// Prove gives the proof that a record stands in the log at a path, against a
// checkpoint of it: the one in the file kept, or with an empty name the one
// beside the log. With keys, one of them must have signed the checkpoint. The
// proof holds the record itself and is checked with VerifyProof, without the
// log. warning is set where the files that make this quick were of no use.
func Prove(log, recordID, kept string, keys []ed25519.PublicKey) (proof []byte, warning string, err error) {
	if !isHex(recordID, recordIDLength) {
		return nil, "", errors.New("the record's id is not 24 hex digits; it is what follows " + refPrefix + " in the response")
	}
	path := kept
	if path == "" {
		path = log + checkpoint.Suffix
	}
	signed, err := readCheckpoint(path)
	switch {
	case err != nil:
		return nil, "", fmt.Errorf("reading the checkpoint: %w", err)
	case signed == nil && kept == "":
		return nil, "", fmt.Errorf("there is no checkpoint %s: the daemon writes one where it has a checkpoint key; or name one with --evidence-checkpoint", path)
	case signed == nil:
		return nil, "", fmt.Errorf("there is no checkpoint %s", path)
	}
	c, err := checkpoint.Read(signed, keys...)
	if err != nil {
		return nil, "", fmt.Errorf("the checkpoint %s: %w", path, err)
	}
	files, err := Files(log)
	if err != nil {
		return nil, "", err
	}
	p := prover{log: heldLog{files: files, size: -1}, path: log, id: recordID, c: c, signed: signed}
	if proof := p.quickly(); proof != nil {
		return proof.Text(), "", nil
	}
	found, err := p.slowly()
	if err != nil {
		return nil, "", err
	}
	return found.Text(), fmt.Sprintf("the whole log was read, since %s and %s do not lead to the record; remove both, and the next start of the daemon makes them anew", log+checkpoint.HashesSuffix, log+checkpoint.IndexSuffix), nil
}

// A prover looks for one record and for its path to a checkpoint.
type prover struct {
	log    heldLog
	path   string // of the log
	id     string
	c      checkpoint.Checkpoint
	signed []byte
}

// prove makes the proof of a line; nil where the stored hashes do not lead to
// the checkpoint.
func (p *prover) prove(sequence int64, line []byte, stored tlog.HashReader) *checkpoint.Proof {
	path, err := tlog.ProveRecord(p.c.Size, sequence-1, stored)
	if err != nil {
		return nil
	}
	proof := &checkpoint.Proof{Index: sequence - 1, Path: path, Line: line, Signed: p.signed}
	if !proof.Includes(p.c) {
		return nil
	}
	return proof
}

// quickly makes the proof with the index and the hashes beside the log; nil
// where they are of no use.
func (p *prover) quickly() *checkpoint.Proof {
	hashes, index, err := openStored(p.path)
	if err != nil {
		return nil
	}
	defer hashes.Close()
	defer index.Close()
	sequence, offset, found := checkpoint.Find(index, p.id)
	if !found || sequence > p.c.Size {
		return nil
	}
	file, err := p.log.fileOf(sequence)
	if err != nil {
		return nil
	}
	var proof *checkpoint.Proof
	_ = linesOfFile(p.log.files[file], offset, -1, func(line []byte, s seen, _ int64) error {
		if string(s.recordID) == p.id && s.sequence == sequence {
			proof = p.prove(sequence, append([]byte(nil), line...), checkpoint.Hashes{File: hashes})
		}
		return errEnough
	})
	return proof
}

// slowly makes the proof from the log alone: it is read once for the record, and
// once for the hashes on its path.
func (p *prover) slowly() (*checkpoint.Proof, error) {
	var record []byte
	var sequence, first, last int64
	err := p.log.lines(0, 0, func(line []byte, s seen, _ int64) error {
		if first == 0 {
			first = s.sequence
		}
		last = s.sequence
		if s.ok && string(s.recordID) == p.id {
			record, sequence = append([]byte(nil), line...), s.sequence
		}
		return nil
	})
	switch {
	case err != nil:
		return nil, fmt.Errorf("reading the evidence log: %w", err)
	case record == nil && first > 1:
		return nil, fmt.Errorf("the log holds no record %s; its records before %d were moved away: put those files back beside it", p.id, first)
	case record == nil:
		return nil, fmt.Errorf("the log holds no record %s", p.id)
	case sequence > p.c.Size:
		return nil, fmt.Errorf("record %s has sequence %d, and the checkpoint covers the records up to %d: it is newer. A running daemon writes the next checkpoint within 100 ms", p.id, sequence, p.c.Size)
	}
	if proof := p.prove(sequence, record, tlog.HashReaderFunc(p.readHashes)); proof != nil {
		return proof, nil
	}
	return nil, fmt.Errorf("the log, which ends with record %d, does not lead to the checkpoint, which covers %d records: one of them was changed, or they do not belong together; --verify-evidence tells more", last, p.c.Size)
}

// readHashes is the tlog.HashReader that computes what is asked for from the
// log. Where the oldest files are missing, the hashes beside the log stand for
// them: the checkpoint's root tells whether they are right.
func (p *prover) readHashes(indexes []int64) ([]checkpoint.Hash, error) {
	hashes := make([]checkpoint.Hash, len(indexes))
	wanted := map[int64][]int{}
	for i, index := range indexes {
		wanted[index] = append(wanted[index], i)
	}
	first, err := p.log.firstOf(0)
	if err != nil {
		return nil, err
	}
	var tree checkpoint.Tree
	if missing := first.sequence - 1; missing > 0 {
		if tree, err = storedTree(p.path, missing); err != nil {
			return nil, err
		}
		f, err := OpenRegular(p.path + checkpoint.HashesSuffix)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		for i, index := range indexes {
			if index < tlog.StoredHashCount(missing) {
				h, err := checkpoint.Hashes{File: f}.ReadHashes([]int64{index})
				if err != nil {
					return nil, err
				}
				hashes[i] = h[0]
			}
		}
	}
	leafer, at := checkpoint.NewLeafer(), tlog.StoredHashCount(tree.Size())
	var stored []checkpoint.Hash
	err = p.log.lines(0, 0, func(line []byte, _ seen, _ int64) error {
		if tree.Size() == p.c.Size {
			return nil
		}
		stored = tree.Add(leafer.Leaf(line), stored[:0])
		for _, h := range stored {
			for _, i := range wanted[at] {
				hashes[i] = h
			}
			at++
		}
		return nil
	})
	return hashes, err
}

// What VerifyProof finds, beside the kinds of records and of checkpoints.
const (
	KindProofMalformed = "proof.malformed" // it is no proof
	KindProofInclusion = "proof.inclusion" // the record, or its path, is not that of the checkpoint
	KindProofIndex     = "proof.index"     // the record has another sequence than the proof says
	KindProofOrigin    = "proof.origin"    // the proof is of another log than the checkpoint given
)

// A ProofReport is what VerifyProof found.
type ProofReport struct {
	// Path is the file of the proof, as it was named.
	Path string `json:"path,omitempty"`
	// Valid is true where there are no errors.
	Valid bool `json:"valid"`
	// Errors are the faults as sentences, ErrorDetails the same for programs.
	Errors       []string `json:"errors,omitempty"`
	ErrorDetails []Fault  `json:"error_details,omitempty"`
	// Origin, Size and Root are those of the proof's checkpoint.
	Origin string `json:"origin,omitempty"`
	Size   int64  `json:"size,omitempty"`
	Root   string `json:"root,omitempty"`
	// Record is the line that was proven, the decision with it. It is left out
	// where the proof is not valid.
	Record json.RawMessage `json:"record,omitempty"`
	// What people ask for first of the record.
	RecordID string `json:"record_id,omitempty"`
	Sequence uint64 `json:"sequence,omitempty"`
	Decision string `json:"decision,omitempty"`
	RuleID   string `json:"rule_id,omitempty"`
}

// VerifyProof checks a proof with the public keys of the daemon, and nothing
// else. origin, where it is not empty, is the log that it must be of. A proof
// cannot be checked without a key.
func VerifyProof(text []byte, keys []ed25519.PublicKey, origin string) (r ProofReport) {
	fault := func(kind, message string) {
		r.ErrorDetails = append(r.ErrorDetails, Fault{Kind: kind, Message: message})
		r.Errors = append(r.Errors, kind+": "+message)
	}
	p, err := checkpoint.ParseProof(text)
	if err != nil {
		fault(KindProofMalformed, err.Error())
		return r
	}
	c, err := checkpoint.Read(p.Signed, keys...)
	switch {
	case len(keys) == 0:
		fault(KindCheckpointSignature, "no public key was given")
	case errors.Is(err, checkpoint.ErrUnknownKey), errors.Is(err, checkpoint.ErrSignature):
		fault(KindCheckpointSignature, "the proof's checkpoint: "+err.Error())
	case err != nil:
		fault(KindCheckpointMalformed, "the proof's checkpoint: "+err.Error())
		return r
	}
	r.Origin, r.Size, r.Root = c.Origin, c.Size, c.Root.String()
	if origin != "" && c.Origin != origin {
		fault(KindProofOrigin, "the proof is of another log than the checkpoint given")
	}
	var record Record
	r.proveLine(p, c, &record, fault)
	if len(r.Errors) > 0 {
		return r
	}
	r.Valid, r.Record = true, p.Line
	r.RecordID, r.Sequence = record.RecordID, record.Sequence
	r.Decision, r.RuleID = string(record.Response.Decision), record.Response.RuleID
	return r
}

// proveLine checks the proof's line, alone and in its place.
func (r *ProofReport) proveLine(p *checkpoint.Proof, c checkpoint.Checkpoint, record *Record, fault func(kind, message string)) {
	var k checked
	newChecker(VerifyOptions{}).check(p.Line, &k)
	for _, f := range k.faults {
		fault(f.kind, f.message)
	}
	if k.isRecord {
		*record = *k.record
		switch {
		case k.sequence != uint64(p.Index)+1:
			fault(KindProofIndex, fmt.Sprintf("the record's sequence is %d, and the proof is of the record with sequence %d", k.sequence, p.Index+1))
		case k.sequence == 1 && checkpoint.Origin(k.recordHash) != c.Origin:
			fault(KindProofOrigin, "the record is the first of another log than that of the checkpoint")
		}
	}
	if !p.Includes(c) {
		fault(KindProofInclusion, "the record does not lead to the root of the checkpoint: the record, its place or the path was changed, or is of another log")
	}
}
