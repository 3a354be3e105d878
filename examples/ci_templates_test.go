// Package examples_test holds the CI examples to what they promise: they are of
// their provider's form, ask for no more than they need, and their steps do what
// the documents say, with the real runtime.
package examples_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

const (
	actionFile   = "github-actions/actions/cavra-release-governance-go-runtime/action.yml"
	workflowFile = "github-actions/cavra-release-governance-go-runtime.yml"
	gitlabFile   = "gitlab-ci/cavra-release-governance-go-runtime.gitlab-ci.yml"
	azureFile    = "azure-pipelines/cavra-release-governance-go-runtime.azure-pipelines.yml"
)

// A step is one of GitHub's or of Azure's, with the members that the examples use.
type step struct {
	ID              string            `yaml:"id"`
	Name            string            `yaml:"name"`
	DisplayName     string            `yaml:"displayName"`
	If              string            `yaml:"if"`
	Condition       string            `yaml:"condition"`
	Uses            string            `yaml:"uses"`
	Task            string            `yaml:"task"`
	Checkout        string            `yaml:"checkout"`
	PersistCreds    any               `yaml:"persistCredentials"`
	Shell           string            `yaml:"shell"`
	Run             string            `yaml:"run"`
	Bash            string            `yaml:"bash"`
	With            map[string]any    `yaml:"with"`
	Inputs          map[string]any    `yaml:"inputs"`
	Env             map[string]string `yaml:"env"`
	ContinueOnError any               `yaml:"continue-on-error"`
}

type action struct {
	Name, Description string
	Inputs            map[string]struct {
		Description string `yaml:"description"`
		Required    bool   `yaml:"required"`
		Default     string `yaml:"default"`
	}
	Outputs map[string]struct {
		Description, Value string
	}
	Runs struct {
		Using string
		Steps []step
	}
}

type workflow struct {
	Name        string
	On          map[string]any
	Permissions map[string]string
	Env         map[string]string
	Jobs        map[string]struct {
		RunsOn         string         `yaml:"runs-on"`
		TimeoutMinutes int            `yaml:"timeout-minutes"`
		Permissions    map[string]any `yaml:"permissions"`
		Steps          []step
	}
}

type gitlabJob struct {
	Extends      string
	Stage        string
	Image        string
	Timeout      string
	Variables    map[string]string
	BeforeScript []string                     `yaml:"before_script"`
	Script       []string                     `yaml:"script"`
	IDTokens     map[string]map[string]string `yaml:"id_tokens"`
	Artifacts    struct {
		Name, When string
		Paths      []string
		ExpireIn   string `yaml:"expire_in"`
	}
	AllowFailure any `yaml:"allow_failure"`
}

type azurePipeline struct {
	Trigger, PR any
	Pool        map[string]string
	Variables   map[string]string
	Jobs        []struct {
		Job              string
		DisplayName      string `yaml:"displayName"`
		TimeoutInMinutes string `yaml:"timeoutInMinutes"`
		Steps            []step
	}
}

// load reads a template, and refuses members that its type does not know: what no
// test looks at has no place in an example.
func load[T any](t *testing.T, path string) (v T) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.UnmarshalWithOptions(text, &v, yaml.DisallowUnknownField()); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return v
}

// stepNamed is the step of that name.
func stepNamed(t *testing.T, steps []step, name string) step {
	t.Helper()
	i := slices.IndexFunc(steps, func(s step) bool { return s.Name == name || s.DisplayName == name })
	if i < 0 {
		t.Fatalf("there is no step %q", name)
	}
	return steps[i]
}

// gitlabJobNamed is a job with what it extends laid below it, as GitLab does.
func gitlabJobNamed(t *testing.T, name string) gitlabJob {
	t.Helper()
	jobs := load[map[string]gitlabJob](t, gitlabFile)
	job, ok := jobs[name]
	if !ok {
		t.Fatalf("%s has no job %q", gitlabFile, name)
	}
	base, ok := jobs[job.Extends]
	if !ok || base.Extends != "" {
		t.Fatalf("%s: the job %q extends %q, which is no job to start from", gitlabFile, name, job.Extends)
	}
	merged := base
	merged.IDTokens, merged.Variables = job.IDTokens, map[string]string{}
	for _, variables := range []map[string]string{base.Variables, job.Variables} {
		for name, value := range variables {
			merged.Variables[name] = value
		}
	}
	if job.Script != nil || job.BeforeScript != nil || job.Artifacts.Paths != nil || base.AllowFailure != nil || job.AllowFailure != nil {
		t.Fatalf("%s: the job %q does more than say how the runner is proven", gitlabFile, name)
	}
	return merged
}

func TestTheWorkflowHasTheLeastPermissions(t *testing.T) {
	w := load[workflow](t, workflowFile)
	if len(w.Permissions) != 2 || w.Permissions["contents"] != "read" || w.Permissions["id-token"] != "write" {
		t.Errorf("the permissions are %v; contents: read and id-token: write are enough", w.Permissions)
	}
	for _, trigger := range []string{"pull_request_target", "workflow_run", "issue_comment"} {
		if _, there := w.On[trigger]; there {
			t.Errorf("%s runs what strangers send with the token of the repository", trigger)
		}
	}
	for name, job := range w.Jobs {
		if job.Permissions != nil {
			t.Errorf("the job %s has permissions of its own", name)
		}
		for _, s := range job.Steps {
			if strings.HasPrefix(s.Uses, "actions/checkout@") && s.With["persist-credentials"] != false {
				t.Errorf("the job %s leaves the token in the clone", name)
			}
		}
	}
}

func TestActionsAreNamedByVersion(t *testing.T) {
	pinned := regexp.MustCompile(`^[a-z-]+/[a-z-]+@(v[0-9]+|[0-9a-f]{40})$|^\./`)
	steps := load[action](t, actionFile).Runs.Steps
	for _, job := range load[workflow](t, workflowFile).Jobs {
		steps = append(steps, job.Steps...)
	}
	for _, s := range steps {
		if s.Uses != "" && !pinned.MatchString(s.Uses) {
			t.Errorf("%q names no version", s.Uses)
		}
	}
}

// TestNoTemplateWritesValuesIntoScripts keeps the providers from pasting a value
// into the text that the shell runs.
func TestNoTemplateWritesValuesIntoScripts(t *testing.T) {
	var scripts []string
	for _, s := range load[action](t, actionFile).Runs.Steps {
		scripts = append(scripts, s.Run)
	}
	for _, job := range load[workflow](t, workflowFile).Jobs {
		for _, s := range job.Steps {
			scripts = append(scripts, s.Run)
		}
	}
	for _, script := range scripts {
		if strings.Contains(script, "${{") {
			t.Errorf("GitHub puts a value into this script:\n%s", script)
		}
	}
	for _, job := range load[azurePipeline](t, azureFile).Jobs {
		for _, s := range job.Steps {
			if strings.Contains(s.Bash, "$(") || strings.Contains(s.Bash, "${{") || strings.Contains(s.Bash, "$[") {
				t.Errorf("Azure Pipelines puts a value into this script:\n%s", s.Bash)
			}
		}
	}
	for name, job := range load[map[string]gitlabJob](t, gitlabFile) {
		for _, line := range slices.Concat(job.BeforeScript, job.Script) {
			if strings.Contains(line, "$[[") || strings.Contains(line, "eval ") {
				t.Errorf("GitLab puts a value into this line of %s: %s", name, line)
			}
		}
	}
}

// TestEvidenceIsKeptOnFailureToo looks at what comes after a gate that failed.
func TestEvidenceIsKeptOnFailureToo(t *testing.T) {
	for name, job := range load[workflow](t, workflowFile).Jobs {
		s := job.Steps[len(job.Steps)-1]
		if s.If != "always()" || s.Uses != "actions/upload-artifact@v6" || s.With["path"] != ".cavra/go-daemon" || s.With["include-hidden-files"] != true {
			t.Errorf("the last step of %s does not keep the evidence: %+v", name, s)
		}
	}
	for _, name := range []string{"cavra-release-governance", ".cavra-release-governance-hmac"} {
		job := gitlabJobNamed(t, name)
		if a := job.Artifacts; a.When != "always" || !slices.Equal(a.Paths, []string{".cavra/go-daemon/"}) || job.Variables["CAVRA_RELEASE_GOVERNANCE_EVIDENCE_DIR"] != ".cavra/go-daemon" {
			t.Errorf("GitLab's %s does not keep the evidence: %+v", name, a)
		}
	}
	for _, job := range load[azurePipeline](t, azureFile).Jobs {
		s := job.Steps[len(job.Steps)-1]
		if s.Condition != "always()" || s.Task != "PublishPipelineArtifact@1" || s.Inputs["targetPath"] != stepNamed(t, job.Steps, "Release governance").Env["CAVRA_RELEASE_GOVERNANCE_EVIDENCE_DIR"] {
			t.Errorf("Azure's last step does not keep the evidence: %+v", s)
		}
	}
}

func TestTheActionIsDocumented(t *testing.T) {
	a := load[action](t, actionFile)
	text, err := os.ReadFile(actionFile)
	if err != nil {
		t.Fatal(err)
	}
	for name, input := range a.Inputs {
		if input.Description == "" || !strings.Contains(string(text), "${{ inputs."+name+" }}") {
			t.Errorf("the input %s has no description, or nothing uses it", name)
		}
	}
	for _, m := range regexp.MustCompile(`\$\{\{ *inputs\.([a-z-]+) *\}\}`).FindAllSubmatch(text, -1) {
		if _, there := a.Inputs[string(m[1])]; !there {
			t.Errorf("%s is no input", m[1])
		}
	}
	for _, name := range []string{"passed", "decision", "rule_id", "decision_id", "evidence"} {
		if out := a.Outputs[name]; out.Description == "" || out.Value != "${{ steps."+a.Runs.Steps[0].ID+".outputs."+name+" }}" {
			t.Errorf("the output %s is %+v", name, out)
		}
	}
	for _, job := range load[workflow](t, workflowFile).Jobs {
		gate := stepNamed(t, job.Steps, "Release governance")
		for name := range gate.With {
			if _, there := a.Inputs[name]; !there {
				t.Errorf("the workflow gives the action the input %s, which it does not have", name)
			}
		}
		for name, input := range a.Inputs {
			if _, there := gate.With[name]; input.Required && !there {
				t.Errorf("the workflow does not give the input %s", name)
			}
		}
	}
}

// TestTemplatesSayWhatToChange keeps each header to the values that are there.
func TestTemplatesSayWhatToChange(t *testing.T) {
	for _, path := range []string{workflowFile, gitlabFile, azureFile} {
		text, err := os.ReadFile(filepath.FromSlash(path))
		if err != nil {
			t.Fatal(err)
		}
		named := regexp.MustCompile(`(?m)^#   (CAVRA_[A-Z0-9_]+) `).FindAllSubmatch(text, -1)
		if len(named) < 3 || len(named) > 4 {
			t.Errorf("the header of %s names %d values to change", path, len(named))
		}
		for _, m := range named {
			if !regexp.MustCompile(`(?m)^ +` + string(m[1]) + `: \S`).Match(text) {
				t.Errorf("%s does not set %s", path, m[1])
			}
		}
	}
}
