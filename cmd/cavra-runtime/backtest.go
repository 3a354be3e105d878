package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	ejson "github.com/go-json-experiment/json"

	enforcementv1 "github.com/Huzefaaa2/cavra/go/cavra-runtime/enforcement/v1"
	"github.com/Huzefaaa2/cavra/go/cavra-runtime/stages/evaluate"
	"github.com/Huzefaaa2/cavra/go/cavra-runtime/stages/evidence"
)

// backtestNote says what a back-test does not do.
const backtestNote = "the log is not verified here, --verify-evidence does that; " +
	"targets are judged as text, from --workspace and without links and repositories, since the disk has changed"

// backtest judges the requests of an evidence log by the policy of the
// configuration, and prints where the decision would be another one. It ends with
// 1 where something would newly be allowed, or where a line is no record, and with
// 2 where the back-test could not be made.
func backtest(ctx context.Context, c *cli, stdout, stderr io.Writer) int {
	stage, err := c.evaluator(stderr)
	if err != nil {
		fail(stderr, "the policy cannot be tried", err)
		return exitUsage
	}
	f, err := os.Open(c.Backtest)
	if err != nil {
		fail(stderr, "the log cannot be read", err)
		return exitUsage
	}
	defer f.Close()
	r := newReplay(stage, stdout, stderr, c.JSON)
	err = r.run(ctx, f)
	if err == nil {
		err = r.finish()
	}
	if flushed := r.out.Flush(); err == nil {
		err = flushed
	}
	switch {
	case err != nil:
		fail(stderr, "the back-test did not come to its end", err)
		return exitUsage
	case r.result.NewlyAllowed > 0 || r.result.RefusedLines > 0:
		return exitFailed
	}
	return exitOK
}

// A backtestResult is what a back-test counts. Its JSON holds "changed" before
// these, a list of change.
type backtestResult struct {
	Records      int `json:"records"`  // lines that are records
	Replayed     int `json:"replayed"` // judged again
	Changed      int `json:"changed_count"`
	NewlyAllowed int `json:"newly_allowed"`
	// Matrix counts what was judged again: by the decision in the log, then by
	// the new one.
	Matrix map[string]map[string]int `json:"matrix"`
	// NotReplayable counts the records that were not judged again, by why.
	NotReplayable map[string]int `json:"not_replayable"`
	// RefusedLines counts the lines that are no records, of which Refused holds
	// the first.
	RefusedLines int           `json:"refused_lines"`
	Refused      []refusedLine `json:"refused"`
	Note         string        `json:"note"`
}

type refusedLine struct {
	Line    int    `json:"line"`
	Problem string `json:"problem"`
}

// A change is a recorded request on which the decision or its rule would be
// another one.
type change struct {
	Timestamp    string           `json:"timestamp"`
	RecordID     string           `json:"record_id"`
	ActionType   string           `json:"action_type"`
	Target       string           `json:"target"`
	NewlyAllowed bool             `json:"newly_allowed"`
	Old          evaluate.Verdict `json:"old"`
	New          evaluate.Verdict `json:"new"`
}

// A replay judges a log again, line by line. It holds one line at a time.
type replay struct {
	stage  *evaluate.Stage
	out    *bufio.Writer
	stderr io.Writer
	asJSON bool
	paint  paint
	line   int
	result backtestResult
}

func newReplay(stage *evaluate.Stage, stdout, stderr io.Writer, asJSON bool) *replay {
	return &replay{
		stage: stage.TextOnly(), out: bufio.NewWriter(stdout), stderr: stderr, asJSON: asJSON, paint: paintFor(stdout),
		result: backtestResult{Matrix: map[string]map[string]int{}, NotReplayable: map[string]int{}, Refused: []refusedLine{}, Note: backtestNote},
	}
}

const (
	// longestRecord is how long a line of a log may be, in bytes; the writer
	// makes none that is longer.
	longestRecord = 32 << 20
	// mostRefused is how many lines that are no records are named.
	mostRefused = 20
	// mostReasons bounds what a hostile log can make us remember.
	mostReasons = 64
)

// run reads the log to its end.
func (r *replay) run(ctx context.Context, log io.Reader) error {
	in := bufio.NewReaderSize(log, 64<<10)
	var line []byte
	for {
		line = line[:0]
		long := false
		part, err := in.ReadSlice('\n')
		for errors.Is(err, bufio.ErrBufferFull) {
			if long = long || len(line)+len(part) > longestRecord; !long {
				line = append(line, part...)
			}
			part, err = in.ReadSlice('\n')
		}
		if long = long || len(line)+len(part) > longestRecord; !long {
			line = append(line, part...)
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if stopped := ctx.Err(); stopped != nil {
			return stopped
		}
		r.line++
		switch ended := err == nil; {
		case !ended && len(line) == 0 && !long:
			return nil
		case long:
			r.refuse(fmt.Sprintf("longer than a record can be, %d bytes", longestRecord))
		case !ended: // even where its JSON is whole
			r.refuse("the line has no end; a writer is at work, or was cut off")
		default:
			r.record(bytes.TrimSuffix(line, []byte{'\n'}))
		}
		if err != nil {
			return nil
		}
		if cap(line) > 1<<20 {
			line = nil // one long line is not kept for all that follow
		}
	}
}

// refuse notes that the line is no record.
func (r *replay) refuse(problem string) {
	if r.result.RefusedLines++; r.result.RefusedLines <= mostRefused {
		r.result.Refused = append(r.result.Refused, refusedLine{r.line, problem})
		fmt.Fprintf(r.stderr, "cavra-runtime: line %d is no record: %s\n", r.line, problem)
	}
}

// record judges the request of one record again.
func (r *replay) record(line []byte) {
	record, err := decodeRecord(line)
	if err != nil {
		r.refuse(err.Error())
		return
	}
	r.result.Records++
	if reason := notReplayable(record); reason != "" {
		if _, counted := r.result.NotReplayable[reason]; !counted && len(r.result.NotReplayable) >= mostReasons {
			reason = "other reasons"
		}
		r.result.NotReplayable[reason]++
		return
	}
	r.result.Replayed++
	old := evaluate.Verdict{
		Decision: record.Response.Decision, RuleID: record.Response.RuleID, Severity: record.Response.Severity,
		Reason: record.Response.Reason, ApproverGroup: record.Response.ApproverGroup,
	}
	now := r.stage.Judge(&record.Request, identityOf(&record.Response))
	row := r.result.Matrix[old.Decision]
	if row == nil {
		row = map[string]int{}
		r.result.Matrix[old.Decision] = row
	}
	row[now.Decision]++
	if old.Decision == now.Decision && old.RuleID == now.RuleID {
		return
	}
	change := change{record.Timestamp, record.RecordID, record.Response.ActionType, record.Response.Target,
		now.Decision == enforcementv1.DecisionAllow && old.Decision != enforcementv1.DecisionAllow, old, now}
	if change.NewlyAllowed {
		r.result.NewlyAllowed++
	}
	r.print(&change)
	r.result.Changed++
}

// decodeRecord reads a line of a log. What else a record must be to prove
// anything is the verifier's to say.
func decodeRecord(line []byte) (*evidence.Record, error) {
	var record evidence.Record
	switch err := ejson.Unmarshal(line, &record); {
	case err != nil:
		return nil, errors.New("it is not the JSON of one") // the error quotes the line
	case record.SchemaVersion != evidence.SchemaVersion:
		return nil, errors.New("schema_version is not " + evidence.SchemaVersion)
	case record.RecordID == "" || record.EventType == "":
		return nil, errors.New("record_id or event_type is missing")
	}
	return &record, nil
}

// notReplayable says why a record cannot be judged again, or "".
func notReplayable(record *evidence.Record) string {
	resp, rule := &record.Response, record.Response.RuleID
	area, _, _ := strings.Cut(rule, ".")
	switch {
	case record.EventType != evidence.EventDecision:
		return "an event that is no decision"
	case record.Request.IsZero():
		return "a request that could not be read"
	case resp.Decision != enforcementv1.DecisionAllow && resp.Decision != enforcementv1.DecisionRequireApproval && resp.Decision != enforcementv1.DecisionBlock:
		return "a record without a decision"
	case !slices.Contains([]string{"filesystem", "commands", "git", "mcp", "release_governance", "runtime", "policy"}, area):
		return "a decision by no policy, " + plainText(rule[:min(len(rule), longestShown)])
	}
	for _, text := range []string{record.Request.Target, record.Request.Operation, record.Request.RequestedOperation, record.Request.Cwd, record.Request.Capability} {
		if strings.Contains(text, "<redacted-") {
			return "a request of which a part was redacted"
		}
	}
	return ""
}

// print prints a change as it comes, so that there may be any number of them.
func (r *replay) print(c *change) {
	if r.asJSON {
		text := "{\"changed\":["
		if r.result.Changed > 0 {
			text = ","
		}
		r.out.WriteString(text)
		b, err := json.Marshal(c)
		if err == nil {
			r.out.Write(asciiJSON(b))
		}
		return
	}
	if r.result.Changed == 0 {
		r.out.WriteString("what would change:\n")
	}
	mark := " "
	if c.NewlyAllowed {
		mark = "!"
	}
	fmt.Fprintf(r.out, "%s %s %s %s %s\n    %s -> %s\n", mark, plainText(c.Timestamp), plainText(c.RecordID), plainText(c.ActionType), cut(c.Target),
		r.paint.verdict(c.Old.Decision, plainText(c.Old.Decision+" "+c.Old.RuleID)), r.paint.verdict(c.New.Decision, plainText(c.New.Decision+" "+c.New.RuleID)))
}

// finish prints what was counted.
func (r *replay) finish() error {
	if r.asJSON {
		b, err := json.Marshal(&r.result)
		if err != nil {
			return err
		}
		text := "{\"changed\":["
		if r.result.Changed > 0 {
			text = ""
		}
		_, err = r.out.WriteString(text + "]," + string(asciiJSON(b[1:])) + "\n")
		return err
	}
	w, counts := r.out, &r.result
	if counts.Changed > 0 {
		w.WriteByte('\n')
	}
	decisions := []string{enforcementv1.DecisionAllow, enforcementv1.DecisionRequireApproval, enforcementv1.DecisionBlock}
	fmt.Fprintf(w, "%-28s %10s %17s %10s\n", "in the log", "-> allow", "-> approval", "-> block")
	for _, old := range decisions {
		row := counts.Matrix[old]
		fmt.Fprintf(w, "%-28s %10d %17d %10d\n", old, row[decisions[0]], row[decisions[1]], row[decisions[2]])
	}
	fmt.Fprintf(w, "\n%d records, %d judged again, %d would change, %d would newly be allowed\n", counts.Records, counts.Replayed, counts.Changed, counts.NewlyAllowed)
	for _, why := range slices.SortedFunc(maps.Keys(counts.NotReplayable), cmp.Compare) {
		fmt.Fprintf(w, "not judged again: %d, %s\n", counts.NotReplayable[why], why)
	}
	switch {
	case counts.RefusedLines == 1:
		fmt.Fprintln(w, "1 line is no record, so the answer is not whole")
	case counts.RefusedLines > 1:
		fmt.Fprintf(w, "%d lines are no records, so the answer is not whole\n", counts.RefusedLines)
	}
	_, err := fmt.Fprintf(w, "note: %s\n", backtestNote)
	return err
}
