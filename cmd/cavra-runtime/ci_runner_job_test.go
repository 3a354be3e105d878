//go:build !windows

package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	enforcementv1 "github.com/Huzefaaa2/cavra/go/cavra-runtime/enforcement/v1"
)

const runnerScript = "../../examples/ci-runners/cavra-release-governance-runner.sh"

// A runnerJob is a job that runs the script, in a directory of its own. It holds
// an HMAC key, an evidence key and the rest of its environment.
type runnerJob struct {
	t       *testing.T
	dir     string // with a space in its name
	env     map[string]string
	secrets []string
}

func newRunnerJob(t *testing.T) *runnerJob {
	t.Helper()
	if _, err := exec.LookPath("bash"); err != nil {
		t.Skip("bash, which the script is written for, is not installed")
	}
	// Short, for the path of a socket.
	root, err := os.MkdirTemp("", "job")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(root) })
	j := &runnerJob{t: t, dir: filepath.Join(root, "a job"), env: map[string]string{}}
	for _, dir := range []string{j.dir, j.path("tmp")} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	j.env["PATH"] = os.Getenv("PATH")
	j.env["TMPDIR"] = j.path("tmp")
	j.env["GORACE"] = "atexit_sleep_ms=10" // and not a second for each of the programs of a run
	j.env["CAVRA_RELEASE_GOVERNANCE_REQUEST"] = example("approved-promotion")
	j.env["CAVRA_RUNNER_AUTH_HMAC_KEY"] = j.secret()
	j.env["CAVRA_DAEMON_EVIDENCE_HMAC_KEY"] = j.secret()
	return j
}

// example is the path of a typed example.
func example(name string) string {
	path, err := filepath.Abs(filepath.Join(releaseExamples, name+".json"))
	if err != nil {
		panic(err)
	}
	return path
}

func (j *runnerJob) path(name string) string { return filepath.Join(j.dir, name) }

func (j *runnerJob) evidence(name string) string { return j.path(".cavra/go-daemon/" + name) }

func (j *runnerJob) secret() string {
	b := make([]byte, 32)
	rand.Read(b)
	j.secrets = append(j.secrets, hex.EncodeToString(b))
	return hex.EncodeToString(b)
}

// put writes a file of the job and gives its path.
func (j *runnerJob) put(name, text string, mode os.FileMode) string {
	j.t.Helper()
	if err := os.WriteFile(j.path(name), []byte(text), mode); err != nil {
		j.t.Fatal(err)
	}
	return j.path(name)
}

// fake puts a runtime in the real one's place that does something of its own
// where the mode is the one given, and then what the real one does.
func (j *runnerJob) fake(mode, does string) {
	j.t.Helper()
	real, err := exec.LookPath("cavra-runtime")
	if err != nil {
		j.t.Fatal(err)
	}
	j.env["CAVRA_RUNTIME_PATH"] = j.put("fake-runtime",
		fmt.Sprintf("#!/bin/bash\nreal=%q\ncase $1 in %s)\n%s\n;; esac\nexec \"$real\" \"$@\"\n", real, mode, does), 0o700)
}

func (j *runnerJob) command(flags ...string) *exec.Cmd {
	script, err := filepath.Abs(runnerScript)
	if err != nil {
		j.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(j.t.Context(), 30*time.Second) // a script that waits for ever is a fault
	j.t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, "bash", append(flags, script)...)
	cmd.WaitDelay = time.Second
	cmd.Dir = j.dir
	for name, value := range j.env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	return cmd
}

// A runnerEnd is how the script ended.
type runnerEnd struct {
	code           int
	stdout, stderr string
}

func (j *runnerJob) run(flags ...string) runnerEnd {
	j.t.Helper()
	cmd := j.command(flags...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	return j.ended(cmd, err, &stdout, &stderr)
}

// ended checks what holds however the script ends: what it was told to keep for
// itself stands nowhere, and no daemon and no temporary file is left.
func (j *runnerJob) ended(cmd *exec.Cmd, err error, stdout, stderr *bytes.Buffer) runnerEnd {
	j.t.Helper()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		j.t.Fatal(err)
	}
	o := runnerEnd{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
	texts := map[string]string{"stdout": o.stdout, "stderr": o.stderr}
	walk := filepath.WalkDir(j.dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		texts[path] = string(b)
		return err
	})
	if walk != nil {
		j.t.Fatal(walk)
	}
	for where, text := range texts {
		for _, secret := range j.secrets {
			if strings.Contains(text, secret) {
				j.t.Errorf("%s holds a secret", where)
			}
		}
	}
	if left, err := os.ReadDir(j.path("tmp")); err != nil || len(left) > 0 {
		j.t.Errorf("temporary files are left: %v, %v", left, err)
	}
	return o
}

// response is the file of the answer.
func (j *runnerJob) response() (resp enforcementv1.DecisionResponse) {
	j.t.Helper()
	text, err := os.ReadFile(j.evidence("release-governance-response.json"))
	if err == nil {
		err = json.Unmarshal(text, &resp)
	}
	if err != nil {
		j.t.Error(err)
	}
	return resp
}

// verified is what the report of the verification says.
func (j *runnerJob) verified() (report struct {
	Valid   bool `json:"valid"`
	Records int  `json:"records"`
}) {
	j.t.Helper()
	text, err := os.ReadFile(j.evidence("release-governance-evidence-verification.json"))
	if err == nil {
		err = json.Unmarshal(text, &report)
	}
	if err != nil {
		j.t.Error(err)
	}
	return report
}
