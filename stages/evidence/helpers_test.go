package evidence

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"

	enforcementv1 "github.com/Huzefaaa2/cavra/go/cavra-runtime/enforcement/v1"
)

// TestMain lets the test binary play the daemon that is killed: see
// crash_test.go.
func TestMain(m *testing.M) {
	if role := os.Getenv(childRole); role != "" {
		os.Exit(child(role))
	}
	goleak.VerifyTestMain(m)
}

const childRole = "EVIDENCE_TEST_CHILD"

// testKey and testKeyID sign the logs of the tests.
var testKey = []byte("a key for tests, known to all of us")

const testKeyID = "2026 & <on>"

var signed = LogOptions{Key: testKey, KeyID: testKeyID}

func (o LogOptions) verify() VerifyOptions { return VerifyOptions{Key: o.Key, KeyID: o.KeyID} }

// newPath is a path for a log that is not there yet.
func newPath(t testing.TB) string {
	t.Helper()
	return filepath.Join(t.TempDir(), "evidence", "decisions.log")
}

func open(t testing.TB, path string, o LogOptions) *Log {
	t.Helper()
	l, err := Open(path, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func mustClose(t testing.TB, l *Log) {
	t.Helper()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

var lastID atomic.Uint64

// nextID is a record id that no test had before.
func nextID() string { return fmt.Sprintf("%024x", lastID.Add(1)) }

// exchange is a small request and its response.
func exchange(target string) (*enforcementv1.EvaluateRequest, *enforcementv1.DecisionResponse) {
	return &enforcementv1.EvaluateRequest{ActionType: "read_file", Target: target},
		&enforcementv1.DecisionResponse{DecisionID: "dec_1", Target: target, Decision: "allow", Severity: "low"}
}

// add appends a record and returns its id.
func add(t testing.TB, l *Log, target string) string {
	t.Helper()
	id := nextID()
	req, resp := exchange(target)
	if err := l.Append(id, req, resp); err != nil {
		t.Fatal(err)
	}
	return id
}

// writeLog makes a closed log of n records and returns its path and lines, each
// with its line end.
func writeLog(t testing.TB, n int, o LogOptions) (path string, lines [][]byte) {
	t.Helper()
	path = newPath(t)
	l := open(t, path, o)
	for i := range n {
		add(t, l, fmt.Sprintf("file-%d", i+1))
	}
	mustClose(t, l)
	return path, linesOf(t, path)
}

func linesOf(t testing.TB, path string) [][]byte {
	t.Helper()
	return slices.Collect(bytes.Lines(read(t, path)))
}

func read(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func write(t testing.TB, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// wantValid verifies a log, which must be valid, and returns the report.
func wantValid(t testing.TB, path string, o VerifyOptions) Report {
	t.Helper()
	r, err := VerifyFile(path, o)
	if err != nil {
		t.Fatal(err)
	}
	if !r.Valid || len(r.Errors) > 0 || r.InProgress {
		t.Fatalf("the log is not valid: %+v", r)
	}
	return r
}

// wantRefused opens a log, which must fail with all of the words.
func wantRefused(t testing.TB, path string, o LogOptions, words ...string) error {
	t.Helper()
	l, err := Open(path, o)
	if err == nil {
		l.Close()
		t.Fatalf("opened; want an error with %q", words)
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("the error %q does not say %q", err, word)
		}
	}
	return err
}
