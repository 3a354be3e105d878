package citoken

import (
	"context"
	"strings"

	enforcementv1 "github.com/Huzefaaa2/cavra/go/cavra-runtime/enforcement/v1"
)

// A Provider is where a job runs. The zero value is no provider: a machine of
// one's own.
type Provider struct {
	p *provider
}

// Detect gives the provider whose job the environment belongs to. Where a job of
// one provider carries the mark of another too, the first of the table counts.
func Detect(getenv Getenv) Provider {
	for i := range providers {
		if strings.EqualFold(getenv(providers[i].mark), "true") {
			return Provider{&providers[i]}
		}
	}
	return Provider{}
}

// Detected reports whether there is a provider.
func (p Provider) Detected() bool { return p.p != nil }

// String is the provider's name for messages.
func (p Provider) String() string {
	if p.p == nil {
		return "no CI provider"
	}
	return p.p.name
}

// provider is what is known of one. The members of the two identities are the
// names of the variables that hold them.
type provider struct {
	name string // for messages
	id   string // the identity's provider
	mark string // the variable that is true in its jobs

	env    enforcementv1.RunnerIdentity // what a job knows of itself
	proven enforcementv1.RunnerIdentity // what its token says too

	token func(ctx context.Context, r request) (string, error)
}

var providers = []provider{
	{
		name: "GitHub Actions", id: "github-actions", mark: "GITHUB_ACTIONS",
		env: enforcementv1.RunnerIdentity{
			Repository: "GITHUB_REPOSITORY", Workflow: "GITHUB_WORKFLOW", RunID: "GITHUB_RUN_ID", RunAttempt: "GITHUB_RUN_ATTEMPT",
			Ref: "GITHUB_REF", SHA: "GITHUB_SHA", Actor: "GITHUB_ACTOR", Job: "GITHUB_JOB", RunnerName: "RUNNER_NAME",
		},
		proven: enforcementv1.RunnerIdentity{
			Repository: "GITHUB_REPOSITORY", Workflow: "GITHUB_WORKFLOW", RunID: "GITHUB_RUN_ID", RunAttempt: "GITHUB_RUN_ATTEMPT",
			Ref: "GITHUB_REF", SHA: "GITHUB_SHA", Actor: "GITHUB_ACTOR",
		},
		token: githubToken,
	},
	{
		name: "GitLab CI", id: "gitlab-ci", mark: "GITLAB_CI",
		env: enforcementv1.RunnerIdentity{
			Repository: "CI_PROJECT_PATH", Workflow: "CI_PIPELINE_SOURCE", RunID: "CI_PIPELINE_ID", RunAttempt: "CI_JOB_ID",
			Ref: "CI_COMMIT_REF_NAME", SHA: "CI_COMMIT_SHA", Actor: "GITLAB_USER_LOGIN", Job: "CI_JOB_NAME", RunnerName: "CI_RUNNER_DESCRIPTION",
		},
		proven: enforcementv1.RunnerIdentity{
			Repository: "CI_PROJECT_PATH", RunID: "CI_PIPELINE_ID", RunAttempt: "CI_JOB_ID",
			Ref: "CI_COMMIT_REF_NAME", SHA: "CI_COMMIT_SHA", Actor: "GITLAB_USER_LOGIN",
		},
		token: gitlabToken,
	},
	{
		name: "Azure Pipelines", id: "azure-pipelines", mark: "TF_BUILD",
		env: enforcementv1.RunnerIdentity{
			Repository: "BUILD_REPOSITORY_NAME", Workflow: "BUILD_DEFINITIONNAME", RunID: "BUILD_BUILDID", RunAttempt: "SYSTEM_JOBATTEMPT",
			Ref: "BUILD_SOURCEBRANCH", SHA: "BUILD_SOURCEVERSION", Actor: "BUILD_REQUESTEDFOR", Job: "SYSTEM_JOBDISPLAYNAME", RunnerName: "AGENT_NAME",
		},
		// The claim rpo_id. The address differs: for the agent a user stands in it, and in
		// the token a .git behind it.
		proven: enforcementv1.RunnerIdentity{
			Repository: "BUILD_REPOSITORY_ID", RunID: "BUILD_BUILDID", Ref: "BUILD_SOURCEBRANCH", SHA: "BUILD_SOURCEVERSION",
		},
		token: azureToken,
	},
	{
		name: "Buildkite", id: "buildkite", mark: "BUILDKITE",
		env: enforcementv1.RunnerIdentity{
			Repository: "BUILDKITE_PIPELINE_SLUG", Workflow: "BUILDKITE_SOURCE", RunID: "BUILDKITE_BUILD_NUMBER", RunAttempt: "BUILDKITE_JOB_ID",
			Ref: "BUILDKITE_BRANCH", SHA: "BUILDKITE_COMMIT", Actor: "BUILDKITE_BUILD_CREATOR", Job: "BUILDKITE_STEP_KEY", RunnerName: "BUILDKITE_AGENT_NAME",
		},
		// The claims pipeline_slug, job_id, build_branch and build_commit.
		proven: enforcementv1.RunnerIdentity{
			Repository: "BUILDKITE_PIPELINE_SLUG", RunAttempt: "BUILDKITE_JOB_ID", Ref: "BUILDKITE_BRANCH", SHA: "BUILDKITE_COMMIT",
		},
		token: buildkiteToken,
	},
	{
		name: "CircleCI", id: "circleci", mark: "CIRCLECI",
		env: enforcementv1.RunnerIdentity{
			Repository: "CIRCLE_PROJECT_ID", Workflow: "CIRCLE_WORKFLOW_ID", RunID: "CIRCLE_PIPELINE_ID", RunAttempt: "CIRCLE_BUILD_NUM",
			Ref: "CIRCLE_BRANCH", SHA: "CIRCLE_SHA1", Actor: "CIRCLE_USERNAME", Job: "CIRCLE_JOB",
		},
		// The claims oidc.circleci.com/project-id and oidc.circleci.com/pipeline-id.
		proven: enforcementv1.RunnerIdentity{Repository: "CIRCLE_PROJECT_ID", RunID: "CIRCLE_PIPELINE_ID"},
		token:  circleToken,
	},
}
