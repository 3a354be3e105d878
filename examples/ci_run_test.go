//go:build !windows

package examples_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const (
	approved = "approved-promotion"
	critical = "critical-inventory-freshness"
)

// A gate is the gate of one template in a job, ready to run.
type gate struct {
	provider string
	proof    string // what the decision's evidence_refs say of the runner
	run      func(t *testing.T, j *job, p *provider) (log string, code int)
	noToken  string // the variable that a provider which gives no token leaves out
	says     string // what the log then says to do
}

var gates = []gate{
	{
		provider: "GitHub", proof: "runner-auth://oidc/" + githubURL,
		noToken: "ACTIONS_ID_TOKEN_REQUEST_URL", says: "id-token: write",
		run: func(t *testing.T, j *job, p *provider) (string, int) {
			return runAction(t, githubJob(t, j, p), map[string]string{"oidc-jwks-url": p.URL + "/oauth/discovery/keys"})
		},
	},
	{
		provider: "GitHub with HMAC", proof: "runner-auth://hmac/github-runners",
		run: func(t *testing.T, j *job, p *provider) (string, int) {
			key := hmacKey(j)
			return runAction(t, githubJob(t, j, p), map[string]string{"oidc": "false", "runner-auth-key": key, "runner-auth-key-id": "github-runners"})
		},
	},
	{
		provider: "GitLab", proof: "runner-auth://oidc/http://127.0.0.1",
		noToken: "CAVRA_GITLAB_OIDC_TOKEN", says: "id_tokens",
		run: func(t *testing.T, j *job, p *provider) (string, int) {
			return runGitLab(t, "cavra-release-governance", j, p)
		},
	},
	{
		provider: "GitLab with HMAC", proof: "runner-auth://hmac/gitlab-runners",
		run: func(t *testing.T, j *job, p *provider) (string, int) {
			j.env["CAVRA_RUNNER_AUTH_HMAC_KEY"] = hmacKey(j)
			return runGitLab(t, ".cavra-release-governance-hmac", j, p)
		},
	},
	{
		provider: "Azure", proof: "runner-auth://oidc/https://vstoken.dev.azure.com/" + azureOrganization,
		noToken: "System.AccessToken", says: "SYSTEM_ACCESSTOKEN is not set",
		run: func(t *testing.T, j *job, p *provider) (string, int) {
			env := azureEnv(t, j, p)
			env["CAVRA_RUNNER_OIDC_JWKS_URL"] = p.URL + "/oauth/discovery/keys" // the provider's, on this host
			return runAzure(t, j, env)
		},
	},
	{
		provider: "Azure with HMAC", proof: "runner-auth://hmac/azure-runners",
		run: func(t *testing.T, j *job, p *provider) (string, int) {
			env := azureEnv(t, j, p)
			// As the comment in the template says.
			for name := range env {
				if strings.Contains(name, "OIDC") || name == "SYSTEM_ACCESSTOKEN" {
					delete(env, name)
				}
			}
			env["CAVRA_RUNNER_AUTH_HMAC_KEY"], env["CAVRA_RUNNER_AUTH_KEY_ID"] = hmacKey(j), "azure-runners"
			return runAzure(t, j, env)
		},
	},
}

// hmacKey makes a key, which is one of the job's secrets from then on.
func hmacKey(j *job) string {
	key, others := rand.Text()+rand.Text(), j.secrets
	j.secrets = func() []string { return append(others(), key) }
	return key
}

// checkpointKey is hmacKey for checkpoints, in PEM.
func checkpointKey(t *testing.T, j *job) string {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	others := j.secrets
	j.secrets = func() []string { return append(others(), string(bytes.Split(text, []byte("\n"))[1])) }
	return string(text)
}

// githubJob gives the job GitHub's variables.
func githubJob(t *testing.T, j *job, p *provider) *job {
	for name, value := range map[string]string{
		"GITHUB_ACTIONS": "true", "GITHUB_REPOSITORY": repository, "GITHUB_WORKFLOW": "Release governance", "GITHUB_RUN_ID": "7",
		"GITHUB_RUN_ATTEMPT": "1", "GITHUB_REF": "refs/tags/v1.2.3", "GITHUB_SHA": commit, "GITHUB_ACTOR": "octocat", "GITHUB_JOB": "release-governance",
		"GITHUB_OUTPUT": filepath.Join(t.TempDir(), "output"), "GITHUB_STEP_SUMMARY": filepath.Join(t.TempDir(), "summary"), "RUNNER_TEMP": t.TempDir(),
		"ACTIONS_ID_TOKEN_REQUEST_URL": p.URL + "/github?x=1", "ACTIONS_ID_TOKEN_REQUEST_TOKEN": p.credential,
		"GITHUB_ACTION_PATH": filepath.Join(j.dir, ".cavra-package/ci-runners/github-action"),
	} {
		if _, set := j.env[name]; !set {
			j.env[name] = value
		}
	}
	return j
}

// runAction runs the step of the composite action with the inputs of the workflow,
// and those given instead.
func runAction(t *testing.T, j *job, with map[string]string) (string, int) {
	t.Helper()
	w, a := load[workflow](t, workflowFile), load[action](t, actionFile)
	contexts := map[string]string{"secrets.CAVRA_EVIDENCE_KEY": hmacKey(j), "secrets.CAVRA_CHECKPOINT_KEY": checkpointKey(t, j)}
	for name, value := range w.Env {
		contexts["env."+name] = value
	}
	inputs := map[string]string{}
	for name, input := range a.Inputs {
		inputs["inputs."+name] = input.Default
	}
	expression := regexp.MustCompile(`\$\{\{ ([a-zA-Z_.-]+) \}\}`)
	for name, value := range stepNamed(t, w.Jobs["release-governance"].Steps, "Release governance").With {
		inputs["inputs."+name] = expand(t, expression, value.(string), contexts)
	}
	for name, value := range with {
		if _, there := a.Inputs[name]; !there {
			t.Fatalf("%s is no input", name)
		}
		inputs["inputs."+name] = value
	}
	env := map[string]string{}
	for name, value := range a.Runs.Steps[0].Env {
		env[name] = expand(t, expression, value, inputs)
	}
	return j.run(expand(t, expression, a.Runs.Steps[0].Run, inputs), env)
}

// runGitLab runs the script of a job; what comes before it is installation.
func runGitLab(t *testing.T, name string, j *job, p *provider) (string, int) {
	t.Helper()
	template := gitlabJobNamed(t, name)
	predefined := map[string]string{
		"GITLAB_CI": "true", "CI_SERVER_URL": p.URL, "CI_PROJECT_PATH": repository, "CI_PIPELINE_ID": "7", "CI_JOB_ID": "8",
		"CI_COMMIT_REF_NAME": "v1.2.3", "CI_COMMIT_SHA": commit, "GITLAB_USER_LOGIN": "octocat", "CI_PIPELINE_SOURCE": "push", "CI_JOB_NAME": name,
	}
	env := maps.Clone(predefined)
	for name, value := range template.Variables {
		env[name] = expand(t, regexp.MustCompile(`\$([A-Z_]+)`), value, predefined)
	}
	for name, token := range template.IDTokens {
		if token["aud"] != template.Variables["CAVRA_RUNNER_OIDC_AUDIENCE"] {
			t.Errorf("the token is made for %q, and checked for %q", token["aud"], template.Variables["CAVRA_RUNNER_OIDC_AUDIENCE"])
		}
		env[name] = p.gitlabToken(t, repository)
	}
	maps.DeleteFunc(env, func(name, _ string) bool { _, set := j.env[name]; return set })
	return j.run(strings.Join(template.Script, "\n"), env)
}

// azureEnv are the variables of Azure's gate.
func azureEnv(t *testing.T, j *job, p *provider) map[string]string {
	t.Helper()
	pipeline := load[azurePipeline](t, azureFile)
	values := maps.Clone(pipeline.Variables)
	values["CAVRA_ORGANIZATION_ID"] = azureOrganization
	env := maps.Clone(values)
	values["System.OidcRequestUri"], values["System.AccessToken"] = p.URL+"/azure", p.credential
	for name, value := range j.env {
		if strings.HasPrefix(name, "System.") {
			values[name] = value
		}
	}
	maps.Copy(env, map[string]string{
		"TF_BUILD": "True", "BUILD_REPOSITORY_ID": azureRepository, "BUILD_REPOSITORY_URI": "https://octo@dev.azure.example/octo/p/_git/app", "BUILD_REPOSITORY_NAME": "app", "BUILD_BUILDID": "7", "BUILD_DEFINITIONNAME": "release",
		"BUILD_SOURCEBRANCH": "refs/heads/main", "BUILD_SOURCEVERSION": commit, "SYSTEM_JOBATTEMPT": "1", "AGENT_TEMPDIRECTORY": t.TempDir(),
	})
	for name, value := range stepNamed(t, pipeline.Jobs[0].Steps, "Release governance").Env {
		env[name] = expand(t, regexp.MustCompile(`\$\(([A-Za-z_.]+)\)`), value, values)
	}
	return env
}

func runAzure(t *testing.T, j *job, env map[string]string) (string, int) {
	t.Helper()
	return j.azureShell().run(stepNamed(t, load[azurePipeline](t, azureFile).Jobs[0].Steps, "Release governance").Bash, env)
}

func TestGates(t *testing.T) {
	t.Parallel()
	for _, g := range gates {
		start := func(t *testing.T, request string) (*job, *provider) {
			t.Parallel()
			p, j := startProvider(t), newJob(t, request).unpack()
			j.secrets = p.secrets
			return j, p
		}
		t.Run(g.provider+"/an approved release goes on", func(t *testing.T) {
			j, p := start(t, approved)
			log, code := g.run(t, j, p)
			if code != 0 {
				t.Fatalf("it ends with %d:\n%s", code, log)
			}
			j.recorded(`"decision":"allow"`, `"rule_id":"release_governance.approval.approved"`, g.proof)
		})
		t.Run(g.provider+"/a critical signal stops it and is recorded", func(t *testing.T) {
			j, p := start(t, critical)
			log, code := g.run(t, j, p)
			if code == 0 {
				t.Fatalf("it goes on:\n%s", log)
			}
			j.recorded(`"decision":"require_approval"`, `"rule_id":"release_governance.signal.critical"`)
		})
		t.Run(g.provider+"/no request stops it", func(t *testing.T) {
			j, p := start(t, approved)
			if err := os.Remove(filepath.Join(j.dir, "release/request.json")); err != nil {
				t.Fatal(err)
			}
			if log, code := g.run(t, j, p); code == 0 || !strings.Contains(log, "CAVRA_RELEASE_GOVERNANCE_REQUEST") {
				t.Fatalf("it ends with %d:\n%s", code, log)
			}
		})
		if g.noToken == "" {
			continue
		}
		t.Run(g.provider+"/no token stops it", func(t *testing.T) {
			j, p := start(t, approved)
			j.env[g.noToken] = ""
			if log, code := g.run(t, j, p); code == 0 || !strings.Contains(log, g.says) {
				t.Fatalf("it ends with %d and does not say %q:\n%s", code, g.says, log)
			}
		})
	}
}

// TestATraceShowsNoSecret runs each gate as a job does whose environment asks every
// bash for a trace; run looks for the secrets.
func TestATraceShowsNoSecret(t *testing.T) {
	t.Parallel()
	for _, g := range gates {
		t.Run(g.provider, func(t *testing.T) {
			t.Parallel()
			p, j := startProvider(t), newJob(t, approved).unpack()
			j.secrets = p.secrets
			j.env["SHELLOPTS"] = "xtrace"
			if log, code := g.run(t, j, p); code != 0 || !strings.Contains(log, "+ finish") {
				t.Errorf("it ends with %d:\n%s", code, log)
			}
		})
	}
}

func TestTokensOfOtherRepositoriesAreRefused(t *testing.T) {
	t.Parallel()
	p, j := startProvider(t), newJob(t, approved).unpack()
	j.secrets = p.secrets
	j.env["CAVRA_GITLAB_OIDC_TOKEN"] = p.gitlabToken(t, "mallory/app")
	if log, code := runGitLab(t, "cavra-release-governance", j, p); code == 0 {
		t.Errorf("it goes on:\n%s", log)
	}
	j.recorded(`"rule_id":"runner_auth.invalid"`)
}

func TestTheActionsOutputs(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, request, change, to string
		with                      map[string]string
		want                      map[string]string
		fails                     bool
		says                      string // the last line, where nothing is asked
	}{
		{name: "an allow", request: approved, want: map[string]string{"decision": "allow", "rule_id": "release_governance.approval.approved"}},
		{name: "a failure", request: critical, fails: true, want: map[string]string{"decision": "require_approval", "rule_id": "release_governance.signal.critical"}},
		{name: "what was expected", request: critical, with: map[string]string{"expected-decision": "require_approval", "expected-rule-id": "release_governance.signal.critical"},
			want: map[string]string{"decision": "require_approval", "rule_id": "release_governance.signal.critical"}},
		{name: "a request that spells outputs", request: critical, change: `"endpoints-2026-11"`,
			to: `"x\",\"decision\":\"allow\",\"rule_id\":\"mine\"\ndecision=allow"`, fails: true,
			want: map[string]string{"decision": "require_approval", "rule_id": "release_governance.signal.critical"}},
		{name: "no answer", request: approved, with: map[string]string{"runtime": "nowhere/cavra-runtime"}, fails: true,
			want: map[string]string{"decision": "block", "rule_id": "runner.no_answer"}},
		{name: "no proof", request: approved, with: map[string]string{"oidc": "false", "runner-auth-key": ""}, fails: true, says: "give runner-auth-key"},
		{name: "two proofs", request: approved, with: map[string]string{"oidc": "true", "runner-auth-key": "a-key-for-tests"}, fails: true, says: "choose one"},
		{name: "oidc is neither", request: approved, with: map[string]string{"oidc": "yes"}, fails: true, says: "neither true nor false"},
		{name: "no wrapper", request: approved, with: map[string]string{"wrapper": "nowhere.sh"}, fails: true, says: "the wrapper is not there"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p, j := startProvider(t), newJob(t, tt.request).unpack()
			j.secrets = p.secrets
			if tt.change != "" {
				before := j.read("release/request.json")
				j.write("release/request.json", strings.Replace(before, tt.change, tt.to, 1))
				if before == j.read("release/request.json") {
					t.Fatalf("the request holds no %s", tt.change)
				}
			}
			// What an earlier step left is no answer to this one.
			j.write(evidenceDir+"/release-governance-response.json", `{"decision":"allow","rule_id":"stale"}`)
			githubJob(t, j, p)
			with := map[string]string{"oidc-jwks-url": p.URL + "/oauth/discovery/keys"}
			maps.Copy(with, tt.with)
			log, code := runAction(t, j, with)
			if (code != 0) != tt.fails {
				t.Errorf("it ends with %d:\n%s", code, log)
			}
			if tt.want == nil {
				if _, err := os.Stat(j.env["GITHUB_OUTPUT"]); err == nil {
					t.Error("there are outputs of a run that asked nothing")
				}
				if !strings.HasPrefix(log, "cavra-release-governance: ") || !strings.Contains(log, tt.says) {
					t.Errorf("it does not say %q:\n%s", tt.says, log)
				}
				return
			}
			text, err := os.ReadFile(j.env["GITHUB_OUTPUT"])
			if err != nil {
				t.Fatalf("%v\n%s", err, log)
			}
			got := outputs(t, string(text))
			if answered := got["rule_id"] != "runner.no_answer"; answered != strings.Contains(log, "\ncheckpoint\n") {
				t.Errorf("the log holds no checkpoint, or one of nothing:\n%s", log)
			}
			if want := map[bool]string{true: "false", false: "true"}[tt.fails]; got["passed"] != want {
				t.Errorf("passed is %q, want %s", got["passed"], want)
			}
			if len(got) != 5 || got["decision"] != tt.want["decision"] || got["rule_id"] != tt.want["rule_id"] || got["evidence"] != evidenceDir {
				t.Errorf("the outputs are %q, want %q", got, tt.want)
			}
			if answered := got["rule_id"] != "runner.no_answer"; answered != regexp.MustCompile(`^dec_[0-9a-f]{12}$`).MatchString(got["decision_id"]) {
				t.Errorf("decision_id is %q", got["decision_id"])
			}
		})
	}
}

// TestTheActionGivesOneProof looks at what the wrapper gets, in a job whose
// environment holds the other proof too.
func TestTheActionGivesOneProof(t *testing.T) {
	t.Parallel()
	oidc := []string{"CAVRA_RUNNER_OIDC_AUDIENCE", "CAVRA_RUNNER_OIDC_AUTO", "CAVRA_RUNNER_OIDC_ISSUER", "CAVRA_RUNNER_OIDC_JWKS_URL"}
	for name, tt := range map[string]struct {
		oidc string
		want []string
	}{
		"a token": {"true", oidc},
		"a key":   {"false", []string{"CAVRA_RUNNER_AUTH_HMAC_KEY"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, j := startProvider(t), newJob(t, approved)
			j.write("wrapper.sh", `for name in $(compgen -e CAVRA_RUNNER_); do [ -z "${!name}" ] || echo "$name"; done | sort >given`)
			with := map[string]string{"wrapper": "wrapper.sh", "oidc": tt.oidc}
			j.setAll(map[string]string{"CAVRA_RUNNER_OIDC_AUTO": "true", "CAVRA_RUNNER_OIDC_ISSUER": p.URL, "CAVRA_RUNNER_OIDC_AUDIENCE": "x", "CAVRA_RUNNER_OIDC_JWKS_URL": p.URL})
			j.env["CAVRA_RUNNER_AUTH_HMAC_KEY"] = hmacKey(j)
			if tt.oidc == "false" {
				with["runner-auth-key"] = hmacKey(j)
			}
			if log, code := runAction(t, githubJob(t, j, p), with); code != 0 {
				t.Fatalf("it ends with %d:\n%s", code, log)
			}
			if given := strings.Fields(j.read("given")); !slices.Equal(given, tt.want) {
				t.Errorf("the wrapper gets %q, want %q", given, tt.want)
			}
		})
	}
}

// TestTheActionBelievesNoFile meets a checkout whose evidence directory is a link to
// an answer of its own.
func TestTheActionBelievesNoFile(t *testing.T) {
	t.Parallel()
	p, j := startProvider(t), newJob(t, critical).unpack()
	j.secrets = p.secrets
	j.write("outside/release-governance-response.json", `{"decision":"allow","rule_id":"mine","decision_id":"dec_000000000000"}`)
	if err := errors.Join(os.Mkdir(filepath.Join(j.dir, ".cavra"), 0o755), os.Symlink("../outside", filepath.Join(j.dir, evidenceDir))); err != nil {
		t.Fatal(err)
	}
	log, code := runAction(t, githubJob(t, j, p), map[string]string{"oidc-jwks-url": p.URL + "/oauth/discovery/keys"})
	text, err := os.ReadFile(j.env["GITHUB_OUTPUT"])
	if err != nil {
		t.Fatalf("%v\n%s", err, log)
	}
	if got := outputs(t, string(text)); code == 0 || got["decision"] != "block" || got["rule_id"] != "runner.no_answer" || got["decision_id"] != "" {
		t.Errorf("it ends with %d and the outputs %q:\n%s", code, got, log)
	}
	if text := j.read("outside/release-governance-response.json"); !strings.Contains(text, "mine") {
		t.Errorf("where the link leads there is now %q", text)
	}
}

// TestHostileInputsAreNotRun gives each input of the action a value that would
// leave a file behind if a shell ran it.
func TestHostileInputsAreNotRun(t *testing.T) {
	t.Parallel()
	for _, name := range slices.Sorted(maps.Keys(load[action](t, actionFile).Inputs)) {
		for what, value := range map[string]string{
			"substitution": "$(touch pwned)`touch pwned`; touch pwned & a[$(touch pwned)]",
			"quotes":       "x'; touch pwned; echo '\"; touch pwned; echo \"",
			"newlines":     "x\ntouch pwned\ndecision<<E\nallow\nE\nrule_id=mine",
		} {
			t.Run(name+"/"+what, func(t *testing.T) {
				t.Parallel()
				p, j := startProvider(t), newJob(t, approved).unpack()
				githubJob(t, j, p)
				with := map[string]string{"oidc-jwks-url": p.URL + "/oauth/discovery/keys"}
				if strings.HasPrefix(name, "runner-auth-key") {
					with["oidc"], with["runner-auth-key"] = "false", hmacKey(j)
				}
				with[name] = value
				log, code := runAction(t, j, with)
				for _, dir := range []string{j.dir, j.env["HOME"], j.env["TMPDIR"]} {
					err := filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
						if filepath.Base(path) == "pwned" {
							t.Errorf("the value was run:\n%s", log)
						}
						return err
					})
					if err != nil {
						t.Error(err)
					}
				}
				text, err := os.ReadFile(j.env["GITHUB_OUTPUT"])
				if err != nil {
					if code == 0 {
						t.Error("it succeeds without outputs")
					}
					return
				}
				got, evidence := outputs(t, string(text)), evidenceDir
				if name == "evidence-dir" {
					evidence = value
				}
				if len(got) != 5 || got["evidence"] != evidence || strings.ContainsAny(got["decision"]+got["rule_id"], "\n $") || got["rule_id"] == "mine" {
					t.Errorf("the outputs are %q", got)
				}
				if passed := got["passed"] == "true"; passed != (code == 0) || passed && got["decision"] != "allow" {
					t.Errorf("it ends with %d on %q:\n%s", code, got, log)
				}
			})
		}
	}
}

// TestTheActionFindsTheWrapperOfTheRepository uses the action where it stands here,
// as `uses: OWNER/REPOSITORY/examples/github-actions/actions/…@COMMIT` does.
func TestTheActionFindsTheWrapperOfTheRepository(t *testing.T) {
	t.Parallel()
	here, err := filepath.Abs(filepath.Dir(actionFile))
	if err != nil {
		t.Fatal(err)
	}
	p, j := startProvider(t), newJob(t, approved).unpack()
	j.secrets = p.secrets
	if err := os.RemoveAll(filepath.Join(j.dir, ".cavra-package/ci-runners")); err != nil {
		t.Fatal(err)
	}
	j.env["GITHUB_ACTION_PATH"] = here
	if log, code := runAction(t, githubJob(t, j, p), map[string]string{"oidc-jwks-url": p.URL + "/oauth/discovery/keys"}); code != 0 {
		t.Fatalf("it ends with %d:\n%s", code, log)
	}
	j.recorded(`"decision":"allow"`)
}
