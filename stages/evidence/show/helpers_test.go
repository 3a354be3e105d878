package show

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	enforcementv1 "github.com/Huzefaaa2/cavra/go/cavra-runtime/enforcement/v1"
	"github.com/Huzefaaa2/cavra/go/cavra-runtime/stages/evidence"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var start = time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)

// line is a line of a log that says what response says.
func line(sequence uint64, at time.Time, response enforcementv1.DecisionResponse, faults ...evidence.Fault) *evidence.Line {
	return &evidence.Line{
		File: "decisions.jsonl", Number: sequence, Faults: faults,
		Record: &evidence.Record{
			EventType: evidence.EventDecision, Sequence: sequence, RecordID: fmt.Sprintf("%024x", sequence),
			Timestamp: at.Format(time.RFC3339Nano), Response: response,
		},
	}
}

func blocked(target string) enforcementv1.DecisionResponse {
	return enforcementv1.DecisionResponse{
		Decision: enforcementv1.DecisionBlock, Severity: enforcementv1.SeverityHigh, RuleID: "filesystem.read.block",
		Actor: "ai-agent", ActionType: enforcementv1.ActionReadFile, Target: target, Reason: "The policy blocks reading it.",
	}
}

func allowed(target string) enforcementv1.DecisionResponse {
	return enforcementv1.DecisionResponse{
		Decision: enforcementv1.DecisionAllow, Severity: enforcementv1.SeverityLow, RuleID: "filesystem.read.allow",
		Actor: "ai-agent", ActionType: enforcementv1.ActionReadFile, Target: target,
	}
}

// add appends decisions to the log at path, and makes it where there is none.
func add(t testing.TB, path string, o evidence.LogOptions, responses ...enforcementv1.DecisionResponse) {
	t.Helper()
	log, err := evidence.Open(path, o)
	if err != nil {
		t.Fatal(err)
	}
	for i := range responses {
		if err := log.Append(newID(), &enforcementv1.EvaluateRequest{Target: responses[i].Target}, &responses[i]); err != nil {
			t.Fatal(err)
		}
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
}

var ids int

func newID() string {
	ids++
	return fmt.Sprintf("%024x", ids)
}

// newPath is where a log can be made.
func newPath(t testing.TB) string {
	return filepath.Join(t.TempDir(), "evidence", "decisions.jsonl")
}

func readFile(t testing.TB, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func writeFile(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
