package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/Huzefaaa2/cavra/go/cavra-runtime/document"
	"github.com/Huzefaaa2/cavra/go/cavra-runtime/stages/evidence"
)

// verifyEvidence verifies a log and prints the report. The log and its key are
// those of the evidence stage: of the configuration, where one is named, with
// flags and variables on top.
func verifyEvidence(c *cli, stdout, stderr io.Writer) int {
	o, err := c.evidenceOptions()
	if err == nil && o.Log == "" {
		err = errors.New("no log is named; say which with --evidence-log FILE")
	}
	var options evidence.VerifyOptions
	if err == nil {
		options, err = o.VerifyOptions()
	}
	var report evidence.Report
	if err == nil {
		report, err = evidence.VerifyFile(o.Log, options)
	}
	if err != nil {
		return fail(stderr, "the log cannot be verified", err)
	}
	text, err := json.Marshal(report)
	if err == nil {
		_, err = fmt.Fprintf(stdout, "%s\n", text)
	}
	switch {
	case err != nil:
		return fail(stderr, "the report cannot be printed", err)
	case !report.Valid:
		return exitFailed
	case report.InProgress:
		return exitWriting
	}
	return exitOK
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
