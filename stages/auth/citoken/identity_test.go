package citoken

import (
	"testing"

	enforcementv1 "github.com/Huzefaaa2/cavra/go/cavra-runtime/enforcement/v1"
)

// named is an environment in which every variable holds its own name, and only
// the mark of one provider is set.
func named(mark string) Getenv {
	return func(name string) string {
		switch {
		case name == mark:
			return "true"
		case len(name) > 6 && name[:6] == "CAVRA_", name == "GITHUB_ACTIONS", name == "GITLAB_CI", name == "TF_BUILD", name == "BUILDKITE", name == "CIRCLECI":
			return ""
		}
		return name
	}
}

func TestIdentityFromTheEnvironment(t *testing.T) {
	for _, tt := range []struct {
		mark, name  string
		env, proven enforcementv1.RunnerIdentity
	}{
		{"GITHUB_ACTIONS", "GitHub Actions",
			enforcementv1.RunnerIdentity{
				Provider: "github-actions", Repository: "GITHUB_REPOSITORY", Workflow: "GITHUB_WORKFLOW", RunID: "GITHUB_RUN_ID", RunAttempt: "GITHUB_RUN_ATTEMPT",
				Ref: "GITHUB_REF", SHA: "GITHUB_SHA", Actor: "GITHUB_ACTOR", Job: "GITHUB_JOB", RunnerName: "RUNNER_NAME",
			},
			enforcementv1.RunnerIdentity{
				Provider: "github-actions", Repository: "GITHUB_REPOSITORY", Workflow: "GITHUB_WORKFLOW", RunID: "GITHUB_RUN_ID", RunAttempt: "GITHUB_RUN_ATTEMPT",
				Ref: "GITHUB_REF", SHA: "GITHUB_SHA", Actor: "GITHUB_ACTOR",
			}},
		{"GITLAB_CI", "GitLab CI",
			enforcementv1.RunnerIdentity{
				Provider: "gitlab-ci", Repository: "CI_PROJECT_PATH", Workflow: "CI_PIPELINE_SOURCE", RunID: "CI_PIPELINE_ID", RunAttempt: "CI_JOB_ID",
				Ref: "CI_COMMIT_REF_NAME", SHA: "CI_COMMIT_SHA", Actor: "GITLAB_USER_LOGIN", Job: "CI_JOB_NAME", RunnerName: "CI_RUNNER_DESCRIPTION",
			},
			enforcementv1.RunnerIdentity{
				Provider: "gitlab-ci", Repository: "CI_PROJECT_PATH", RunID: "CI_PIPELINE_ID", RunAttempt: "CI_JOB_ID",
				Ref: "CI_COMMIT_REF_NAME", SHA: "CI_COMMIT_SHA", Actor: "GITLAB_USER_LOGIN",
			}},
		{"TF_BUILD", "Azure Pipelines",
			enforcementv1.RunnerIdentity{
				Provider: "azure-pipelines", Repository: "BUILD_REPOSITORY_NAME", Workflow: "BUILD_DEFINITIONNAME", RunID: "BUILD_BUILDID", RunAttempt: "SYSTEM_JOBATTEMPT",
				Ref: "BUILD_SOURCEBRANCH", SHA: "BUILD_SOURCEVERSION", Actor: "BUILD_REQUESTEDFOR", Job: "SYSTEM_JOBDISPLAYNAME", RunnerName: "AGENT_NAME",
			},
			enforcementv1.RunnerIdentity{
				Provider: "azure-pipelines", Repository: "BUILD_REPOSITORY_ID", RunID: "BUILD_BUILDID", Ref: "BUILD_SOURCEBRANCH", SHA: "BUILD_SOURCEVERSION",
			}},
		{"BUILDKITE", "Buildkite",
			enforcementv1.RunnerIdentity{
				Provider: "buildkite", Repository: "BUILDKITE_PIPELINE_SLUG", Workflow: "BUILDKITE_SOURCE", RunID: "BUILDKITE_BUILD_NUMBER", RunAttempt: "BUILDKITE_JOB_ID",
				Ref: "BUILDKITE_BRANCH", SHA: "BUILDKITE_COMMIT", Actor: "BUILDKITE_BUILD_CREATOR", Job: "BUILDKITE_STEP_KEY", RunnerName: "BUILDKITE_AGENT_NAME",
			},
			enforcementv1.RunnerIdentity{
				Provider: "buildkite", Repository: "BUILDKITE_PIPELINE_SLUG", RunAttempt: "BUILDKITE_JOB_ID", Ref: "BUILDKITE_BRANCH", SHA: "BUILDKITE_COMMIT",
			}},
		{"CIRCLECI", "CircleCI",
			enforcementv1.RunnerIdentity{
				Provider: "circleci", Repository: "CIRCLE_PROJECT_ID", Workflow: "CIRCLE_WORKFLOW_ID", RunID: "CIRCLE_PIPELINE_ID", RunAttempt: "CIRCLE_BUILD_NUM",
				Ref: "CIRCLE_BRANCH", SHA: "CIRCLE_SHA1", Actor: "CIRCLE_USERNAME", Job: "CIRCLE_JOB",
			},
			enforcementv1.RunnerIdentity{Provider: "circleci", Repository: "CIRCLE_PROJECT_ID", RunID: "CIRCLE_PIPELINE_ID"}},
		{"none of them", "no CI provider",
			enforcementv1.RunnerIdentity{Provider: "local", Repository: "local"},
			enforcementv1.RunnerIdentity{Provider: "local", Repository: "local"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			getenv := named(tt.mark)
			p := Detect(getenv)
			if p.String() != tt.name || p.Detected() != (tt.name != "no CI provider") {
				t.Errorf("Detect finds %s", p)
			}
			if got := p.Identity(getenv, false); got != tt.env {
				t.Errorf("without a token the identity is\n%+v, want\n%+v", got, tt.env)
			}
			if got := p.Identity(getenv, true); got != tt.proven {
				t.Errorf("with a token the identity is\n%+v, want\n%+v", got, tt.proven)
			}
		})
	}
}

func TestDetect(t *testing.T) {
	for _, tt := range []struct {
		name string
		env  map[string]string
		want string
	}{
		{"nothing", nil, "no CI provider"},
		{"as Azure writes it", map[string]string{"TF_BUILD": "True"}, "Azure Pipelines"},
		{"false", map[string]string{"GITHUB_ACTIONS": "false", "GITLAB_CI": "true"}, "GitLab CI"},
		{"two marks", map[string]string{"BUILDKITE": "true", "GITHUB_ACTIONS": "true"}, "GitHub Actions"},
		{"another tool's variable", map[string]string{"CI": "true"}, "no CI provider"},
	} {
		if got := Detect(environment(tt.env)).String(); got != tt.want {
			t.Errorf("%s: Detect finds %s, want %s", tt.name, got, tt.want)
		}
	}
}

func TestOverrides(t *testing.T) {
	all := map[string]string{
		"CAVRA_RUNNER_PROVIDER": "p", "CAVRA_RUNNER_REPOSITORY": "r", "CAVRA_RUNNER_WORKFLOW": "w", "CAVRA_RUNNER_RUN_ID": "i", "CAVRA_RUNNER_RUN_ATTEMPT": "t",
		"CAVRA_RUNNER_REF": "f", "CAVRA_RUNNER_SHA": "s", "CAVRA_RUNNER_ACTOR": "a", "CAVRA_RUNNER_JOB": "j", "CAVRA_RUNNER_NAME": "n",
	}
	want := enforcementv1.RunnerIdentity{Provider: "p", Repository: "r", Workflow: "w", RunID: "i", RunAttempt: "t", Ref: "f", SHA: "s", Actor: "a", Job: "j", RunnerName: "n"}
	if got := Detect(environment(all)).Identity(environment(all), false); got != want {
		t.Errorf("a local identity is %+v, want %+v", got, want)
	}
	all["TF_BUILD"], all["BUILD_BUILDID"], all["BUILD_REPOSITORY_ID"] = "True", "7", "id"
	if got := Detect(environment(all)).Identity(environment(all), true); got != want {
		t.Errorf("an identity with a token is %+v, want %+v", got, want)
	}
	few := map[string]string{"GITHUB_ACTIONS": "true", "GITHUB_REPOSITORY": "octo/app", "GITHUB_JOB": "build", "CAVRA_RUNNER_REF": "refs/heads/main"}
	if got, want := Detect(environment(few)).Identity(environment(few), true), (enforcementv1.RunnerIdentity{Provider: "github-actions", Repository: "octo/app", Ref: "refs/heads/main"}); got != want {
		t.Errorf("the identity is %+v, want %+v", got, want)
	}
}
