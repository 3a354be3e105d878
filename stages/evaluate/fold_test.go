package evaluate

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
	"pgregory.net/rapid"

	"github.com/Huzefaaa2/cavra/go/cavra-runtime/pipeline"
)

func TestFolded(t *testing.T) {
	for _, same := range [][]string{
		{".env", ".ENV", ".eNv"},
		{"secrets", "SECRETS", "ſecretſ"},
		{"key", "\u212aey"}, // the Kelvin sign
		{"strasse", "straße", "STRAẞE"},
		{"profile", "pro\ufb01le"},
		{"\u00e9", "e\u0301", "\u00c9", "E\u0301"},
		{".env", ".e\u200cnv", ".\u00adenv", "\ufeff.env", ".env\ufe0f"},
		{"\uac00", "\u1100\u1161"},
		{"ΣΑΣ", "σας", "σασ"},
		{"a;b", "a\u037eb"},
		{"秘密"}, {"e"}, {"i", "ı", "I"}, {".envx"}, {"１"}, {""},
	} {
		for _, other := range []string{".env", "secrets", "key", "strasse", "profile", "\u00e9", "\uac00", "σας", "a;b", "秘密", "e", "i", ".envx", "１", ""} {
			for _, s := range same {
				if got, want := folded(s) == folded(other), slices.Contains(same, other); got != want {
					t.Errorf("%+q and %+q are the same: %v, want %v", s, other, got, want)
				}
			}
		}
	}
}

// Folding is at least as coarse as Unicode's full case folding and canonical
// equivalence are, for each character, and folding again changes nothing.
func TestFoldingIsThatOfUnicode(t *testing.T) {
	fold := cases.Fold()
	check := func(t interface{ Errorf(string, ...any) }, s string) {
		want := folded(s)
		for how, other := range map[string]string{
			"case": fold.String(s), "composed": norm.NFC.String(s), "parted": norm.NFD.String(s), "capitals": strings.ToUpper(s), "again": want,
		} {
			if got := folded(other); got != want {
				t.Errorf("%+q is folded %+q, and %s, as %+q, %+q", s, want, how, other, got)
			}
		}
		if isFolded(s) != (want == s) {
			t.Errorf("isFolded(%+q) is %v", s, isFolded(s))
		}
	}
	for _, characters := range [][2]rune{{0, 0xd7ff}, {0xe000, 0x1ffff}, {0x2f800, 0x2fa1f}, {0xe0000, 0xe01ef}} {
		for r := characters[0]; r <= characters[1]; r++ {
			if s := string(r); strings.ToUpper(s) != s || norm.NFD.String(s) != s || fold.String(s) != s || folded(s) != s {
				check(t, s)
			}
		}
	}
	rapid.Check(t, func(t *rapid.T) { check(t, norm.NFD.String(rapid.String().Draw(t, "text"))) })
}

const foldingPolicy = `{"filesystem":{"block_read":["**/.env","Secrets/**","**/Straße.key"],"block_write":["**/.env","**/Jenkinsfile"],"require_approval_write":["**/*.tf"]},"commands":{"allow":["*"]}}`

// foldingStage is one on a system where names fold, of whose file system nothing
// needs to be asked.
func foldingStage(t testing.TB, env pipeline.Env) *Stage {
	s := withPolicy(t, foldingPolicy, env)
	s.place.folds = true
	s.own = newOwnFiles(env.Files, s.place)
	s.place.disk.folds = func(string) (bool, error) { t.Error("the file system was asked"); return false, nil }
	return s
}

func TestNamesThatDifferInCase(t *testing.T) {
	dir := t.TempDir()
	ws := makeDir(t, dir, "Ws")
	files := []pipeline.File{{Path: filepath.Join(dir, "etc", "hmac.key"), Secret: true}, {Path: filepath.Join(ws, "Policy.json")}}
	s := foldingStage(t, pipeline.Env{Workspace: ws, Files: files})
	upper := strings.ToUpper(ws)
	tests := []struct {
		name, action, target, cwd, want string
	}{
		{"as it is written", "read_file", ".env", "", "block"},
		{"in capitals", "read_file", ".ENV", "", "block"},
		{"in a directory", "read_file", "a/.Env", "", "block"},
		{"cleaned", "read_file", "a/../x/./.ENV/", "", "block"},
		{"a long s", "read_file", "ſecrets/x", "", "block"},
		{"characters that show nothing", "read_file", ".e\u200dnv", "", "block"},
		{"a pattern in capitals", "read_file", "secrets/x", "", "block"},
		{"a pattern that is not ASCII", "read_file", "STRASSE.KEY", "", "block"},
		{"from cwd", "read_file", "SECRETS/x", ws, "block"},
		{"the workspace in capitals", "read_file", upper + "/secrets/x", "", "block"},
		{"cwd in capitals", "read_file", "secrets/x", upper, "block"},
		{"cwd is the directory", "read_file", "x", ws + "/SECRETS", "block"},
		{"another file", "read_file", "ENV", "", "allow"},
		{"capitals of another file", "read_file", "README.md", "", "allow"},
		{"a new file", "write_file", "new/.ENV", "", "block"},
		{"a pattern for a new file", "write_file", "jenkinsfile", "", "block"},
		{"approval", "write_file", "MAIN.TF", "", "require_approval"},
		{"a block before approval", "write_file", "x.TF/.ENV", "", "block"},
		{"a command", "execute_command", "cat .ENV", "", "block"},
		{"a redirection", "execute_command", "echo x > a/.ENV", "", "block"},
		{"a directory with all in it", "execute_command", "cp -r SECRETS x", "", "block"},
		{"another command", "execute_command", "cat README.md", "", "allow"},
		{"our own file", "read_file", dir + "/ETC/HMAC.key", "", "block"},
		{"beside our own file", "write_file", dir + "/etc/HMAC.key.LOCK", "", "block"},
		{"a directory that holds our own file", "write_file", dir + "/ETC", "", "block"},
		{"our own file from the workspace", "write_file", "pOLICY.JSON", "", "block"},
		{"a command on our own file", "execute_command", "wc -l POLICY.json", "", "block"},
		{"a command on our own file from cwd", "execute_command", "touch ../WS/POLICY.json", ws + "/x", "block"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			req := &request{ActionType: tt.action, Target: tt.target, Cwd: tt.cwd}
			if d := ask(t, s, req); d.Decision != tt.want {
				t.Errorf("%s by %s: %s", d.Decision, d.RuleID, d.Reason)
			}
		})
	}
	d := ask(t, s, &request{ActionType: "read_file", Target: ".ENV"})
	if want := `the target, with its case folded as ".env", matches "**/.env" in filesystem.block_read`; !strings.HasPrefix(d.Reason, want) {
		t.Errorf("reason %q, want %q", d.Reason, want)
	}
}

// Where names fold nothing is allowed that is not where they do not, and each
// spelling is judged as strictly as the one in the policy.
func TestFoldingOnlyEverForbids(t *testing.T) {
	ws := t.TempDir()
	plain, folds := withPolicy(t, foldingPolicy, pipeline.Env{Workspace: ws}), foldingStage(t, pipeline.Env{Workspace: ws})
	plain.place.folds = false
	plain.place.disk.folds = func(string) (bool, error) { return false, nil }
	strictness := []string{"allow", "require_approval", "block"}
	rapid.Check(t, func(t *rapid.T) {
		part := rapid.SampledFrom([]string{".env", "Secrets", "Straße.key", "Jenkinsfile", "a.tf", "x", "..", "."})
		name := strings.Join(rapid.SliceOfN(part, 1, 4).Draw(t, "parts"), "/")
		req := &request{ActionType: rapid.SampledFrom([]string{"read_file", "write_file"}).Draw(t, "action"), Target: name}
		want := askQuick(plain, req)
		change := rapid.SampledFrom([]func(string) string{strings.ToUpper, strings.ToLower, norm.NFD.String, strings.Clone}).Draw(t, "change")
		req.Target = change(name)
		before, after := askQuick(plain, req), askQuick(folds, req)
		for _, least := range []pipeline.Decision{want, before} {
			if slices.Index(strictness, after.Decision) < slices.Index(strictness, least.Decision) {
				t.Fatalf("%s, %s, is %s where names fold, want at least %s", name, req.Target, after.Decision, least.Decision)
			}
		}
	})
}

// The file system is asked whether names fold only where that makes a difference,
// and once. What it does not tell is not allowed.
func TestWhetherNamesFoldIsAsked(t *testing.T) {
	ws := t.TempDir()
	s := withPolicy(t, foldingPolicy, pipeline.Env{Workspace: ws})
	s.place.folds = false
	asked, answer, fault := 0, true, error(nil)
	s.place.disk.folds = func(name string) (bool, error) {
		if !strings.HasPrefix(name, ws) {
			t.Errorf("asked about %s", name)
		}
		asked++
		return answer, fault
	}
	check := func(target, want string, times int) {
		t.Helper()
		asked = 0
		if d := ask(t, s, &request{ActionType: "write_file", Target: target}); d.Decision != want || asked != times {
			t.Errorf("%s: %s, asked %d times, want %s, %d times: %s", target, d.Decision, asked, want, times, d.Reason)
		}
	}
	check(".env", "block", 0)
	check("README.md", "allow", 0)
	check(".ENV", "block", 1)
	answer = false
	check(".ENV", "allow", 1)
	check("X.TF", "allow", 1)
	fault = errors.New("is not told")
	check(".ENV", "require_approval", 1)
	if d := ask(t, s, &request{ActionType: "execute_command", Target: "cp -r SECRETS x"}); d.Decision != "block" {
		t.Errorf("a directory of which it cannot be told: %s, %s", d.Decision, d.Reason)
	}

	released := make(chan struct{})
	s.place.disk.limit = time.Millisecond
	s.place.disk.folds = func(string) (bool, error) { <-released; return false, nil }
	writeIsUnresolved.check(t, ask(t, s, &request{ActionType: "write_file", Target: ".ENV"}))
	close(released)
	for range mostLooks {
		<-s.place.disk.free
	}
}

// A target of which it is not known where it lies is judged as before.
func TestFoldingWithoutAPlace(t *testing.T) {
	s := withPolicy(t, foldingPolicy, pipeline.Env{})
	s.place.folds = false
	readIsAllowed.check(t, ask(t, s, &request{ActionType: "read_file", Target: ".ENV"}))
	s.place.folds = true
	readIsBlocked.check(t, ask(t, s, &request{ActionType: "read_file", Target: ".ENV"}))
}

func TestAFileSystemThatDoesNotFold(t *testing.T) {
	dir := makeDir(t, t.TempDir(), "some", "Dir")
	if err := os.WriteFile(filepath.Join(dir, "a"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(filepath.Join(dir, "A")); err == nil {
		t.Skip("the temporary directory is on a file system that folds")
	}
	for _, name := range []string{dir, dir + "/a", dir + "/.env", dir + "/new/.env", dir + "/秘", dir + "/a/b"} {
		if folds, err := foldsIn(name); folds || err != nil {
			t.Errorf("%s folds: %v, %v", name, folds, err)
		}
	}
	if _, err := foldsIn("/" + strings.Repeat("x/", longestPath)); err != errTooLong {
		t.Error("a path that is too long: ", err)
	}
	if os.WriteFile(filepath.Join(dir, "A"), nil, 0o600) == nil {
		// Two files that differ in case look like one.
		if folds, _ := foldsIn(dir + "/a"); !folds {
			t.Error("two names were told apart, which is not promised")
		}
	}
}

func TestIsFolded(t *testing.T) {
	for c := range 0x80 {
		for n := range 20 {
			s := strings.Repeat("a", n) + string(rune(c)) + strings.Repeat("/", 19-n)
			if got, want := isFolded(s), s == strings.ToLower(s); got != want {
				t.Errorf("isFolded(%q) is %v", s, got)
			}
			if s = s[:n] + "é" + s[n:]; isPlainASCII(s) {
				t.Errorf("%q is taken for ASCII", s)
			}
		}
	}
}

// BenchmarkFolding is what folding costs a target that no pattern matches, beside
// its decision.
func BenchmarkFolding(b *testing.B) {
	s := newStage(b, Options{}, pipeline.Env{Workspace: repository(b)})
	s.place.folds = false
	for _, target := range []string{"src/main.go", "README.md"} {
		req := &request{ActionType: "read_file", Target: target}
		var decision float64
		b.Run(target+", decision", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				askQuick(s, req)
			}
			decision = float64(b.Elapsed().Nanoseconds()) / float64(b.N)
		})
		b.Run(target+", folding", func(b *testing.B) {
			list := &s.choice.first.blockRead
			f := s.place.formsOf(target, "", list)
			for i := range 100 {
				f.at(i)
			}
			b.ReportAllocs()
			for b.Loop() {
				f.matchFolded(list, list.matchFolded)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/decision, "of-decision")
		})
	}
}

func FuzzFolded(f *testing.F) {
	f.Add(".ENV", ".\u00adEnv")
	f.Add("ß\u0301", "ﬁ\u0345\u0301")
	f.Add("0", "0\xf3ń")
	f.Fuzz(func(t *testing.T, a, b string) {
		for _, s := range []string{a, b, a + b} {
			if g := folded(s); folded(g) != g || isFolded(s) != (g == s) {
				t.Errorf("%+q is folded %+q, and that %+q; isFolded says %v", s, g, folded(g), isFolded(s))
			}
		}
		if utf8.ValidString(a) && folded(a) != folded(norm.NFC.String(a)) {
			t.Errorf("%+q and what it is composed are not the same", a)
		}
	})
}
