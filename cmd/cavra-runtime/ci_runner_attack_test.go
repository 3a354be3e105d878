//go:build !windows

package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	enforcementv1 "github.com/Huzefaaa2/cavra/go/cavra-runtime/enforcement/v1"
)

// A checkout brings links and directories, a former step pipes too. The script
// neither follows nor waits for them, and shows nothing of where they lead.
func TestCIRunnerMeetsPlantedFiles(t *testing.T) {
	const log = "release-governance-evidence.jsonl"
	link := func(to, name string) func(*runnerJob) {
		return func(j *runnerJob) { plant(j, j.evidence(name), func(at string) error { return os.Symlink(to, at) }) }
	}
	pipe := func(name string) func(*runnerJob) {
		return func(j *runnerJob) {
			plant(j, j.evidence(name), func(at string) error { return syscall.Mkfifo(at, 0o600) })
		}
	}
	dir := func(name string) func(*runnerJob) {
		return func(j *runnerJob) {
			plant(j, j.evidence(name+"/kept"), func(at string) error { return os.WriteFile(at, nil, 0o600) })
		}
	}
	tests := []struct {
		name      string
		plant     func(*runnerJob)
		says      string
		unwritten bool // there is no place for the answer
	}{
		{"the log is a pipe", pipe(log), "the daemon did not start", false},
		{"the log is a link without an end", link("/dev/zero", log), "the daemon did not start", false},
		{"the log is a link to nothing", link("../../elsewhere", log), "the daemon did not start", false},
		{"the log is a directory", dir(log), "the daemon did not start", false},
		{"the daemon's log is a pipe", pipe("cavra-runtime.log"), "the daemon did not start", false},
		{"the daemon's log is a link", link("../../elsewhere", "cavra-runtime.log"), "the daemon did not start", false},
		{"the checkpoint is a pipe", pipe(log + ".checkpoint"), "the daemon did not start", false},
		{"the checkpoint is a link to the keys", link("/proc/self/environ", log+".checkpoint"), "the daemon did not start", false},
		{"the checkpoint is of nobody", func(j *runnerJob) {
			plant(j, j.evidence(log+".checkpoint"), func(at string) error { return os.WriteFile(at, []byte("decision allow\n"), 0o600) })
		}, "the daemon did not start", false},
		{"the claims are a directory", dir("runner-auth-claims.json"), "set CAVRA_RUNNER_AUTH_CLAIMS", false},
		{"the response is a directory", dir("release-governance-response.json"), "set CAVRA_RELEASE_GOVERNANCE_EVIDENCE_DIR", true},
		{"the report is a directory", dir("release-governance-evidence-verification.json"), "set CAVRA_RELEASE_GOVERNANCE_EVIDENCE_DIR", true},
		{"the evidence is a link", link("../outside", "../go-daemon"), ".cavra/go-daemon is a link", true},
		{"the evidence is a link, named with a slash", func(j *runnerJob) {
			link("../outside", "../go-daemon")(j)
			j.env["CAVRA_RELEASE_GOVERNANCE_EVIDENCE_DIR"] = ".cavra/go-daemon//"
		}, ".cavra/go-daemon is a link", true},
		{"the evidence is below a link", link("outside", "../../.cavra"), ".cavra is a link", true},
		{"the evidence is below a link, named by its whole path", func(j *runnerJob) {
			link("outside", "../../.cavra")(j)
			j.env["CAVRA_RELEASE_GOVERNANCE_EVIDENCE_DIR"] = j.evidence("")
		}, ".cavra is a link", true},
		{"the response is below a link", func(j *runnerJob) {
			link("outside", "../../answers")(j)
			j.env["CAVRA_RELEASE_GOVERNANCE_RESPONSE"] = "answers/release-governance-response.json"
		}, "answers is a link", true},
		{"the claims are below a link", func(j *runnerJob) {
			link("outside", "../../claims")(j)
			j.env["CAVRA_RUNNER_AUTH_CLAIMS"] = "claims/runner-auth-claims.json"
		}, "claims is a link", true},
	}
	for _, test := range tests {
		for _, signed := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, checkpoints: %v", test.name, signed), func(t *testing.T) {
				t.Parallel()
				j := newRunnerJob(t)
				if signed {
					j.env["CAVRA_DAEMON_EVIDENCE_CHECKPOINT_KEY"] = j.checkpointKey()
				}
				j.env["GITHUB_STEP_SUMMARY"] = j.path("summary.md")
				// What the directory that links lead to holds, by the names of ours.
				outside := map[string]string{}
				for _, dir := range []string{"outside", "outside/go-daemon"} {
					for _, name := range []string{"release-governance-response.json", "runner-auth-claims.json", "release-governance-evidence-verification.json"} {
						plant(j, j.path(dir+"/"+name), func(at string) error { return os.WriteFile(at, []byte(`{"decision":"allow"}`), 0o600) })
						outside[dir+"/"+name] = `{"decision":"allow"}`
					}
				}
				test.plant(j)
				o := j.run()
				if o.code != 1 || strings.Count(o.stderr, "\n") != 1 || !strings.Contains(o.stderr, test.says) {
					t.Errorf("exit code %d, want 1 and one line that says %q\n%s%s", o.code, test.says, o.stdout, o.stderr)
				}
				summary, err := os.ReadFile(j.path("summary.md"))
				if err != nil || !strings.Contains(string(summary), "FAILED") || strings.Contains(o.stdout+string(summary), "checkpoint\n") {
					t.Errorf("the summary, or the log, shows a checkpoint that is not of this run (%v):\n%s", err, summary)
				}
				for name, text := range outside {
					if now, err := os.ReadFile(j.path(name)); err != nil || string(now) != text {
						t.Errorf("%s is now %q, %v", name, now, err)
					}
				}
				if left, err := os.ReadDir(j.path("outside/go-daemon")); err != nil || len(left) != 3 {
					t.Errorf("there is more in the place that the link leads to: %v, %v", left, err)
				}
				if _, err := os.Lstat(j.path("elsewhere")); err == nil {
					t.Error("a link to nothing was written through")
				}
				if !test.unwritten {
					if resp := j.response(); resp.RuleID != "runner.no_answer" || resp.Decision != "block" {
						t.Errorf("the response file holds %+v", resp)
					}
					if j.verified().Valid {
						t.Error("the verification holds that the evidence is valid")
					}
				}
			})
		}
	}
}

// plant makes something at a path of the job.
func plant(j *runnerJob, at string, with func(at string) error) {
	j.t.Helper()
	err := os.MkdirAll(filepath.Dir(at), 0o700)
	if err == nil {
		err = with(at)
	}
	if err != nil {
		j.t.Fatal(err)
	}
}

// Whatever ends the script, it does not say that it passed.
func TestCIRunnerEndedEarly(t *testing.T) {
	for _, request := range []string{"approved-promotion", "critical-inventory-freshness"} {
		for _, signal := range []string{"USR1", "ALRM", "PIPE", "XCPU"} {
			t.Run(request+"/"+signal, func(t *testing.T) {
				t.Parallel()
				j := newRunnerJob(t)
				j.env["CAVRA_RELEASE_GOVERNANCE_REQUEST"] = example(request)
				j.env["GITHUB_STEP_SUMMARY"] = j.path("summary.md")
				// The answer is there, and nobody has compared it yet.
				j.fake("--daemon", fmt.Sprintf(`"$real" "$@"; kill -%s $PPID; while kill -0 $PPID; do :; done 2>/dev/null; exit 1`, signal))
				o := j.run()
				summary, err := os.ReadFile(j.path("summary.md"))
				if o.code == 0 || err != nil || !strings.HasPrefix(o.stdout, "CAVRA release governance: FAILED\n") || strings.Contains(string(summary), "passed") ||
					!strings.Contains(o.stdout, "\nproblem      this step ended early") {
					t.Errorf("exit code %d, %v\n%s%s\n%s", o.code, err, o.stdout, o.stderr, summary)
				}
			})
		}
	}
}

// A cancelled job does not wait for the step that it is at.
func TestCIRunnerCancelledAtOnce(t *testing.T) {
	for _, mode := range []string{"--print-runner-claims", "--lifecycle=start", "--daemon"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			j := newRunnerJob(t)
			j.fake(mode, `kill -TERM $PPID; exec sleep 1000`)
			if o := j.run(); o.code != 128+int(syscall.SIGTERM) || !strings.Contains(o.stderr, "the job was cancelled (SIGTERM)") || j.response().Decision != "block" {
				t.Errorf("exit code %d\n%s%s", o.code, o.stdout, o.stderr)
			}
		})
	}
}

// What is done at the end is done, whoever gets the signal.
func TestCIRunnerCancelledAtItsEnd(t *testing.T) {
	for _, mode := range []string{"--lifecycle=stop", "--verify-evidence"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			j := newRunnerJob(t)
			j.fake(mode, `kill -TERM $PPID $$; kill -HUP $PPID $$`)
			if o := j.run(); o.code != 0 || !j.verified().Valid {
				t.Errorf("exit code %d\n%s%s", o.code, o.stdout, o.stderr)
			}
		})
	}
}

// Nobody reads what is printed: the summary is there, and nothing is left behind.
func TestCIRunnerUnread(t *testing.T) {
	j := newRunnerJob(t)
	j.env["GITHUB_STEP_SUMMARY"] = j.path("summary.md")
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	cmd := j.command()
	var stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = w, &stderr
	err = cmd.Run()
	w.Close()
	j.ended(cmd, err, &bytes.Buffer{}, &stderr)
	if summary, err := os.ReadFile(j.path("summary.md")); err != nil || !strings.Contains(string(summary), "passed") {
		t.Errorf("the summary is %q, %v", summary, err)
	}
}

// An answer is found in the log whatever it quotes of the request.
func TestCIRunnerFindsWhatIsRecorded(t *testing.T) {
	text := "<&>\u2028\u2029\u202e\"\\[*]?é\U0001F600 \x7f\n'$(x)` " + strings.Repeat("long \\ ", 100_000)
	for _, key := range []bool{false, true} {
		t.Run(fmt.Sprintf("signed: %v", key), func(t *testing.T) {
			t.Parallel()
			j := newRunnerJob(t)
			if !key {
				delete(j.env, "CAVRA_DAEMON_EVIDENCE_HMAC_KEY")
			}
			request := enforcementv1.EvaluateRequest{
				RequestedOperation: text, Target: "a*[!b]\\", Actor: `'"'`,
				ReleaseGovernance: &enforcementv1.ReleaseGovernanceEvidence{ApprovalState: "approved", ApprovalID: "CHG-1"},
			}
			j.env["CAVRA_RELEASE_GOVERNANCE_REQUEST"] = j.put("request.json", string(request.AppendJSON(nil)), 0o600)
			if o := j.run(); o.code != 0 || j.response().RequestedOperation != text {
				t.Errorf("exit code %d\n%s%s", o.code, o.stdout, o.stderr)
			}
		})
	}
}

// What the script leaves is for its user alone, whatever the job lets others read.
func TestCIRunnerKeepsItsFilesToItself(t *testing.T) {
	j := newRunnerJob(t)
	j.put("umask", "umask 000\n", 0o600)
	j.env["BASH_ENV"] = j.path("umask")
	if o := j.run(); o.code != 0 {
		t.Fatalf("%+v", o)
	}
	err := filepath.WalkDir(j.path(".cavra"), func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has the mode %v", path, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// What the environment says of bash changes nothing.
func TestCIRunnerOddShells(t *testing.T) {
	for _, variable := range []string{
		"POSIXLY_CORRECT=1", "SHELLOPTS=noclobber:noglob:nounset", "SHELLOPTS=xtrace:verbose", "BASHOPTS=nocasematch:failglob:lastpipe",
		"BASH_COMPAT=4.4", "IFS=a", "CDPATH=/", "LC_ALL=tr_TR.UTF-8", "CAVRA_RUNNER_OIDC_AUTO=", "CAVRA_EXPECTED_DECISION=", "CAVRA_RUNTIME_SOCKET=",
	} {
		t.Run(variable, func(t *testing.T) {
			t.Parallel()
			j := newRunnerJob(t)
			name, value, _ := strings.Cut(variable, "=")
			j.env[name] = value
			j.env["CAVRA_DAEMON_EVIDENCE_CHECKPOINT_KEY"] = j.checkpointKey()
			if o := j.run(); o.code != 0 || !strings.Contains(o.stdout, "CAVRA release governance: passed\n") || j.verified().Records != 1 {
				t.Errorf("exit code %d\n%s%s", o.code, o.stdout, o.stderr)
			}
		})
	}
}

// The programs that the script starts get the secrets that they use, and no other.
func TestCIRunnerSharesNoSecret(t *testing.T) {
	tokens := []string{
		"CAVRA_RUNNER_AUTH_OIDC_TOKEN", "CAVRA_RUNNER_AUTH_OIDC_TOKEN_FILE", "CAVRA_RUNNER_OIDC_AUTO", "ACTIONS_ID_TOKEN_REQUEST_TOKEN", "CAVRA_GITLAB_OIDC_TOKEN",
		"GITLAB_OIDC_TOKEN", "CI_JOB_JWT_V2", "SYSTEM_ACCESSTOKEN", "CAVRA_AZURE_OIDC_REQUEST_TOKEN", "CAVRA_AZURE_OIDC_TOKEN", "CIRCLE_OIDC_TOKEN",
		"CIRCLE_OIDC_TOKEN_V2", "BUILDKITE_AGENT_ACCESS_TOKEN", "A_TOKEN_OF_MY_OWN",
	}
	keys := []string{"CAVRA_DAEMON_EVIDENCE_HMAC_KEY", "CAVRA_DAEMON_EVIDENCE_CHECKPOINT_KEY"}
	for mode, not := range map[string][]string{"--lifecycle=start": tokens, "--daemon": keys} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			j := newRunnerJob(t)
			for _, name := range tokens {
				j.env[name] = j.secret()
			}
			j.env["CAVRA_RUNNER_OIDC_AUTO"], j.env["CAVRA_RUNNER_AUTH_OIDC_TOKEN_ENV"] = "true", "A_TOKEN_OF_MY_OWN"
			j.env["CAVRA_RUNNER_OIDC_ISSUER"], j.env["CAVRA_RUNNER_OIDC_AUDIENCE"], j.env["CAVRA_RUNNER_OIDC_JWKS_URL"] = "https://gitlab.example", "cavra", "http://127.0.0.1:9/jwks"
			j.env["CAVRA_DAEMON_EVIDENCE_CHECKPOINT_KEY"] = j.checkpointKey()
			j.fake(mode, `compgen -e >names`)
			o := j.run() // with too many tokens
			if o.code != 1 {
				t.Errorf("exit code %d\n%s%s", o.code, o.stdout, o.stderr)
			}
			text, err := os.ReadFile(j.path("names"))
			if err != nil {
				t.Fatalf("%v\n%s%s", err, o.stdout, o.stderr)
			}
			has := strings.Fields(string(text))
			for _, name := range not {
				if slices.Contains(has, name) {
					t.Errorf("it has %s", name)
				}
			}
			for _, name := range []string{"CAVRA_RUNNER_AUTH_HMAC_KEY", "CAVRA_RUNNER_OIDC_ISSUER"} {
				if !slices.Contains(has, name) {
					t.Errorf("it has no %s", name)
				}
			}
		})
	}
}

// checkpointKey makes a key for checkpoints, which is one of the job's secrets.
func (j *runnerJob) checkpointKey() string {
	j.t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		j.t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		j.t.Fatal(err)
	}
	text := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	j.secrets = append(j.secrets, strings.Split(text, "\n")[1])
	return text
}
