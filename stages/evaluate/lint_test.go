package evaluate

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"pgregory.net/rapid"
)

// warnings are what loading a policy, of which text holds all but the metadata,
// says in the log, a line each.
func warnings(t *testing.T, text string) []string {
	t.Helper()
	log, logged := logged()
	if _, err := parsePolicy("policy.yaml", []byte("metadata: {id: test}\n"+text), log); err != nil {
		t.Fatal(err)
	}
	var list []string
	for line := range strings.Lines(logged()) {
		_, line, _ = strings.Cut(strings.TrimSpace(line), "[WARN]")
		list = append(list, line)
	}
	return list
}

// patience is far more than any policy takes to load, on a busy machine and under
// the race detector, and far less than one does whose cost grows with the square
// of its size. BenchmarkLoad has the figures.
const patience = 30 * time.Second

func TestPatternsThatNeverDecide(t *testing.T) {
	tests := []struct {
		name, policy string
		want         []string // what each warning holds, in order
	}{
		{"twice", "commands: {block: [x, x]}", []string{`line=2 list=commands.block pattern="\"x\"" by="\"x\"" by_list=commands.block by_line=2`}},
		{"a star", "commands:\n  block:\n  - terraform *\n  - terraform apply*", []string{`line=5 list=commands.block`}},
		{"the narrow one first", "commands: {block: [terraform apply*, terraform *]}", nil},
		{"no blank", "commands: {allow: [gofmt *, gofmt]}", nil},
		{"deep holds shallow", `filesystem: {block_read: ["**/.env", ".env", "a/.env", "*/.env"]}`, []string{`pattern="\".env\""`, `pattern="\"a/.env\""`, `*/.env`}},
		{"shallow does not hold deep", `filesystem: {block_read: [".env", "**/.env"]}`, nil},
		{"two hold one together", `filesystem: {block_read: [".env", "*/.env", "**/.env"]}`, []string{`**/.env`}},
		{"two stars are one", `filesystem: {block_write: ["a*", "a**"]}`, []string{`a**`}},
		{"lists apart", "filesystem: {block_read: [a], block_write: [a]}", nil},
		{"approval under block", `filesystem: {block_write: ["iam/**"], require_approval_write: ["iam/roles/*"]}`, []string{`list=filesystem.require_approval_write pattern="\"iam/roles/*\""`}},
		{"allow under block", "commands: {block: [terraform *], allow: [terraform plan*, go test*]}", []string{`list=commands.allow pattern="\"terraform plan*\"" by="\"terraform *\"" by_list=commands.block`}},
		{"allow under approval", "commands: {require_approval: [git push*], allow: [git push origin*]}", []string{`by_list=commands.require_approval`}},
		{"block under allow", "commands: {block: [git push*], allow: [git *]}", nil},
		{"server", "mcp: {allowed_servers: [a, b], blocked_servers: ['a*']}", []string{`list=mcp.allowed_servers`}},
		{"branch", "git: {protected_branches: ['release/*', 'release/1']}", []string{`list=git.protected_branches`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := warnings(t, tt.policy)
			if len(got) != len(tt.want) {
				t.Fatalf("%d warnings:\n%s", len(got), strings.Join(got, "\n"))
			}
			for i, want := range tt.want {
				if !strings.Contains(got[i], want) || !strings.Contains(got[i], "never decides") {
					t.Errorf("%q does not hold %q", got[i], want)
				}
			}
		})
	}
}

func TestPatternsThatAllowAnything(t *testing.T) {
	for pattern, allows := range map[string]string{
		"*":                   `"sh"`,
		"bash*":               `"bash"`,
		"sh *":                `"sh ..."`,
		"bash -c *":           `"bash -c ..."`,
		"python*":             `"python"`,
		"python3 -m *":        `"python3 -m ..."`,
		"python3.12 *":        `"python3.12 ..."`,
		"/bin/sh *":           `"/bin/sh ..."`,
		"node -e*":            `"node -e ..."`,
		"env*":                `"env"`,
		"sudo*":               `"sudo"`,
		"xargs*":              `"xargs"`,
		"*sh":                 `"sh"`,
		"python3 -m pytest*":  "",
		"sh scripts/test.sh":  "",
		"node --version":      "",
		"shellcheck *":        "",
		"timeout 60 go test*": "",
		"sudo systemctl *":    "",
		"terraform plan*":     "",
		"environment*":        "",
	} {
		t.Run(pattern, func(t *testing.T) {
			got := warnings(t, fmt.Sprintf("commands: {allow: [%q]}", pattern))
			if allows == "" && len(got) > 0 || allows != "" && len(got) != 1 {
				t.Fatalf("warnings: %v", got)
			}
			if want := fmt.Sprintf("allows=%q", allows); allows != "" && !strings.Contains(got[0], want) {
				t.Errorf("%s does not hold %s", got[0], want)
			}
		})
	}
}

func TestThePacksHoldTheirExamplesAndGiveNoWarnings(t *testing.T) {
	for _, name := range PackNames() {
		log, logged := logged()
		text, _ := Pack(name)
		if _, err := parsePolicy(name, text, log); err != nil {
			t.Error(err)
		}
		if logged() != "" {
			t.Errorf("%s:\n%s", name, logged())
		}
	}
}

// A pattern covers another one exactly when no text tells them apart: a witness
// shows that it does not, and where it does no short text says otherwise.
func TestCoveringIsExact(t *testing.T) {
	texts := []string{""}
	for from := 0; len(texts) < 1+5+25+125+625; from++ {
		for _, c := range "ab/*x" { // a star in a text is like any letter
			texts = append(texts, texts[from]+string(c))
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		pattern := rapid.StringMatching(`(\*\*/){0,2}[ab/*]{1,6}`)
		list := rapid.SliceOfN(pattern, 1, 3).Draw(t, "earlier")
		p := pattern.Draw(t, "pattern")
		earlier, one := compilePatterns(list), compilePatterns([]string{p})
		covered := true
		for _, form := range fill(p) {
			witness := strings.ReplaceAll(form, anything, "x")
			if one.match(witness) < 0 {
				t.Fatalf("%q does not match its own form %q", p, witness)
			}
			if earlier.match(form) < 0 {
				covered = false
				if earlier.match(witness) >= 0 {
					t.Fatalf("%q is told from %v, and %q by neither", p, list, witness)
				}
			}
		}
		for _, text := range texts {
			if covered && one.match(text) >= 0 && earlier.match(text) < 0 {
				t.Fatalf("%q is covered by %v, and alone matches %q", p, list, text)
			}
		}
	})
}

func TestWarningsAreCounted(t *testing.T) {
	got := warnings(t, `commands: {block: [a`+strings.Repeat(", a", 100)+`]}`)
	if len(got) != mostWarnings+1 || !strings.Contains(got[mostWarnings], "more=75") {
		t.Errorf("%d warnings, the last: %s", len(got), got[len(got)-1])
	}
}

// Every pattern needs the same two bytes of a text in another order, so that none
// is left out before it is tried. Without a bound that takes a minute.
func TestWarningsTakeBoundedTime(t *testing.T) {
	const bits = 15
	var b strings.Builder
	b.WriteString(`{"metadata":{"id":"hostile"},"commands":{"block":["x"`)
	for i := range 1 << bits {
		b.WriteString(`,"`)
		for bit := range bits {
			b.WriteString("*" + string("ab"[i>>bit&1]))
		}
		b.WriteString(`*"`)
	}
	b.WriteString(`]}}`)
	log, logged := logged()
	start := time.Now()
	if _, err := parsePolicy("hostile.json", []byte(b.String()), log); err != nil {
		t.Fatal(err)
	}
	t.Logf("loaded in %v", time.Since(start))
	if took := time.Since(start); took > patience {
		t.Errorf("took %v", took)
	}
	if !strings.Contains(logged(), "took too long") {
		t.Errorf("the log does not say that the search ended:\n%.1000s", logged())
	}
}

func BenchmarkLoad(b *testing.B) {
	for _, n := range []int{1_000, 100_000} {
		var text strings.Builder
		text.WriteString(`{"metadata":{"id":"big"},"commands":{"block":["x"`)
		for i := range n {
			fmt.Fprintf(&text, `,"tool-%d delete *--target %d*"`, i, i*7919%n)
		}
		text.WriteString(`]},"examples":{"block":["x"`)
		for i := range mostExamples - 1 {
			fmt.Fprintf(&text, `,"cd a && tool-%d delete x --target %d"`, i%n, i%n*7919%n)
		}
		text.WriteString(`]}}`)
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := parsePolicy("big.json", []byte(text.String()), hclog.NewNullLogger()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
