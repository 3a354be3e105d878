package auth

import (
	"path"
	"strings"
	"testing"

	"pgregory.net/rapid"

	enforcementv1 "github.com/Huzefaaa2/cavra/go/cavra-runtime/enforcement/v1"
)

// identityOf makes an identity of name=value pairs.
func identityOf(pairs string) (id enforcementv1.RunnerIdentity) {
	for _, pair := range strings.Fields(pairs) {
		name, value, _ := strings.Cut(pair, "=")
		*fields(&id)[name] = value
	}
	return id
}

// What each provider's token proves, as the tokens of the providers have it.
func TestProfiles(t *testing.T) {
	gitlab := map[string]any{
		"iss": "https://gitlab.com", "project_path": "group/app", "ci_config_ref_uri": "gitlab.com/group/app//.gitlab-ci.yml@refs/heads/main",
		"pipeline_id": "12", "job_id": "345", "ref": "main", "ref_path": "refs/heads/main", "sha": "abc", "user_login": "dev", "project_id": "20",
	}
	fork := with(with(gitlab, "job_project_path", "group/app"), "project_path", "stranger/app")
	tricky := with(with(gitlab, "ref", "refs/heads/main"), "ref_path", "refs/heads/refs/heads/main")
	azure := map[string]any{
		"iss": "https://vstoken.dev.azure.com/4a1e", "rpo_uri": "https://dev.azure.com/o/p/_git/r", "rpo_id": "9d1f", "def_id": "7", "run_id": 88, "rpo_ref": "refs/heads/main", "rpo_ver": "abc",
	}
	github := with(githubClaims(), "iss", "https://ghe.example/_services/token")
	named := with(github, "workflow", "octo/app/.github/workflows/deploy.yml@refs/heads/main")
	generic := map[string]any{"iss": "https://agent.example", "build": 12, "name": "octo/app", "list": []string{"x"}, "half": 1.5, "yes": true, "big": 12345678901234567}
	for _, tt := range []struct {
		name, claimed string
		claims        map[string]any
		fault         string // the member at fault, or empty
	}{
		{"GHES", "provider=github-actions repository=octo/app workflow=ci run_id=1742 ref=refs/heads/main", github, ""},
		{"GHES by the workflow's path", "provider=github-actions repository=octo/app workflow=octo/app/.github/workflows/ci.yml@refs/heads/main", github, ""},
		{"a workflow that is called as the path of another", "provider=github-actions repository=octo/app workflow=octo/app/.github/workflows/deploy.yml@refs/heads/main", named, "identity.workflow"},

		{"GitLab", "provider=gitlab-ci repository=group/app workflow=gitlab.com/group/app//.gitlab-ci.yml@refs/heads/main run_id=12 run_attempt=345 ref=main sha=abc actor=dev", gitlab, ""},
		{"GitLab by the full ref", "provider=gitlab-ci repository=group/app ref=refs/heads/main", gitlab, ""},
		{"a branch that is called as a full ref", "provider=gitlab-ci repository=group/app ref=refs/heads/main", tricky, "identity.ref"},
		{"that branch by its full name", "provider=gitlab-ci repository=group/app ref=refs/heads/refs/heads/main", tricky, ""},
		{"GitLab in a fork's pipeline", "provider=gitlab-ci repository=group/app", fork, "identity.repository"},
		{"the fork itself", "provider=gitlab-ci repository=stranger/app", fork, "identity.repository"},
		{"a null job_project_path proves nothing", "provider=gitlab-ci repository=group/app", with(gitlab, "job_project_path", nil), "identity.repository"},
		{"GitLab without a workflow's claim", "provider=gitlab-ci repository=group/app workflow=push", with(gitlab, "ci_config_ref_uri", leftOut), "identity.workflow"},
		{"GitLab with a null workflow", "provider=gitlab-ci repository=group/app workflow=push", with(gitlab, "ci_config_ref_uri", nil), "identity.workflow"},
		{"GitLab has no job", "provider=gitlab-ci repository=group/app job=build", gitlab, "identity.job"},

		{"Azure", "provider=azure-pipelines repository=https://dev.azure.com/o/p/_git/r workflow=7 run_id=88 ref=refs/heads/main sha=abc", azure, ""},
		{"Azure by id", "provider=azure-pipelines repository=9d1f", azure, ""},
		{"Azure by name, which is not proven", "provider=azure-pipelines repository=r", azure, "identity.repository"},
		{"Azure has no actor", "provider=azure-pipelines repository=9d1f actor=dev", azure, "identity.actor"},
		{"Azure has no attempt", "provider=azure-pipelines repository=9d1f run_attempt=1", azure, "identity.run_attempt"},

		{"generic", "provider=agent repository=octo/app run_id=12", generic, ""},
		{"a number in another spelling", "provider=agent repository=octo/app run_id=12.0", generic, "identity.run_id"},
		{"a number that a float cannot hold", "provider=agent repository=octo/app sha=12345678901234567", generic, ""},
		{"its neighbour", "provider=agent repository=octo/app sha=12345678901234568", generic, "identity.sha"},
		{"a fraction proves nothing", "provider=agent repository=octo/app run_attempt=1.5", generic, "identity.run_attempt"},
		{"a list proves nothing", "provider=agent repository=octo/app ref=x", generic, "identity.ref"},
		{"true proves nothing", "provider=agent repository=octo/app actor=true", generic, "identity.actor"},
		{"another provider", "provider=generic repository=octo/app", generic, "identity.provider"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := OIDCIssuer{Issuer: tt.claims["iss"].(string)}
			name := profileOf(o.Issuer)
			if o.Issuer == generic["iss"] {
				name, o.Provider = "generic", "agent"
				o.Claims = map[string]string{"repository": "name", "run_id": "build", "run_attempt": "half", "ref": "list", "actor": "yes", "sha": "big"}
			}
			v := &oidcVerifier{names: newClaimNames()}
			fail := func(name, problem string) { t.Fatal(name, problem) }
			p, _ := o.profile(name, fail)
			checker := v.newChecker(o, p, fail)
			claims, refused := parseClaims([]byte(toJSON(with(with(tt.claims, "exp", 2), "iat", 1))), v.names)
			if refused != nil {
				t.Fatal(refused)
			}
			id := identityOf(tt.claimed)
			if f := checker.check(&id, claims); f.member != tt.fault {
				t.Errorf("the fault is %+v, want %q", f, tt.fault)
			}
		})
	}
}

func TestProfileOf(t *testing.T) {
	for issuer, want := range map[string]string{
		"https://token.actions.githubusercontent.com":              "github",
		"https://token.actions.githubusercontent.com/octo":         "github",
		"https://ghe.example/_services/token":                      "github",
		"https://token.actions.githubusercontent.com.evil.example": "gitlab",
		"https://token.actions.octo.ghe.com":                       "github",
		"https://token.actions.octo.ghe.com.evil.example":          "gitlab",
		"https://vstoken.dev.azure.com/4a1e":                       "azure",
		"https://evil.example/?https://vstoken.dev.azure.com/":     "gitlab",
		"https://gitlab.com":                                       "gitlab",
		"https://gitlab.example/sub":                               "gitlab",
	} {
		if got := profileOf(issuer); got != want {
			t.Errorf("profileOf(%s) is %s, want %s", issuer, got, want)
		}
	}
}

// Azure's tokens are for the same audience everywhere, so each is taken once
// whatever the options say.
func TestAzureTokensAreTakenOnce(t *testing.T) {
	const issuer = "https://vstoken.dev.azure.com/4a1e"
	stage := stageAt(t, testOIDC(t, func(i *OIDCIssuer) { i.Issuer = issuer; i.Require = nil }), atTestTime)
	auth := oidcAuth(tokenOf(with(with(githubClaims(), "iss", issuer), "rpo_id", "9d1f")))
	auth.Identity = identityOf("provider=azure-pipelines repository=9d1f")
	if _, err := ask(t, stage, auth); err != nil {
		t.Fatal(err)
	}
	_, err := ask(t, stage, auth)
	if reason := wantRefused(t, err); !strings.Contains(reason, "used before") {
		t.Errorf("the reason is %q", reason)
	}
}

// A pattern fits as it does in a shell where nothing is special but *.
func TestMatches(t *testing.T) {
	for _, tt := range []struct {
		pattern, value string
		fits           bool
	}{
		{"octo/app", "octo/app", true}, {"octo/app", "octo/apps", false}, {"octo/*", "octo/", true}, {"octo/*", "octo/a/b", true}, {"octo/*", "evil/octo/app", false},
		{"*", "", true}, {"a*a", "a", false}, {"a*a", "aa", true}, {"*/main", "refs/heads/main", true}, {"*/main", "main", false},
		{"a*b*c", "abbc", true}, {"a*b*c", "acb", false}, {"[a]?", "[a]?", true}, {"?", "a", false}, {"**", "x", true}, {"a*b*", "ab", true}, {"*aab", "aaab", true},
	} {
		if got := matches(tt.pattern, tt.value); got != tt.fits {
			t.Errorf("%q fits %q: %t", tt.value, tt.pattern, got)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		pattern := rapid.StringMatching(`[ab*]{0,8}`).Draw(t, "pattern")
		value := rapid.StringMatching(`[ab]{0,8}`).Draw(t, "value")
		want, err := path.Match(pattern, value) // which differs at slashes alone
		if err != nil || matches(pattern, value) != want {
			t.Fatalf("%q fits %q: %t", value, pattern, !want)
		}
	})
}
