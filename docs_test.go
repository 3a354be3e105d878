//go:build !windows

package cavraruntime_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The documents are run. In a copy of the repository, a document's blocks are
// taken in order:
//
//	```sh                   is run by one shell that lives as long as the document
//	```sh background        is started beside it, and waited for until its socket is there
//	```sh test-command      is what .ci/run runs; here it would run itself
//	```sh release           is run by the tests of tools/release, which have its modules
//	```output               is what the block before it printed; … stands for anything
//	```LANGUAGE file=PATH   is written to that file
//
// Blocks of other kinds (text, json without a file, …) are only read.

// A block is one fenced block of a document.
type block struct {
	line     int
	info     []string // what follows the opening fence
	text     string
	document string
}

func (b block) is(info string) bool { return strings.Join(b.info, " ") == info }

func (b block) file() string {
	for _, word := range b.info[min(1, len(b.info)):] {
		if path, ok := strings.CutPrefix(word, "file="); ok {
			return path
		}
	}
	return ""
}

func TestTheDocumentsAreTrue(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: the documents are not run")
	}
	for _, document := range documents(t) {
		blocks := blocksOf(t, document)
		runs := false
		for _, b := range blocks {
			runs = runs || b.is("sh")
		}
		if !runs {
			continue
		}
		t.Run(document, func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(document)
			if err != nil {
				t.Fatal(err)
			}
			for _, tool := range []string{"bash", "nc", "openssl", "sha256sum"} {
				if _, err := exec.LookPath(tool); err != nil && regexp.MustCompile(`(?m)\b`+tool+` `).Match(text) {
					t.Skipf("%s is not installed, and %s uses it", tool, document)
				}
			}
			runDocument(t, blocks)
		})
	}
}

func runDocument(t *testing.T, blocks []block) {
	root := copyRepository(t)
	var script bytes.Buffer
	script.WriteString("set -euo pipefail\n")
	var ran []block
	for _, b := range blocks {
		switch {
		case b.file() != "":
			path := filepath.Join(root, "staged", fmt.Sprint(b.line))
			write(t, path, b.text)
			fmt.Fprintf(&script, "mkdir -p %q && cp %q %q\n", filepath.Dir(b.file()), path, b.file())
		case b.is("sh background"):
			socket := ".cavra/cavra-runtime.sock"
			if m := regexp.MustCompile(`--socket (\S+)`).FindStringSubmatch(b.text); m != nil {
				socket = m[1]
			}
			fmt.Fprintf(&script, "( %s ) >%q 2>&1 &\n", strings.TrimSpace(b.text), filepath.Join(root, "background.log"))
			// The file is there a moment before anybody listens; to connect and hang
			// up is no request.
			fmt.Fprintf(&script, "until [ -S %q ] && { ! command -v nc >/dev/null || nc -zU %q; }; do kill -0 $! 2>/dev/null || { cat %q; exit 1; }; sleep 0.02; done\n",
				socket, socket, filepath.Join(root, "background.log"))
		case b.is("sh"):
			fmt.Fprintf(&script, "printf '\\036%d\\n'\n%s\n", len(ran), b.text)
			ran = append(ran, b)
		case b.is("output") && len(ran) == 0:
			t.Errorf("%s:%d: there is no block before this output", b.document, b.line)
		}
	}

	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-c", script.String())
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "HOME="+t.TempDir(), "GOCACHE="+goEnv(t, "GOCACHE"), "GOMODCACHE="+goEnv(t, "GOMODCACHE"), "GOFLAGS="+goEnv(t, "GOFLAGS"))
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	group := func(sig syscall.Signal) error { return syscall.Kill(-cmd.Process.Pid, sig) }
	cmd.Cancel = func() error { return group(syscall.SIGKILL) }
	err := cmd.Run()
	if cmd.Process != nil {
		_ = group(syscall.SIGTERM) // the daemons of the background blocks
	}

	printed := make([]string, len(ran))
	reached := -1
	for _, part := range strings.Split(stdout.String(), "\x1e")[min(1, strings.Count(stdout.String(), "\x1e")):] {
		number, text, _ := strings.Cut(part, "\n")
		if _, err := fmt.Sscan(number, &reached); err == nil {
			printed[reached] = text
		}
	}
	if err != nil {
		last := block{document: "before the first block"}
		if reached >= 0 {
			last = ran[reached]
		}
		t.Fatalf("%s:%d: %v\n%s\n%s", last.document, last.line, err, stdout.String(), stderr.String())
	}
	next := -1
	for _, b := range blocks {
		switch {
		case b.is("sh"):
			next++
		case b.is("output"):
			if !matches(b.text, printed[next]) {
				t.Errorf("%s:%d: the block printed\n%s\nand not\n%s", b.document, b.line, printed[next], b.text)
			}
		}
	}
}

// matches compares what a document says with what was printed; … stands for
// anything.
func matches(said, printed string) bool {
	parts := strings.Split(strings.TrimSpace(said), "…")
	for i := range parts {
		parts[i] = regexp.QuoteMeta(parts[i])
	}
	return regexp.MustCompile(`^(?s:` + strings.Join(parts, `.*?`) + `)$`).MatchString(strings.TrimSpace(printed))
}

// TestDocumentsLinkToWhatIsThere follows every relative link.
func TestDocumentsLinkToWhatIsThere(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#\s"]+)(#[^)]*)?\)`)
	for _, document := range documents(t) {
		text, err := os.ReadFile(document)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range link.FindAllSubmatch(text, -1) {
			target := string(m[1])
			if strings.Contains(target, "://") {
				continue
			}
			if _, err := os.Stat(filepath.Join(filepath.Dir(document), target)); err != nil {
				t.Errorf("%s links to %s: %v", document, target, err)
			}
		}
	}
}

// TestEveryCommandBlockIsRun keeps a block from being spelt so that nothing
// runs it.
func TestEveryCommandBlockIsRun(t *testing.T) {
	for _, document := range documents(t) {
		for _, b := range blocksOf(t, document) {
			if len(b.info) == 0 {
				t.Errorf("%s:%d: a block without a language; say sh, output, text, …", b.document, b.line)
				continue
			}
			shell := b.info[0] == "sh" || b.info[0] == "bash" || b.info[0] == "shell" || b.info[0] == "console"
			if shell && !b.is("sh") && !b.is("sh background") && !b.is("sh test-command") && !b.is("sh release") && b.file() == "" {
				t.Errorf("%s:%d: no test runs a block that begins with %q", b.document, b.line, strings.Join(b.info, " "))
			}
		}
	}
}

// documents are the Markdown files of the repository.
func documents(t *testing.T) (found []string) {
	t.Helper()
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata"):
			return filepath.SkipDir
		case strings.HasSuffix(path, ".md"):
			found = append(found, path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(found) == 0 {
		t.Fatal("there are no documents")
	}
	return found
}

func blocksOf(t *testing.T, document string) (blocks []block) {
	t.Helper()
	f, err := os.Open(document)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines, open := bufio.NewScanner(f), false
	for n := 1; lines.Scan(); n++ {
		fence, fenced := strings.CutPrefix(lines.Text(), "```")
		switch {
		case fenced && !open:
			open = true
			blocks = append(blocks, block{line: n, info: strings.Fields(fence), document: document})
		case fenced:
			open = false
		case open:
			blocks[len(blocks)-1].text += lines.Text() + "\n"
		}
	}
	if open || lines.Err() != nil {
		t.Fatalf("%s: the last block is not closed (%v)", document, lines.Err())
	}
	return blocks
}

// copyRepository copies the sources to a directory of the test's own, as a
// fresh clone would hold them.
func copyRepository(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	for _, path := range sources(t) {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		to := filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to, b, info.Mode().Perm()); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// sources are the files of the repository: what git would commit, and where
// there is no git, all files but those that a build or a tour leaves behind.
func sources(t *testing.T) (files []string) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard").Output()
	if err == nil {
		for _, path := range strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00") {
			if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
				files = append(files, path)
			}
		}
		return files
	}
	left := map[string]bool{".git": true, ".cavra": true, "dist": true, "run": true, "evidence": true, "cavra-runtime": true}
	err = filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case left[path] && d.IsDir():
			return filepath.SkipDir
		case d.Type().IsRegular() && !left[path]:
			files = append(files, path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func goEnv(t *testing.T, name string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "env", name).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

// TestTheGuideBuildsTheExample keeps the stage that docs/writing-a-stage.md
// builds and the one that is tested with the rest from drifting apart.
func TestTheGuideBuildsTheExample(t *testing.T) {
	want, err := os.ReadFile("examples/custom-stage/ratelimit.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range blocksOf(t, "docs/writing-a-stage.md") {
		if b.file() == "stages/ratelimit/ratelimit.go" {
			if b.text != string(want) {
				t.Error("the code of docs/writing-a-stage.md is not that of examples/custom-stage/ratelimit.go")
			}
			return
		}
	}
	t.Error("docs/writing-a-stage.md holds no stage")
}
