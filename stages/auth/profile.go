package auth

import (
	"net/url"
	"slices"
	"strings"

	enforcementv1 "github.com/Huzefaaa2/cavra/go/cavra-runtime/enforcement/v1"
)

// identityMembers are the names of an identity's members, in the order of
// memberPointers.
var identityMembers = [...]string{"provider", "repository", "workflow", "run_id", "run_attempt", "ref", "sha", "actor", "job", "runner_name"}

const memberProvider, memberRepository = 0, 1

func memberPointers(id *enforcementv1.RunnerIdentity) [len(identityMembers)]*string {
	return [...]*string{&id.Provider, &id.Repository, &id.Workflow, &id.RunID, &id.RunAttempt, &id.Ref, &id.SHA, &id.Actor, &id.Job, &id.RunnerName}
}

// A profile says what the tokens of a CI provider prove.
type profile struct {
	provider string
	proofs   map[string][]proof // by member of an identity
}

// A proof is a claim that can prove a member. Where there are several, the value
// says which one counts, and no other will do: a branch that is called
// refs/heads/main must not pass for main.
type proof struct {
	claim     string
	form      func(value string) bool // where set, it counts for values of that form alone
	ifPresent bool                    // it counts where the token has it, and must then say the same as the last
}

// profiles are the built-in profiles. The last proof of a member counts where
// none before it does.
var profiles = map[string]profile{
	"github": {"github-actions", map[string][]proof{
		"repository":  {{claim: "repository"}},
		"workflow":    {{claim: "workflow_ref", form: isWorkflowRef}, {claim: "workflow"}},
		"run_id":      {{claim: "run_id"}},
		"run_attempt": {{claim: "run_attempt"}},
		"ref":         {{claim: "ref"}},
		"sha":         {{claim: "sha"}},
		"actor":       {{claim: "actor"}},
	}},
	"gitlab": {"gitlab-ci", map[string][]proof{
		// In a fork's pipeline one names the project that the job runs in and the
		// other the fork whose code it runs. Neither is the whole truth, so neither
		// passes for it.
		"repository":  {{claim: "job_project_path", ifPresent: true}, {claim: "project_path"}},
		"workflow":    {{claim: "ci_config_ref_uri"}},
		"run_id":      {{claim: "pipeline_id"}},
		"run_attempt": {{claim: "job_id"}},
		"ref":         {{claim: "ref_path", form: isFullRef}, {claim: "ref"}},
		"sha":         {{claim: "sha"}},
		"actor":       {{claim: "user_login"}},
	}},
	"azure": {"azure-pipelines", map[string][]proof{
		"repository": {{claim: "rpo_uri", form: isURI}, {claim: "rpo_id"}},
		"workflow":   {{claim: "def_id"}},
		"run_id":     {{claim: "run_id"}},
		"ref":        {{claim: "rpo_ref"}},
		"sha":        {{claim: "rpo_ver"}},
	}},
}

const genericProfile = "generic"

// isWorkflowRef tells the path of a workflow, which GitHub gives, from its name,
// which whoever writes it chooses.
func isWorkflowRef(value string) bool {
	return strings.Contains(value, "/.github/workflows/") || strings.Contains(value, "@refs/")
}

func isFullRef(value string) bool { return strings.HasPrefix(value, "refs/") }

func isURI(value string) bool { return strings.Contains(value, "://") }

// profileOf names the profile of an issuer that has none configured.
func profileOf(issuer string) string {
	u, err := url.Parse(issuer)
	switch {
	case err != nil:
	case u.Host == "token.actions.githubusercontent.com", strings.HasSuffix(u.Path, "/_services/token"),
		strings.HasPrefix(u.Host, "token.actions.") && strings.HasSuffix(u.Host, ".ghe.com"):
		return "github"
	case u.Host == "vstoken.dev.azure.com":
		return "azure"
	case u.Host == "oidc.circleci.com", u.Host == "agent.buildkite.com":
		return genericProfile // which says what else it needs
	}
	return "gitlab"
}

// checker holds identities and tokens to a profile and to what the operator
// requires.
type checker struct {
	provider string
	proofs   [len(identityMembers)][]placedProof
	unproven [len(identityMembers)]bool
	require  []requirement
}

// placedProof is a proof with the place of its claim.
type placedProof struct {
	proof
	place int
}

// A requirement is met by a token that fits one of its patterns.
type requirement struct {
	name     string
	patterns []placedPattern
}

type placedPattern struct {
	text   string
	proofs []placedProof
}

// pick gives the claim that counts for a value of that form.
func pick(proofs []placedProof, value string, c *claims) claim {
	last := len(proofs) - 1
	for _, p := range proofs[:last] {
		is, other := c.values[p.place], c.values[proofs[last].place]
		switch {
		case p.form != nil && p.form(value):
			return is
		case p.ifPresent && is.present && other.present && is != other:
			return claim{present: true}
		case p.ifPresent && is.present:
			return is
		}
	}
	return c.values[proofs[last].place]
}

// check compares what an identity claims with what the token says, and the token
// with what is required. It takes the members that nobody vouches for out of the
// identity.
func (k *checker) check(id *enforcementv1.RunnerIdentity, c *claims) fault {
	for i, value := range memberPointers(id) {
		switch {
		case *value == "":
		case i == memberProvider:
			if *value != k.provider {
				return fault{"identity.provider", "is not the provider whose token it is"}
			}
		case k.unproven[i]:
			*value = ""
		case k.proofs[i] == nil:
			return fault{"identity." + identityMembers[i], "is not proven by a token of this provider: leave it out"}
		default:
			proven := pick(k.proofs[i], *value, c)
			switch {
			case !proven.present:
				return fault{"identity." + identityMembers[i], "is not proven by this token, which has no claim for it: leave it out"}
			case !proven.comparable || proven.text != *value:
				return fault{"identity." + identityMembers[i], "is not what the token says"}
			}
		}
	}
	for _, r := range k.require {
		if !slices.ContainsFunc(r.patterns, func(p placedPattern) bool {
			is := pick(p.proofs, p.text, c)
			return is.comparable && matches(p.text, is.text)
		}) {
			return fault{"signature", "is a token of a runner that is not let in here: its " + r.name + " is not one that is required"}
		}
	}
	return fault{}
}

// matches reports whether the value fits the pattern, in which * stands for any
// run of characters.
func matches(pattern, value string) bool {
	first, rest, wild := strings.Cut(pattern, "*")
	if !wild {
		return pattern == value
	}
	value, ok := strings.CutPrefix(value, first)
	if !ok {
		return false
	}
	parts := strings.Split(rest, "*")
	last := len(parts) - 1
	for _, part := range parts[:last] {
		if _, value, ok = strings.Cut(value, part); !ok {
			return false
		}
	}
	return strings.HasSuffix(value, parts[last])
}
