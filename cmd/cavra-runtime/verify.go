package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/Huzefaaa2/cavra/go/cavra-runtime/document"
	"github.com/Huzefaaa2/cavra/go/cavra-runtime/stages/evidence"
)

// verifyEvidence verifies a log and prints the report. The log and its key are
// those of the evidence stage: of the configuration, where one is named, with
// flags and variables on top.
func verifyEvidence(c *cli, stdin io.Reader, stdout, stderr io.Writer) int {
	o, err := c.evidenceOptions()
	if err == nil && o.Log == "" {
		err = errors.New("no log is named; say which with --evidence-log FILE")
	}
	var report evidence.Report
	if err == nil {
		report, err = verifyLog(o, c.EvidenceCheckpoint, stdin, stderr)
	}
	if err != nil {
		return fail(stderr, "the log cannot be verified", err)
	}
	text, err := json.Marshal(report)
	code := printReport(text, err, report.Valid, stdout, stderr)
	if code == exitOK && report.InProgress {
		return exitWriting
	}
	return code
}

// printReport prints a report, encoded as a line of JSON with that error, and
// returns the exit code for what it found.
func printReport(text []byte, err error, good bool, stdout, stderr io.Writer) int {
	if err == nil {
		_, err = stdout.Write(append(text, '\n'))
	}
	switch {
	case err != nil:
		return fail(stderr, "the report cannot be printed", err)
	case !good:
		return exitFailed
	}
	return exitOK
}

// stdinName stands for standard input in the place of a file's name.
const stdinName = "-"

// verifyLog verifies a log, and holds it to the checkpoint in the file kept, if
// one is named, and to that beside the log.
func verifyLog(o evidence.Options, kept string, stdin io.Reader, stderr io.Writer) (evidence.Report, error) {
	options, err := verifyOptions(o, kept)
	if err != nil {
		return evidence.Report{}, err
	}
	p := newProgress(terminalOf(stderr).is, stderr)
	options.Progress = p.show
	defer p.clear()
	if o.Log == stdinName {
		report := evidence.Verify(stdin, options)
		report.Path = stdinName
		return report, nil
	}
	return evidence.VerifyFile(o.Log, options)
}

// verifyOptions are what a log is checked with: the keys of its signatures, and
// the checkpoints.
func verifyOptions(o evidence.Options, kept string) (evidence.VerifyOptions, error) {
	options, err := o.VerifyOptions()
	if err != nil {
		return options, err
	}
	keys, err := o.PublicCheckpointKeys()
	if err != nil {
		return options, err
	}
	log := o.Log
	if log == stdinName {
		log = "" // nothing stands beside it
	}
	options.Witness, err = evidence.NewCheckpoints(log, kept, keys)
	return options, err
}

// progress is a line that says how far a long verification is. It is for people
// at a terminal only.
type progress struct {
	w       io.Writer // nil where nobody looks
	now     func() time.Time
	next    time.Time // when the line changes
	printed bool
}

// A verification that takes no longer than the first of these needs no line; the
// second is how often it changes.
const (
	progressAfter = time.Second
	progressEvery = 100 * time.Millisecond
)

func newProgress(terminal bool, w io.Writer) *progress {
	p := &progress{now: time.Now}
	if terminal {
		p.w, p.next = w, p.now().Add(progressAfter)
	}
	return p
}

// show prints that done bytes of a whole, 0 where that is not known, are read.
func (p *progress) show(done, whole int64) {
	if p.w == nil {
		return
	}
	now := p.now()
	if now.Before(p.next) {
		return
	}
	p.next, p.printed = now.Add(progressEvery), true
	share := ""
	if whole > 0 {
		share = fmt.Sprintf(" of %d, %d%%", whole>>20, min(100, 100*done/whole))
	}
	fmt.Fprintf(p.w, "\rcavra-runtime: %d MiB%s verified ", done>>20, share)
}

// clear takes the line away.
func (p *progress) clear() {
	if p.printed {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
}

// evidenceOptions are the options of the evidence stage.
func (c *cli) evidenceOptions() (o evidence.Options, err error) {
	cfg := &configuration{}
	if c.Config != "" {
		if err := readInto(c.Config, &cfg.file); err != nil {
			return o, err
		}
	}
	listed, faults := cfg.listed()
	for _, l := range listed {
		if l.name == "evidence" && l.options != nil {
			faults = append(faults, document.Decode(l.options, &o))
		}
	}
	for _, f := range c.stageFlags() {
		if f.stage == "evidence" {
			faults = append(faults, document.Decode(f.layer(), &o))
		}
	}
	return o, document.Join(faults...)
}
