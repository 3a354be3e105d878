package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/google/renameio/v2/maybe"

	"github.com/Huzefaaa2/cavra/go/cavra-runtime/stages/evidence"
	"github.com/Huzefaaa2/cavra/go/cavra-runtime/stages/evidence/show"
)

// report writes a page of what the log holds.
func report(ctx context.Context, c *cli, stderr io.Writer) int {
	log, err := c.evidenceToRead()
	if err == nil {
		err = mayWriteReport(c.Report, log.path) // before the work
	}
	if err != nil {
		return fail(stderr, "there is no report", err)
	}
	page := show.NewPage(show.PageOptions{
		Filter: log.filter(c), Path: log.path, Made: time.Now(), Version: buildVersion(), Signed: len(log.options.Key)+len(log.options.OldKeys) > 0,
	})
	reader := evidence.NewReader(log.options, page.See)
	files := show.OpenLog(log.path, reader)
	defer files.Close()
	err = files.Read(ctx)
	var text bytes.Buffer
	found := reader.Report()
	if err == nil {
		err = page.WritePage(&text, found)
	}
	if err == nil {
		err = mayWriteReport(c.Report, log.path)
	}
	if err == nil {
		err = maybe.WriteFile(c.Report, text.Bytes(), 0o600)
	}
	switch {
	case err != nil:
		return fail(stderr, "there is no report", err)
	case !found.Valid:
		fmt.Fprintf(stderr, "cavra-runtime: the report is written, and the log is not valid: it has %d faults or more\n", len(found.ErrorDetails))
		return exitFailed
	}
	return exitOK
}

// mayWriteReport refuses to put a report in the place of anything but an earlier
// report: a slip of the command line must not cost a log.
func mayWriteReport(path, log string) error {
	if same(path, log) {
		return errors.New("the report would replace the log: name another file with --report")
	}
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s is no regular file: name another one with --report", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	start := make([]byte, 512)
	n, err := io.ReadFull(f, start)
	if err != nil && err != io.ErrUnexpectedEOF && err != io.EOF {
		return err
	}
	if !bytes.Contains(start[:n], []byte(show.Generator)) {
		return fmt.Errorf("%s exists and is no earlier report: name another file with --report, or move that one away", path)
	}
	return nil
}

// same reports whether two paths name one file, or would.
func same(a, b string) bool {
	a, errA := filepath.Abs(a)
	b, errB := filepath.Abs(b)
	return errA == nil && errB == nil && a == b
}
