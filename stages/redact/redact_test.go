package redact

import (
	"encoding/base64"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	enforcementv1 "github.com/Huzefaaa2/cavra/go/cavra-runtime/enforcement/v1"
	"github.com/Huzefaaa2/cavra/go/cavra-runtime/jwt"
	"github.com/Huzefaaa2/cavra/go/cavra-runtime/pipeline"
	"github.com/Huzefaaa2/cavra/go/cavra-runtime/pipeline/pipelinetest"
)

// b64 encodes a part of a token.
func b64(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }

// The tokens of the tests are signed by nobody.
var (
	header  = b64(`{"alg":"RS256","typ":"JWT","kid":"test"}`)
	payload = b64(`{"iss":"https://issuer.example","sub":"nobody"}`)
	token   = header + "." + payload + "." + b64("not a signature, but as long as one of them may be")
)

// harmless are texts without a token.
var harmless = []string{"", "README.en.md", "v1.2.3", "127.0.0.1", "github.com/a/b.c", "a.b.c.d", "...", "docs/architecture.md"}

func newStage(t testing.TB) *Stage {
	s, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// typical is an exchange of a CI runner that signed its request.
func typical() *pipelinetest.Exchange {
	x := pipelinetest.NewExchange(`{
		"session_id":"build-1742","agent_id":"agent-7","actor":"octocat","action_type":"read_file","target":"src/main.go","cwd":"/srv/app",
		"runner_auth":{"identity":{"provider":"github-actions","repository":"octo/app","workflow":".github/workflows/ci.yml","run_id":"1742","ref":"refs/heads/main"},
		"algorithm":"HMAC-SHA256","key_id":"ci-2","signature":"` + strings.Repeat("0f", 32) + `"}}`)
	x.Decision.Reason = "the policy allows src/main.go to be read: nothing in filesystem.block_read matches it"
	return x
}

func TestConforms(t *testing.T) {
	pipelinetest.Conform(t, newStage(t), typical(), pipelinetest.NewExchange(`{"target":"`+token+`"}`), pipelinetest.NewExchange(`{}`))
}

func TestSignature(t *testing.T) {
	hex := strings.Repeat("0f", 32)
	for _, tt := range []struct{ name, algorithm, signature, want string }{
		{"HMAC", "HMAC-SHA256", hex, redactedHMAC},
		{"HMAC that holds a token", "HMAC-SHA256", token, redactedHMAC},
		{"OIDC", "OIDC-JWT", token, redactedOIDCJWT},
		{"OIDC that holds no token", "OIDC-JWT", "secret", redactedOIDCJWT},
		{"no algorithm, a token", "", token, jwt.Redacted},
		{"no algorithm, no token", "", hex, redactedSignature},
		{"a misspelt algorithm, a token", "oidc-jwt", token, jwt.Redacted},
		{"a misspelt algorithm, a token in a longer text", "OIDC_JWT", "Bearer " + token, jwt.Redacted},
		{"a misspelt algorithm, no token", "HMAC-SHA-256", hex, redactedSignature},
		{"half a token", "JWT", header + "." + payload, redactedSignature},
		{"a token for an algorithm", token, hex, redactedSignature},
		{"redacted before, as a token", "JWT", jwt.Redacted, jwt.Redacted},
		{"redacted before, as OIDC", "OIDC-JWT", redactedOIDCJWT, redactedOIDCJWT},
		{"redacted before, otherwise", "", redactedSignature, redactedSignature},
		{"empty, HMAC", "HMAC-SHA256", "", ""},
		{"empty, OIDC", "OIDC-JWT", "", ""},
		{"empty", "", "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			req := &enforcementv1.EvaluateRequest{RunnerAuth: &enforcementv1.RunnerAuthentication{Algorithm: tt.algorithm, Signature: tt.signature}}
			got := request(req)
			if got.RunnerAuth.Signature != tt.want {
				t.Errorf("the signature became %q, want %q", got.RunnerAuth.Signature, tt.want)
			}
			if req.RunnerAuth.Signature != tt.signature {
				t.Error("the request itself was changed")
			}
		})
	}
}

func TestUnreadableRequest(t *testing.T) {
	for name, x := range map[string]*pipelinetest.Exchange{
		"refused by its reader": {Refused: pipeline.Block("request.too_large", "it is too large")},
		"refused by decode":     {Block: pipeline.Block("request.invalid", "what is this: "+token)},
	} {
		t.Run(name, func(t *testing.T) {
			r := pipelinetest.Handle(t, newStage(t), x)
			if r.Err != nil {
				t.Fatal(r.Err)
			}
			if !r.RedactedRequest.IsZero() {
				t.Errorf("the redacted request is %+v, want an empty one", r.RedactedRequest)
			}
			if r.Response.Decision != enforcementv1.DecisionBlock || strings.Contains(r.Response.Reason, payload) {
				t.Errorf("the response is %+v", r.Response)
			}
		})
	}
}

// strs calls f for every string that v holds, however deep, with a setter.
func strs(v reflect.Value, f func(reflect.Value)) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			strs(v.Elem(), f)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			strs(v.Field(i), f)
		}
	case reflect.Slice:
		for i := range v.Len() {
			strs(v.Index(i), f)
		}
	case reflect.String:
		f(v)
	}
}

// full is a request with every message and list present.
func full() *enforcementv1.EvaluateRequest {
	return &enforcementv1.EvaluateRequest{
		ReleaseGovernance: &enforcementv1.ReleaseGovernanceEvidence{FailedProviders: make([]string, 2), EvidenceRefs: make([]string, 2)},
		RunnerAuth:        &enforcementv1.RunnerAuthentication{},
	}
}

func TestNoPlantedTokenSurvives(t *testing.T) {
	stage := newStage(t)
	rapid.Check(t, func(t2 *rapid.T) {
		part := rapid.StringMatching(`[A-Za-z0-9_-]{16,64}`)
		glue := rapid.StringMatching(`([A-Za-z0-9_=./ -]|Bearer[ _]|eyJ){0,12}`)
		var secrets []string
		plant := func(v reflect.Value) {
			if rapid.IntRange(0, 3).Draw(t2, "plant here") != 0 {
				v.SetString(rapid.SampledFrom(harmless).Draw(t2, "text"))
				return
			}
			payload, sig := part.Draw(t2, "payload"), part.Draw(t2, "signature")
			secrets = append(secrets, payload, sig)
			v.SetString(glue.Draw(t2, "before") + b64(rapid.SampledFrom([]string{
				`{"alg":"RS256"}`, ` {"typ":"JWT", "alg" : "none"}`, `{"\u0061lg":"ES256","kid":"}"}`,
			}).Draw(t2, "header")) + "." + payload + "." + sig + glue.Draw(t2, "after"))
		}
		x := pipelinetest.NewExchange(`{}`)
		x.Request = full()
		strs(reflect.ValueOf(x.Request), plant)
		strs(reflect.ValueOf(&x.Decision), func(v reflect.Value) {
			if s := v.String(); s != x.Decision.Decision && s != x.Decision.Severity {
				plant(v)
			}
		})
		if x.Decision.RuleID == "" {
			x.Decision.RuleID = "test"
		}
		before := x.Request.AppendJSON(nil)

		r := pipelinetest.Handle(t, stage, x)
		if r.Err != nil {
			t2.Fatal(r.Err)
		}
		stored := string(r.RedactedRequest.AppendJSON(nil)) + string(r.Response.AppendJSON(nil))
		for _, secret := range secrets {
			if strings.Contains(stored, secret) {
				t2.Fatalf("%q survives in %s", secret, stored)
			}
		}
		if after := x.Request.AppendJSON(nil); string(after) != string(before) {
			t2.Fatalf("the request %s was changed to %s", before, after)
		}
		if again := string(request(r.RedactedRequest).AppendJSON(nil)); again != string(r.RedactedRequest.AppendJSON(nil)) {
			t2.Fatalf("redacted once it is %s and twice %s", r.RedactedRequest.AppendJSON(nil), again)
		}
	})
}

func TestChangesNothingElse(t *testing.T) {
	req := full()
	i := 0
	strs(reflect.ValueOf(req), func(v reflect.Value) {
		v.SetString(harmless[i%len(harmless)])
		i++
	})
	req.RunnerAuth.Signature = ""
	req.ReleaseGovernance.ApprovalRequiredCount, req.ReleaseGovernance.DeliverySuccess = 2, true
	if got, want := string(request(req).AppendJSON(nil)), string(req.AppendJSON(nil)); got != want {
		t.Errorf("%s\nbecame %s", want, got)
	}
}

// What a typical exchange costs: the copies and nothing else.
const typicalAllocs = 5

func TestAllocations(t *testing.T) {
	pipelinetest.Within(t, newStage(t), typical(), func(handle func() error) {
		if err := handle(); err != nil {
			t.Error(err)
		}
		if got := testing.AllocsPerRun(100, func() { _ = handle() }); got > typicalAllocs {
			t.Errorf("a typical exchange takes %v allocations, want at most %d", got, typicalAllocs)
		}
	})
}

func BenchmarkTypicalExchange(b *testing.B) {
	pipelinetest.Within(b, newStage(b), typical(), func(handle func() error) {
		b.ReportAllocs()
		for b.Loop() {
			if err := handle(); err != nil {
				b.Error(err)
			}
		}
	})
}
