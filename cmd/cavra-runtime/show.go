package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/Huzefaaa2/cavra/go/cavra-runtime/stages/evidence"
	"github.com/Huzefaaa2/cavra/go/cavra-runtime/stages/evidence/show"
)

// followEvery is how often --follow looks for more.
const followEvery = 250 * time.Millisecond

// showFault finds what is wrong with the flags of --show-evidence and --report
// together.
func (c *cli) showFault() string {
	reads := c.ShowEvidence || c.Report != ""
	switch {
	case reads && c.EvidenceLog == "" && c.Config == "":
		return "--show-evidence and --report need --evidence-log FILE, or --config FILE that names one"
	case !reads && (c.Filter != nil || c.Since != ""):
		return "--filter and --since belong to --show-evidence and --report"
	case !c.ShowEvidence && (c.Follow || c.Limit != ""):
		return "--follow and --limit belong to --show-evidence"
	}
	if _, err := c.limit(); err != nil {
		return err.Error()
	}
	if _, err := show.ParseFilter(c.Filter, c.Since, time.Now()); err != nil {
		return err.Error()
	}
	return ""
}

// limit is the value of --limit; 0 is none.
func (c *cli) limit() (int, error) {
	if c.Limit == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(c.Limit, 10, 31)
	if err != nil || n == 0 {
		return 0, errors.New("--limit needs a number from 1 on")
	}
	return int(n), nil
}

// showEvidence prints the log for people, or its records as they stand. Where the
// log is not valid it ends with exitFailed.
func showEvidence(ctx context.Context, c *cli, stdout, stderr io.Writer) int {
	ignoreClosedOutput()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	log, err := c.evidenceToRead()
	if err != nil {
		return fail(stderr, "the log cannot be shown", err)
	}
	out := terminalOf(stdout)
	limit, _ := c.limit() // was checked
	printer := show.NewPrinter(stdout, show.PrinterOptions{
		Filter: log.filter(c), Limit: limit, JSON: c.JSON, Notes: stderr,
		Terminal: out.is, Width: out.columns, Color: bool(paintFor(stdout)),
	})
	reader := evidence.NewReader(log.options, func(l *evidence.Line) {
		if printer.See(l); printer.Err() != nil {
			cancel() // nobody reads on
		}
	})
	files := show.OpenLog(log.path, reader)
	defer files.Close()

	if c.Follow {
		err = files.Follow(ctx, printer.Flush, out.waiter(ctx, followEvery), func(notice string) { fmt.Fprintln(stderr, "cavra-runtime:", notice) })
	} else {
		err = files.Read(ctx)
	}
	if printed := printer.Flush(); errors.Is(printed, errNobodyReads) || errors.Is(err, errNobodyReads) {
		return exitOK // as with head
	} else if printed != nil {
		return fail(stderr, "the log cannot be printed", printed)
	}
	if err != nil && !(c.Follow && ctx.Err() != nil) {
		return fail(stderr, "the log cannot be shown", err)
	}
	return summarize(printer, reader.Report(), stderr)
}

// summarize says in a line what was shown.
func summarize(p *show.Printer, r evidence.Report, stderr io.Writer) int {
	fmt.Fprintf(stderr, "cavra-runtime: %d of %d lines shown, %d with faults", p.Shown, p.Lines, p.Faulty)
	if r.InProgress {
		fmt.Fprint(stderr, "; a writer is at work on the last one")
	}
	fmt.Fprintln(stderr)
	for _, fault := range r.ErrorDetails {
		if fault.Line == 0 { // of the log as a whole, so no row told of it
			fmt.Fprintln(stderr, "cavra-runtime:", show.Printable(fault.String()))
		}
	}
	for _, warning := range r.Warnings {
		fmt.Fprintln(stderr, "cavra-runtime:", show.Printable(warning))
	}
	if !r.Valid {
		return exitFailed
	}
	return exitOK
}

// A readLog is a log to be read and what it is checked with.
type readLog struct {
	path    string
	options evidence.VerifyOptions
}

// evidenceToRead is the log of the evidence stage and what it is checked with.
func (c *cli) evidenceToRead() (l readLog, err error) {
	o, err := c.evidenceOptions()
	if err == nil && o.Log == "" {
		err = errors.New("no log is named; say which with --evidence-log FILE")
	}
	if err == nil {
		l.options, err = verifyOptions(o, c.EvidenceCheckpoint)
	}
	l.path = o.Log
	return l, err
}

// filter is that of --filter and --since, which were checked.
func (readLog) filter(c *cli) *show.Filter {
	f, _ := show.ParseFilter(c.Filter, c.Since, time.Now())
	return f
}
