package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/mod/semver"

	"github.com/Huzefaaa2/cavra/go/cavra-runtime/release"
)

func TestKey(t *testing.T) {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	good, wrong := string(pemOf(private)), string(pemOf(other))
	file := filepath.Join(t.TempDir(), "key.pem")
	writeFile(t, file, []byte(good))
	id := release.KeyID(public)
	for name, c := range map[string]struct {
		variable string
		options  options
		fault    string // empty means that the key is taken
	}{
		"variable":            {good, options{}, ""},
		"file":                {"", options{keyFile: file}, ""},
		"with its id":         {good, options{keyID: id}, ""},
		"none":                {"", options{}, "there is no key to sign with"},
		"two":                 {good, options{keyFile: file}, "both set"},
		"of another kind":     {wrong, options{}, keyVariable + ": it is no Ed25519 private key"},
		"no PEM":              {"c2VjcmV0", options{}, "it is no Ed25519 private key"},
		"another id":          {good, options{keyID: "sha256:00"}, "not the one named by --key-id"},
		"missing file":        {"", options{keyFile: file + "x"}, "cannot be read"},
		"unsigned with a key": {good, options{unsigned: true}, "leave one out"},
		"unsigned with an id": {"", options{unsigned: true, keyID: id}, "leave one out"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(keyVariable, c.variable)
			key, err := c.options.key()
			if _, there := os.LookupEnv(keyVariable); there {
				t.Error("the variable is still there")
			}
			if c.fault == "" {
				if err != nil || !key.Equal(private) {
					t.Fatalf("the key is not taken: %v", err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), c.fault) {
				t.Fatalf("the error is %v, which does not hold %q", err, c.fault)
			}
			for _, secret := range []string{good, wrong, "c2VjcmV0"} {
				if strings.Contains(err.Error(), strings.TrimSpace(secret)) {
					t.Errorf("the error holds the key: %v", err)
				}
			}
		})
	}
}

func TestVersionName(t *testing.T) {
	for _, c := range []struct {
		version string
		dirty   bool
		want    string // empty means that it is refused
	}{
		{"v1.2.3", false, "v1.2.3"},
		{"v1.2.3-rc.1", false, "v1.2.3-rc.1"},
		{"v1.2.3", true, "v1.2.3-dirty"},
		{"v1.2.3-rc.1", true, "v1.2.3-0.rc.1.dirty"},
		{"1.2.3", false, ""},
		{"v1.2", false, ""},
		{"v1.2.3+more", false, ""},
		{"v1.2.3/../x", false, ""},
		{"v1.2.3 -X main.version=v2", false, ""},
		{"v1.2.3-" + strings.Repeat("a", 40), false, ""},
	} {
		got, err := options{version: c.version, allowDirty: true}.name(c.dirty)
		if got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%s, dirty %v: %q, %v; want %q", c.version, c.dirty, got, err, c.want)
		}
		if c.dirty && semver.Compare(got, c.version) >= 0 {
			t.Errorf("%s does not sort before %s", got, c.version)
		}
	}
	if _, err := (options{version: "v1.2.3"}).name(true); err == nil || !strings.Contains(err.Error(), "--allow-dirty") {
		t.Errorf("changes are taken without --allow-dirty: %v", err)
	}
}

func TestTargets(t *testing.T) {
	for list, want := range map[string]string{
		"":                         "linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64 windows/arm64",
		"linux/amd64":              "linux/amd64",
		"darwin/arm64,linux/amd64": "linux/amd64 darwin/arm64",
		"darwin/arm64":             "--targets lacks linux/amd64",
		"linux/amd64,plan9/386":    `--targets holds "plan9/386"`,
		"linux/amd64,linux/amd64":  `--targets holds "linux/amd64"`,
	} {
		found, err := parseTargets(list)
		var got []string
		for _, f := range found {
			got = append(got, f.String())
		}
		if err != nil {
			got = []string{err.Error()}
		}
		if !strings.HasPrefix(strings.Join(got, " "), want) {
			t.Errorf("%q: %v, want %q", list, got, want)
		}
	}
}

func TestUsage(t *testing.T) {
	for _, args := range [][]string{
		{}, {"--version", "v1.0.0"}, {"--out", "x"}, {"--version", "v1.0.0", "--out", "x", "more"}, {"--nothing"},
		{"--version", "v1.0.0", "--out", "x", "--once", "--verify-reproducible"},
	} {
		if err := run(t.Context(), args, &bytes.Buffer{}, &bytes.Buffer{}); !errors.Is(err, errUsage) {
			t.Errorf("%v: %v", args, err)
		}
	}
	if err := run(t.Context(), []string{"--help"}, &bytes.Buffer{}, &bytes.Buffer{}); err != nil {
		t.Error(err)
	}
}

// aProgram is a repository with the smallest program in the place of the runtime.
func aProgram(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "go.mod"), []byte("module example.com/program\n\ngo 1.26\n"))
	writeFile(t, filepath.Join(dir, "cmd", "cavra-runtime", "main.go"), []byte("package main\n\nvar version, commit string\n\nfunc main() { println(version, commit) }\n"))
	writeFile(t, filepath.Join(dir, ".gitignore"), []byte("ignored.go\n"))
	if err := commitAll(dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestSource(t *testing.T) {
	dir := aProgram(t)
	s, err := readSource(t.Context(), dir, "", "v1.0.0")
	if err != nil || s.dirty || !s.tracked || !wholeHash.MatchString(s.commit) || s.time.Unix() < earliest {
		t.Fatalf("%+v, %v", s, err)
	}
	if _, err := readSource(t.Context(), dir, s.commit, "v1.0.0"); err == nil {
		t.Error("a commit is named where git names it")
	}
	t.Setenv("SOURCE_DATE_EPOCH", "1500000000")
	if again, err := readSource(t.Context(), dir, "", "v1.0.0"); err != nil || again != s {
		t.Errorf("the time is not the commit's: %+v, %v", again, err)
	}
	asSomebody := func(args ...string) {
		t.Helper()
		if _, err := git(t.Context(), dir, append([]string{"-c", "user.name=t", "-c", "user.email=t@example.com"}, args...)...); err != nil {
			t.Fatal(err)
		}
	}
	asSomebody("tag", "v1.0.0")
	asSomebody("tag", "-a", "-m", "annotated", "v2.0.0")
	if _, err := git(t.Context(), dir, "config", "status.showUntrackedFiles", "no"); err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(dir, "new.go"), []byte("package program\n"))
	if s, err := readSource(t.Context(), dir, "", "v1.0.0"); err != nil || !s.dirty {
		t.Errorf("a new file is not seen: %+v, %v", s, err)
	}
	asSomebody("add", "-A")
	asSomebody("commit", "-q", "-m", "more")
	for _, version := range []string{"v1.0.0", "v2.0.0"} {
		if _, err := readSource(t.Context(), dir, "", version); err == nil || !strings.Contains(err.Error(), "another commit") {
			t.Errorf("%s is another commit's tag: %v", version, err)
		}
	}
	if _, err := readSource(t.Context(), dir, "", "v3.0.0"); err != nil {
		t.Errorf("without a tag: %v", err)
	}
	if err := os.RemoveAll(filepath.Join(dir, ".git")); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ commit, epoch string }{
		{"", "1772600767"}, {s.commit, ""}, {s.commit[:12], "1772600767"}, {s.commit, "soon"}, {s.commit, "0"}, {s.commit, "99999999999"},
	} {
		t.Setenv("SOURCE_DATE_EPOCH", c.epoch)
		if _, err := readSource(t.Context(), dir, c.commit, "v1.0.0"); err == nil {
			t.Errorf("without git, the commit %q at %q is taken", c.commit, c.epoch)
		}
	}
	t.Setenv("SOURCE_DATE_EPOCH", "1772600767")
	if s, err := readSource(t.Context(), dir, s.commit, "v1.0.0"); err != nil || s.tracked || s.time.Unix() != 1772600767 {
		t.Errorf("%+v, %v", s, err)
	}
}

// TestASecondBuildShowsWhatTheCommitLacks puts a file beside the program that git
// ignores and Go builds in.
func TestASecondBuildShowsWhatTheCommitLacks(t *testing.T) {
	dir := aProgram(t)
	s, err := readSource(t.Context(), dir, "", "v1.0.0")
	if err != nil {
		t.Fatal(err)
	}
	b := build{root: dir, version: "v1.0.0", commit: s.commit}
	binary := filepath.Join(t.TempDir(), "program")
	compare := func() error {
		if err := b.binary(t.Context(), runner, binary); err != nil {
			t.Fatal(err)
		}
		return reproduces(t.Context(), s, b, []target{runner}, func(target) string { return binary })
	}
	if err := compare(); err != nil {
		t.Errorf("what the commit holds is not reproducible: %v", err)
	}
	writeFile(t, filepath.Join(dir, "cmd", "cavra-runtime", "ignored.go"), []byte("package main\n\nfunc init() { println(\"more\") }\n"))
	if err := compare(); err == nil || !strings.Contains(err.Error(), "linux/amd64 is not reproducible: the second build") {
		t.Errorf("a file that git ignores is built in, and not found: %v", err)
	}
}

func TestAReleaseIsNotWrittenTwice(t *testing.T) {
	dir, out := aProgram(t), t.TempDir()
	if err := os.Mkdir(filepath.Join(out, "cavra-runtime-v1.0.0"), 0o755); err != nil {
		t.Fatal(err)
	}
	o := options{version: "v1.0.0", out: out, root: dir, targets: runner.String(), unsigned: true, once: true}
	if err := o.release(t.Context(), &bytes.Buffer{}, &bytes.Buffer{}); err == nil || !strings.Contains(err.Error(), "is there already") {
		t.Errorf("%v", err)
	}
	// And one that fails on its way leaves nothing.
	o.version = "v1.0.1"
	if err := o.release(t.Context(), &bytes.Buffer{}, &bytes.Buffer{}); err == nil {
		t.Error("a program without a licence is packed")
	}
	if left, err := os.ReadDir(out); err != nil || len(left) != 1 {
		t.Errorf("%v is left (%v)", left, err)
	}
}
