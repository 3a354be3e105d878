package citoken

import (
	enforcementv1 "github.com/Huzefaaa2/cavra/go/cavra-runtime/enforcement/v1"
)

// overrides are the variables that say a member of the identity whatever the
// provider says.
var overrides = enforcementv1.RunnerIdentity{
	Provider: "CAVRA_RUNNER_PROVIDER", Repository: "CAVRA_RUNNER_REPOSITORY", Workflow: "CAVRA_RUNNER_WORKFLOW",
	RunID: "CAVRA_RUNNER_RUN_ID", RunAttempt: "CAVRA_RUNNER_RUN_ATTEMPT", Ref: "CAVRA_RUNNER_REF", SHA: "CAVRA_RUNNER_SHA",
	Actor: "CAVRA_RUNNER_ACTOR", Job: "CAVRA_RUNNER_JOB", RunnerName: "CAVRA_RUNNER_NAME",
}

// Identity is who the job is by its environment. withToken leaves out what the
// provider's token does not carry, since the daemon refuses a member that the
// token cannot prove; a member that CAVRA_RUNNER_… names is put in all the same,
// for a daemon that lists it as unproven. Without a provider, provider and
// repository are "local".
func (p Provider) Identity(getenv Getenv, withToken bool) enforcementv1.RunnerIdentity {
	id := enforcementv1.RunnerIdentity{Provider: "local", Repository: "local"}
	if p.p != nil {
		variables := p.p.env
		if withToken {
			variables = p.p.proven
		}
		id = enforcementv1.RunnerIdentity{Provider: p.p.id}
		fill(&id, variables, getenv)
	}
	fill(&id, overrides, getenv)
	return id
}

// fill sets the members whose variables hold something.
func fill(id *enforcementv1.RunnerIdentity, variables enforcementv1.RunnerIdentity, getenv Getenv) {
	for _, m := range [...]struct {
		into     *string
		variable string
	}{
		{&id.Provider, variables.Provider}, {&id.Repository, variables.Repository}, {&id.Workflow, variables.Workflow},
		{&id.RunID, variables.RunID}, {&id.RunAttempt, variables.RunAttempt}, {&id.Ref, variables.Ref}, {&id.SHA, variables.SHA},
		{&id.Actor, variables.Actor}, {&id.Job, variables.Job}, {&id.RunnerName, variables.RunnerName},
	} {
		if m.variable == "" {
			continue
		}
		if v := getenv(m.variable); v != "" {
			*m.into = v
		}
	}
}
