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
