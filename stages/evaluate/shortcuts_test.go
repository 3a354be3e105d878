package evaluate

// What is judged or read by a shortcut comes out as it does the long way.

import (
	"bytes"
	"maps"
	"slices"
	"strings"
	"testing"

	"mvdan.cc/sh/v3/syntax"
	"pgregory.net/rapid"

	"github.com/Huzefaaa2/cavra/go/cavra-runtime/pipeline"
)

// What is judged by its text alone is judged as what the shell makes of it would be.
func TestPlainWordsAreJudgedAsTheShellReadsThem(t *testing.T) {
	s := withPolicy(t, `{"commands":{"block":["terraform apply*","git log -a*","*delete*","helm uninstall*","npm publish*","pip install*","tool -rf *","docker push*"],"require_approval":["npm publish*","git diff*"],"allow":["helm *","pip3 *","tool *","docker *","make *","git *","npm *","terraform plan*","go *","./x *"]},`+
		`"filesystem":{"block_read":["**/.env"],"block_write":["**/*.tf"]}}`, pipeline.Env{Files: []pipeline.File{{Path: "/own/policy.json"}}})
	word := rapid.SampledFrom(append(slices.Sorted(maps.Keys(gitLooks)),
		"git", "npm", "go", "terraform", "plan", "apply", "test", "publish", "push", "x", "main", "a=b", "-c", "--output=x.tf", "a.go", "./...",
		".env", "/own/policy.json", "policy.json", "-x", "%", "a:b", "a,b", "@", "sh", "cat", "env", "delete", "helm", "un", "pub", "pip3", "install", "tool", "-fr", "-r", "-f", "docker", "image", "make", "a.b", "}", "]", "^", "!", "-", "--"))
	plain := 0
	some := rapid.Custom(func(t *rapid.T) []string {
		words := rapid.SliceOfN(word, 1, 4).Draw(t, "words")
		if rapid.Bool().Draw(t, "of git") {
			words[0] = "git"
		}
		return words
	})
	check := func(t *rapid.T, words []string) {
		req := &request{ActionType: "execute_command", Target: strings.Join(words, " "), Cwd: rapid.SampledFrom([]string{"", "/own", "/"}).Draw(t, "cwd")}
		if !readLine(req.Target).plain {
			return
		}
		plain++
		quick := askQuick(s, req)
		req.Target += " "
		if full := askQuick(s, req); full.RuleID != quick.RuleID || full.Decision != quick.Decision || full.Severity != quick.Severity {
			t.Fatalf("%q: %s %s by its words, %s %s as a shell reads it: %s", req.Target, quick.Decision, quick.RuleID, full.Decision, full.RuleID, full.Reason)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		for _, words := range rapid.SliceOfN(some, 50, 50).Draw(t, "lines") {
			check(t, words)
		}
	})
	if plain == 0 {
		t.Error("no line was plain")
	}
}

// somethingOfAShell are pieces of scripts, good and bad.
var somethingOfAShell = []string{
	"a", "b ", " ", "\n", ";", "&&", "|", "(", ")", "{", "}", "`", "$(", "\\`", "'", "\"", "\\", "<<E\n", "E\n", "<<-'F'\n", "[[ x =~ (", " ]]",
	"# c\n", "$((", "))", "=", "a=(", "for i in ", "do ", "done", "case x in ", "esac", "*", "?", "~", "[x]", "$x", "${y:-z}", "{a,b}", "é",
}

// Nothing of one script is left in the parser for the next.
func TestAParserIsAsFreshAsANewOne(t *testing.T) {
	script := rapid.Custom(func(t *rapid.T) string {
		return strings.Join(rapid.SliceOfN(rapid.SampledFrom(somethingOfAShell), 0, 12).Draw(t, "pieces"), "")
	})
	show := func(file *syntax.File, err error) string {
		var out bytes.Buffer
		if printErr := syntax.DebugPrint(&out, file); printErr != nil {
			t.Fatal(printErr)
		}
		if err != nil {
			out.WriteString(err.Error())
		}
		return out.String()
	}
	rapid.Check(t, func(t *rapid.T) {
		for _, text := range rapid.SliceOfN(script, 2, 4).Draw(t, "scripts") {
			fresh := syntax.NewParser(syntax.Variant(syntax.LangBash), syntax.KeepComments(true))
			if got, want := show(parseScript(text)), show(fresh.Parse(strings.NewReader(text), "")); got != want {
				t.Fatalf("%q is read as\n%s\nand by a new parser as\n%s", text, got, want)
			}
		}
	})
}

// A word that is taken as it is written is what putting it together gives.
func TestWordsAsTheyAreWritten(t *testing.T) {
	line := rapid.Custom(func(t *rapid.T) string {
		return "x " + strings.Join(rapid.SliceOfN(rapid.SampledFrom(somethingOfAShell), 1, 4).Draw(t, "pieces"), "")
	})
	check := func(t *rapid.T, text string) {
		file, err := parseScript(text)
		if err != nil || len(file.Stmts) != 1 {
			return
		}
		call, ok := file.Stmts[0].Cmd.(*syntax.CallExpr)
		if !ok || strings.Contains(text, "{") {
			return
		}
		in := func() scope {
			return scope{shell: &shell{left: mostResolved}, source: text, unwrapped: 1, variables: map[string]*variable{}}
		}
		quick, slow := in(), in()
		got, want := quick.fields(call.Args), []shellWord{}
		for _, w := range call.Args {
			want = append(want, slow.resolve(w, true)...)
		}
		if !slices.Equal(got, want) || quick.unresolved != slow.unresolved || quick.left != slow.left {
			t.Fatalf("%q: %v, %q, %d left; put together %v, %q, %d left", text, got, quick.unresolved, quick.left, want, slow.unresolved, slow.left)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		for _, text := range rapid.SliceOfN(line, 50, 50).Draw(t, "lines") {
			check(t, text)
		}
	})
}

// TestPlainCommandsAreCheap: what agents run most takes one piece of memory, for
// the reason, and another for the pattern that it quotes.
func TestPlainCommandsAreCheap(t *testing.T) {
	s := newStage(t, Options{}, pipeline.Env{Files: someFiles(t)})
	for _, line := range plainCommands {
		req := &request{ActionType: "execute_command", Target: line}
		if n := testing.AllocsPerRun(100, func() { askQuick(s, req) }); n > 2 {
			t.Errorf("%s: %v allocations, want at most 2", line, n)
		}
	}
	req := &request{ActionType: "execute_command", Target: compoundCommand}
	if n := testing.AllocsPerRun(100, func() { askQuick(s, req) }); n > 60 {
		t.Errorf("%s: %v allocations, want at most 60, of which the parser takes 22", compoundCommand, n)
	}
}

var plainCommands = []string{"terraform plan", "git status", "git log --oneline", "npm test"}

const compoundCommand = "terraform plan && terraform apply | tee out"

// BenchmarkPlain is a whole decision by the default pack.
func BenchmarkPlain(b *testing.B) {
	s := newStage(b, Options{}, pipeline.Env{Files: someFiles(b)})
	for _, line := range plainCommands {
		b.Run(line, func(b *testing.B) {
			req := &request{ActionType: "execute_command", Target: line}
			b.ReportAllocs()
			for b.Loop() {
				askQuick(s, req)
			}
		})
	}
}

// BenchmarkCompound is a decision on a line that only a shell can read, beside
// reading it and nothing else.
func BenchmarkCompound(b *testing.B) {
	var parse float64
	b.Run("bare parse", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, _ = syntax.NewParser(syntax.Variant(syntax.LangBash)).Parse(strings.NewReader(compoundCommand), "")
		}
		parse = float64(b.Elapsed().Nanoseconds()) / float64(b.N)
	})
	s := newStage(b, Options{}, pipeline.Env{Files: someFiles(b)})
	req := &request{ActionType: "execute_command", Target: compoundCommand}
	b.Run("decision", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if d := askQuick(s, req); d.Decision != "block" {
				b.Fatal(d.Reason)
			}
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/parse, "of-parse")
	})
}
