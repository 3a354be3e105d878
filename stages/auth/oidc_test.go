package auth

import (
	"bytes"
	"crypto"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	enforcementv1 "github.com/Huzefaaa2/cavra/go/cavra-runtime/enforcement/v1"
	"github.com/Huzefaaa2/cavra/go/cavra-runtime/pipeline"
	"github.com/Huzefaaa2/cavra/go/cavra-runtime/pipeline/pipelinetest"
)

const (
	testIssuer   = "https://token.actions.githubusercontent.com"
	testAudience = "cavra-test"
)

// testTime is when the tokens of the tests are used.
var testTime = time.Unix(1_790_000_000, 0)

// The keys of the tests are made once: making one takes long.
var rsaKeys = sync.OnceValue(func() (keys [3]*rsa.PrivateKey) {
	for i := range keys {
		var err error
		if keys[i], err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
			panic(err)
		}
	}
	return keys
})

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// jwkOf is the public key in a set, with further members.
func jwkOf(kid string, key *rsa.PublicKey, more map[string]any) map[string]any {
	k := map[string]any{"kty": "RSA", "kid": kid, "n": b64(key.N.Bytes()), "e": b64(big.NewInt(int64(key.E)).Bytes())}
	maps.Copy(k, more)
	return k
}

func jwksOf(keys ...any) string { return toJSON(map[string]any{"keys": append([]any{}, keys...)}) }

func toJSON(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// signRaw makes a token of any header and payload, without the library that
// verifies it.
func signRaw(key *rsa.PrivateKey, header, payload string) string {
	text := b64([]byte(header)) + "." + b64([]byte(payload))
	sum := sha256.Sum256([]byte(text))
	sig, err := rsa.SignPKCS1v15(nil, key, crypto.SHA256, sum[:])
	if err != nil {
		panic(err)
	}
	return text + "." + b64(sig)
}

const testHeader = `{"typ":"JWT","alg":"RS256","x5t":"x","kid":"k0"}`

// githubClaims are those of a token that proves githubIdentity.
func githubClaims() map[string]any {
	return map[string]any{
		"iss": testIssuer, "aud": testAudience, "jti": "jti-1", "sub": "repo:octo/app:ref:refs/heads/main",
		"exp": testTime.Unix() + 300, "iat": testTime.Unix() - 10, "nbf": testTime.Unix() - 10,
		"repository": "octo/app", "repository_id": "74", "repository_owner": "octo", "workflow": "ci",
		"workflow_ref": "octo/app/.github/workflows/ci.yml@refs/heads/main", "run_id": "1742", "run_attempt": "2",
		"ref": "refs/heads/main", "sha": "0123456789abcdef0123456789abcdef01234567", "actor": "octocat",
		"environment": nil, "runner_environment": "github-hosted", "ref_protected": "true",
	}
}

func githubIdentity() enforcementv1.RunnerIdentity {
	return enforcementv1.RunnerIdentity{
		Provider: "github-actions", Repository: "octo/app", Workflow: "ci", RunID: "1742", RunAttempt: "2",
		Ref: "refs/heads/main", SHA: "0123456789abcdef0123456789abcdef01234567", Actor: "octocat",
	}
}

func tokenOf(claims map[string]any) string { return signRaw(rsaKeys()[0], testHeader, toJSON(claims)) }

// with is a copy of claims with one changed, or left out where the value is
// leftOut.
func with(claims map[string]any, name string, value any) map[string]any {
	c := maps.Clone(claims)
	if c[name] = value; value == leftOut {
		delete(c, name)
	}
	return c
}

const leftOut = "\x00left out"

func oidcAuth(token string) *enforcementv1.RunnerAuthentication {
	return &enforcementv1.RunnerAuthentication{Algorithm: "OIDC-JWT", Identity: githubIdentity(), Signature: token}
}

func writeJWKS(t testing.TB, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "jwks.json")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// testOIDC are the options of one issuer whose keys are in a file: k0, and k1,
// which signs nothing.
func testOIDC(t testing.TB, change ...func(*OIDCIssuer)) Options {
	t.Helper()
	keys := rsaKeys()
	i := OIDCIssuer{
		Issuer: testIssuer, Audience: testAudience, Require: map[string][]string{"repository": {"octo/*"}},
		JWKS: writeJWKS(t, jwksOf(jwkOf("k0", &keys[0].PublicKey, nil), jwkOf("k1", &keys[1].PublicKey, nil))),
	}
	for _, f := range change {
		f(&i)
	}
	return Options{OIDC: []OIDCIssuer{i}}
}

// logTo is an Env whose log goes to a buffer.
func logTo(out *bytes.Buffer) pipeline.Env {
	return pipeline.Env{Log: hclog.New(&hclog.LoggerOptions{Output: out, Level: hclog.Trace})}
}

func stageAt(t testing.TB, o Options, now func() time.Time) *Stage {
	t.Helper()
	s, err := newStageAt(o, pipeline.Env{}, now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func atTestTime() time.Time { return testTime }

// ask gives the answer of the stage to one request.
func ask(t testing.TB, s *Stage, auth *enforcementv1.RunnerAuthentication) (pipeline.Identity, error) {
	t.Helper()
	return s.identify(t.Context(), exchange(auth).Request)
}

func TestOIDCConforms(t *testing.T) {
	stage := stageAt(t, testOIDC(t), atTestTime)
	good := tokenOf(githubClaims())
	pipelinetest.Conform(t, stage, exchange(oidcAuth(good)), exchange(oidcAuth(good[1:])), exchange(nil))
}

func TestOIDCTakesAGoodToken(t *testing.T) {
	claims := githubClaims()
	for _, tt := range []struct {
		name   string
		token  string
		change func(*enforcementv1.RunnerAuthentication)
		o      func(*OIDCIssuer)
	}{
		{name: "as GitHub makes it", token: tokenOf(claims)},
		{name: "with its key id", token: tokenOf(claims), change: func(a *enforcementv1.RunnerAuthentication) { a.KeyID = "k0" }},
		{name: "a list of audiences", token: tokenOf(with(claims, "aud", []string{"other", testAudience}))},
		{name: "numbers for ids", token: tokenOf(with(with(claims, "run_id", 1742), "run_attempt", 2))},
		{name: "no typ and no nbf", token: signRaw(rsaKeys()[0], `{"alg":"RS256","kid":"k0"}`, toJSON(with(claims, "nbf", leftOut)))},
		{name: "little is claimed", token: tokenOf(claims), change: func(a *enforcementv1.RunnerAuthentication) {
			a.Identity = enforcementv1.RunnerIdentity{Provider: "github-actions", Repository: "octo/app"}
		}},
		{name: "the other key", token: signRaw(rsaKeys()[1], `{"alg":"RS256","kid":"k1"}`, toJSON(claims))},
		{name: "spaces in the JSON", token: signRaw(rsaKeys()[0], " "+testHeader+"\n", "\t"+toJSON(claims)+" ")},
		{name: "a run of requirements", token: tokenOf(claims), o: func(i *OIDCIssuer) {
			i.Require = map[string][]string{"repository_id": {"73", "74"}, "ref": {"refs/heads/*"}, "workflow": {"octo/app/.github/workflows/ci.yml@*"}}
		}},
		{name: "within the leeway", token: tokenOf(with(with(claims, "exp", testTime.Unix()-59), "iat", testTime.Unix()-100))},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := testOIDC(t)
			if tt.o != nil {
				o = testOIDC(t, tt.o)
			}
			stage := stageAt(t, o, atTestTime)
			auth := oidcAuth(tt.token)
			if tt.change != nil {
				tt.change(auth)
			}
			for _, time := range []string{"first", "second"} {
				id, err := ask(t, stage, auth)
				if err != nil || id.Proof != "oidc/"+testIssuer || id.Runner != auth.Identity {
					t.Errorf("the %s time it gives %+v, %v", time, id, err)
				}
			}
		})
	}
}

// What no runner may get in with. Everything is signed with a good key unless
// its name says otherwise, so that it is the check itself that refuses.
func TestOIDCRefusesForgedTokens(t *testing.T) {
	keys, claims := rsaKeys(), githubClaims()
	good := tokenOf(claims)
	parts := strings.Split(good, ".")
	payload := toJSON(claims)
	header := func(text string) string { return signRaw(keys[0], text, payload) }
	member := func(text string) string {
		return header(`{"typ":"JWT","alg":"RS256","kid":"k0",` + text + `}`)
	}
	body := func(text string) string { return signRaw(keys[0], testHeader, text) }
	hs256 := func(secret []byte) string {
		text := b64([]byte(`{"alg":"HS256","kid":"k0"}`)) + "." + parts[1]
		mac := hmac.New(sha256.New, secret)
		mac.Write([]byte(text))
		return text + "." + b64(mac.Sum(nil))
	}
	public, err := x509.MarshalPKIXPublicKey(&keys[0].PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	strayBits := good[:len(good)-1] + string(alphabet[strings.IndexByte(alphabet, good[len(good)-1])|1]) // of a 2048 bit signature 4 bits are over

	type forgery struct{ name, token, says string }
	table := []forgery{
		{"empty", "", "is missing"},
		{"too long", good + strings.Repeat("A", maxToken), "longer"},
		{"no dots", strings.ReplaceAll(good, ".", ""), "no compact JWT"},
		{"one dot", parts[0] + "." + parts[1], "no compact JWT"},
		{"three dots", good + ".", "no compact JWT"},
		{"three dots and a part", good + ".e30", "no compact JWT"},
		{"no header", "." + parts[1] + "." + parts[2], "no compact JWT"},
		{"no payload", parts[0] + ".." + parts[2], "no compact JWT"},
		{"no signature", parts[0] + "." + parts[1] + ".", "no compact JWT"},
		{"a line break", good[:40] + "\n" + good[40:], "no compact JWT"},
		{"a line break at the end", good + "\n", "no compact JWT"},
		{"a space before", " " + good, "no compact JWT"},
		{"padding", good + "=", "no compact JWT"},
		{"the other alphabet", parts[0] + "." + parts[1] + "+." + parts[2], "no compact JWT"},
		{"stray bits", strayBits, "no compact JWT"},
		{"the JSON form", `{"payload":"` + parts[1] + `","protected":"` + parts[0] + `","signature":"` + parts[2] + `"}`, "no compact JWT"},
		{"five parts, as of JWE", good + ".e30.e30", "no compact JWT"},

		{"none", b64([]byte(`{"alg":"none","kid":"k0"}`)) + "." + parts[1] + ".AA", "alg"},
		{"None", header(`{"alg":"None","kid":"k0"}`), "alg"},
		{"HS256 with the public key", hs256(public), "alg"},
		{"HS256 with the modulus", hs256(keys[0].N.Bytes()), "alg"},
		{"RS512", header(`{"alg":"RS512","kid":"k0"}`), "alg"},
		{"PS256", header(`{"alg":"PS256","kid":"k0"}`), "alg"},
		{"rs256", header(`{"alg":"rs256","kid":"k0"}`), "alg"},
		{"no alg", header(`{"kid":"k0"}`), "alg"},
		{"a list of algs", header(`{"alg":["RS256"],"kid":"k0"}`), "header"},
		{"no kid", header(`{"alg":"RS256"}`), "kid"},
		{"an empty kid", header(`{"alg":"RS256","kid":""}`), "kid"},
		{"a kid that is a number", header(`{"alg":"RS256","kid":0}`), "header"},
		{"null for a kid", header(`{"alg":"RS256","kid":null}`), "header"},
		{"a swapped kid", header(`{"alg":"RS256","kid":"k1"}`), "does not fit"},
		{"an unknown kid", header(`{"alg":"RS256","kid":"k9"}`), "not among those"},
		{"two kids", header(`{"alg":"RS256","kid":"k1","kid":"k0"}`), "header"},
		{"two algs", header(`{"alg":"none","alg":"RS256","kid":"k0"}`), "header"},
		{"two algs, one escaped", header(`{"\u0061lg":"none","alg":"RS256","kid":"k0"}`), "header"},
		{"a repeated name deep inside", member(`"x":{"a":1,"a":2}`), "header"},
		{"an alg in other case", member(`"ALG":"RS256"`), "header member"},
		{"an at+jwt", header(`{"typ":"at+jwt","alg":"RS256","kid":"k0"}`), "typ"},
		{"a header that is a list", header(`["RS256"]`), "header"},
		{"a header that is no JSON", header(`alg`), "header"},
		{"a header that is followed by more", header(testHeader + "{}"), "header"},
		{"a header that is no UTF-8", member("\"x\":\"\xff\""), "header"},
		{"a lone surrogate", member(`"x":"\ud800"`), "header"},

		{"another issuer", tokenOf(with(claims, "iss", "https://issuer.example")), "issuer"},
		{"an issuer with a slash", tokenOf(with(claims, "iss", testIssuer+"/")), "issuer"},
		{"an issuer in other case", tokenOf(with(claims, "iss", strings.ToUpper(testIssuer))), "issuer"},
		{"no issuer", tokenOf(with(claims, "iss", leftOut)), "claims"},
		{"a list of issuers", tokenOf(with(claims, "iss", []string{testIssuer})), "claims"},
		{"another audience", tokenOf(with(claims, "aud", "other")), "audience"},
		{"an audience that starts as ours", tokenOf(with(claims, "aud", testAudience+"2")), "audience"},
		{"no audience", tokenOf(with(claims, "aud", leftOut)), "audience"},
		{"an empty list of audiences", tokenOf(with(claims, "aud", []string{})), "audience"},
		{"an audience beside a number", tokenOf(with(claims, "aud", []any{testAudience, 1})), "claims"},
		{"an object of audiences", tokenOf(with(claims, "aud", map[string]any{testAudience: true})), "claims"},

		{"expired", tokenOf(with(claims, "exp", testTime.Unix()-61)), "expired"},
		{"expired, to the second", tokenOf(with(claims, "exp", testTime.Unix()-60)), "expired"},
		{"no exp", tokenOf(with(claims, "exp", leftOut)), "claims"},
		{"null for exp", tokenOf(with(claims, "exp", nil)), "claims"},
		{"an exp that is a string", tokenOf(with(claims, "exp", fmt.Sprint(testTime.Unix()+300))), "claims"},
		{"a negative exp", tokenOf(with(claims, "exp", -1)), "claims"},
		{"an exp without end", body(strings.Replace(payload, `"exp":`, `"exp":1e300,"x":`, 1)), "claims"},
		{"an exp beyond all numbers", body(strings.Replace(payload, `"exp":`, `"exp":99999999999999999999,"x":`, 1)), "claims"},
		{"an exp with a fraction", body(strings.Replace(payload, `"exp":`, `"exp":1790000300.5,"x":`, 1)), "claims"},
		{"two exps", body(strings.Replace(payload, `"exp":`, `"exp":1790000300,"exp":`, 1)), "claims"},
		{"an exp in other case", tokenOf(with(claims, "Exp", testTime.Unix()+900)), "claims"},
		{"no iat", tokenOf(with(claims, "iat", leftOut)), "claims"},
		{"issued in the future", tokenOf(with(claims, "iat", testTime.Unix()+61)), "future"},
		{"issued too long ago", tokenOf(with(claims, "iat", testTime.Unix()-3661)), "too long ago"},
		{"expired before it was issued", tokenOf(with(with(claims, "exp", testTime.Unix()-1), "iat", testTime.Unix())), "expired"},
		{"not yet", tokenOf(with(claims, "nbf", testTime.Unix()+61)), "future"},
		{"an nbf that is a string", tokenOf(with(claims, "nbf", "0")), "claims"},

		{"claims that are a list", body(`[]`), "claims"},
		{"claims that are null", body(`null`), "claims"},
		{"claims that are followed by more", body(payload + payload), "claims"},
		{"a repeated claim", body(strings.Replace(payload, `"repository":`, `"repository":"evil/app","repository":`, 1)), "claims"},
		{"a repeated claim that is escaped", body(strings.Replace(payload, `"repository":`, `"repositor\u0079":"evil/app","repository":`, 1)), "claims"},
		{"a claim in other case", body(strings.Replace(payload, `"repository":`, `"Repository":"evil/app","repository":`, 1)), "claims"},
		{"a claim that is no UTF-8", body(strings.Replace(payload, `"ci"`, "\"c\xff\"", 1)), "claims"},

		{"signed by another key", signRaw(keys[2], testHeader, payload), "does not fit"},
		{"another payload under the signature", parts[0] + "." + b64([]byte(toJSON(with(claims, "actor", "root")))) + "." + parts[2], "does not fit"},
		{"another header under the signature", b64([]byte(`{"alg":"RS256","kid":"k0"}`)) + "." + parts[1] + "." + parts[2], "does not fit"},
		{"a signature of zeros", parts[0] + "." + parts[1] + "." + b64(make([]byte, 256)), "does not fit"},
		{"a short signature", parts[0] + "." + parts[1] + "." + b64([]byte{1}), "does not fit"},
		{"a signature with a zero before", parts[0] + "." + parts[1] + "." + b64(make([]byte, 257)), "does not fit"},
	}
	for _, name := range []string{"crit", "jwk", "jku", "x5u", "x5c", "b64", "zip", "cty", "Crit", "B64"} {
		table = append(table, forgery{"a header with " + name, member(`"` + name + `":[]`), "header member"})
	}
	table = append(table, forgery{"an empty crit", member(`"crit":[]`), "header member"},
		forgery{"b64 false", member(`"b64":false`), "header member"},
		forgery{"a key of its own", member(`"jwk":` + toJSON(jwkOf("k0", &keys[2].PublicKey, nil))), "header member"})

	var out bytes.Buffer
	stage, err := newStageAt(testOIDC(t), logTo(&out), atTestTime)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ask(t, stage, oidcAuth(good)); err != nil {
		t.Fatal("the token that the table changes is refused:", err)
	}
	for _, tt := range table {
		t.Run(tt.name, func(t *testing.T) {
			_, err := ask(t, stage, oidcAuth(tt.token))
			reason := wantRefused(t, err)
			if !strings.Contains(reason, tt.says) {
				t.Errorf("the reason %q does not say %q", reason, tt.says)
			}
			holdsNone(t, fmt.Sprintf("%v %+v", err, err), tt.token)
		})
		holdsNone(t, out.String(), tt.token)
	}
}

// wantRefused checks that the error is the block of this stage, and gives its
// reason.
func wantRefused(t testing.TB, err error) string {
	t.Helper()
	block, ok := err.(*pipeline.BlockError)
	if !ok || block.Rule() != "runner_auth.invalid" || block.Severity() != "critical" {
		t.Fatalf("the answer is %v, want a block by runner_auth.invalid", err)
	}
	for _, expected := range []string{testIssuer, testAudience, "k0", "octo/"} {
		if strings.Contains(block.Reason(), expected) {
			t.Errorf("the reason %q tells what is expected", block.Reason())
		}
	}
	return block.Reason()
}

// holdsNone checks that a text holds no part of a token.
func holdsNone(t testing.TB, text, token string) {
	t.Helper()
	for _, part := range strings.Split(token, ".") {
		for start := 0; start+16 <= len(part); start += 16 {
			if strings.Contains(text, part[start:start+16]) {
				t.Errorf("the text holds a part of the token: %.200s", text)
				return
			}
		}
	}
}

func TestOIDCRefusesWhatATokenDoesNotProve(t *testing.T) {
	good := tokenOf(githubClaims())
	stage := stageAt(t, testOIDC(t), atTestTime)
	type auth = enforcementv1.RunnerAuthentication
	for _, tt := range []struct {
		name   string
		change func(*auth)
		says   string
	}{
		{"another provider", func(a *auth) { a.Identity.Provider = "gitlab-ci" }, "identity.provider"},
		{"no provider", func(a *auth) { a.Identity.Provider = "" }, "identity.provider"},
		{"another repository", func(a *auth) { a.Identity.Repository = "octo/other" }, "identity.repository"},
		{"a repository in other case", func(a *auth) { a.Identity.Repository = "Octo/app" }, "identity.repository"},
		{"no repository", func(a *auth) { a.Identity.Repository = "" }, "identity.repository"},
		{"another run", func(a *auth) { a.Identity.RunID = "1743" }, "identity.run_id"},
		{"a run with a zero before", func(a *auth) { a.Identity.RunID = "01742" }, "identity.run_id"},
		{"another attempt", func(a *auth) { a.Identity.RunAttempt = "1" }, "identity.run_attempt"},
		{"another ref", func(a *auth) { a.Identity.Ref = "main" }, "identity.ref"},
		{"another commit", func(a *auth) { a.Identity.SHA = "0123456" }, "identity.sha"},
		{"another actor", func(a *auth) { a.Identity.Actor = "root" }, "identity.actor"},
		{"another workflow", func(a *auth) { a.Identity.Workflow = "deploy" }, "identity.workflow"},
		{"a job, which no token proves", func(a *auth) { a.Identity.Job = "build" }, "identity.job"},
		{"a runner, which no token proves", func(a *auth) { a.Identity.RunnerName = "r" }, "identity.runner_name"},
		{"a line break", func(a *auth) { a.Identity.Actor = "octocat\n" }, "control character"},
		{"another key id", func(a *auth) { a.KeyID = "k1" }, "key_id"},
		{"a nonce", func(a *auth) { a.Nonce = "n" }, "HMAC"},
		{"another algorithm", func(a *auth) { a.Algorithm = "HMAC-SHA256" }, "algorithm"},
		{"no algorithm", func(a *auth) { a.Algorithm = "" }, "algorithm"},
		{"none", func(a *auth) { a.Algorithm = "none" }, "algorithm"},
		{"RS256", func(a *auth) { a.Algorithm = "RS256" }, "algorithm"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			auth := oidcAuth(good)
			tt.change(auth)
			for range 2 { // the second time the token is remembered
				_, err := ask(t, stage, auth)
				if reason := wantRefused(t, err); !strings.Contains(reason, tt.says) {
					t.Errorf("the reason %q does not say %q", reason, tt.says)
				}
				if _, err := ask(t, stage, oidcAuth(good)); err != nil {
					t.Errorf("the token itself is refused: %v", err)
				}
			}
		})
	}
	t.Run("nothing", func(t *testing.T) {
		_, err := ask(t, stage, nil)
		wantRefused(t, err)
	})
}

func TestOIDCUnprovenMembersAreNotVouchedFor(t *testing.T) {
	stage := stageAt(t, testOIDC(t, func(i *OIDCIssuer) { i.Unproven = []string{"job", "actor"} }), atTestTime)
	auth := oidcAuth(tokenOf(githubClaims()))
	auth.Identity.Job, auth.Identity.Actor = "build", "somebody"
	id, err := ask(t, stage, auth)
	want := githubIdentity()
	want.Actor = ""
	if err != nil || id.Runner != want {
		t.Errorf("the identity is %+v, %v; want %+v", id.Runner, err, want)
	}
	if auth.Identity.Job != "build" {
		t.Error("the request was changed")
	}
}

func TestOIDCRequire(t *testing.T) {
	good := tokenOf(githubClaims())
	for _, tt := range []struct {
		name    string
		require map[string][]string
		in      bool
	}{
		{"nothing", nil, true},
		{"the repository", map[string][]string{"repository": {"octo/app"}}, true},
		{"one of two", map[string][]string{"repository": {"octo/other", "octo/a*"}}, true},
		{"a number", map[string][]string{"repository_id": {"74"}}, true},
		{"another owner", map[string][]string{"repository": {"evil/*"}}, false},
		{"one of two names fits", map[string][]string{"repository": {"octo/app"}, "ref": {"refs/tags/*"}}, false},
		{"a claim that is not there", map[string][]string{"enterprise": {"*"}}, false},
		{"a claim that is null", map[string][]string{"environment": {"*"}}, false},
		{"a workflow's path is not its name", map[string][]string{"workflow": {"octo/app/.github/workflows/other.yml@*"}}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			stage := stageAt(t, testOIDC(t, func(i *OIDCIssuer) { i.Require = tt.require }), atTestTime)
			_, err := ask(t, stage, oidcAuth(good))
			if !tt.in {
				wantRefused(t, err)
			} else if err != nil {
				t.Error(err)
			}
		})
	}
}

func TestOIDCTokenIsHeldToTheClockEachTime(t *testing.T) {
	clock := newTestClock(testTime)
	stage := stageAt(t, testOIDC(t), clock.now)
	auth := oidcAuth(tokenOf(githubClaims()))
	for _, step := range []struct {
		after time.Duration
		in    bool
	}{{0, true}, {300 * time.Second, true}, {359 * time.Second, true}, {360 * time.Second, false}, {-71 * time.Second, false}, {0, true}} {
		clock.set(testTime.Add(step.after))
		_, err := ask(t, stage, auth)
		if (err == nil) != step.in {
			t.Errorf("after %v the answer is %v", step.after, err)
		}
	}
}

func TestOIDCTakesATokenOnce(t *testing.T) {
	claims := githubClaims()
	clock := newTestClock(testTime)
	stage := stageAt(t, testOIDC(t, func(i *OIDCIssuer) { i.RememberJTI = true }), clock.now)
	refused := func(what, token, says string) {
		t.Helper()
		_, err := ask(t, stage, oidcAuth(token))
		if reason := wantRefused(t, err); !strings.Contains(reason, says) {
			t.Errorf("%s: the reason %q does not say %q", what, reason, says)
		}
	}
	good := tokenOf(claims)
	// What is refused uses nothing up.
	wrong := oidcAuth(good)
	wrong.Identity.Actor = "root"
	if _, err := ask(t, stage, wrong); err == nil {
		t.Fatal("another actor is let in")
	}
	if _, err := ask(t, stage, oidcAuth(good)); err != nil {
		t.Fatal(err)
	}
	refused("the same again, which is remembered", good, "used before")
	refused("another token of the same jti", tokenOf(with(claims, "run_attempt", "3")), "identity.run_attempt")
	refused("another token of the same jti that fits", tokenOf(with(claims, "exp", testTime.Unix()+200)), "used before")
	refused("no jti", tokenOf(with(claims, "jti", leftOut)), "without a jti")
	refused("an empty jti", tokenOf(with(claims, "jti", "")), "without a jti")
	refused("a jti that is a number", tokenOf(with(claims, "jti", 5)), "claims")
	if _, err := ask(t, stage, oidcAuth(tokenOf(with(claims, "jti", "jti-2")))); err != nil {
		t.Error("another jti:", err)
	}
	clock.advance(359 * time.Second)
	refused("the last second of its life", good, "used before")
	clock.advance(time.Second)
	refused("expired", good, "expired")
}

func TestOIDCRefusesWhatItCannotRemember(t *testing.T) {
	stage := stageAt(t, testOIDC(t, func(i *OIDCIssuer) { i.RememberJTI = true }), atTestTime)
	stage.oidc.(*oidcVerifier).issuers[testIssuer].used = newSeen(1, atTestTime)
	if _, err := ask(t, stage, oidcAuth(tokenOf(githubClaims()))); err != nil {
		t.Fatal(err)
	}
	_, err := ask(t, stage, oidcAuth(tokenOf(with(githubClaims(), "jti", "jti-2"))))
	if reason := wantRefused(t, err); !strings.Contains(reason, "remembered") {
		t.Errorf("the reason is %q", reason)
	}
}

func TestOIDCTakesATokenOnceAmongMany(t *testing.T) {
	stage := stageAt(t, testOIDC(t, func(i *OIDCIssuer) { i.RememberJTI = true }), atTestTime)
	auth := oidcAuth(tokenOf(githubClaims()))
	var in atomic.Int32
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() {
			if _, err := stage.identify(t.Context(), exchange(auth).Request); err == nil {
				in.Add(1)
			}
		})
	}
	wg.Wait()
	if in.Load() != 1 {
		t.Errorf("%d of 32 were let in", in.Load())
	}
}

func TestOIDCForgetsTokensOfOldKeys(t *testing.T) {
	keys := rsaKeys()
	clock := newTestClock(testTime)
	o := testOIDC(t)
	stage := stageAt(t, o, clock.now)
	auth := oidcAuth(tokenOf(githubClaims()))
	if _, err := ask(t, stage, auth); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(o.OIDC[0].JWKS, []byte(jwksOf(jwkOf("k1", &keys[1].PublicKey, nil))), 0o600); err != nil {
		t.Fatal(err)
	}
	clock.advance(fileLookEvery)
	_, err := ask(t, stage, auth)
	if reason := wantRefused(t, err); !strings.Contains(reason, "not among those") {
		t.Errorf("the reason is %q", reason)
	}
}

func TestOIDCRemembersABoundedNumber(t *testing.T) {
	stage := stageAt(t, testOIDC(t), atTestTime)
	v := stage.oidc.(*oidcVerifier)
	for i := range maxRemembered + 10 {
		v.remembered.put(sha256.Sum256(fmt.Append(nil, i)), verified{})
	}
	if n := len(v.remembered.tokens); n > maxRemembered {
		t.Errorf("%d tokens are remembered", n)
	}
}

func TestOIDCBesideHMAC(t *testing.T) {
	key := newKey()
	o := testOIDC(t)
	o.HMACKey, o.HMACKeyID = key, testKeyID
	stage := stageAt(t, o, atTestTime)
	if id, err := ask(t, stage, signed(t, key)); err != nil || id.Proof != "hmac/"+testKeyID {
		t.Errorf("a signature gives %+v, %v", id, err)
	}
	if id, err := ask(t, stage, oidcAuth(tokenOf(githubClaims()))); err != nil || id.Proof != "oidc/"+testIssuer {
		t.Errorf("a token gives %+v, %v", id, err)
	}
	for _, algorithm := range []string{"", "none", "oidc-jwt", "HS256"} {
		auth := oidcAuth(tokenOf(githubClaims()))
		auth.Algorithm = algorithm
		_, err := ask(t, stage, auth)
		wantRefused(t, err)
	}
}

// No mutation of a good token is let in.
func FuzzOIDCMutation(f *testing.F) {
	good := tokenOf(githubClaims())
	stage := stageAt(f, testOIDC(f), atTestTime)
	for _, seed := range []string{good, good + "=", good[:len(good)-1], strings.Replace(good, ".", "..", 1), "e30.e30.e30", signRaw(rsaKeys()[2], testHeader, toJSON(githubClaims()))} {
		f.Add(seed, 0, byte(0))
	}
	f.Add(good, 50, byte(1))
	f.Add(good, len(good)-1, byte(1))
	f.Fuzz(func(t *testing.T, token string, at int, flip byte) {
		b := []byte(token)
		if at >= 0 && at < len(b) {
			b[at] ^= flip
		}
		id, err := ask(t, stage, oidcAuth(string(b)))
		if (err == nil) != (string(b) == good) {
			t.Fatalf("%q gives %+v, %v", b, id, err)
		}
		if err != nil {
			wantRefused(t, err)
		}
	})
}

// Every change of one bit of a good token is refused.
func TestOIDCRefusesEveryFlippedBit(t *testing.T) {
	good := tokenOf(githubClaims())
	stage := stageAt(t, testOIDC(t), atTestTime)
	for i := range good {
		for bit := range 8 {
			b := []byte(good)
			b[i] ^= 1 << bit
			if _, err := ask(t, stage, oidcAuth(string(b))); err == nil {
				t.Fatalf("bit %d of byte %d can be changed", bit, i)
			}
		}
	}
}
