package main

import (
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/Huzefaaa2/cavra/go/cavra-runtime/stages/evidence"
	"github.com/Huzefaaa2/cavra/go/cavra-runtime/stages/evidence/checkpoint"
)

// prove prints the proof of one record.
func prove(c *cli, stdout, stderr io.Writer) int {
	o, keys, err := c.checkpointKeys()
	if err == nil && o.Log == "" {
		err = errors.New("no log is named; say which with --evidence-log FILE")
	}
	var proof []byte
	var warning string
	if err == nil {
		proof, warning, err = evidence.Prove(o.Log, c.Prove, c.EvidenceCheckpoint, keys)
	}
	if err != nil {
		return fail(stderr, "the record cannot be proven", err)
	}
	if warning != "" {
		fmt.Fprintf(stderr, "cavra-runtime: %s\n", warning)
	}
	if _, err := stdout.Write(proof); err != nil {
		return fail(stderr, "the proof cannot be printed", err)
	}
	return exitOK
}

// verifyProof checks a proof, without the log, and prints a report.
func verifyProof(c *cli, stdin io.Reader, stdout, stderr io.Writer) int {
	_, keys, err := c.checkpointKeys()
	if err == nil && len(keys) == 0 {
		err = errors.New("no public key is given; name the file that holds the daemon's with --evidence-checkpoint-public-key")
	}
	var origin string
	if err == nil && c.EvidenceCheckpoint != "" {
		var kept checkpoint.Checkpoint
		kept, err = readCheckpoint(c.EvidenceCheckpoint, keys)
		origin = kept.Origin
	}
	var text []byte
	if err == nil {
		text, err = readAtMost(c.VerifyProof, stdin, checkpoint.MaxProof)
	}
	if err != nil {
		return fail(stderr, "the proof cannot be verified", err)
	}
	report := evidence.VerifyProof(text, keys, origin)
	report.Path = c.VerifyProof
	line, err := json.Marshal(report)
	return printReport(line, err, report.Valid, stdout, stderr)
}

// printPublicKey prints the public half of the key that signs checkpoints.
func printPublicKey(c *cli, stdout, stderr io.Writer) int {
	o, err := c.evidenceOptions()
	var key ed25519.PrivateKey
	if err == nil {
		key, _, err = o.PrivateCheckpointKey()
	}
	if err == nil && key == nil {
		err = errors.New("no checkpoint key is configured; name its file with --evidence-checkpoint-key")
	}
	if err == nil {
		_, err = stdout.Write(checkpoint.FormatPublicKey(key.Public().(ed25519.PublicKey)))
	}
	if err != nil {
		return fail(stderr, "the public key cannot be printed", err)
	}
	return exitOK
}

// checkpointKeys are the options of the evidence stage, and the keys that
// checkpoints are verified with.
func (c *cli) checkpointKeys() (o evidence.Options, keys []ed25519.PublicKey, err error) {
	if o, err = c.evidenceOptions(); err == nil {
		keys, err = o.PublicCheckpointKeys()
	}
	return o, keys, err
}

func readCheckpoint(path string, keys []ed25519.PublicKey) (checkpoint.Checkpoint, error) {
	signed, err := readAtMost(path, nil, checkpoint.MaxSize)
	if err != nil {
		return checkpoint.Checkpoint{}, err
	}
	c, err := checkpoint.Read(signed, keys...)
	if err != nil {
		return c, fmt.Errorf("the checkpoint %s: %w", path, err)
	}
	return c, nil
}

// readAtMost reads a file, or stdin where it may, and not much more than what
// its reader would refuse as too large.
func readAtMost(path string, stdin io.Reader, most int64) ([]byte, error) {
	r := stdin
	if path != stdinName || stdin == nil {
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		r = f
	}
	return io.ReadAll(io.LimitReader(r, most+1))
}
