package evaluate

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"

	enforcementv1 "github.com/Huzefaaa2/cavra/go/cavra-runtime/enforcement/v1"
	"github.com/Huzefaaa2/cavra/go/cavra-runtime/pipeline"
	"github.com/Huzefaaa2/cavra/go/cavra-runtime/pipeline/pipelinetest"
)

// A request is what a test asks; fields are those that matter here.
type request = enforcementv1.EvaluateRequest

// newStage makes a stage, in a workspace of its own unless env names one.
func newStage(t testing.TB, o Options, env pipeline.Env) *Stage {
	t.Helper()
	if env.Workspace == "" {
		env.Workspace = t.TempDir()
	}
	s, err := New(o, env)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// withPolicy makes a stage that judges by a policy, of which text holds all but
// the metadata.
func withPolicy(t testing.TB, text string, env pipeline.Env) *Stage {
	t.Helper()
	text = `{"metadata":{"id":"test-policy"},` + strings.TrimPrefix(text, "{")
	return newStage(t, Options{Policy: write(t, "policy.json", text)}, env)
}

// write makes a file in a directory of its own.
func write(t testing.TB, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// ask is the answer to a request.
func ask(t testing.TB, s *Stage, req *request) *enforcementv1.DecisionResponse {
	t.Helper()
	return askAs(t, s, req, pipeline.Anonymous)
}

func askAs(t testing.TB, s *Stage, req *request, id pipeline.Identity) *enforcementv1.DecisionResponse {
	t.Helper()
	x := pipelinetest.NewExchange("{}")
	x.Request, x.Identity = req, id
	r := pipelinetest.Handle(t, s, x)
	if r.Panic != nil || r.Response.RuleID == "evaluate.fault" {
		t.Fatalf("%+v: panic %v, error %v", req, r.Panic, r.Err)
	}
	return r.Response
}

// A verdict is what the table of the contract says of an answer.
type verdict struct{ decision, rule, severity, approver string }

func verdictOf(r *enforcementv1.DecisionResponse) verdict {
	return verdict{r.Decision, r.RuleID, r.Severity, r.ApproverGroup}
}

func (v verdict) check(t *testing.T, r *enforcementv1.DecisionResponse) {
	t.Helper()
	if got := verdictOf(r); got != v {
		t.Errorf("got %v, want %v; reason: %s", got, v, r.Reason)
	}
	if r.Reason == "" {
		t.Error("there is no reason")
	}
}

var invalidRequest = verdict{"block", "request.invalid", "high", ""}

// A stage table takes the stage as it is.
var _ = pipeline.FromEnv(New)

func TestStageConforms(t *testing.T) {
	pipelinetest.Conform(t, newStage(t, Options{}, pipeline.Env{}))
}

func TestUnknownActions(t *testing.T) {
	s := newStage(t, Options{}, pipeline.Env{})
	want := verdict{"require_approval", "runtime.default.require_approval", "medium", "Repository Owners"}
	for _, action := range []string{"", "delete_database", "Read_File", "read_file ", "execute_command\n", "\u202eelif_daer"} {
		t.Run(action, func(t *testing.T) {
			r := ask(t, s, &request{ActionType: action, Target: ".env"})
			want.check(t, r)
			for _, c := range r.Reason {
				if c < ' ' || c > '~' {
					t.Errorf("the reason holds %q: %q", c, r.Reason)
				}
			}
		})
	}
}

func TestAnEmptyActionWithAReleaseRecordIsReleaseGovernance(t *testing.T) {
	s := newStage(t, Options{}, pipeline.Env{})
	r := ask(t, s, &request{ReleaseGovernance: &enforcementv1.ReleaseGovernanceEvidence{}})
	if r.ActionType != enforcementv1.ActionReleaseGovernanceRecord || r.RuleID != "release_governance.record.missing" {
		t.Errorf("got %s %s", r.ActionType, r.RuleID)
	}
}

func TestResponseEchoesWhatWasJudged(t *testing.T) {
	s := newStage(t, Options{}, pipeline.Env{})
	tests := []struct {
		name              string
		req               request
		target, operation string
	}{
		{"file", request{ActionType: "read_file", Target: "./a/../b"}, "./a/../b", ""},
		{"operation", request{ActionType: "git_operation", Operation: "push", RequestedOperation: "pull", Target: "main"}, "main", "push"},
		{"requested operation", request{ActionType: "git_operation", RequestedOperation: "pull", Capability: "x"}, "", "pull"},
		{"capability", request{ActionType: "mcp_tool_call", Target: "s:t", Capability: "x"}, "s:t", "x"},
		{"server and tool", request{ActionType: "mcp_tool_call", Server: "s", Tool: "t"}, "s:t", ""},
		{"unknown action", request{ActionType: "dance", Target: "tango"}, "tango", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := ask(t, s, &tt.req)
			if r.Target != tt.target || r.RequestedOperation != tt.operation || r.ActionType != tt.req.ActionType {
				t.Errorf("got %q %q %q", r.ActionType, r.Target, r.RequestedOperation)
			}
		})
	}
}

// TestADecisionIsCheap holds the decisions that a user's first minute shows.
func TestADecisionIsCheap(t *testing.T) {
	s := newStage(t, Options{}, pipeline.Env{Files: someFiles(t)})
	for _, raw := range firstMinute {
		pipelinetest.Within(t, s, pipelinetest.NewExchange(raw), func(handle func() error) {
			if n := testing.AllocsPerRun(100, func() { _ = handle() }); n > 4 {
				t.Errorf("%s: %v allocations, want at most 4", raw, n)
			}
		})
	}
}

var firstMinute = []string{
	`{"action_type":"read_file","target":"config/prod.pem"}`,
	`{"action_type":"execute_command","target":"terraform plan"}`,
	`{"action_type":"read_file","target":"src/main.go"}`,
}

// someFiles are as many as a daemon with everything switched on has.
func someFiles(t testing.TB) []pipeline.File {
	dir := t.TempDir()
	var files []pipeline.File
	for _, name := range []string{".cavra", "cavra.yaml", "policy.json", "registry.json", "evidence.jsonl", "evidence.checkpoint", "hmac.key", "jwks.json"} {
		files = append(files, pipeline.File{Path: filepath.Join(dir, name), Secret: strings.HasSuffix(name, ".key")})
	}
	return files
}

func BenchmarkDecision(b *testing.B) {
	s := newStage(b, Options{}, pipeline.Env{Files: someFiles(b)})
	for name, raw := range map[string]string{
		"read blocked": firstMinute[0], "command allowed": firstMinute[1],
		"read allowed":     firstMinute[2],
		"command compound": `{"action_type":"execute_command","target":"terraform plan && terraform apply | tee out"}`,
		"push":             `{"action_type":"git_operation","operation":"push","target":"origin HEAD:main"}`,
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			pipelinetest.Within(b, s, pipelinetest.NewExchange(raw), func(handle func() error) {
				for b.Loop() {
					_ = handle()
				}
			})
		})
	}
}

// FuzzHandle holds the stage to what may never happen, whatever is asked.
func FuzzHandle(f *testing.F) {
	workspace := f.TempDir()
	s := newStage(f, Options{}, pipeline.Env{Workspace: workspace, Files: []pipeline.File{{Path: filepath.Join(workspace, ".cavra")}}})
	for _, req := range []request{
		{ActionType: "read_file", Target: "a/../.env", Cwd: "/tmp"},
		{ActionType: "write_file", Target: "/a//b/", Cwd: "x"},
		{ActionType: "execute_command", Target: "terraform plan; terraform apply"},
		{ActionType: "execute_command", Target: `terraform plan "$(x)" 'y`},
		{ActionType: "git_operation", Operation: "git push --force origin", Target: "HEAD:main"},
		{ActionType: "mcp_tool_call", Target: "a:b", Server: "a"},
		{ActionType: "release_governance_record", Target: "rollout-promotion-execution"},
	} {
		f.Add(req.ActionType, req.Target, req.Operation, req.Server, req.Tool, req.Cwd)
	}
	f.Fuzz(func(t *testing.T, action, target, operation, server, tool, cwd string) {
		r := ask(t, s, &request{ActionType: action, Target: target, Operation: operation, Server: server, Tool: tool, Cwd: cwd})
		if r.Decision == "allow" && action == "execute_command" {
			more := target + "\nterraform apply"
			if r := ask(t, s, &request{ActionType: action, Target: more, Cwd: cwd}); r.Decision == "allow" {
				t.Errorf("command %q is allowed: %s", more, r.Reason)
			}
		}
		for i := range len(r.Reason) {
			if c := r.Reason[i]; c < ' ' || c > '~' {
				t.Fatalf("the reason holds byte %#x: %q", c, r.Reason)
			}
		}
		if len(r.Reason) > 2000 {
			t.Errorf("the reason has %d bytes", len(r.Reason))
		}
	})
}

func TestQuotedTextIsShortASCII(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		q := quote(rapid.String().Draw(t, "text"))
		if len(q) > mostQuoted*10+10 {
			t.Fatalf("%d bytes", len(q))
		}
		for i := range len(q) {
			if q[i] < ' ' || q[i] > '~' {
				t.Fatalf("holds byte %#x", q[i])
			}
		}
	})
	if got := quote(strings.Repeat("a", 300)); got != `"`+strings.Repeat("a", 200)+`"...` {
		t.Errorf("long text: %s", got)
	}
	if got := quote("a\u202eb\u200bc"); got != `"a\u202eb\u200bc"` {
		t.Errorf("hidden text: %s", got)
	}
}

func decode(t testing.TB, text []byte, into any) {
	t.Helper()
	if err := json.Unmarshal(text, into); err != nil {
		t.Fatal(err)
	}
}
