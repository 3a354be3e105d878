//go:build !windows

package examples_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// runtimeBinary is the runtime, built once for all jobs.
var runtimeBinary = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "cavra-examples")
	if err != nil {
		return "", err
	}
	built = dir
	path := filepath.Join(dir, "cavra-runtime")
	if out, err := exec.Command("go", "build", "-o", path, "../cmd/cavra-runtime").CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return path, nil
})

var built string

func TestMain(m *testing.M) {
	code := m.Run()
	if built != "" {
		_ = os.RemoveAll(built)
	}
	os.Exit(code)
}

// A job is one job of a provider: a clone, and the variables that its steps get.
type job struct {
	t       *testing.T
	dir     string
	env     map[string]string
	shell   []string        // the options that the provider gives bash
	secrets func() []string // what must stay out of its log and its files
}

// newJob clones a repository that holds a request, named by the example it comes
// from.
func newJob(t *testing.T, request string) *job {
	t.Helper()
	for _, tool := range []string{"bash", "tar", "sha256sum"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is not installed, and the steps use it", tool)
		}
	}
	dir := t.TempDir()
	// The socket stands below TMPDIR, and its path may not be long.
	temp, err := os.MkdirTemp("", "job")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(temp) })
	text, err := os.ReadFile(filepath.Join("go-runtime", "typed-release-governance", request+".json"))
	if err != nil {
		t.Fatal(err)
	}
	j := &job{t: t, dir: dir, shell: []string{"--noprofile", "--norc", "-eo", "pipefail"}, secrets: func() []string { return nil }, env: map[string]string{
		"PATH": os.Getenv("PATH"), "HOME": t.TempDir(), "TMPDIR": temp, "CI": "true",
	}}
	j.write("release/request.json", string(text))
	return j
}

func (j *job) write(path, text string) {
	j.t.Helper()
	path = filepath.Join(j.dir, path)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
		j.t.Fatal(err)
	}
}

func (j *job) read(path string) string {
	j.t.Helper()
	text, err := os.ReadFile(filepath.Join(j.dir, path))
	if err != nil {
		j.t.Error(err)
	}
	return string(text)
}

// setAll lays variables over those that the job has.
func (j *job) setAll(variables map[string]string) *job {
	maps.Copy(j.env, variables)
	return j
}

// unpack lays the release package where the install step of every template does.
func (j *job) unpack() *job {
	j.t.Helper()
	binary, err := runtimeBinary()
	if err != nil {
		j.t.Fatal(err)
	}
	for to, from := range map[string]string{
		"cavra-runtime": binary,
		"ci-runners/cavra-release-governance-runner.sh": "ci-runners/cavra-release-governance-runner.sh",
		"ci-runners/github-action/action.yml":           actionFile,
	} {
		text, err := os.ReadFile(from)
		if err != nil {
			j.t.Fatal(err)
		}
		j.write(".cavra-package/"+to, string(text))
	}
	if err := os.Chmod(filepath.Join(j.dir, ".cavra-package/cavra-runtime"), 0o755); err != nil {
		j.t.Fatal(err)
	}
	return j
}

// run runs a script as the providers do, with env beside the job's variables, and
// checks that no secret is in what it prints and in what it leaves behind.
func (j *job) run(script string, env map[string]string) (log string, code int) {
	j.t.Helper()
	ctx, cancel := context.WithTimeout(j.t.Context(), time.Minute)
	defer cancel()
	file := filepath.Join(j.t.TempDir(), "step.sh")
	if err := os.WriteFile(file, []byte(script), 0o600); err != nil {
		j.t.Fatal(err)
	}
	cmd := exec.CommandContext(ctx, "bash", append(slices.Clone(j.shell), file)...)
	cmd.Dir = j.dir
	for _, variables := range []map[string]string{j.env, env} {
		for name, value := range variables {
			cmd.Env = append(cmd.Env, name+"="+value)
		}
	}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		j.t.Fatal(err)
	}
	j.keepsSecrets(out.String())
	return out.String(), cmd.ProcessState.ExitCode()
}

func (j *job) keepsSecrets(log string) {
	j.t.Helper()
	holds := func(where, text string) {
		for i, secret := range j.secrets() {
			if strings.Contains(text, secret) {
				j.t.Errorf("%s holds secret %d", where, i)
			}
		}
	}
	holds("the log", log)
	err := filepath.WalkDir(j.dir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.Name() == ".cavra-package":
			return filepath.SkipDir
		case !d.Type().IsRegular():
			return nil
		}
		text, err := os.ReadFile(path)
		holds(path, string(text))
		return err
	})
	if err != nil {
		j.t.Error(err)
	}
}

const evidenceDir = ".cavra/go-daemon"

// recorded checks that the evidence is there, is valid and holds what was answered.
func (j *job) recorded(wants ...string) {
	j.t.Helper()
	if report := j.read(evidenceDir + "/release-governance-evidence-verification.json"); !strings.Contains(report, `"valid":true`) {
		j.t.Errorf("the evidence is not valid: %s", report)
	}
	log, response := j.read(evidenceDir+"/release-governance-evidence.jsonl"), j.read(evidenceDir+"/release-governance-response.json")
	for _, want := range wants {
		if !strings.Contains(log, want) || !strings.Contains(response, want) {
			j.t.Errorf("%s is not in both the evidence and the answer:\n%s\n%s", want, log, response)
		}
	}
}

// outputs reads $GITHUB_OUTPUT as GitHub does.
func outputs(t *testing.T, text string) map[string]string {
	t.Helper()
	found := map[string]string{}
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	for i := 0; i < len(lines) && text != ""; i++ {
		name, end, ok := strings.Cut(lines[i], "<<")
		if !ok || found[name] != "" {
			t.Fatalf("line %d of the outputs is none: %q", i+1, lines[i])
		}
		var value []string
		for i++; i < len(lines) && lines[i] != end; i++ {
			value = append(value, lines[i])
		}
		if i == len(lines) {
			t.Fatalf("the output %s has no end", name)
		}
		found[name] = strings.Join(value, "\n")
	}
	return found
}

// azureShell is how Azure Pipelines runs a script: it goes on after a command that
// failed, unless the script says otherwise.
func (j *job) azureShell() *job {
	j.shell = []string{"--noprofile", "--norc"}
	return j
}

// expand replaces what pattern finds by the values of its first group.
func expand(t *testing.T, pattern *regexp.Regexp, text string, values map[string]string) string {
	t.Helper()
	return pattern.ReplaceAllStringFunc(text, func(found string) string {
		name := pattern.FindStringSubmatch(found)[1]
		value, there := values[name]
		if !there {
			t.Errorf("%s is nothing that the job has", found)
		}
		return value
	})
}
