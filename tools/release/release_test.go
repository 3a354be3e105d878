package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/Huzefaaa2/cavra/go/cavra-runtime/release"
)

const version = "v0.1.0"

// A published is a package for one target that the tests look at.
type published struct {
	out, dir, archive string
	commit            string
	public            ed25519.PublicKey
	keyText           []byte // PEM of the private key
	files             map[string][]byte
}

// scratch is where the tests that share a package have it.
var scratch string

func TestMain(m *testing.M) {
	var err error
	if scratch, err = os.MkdirTemp("", "cavra-release-test-"); err != nil {
		panic(err)
	}
	code := m.Run()
	os.RemoveAll(scratch)
	os.Exit(code)
}

// packaged makes the package once, from a clone with one commit.
var packaged = sync.OnceValues(func() (*published, error) {
	tree := filepath.Join(scratch, "one", "clone")
	if err := copyTree(filepath.Join("..", ".."), tree); err != nil {
		return nil, err
	}
	if err := commitAll(tree); err != nil {
		return nil, err
	}
	head, err := git(context.Background(), tree, "rev-parse", "HEAD")
	if err != nil {
		return nil, err
	}
	// What lies in the tree is not what the commit holds, and git does not say so.
	installer := filepath.Join(tree, "packaging", "install.sh")
	for _, args := range [][]string{{"update-index", "--assume-unchanged", installer}, {"config", "core.autocrlf", "true"}} {
		if _, err := git(context.Background(), tree, args...); err != nil {
			return nil, err
		}
	}
	if err := os.WriteFile(installer, []byte("#!/bin/sh\necho of nobody's commit\n"), 0o755); err != nil {
		return nil, err
	}
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		return nil, err
	}
	p := &published{out: filepath.Join(scratch, "one", "out"), commit: strings.TrimSpace(string(head)), public: public, keyText: pemOf(private)}
	if err := os.Setenv(keyVariable, string(p.keyText)); err != nil {
		return nil, err
	}
	var stdout, stderr bytes.Buffer
	o := options{version: version, out: p.out, root: tree, targets: runner.String(), keyID: release.KeyID(public), once: true}
	if err := o.release(context.Background(), &stdout, &stderr); err != nil {
		return nil, err
	}
	if text, there := os.LookupEnv(keyVariable); there {
		return nil, fmt.Errorf("the key is still in the environment, for every program that is started: %d bytes", len(text))
	}
	if secret := p.keyText[28:60]; bytes.Contains(stdout.Bytes(), secret) || bytes.Contains(stderr.Bytes(), secret) {
		return nil, fmt.Errorf("the key was printed")
	}
	p.dir = filepath.Join(p.out, release.Root(version))
	p.archive = p.dir + ".tar.gz"
	p.files, err = filesBelow(p.dir)
	return p, err
})

func thePackage(t *testing.T) *published {
	t.Helper()
	p, err := packaged()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// file is a file of the package, that must be there.
func (p *published) file(t *testing.T, name string) []byte {
	t.Helper()
	text, ok := p.files[name]
	if !ok {
		t.Fatalf("the package holds no %s, but %v", name, slices.Sorted(maps.Keys(p.files)))
	}
	return text
}

func TestTheSameCommitGivesTheSameBytes(t *testing.T) {
	p := thePackage(t)
	// Another path, no git, the key in a file, another clock, and other settings of Go.
	tree, out := filepath.Join(t.TempDir(), "unpacked", "elsewhere"), filepath.Join(t.TempDir(), "out")
	if err := copyTree(filepath.Join("..", ".."), tree); err != nil {
		t.Fatal(err)
	}
	keyFile := filepath.Join(t.TempDir(), "key.pem")
	writeFile(t, keyFile, p.keyText)
	t.Setenv("SOURCE_DATE_EPOCH", fmt.Sprint(committed.Unix()))
	t.Setenv("TZ", "Asia/Tokyo")
	t.Setenv("GOFLAGS", "-ldflags=-X=main.version=other")
	settings := filepath.Join(t.TempDir(), "env") // as go env -w writes it
	writeFile(t, settings, []byte("GOEXPERIMENT=none\nGOAMD64=v3\nCGO_ENABLED=1\n"))
	t.Setenv("GOENV", settings)
	o := options{version: version, out: out, root: tree, targets: runner.String(), keyFile: keyFile, commit: p.commit, once: true}
	if err := o.release(t.Context(), &bytes.Buffer{}, &bytes.Buffer{}); err != nil {
		t.Fatal(err)
	}
	first, err := filesBelow(p.out)
	if err != nil {
		t.Fatal(err)
	}
	second, err := filesBelow(out)
	if err != nil {
		t.Fatal(err)
	}
	if len(first) != len(second) || len(first) < 20 {
		t.Errorf("the first run made %d files and the second %d", len(first), len(second))
	}
	for name, text := range first {
		if !bytes.Equal(text, second[name]) {
			t.Errorf("%s differs", name)
		}
	}
}

func TestAnUnsignedPackageSaysSo(t *testing.T) {
	p := thePackage(t)
	tree, out := filepath.Join(t.TempDir(), "tree"), filepath.Join(t.TempDir(), "out")
	if err := copyTree(filepath.Join("..", ".."), tree); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SOURCE_DATE_EPOCH", fmt.Sprint(committed.Unix()))
	var stderr bytes.Buffer
	o := options{version: version, out: out, root: tree, targets: runner.String(), commit: p.commit, unsigned: true, once: true}
	if err := o.release(t.Context(), &bytes.Buffer{}, &stderr); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(stderr.String(), "NOT SIGNED") {
		t.Errorf("nothing says that it is not signed:\n%s", stderr.String())
	}
	files, err := filesBelow(filepath.Join(out, release.Root(version)))
	if err != nil {
		t.Fatal(err)
	}
	// What a key makes is not there, and the rest is what the signed package holds, so
	// that anybody can compare.
	var differ []string
	for name, text := range p.files {
		if !bytes.Equal(text, files[name]) {
			differ = append(differ, name)
		}
	}
	slices.Sort(differ)
	if want := []string{release.ChecksumsName, release.ManifestName, release.SignatureName, provenanceFile}; !slices.Equal(differ, want) {
		t.Errorf("%v differ, and not %v", differ, want)
	}
	if _, there := files[statementFile]; !there || files[release.SignatureName] != nil || files[provenanceFile] != nil {
		t.Error("the statement is missing, or something is signed")
	}
	if report := release.Verify(filepath.Join(out, release.Root(version)), p.public); report.Valid {
		t.Error("it verifies")
	}
}

func TestThePackageVerifiesUntilSomethingIsChanged(t *testing.T) {
	p := thePackage(t)
	for _, path := range []string{p.dir, p.archive} {
		if report := release.Verify(path, p.public); !report.Valid || report.Version != version || report.Commit != p.commit {
			t.Errorf("%s: %+v", path, report)
		}
	}
	at := func(name string) string { return filepath.Join(p.dir, filepath.FromSlash(name)) }
	for _, name := range []string{
		runner.binary(), provenanceFile, sbomFile, release.ManifestName, release.SignatureName, release.ChecksumsName,
		release.BundlesName, runnerScript, githubAction, "install.sh",
	} {
		text := bytes.Clone(p.file(t, name))
		text[len(text)/2] ^= 1
		info, err := os.Stat(at(name))
		if err != nil {
			t.Fatal(err)
		}
		writeFile(t, at(name), text)
		if report := release.Verify(p.dir, p.public); report.Valid {
			t.Errorf("one changed bit in %s is not found", name)
		}
		writeFile(t, at(name), p.files[name])
		if err := os.Chmod(at(name), info.Mode()); err != nil {
			t.Fatal(err)
		}
	}
	writeFile(t, at("bin/more"), []byte("more"))
	if report := release.Verify(p.dir, p.public); report.Valid {
		t.Error("one more file is not found")
	}
	if err := os.Remove(at("bin/more")); err != nil {
		t.Fatal(err)
	}
	if report := release.Verify(p.dir, p.public); !report.Valid {
		t.Errorf("as it was, it does not verify: %+v", report.Errors)
	}
}

func TestThePackageHoldsWhatItShould(t *testing.T) {
	p := thePackage(t)
	for _, name := range []string{
		"LICENSE", licencesFile, "README.md", "install.sh", "bin/linux-amd64/cavra-runtime",
		"archives/cavra-runtime-v0.1.0-linux-amd64.tar.gz", "packages/cavra-runtime_0.1.0_amd64.deb", "packages/cavra-runtime-0.1.0-1.x86_64.rpm",
		"ci-runners/cavra-release-governance-runner.sh", "ci-runners/github-action/action.yml", "man/cavra-runtime.1",
		"completions/cavra-runtime.bash", "completions/_cavra-runtime", "completions/cavra-runtime.fish",
		"systemd/cavra-runtime.service", "systemd/cavra-runtime.socket", "systemd/cavra-runtime.yaml",
	} {
		p.file(t, name)
	}
	if !bytes.HasPrefix(p.file(t, "man/cavra-runtime.1"), []byte(".TH CAVRA-RUNTIME 1")) {
		t.Error("the manual page is none")
	}
	sums, err := os.ReadFile(p.archive + ".sha256")
	if err != nil {
		t.Fatal(err)
	}
	archive, err := os.ReadFile(p.archive)
	if err != nil {
		t.Fatal(err)
	}
	if want := sha256Hex(archive) + "  cavra-runtime-v0.1.0.tar.gz\n"; string(sums) != want {
		t.Errorf("the archive's checksum is %q and not %q", sums, want)
	}
	left, err := filepath.Glob(filepath.Join(p.out, ".partial-*"))
	if err != nil || len(left) > 0 {
		t.Errorf("%v is left behind (%v)", left, err)
	}
	if runner != host {
		t.Skipf("the binary is for %v and does not run here", runner)
	}
	out, err := exec.Command(filepath.Join(p.dir, runner.binary()), "--version").Output()
	if want := "cavra-runtime " + version + " " + p.commit + " go"; err != nil || !strings.HasPrefix(string(out), want) {
		t.Errorf("--version prints %q (%v), which does not begin with %q", out, err, want)
	}
}

func TestBundlesAreComplete(t *testing.T) {
	p := thePackage(t)
	var b map[string]any
	if err := json.Unmarshal(p.file(t, "cavra-runtime.ci-runner-bundles.json"), &b); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"schema_version": "cavra.go-runtime.ci-runner-bundles.v1", "product": "CAVRA", "component": "cavra-runtime", "version": version,
		"commit": p.commit, "repository": repository, "generated_at": "2026-03-04T05:06:07Z",
	}
	for member, value := range want {
		if b[member] != value {
			t.Errorf("%s is %v and not %v", member, b[member], value)
		}
	}
	sum := func(path string) string { return sha256Hex(p.file(t, path)) }
	for member, path := range map[string]string{"runner_script": runnerScript, "github_action": githubAction} {
		if r := b[member].(map[string]any); r["path"] != path || r["sha256"] != sum(path) {
			t.Errorf("%s is %v", member, r)
		}
	}
	for _, member := range []string{"controls", "operator_steps"} {
		if list := b[member].([]any); len(list) == 0 {
			t.Errorf("%s is empty", member)
		}
	}
	deployments := []any{"github-actions-linux-amd64-runner", "gitlab-linux-amd64-runner", "azure-linux-amd64-runner"}
	runners := b["runner_bundles"].([]any)
	if len(runners) != len(deployments) {
		t.Fatalf("there are %d runner_bundles", len(runners))
	}
	for i, r := range runners {
		r := r.(map[string]any)
		if r["deployment_target"] != deployments[i] || r["runner_os"] != "linux" || r["runner_arch"] != "amd64" ||
			r["runtime_binary"] != "bin/linux-amd64/cavra-runtime" || r["runtime_binary_sha256"] != sum("bin/linux-amd64/cavra-runtime") {
			t.Errorf("runner_bundles[%d] is %v", i, r)
		}
		p.file(t, r["reusable_wrapper"].(string))
		p.file(t, r["default_request"].(string))
		for _, member := range []string{"invocation", "evidence_dir"} {
			if r[member] == "" {
				t.Errorf("runner_bundles[%d].%s is empty", i, member)
			}
		}
		for _, member := range []string{"verification_commands", "required_outputs"} {
			if list, _ := r[member].([]any); len(list) == 0 {
				t.Errorf("runner_bundles[%d].%s is empty", i, member)
			}
		}
	}
}

// TestTheGuideIsTrue runs the blocks of docs/releasing.md that need this module, in
// the sources without git.
func TestTheGuideIsTrue(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the guide uses sha256sum, and runs the binary for linux")
	}
	for _, tool := range []string{"bash", "openssl", "sha256sum"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is not installed, and the guide uses it", tool)
		}
	}
	tree := filepath.Join(t.TempDir(), "tree")
	if err := copyTree(filepath.Join("..", ".."), tree); err != nil {
		t.Fatal(err)
	}
	guide, err := os.ReadFile(filepath.Join(tree, "docs", "releasing.md"))
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?ms)^```sh release\n(.*?)^```$\n(?:\n^```output\n(.*?)^```$)?").FindAllStringSubmatch(string(guide), -1)
	if len(blocks) < 4 {
		t.Fatalf("the guide holds %d blocks", len(blocks))
	}
	script := "set -euo pipefail\n"
	for _, b := range blocks {
		script += b[1] + "printf '\\036'\n"
	}
	cmd := exec.CommandContext(t.Context(), "bash", "-c", script)
	cmd.Dir = tree
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s\n%s", err, stdout.String(), stderr.String())
	}
	for i, printed := range strings.Split(strings.TrimSuffix(stdout.String(), "\x1e"), "\x1e") {
		if said := blocks[i][2]; said != "" {
			parts := strings.Split(strings.TrimSpace(said), "…")
			for i := range parts {
				parts[i] = regexp.QuoteMeta(parts[i])
			}
			if !regexp.MustCompile(`^(?s:` + strings.Join(parts, `.*?`) + `)$`).MatchString(strings.TrimSpace(printed)) {
				t.Errorf("the block\n%s\nprinted\n%s\nand not\n%s", blocks[i][1], printed, said)
			}
		}
	}

	// What nobody signed is found, too.
	i := slices.IndexFunc(blocks, func(b []string) bool { return strings.Contains(b[1], "echo nothing was added") })
	if i < 0 {
		t.Fatal("no block looks for what was added")
	}
	dir := filepath.Join(tree, "dist", release.Root(version))
	for name, add := range map[string]func(path string) error{
		"manifest-json": func(path string) error { return os.WriteFile(path, nil, 0o644) },
		"bin/more":      func(path string) error { return os.WriteFile(path, nil, 0o644) },
		"link":          func(path string) error { return os.Symlink("LICENSE", path) },
	} {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := add(path); err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), "bash", "-c", blocks[i][1])
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err == nil || strings.Contains(string(out), "nothing was added") {
			t.Errorf("%s is not found:\n%s", name, out)
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
}

// commitAll makes a repository of dir, with one commit of a known time. It names the
// repository outright, so that no other one is ever written to: not that of a clone
// around dir, and not that of a hook that runs the tests.
func commitAll(dir string) error {
	repository := filepath.Join(dir, ".git")
	if _, err := os.Lstat(repository); err == nil {
		return fmt.Errorf("%s is there already", repository)
	}
	for _, args := range [][]string{{"init", "-q"}, {"add", "-A"}, {"commit", "-q", "-m", "all"}} {
		cmd := exec.Command("git", args...)
		cmd.Dir = dir
		cmd.Env = append(withoutGit(os.Environ()), "GIT_DIR="+repository, "GIT_WORK_TREE="+dir, "GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_CONFIG_NOSYSTEM=1",
			"GIT_AUTHOR_NAME=t", "GIT_AUTHOR_EMAIL=t@example.com", "GIT_AUTHOR_DATE=2026-03-04T05:06:07Z",
			"GIT_COMMITTER_NAME=t", "GIT_COMMITTER_EMAIL=t@example.com", "GIT_COMMITTER_DATE=2026-03-04T05:06:07Z")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("git %v: %w: %s", args, err, out)
		}
	}
	return nil
}

func filesBelow(dir string) (map[string][]byte, error) {
	found := map[string][]byte{}
	return found, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		found[filepath.ToSlash(name)], err = os.ReadFile(path)
		return err
	})
}

func pemOf(private any) []byte {
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		panic(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

func writeFile(t *testing.T, path string, text []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, text, 0o644); err != nil {
		t.Fatal(err)
	}
}
