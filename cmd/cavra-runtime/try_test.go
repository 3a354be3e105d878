package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/Huzefaaa2/cavra/go/cavra-runtime/document"
	enforcementv1 "github.com/Huzefaaa2/cavra/go/cavra-runtime/enforcement/v1"
	"github.com/Huzefaaa2/cavra/go/cavra-runtime/pipeline"
	"github.com/Huzefaaa2/cavra/go/cavra-runtime/stages/evaluate"
)

// policyStage is a stage that judges by a policy.
func policyStage(t testing.TB, policy string) *evaluate.Stage {
	t.Helper()
	path := filepath.Join(t.TempDir(), "policy.json")
	if err := os.WriteFile(path, []byte(policy), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := evaluate.New(evaluate.Options{Policy: path}, pipeline.Env{Workspace: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

const listPolicy = `{"metadata":{"id":"p"},"commands":{"allow":["ls*"]}}`

// recordLine is a line of a log: a request and the decision on it.
func recordLine(event, target, decision, rule string) string {
	request := enforcementv1.EvaluateRequest{ActionType: "execute_command", Target: target}
	response := enforcementv1.DecisionResponse{ActionType: "execute_command", Target: target, Decision: decision, RuleID: rule}
	return fmt.Sprintf(`{"schema_version":"cavra.go-daemon.evidence.v1","product":"CAVRA","event_type":%q,"record_id":"0123456789abcdef01234567","sequence":1,"record_hash":"","timestamp":"2026-01-02T03:04:05Z","request":%s,"response":%s}`+"\n",
		event, request.AppendJSON(nil), response.AppendJSON(nil))
}

const decisionEvent = "cavra.go_daemon.decision"

func replayed(t testing.TB, log io.Reader) (*backtestResult, string, string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	r := newReplay(policyStage(t, listPolicy), &stdout, &stderr, false)
	err := r.run(context.Background(), log)
	if err == nil {
		err = r.finish()
	}
	if err == nil {
		err = r.out.Flush()
	}
	if err != nil {
		t.Fatal(err)
	}
	return &r.result, stdout.String(), stderr.String()
}

func TestBacktestKnowsWhatItCannotJudge(t *testing.T) {
	tests := []struct{ name, line, reason string }{
		{"a decision", recordLine(decisionEvent, "ls", "allow", "commands.allow"), ""},
		{"another choice of policy", recordLine(decisionEvent, "ls", "block", "policy.unknown_pack"), ""},
		{"a repair", recordLine("cavra.go_daemon.log_repaired", "ls", "allow", "commands.allow"), "an event that is no decision"},
		{"an unread request", strings.Replace(recordLine(decisionEvent, "", "block", "request.invalid"), `"action_type":"execute_command"`, "", 1), "a request that could not be read"},
		{"auth", recordLine(decisionEvent, "ls", "block", "runner_auth.invalid"), "a decision by no policy, runner_auth.invalid"},
		{"a fork's stage", recordLine(decisionEvent, "ls", "block", "ratelimit.exceeded"), "a decision by no policy, ratelimit.exceeded"},
		{"a fault", recordLine(decisionEvent, "ls", "block", "evaluate.fault"), "a decision by no policy, evaluate.fault"},
		{"no decision", recordLine(decisionEvent, "ls", "maybe", "commands.allow"), "a record without a decision"},
		{"redacted", recordLine(decisionEvent, "curl -H <redacted-jwt>", "allow", "commands.allow"), "a request of which a part was redacted"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			result, _, stderr := replayed(t, strings.NewReader(tt.line))
			want := map[string]int{}
			if tt.reason != "" {
				want[tt.reason] = 1
			}
			if !reflect.DeepEqual(result.NotReplayable, want) || result.Records != 1 || result.Replayed != 1-len(want) || stderr != "" {
				t.Errorf("got %+v %s, want %v", result, stderr, want)
			}
		})
	}
}

func TestBacktestCountsWhatIsNewlyAllowed(t *testing.T) {
	for _, tt := range []struct {
		target, decision, rule string
		changed, newly         int
	}{
		{"ls", "allow", "commands.allow", 0, 0},
		{"ls", "block", "commands.block", 1, 1},
		{"ls", "require_approval", "commands.default.require_approval", 1, 1},
		{"frob", "allow", "commands.allow", 1, 0},
		{"frob", "block", "commands.block", 1, 0},
		{"frob", "require_approval", "commands.require_approval", 1, 0}, // the rule is another one
	} {
		result, _, _ := replayed(t, strings.NewReader(recordLine(decisionEvent, tt.target, tt.decision, tt.rule)))
		if result.Changed != tt.changed || result.NewlyAllowed != tt.newly {
			t.Errorf("%+v: got %+v", tt, result)
		}
	}
}

// A log of any size and any nonsense is read in little memory.
func TestBacktestHoldsOneLine(t *testing.T) {
	const lines = 30_000
	good := recordLine(decisionEvent, "ls", "block", "commands.block")
	r, w := io.Pipe()
	go func() {
		b := bufio.NewWriter(w)
		for i := range lines {
			b.WriteString(good)
			b.WriteString(recordLine(decisionEvent, "ls", "block", fmt.Sprintf("rule%d.x", i)))
		}
		b.WriteString("{" + strings.Repeat("x", longestRecord+1000) + "\n")
		for range lines {
			b.WriteString("nonsense\n")
		}
		b.WriteString(good)
		b.Flush()
		w.Close()
	}()
	stage := policyStage(t, listPolicy)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	var stderr bytes.Buffer
	replay := newReplay(stage, io.Discard, &stderr, false)
	if err := replay.run(context.Background(), r); err != nil {
		t.Fatal(err)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	result := replay.result
	if result.NewlyAllowed != lines+1 || result.RefusedLines != lines+1 || len(result.Refused) != mostRefused || len(result.NotReplayable) > mostReasons+1 {
		t.Errorf("got %+v", result)
	}
	if !strings.Contains(stderr.String(), fmt.Sprintf("line %d is no record: longer than a record can be", 2*lines+1)) {
		t.Errorf("the long line is not named: %.300s", stderr.String())
	}
	if kept := int64(after.HeapAlloc) - int64(before.HeapAlloc); kept > 1<<20 {
		t.Errorf("%d bytes are kept", kept)
	}
}

func TestBacktestStopsWhenAsked(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := newReplay(policyStage(t, listPolicy), io.Discard, io.Discard, false).run(ctx, strings.NewReader("{}\n")); err == nil {
		t.Error("it went on")
	}
}

// TestACaseHoldsTheRequestAsADaemonReadsIt: what stands in a file of cases is the
// request that the same JSON is on the wire.
func TestACaseHoldsTheRequestAsADaemonReadsIt(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		req := &enforcementv1.EvaluateRequest{
			ActionType: rapid.String().Draw(t, "action"), Target: rapid.String().Draw(t, "target"), Cwd: rapid.String().Draw(t, "cwd"),
		}
		if rapid.Bool().Draw(t, "release") {
			req.ReleaseGovernance = &enforcementv1.ReleaseGovernanceEvidence{
				BlockedCount: rapid.Int32().Draw(t, "count"), DeliverySuccess: rapid.Bool().Draw(t, "delivered"), EvidenceRefs: rapid.SliceOf(rapid.String()).Draw(t, "refs"),
			}
		}
		text := req.AppendJSON(nil)
		root, err := document.ParseJSON("x", fmt.Appendf(nil, `{"request":%s,"expect":"allow"}`, text))
		if err != nil {
			t.Skip(err) // what a document may not hold
		}
		r := &caseReader{}
		got := r.read(root, 0)
		want, err := enforcementv1.DecodeRequest(text)
		if err != nil || len(r.faults) > 0 {
			t.Fatalf("%v %v", err, r.faults)
		}
		if !bytes.Equal(got.request.AppendJSON(nil), want.AppendJSON(nil)) {
			t.Fatalf("got %+v, want %+v", got.request, want)
		}
	})
}

// TestNothingPrintedIsMoreThanASCII holds what --explain prints to what a
// terminal shows as it is.
func TestNothingPrintedIsMoreThanASCII(t *testing.T) {
	stage := policyStage(t, `{"metadata":{"id":"p"},"commands":{"block":["\u202e*"],"allow":["ls*"]},"filesystem":{"block_read":["**/*.pem"]}}`)
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.String(), rapid.Map(rapid.SliceOf(rapid.Rune()), func(r []rune) string { return string(r) }), rapid.Just("\u202e x; $(\u200b) \x7f\x1b[31m")).Draw(t, "text")
		req := &enforcementv1.EvaluateRequest{ActionType: rapid.SampledFrom([]string{"execute_command", "read_file", "git_operation", "mcp_tool_call", text}).Draw(t, "action"), Target: text, Cwd: text, Operation: text, Server: text}
		e := &explained{Response: &enforcementv1.DecisionResponse{Decision: text, RuleID: text, Reason: text}, Note: text, Explanation: stage.Explain(req, pipeline.Anonymous)}
		for _, line := range strings.Split(tree(e, false), "\n") {
			for i := range len(line) {
				if line[i] < ' ' || line[i] > '~' {
					t.Fatalf("%q", line)
				}
			}
		}
		var printed bytes.Buffer
		if err := printJSON(&printed, e); err != nil {
			t.Fatal(err)
		}
		for _, c := range bytes.TrimSuffix(printed.Bytes(), []byte("\n")) {
			if c < ' ' || c > '~' {
				t.Fatalf("%q", printed.String())
			}
		}
		var back, want any
		plain, _ := json.Marshal(e)
		if err := json.Unmarshal(printed.Bytes(), &back); err != nil {
			t.Fatal(err)
		}
		_ = json.Unmarshal(plain, &want)
		if !reflect.DeepEqual(back, want) {
			t.Fatalf("%s is not %s", printed.Bytes(), plain)
		}
	})
}

func TestColoursOnlyForATerminal(t *testing.T) {
	e := &explained{Response: &enforcementv1.DecisionResponse{Decision: "block", RuleID: "x.y", Severity: "high"}}
	if tree(e, paintFor(&bytes.Buffer{})) != "block by x.y, severity high\n  \n" {
		t.Errorf("%q", tree(e, false))
	}
	if got := tree(e, true); !strings.HasPrefix(got, "\x1b[1;31mblock\x1b[0m by x.y") {
		t.Errorf("%q", got)
	}
	t.Setenv("TERM", "xterm")
	device, err := os.Open(os.DevNull) // a character device, as a terminal is
	if err != nil {
		t.Skip(err)
	}
	defer device.Close()
	t.Setenv("NO_COLOR", "1")
	if paintFor(device) {
		t.Error("NO_COLOR is set, and there are colours")
	}
}

// FuzzBacktest: whatever a log holds, every line of it is counted once.
func FuzzBacktest(f *testing.F) {
	f.Add([]byte(recordLine(decisionEvent, "ls", "block", "commands.block") + "{}\n\n{\"torn"))
	f.Add([]byte(recordLine("other", "\u202e", "block", "x")))
	f.Add([]byte("\n"))
	stage := policyStage(f, listPolicy)
	f.Fuzz(func(t *testing.T, log []byte) {
		for _, asJSON := range []bool{false, true} {
			var stdout bytes.Buffer
			r := newReplay(stage, &stdout, io.Discard, asJSON)
			err := r.run(context.Background(), bytes.NewReader(log))
			if err == nil {
				err = r.finish()
			}
			r.out.Flush()
			lines := bytes.Count(log, []byte("\n"))
			if len(log) > 0 && log[len(log)-1] != '\n' {
				lines++
			}
			left := 0
			for _, n := range r.result.NotReplayable {
				left += n
			}
			if err != nil || r.result.Records+r.result.RefusedLines != lines || r.result.Replayed+left != r.result.Records {
				t.Fatalf("%v: %d lines, %+v", err, lines, r.result)
			}
			for _, c := range stdout.Bytes() {
				if c > '~' || c < ' ' && c != '\n' {
					t.Fatalf("%q", stdout.String())
				}
			}
			if asJSON && !json.Valid(stdout.Bytes()) {
				t.Fatalf("%q", stdout.String())
			}
		}
	})
}

// BenchmarkBacktest compares a replay of a log with decoding its records alone.
func BenchmarkBacktest(b *testing.B) {
	log := []byte(strings.Repeat(recordLine(decisionEvent, "ls -l", "allow", "commands.allow"), 1000))
	stage := policyStage(b, listPolicy)
	b.Run("decode", func(b *testing.B) {
		b.SetBytes(int64(len(log)))
		for b.Loop() {
			for line := range bytes.Lines(log) {
				if _, err := decodeRecord(line); err != nil {
					b.Fatal(err)
				}
			}
		}
	})
	b.Run("replay", func(b *testing.B) {
		b.SetBytes(int64(len(log)))
		for b.Loop() {
			if err := newReplay(stage, io.Discard, io.Discard, false).run(context.Background(), bytes.NewReader(log)); err != nil {
				b.Fatal(err)
			}
		}
	})
}
