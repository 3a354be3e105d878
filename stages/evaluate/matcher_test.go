package evaluate

import (
	"encoding/json"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"pgregory.net/rapid"

	"github.com/Huzefaaa2/cavra/go/cavra-runtime/pipeline"
)

// matchOneByOne is what a matcher promises, said as shortly as it can be.
func matchOneByOne(texts []string, s string) int {
	for i, text := range texts {
		for _, g := range appendGlobs(nil, i, text) {
			if g.match(s) {
				return i
			}
		}
	}
	return -1
}

func TestAMatcherAgreesWithPatternsTriedOneByOne(t *testing.T) {
	for name, letters := range map[string]string{"short words": "ab/*", "with bytes of any kind": "a\x00\xffé*"} {
		for _, longest := range []int{4, 12} {
			t.Run(fmt.Sprint(name, " of ", longest), func(t *testing.T) {
				word := rapid.StringOfN(rapid.SampledFrom([]rune(letters)), 0, longest, -1)
				deep := rapid.Custom(func(t *rapid.T) string {
					return rapid.SampledFrom([]string{"", "**/", "*", "aaaaaaaa"}).Draw(t, "start") + word.Draw(t, "rest")
				})
				rapid.Check(t, func(t *rapid.T) {
					texts := rapid.SliceOfN(deep, 0, 4*mostFew).Draw(t, "patterns")
					list := compilePatterns(texts)
					for _, s := range rapid.SliceOfN(deep, 1, 8).Draw(t, "values") {
						if len(texts) > 0 && rapid.Bool().Draw(t, "like a pattern") {
							s = strings.ReplaceAll(rapid.SampledFrom(texts).Draw(t, "pattern"), "*", s)
						}
						if got, want := list.match(s), matchOneByOne(texts, s); got != want {
							t.Fatalf("%q on %q: pattern %d, want %d", texts, s, got, want)
						}
					}
				})
			})
		}
	}
}

func FuzzMatcher(f *testing.F) {
	f.Add("**/*.pem\ngit push*\n*secret*\nterraform *apply*", "config/server.pem")
	f.Add("a*\n*b\n*\n\nab", "a\x00b")
	f.Fuzz(func(t *testing.T, lines, s string) {
		texts := strings.Split(lines, "\n")
		// Filled up, so that it is indexed; what fills it comes last and never matches.
		full := texts
		for i := range 2 * mostFew {
			full = append(full, fmt.Sprint("*", s, i, "*"))
		}
		want := matchOneByOne(texts, s)
		if got := compilePatterns(texts).match(s); got != want {
			t.Errorf("%q on %q: pattern %d, want %d", texts, s, got, want)
		}
		if got := compilePatterns(full).match(s); got != want {
			t.Errorf("%q, filled up, on %q: pattern %d, want %d", texts, s, got, want)
		}
	})
}

// A value that holds every gram over and over has each pattern tried once.
func TestNoPatternIsTriedTwice(t *testing.T) {
	var texts []string
	for i := range 200 {
		texts = append(texts, fmt.Sprintf("*%03d*never", i))
	}
	list := compilePatterns(texts)
	var all strings.Builder
	for i := range 200 {
		fmt.Fprintf(&all, "%03d.", i)
	}
	value := strings.Repeat(all.String(), 1<<20/all.Len())
	start := time.Now()
	if got := list.match(value); got != -1 {
		t.Errorf("pattern %d matches", got)
	}
	if took := time.Since(start); took > 2*time.Second {
		t.Errorf("took %v", took)
	}
}

// manyPatterns are n patterns of the kinds that people write, none of which
// matches one of someValues.
func manyPatterns(n int) []string {
	texts := make([]string, n)
	for i := range texts {
		switch i % 6 {
		case 0:
			texts[i] = fmt.Sprintf("tool-%06d *", i)
		case 1:
			texts[i] = fmt.Sprintf("**/secret-%06d/*.pem", i)
		case 2:
			texts[i] = fmt.Sprintf("terraform apply -target=module.m%06d", i)
		case 3:
			texts[i] = fmt.Sprintf("git push origin*release-%06d", i)
		case 4:
			texts[i] = fmt.Sprintf("*token_%06d*", i)
		case 5:
			texts[i] = fmt.Sprintf("infra/%06d/**", i)
		}
	}
	return texts
}

var someValues = []string{"terraform plan -out=plan.bin", "git push origin feature-12", "services/billing/internal/server.go"}

// manyRules is the text of a policy of 100,000 patterns.
func manyRules(t testing.TB) []byte {
	text, err := json.Marshal(map[string]any{"metadata": map[string]any{"id": "p"}, "filesystem": map[string]any{"block_read": manyPatterns(100_000)}})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// TestManyPatternsLoad bounds the memory that a policy of 100,000 patterns takes.
// The benchmark tells the time.
func TestManyPatternsLoad(t *testing.T) {
	text := manyRules(t)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	p, err := parsePolicy("p", text, hclog.NewNullLogger())
	runtime.ReadMemStats(&after)
	if err != nil {
		t.Fatal(err)
	}
	if used := after.TotalAlloc - before.TotalAlloc; used > 200<<20 {
		t.Errorf("allocated %d MiB", used>>20)
	}
	if got := p.blockRead.match("x/secret-000601/a.pem"); got != 601 {
		t.Errorf("pattern %d", got)
	}
}

func BenchmarkMatch(b *testing.B) {
	for _, value := range someValues {
		var least float64
		for _, n := range []int{12, 1_000, 10_000, 100_000} {
			list := compilePatterns(manyPatterns(n))
			b.Run(fmt.Sprintf("%s/%d", strings.Fields(value)[0], n), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if list.match(value) >= 0 {
						b.Fatal("a pattern matches")
					}
				}
				took := float64(b.Elapsed().Nanoseconds()) / float64(b.N)
				if n == 12 {
					least = took
				}
				b.ReportMetric(took/least, "of-12")
			})
		}
	}
}

func BenchmarkLoadManyPatterns(b *testing.B) {
	text := manyRules(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := parsePolicy("p", text, hclog.NewNullLogger()); err != nil {
			b.Fatal(err)
		}
	}
}

// withManyPatterns makes a stage whose command lists hold n patterns together.
func withManyPatterns(t testing.TB, n int) *Stage {
	third := func(more ...string) string {
		text, err := json.Marshal(append(manyPatterns(n/3), more...))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	return withPolicy(t, `{"commands":{"block":`+third()+`,"require_approval":`+third()+`,"allow":`+third("terraform plan*")+`}}`, pipeline.Env{})
}

// BenchmarkPlainCommand is a whole decision, by policies of many patterns.
func BenchmarkPlainCommand(b *testing.B) {
	var least float64
	for _, n := range []int{12, 1_000, 10_000} {
		s := withManyPatterns(b, n)
		req := &request{ActionType: "execute_command", Target: "terraform plan"}
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if d := askQuick(s, req); d.Decision != "allow" {
					b.Fatal(d.Reason)
				}
			}
			took := float64(b.Elapsed().Nanoseconds()) / float64(b.N)
			if n == 12 {
				least = took
			}
			b.ReportMetric(took/least, "of-12")
		})
	}
}
