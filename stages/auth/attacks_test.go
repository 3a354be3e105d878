package auth

import (
	"strings"
	"testing"
	"time"

	"github.com/Huzefaaa2/cavra/go/cavra-runtime/pipeline"
)

// Where the wall clock is set back the monotonic one goes on, so a time that was
// read later by that one would move the memory's clock back and make used values
// fresh again. The memory goes by the wall clock alone.
func TestAClockSetBackMakesNothingFresh(t *testing.T) {
	s := newSeen(10, time.Now)
	if fresh, _ := s.add("nonce", time.Now().Add(time.Minute)); !fresh {
		t.Fatal("a new value is not fresh")
	}
	if s.clock != s.clock.Round(0) {
		t.Error("the memory's clock has a monotonic reading, by which a clock that was set back is ahead")
	}
}

// A pattern whose beginning does not say which claim counts would let whoever
// runs the job choose it, by the name of a branch or of a workflow.
func TestAmbiguousRequirementsAreRefused(t *testing.T) {
	for profile, require := range map[string]map[string][]string{
		"github 1": {"workflow": {"octo/app/.github/*"}},
		"github 2": {"workflow": {"*/ci.yml@*"}},
		"github 3": {"workflow": {"octo/app/*"}},
		"gitlab 1": {"ref": {"*/heads/main"}},
		"gitlab 2": {"ref": {"*/main"}},
		"gitlab 3": {"ref": {"refs*"}},
		"gitlab 4": {"ref": {"r*/heads/main"}},
	} {
		name, _, _ := strings.Cut(profile, " ")
		_, err := New(Options{OIDC: []OIDCIssuer{{
			Issuer: "https://issuer.example", Audience: "a", JWKSURL: "https://issuer.example/keys", Profile: name, Require: require,
		}}}, pipeline.Env{DryRun: true})
		if err == nil || !strings.Contains(err.Error(), "name the claim instead") {
			t.Errorf("%s %v: %v", profile, require, err)
		}
	}
	for profile, require := range map[string]map[string][]string{
		"github": {"workflow_ref": {"octo/app/.github/workflows/*@refs/heads/main"}, "repository": {"octo/*"}},
		"gitlab": {"ref": {"refs/tags/*", "main"}, "ref_path": {"refs/heads/*"}},
	} {
		if _, err := New(Options{OIDC: []OIDCIssuer{{
			Issuer: "https://issuer.example", Audience: "a", JWKSURL: "https://issuer.example/keys", Profile: profile, Require: require,
		}}}, pipeline.Env{DryRun: true}); err != nil {
			t.Errorf("%s %v: %v", profile, require, err)
		}
	}
}
