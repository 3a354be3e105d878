package evaluate

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	enforcementv1 "github.com/Huzefaaa2/cavra/go/cavra-runtime/enforcement/v1"
	"github.com/Huzefaaa2/cavra/go/cavra-runtime/pipeline"
)

// explainPolicy has something to say of every kind of request.
const explainPolicy = `{
	"filesystem": {"block_read": ["**/*.pem", "secrets/**"], "block_write": ["policies/**"], "require_approval_write": [".github/**", "policies/**"]},
	"commands": {"block": ["rm -rf*", "terraform apply*"], "require_approval": ["npm publish*"], "allow": ["git status", "go test*", "npm *", "ls*", "cat *"]},
	"mcp": {"allowed_servers": ["github"], "blocked_servers": ["shady*"]}
}`

func explainStage(t testing.TB) *Stage {
	return withPolicy(t, explainPolicy, pipeline.Env{Files: []pipeline.File{{Path: filepath.Join(t.TempDir(), "hmac.key"), Secret: true}}})
}

// TestAnExplanationTellsWhatDecided is the law that makes explanations worth
// reading: theirs is the decision, with its rule and its reason.
func TestAnExplanationTellsWhatDecided(t *testing.T) {
	registry := write(t, "registry.json", `{"mcp_servers":[{"server_id":"github","trust_tier":"trusted","allowed_tools":["list"]},{"server_id":"new","approval_state":"pending"}]}`)
	policy := write(t, "policy.json", `{"metadata":{"id":"test-policy"},`+explainPolicy[1:])
	stages := []*Stage{
		newStage(t, Options{}, pipeline.Env{}),
		explainStage(t),
		newStage(t, Options{Policy: policy, Registry: registry, RequireProvenIdentityForRelease: true}, pipeline.Env{}),
	}
	rapid.Check(t, func(rt *rapid.T) {
		s := rapid.SampledFrom(stages).Draw(rt, "stage")
		req := anyRequest(rt)
		id := rapid.SampledFrom([]pipeline.Identity{pipeline.Anonymous, {Proof: "hmac/ci"}}).Draw(rt, "identity")
		checkExplanation(t, rt, s, req, id)
	})
	for name, req := range attacks {
		t.Run(name, func(t *testing.T) { checkExplanation(t, t, stages[0], &req, pipeline.Anonymous) })
	}
}

func checkExplanation(outer *testing.T, t interface {
	Fatalf(string, ...any)
	Helper()
}, s *Stage, req *request, id pipeline.Identity) {
	t.Helper()
	r := askAs(outer, s, req, id)
	want := Verdict{r.Decision, r.RuleID, r.Severity, r.Reason, r.ApproverGroup}
	e := s.Explain(req, id)
	if e.Verdict != want {
		t.Fatalf("%+v is decided as\n%+v and explained as\n%+v", req, want, e.Verdict)
	}
	if judged := s.Judge(req, id); judged != want {
		t.Fatalf("%+v is decided as\n%+v and judged as\n%+v", req, want, judged)
	}
	if len(e.Verdicts) == 0 || e.Verdicts[0] != e.Verdict || e.Why == "" || e.Decision != "allow" && len(e.Advice) == 0 {
		t.Fatalf("%+v: the explanation lacks something: %+v", req, e)
	}
	for _, v := range e.Verdicts {
		if strictness[v.Decision] > strictness[e.Decision] {
			t.Fatalf("%+v is decided as %+v though there is %+v", req, e.Verdict, v)
		}
	}
	for _, trial := range e.Tried {
		if trial.Match != nil && (trial.Match.Index < 0 || trial.Match.Index >= trial.Of) {
			t.Fatalf("%+v: a match that is not in its list: %+v", req, trial)
		}
	}
}

// anyRequest draws requests of every kind, most of which some rule is about.
func anyRequest(t *rapid.T) *request {
	word := rapid.SampledFrom([]string{
		"rm -rf /", "git status", "npm publish", "npm test", "ls", "go test ./...", "terraform apply", "cat a.pem", "cat secrets/x", "$X", "echo $(rm -rf /)",
		"git push origin main", "curl x > policies/a", "bash -c 'rm -rf /'", "sudo ls", "env A=1 ls", "(", "/bin/ls", "for i in a; do ls; done", "X=rm; $X -rf /",
	})
	command := rapid.Custom(func(t *rapid.T) string {
		return strings.Join(rapid.SliceOfN(word, 1, 4).Draw(t, "words"), rapid.SampledFrom([]string{" && ", "; ", " | ", "\n", " & "}).Draw(t, "joint"))
	})
	target := rapid.OneOf(command, rapid.StringMatching(`[a-c./]{0,8}(\.pem|\.env)?`), rapid.SampledFrom([]string{
		"", "github", "github:list", "shady:x", "new:y", ".github/workflows/ci.yml", "policies/a.json", "secrets/../secrets/k", "main", "origin/main", "feature", "a\x00b",
	}), rapid.String())
	req := &request{
		ActionType: rapid.SampledFrom([]string{"read_file", "write_file", "execute_command", "execute_command", "git_operation", "mcp_tool_call", "release_governance_record", "dance", ""}).Draw(t, "action"),
		Target:     target.Draw(t, "target"),
		Operation:  rapid.SampledFrom([]string{"", "push", "pull", "git push --force"}).Draw(t, "operation"),
		PolicyPack: rapid.SampledFrom([]string{"", "cavra-terraform-prod", "no-such-pack"}).Draw(t, "pack"),
		Cwd:        rapid.SampledFrom([]string{"", "/", "/tmp/a", "b"}).Draw(t, "cwd"),
		Server:     rapid.SampledFrom([]string{"", "github", "new"}).Draw(t, "server"),
	}
	if rapid.Bool().Draw(t, "record") {
		req.ReleaseGovernance = &enforcementv1.ReleaseGovernanceEvidence{
			ApprovalState: rapid.SampledFrom([]string{"", "approved", "pending", "odd"}).Draw(t, "state"),
			MetadataKind:  rapid.SampledFrom([]string{"", "rollout-promotion-execution", "release_connector_delivery"}).Draw(t, "kind"),
			AlertLevel:    rapid.SampledFrom([]string{"", "critical"}).Draw(t, "alert"),
		}
	}
	return req
}

func TestARecorderListensToEveryList(t *testing.T) {
	p := &policy{}
	r := &recorder{}
	q := reflect.ValueOf(r.listenTo(p)).Elem()
	for i := range q.NumField() {
		if q.Field(i).Type() == reflect.TypeFor[ruleList]() && q.Field(i).FieldByName("rec").IsNil() {
			t.Errorf("nobody listens to %s", q.Type().Field(i).Name)
		}
	}
	if p.rec != nil || p.blockRead.rec != nil {
		t.Error("the policy itself was changed")
	}
	if (*recorder)(nil).listenTo(p) != p {
		t.Error("without a recorder the policy is copied")
	}
}

func TestExplainFindsWhereCommandsHide(t *testing.T) {
	s := explainStage(t)
	tests := []struct {
		line string
		want [][2]string // text, where
	}{
		{"git status", [][2]string{{"git status", ""}}},
		{"ls; rm -rf /", [][2]string{{"ls", "a list"}, {"rm -rf /", "a list"}}},
		{"ls && (git status)", [][2]string{{"ls", "a list"}, {"git status", "a list > a subshell"}}},
		{"ls | cat x", [][2]string{{"ls", "a pipe"}, {"cat x", "a pipe"}}},
		{"echo $(rm -rf /)", [][2]string{{"rm -rf /", "a substitution"}, {"echo $(rm -rf /)", ""}}},
		{"cat <(ls)", [][2]string{{"ls", "a substitution"}, {"cat <(ls)", ""}}},
		{"sudo env A=1 bash -c 'ls; X=rm; $X -rf /'", [][2]string{
			{"rm -rf /", `what "sudo" runs > what "env" runs > what "bash" runs > a list`},
			{"ls", `what "sudo" runs > what "env" runs > what "bash" runs > a list`},
		}},
		{"if ls; then git status; fi", [][2]string{{"ls", "an if"}, {"git status", "an if"}}},
		{"for i in a; do ls; done", [][2]string{{"ls", "a loop"}}},
		{"f() { ls; }", [][2]string{{"ls", "a function"}}},
		{"ls &", [][2]string{{"ls", "the background"}}},
	}
	for _, tt := range tests {
		t.Run(tt.line, func(t *testing.T) {
			e := s.Explain(&request{ActionType: "execute_command", Target: tt.line}, pipeline.Anonymous)
			for _, w := range tt.want {
				if !slices.ContainsFunc(e.Commands, func(c FoundCommand) bool { return c.Text == w[0] && c.Where == w[1] }) {
					t.Errorf("%q in %q was not found among %+v", w[0], w[1], e.Commands)
				}
			}
		})
	}
}

func TestExplainTellsEveryVerdict(t *testing.T) {
	s := explainStage(t)
	e := s.Explain(&request{ActionType: "execute_command", Target: "frob x; npm publish; cat a.pem; rm -rf /; git push origin main; $Y"}, pipeline.Anonymous)
	if e.RuleID != "commands.block" || e.Why != "none is stricter or more severe, and it was found first" {
		t.Errorf("decided by %s because %s", e.RuleID, e.Why)
	}
	for _, rule := range []string{"commands.block", "filesystem.read.block", "git.protected_branch.block_direct_push", "commands.require_approval", "commands.unresolved", "commands.default.require_approval"} {
		if !slices.ContainsFunc(e.Verdicts, func(v Verdict) bool { return v.RuleID == rule }) {
			t.Errorf("there is no verdict by %s among %+v", rule, e.Verdicts)
		}
	}
	for _, advice := range []string{
		`remove or narrow commands.block[0], "rm -rf*"`, `remove or narrow commands.require_approval[0], "npm publish*"`, `remove or narrow filesystem.block_read[0], "**/*.pem"`,
		`"main" is protected by default`, "write the command so that",
		`no pattern of commands.allow holds for "frob x"; one that would, and for nothing else`, `no pattern is advised for "rm -rf /"`,
	} {
		if !slices.ContainsFunc(e.Advice, func(a string) bool { return strings.HasPrefix(a, advice) }) {
			t.Errorf("nobody advises %q: %q", advice, e.Advice)
		}
	}
}

func TestExplainTellsWhatAFileWouldNeedBesides(t *testing.T) {
	e := explainStage(t).Explain(&request{ActionType: "write_file", Target: "policies/a"}, pipeline.Anonymous)
	if len(e.Verdicts) != 2 || e.RuleID != "filesystem.write.block" || e.Verdicts[1].RuleID != "filesystem.write.require_approval" || e.Why != "it is the strictest verdict" {
		t.Errorf("got %+v", e.Verdicts)
	}
}

func TestExplainSaysWhyAVerdictWon(t *testing.T) {
	s := explainStage(t)
	for line, want := range map[string]string{
		"git status":                     "it is the only verdict",
		"ls; rm -rf x":                   "it is the strictest verdict",
		"ls > .github/a; npm publish":    "none is stricter, and it is the most severe",
		"ls > .github/a; ls > .github/b": "none is stricter or more severe, and it was found first",
	} {
		if e := s.Explain(&request{ActionType: "execute_command", Target: line}, pipeline.Anonymous); e.Why != want {
			t.Errorf("%s: %s won because %s, want %s; %+v", line, e.RuleID, e.Why, want, e.Verdicts)
		}
	}
}

func TestTextOnlyLeavesTheDiskAlone(t *testing.T) {
	root := t.TempDir()
	if err := os.Symlink("secrets", filepath.Join(root, "link")); err != nil {
		t.Skip("links cannot be made here:", err)
	}
	s := withPolicy(t, explainPolicy, pipeline.Env{Workspace: root})
	req := &request{ActionType: "read_file", Target: "link/k"}
	if v := s.Judge(req, pipeline.Anonymous); v.RuleID != "filesystem.read.block" {
		t.Errorf("the link is not followed: %+v", v)
	}
	text := s.TextOnly()
	if v := text.Judge(req, pipeline.Anonymous); v.RuleID != "filesystem.read.allow" {
		t.Errorf("the link is followed: %+v", v)
	}
	if v := text.Judge(&request{ActionType: "read_file", Target: root + "/secrets/k"}, pipeline.Anonymous); v.RuleID != "filesystem.read.block" {
		t.Errorf("the workspace is forgotten: %+v", v)
	}
	if v := s.Judge(req, pipeline.Anonymous); v.RuleID != "filesystem.read.block" {
		t.Errorf("the stage itself was changed: %+v", v)
	}
}

func TestExplainingAHostileLineIsBounded(t *testing.T) {
	s := explainStage(t)
	for name, line := range map[string]string{
		"nesting":   strings.Repeat("(", 200_000),
		"commands":  strings.Repeat("ls x;", 10_000),
		"wrappers":  strings.Repeat("sudo ", 10_000) + "ls",
		"pieces":    strings.Repeat("$(ls a.pem", 2000),
		"files":     "cat " + strings.Repeat("a/b.pem ", 5000),
		"one word":  strings.Repeat("x", 1<<20),
		"quotes":    strings.Repeat("'a' ", 10_000) + "; rm -rf /",
		"a pattern": strings.Repeat("rm -rf / & ", 1900),
	} {
		t.Run(name, func(t *testing.T) {
			e := s.Explain(&request{ActionType: "execute_command", Target: line}, pipeline.Anonymous)
			text, err := json.Marshal(e)
			if err != nil {
				t.Fatal(err)
			}
			if e.Decision == "allow" || len(text) > 32<<20 {
				t.Errorf("%s in %d bytes", e.Decision, len(text))
			}
		})
	}
}

func TestExplainTellsWhatIsFolded(t *testing.T) {
	s := withPolicy(t, explainPolicy, pipeline.Env{Workspace: t.TempDir()})
	s.place.folds = true
	e := s.Explain(&request{ActionType: "read_file", Target: "SECRETS/k"}, pipeline.Anonymous)
	if e.RuleID != "filesystem.read.block" || !slices.ContainsFunc(e.Tried, func(t Trial) bool {
		return t.Text == "secrets/k" && t.How == "with its case folded" && t.Match != nil && t.Match.Pattern == "secrets/**"
	}) {
		t.Errorf("got %+v", e)
	}
}

func TestExplainTellsEveryFormOfAPath(t *testing.T) {
	root := t.TempDir()
	if err := os.MkdirAll(filepath.Join(root, "repo", ".git"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("secrets", filepath.Join(root, "repo", "link")); err != nil {
		t.Skip("links cannot be made here:", err)
	}
	s := withPolicy(t, explainPolicy, pipeline.Env{Workspace: root})
	e := s.Explain(&request{ActionType: "read_file", Target: "./link/k", Cwd: filepath.Join(root, "repo")}, pipeline.Anonymous)
	if e.RuleID != "filesystem.read.block" || len(e.Files) != 1 {
		t.Fatalf("got %+v", e)
	}
	var hows []string
	for _, f := range e.Files[0].Forms {
		hows = append(hows, f.How)
	}
	for _, how := range []string{"as written", "cleaned", "made absolute", "taken relative to the workspace", "with links resolved"} {
		if !slices.Contains(hows, how) {
			t.Errorf("no form is %s: %q", how, hows)
		}
	}
	if !slices.ContainsFunc(e.Tried, func(t Trial) bool {
		return t.Text == "secrets/k" && t.How == "with links resolved" && t.List == "filesystem.block_read" && t.Of == 2 && t.Match != nil && *t.Match == Match{1, "secrets/**"}
	}) {
		t.Errorf("the pattern that matched is not told: %+v", e.Tried)
	}
}

// TestAdviceIsTrueAndHarmless follows the advice on a command that no pattern
// allows: it must allow that command and no shell.
func TestAdviceIsTrueAndHarmless(t *testing.T) {
	s := explainStage(t)
	dangerous := []string{"sh", "bash", "bash -c id", "sudo sh", "env bash", "busybox sh", "python3 -c 1", "docker run x", "foo; sh", "/bin/sh", "xargs sh", "ssh h", "find . -exec sh {} +", "frob --shell=x bash", "eval ls", ". x"}
	lines := append(slices.Clone(dangerous), "frob --bar", "frob *", "frob --bar; frob x", "frob \u202e", "kubectl exec p -- sh", "$X", "make x", "frob 'a b'")
	advised := 0
	for _, line := range lines {
		t.Run(line, func(t *testing.T) {
			e := s.Explain(&request{ActionType: "execute_command", Target: line}, pipeline.Anonymous)
			var patterns []string
			for _, a := range e.Advice {
				if _, quoted, ok := strings.Cut(a, "for nothing else: "); ok {
					patterns = append(patterns, strings.Trim(quoted, `"`))
				}
			}
			if len(patterns) == 0 {
				return
			}
			advised++
			text, _ := json.Marshal(map[string]any{"commands": map[string]any{"allow": patterns}})
			changed := withPolicy(t, string(text), pipeline.Env{})
			if strings.HasPrefix(line, "frob") && !slices.Contains(dangerous, line) {
				if r := ask(t, changed, &request{ActionType: "execute_command", Target: line}); r.Decision != "allow" {
					t.Errorf("with %q it is still %s: %s", patterns, r.Decision, r.Reason)
				}
			}
			for _, d := range dangerous {
				if r := ask(t, changed, &request{ActionType: "execute_command", Target: d}); r.Decision == "allow" {
					t.Errorf("%q allow %q", patterns, d)
				}
			}
		})
	}
	if advised < 3 {
		t.Errorf("only %d lines came with a pattern", advised)
	}
}

func TestExplainReadsWhatIsNoFileAndNoCommand(t *testing.T) {
	registry := write(t, "registry.json", `{"mcp_servers":[{"server_id":"github","trust_tier":"experimental","approval_state":"approved"}]}`)
	s := newStage(t, Options{Registry: registry}, pipeline.Env{})
	e := s.Explain(&request{ActionType: "mcp_tool_call", Target: "github:list"}, pipeline.Anonymous)
	if e.Call == nil || e.Call.Server != "github" || e.Call.Tool != "list" || e.Call.Registry != `the entry of "github": trust_tier experimental, approval_state approved` {
		t.Errorf("got %+v", e.Call)
	}
	e = s.Explain(&request{ActionType: "git_operation", Operation: "push", Target: "HEAD:refs/heads/main"}, pipeline.Anonymous)
	if len(e.Pushes) != 1 || !slices.Equal(e.Pushes[0].Branches, []string{"main"}) {
		t.Errorf("got %+v", e.Pushes)
	}
	e = s.Explain(&request{Target: "rollout_promotion_execution", ReleaseGovernance: &enforcementv1.ReleaseGovernanceEvidence{DriftStatus: "Drifted"}}, pipeline.Anonymous)
	if want := (FoundRelease{Kind: "rollout-promotion-execution", Known: true, Required: true, Signal: "drift_status is drifted"}); e.Release == nil || *e.Release != want {
		t.Errorf("got %+v, want %+v", e.Release, want)
	}
	if want := []string{"policy_pack", "action_type"}; !slices.Equal(e.Request.Defaults, want) || e.Request.PolicyPack != DefaultPack {
		t.Errorf("got %+v", e.Request)
	}
	if e.Policy == nil || e.Policy.ID != DefaultPack || !strings.HasPrefix(e.Policy.Ref, "policy://"+DefaultPack+"@sha256:") {
		t.Errorf("got %+v", e.Policy)
	}
}

func TestExplainShowsNoToken(t *testing.T) {
	s := explainStage(t)
	const token = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJ0ZXN0In0.c2lnbmF0dXJl"
	for _, action := range knownActions {
		e := s.Explain(&request{ActionType: action, Target: "curl -H " + token + "; ls " + token, Operation: "push " + token, Cwd: "/" + token}, pipeline.Anonymous)
		text, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), token) {
			t.Errorf("%s: a token stands in %s", action, text)
		}
	}
}

func BenchmarkExplain(b *testing.B) {
	s := explainStage(b)
	req := &request{ActionType: "execute_command", Target: "ls; npm test && sudo rm -rf /"}
	b.Run("decide", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, _ = s.decide(req, nil, nil)
		}
	})
	b.Run("explain", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			s.Explain(req, pipeline.Anonymous)
		}
	})
}
