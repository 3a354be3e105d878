package auth

import (
	"bytes"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-multierror"

	"github.com/Huzefaaa2/cavra/go/cavra-runtime/document"
	"github.com/Huzefaaa2/cavra/go/cavra-runtime/pipeline"
)

func TestOIDCRefusesToStart(t *testing.T) {
	generic := func(i *OIDCIssuer) {
		i.Profile, i.Claims = "generic", map[string]string{"repository": "repo"}
	}
	second := func(d time.Duration) *time.Duration { return &d }
	for _, tt := range []struct {
		name   string
		change func(*OIDCIssuer)
		says   []string // one for each fault
	}{
		{"no issuer", func(i *OIDCIssuer) { i.Issuer = "" }, []string{"oidc[0].issuer is missing"}},
		{"no audience", func(i *OIDCIssuer) { i.Audience = "" }, []string{"oidc[0].audience is missing"}},
		{"no keys", func(i *OIDCIssuer) { i.JWKS = "" }, []string{"both missing"}},
		{"two sources of keys", func(i *OIDCIssuer) { i.JWKSURL = "https://ci.example/keys" }, []string{"both set"}},
		{"no such file", func(i *OIDCIssuer) { i.JWKS += ".none" }, []string{"jwks cannot be used"}},
		{"http", func(i *OIDCIssuer) { i.JWKS, i.JWKSURL = "", "http://ci.example/keys" }, []string{"not https"}},
		{"a line break in the issuer", func(i *OIDCIssuer) { i.Issuer += "\n" }, []string{"issuer holds"}},
		{"an audience without end", func(i *OIDCIssuer) { i.Audience = strings.Repeat("a", 513) }, []string{"audience has more"}},
		{"an unknown profile", func(i *OIDCIssuer) { i.Profile = "GitHub" }, []string{"profile is none"}},
		{"claims for GitHub", func(i *OIDCIssuer) { i.Claims = map[string]string{"job": "job"} }, []string{"only the profile generic"}},
		{"a provider for GitHub", func(i *OIDCIssuer) { i.Provider = "github" }, []string{"only the profile generic"}},
		{"generic without claims", func(i *OIDCIssuer) { i.Profile, i.Require = "generic", nil }, []string{"names no claim that proves the repository"}},
		{"generic with a false member", func(i *OIDCIssuer) { generic(i); i.Claims["repo"] = "repo" }, []string{"no member of an identity"}},
		{"generic with a provider's claim", func(i *OIDCIssuer) { generic(i); i.Claims["provider"] = "x" }, []string{"set the option provider"}},
		{"generic by sub", func(i *OIDCIssuer) { generic(i); i.Claims["ref"] = "sub" }, []string{"sub, whose form changes"}},
		{"an unproven repository", func(i *OIDCIssuer) { i.Unproven = []string{"repository"} }, []string{"unproven"}},
		{"an unproven something", func(i *OIDCIssuer) { i.Unproven = []string{"color"} }, []string{"unproven"}},
		{"sub is required", func(i *OIDCIssuer) { i.Require = map[string][]string{"sub": {"*"}} }, []string{"sub, whose form changes"}},
		{"provider is required", func(i *OIDCIssuer) { i.Require = map[string][]string{"provider": {"*"}} }, []string{"follows from the issuer"}},
		{"what is never proven is required", func(i *OIDCIssuer) { i.Require = map[string][]string{"job": {"*"}} }, []string{"no token of this provider proves"}},
		{"no value is required", func(i *OIDCIssuer) { i.Require = map[string][]string{"ref": {}} }, []string{"lists no value"}},
		{"an empty value is required", func(i *OIDCIssuer) { i.Require = map[string][]string{"ref": {""}} }, []string{"an empty one"}},
		{"a leeway of minutes", func(i *OIDCIssuer) { i.Leeway = second(61 * time.Second) }, []string{"leeway is 1m1s"}},
		{"a negative leeway", func(i *OIDCIssuer) { i.Leeway = second(-1) }, []string{"leeway is"}},
		{"a negative age", func(i *OIDCIssuer) { i.MaxAge = -time.Hour }, []string{"max_age is"}},
		{"an age of days", func(i *OIDCIssuer) { i.MaxAge = 25 * time.Hour }, []string{"max_age is"}},
		{"nothing at all", func(i *OIDCIssuer) { *i = OIDCIssuer{} }, []string{"issuer is missing", "audience is missing", "both missing"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			stage, err := New(testOIDC(t, tt.change), pipeline.Env{})
			var faults *multierror.Error
			if !errors.As(err, &faults) || stage != nil {
				t.Fatalf("New gives %v, %v; want faults", stage, err)
			}
			if len(faults.Errors) != len(tt.says) {
				t.Fatalf("New finds %v, want %d faults", faults.Errors, len(tt.says))
			}
			for i, say := range tt.says {
				if !strings.Contains(faults.Errors[i].Error(), say) {
					t.Errorf("the fault %q does not say %q", faults.Errors[i], say)
				}
			}
		})
	}
	for name, tt := range map[string]struct {
		o    Options
		says string
	}{
		"an empty list":            {Options{OIDC: []OIDCIssuer{}}, "oidc is empty"},
		"an issuer twice":          {Options{OIDC: append(testOIDC(t).OIDC, testOIDC(t).OIDC...)}, "oidc[1].issuer is that of an earlier"},
		"a requirement that is no": {Options{OIDCRequire: []string{"repository"}}, "name=value"},
		"requirements alone":       {Options{OIDCRequire: []string{"repository=octo/*"}, OIDC: testOIDC(t).OIDC}, "oidc_issuer is missing"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := New(tt.o, pipeline.Env{}); err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("New gives %v, want %q", err, tt.says)
			}
		})
	}
}

func TestOIDCWarnsWhereEverybodyGetsIn(t *testing.T) {
	for name, tt := range map[string]struct {
		require map[string][]string
		warns   bool
	}{"nothing is required": {nil, true}, "a repository is required": {map[string][]string{"repository": {"octo/app"}}, false}} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			if _, err := New(testOIDC(t, func(i *OIDCIssuer) { i.Require = tt.require }), logTo(&out)); err != nil {
				t.Fatal(err)
			}
			if warned := strings.Contains(out.String(), "[WARN]") && strings.Contains(out.String(), "EVERY repository"); warned != tt.warns {
				t.Errorf("the log says %q", out.String())
			}
		})
	}
}

func TestOIDCFlatOptionsAreOneIssuer(t *testing.T) {
	o := Options{
		OIDCIssuer: testIssuer, OIDCAudience: testAudience, OIDCJWKS: testOIDC(t).OIDC[0].JWKS,
		OIDCRequire: []string{"repository=octo/other", "repository=octo/app", "repository_id=74"},
	}
	if _, err := ask(t, stageAt(t, o, atTestTime), oidcAuth(tokenOf(githubClaims()))); err != nil {
		t.Error(err)
	}
	o.OIDCRequire[2] = "repository_id=75"
	_, err := ask(t, stageAt(t, o, atTestTime), oidcAuth(tokenOf(githubClaims())))
	wantRefused(t, err)
}

func TestOIDCSeveralIssuers(t *testing.T) {
	const other = "https://gitlab.example"
	keys := rsaKeys()
	o := testOIDC(t)
	o.OIDC = append(o.OIDC, OIDCIssuer{
		Issuer: other, Audience: "gitlab-audience", Require: map[string][]string{"repository": {"*"}},
		JWKS: writeJWKS(t, jwksOf(jwkOf("k0", &keys[1].PublicKey, nil))),
	})
	stage := stageAt(t, o, atTestTime)
	if _, err := ask(t, stage, oidcAuth(tokenOf(githubClaims()))); err != nil {
		t.Error(err)
	}
	gitlab := with(with(with(githubClaims(), "iss", other), "aud", "gitlab-audience"), "project_path", "octo/app")
	auth := oidcAuth(signRaw(keys[1], testHeader, toJSON(gitlab)))
	auth.Identity.Provider, auth.Identity.RunID, auth.Identity.RunAttempt, auth.Identity.Workflow, auth.Identity.Actor = "gitlab-ci", "", "", "", ""
	auth.Identity.Ref = ""
	if id, err := ask(t, stage, auth); err != nil || id.Proof != "oidc/"+other {
		t.Errorf("the other issuer gives %+v, %v", id, err)
	}
	for name, token := range map[string]string{
		"the key of one under the name of the other": signRaw(keys[0], testHeader, toJSON(gitlab)),
		"the audience of one for the other":          signRaw(keys[1], testHeader, toJSON(with(gitlab, "aud", testAudience))),
	} {
		auth.Signature = token
		if _, err := ask(t, stage, auth); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}

// The names of the options, as a configuration file has them.
func TestOIDCOptionsFromAFile(t *testing.T) {
	const text = `
hmac_keys: [{id: a, file: a.key}]
hmac_require: v2
hmac_max_age: 1m
oidc_require: [repository=octo/*]
oidc:
  - issuer: https://ci.example
    audience: a
    jwks_url: https://ci.example/keys
    profile: generic
    provider: example
    claims: {repository: repo}
    unproven: [job]
    require: {repository: [octo/*]}
    max_age: 10m
    leeway: 0s
    remember_jti: true
`
	var o Options
	if err := document.Read("auth.yaml", []byte(text), &o); err != nil {
		t.Fatal(err)
	}
	i := o.OIDC[0]
	if i.Leeway == nil || *i.Leeway != 0 || i.MaxAge != 10*time.Minute || !i.RememberJTI || i.Claims["repository"] != "repo" || !slices.Contains(i.Unproven, "job") {
		t.Errorf("the options are %+v", i)
	}
	want := []string{"hmac_keys", "hmac_require", "hmac_max_age", "oidc_require", "oidc"}
	if got := append(o.hmacSet(), o.oidcSet()...); !slices.Equal(got, want) {
		t.Errorf("the options that are set are %v, want %v", got, want)
	}
	if !maps.Equal(map[string]bool{"a.key": true}, map[string]bool{o.Files()[0].Path: o.Files()[0].Secret}) {
		t.Errorf("the files are %v", o.Files())
	}
}
