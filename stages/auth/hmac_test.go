package auth

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/hashicorp/go-hclog"
	"pgregory.net/rapid"

	enforcementv1 "github.com/Huzefaaa2/cavra/go/cavra-runtime/enforcement/v1"
	"github.com/Huzefaaa2/cavra/go/cavra-runtime/pipeline"
	"github.com/Huzefaaa2/cavra/go/cavra-runtime/pipeline/pipelinetest"
)

const testKeyID = "test-key-7"

// newKey makes a key that only this run of the tests knows.
func newKey() string { return rand.Text() + rand.Text() }

func newStage(t testing.TB, o Options) *Stage {
	t.Helper()
	s, err := New(o, pipeline.Env{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// runner is an identity with every member set.
func runner() enforcementv1.RunnerIdentity {
	return enforcementv1.RunnerIdentity{
		Provider: "github-actions", Repository: "octo/app", Workflow: ".github/workflows/ci.yml", RunID: "1742", RunAttempt: "2",
		Ref: "refs/heads/main", SHA: "0123456789abcdef0123456789abcdef01234567", Actor: "octocat", Job: "build", RunnerName: "runner é 1",
	}
}

// fields are the members of an identity, to be changed.
func fields(id *enforcementv1.RunnerIdentity) map[string]*string {
	return map[string]*string{
		"provider": &id.Provider, "repository": &id.Repository, "workflow": &id.Workflow, "run_id": &id.RunID, "run_attempt": &id.RunAttempt,
		"ref": &id.Ref, "sha": &id.SHA, "actor": &id.Actor, "job": &id.Job, "runner_name": &id.RunnerName,
	}
}

// sumOf is an HMAC made without the package's own code.
func sumOf(key, text string) string {
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(text))
	return hex.EncodeToString(mac.Sum(nil))
}

// newVerifier makes a verifier whose clock is the test's.
func newVerifier(t testing.TB, o Options, now func() time.Time) *hmacVerifier {
	t.Helper()
	v, err := newHMACVerifier(o, pipeline.Env{Log: hclog.NewNullLogger()}, now)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func exchange(auth *enforcementv1.RunnerAuthentication) *pipelinetest.Exchange {
	x := pipelinetest.NewExchange(`{"action_type":"read_file","target":"a"}`)
	x.Request.RunnerAuth = auth
	return x
}

func signed(t testing.TB, key string) *enforcementv1.RunnerAuthentication {
	t.Helper()
	auth, err := SignHMAC([]byte(key), testKeyID, runner())
	if err != nil {
		t.Fatal(err)
	}
	return auth
}

func TestConforms(t *testing.T) {
	key := newKey()
	pipelinetest.Conform(t, newStage(t, Options{}))
	pipelinetest.Conform(t, newStage(t, Options{HMACKey: key, HMACKeyID: testKeyID}), exchange(signed(t, key)), exchange(nil))
}

// The text is written out here as the contract has it.
func TestSignedText(t *testing.T) {
	key := newKey()
	for _, tt := range []struct {
		name string
		id   enforcementv1.RunnerIdentity
		text string
	}{
		{"every member", runner(), `cavra.runner-auth.v1
provider=github-actions
repository=octo/app
workflow=.github/workflows/ci.yml
run_id=1742
run_attempt=2
ref=refs/heads/main
sha=0123456789abcdef0123456789abcdef01234567
actor=octocat
job=build
runner_name=runner é 1`},
		{"what is required", enforcementv1.RunnerIdentity{Provider: "local", Repository: "a=b"}, `cavra.runner-auth.v1
provider=local
repository=a=b
workflow=
run_id=
run_attempt=
ref=
sha=
actor=
job=
runner_name=`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			want := sumOf(key, tt.text)
			auth, err := SignHMAC([]byte(key), testKeyID, tt.id)
			if err != nil {
				t.Fatal(err)
			}
			if auth.Signature != want || auth.Algorithm != "HMAC-SHA256" || auth.KeyID != testKeyID || auth.Identity != tt.id {
				t.Errorf("SignHMAC gives %+v, want the signature %s", auth, want)
			}
			for _, sig := range []string{want, strings.ToUpper(want)} {
				auth := &enforcementv1.RunnerAuthentication{Identity: tt.id, Algorithm: "HMAC-SHA256", KeyID: testKeyID, Signature: sig}
				r := pipelinetest.Handle(t, newStage(t, Options{HMACKey: key, HMACKeyID: testKeyID}), exchange(auth))
				if r.Err != nil {
					t.Fatalf("the signature %s is refused: %v", sig, r.Err)
				}
				if want := (pipeline.Identity{Proof: "hmac/" + testKeyID, Runner: tt.id}); r.Identity != want {
					t.Errorf("the identity is %+v, want %+v", r.Identity, want)
				}
			}
		})
	}
}

func TestKeyIDIsFreeWhereNoneIsConfigured(t *testing.T) {
	key := newKey()
	r := pipelinetest.Handle(t, newStage(t, Options{HMACKey: key}), exchange(signed(t, key)))
	if r.Err != nil || r.Identity.Proof != "hmac/" {
		t.Errorf("Handle gives %+v, %v; the key id that a runner names proves nothing", r.Identity, r.Err)
	}
}

func TestForgeries(t *testing.T) {
	key := newKey()
	genuine := signed(t, key).Signature
	for _, tt := range []struct {
		name  string
		forge func(*enforcementv1.RunnerAuthentication)
		says  string
	}{
		{"an empty message", func(a *enforcementv1.RunnerAuthentication) { *a = enforcementv1.RunnerAuthentication{} }, "algorithm"},
		{"no algorithm", func(a *enforcementv1.RunnerAuthentication) { a.Algorithm = "" }, "algorithm"},
		{"algorithm none", func(a *enforcementv1.RunnerAuthentication) { a.Algorithm, a.Signature = "none", "" }, "algorithm"},
		{"algorithm in another case", func(a *enforcementv1.RunnerAuthentication) { a.Algorithm = "hmac-sha256" }, "algorithm"},
		{"algorithm with a control character", func(a *enforcementv1.RunnerAuthentication) { a.Algorithm += "\n" }, "algorithm"},
		{"an algorithm that is not configured", func(a *enforcementv1.RunnerAuthentication) { a.Algorithm = "OIDC-JWT" }, "algorithm"},
		{"a weaker hash", func(a *enforcementv1.RunnerAuthentication) { a.Algorithm = "HMAC-SHA1" }, "algorithm"},
		{"no key id", func(a *enforcementv1.RunnerAuthentication) { a.KeyID = "" }, "key_id"},
		{"another key id", func(a *enforcementv1.RunnerAuthentication) { a.KeyID += "x" }, "key_id"},
		{"a key id in another case", func(a *enforcementv1.RunnerAuthentication) { a.KeyID = strings.ToUpper(a.KeyID) }, "key_id"},
		{"a key id with a control character", func(a *enforcementv1.RunnerAuthentication) { a.KeyID += "\x00" }, "key_id holds a control"},
		{"no provider", func(a *enforcementv1.RunnerAuthentication) { a.Identity.Provider = "" }, "identity.provider is missing"},
		{"no repository", func(a *enforcementv1.RunnerAuthentication) { a.Identity.Repository = "" }, "identity.repository is missing"},
		{"no signature", func(a *enforcementv1.RunnerAuthentication) { a.Signature = "" }, "64 hex"},
		{"half a signature", func(a *enforcementv1.RunnerAuthentication) { a.Signature = a.Signature[:32] }, "64 hex"},
		{"a signature too long", func(a *enforcementv1.RunnerAuthentication) { a.Signature += "00" }, "64 hex"},
		{"a signature with a space", func(a *enforcementv1.RunnerAuthentication) { a.Signature = " " + a.Signature[1:] }, "64 hex"},
		{"a signature in base64", func(a *enforcementv1.RunnerAuthentication) { a.Signature = strings.Repeat("QUFB", 16) }, "64 hex"},
		{"a signature of full-width digits", func(a *enforcementv1.RunnerAuthentication) { a.Signature = strings.Repeat("０", 21) + "0" }, "64 hex"},
		{"a signature of zeros", func(a *enforcementv1.RunnerAuthentication) { a.Signature = strings.Repeat("0", 64) }, "does not fit"},
		{"a signature under another key", func(a *enforcementv1.RunnerAuthentication) {
			a.Signature = signed(t, newKey()).Signature
		}, "does not fit"},
		{"a plain hash", func(a *enforcementv1.RunnerAuthentication) {
			sum := sha256.Sum256(append([]byte(key), appendSignedText(nil, a)...))
			a.Signature = hex.EncodeToString(sum[:])
		}, "does not fit"},
		{"a line moved into the member before", func(a *enforcementv1.RunnerAuthentication) {
			// The text that was signed, read as another identity.
			a.Identity.Actor, a.Identity.Job = "octocat\njob=build", ""
			a.Signature = sumOf(key, "anything")
		}, "identity.actor holds a control"},
		{"a member moved into the next", func(a *enforcementv1.RunnerAuthentication) {
			a.Identity.RunID, a.Identity.RunAttempt = a.Identity.RunAttempt, a.Identity.RunID
		}, "does not fit"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			auth := signed(t, key)
			tt.forge(auth)
			refuse(t, newVerifier(t, Options{HMACKey: key, HMACKeyID: testKeyID}, time.Now), request(auth), tt.says, key, genuine, testKeyID)
		})
	}
	t.Run("nothing", func(t *testing.T) {
		refuse(t, newVerifier(t, Options{HMACKey: key, HMACKeyID: testKeyID}, time.Now), request(nil), "is missing", key, genuine, testKeyID)
	})
}

// request is one that holds nothing but auth.
func request(auth *enforcementv1.RunnerAuthentication) *enforcementv1.EvaluateRequest {
	return &enforcementv1.EvaluateRequest{RunnerAuth: auth}
}

// refuse checks that a runner is refused, for the reason that is given, and that
// the reason tells none of the secrets.
func refuse(t rapid.TB, v verifier, req *enforcementv1.EvaluateRequest, says string, secrets ...string) {
	t.Helper()
	auth := req.RunnerAuth
	id, err := v.verify(context.Background(), req)
	var block *pipeline.BlockError
	if !errors.As(err, &block) {
		t.Fatalf("%+v is taken as %+v, %v", auth, id, err)
	}
	if id != (pipeline.Identity{}) {
		t.Errorf("a refused runner has the identity %+v", id)
	}
	if block.Rule() != "runner_auth.invalid" || block.Severity() != enforcementv1.SeverityCritical {
		t.Errorf("blocked by %s, %s", block.Rule(), block.Severity())
	}
	if !strings.Contains(block.Reason(), says) {
		t.Errorf("the reason %q does not say %q", block.Reason(), says)
	}
	if auth != nil && len(auth.Signature) >= 16 { // less can be part of a word
		secrets = append(secrets, auth.Signature)
	}
	for _, secret := range secrets {
		if strings.Contains(block.Error(), secret) {
			t.Errorf("the reason %q tells %q", block.Error(), secret)
		}
	}
}

func TestControlCharactersAreRefusedThoughSigned(t *testing.T) {
	key := newKey()
	v := newVerifier(t, Options{HMACKey: key, HMACKeyID: testKeyID}, time.Now)
	for r := rune(0); r < 0x100; r++ {
		id := runner()
		id.Workflow = "ci" + string(r) + "x"
		auth := signed(t, key)
		auth.Identity = id
		auth.Signature = sumOf(key, string(appendSignedText(nil, auth)))
		if unicode.Is(unicode.Cc, r) {
			refuse(t, v, request(auth), "identity.workflow holds a control character")
			if _, err := SignHMAC([]byte(key), "", id); err == nil {
				t.Errorf("SignHMAC signs %U", r)
			}
		} else if _, err := v.verify(t.Context(), request(auth)); err != nil {
			t.Errorf("%U is refused: %v", r, err)
		}
	}
	for name := range fields(&enforcementv1.RunnerIdentity{}) {
		auth := signed(t, key)
		*fields(&auth.Identity)[name] += "\n"
		refuse(t, v, request(auth), "identity."+name+" holds a control character")
	}
}

func TestHasControlIsUnicodeCc(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.String().Draw(t, "s")
		if got, want := hasControl(s), strings.ContainsFunc(s, unicode.IsControl); got != want {
			t.Fatalf("hasControl(%q) = %v", s, got)
		}
	})
}

func TestSignHMACRefuses(t *testing.T) {
	for _, tt := range []struct {
		name, key, keyID string
		change           func(*enforcementv1.RunnerIdentity)
		says             string
	}{
		{"no key", "", "", func(*enforcementv1.RunnerIdentity) {}, "key is empty"},
		{"no provider", "k", "", func(id *enforcementv1.RunnerIdentity) { id.Provider = "" }, "identity.provider is missing"},
		{"no repository", "k", "", func(id *enforcementv1.RunnerIdentity) { id.Repository = "" }, "identity.repository is missing"},
		{"a line break", "k", "", func(id *enforcementv1.RunnerIdentity) { id.Ref = "a\nb" }, "identity.ref holds a control"},
		{"a line break in the key id", "k", "a\nb", func(*enforcementv1.RunnerIdentity) {}, "key_id holds a control"},
		{"no UTF-8", "k", "", func(id *enforcementv1.RunnerIdentity) { id.Ref = "\xff" }, "UTF-8"},
		{"no UTF-8 in the key id", "k", "\xff", func(*enforcementv1.RunnerIdentity) {}, "UTF-8"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			id := runner()
			tt.change(&id)
			auth, err := SignHMAC([]byte(tt.key), tt.keyID, id)
			if err == nil || !strings.Contains(err.Error(), tt.says) || auth != nil {
				t.Errorf("SignHMAC gives %+v, %v; want an error that says %q", auth, err, tt.says)
			}
		})
	}
}

// Whatever is changed of what was signed is found.
func TestAnyChangeIsRefused(t *testing.T) {
	key := newKey()
	v := newVerifier(t, Options{HMACKey: key, HMACKeyID: testKeyID}, time.Now)
	member := rapid.StringMatching(`[ -~é]{1,12}`)
	rapid.Check(t, func(t *rapid.T) {
		id := enforcementv1.RunnerIdentity{}
		names := []string{"signature"}
		for name, field := range fields(&id) {
			names = append(names, name)
			*field = "x"
		}
		for _, name := range names[1:] {
			*fields(&id)[name] = member.Draw(t, name)
		}
		auth, err := SignHMAC([]byte(key), testKeyID, id)
		if err != nil {
			t.Fatal(err)
		}
		got, err := v.verify(t.Context(), request(auth))
		if err != nil || got.Runner != id {
			t.Fatalf("what was signed is taken as %+v, %v", got, err)
		}

		if name := rapid.SampledFrom(names).Draw(t, "changed"); name == "signature" {
			sum, _ := hex.DecodeString(auth.Signature)
			sum[rapid.IntRange(0, len(sum)-1).Draw(t, "byte")] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
			auth.Signature = hex.EncodeToString(sum)
		} else {
			field := fields(&auth.Identity)[name]
			changed := rapid.OneOf(rapid.Just(""), member, rapid.String()).Draw(t, "to")
			if changed == *field {
				changed += "x"
			}
			*field = changed
		}
		refuse(t, v, request(auth), "runner_auth.", key)
	})
}

// FuzzVerify holds the law that nothing is accepted but what was signed.
func FuzzVerify(f *testing.F) {
	key := newKey()
	v := newVerifier(f, Options{HMACKey: key, HMACKeyID: testKeyID}, time.Now)
	genuine := signed(f, key)
	add := func(a *enforcementv1.RunnerAuthentication) {
		i := a.Identity
		f.Add(i.Provider, i.Repository, i.Workflow, i.RunID, i.RunAttempt, i.Ref, i.SHA, i.Actor, i.Job, i.RunnerName, a.Algorithm, a.KeyID, a.Signature)
	}
	add(genuine)
	add(&enforcementv1.RunnerAuthentication{Algorithm: "none"})
	f.Fuzz(func(t *testing.T, provider, repository, workflow, runID, runAttempt, ref, sha, actor, job, runnerName, algorithm, keyID, signature string) {
		auth := &enforcementv1.RunnerAuthentication{
			Identity: enforcementv1.RunnerIdentity{
				Provider: provider, Repository: repository, Workflow: workflow, RunID: runID, RunAttempt: runAttempt,
				Ref: ref, SHA: sha, Actor: actor, Job: job, RunnerName: runnerName,
			},
			Algorithm: algorithm, KeyID: keyID, Signature: strings.ToLower(signature),
		}
		if *auth == *genuine {
			return
		}
		refuse(t, v, request(auth), "runner_auth.", key)
		// With the identity that was signed, and with the signature, as well.
		auth.Identity, auth.Algorithm, auth.KeyID = genuine.Identity, genuine.Algorithm, genuine.KeyID
		if auth.Signature != genuine.Signature {
			refuse(t, v, request(auth), "runner_auth.signature", key)
		}
		auth.Identity.Ref, auth.Signature = ref, genuine.Signature
		if ref != genuine.Identity.Ref {
			refuse(t, v, request(auth), "runner_auth.", key)
		}
	})
}
