package evaluate

import (
	"encoding/json"
	"fmt"
	"path"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/Huzefaaa2/cavra/go/cavra-runtime/pipeline"
)

// What is meant to exhaust the stage ends in bounded time and memory, and in a
// decision that is no allow.
func TestWhatIsTooMuchIsDecidedAndNotAllowed(t *testing.T) {
	const mostTime, mostMemory = 2 * time.Second, 64 << 20
	everything := withPolicy(t, everythingElse, pipeline.Env{Workspace: t.TempDir()})
	stars, _ := json.Marshal(strings.Repeat("a*", 10_000) + "b")
	ofStars := withPolicy(t, fmt.Sprintf(`{"commands":{"allow":["x",%s]},"filesystem":{"block_read":[%s]}}`, stars, stars), pipeline.Env{})
	large := withManyPatterns(t, 100_000)
	options := []string{}
	for i := range 10_000 {
		options = append(options, fmt.Sprintf("tool -%c --opt-%d*", 'a'+i%26, i))
	}
	list, _ := json.Marshal(options)
	ofOptions := withPolicy(t, fmt.Sprintf(`{"commands":{"block":["git push -x*","kubectl x -x*"],"require_approval":%s,"allow":["*"]}}`, list), pipeline.Env{})
	nested := func(open, close string, n int) string {
		return "echo " + strings.Repeat(open, n) + "a" + strings.Repeat(close, n)
	}
	for name, c := range map[string]struct {
		stage *Stage
		line  string
	}{
		"a script of a MiB":          {everything, strings.Repeat("echo a;", 1<<20/7)},
		"a MiB in quotes":            {everything, "echo '" + strings.Repeat("a", 1<<20-8) + "'"},
		"200,000 parentheses":        {everything, strings.Repeat("(", 200_000)},
		"parentheses in a shell":     {everything, "sh -c '" + strings.Repeat("(", 60_000) + "'"},
		"a thousand substitutions":   {everything, nested("$(", ")", 1000)},
		"a thousand old ones":        {everything, nested("`", "`", 1000)},
		"a thousand expansions":      {everything, nested("${a:-", "}", 1000)},
		"a million words of braces":  {everything, "echo {1..1000000}"},
		"a product of braces":        {everything, "echo " + strings.Repeat("{a,b}", 20)},
		"braces in a shell":          {everything, "sh -c 'echo {1..1000000}'"},
		"words that double":          {everything, "X=aaaaaaaa" + strings.Repeat(";X=$X$X", 60) + ";echo $X"},
		"what starts what starts":    {everything, strings.Repeat("docker run ", 3000)},
		"wrappers that are not read": {everything, strings.Repeat("sudo --x ", 3000) + "rm"},
		"a script of sed":            {everything, "sed '" + strings.Repeat("s/a/b/;", 9000) + "e id' x"},
		"a pattern of 10,000 stars":  {ofStars, strings.Repeat("a", 1<<20)},
		"stars beside a script":      {ofStars, strings.Repeat("a", 30_000) + "; " + strings.Repeat("a", 30_000)},
		"a word of many options":     {ofOptions, "tool -" + strings.Repeat("abcdefghijklmnopqrstuvwxyz", 2000)},
		"options again and again":    {ofOptions, "tool" + strings.Repeat(" -a --opt-26 v", 4000)},
		"pushes by force":            {ofOptions, "git push" + strings.Repeat(" +x", 20_000)},
		"kinds with names":           {ofOptions, "kubectl get" + strings.Repeat(" a,b/c", 5000)},
		"kinds among options":        {ofOptions, "kubectl get po,secret" + strings.Repeat(" -o x", 10_000)},
		"goals":                      {ofOptions, "make" + strings.Repeat(" a", 50_000)},
		"100,000 patterns":           {large, strings.Repeat("tool-0 ", 1<<20/7)},
		"100,000 patterns, a script": {large, strings.Repeat("rm -r a; ", 200)},
	} {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			start := time.Now()
			d := askQuick(c.stage, &request{ActionType: "execute_command", Target: c.line})
			took := time.Since(start)
			runtime.ReadMemStats(&after)
			if d.Decision != "block" && d.Decision != "require_approval" {
				t.Errorf("answered with %q by %s: %s", d.Decision, d.RuleID, d.Reason)
			}
			if used := after.TotalAlloc - before.TotalAlloc; took > mostTime || used > mostMemory {
				t.Errorf("took %v and allocated %d MiB", took, used>>20)
			}
		})
	}
}

// FuzzACleanedPath: to clean a path twice changes nothing more, and a path that is
// not cleaned has every form of the cleaned one, so it is judged no less strictly.
func FuzzACleanedPath(f *testing.F) {
	for _, target := range []string{"a/../.env", "./.env/", "//etc//x", "../../x", "a/./b/..", "", ".", "/..", "secrets//a/"} {
		f.Add(target, "/src/sub")
		f.Add(target, "")
	}
	place := newPlace("/work", false)
	f.Fuzz(func(t *testing.T, target, cwd string) {
		clean := path.Clean(target)
		if again := path.Clean(clean); again != clean {
			t.Fatalf("%q is cleaned to %q and then to %q", target, clean, again)
		}
		if target == "" || len(target) > longestPath {
			return
		}
		all := func(target string) (texts []string) {
			forms := place.formsOf(target, cwd)
			for i := 0; ; i++ {
				form, ok := forms.at(i)
				if !ok {
					return texts
				}
				texts = append(texts, form.text)
			}
		}
		written := all(target)
		for _, form := range all(clean) {
			if !slices.Contains(written, form) {
				t.Fatalf("%q in %q has no form %q, which %q has; its forms are %q", target, cwd, form, clean, written)
			}
		}
	})
}

// FuzzOtherSpellings: whatever a pattern and a line are, the line is read in bounded
// ways, what the pattern says in full is blocked, and to look for other spellings of
// it makes no answer weaker.
func FuzzOtherSpellings(f *testing.F) {
	for _, pattern := range []string{"rm -rf *", "curl *-X DELETE*", "x state push*", "kubectl delete ns*", "make deploy*", "git push *--force*", "-", "x -", "x --", "x -=*", "* -f", "rm -*", "x  -é *--*"} {
		for _, line := range []string{"rm -fr x", "curl -sXDELETE --data=a u", "x -o a state -q push -", "kubectl get po/a,ns/b -n", "make a -- deploy", "git push +x :y -f", "x -\xff - -- --- '' =", "npm -s pub; tar xPf -é", "gcloud beta"} {
			f.Add(pattern, line)
		}
	}
	const mostReadings, mostText = 1 << 16, 16 << 20
	s := newStage(f, Options{}, pipeline.Env{})
	f.Fuzz(func(t *testing.T, pattern, line string) {
		text, err := json.Marshal(map[string]any{"metadata": map[string]string{"id": "x"}, "commands": map[string][]string{"block": {pattern}, "allow": {"*"}}})
		if err != nil {
			t.Fatal(err)
		}
		p, err := parsePolicy("fuzz.json", text, hclog.NewNullLogger())
		if err != nil || strings.TrimSpace(line) == "" {
			return
		}
		judge := func(p *policy, line string) string {
			d, err := s.judge(p, &request{ActionType: "execute_command", Target: line}, nil)
			if err != nil {
				return "block"
			}
			return d.Decision
		}
		read, _ := p.readCommand(line)
		size := 0
		for _, r := range read.readings {
			size += len(r.text)
		}
		if len(read.readings) > mostReadings || size > mostText {
			t.Errorf("%d readings of %d bytes of %.200q", len(read.readings), size, line)
		}
		found := judge(p, line)
		if p.blockCommand.match(line) >= 0 && found != "block" {
			t.Errorf("%q is %s, though %q matches it", line, found, pattern)
		}
		for _, literal := range []string{strings.ReplaceAll(pattern, "*", ""), strings.ReplaceAll(pattern, "*", " x ")} {
			if d := judge(p, literal); d != "block" && p.blockCommand.match(literal) >= 0 {
				t.Errorf("%q is %s, though it is what %q says", literal, d, pattern)
			}
		}
		asText := *p
		asText.subcommands, asText.arrangements = subcommands{}, arrangements{}
		rank := map[string]int{"allow": 0, "require_approval": 1, "block": 2}
		if d := judge(&asText, line); rank[d] > rank[found] {
			t.Errorf("%q is %s, and %s where no other spelling of %q is looked for", line, found, d, pattern)
		}
	})
}
