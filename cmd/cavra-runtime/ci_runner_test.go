//go:build !windows

package main

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	enforcementv1 "github.com/Huzefaaa2/cavra/go/cavra-runtime/enforcement/v1"
)

// The script in the jobs of each provider.
func TestCIRunnerScripts(t *testing.T) {
	if _, err := exec.LookPath("bash"); err != nil {
		t.Skip("bash, which the script is written for, is not installed")
	}
	runScripts(t, "../../testdata/ci-runner")
}

func TestCIRunnerIsClean(t *testing.T) {
	if _, err := exec.LookPath("shellcheck"); err != nil {
		t.Skip("shellcheck is not installed")
	}
	if out, err := exec.CommandContext(t.Context(), "shellcheck", runnerScript).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestCIRunnerPassesOnlyWhatIsExpected(t *testing.T) {
	for _, is := range []struct{ example, decision, rule string }{
		{"approved-promotion", "allow", "release_governance.approval.approved"},
		{"critical-inventory-freshness", "require_approval", "release_governance.signal.critical"},
		{"failed-connector-delivery", "block", "release_governance.delivery.failed"},
	} {
		for _, expected := range []string{"allow", "require_approval", "block"} {
			rules := []string{""}
			if expected == is.decision {
				rules = append(rules, is.rule, "release_governance.approval.pending")
			}
			for _, rule := range rules {
				for _, blocking := range []string{"", "true"} {
					t.Run(fmt.Sprintf("%s, %q expected by %q, %q", is.decision, expected, rule, blocking), func(t *testing.T) {
						t.Parallel()
						j := newRunnerJob(t)
						j.env["CAVRA_RELEASE_GOVERNANCE_REQUEST"] = example(is.example)
						j.env["CAVRA_EXPECTED_DECISION"] = expected
						j.env["CAVRA_EXPECTED_RULE_ID"] = rule
						j.env["CAVRA_ALLOW_BLOCKING_DECISION"] = blocking
						o := j.run()
						passes := expected == is.decision && (rule == "" || rule == is.rule) && (is.decision != "block" || blocking == "true")
						if (o.code == 0) != passes || strings.HasPrefix(o.stdout, "CAVRA release governance: passed\n") != passes || (o.stderr == "") != passes {
							t.Errorf("exit code %d, passes: %v\n%s%s", o.code, passes, o.stdout, o.stderr)
						}
						if resp := j.response(); resp.Decision != is.decision || resp.RuleID != is.rule || !slices.Contains(resp.EvidenceRefs, "runner-auth://hmac/") {
							t.Errorf("the response file holds %+v", resp)
						}
						if report := j.verified(); !report.Valid || report.Records != 1 {
							t.Errorf("the verification holds %+v", report)
						}
					})
				}
			}
		}
	}
}

// Each fault ends in one line that says what is wrong, a block for an answer, and
// evidence that is kept.
func TestCIRunnerFaults(t *testing.T) {
	set := func(name, value string) func(*runnerJob) { return func(j *runnerJob) { j.env[name] = value } }
	tests := []struct {
		name     string
		fault    func(*runnerJob)
		says     string
		answered bool // there is an answer of the runtime
	}{
		{"no request is named", set("CAVRA_RELEASE_GOVERNANCE_REQUEST", ""), "CAVRA_RELEASE_GOVERNANCE_REQUEST is not set", false},
		{"the request is missing", set("CAVRA_RELEASE_GOVERNANCE_REQUEST", "no such.json"), "the request no such.json is no file", false},
		{"the request is a directory", set("CAVRA_RELEASE_GOVERNANCE_REQUEST", "."), "is no file that can be read", false},
		{"the request is malformed", func(j *runnerJob) {
			j.env["CAVRA_RELEASE_GOVERNANCE_REQUEST"] = j.put("request.json", `{"release_governance":`, 0o600)
		}, "allow was expected, and it is block by request.invalid", true},
		{"no such decision", set("CAVRA_EXPECTED_DECISION", "allowed"), "CAVRA_EXPECTED_DECISION is 'allowed'", false},
		{"neither true nor false", set("CAVRA_ALLOW_BLOCKING_DECISION", "yes"), "CAVRA_ALLOW_BLOCKING_DECISION is 'yes'", false},
		{"the program is missing", set("CAVRA_RUNTIME_PATH", "no such program"), "set CAVRA_RUNTIME_PATH", false},
		{"the program is cut off", func(j *runnerJob) {
			j.env["CAVRA_RUNTIME_PATH"] = j.put("half", "\x7fELF\x02\x01\x01", 0o700)
		}, "is the program whole", false},
		{"a key id without a key", func(j *runnerJob) {
			j.env["CAVRA_RUNNER_AUTH_HMAC_KEY"], j.env["CAVRA_RUNNER_AUTH_KEY_ID"] = "", "runners-1"
		}, "CAVRA_RUNNER_AUTH_HMAC_KEY did not reach this job", false},
		{"a checkpoint key that is none", func(j *runnerJob) {
			j.env["CAVRA_DAEMON_EVIDENCE_CHECKPOINT_KEY"] = j.secret()
		}, "the daemon did not start", false},
		{"the daemon is not ready", func(j *runnerJob) {
			j.fake("--lifecycle=start", "echo not today >&2; exit 1")
		}, "the daemon did not start: not today", false},
		{"the start is killed", func(j *runnerJob) {
			j.fake("--lifecycle=start", `"$real" "$@" >/dev/null; cp "$TMPDIR"/cavra.*/runtime.sock.pid pid; kill -KILL $$`)
		}, "the daemon did not start: it ended with code 137, and said nothing", false},
		{"no answer", func(j *runnerJob) {
			j.fake("--daemon", `"$real" --lifecycle stop "${3/--input*/}" "$(printf '%s\n' "$@" | head -n 3 | tail -n 1)" >/dev/null`)
		}, "there is no decision, which is to be taken as a block", false},
		{"a token that nothing checks", func(j *runnerJob) { j.env["CAVRA_RUNNER_AUTH_OIDC_TOKEN"] = j.secret() }, "set CAVRA_RUNNER_OIDC_ISSUER", false},
		{"an allow by another rule", func(j *runnerJob) {
			j.env["CAVRA_RELEASE_GOVERNANCE_REQUEST"] = j.put("request.json", `{"action_type":"read_file","target":"README.md"}`, 0o600)
		}, "filesystem.read.allow decided, which is no rule of release governance", true},
		{"an expected block by another rule", func(j *runnerJob) {
			j.env["CAVRA_RELEASE_GOVERNANCE_REQUEST"] = j.put("request.json", `{"action_type":"read_file","target":".env"}`, 0o600)
			j.env["CAVRA_EXPECTED_DECISION"], j.env["CAVRA_ALLOW_BLOCKING_DECISION"] = "block", "true"
		}, "filesystem.read.block decided, which is no rule of release governance", true},
		{"the log of another key", func(j *runnerJob) {
			if o := j.run(); o.code != 0 {
				j.t.Fatal(o)
			}
			j.env["CAVRA_DAEMON_EVIDENCE_HMAC_KEY"] = j.secret()
		}, "the daemon did not start", false},
		{"a log that was changed", func(j *runnerJob) {
			j.fake("--verify-evidence", `sed -i s/approved-promotion/denied-promotion/\;s/CHG-1042/CHG-1043/ .cavra/go-daemon/*.jsonl`)
		}, "the evidence is not valid", true},
		{"a log that was emptied", func(j *runnerJob) {
			j.fake("--verify-evidence", `: >.cavra/go-daemon/release-governance-evidence.jsonl`)
		}, "the evidence holds no record", false},
		{"an answer that was not recorded", func(j *runnerJob) {
			j.fake("--daemon", `"$real" "$@" >/dev/null; echo '{"decision_id":"dec_000000000000","rule_id":"release_governance.approval.approved","decision":"allow","evidence_refs":["go-daemon-evidence://000000000000000000000000"]}'; exit 0`)
		}, "the answer is not what .cavra/go-daemon/release-governance-evidence.jsonl recorded last", false},
		{"a verification that does not come to an end", func(j *runnerJob) {
			j.fake("--verify-evidence", `echo not today >&2; exit 1`)
		}, "the evidence cannot be verified: not today", true},
		{"a block that was not recorded", func(j *runnerJob) {
			j.fake("--daemon", `"$real" "$@" | sed 's/"decision":"allow"/"decision":"block"/'; exit 0`)
			j.env["CAVRA_EXPECTED_DECISION"], j.env["CAVRA_ALLOW_BLOCKING_DECISION"] = "block", "true"
		}, "the answer is not what .cavra/go-daemon/release-governance-evidence.jsonl recorded last", true},
		{"an answer that was changed on its way", func(j *runnerJob) {
			j.env["CAVRA_RELEASE_GOVERNANCE_REQUEST"] = example("critical-inventory-freshness")
			j.fake("--daemon", `"$real" "$@" 2>/dev/null | sed 's/"decision":"require_approval"/"decision":"allow"/'; exit 0`)
		}, "the answer is not what .cavra/go-daemon/release-governance-evidence.jsonl recorded last", false},
		{"an answer that was changed later", func(j *runnerJob) {
			j.env["CAVRA_RELEASE_GOVERNANCE_REQUEST"] = example("critical-inventory-freshness")
			j.env["CAVRA_EXPECTED_DECISION"] = "require_approval"
			j.fake("--lifecycle=stop", `sed -i 's/,"decision":"require_approval"/,"decision":"allow"/' .cavra/go-daemon/release-governance-response.json`)
		}, "holds another decision than the expected one, allow", false},
		{"an answer with something added", func(j *runnerJob) {
			j.fake("--daemon", `"$real" "$@" | sed 's/}$/,"more":"x"}/'; exit 0`)
		}, "the answer is not what .cavra/go-daemon/release-governance-evidence.jsonl recorded last", false},
		{"another decision, and a client that does not mind", func(j *runnerJob) {
			j.env["CAVRA_RELEASE_GOVERNANCE_REQUEST"] = example("critical-inventory-freshness")
			j.fake("--daemon", `"$real" "$@" 2>/dev/null; exit 0`)
		}, "holds another decision than the expected one, require_approval", true},
		{"another rule, and a client that does not mind", func(j *runnerJob) {
			j.env["CAVRA_EXPECTED_RULE_ID"] = "release_governance.record.verified"
			j.fake("--daemon", `"$real" "$@" 2>/dev/null; exit 0`)
		}, "holds another rule than the expected one, release_governance.approval.approved", true},
		{"a client that prints no answer", func(j *runnerJob) {
			j.fake("--daemon", `exit 0`)
		}, "it ended with code 0, and said nothing", false},
		{"a variable that Azure Pipelines does not know", set("CAVRA_DAEMON_EVIDENCE_HMAC_KEY", "$(CavraEvidenceKey)"),
			"CAVRA_DAEMON_EVIDENCE_HMAC_KEY holds the name of a variable", false},
		{"a part of a variable that Azure Pipelines does not know", set("CAVRA_RUNNER_OIDC_ISSUER", "https://vstoken.dev.azure.com/$(Organization)"),
			"CAVRA_RUNNER_OIDC_ISSUER holds the name of a variable", false},
		{"a function in the place of the program", set("CAVRA_RUNTIME_PATH", "finish"), "the program finish is not there", false},
		{"a directory in the place of the program", set("CAVRA_RUNTIME_PATH", "./tmp"), "the program ./tmp is not there", false},
		{"claims without a repository", func(j *runnerJob) {
			j.env["GITHUB_ACTIONS"], j.env["CAVRA_RUNNER_OIDC_ISSUER"] = "true", "https://gitlab.example"
		}, "names no repository", false},
		{"the response is the claims", set("CAVRA_RUNNER_AUTH_CLAIMS", ".cavra/go-daemon/release-governance-response.json"), "set CAVRA_RUNNER_AUTH_CLAIMS", false},
		{"the report is the claims", set("CAVRA_RUNNER_AUTH_CLAIMS", ".cavra/go-daemon/release-governance-evidence-verification.json"), "set CAVRA_RUNNER_AUTH_CLAIMS", false},
		{"a client that fails without a word", func(j *runnerJob) {
			j.fake("--daemon", `"$real" "$@"; exit 1`)
		}, "it ended with code 1, and said nothing", true},
		{"a daemon that does not stop", func(j *runnerJob) {
			j.fake("--lifecycle=stop", `"$real" "$@"; echo still there >&2; exit 1`)
		}, "the daemon was not stopped: still there", true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			j := newRunnerJob(t)
			test.fault(j)
			o := j.run()
			line, ok := strings.CutPrefix(o.stderr, "cavra-release-governance-runner: ")
			if o.code != 1 || !ok || strings.Count(line, "\n") != 1 || !strings.Contains(line, test.says) || strings.Contains(line, "WARN") {
				t.Errorf("exit code %d, want 1 and one line that says %q\n%s%s", o.code, test.says, o.stdout, o.stderr)
			}
			if !strings.HasPrefix(o.stdout, "CAVRA release governance: FAILED\n") {
				t.Errorf("the summary begins otherwise:\n%s", o.stdout)
			}
			resp := j.response()
			if answered := resp.RuleID != "runner.no_answer"; answered != test.answered || !answered && (resp.Decision != "block" || !strings.Contains(strings.ReplaceAll(line, "'", `"`), strings.ReplaceAll(resp.Reason[:20], "'", `"`))) {
				t.Errorf("the response file holds %+v", resp)
			}
			j.verified()
			if pid, err := os.ReadFile(j.path("pid")); err == nil {
				// Z is one that has ended, and that nobody has asked how.
				state, _ := exec.CommandContext(t.Context(), "ps", "-o", "stat=", "-p", strings.Fields(string(pid))[0]).Output()
				if s := strings.TrimSpace(string(state)); s != "" && s[0] != 'Z' {
					t.Errorf("a daemon is left in state %s", s)
				}
			}
		})
	}
}

func TestCIRunnerWritesOnlyWhereItMay(t *testing.T) {
	t.Run("evidence that cannot be written", func(t *testing.T) {
		j := newRunnerJob(t)
		j.env["CAVRA_RELEASE_GOVERNANCE_EVIDENCE_DIR"] = j.put("a file", "", 0o600) + "/evidence"
		if o := j.run(); o.code != 1 || !strings.Contains(o.stderr, "set CAVRA_RELEASE_GOVERNANCE_EVIDENCE_DIR") || strings.Count(o.stderr, "\n") != 1 {
			t.Errorf("%+v", o)
		}
	})
	t.Run("the request is the response", func(t *testing.T) {
		j := newRunnerJob(t)
		j.env["CAVRA_RELEASE_GOVERNANCE_REQUEST"] = j.put("request.json", "{}", 0o600)
		j.env["CAVRA_RELEASE_GOVERNANCE_RESPONSE"] = "request.json"
		if o := j.run(); o.code != 1 || !strings.Contains(o.stderr, "is a file that this step writes") {
			t.Errorf("%+v", o)
		}
		if text, err := os.ReadFile(j.path("request.json")); err != nil || string(text) != "{}" {
			t.Errorf("the request is now %q, %v", text, err)
		}
	})
	t.Run("no place for temporary files", func(t *testing.T) {
		j := newRunnerJob(t)
		j.env["TMPDIR"] = j.path("none")
		if o := j.run(); o.code != 1 || !strings.Contains(o.stderr, "set TMPDIR") || strings.Count(o.stderr, "\n") != 1 {
			t.Errorf("%+v", o)
		}
	})
	t.Run("the response is the report", func(t *testing.T) {
		j := newRunnerJob(t)
		j.env["CAVRA_RELEASE_GOVERNANCE_RESPONSE"] = ".cavra/go-daemon/release-governance-evidence-verification.json"
		if o := j.run(); o.code != 1 || !strings.Contains(o.stderr, "set CAVRA_RELEASE_GOVERNANCE_EVIDENCE_DIR") {
			t.Errorf("%+v", o)
		}
	})
	for _, name := range []string{"CAVRA_RELEASE_GOVERNANCE_RESPONSE", "CAVRA_RUNNER_AUTH_CLAIMS"} {
		t.Run(name+" is the log", func(t *testing.T) {
			j := newRunnerJob(t)
			if o := j.run(); o.code != 0 {
				t.Fatalf("%+v", o)
			}
			before, err := os.ReadFile(j.evidence("release-governance-evidence.jsonl"))
			if err != nil {
				t.Fatal(err)
			}
			j.env[name] = ".cavra/go-daemon/release-governance-evidence.jsonl"
			if o := j.run(); o.code != 1 || !strings.Contains(o.stderr, "which this step would empty") {
				t.Errorf("%+v", o)
			}
			if after, err := os.ReadFile(j.evidence("release-governance-evidence.jsonl")); err != nil || !bytes.Equal(before, after) {
				t.Errorf("the log is now %q, %v", after, err)
			}
		})
	}
	t.Run("links that the checkout brings", func(t *testing.T) {
		j := newRunnerJob(t)
		kept := j.put("kept", "mine", 0o600)
		if err := os.MkdirAll(j.evidence(""), 0o700); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"release-governance-response.json", "runner-auth-claims.json", "release-governance-evidence-verification.json"} {
			if err := os.Symlink(kept, j.evidence(name)); err != nil {
				t.Fatal(err)
			}
		}
		if o := j.run(); o.code != 0 {
			t.Errorf("%+v", o)
		}
		if text, err := os.ReadFile(kept); err != nil || string(text) != "mine" {
			t.Errorf("through a link was written %q, %v", text, err)
		}
	})
}

func TestCIRunnerMeetsWhatAFormerStepLeft(t *testing.T) {
	t.Run("a socket that nobody serves", func(t *testing.T) {
		j := newRunnerJob(t)
		j.env["CAVRA_RUNTIME_SOCKET"] = j.path("s")
		l, err := net.ListenUnix("unix", &net.UnixAddr{Name: j.path("s"), Net: "unix"})
		if err != nil {
			t.Fatal(err)
		}
		l.SetUnlinkOnClose(false)
		l.Close()
		if o := j.run(); o.code != 0 {
			t.Errorf("%+v", o)
		}
	})
	t.Run("a daemon", func(t *testing.T) {
		j := newRunnerJob(t)
		j.env["CAVRA_RUNTIME_SOCKET"] = j.path("s")
		lifecycle := func(action string) string {
			out, err := exec.CommandContext(t.Context(), "cavra-runtime", "--lifecycle", action, "--socket", j.path("s")).Output()
			if err != nil {
				t.Error(err)
			}
			return string(out)
		}
		lifecycle("start")
		defer lifecycle("stop")
		o := j.run()
		if o.code != 1 || !strings.Contains(o.stderr, "serves this socket already") || strings.Count(o.stderr, "\n") != 1 {
			t.Errorf("%+v", o)
		}
		if status := lifecycle("status"); !strings.Contains(status, `"running":true`) {
			t.Errorf("the daemon of another step was stopped: %s", status)
		}
	})
	t.Run("a log", func(t *testing.T) {
		j := newRunnerJob(t)
		for want := 1; want <= 2; want++ {
			if o := j.run(); o.code != 0 || j.verified().Records != want {
				t.Errorf("%d: %+v", want, o)
			}
		}
		// An answer of the run before is not taken for one of this.
		j.env["CAVRA_RELEASE_GOVERNANCE_REQUEST"] = "none"
		if o := j.run(); o.code != 1 || j.response().Decision != "block" || j.verified().Records != 2 {
			t.Errorf("%+v", o)
		}
	})
}

// A cancelled job leaves a block, evidence and no daemon, whenever the signal
// comes and whoever gets it.
func TestCIRunnerCancelled(t *testing.T) {
	// Each of the fakes says that it is there by the pipe "here", and goes on when
	// the pipe "go" is closed.
	moments := map[string]struct{ mode, does string }{
		"before the start": {"--lifecycle=start", `: >here; read -r <go || :`},
		// Whatever the start did is undone, even where it heard of no signal.
		"at the end of the start": {"--lifecycle=start", `trap '' TERM INT HUP; "$real" "$@"; : >here; read -r <go; exit 0`},
		"before the answer":       {"--daemon", `: >here; read -r <go || :`},
	}
	for name, moment := range moments {
		for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP} {
			for _, group := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s, %v, group %v", name, signal, group), func(t *testing.T) {
					t.Parallel()
					j := newRunnerJob(t)
					j.env["CAVRA_RUNTIME_SOCKET"] = j.path("s")
					j.fake(moment.mode, moment.does)
					for _, pipe := range []string{"here", "go"} {
						if err := syscall.Mkfifo(j.path(pipe), 0o600); err != nil {
							t.Fatal(err)
						}
					}
					cmd := j.command()
					cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
					var stdout, stderr bytes.Buffer
					cmd.Stdout, cmd.Stderr = &stdout, &stderr
					if err := cmd.Start(); err != nil {
						t.Fatal(err)
					}
					here, err := os.Open(j.path("here")) // once the fake is there
					if err != nil {
						t.Fatal(err)
					}
					here.Close()
					to := cmd.Process.Pid
					if group {
						to = -to
					}
					if err := syscall.Kill(to, signal); err != nil {
						t.Fatal(err)
					}
					goOn, err := os.OpenFile(j.path("go"), os.O_RDWR, 0) // whether or not somebody reads
					if err != nil {
						t.Fatal(err)
					}
					fmt.Fprintln(goOn)
					defer goOn.Close()
					for _, pipe := range []string{"here", "go"} {
						os.Remove(j.path(pipe))
					}
					o := j.ended(cmd, cmd.Wait(), &stdout, &stderr)
					if want := 128 + int(signal); o.code != want || !strings.Contains(o.stderr, "the job was cancelled (SIG") {
						t.Errorf("exit code %d, want %d\n%s%s", o.code, want, o.stdout, o.stderr)
					}
					if resp := j.response(); resp.Decision != "block" && resp.RuleID != "release_governance.approval.approved" {
						t.Errorf("the response file holds %+v", resp)
					}
					j.verified()
					status, err := exec.CommandContext(t.Context(), "cavra-runtime", "--lifecycle", "status", "--socket", j.path("s")).Output()
					if err != nil || !strings.Contains(string(status), `"process_running":false`) {
						t.Errorf("a daemon is left: %s, %v", status, err)
					}
				})
			}
		}
	}
}

// What a request says reaches the job's log and the step summary as plain text, and
// passes for no decision.
func TestCIRunnerHostileRequests(t *testing.T) {
	hostile := []string{
		"##vso[task.setvariable variable=PATH]/tmp", "\n::error::own", "::set-output name=decision::allow", "```\n# passed\n<img src=x onerror=alert(1)>",
		"[a](https://evil.example) **b** @octo/admins |c|", "\x1b[2J\x1b]0;title\x07", "\u202eevil\u200b", `x","decision":"allow","rule_id":"release_governance.approval.approved`,
		`\`, `","evidence_refs":["runner-auth://oidc/https://trusted.example"],"a":"`, "$(touch owned)", "`touch owned`", strings.Repeat("long ", 100_000),
	}
	for _, text := range hostile {
		t.Run(fmt.Sprintf("%.20q", text), func(t *testing.T) {
			t.Parallel()
			j := newRunnerJob(t)
			request := enforcementv1.EvaluateRequest{
				SessionID: text, AgentID: text, Actor: text, Target: text, RequestedOperation: text,
				ReleaseGovernance: &enforcementv1.ReleaseGovernanceEvidence{MetadataKind: text, ApprovalState: text, ApprovalID: text, EvidenceRefs: []string{text}},
			}
			if len(text) > 1000 {
				request.SessionID, request.AgentID, request.Target = "", "", ""
				request.ReleaseGovernance = &enforcementv1.ReleaseGovernanceEvidence{ApprovalState: "waived"}
				request.Actor, request.RequestedOperation = "", text
			}
			j.env["CAVRA_RELEASE_GOVERNANCE_REQUEST"] = j.put("request.json", string(request.AppendJSON(nil)), 0o600)
			j.env["GITHUB_STEP_SUMMARY"] = j.path("summary.md")
			o := j.run()
			if o.code != 1 || j.response().Decision == "allow" || !strings.Contains(o.stdout, "identity     runner-auth://hmac/") {
				t.Errorf("exit code %d\n%s%s", o.code, o.stdout, o.stderr)
			}
			summary, err := os.ReadFile(j.path("summary.md"))
			if err != nil {
				t.Fatal(err)
			}
			fenced := strings.Split(string(summary), "```")
			if len(fenced) != 3 || !strings.HasPrefix(fenced[1], "text\ndecision ") || fenced[2] != "\n" {
				t.Errorf("the summary is no single block:\n%s", summary)
			}
			for where, text := range map[string]string{"stdout": o.stdout, "stderr": o.stderr, "summary": strings.Join(fenced[1:], "")} {
				if at := strings.IndexFunc(text, func(r rune) bool {
					return r != '\n' && (r < ' ' || r > '~') || strings.ContainsRune("#<>[]|*`$\\\"", r)
				}); at >= 0 {
					t.Errorf("%s holds %q: %s", where, text[at], text)
				}
				for line := range strings.Lines(text) {
					if strings.HasPrefix(strings.TrimSpace(line), "::") || len(line) > 1000 {
						t.Errorf("%s holds the line %.100q", where, line)
					}
				}
			}
			if _, err := os.Stat(j.path("owned")); err == nil {
				t.Error("what the request says was run")
			}
		})
	}
}

// A trace of the script shows no key either.
func TestCIRunnerTraced(t *testing.T) {
	if o := newRunnerJob(t).run("-x"); o.code != 0 || !strings.Contains(o.stderr, "+ finish") {
		t.Errorf("exit code %d\n%s", o.code, o.stderr)
	}
}

// The whole of a run, from the start of bash to its end, takes under a second.
func TestCIRunnerSpeed(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector slows the runtime down many times")
	}
	j := newRunnerJob(t)
	var took []time.Duration
	for range 5 {
		begin := time.Now()
		if o := j.run(); o.code != 0 {
			t.Fatalf("%+v", o)
		}
		took = append(took, time.Since(begin))
	}
	slices.Sort(took)
	t.Logf("a run takes %v (median of %d; %v to %v)", took[2], len(took), took[0], took[4])
	if took[2] > time.Second {
		t.Errorf("a run takes %v, which is over a second", took[2])
	}
}
