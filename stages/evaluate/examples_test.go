package evaluate

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/Huzefaaa2/cavra/go/cavra-runtime/pipeline"
)

const examplePolicy = `# What this is for.
metadata:
  id: example
filesystem:
  block_read: [.env, "**/*.pem"]
  block_write: [.github/workflows/**]
  require_approval_write: [iam/**]
commands:
  block: [terraform apply*]
  require_approval: [git tag*]
  allow: [terraform plan*, git *, ls*]   # and nothing else
mcp:
  allowed_servers: [github]
`

func parse(text string) error {
	_, err := parsePolicy("p.yaml", []byte(text), hclog.NewNullLogger())
	return err
}

func TestExamplesThatHold(t *testing.T) {
	err := parse(examplePolicy + `
examples:
  allow:
    - terraform plan -out plan.bin
    - command: ls -l
      rule: commands.allow
    - "terraform plan && ls"
    - read: README.md
    - write: main.go
    - push: origin feature/x
      rule: git.allow
    - mcp: github:list_issues
  require_approval:
    - make
    - command: git tag v1
      rule: commands.require_approval
    - {command: "ls; make", rule: commands.default.require_approval}
    - {command: "$(make) x", rule: commands.unresolved}
    - {write: ../iam/roles.tf, cwd: docs}
    - {write: /workspace/iam/roles.tf}
  block:
    - terraform plan; terraform apply
    - read: a/../.env
    - {read: ../.env, cwd: /workspace/app}
    - {read: /workspace/.env, rule: filesystem.read.block}
    - {command: "echo x > .github/workflows/ci.yml", rule: filesystem.write.block}
    - {command: git push origin main, rule: git.protected_branch.block_direct_push}
    - push: main
    - {push: --all, rule: git.push.unresolved}
    - {mcp: "other:tool", rule: mcp.server.trust.block_unknown}
    - mcp: ":tool"
    - command: " "
      rule: request.invalid
    - {read: "a\0b", rule: request.invalid}
`)
	if err != nil {
		t.Error(err)
	}
}

func TestExamplesThatFailAreAllNamed(t *testing.T) {
	err := parse(examplePolicy + `examples:
  allow:
    - terraform plan
    - terraform apply
    - read: server.pem
  require_approval:
    - command: git tag v1
      rule: commands.default.require_approval
  block:
    - ls
    - mcp: github:x
`)
	want := strings.TrimSpace(`
p.yaml:17:7: examples.allow[1]: "terraform apply" must be allow and is block by commands.block: the command matches "terraform apply*" in commands.block; do without it, or have the policy changed
p.yaml:18:7: examples.allow[2]: "server.pem" must be allow and is block by filesystem.read.block: the target matches "**/*.pem" in filesystem.block_read; do without it, or have the policy changed
p.yaml:20:7: examples.require_approval[0]: "git tag v1" must be require_approval by "commands.default.require_approval" and is require_approval by commands.require_approval: the command matches "git tag*" in commands.require_approval; ask for approval and wait for it
p.yaml:23:7: examples.block[0]: "ls" must be block and is allow by commands.allow: the command matches "ls*" in commands.allow
p.yaml:24:7: examples.block[1]: "github:x" must be block and is allow by mcp.server.trust.allow: the server matches "github" in mcp.allowed_servers`)
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
}

func TestExamplesThatCannotBeRead(t *testing.T) {
	err := parse(examplePolicy + `examples:
  allows: [ls]
  allow:
    - 7
    - ""
    - {}
    - {command: ls, read: x}
    - {comand: ls}
    - {cwd: /}
    - {command: [ls], rule: 7}
    - null
    - {read: ""}
  block: terraform apply
  require_approval:
    - {read: x, cwd: 7}
`)
	want := strings.TrimSpace(`
p.yaml:15:3: examples.allows: unknown member of examples; did you mean "allow"?
p.yaml:17:7: examples.allow[0]: wants a command line, or a map that says what is asked, found a whole number
p.yaml:18:7: examples.allow[1]: asks nothing; write what is asked
p.yaml:19:7: examples.allow[2]: asks nothing; write one of command, read, write, push and mcp
p.yaml:20:7: examples.allow[3]: asks 2 things; write one of command, read, write, push and mcp
p.yaml:21:8: examples.allow[4].comand: unknown option; did you mean "command"?
p.yaml:22:7: examples.allow[5]: asks nothing; write one of command, read, write, push and mcp
p.yaml:23:17: examples.allow[6].command: wants a string, found a list
p.yaml:23:29: examples.allow[6].rule: wants a string, found a whole number; put it in quotes
p.yaml:24:7: examples.allow[7]: has no value; write one, or remove it
p.yaml:25:7: examples.allow[8]: asks nothing; write what is asked
p.yaml:26:10: examples.block: wants a list, found a string; write [ ] around it
p.yaml:28:22: examples.require_approval[0].cwd: wants a string, found a whole number; put it in quotes`)
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
}

// What a policy without its faults would answer is not known, so its examples are
// not blamed for them.
func TestExamplesOfAFaultyPolicyAreRead(t *testing.T) {
	err := parse(`{"metadata":{"id":"x"},"commands":{"alow":["ls"]},"examples":{"allow":["ls",7]}}`)
	if err == nil || !strings.Contains(err.Error(), "commands.alow") || !strings.Contains(err.Error(), "examples.allow[1]") || strings.Contains(err.Error(), "must be") {
		t.Errorf("got %v", err)
	}
}

func TestExamplesAreBounded(t *testing.T) {
	text := func(n int, example string) string {
		return `{"metadata":{"id":"x"},"commands":{"allow":["ls*"]},"examples":{"allow":["ls"` + strings.Repeat(`,"`+example+`"`, n-1) + `]}}`
	}
	long := "ls " + strings.Repeat("x", 1000-len("ls "))
	for name, tt := range map[string]struct{ text, want string }{
		"as many as may be":  {text(mostExamples, "ls"), ""},
		"too many":           {text(mostExamples+1, "ls"), "more than 2000 examples"},
		"as large as may be": {text(mostExampleBytes/1000, long), ""},
		"too large":          {text(mostExampleBytes/1000+2, long), "more than 256KiB of examples"},
	} {
		if err := parse(tt.text); (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Examples mean the same on every machine: what stands where they point plays no
// part.
func TestExamplesDoNotLookAtTheDisk(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "repo", ".git"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(".env", filepath.Join(dir, "repo", "link")); err != nil {
		t.Skip("links cannot be made here:", err)
	}
	policy := fmt.Sprintf(`{"metadata":{"id":"x"},"filesystem":{"block_read":[".env"]},"examples":{"allow":[{"read":%q},{"read":%q}]}}`,
		filepath.Join(dir, "repo", ".env"), filepath.Join(dir, "repo", "link"))
	if err := parse(policy); err != nil {
		t.Error(err)
	}
	s := newStage(t, Options{Policy: write(t, "policy.json", policy)}, pipeline.Env{})
	r := ask(t, s, &request{ActionType: "read_file", Target: filepath.Join(dir, "repo", ".env")})
	verdict{"block", "filesystem.read.block", "high", ""}.check(t, r)
}

// The most that examples can cost a start, beside the most of patterns.
func TestTheWorstExamplesLoadInTime(t *testing.T) {
	var b strings.Builder
	b.WriteString(`{"metadata":{"id":"x"},"commands":{"allow":["x"],"block":["y"`)
	for i := range 100_000 {
		fmt.Fprintf(&b, `,"tool-%d *"`, i)
	}
	b.WriteString(`]},"examples":{"require_approval":["z"`)
	line := strings.Repeat("cat a>b;", 400) + "{a..z}{a..z}"
	for range mostExampleBytes/len(line) - 1 {
		fmt.Fprintf(&b, `,%q`, line)
	}
	b.WriteString(`]}}`)
	start := time.Now()
	if err := parse(b.String()); err != nil {
		t.Error(err)
	}
	t.Logf("loaded in %v", time.Since(start))
	if took := time.Since(start); took > patience {
		t.Errorf("took %v", took)
	}
}

func TestEveryPackHoldsExamples(t *testing.T) {
	for _, name := range PackNames() {
		text, _ := Pack(name)
		var pack struct {
			Examples map[string][]any `json:"examples"`
		}
		decode(t, text, &pack)
		total := 0
		for _, decision := range []string{"allow", "require_approval", "block"} {
			if len(pack.Examples[decision]) < 3 {
				t.Errorf("%s holds %d examples of %s", name, len(pack.Examples[decision]), decision)
			}
			total += len(pack.Examples[decision])
		}
		if total < 15 {
			t.Errorf("%s holds %d examples", name, total)
		}
	}
}
