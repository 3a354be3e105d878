package auth

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	enforcementv1 "github.com/Huzefaaa2/cavra/go/cavra-runtime/enforcement/v1"
	"github.com/Huzefaaa2/cavra/go/cavra-runtime/pipeline"
	"github.com/Huzefaaa2/cavra/go/cavra-runtime/pipeline/pipelinetest"
)

// testStart is when the verifiers of these tests start.
var testStart = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

// newFresh makes a verifier of the key that takes v1 and v2, and its clock, a
// minute after its start.
func newFresh(t testing.TB, key string) (*hmacVerifier, *testClock) {
	t.Helper()
	clock := newTestClock(testStart)
	v := newVerifier(t, Options{HMACKey: key, HMACKeyID: testKeyID}, clock.now)
	clock.advance(time.Minute)
	return v, clock
}

// action is a request that has something in every kind of member.
func action() *enforcementv1.EvaluateRequest {
	return &enforcementv1.EvaluateRequest{
		SessionID: "s-1", ActionType: "release_governance_record", Target: "rollout-promotion-execution", Cwd: "/src/<app>",
		ReleaseGovernance: &enforcementv1.ReleaseGovernanceEvidence{ApprovalState: "approved", ApprovalID: "a-1", BlockedCount: 2, EvidenceRefs: []string{"a", "b"}},
	}
}

// signFresh signs the request in place.
func signFresh(t rapid.TB, key string, req *enforcementv1.EvaluateRequest, now time.Time) *enforcementv1.EvaluateRequest {
	t.Helper()
	auth, err := SignHMACv2([]byte(key), testKeyID, runner(), req, now)
	if err != nil {
		t.Fatal(err)
	}
	req.RunnerAuth = auth
	return req
}

// resign signs what auth says now, as a runner would that keeps no rules.
func resign(key string, auth *enforcementv1.RunnerAuthentication) {
	auth.Signature = sumOf(key, string(appendSignedText(nil, auth)))
}

// The text and the request's bytes are written out here as the contract has them.
func TestSignedTextV2(t *testing.T) {
	key := newKey()
	v, _ := newFresh(t, key)
	req := &enforcementv1.EvaluateRequest{ActionType: "execute_command", Target: "a && b", Cwd: "/src"}
	digest := sha256.Sum256([]byte(`{"action_type":"execute_command","target":"a \u0026\u0026 b","cwd":"/src"}`))
	auth := &enforcementv1.RunnerAuthentication{
		Identity: runner(), Algorithm: "HMAC-SHA256", KeyID: testKeyID,
		IssuedAt: "2026-03-04T05:07:07Z", Nonce: "AAAAAAAAAAAAAAAAAAAA-_", RequestDigest: hex.EncodeToString(digest[:]),
	}
	auth.Signature = sumOf(key, `cavra.runner-auth.v2
provider=github-actions
repository=octo/app
workflow=.github/workflows/ci.yml
run_id=1742
run_attempt=2
ref=refs/heads/main
sha=0123456789abcdef0123456789abcdef01234567
actor=octocat
job=build
runner_name=runner é 1
issued_at=2026-03-04T05:07:07Z
nonce=AAAAAAAAAAAAAAAAAAAA-_
request_digest=`+auth.RequestDigest)
	req.RunnerAuth = auth
	got, err := v.verify(t.Context(), req)
	if want := (pipeline.Identity{Proof: "hmac/" + testKeyID, Runner: runner()}); err != nil || got != want {
		t.Errorf("verify gives %+v, %v; want %+v", got, err, want)
	}
}

func TestSignHMACv2(t *testing.T) {
	key := newKey()
	v, clock := newFresh(t, key)
	req := action()
	req.RunnerAuth = &enforcementv1.RunnerAuthentication{KeyID: "left from before"}
	was := string(req.AppendJSON(nil))
	now := clock.now().In(time.FixedZone("east", 3600))
	auth, err := SignHMACv2([]byte(key), testKeyID, runner(), req, now)
	if err != nil {
		t.Fatal(err)
	}
	if string(req.AppendJSON(nil)) != was {
		t.Error("signing changed the request")
	}
	if auth.IssuedAt != "2026-03-04T05:07:07Z" || auth.Algorithm != "HMAC-SHA256" || auth.KeyID != testKeyID || auth.Identity != runner() {
		t.Errorf("SignHMACv2 gives %+v", auth)
	}
	again, err := SignHMACv2([]byte(key), testKeyID, runner(), req, now)
	if err != nil || again.Nonce == auth.Nonce || again.Signature == auth.Signature {
		t.Errorf("the second signature is %+v, %v; want another nonce than %s", again, err, auth.Nonce)
	}
	for _, auth := range []*enforcementv1.RunnerAuthentication{auth, again} {
		req.RunnerAuth = auth
		was := string(req.AppendJSON(nil))
		if _, err := v.verify(t.Context(), req); err != nil {
			t.Errorf("what was signed is refused: %v", err)
		}
		if string(req.AppendJSON(nil)) != was || req.RunnerAuth != auth {
			t.Error("verifying changed the request")
		}
	}
}

func TestSignHMACv2Refuses(t *testing.T) {
	for _, tt := range []struct {
		name, key string
		req       *enforcementv1.EvaluateRequest
		now       time.Time
		says      string
	}{
		{"no key", "", action(), testStart, "key is empty"},
		{"no request", "k", nil, testStart, "no request"},
		{"no UTF-8", "k", &enforcementv1.EvaluateRequest{Target: "\xff"}, testStart, "UTF-8"},
		{"no UTF-8 deep inside", "k", &enforcementv1.EvaluateRequest{ReleaseGovernance: &enforcementv1.ReleaseGovernanceEvidence{EvidenceRefs: []string{"\xff"}}}, testStart, "UTF-8"},
		{"a year that cannot be written", "k", action(), time.Date(12026, 1, 1, 0, 0, 0, 0, time.UTC), "issued_at is no time"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			auth, err := SignHMACv2([]byte(tt.key), "", runner(), tt.req, tt.now)
			if err == nil || !strings.Contains(err.Error(), tt.says) || auth != nil {
				t.Errorf("SignHMACv2 gives %+v, %v; want an error that says %q", auth, err, tt.says)
			}
		})
	}
}

func TestForgeriesV2(t *testing.T) {
	key := newKey()
	type request = enforcementv1.EvaluateRequest
	for _, tt := range []struct {
		name  string
		forge func(req *request)
		says  string
	}{
		{"without issued_at", func(r *request) { r.RunnerAuth.IssuedAt = "" }, "issued_at is missing"},
		{"without nonce", func(r *request) { r.RunnerAuth.Nonce = "" }, "nonce is missing"},
		{"without request_digest", func(r *request) { r.RunnerAuth.RequestDigest = "" }, "request_digest is missing"},
		{"without any, its signature for v1", func(r *request) {
			r.RunnerAuth.IssuedAt, r.RunnerAuth.Nonce, r.RunnerAuth.RequestDigest = "", "", ""
		}, "does not fit"},
		{"the signature of v1 for v2", func(r *request) { r.RunnerAuth.Signature = signed(t, key).Signature }, "does not fit"},
		{"issued_at alone beside v1", func(r *request) {
			r.RunnerAuth = signed(t, key)
			r.RunnerAuth.IssuedAt = "2026-03-04T05:07:07Z"
		}, "nonce is missing"},
		{"nonce alone beside v1", func(r *request) {
			r.RunnerAuth = signed(t, key)
			r.RunnerAuth.Nonce = strings.Repeat("A", 22)
		}, "issued_at is missing"},
		{"request_digest alone beside v1", func(r *request) {
			r.RunnerAuth = signed(t, key)
			r.RunnerAuth.RequestDigest = strings.Repeat("0", 64)
		}, "issued_at is missing"},

		{"a later issued_at", func(r *request) { r.RunnerAuth.IssuedAt = "2026-03-04T05:07:06.5Z" }, "does not fit"},
		{"the same issued_at spelt otherwise", func(r *request) { r.RunnerAuth.IssuedAt = "2026-03-04T05:07:07.0Z" }, "does not fit"},
		{"another nonce", func(r *request) { r.RunnerAuth.Nonce = strings.Repeat("A", 22) }, "does not fit"},
		{"a longer nonce", func(r *request) { r.RunnerAuth.Nonce += "A" }, "does not fit"},
		{"another request_digest", func(r *request) { r.RunnerAuth.RequestDigest = strings.Repeat("0", 64) }, "does not fit"},
		{"the request_digest of the changed request", func(r *request) {
			r.Target = "else"
			sum := sha256.Sum256(appendUnauthenticated(nil, r))
			r.RunnerAuth.RequestDigest = hex.EncodeToString(sum[:])
		}, "does not fit"},
		{"under another key", func(r *request) { signFresh(t, newKey(), r, testStart.Add(time.Minute)) }, "does not fit"},
		{"another identity", func(r *request) { r.RunnerAuth.Identity.Repository = "octo/other" }, "does not fit"},

		{"for another request", func(r *request) { r.Target = "else" }, "not that of this request"},
		{"for a request with less", func(r *request) { r.ReleaseGovernance = nil }, "not that of this request"},
		{"taken to another request", func(r *request) { *r = request{Target: "a", RunnerAuth: r.RunnerAuth} }, "not that of this request"},

		{"an identity line in issued_at", func(r *request) { r.RunnerAuth.IssuedAt = "2026-03-04T05:07:07Z\nnonce=A" }, "issued_at is no time"},
		{"a line break before Z", func(r *request) { r.RunnerAuth.IssuedAt = "2026-03-04T05:07:07\nZ" }, "issued_at is no time"},
		{"a digest line in nonce", func(r *request) { r.RunnerAuth.Nonce += "\nrequest_digest=" }, "nonce is not"},
		{"a line in request_digest", func(r *request) { r.RunnerAuth.RequestDigest = "\n" + r.RunnerAuth.RequestDigest[1:] }, "request_digest is not"},
		{"fresh lines in the last member", func(r *request) {
			a := r.RunnerAuth
			a.Identity.RunnerName += "\nissued_at=" + a.IssuedAt + "\nnonce=" + a.Nonce + "\nrequest_digest=" + a.RequestDigest
			a.IssuedAt, a.Nonce, a.RequestDigest = "", "", ""
		}, "runner_name holds a control"},
		{"a weaker algorithm", func(r *request) { r.RunnerAuth.Algorithm = "none" }, "algorithm"},
		{"another key id", func(r *request) { r.RunnerAuth.KeyID = "other" }, "key_id names no key"},
		{"no key id", func(r *request) { r.RunnerAuth.KeyID = "" }, "key_id is missing"},
		{"no signature", func(r *request) { r.RunnerAuth.Signature = "" }, "64 hex"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v, clock := newFresh(t, key)
			req := signFresh(t, key, action(), clock.now())
			genuine := *req.RunnerAuth
			tt.forge(req)
			refuse(t, v, req, tt.says, key, genuine.Signature, testKeyID)

			// What was refused is not remembered: the genuine one still passes.
			was := action()
			was.RunnerAuth = &genuine
			if _, err := v.verify(t.Context(), was); err != nil {
				t.Errorf("the genuine request is refused afterwards: %v", err)
			}
		})
	}
}

// A runner that holds the key is held to the forms as well.
func TestFormsV2(t *testing.T) {
	key := newKey()
	for _, tt := range []struct {
		name   string
		change func(*enforcementv1.RunnerAuthentication)
		says   string // empty where it is taken
	}{
		{"nanoseconds", func(a *enforcementv1.RunnerAuthentication) { a.IssuedAt = "2026-03-04T05:07:06.999999999Z" }, ""},
		{"more digits than a nanosecond has", func(a *enforcementv1.RunnerAuthentication) { a.IssuedAt = "2026-03-04T05:07:06.9999999999Z" }, "issued_at is no"},
		{"an offset", func(a *enforcementv1.RunnerAuthentication) { a.IssuedAt = "2026-03-04T06:07:07+01:00" }, "issued_at is no"},
		{"no offset at all", func(a *enforcementv1.RunnerAuthentication) { a.IssuedAt = "2026-03-04T05:07:07+00:00" }, "issued_at is no"},
		{"no zone", func(a *enforcementv1.RunnerAuthentication) { a.IssuedAt = "2026-03-04T05:07:07" }, "issued_at is no"},
		{"a small z", func(a *enforcementv1.RunnerAuthentication) { a.IssuedAt = "2026-03-04T05:07:07z" }, "issued_at is no"},
		{"a small t", func(a *enforcementv1.RunnerAuthentication) { a.IssuedAt = "2026-03-04t05:07:07Z" }, "issued_at is no"},
		{"a space", func(a *enforcementv1.RunnerAuthentication) { a.IssuedAt = "2026-03-04 05:07:07Z" }, "issued_at is no"},
		{"a comma", func(a *enforcementv1.RunnerAuthentication) { a.IssuedAt = "2026-03-04T05:07:07,0Z" }, "issued_at is no"},
		{"an hour of one digit", func(a *enforcementv1.RunnerAuthentication) { a.IssuedAt = "2026-03-04T5:07:07Z" }, "issued_at is no"},
		{"a point and no digits", func(a *enforcementv1.RunnerAuthentication) { a.IssuedAt = "2026-03-04T05:07:07.Z" }, "issued_at is no"},
		{"a day that is none", func(a *enforcementv1.RunnerAuthentication) { a.IssuedAt = "2026-02-30T05:07:07Z" }, "issued_at is no"},
		{"seconds since 1970", func(a *enforcementv1.RunnerAuthentication) { a.IssuedAt = "1772600827Z" }, "issued_at is no"},
		{"the first year", func(a *enforcementv1.RunnerAuthentication) { a.IssuedAt = "0000-01-01T00:00:00Z" }, "too long ago"},
		{"the last year", func(a *enforcementv1.RunnerAuthentication) { a.IssuedAt = "9999-12-31T23:59:59Z" }, "in the future"},

		{"the shortest nonce", func(a *enforcementv1.RunnerAuthentication) { a.Nonce = strings.Repeat("-", 22) }, ""},
		{"the longest nonce", func(a *enforcementv1.RunnerAuthentication) { a.Nonce = strings.Repeat("_", 256) }, ""},
		{"a nonce too short", func(a *enforcementv1.RunnerAuthentication) { a.Nonce = strings.Repeat("A", 21) }, "nonce is not"},
		{"a nonce too long", func(a *enforcementv1.RunnerAuthentication) { a.Nonce = strings.Repeat("A", 257) }, "nonce is not"},
		{"a nonce with padding", func(a *enforcementv1.RunnerAuthentication) { a.Nonce = strings.Repeat("A", 22) + "==" }, "nonce is not"},
		{"a nonce in plain base64", func(a *enforcementv1.RunnerAuthentication) { a.Nonce = strings.Repeat("+/", 11) }, "nonce is not"},
		{"a nonce with a letter that is none of ours", func(a *enforcementv1.RunnerAuthentication) { a.Nonce = strings.Repeat("é", 22) }, "nonce is not"},

		{"an upper-case digest", func(a *enforcementv1.RunnerAuthentication) { a.RequestDigest = strings.ToUpper(a.RequestDigest) }, "request_digest is not"},
		{"half a digest", func(a *enforcementv1.RunnerAuthentication) { a.RequestDigest = a.RequestDigest[:32] }, "request_digest is not"},
		{"a digest that names its hash", func(a *enforcementv1.RunnerAuthentication) { a.RequestDigest = "sha256:" + a.RequestDigest[7:] }, "request_digest is not"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v, clock := newFresh(t, key)
			req := signFresh(t, key, action(), clock.now())
			tt.change(req.RunnerAuth)
			resign(key, req.RunnerAuth)
			if tt.says != "" {
				refuse(t, v, req, tt.says, key)
			} else if _, err := v.verify(t.Context(), req); err != nil {
				t.Errorf("%+v is refused: %v", req.RunnerAuth, err)
			}
		})
	}
}

func TestFreshnessWindow(t *testing.T) {
	const ns = time.Nanosecond
	for _, tt := range []struct {
		name     string
		maxAge   time.Duration
		issued   time.Duration // after the start
		verified time.Duration // after the start
		says     string        // empty where it is taken
	}{
		{"at once", 0, 0, 0, ""},
		{"almost five minutes old", 0, time.Hour, time.Hour + 5*time.Minute - ns, ""},
		{"five minutes old", 0, time.Hour, time.Hour + 5*time.Minute, "too long ago"},
		{"a day old", 0, time.Hour, 25 * time.Hour, "too long ago"},
		{"almost as old as configured", time.Second, time.Hour, time.Hour + time.Second - ns, ""},
		{"as old as configured", time.Second, time.Hour, time.Hour + time.Second, "too long ago"},
		{"before the start", 0, -ns, 0, "before the daemon started"},
		{"long before the start, within the window", time.Hour, -time.Minute, time.Minute, "before the daemon started"},
		{"before the start and too old", 0, -time.Hour, 0, "too long ago"},
		{"ahead", 0, time.Minute + ns, time.Minute, "in the future"},
		{"a year ahead", 0, 365 * 24 * time.Hour, time.Minute, "in the future"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			key := newKey()
			clock := newTestClock(testStart)
			v := newVerifier(t, Options{HMACKey: key, HMACKeyID: testKeyID, HMACMaxAge: tt.maxAge}, clock.now)
			req := signFresh(t, key, action(), testStart.Add(tt.issued))
			clock.set(testStart.Add(tt.verified))
			if tt.says != "" {
				refuse(t, v, req, tt.says, key)
			} else if _, err := v.verify(t.Context(), req); err != nil {
				t.Errorf("it is refused: %v", err)
			}
		})
	}
}

func TestReplayIsRefused(t *testing.T) {
	key := newKey()
	for _, tt := range []struct {
		name   string
		change func(t *testing.T, req *enforcementv1.EvaluateRequest, clock *testClock)
		says   string
	}{
		{"as it was", func(*testing.T, *enforcementv1.EvaluateRequest, *testClock) {}, "nonce was used"},
		{"with the signature in capitals", func(_ *testing.T, req *enforcementv1.EvaluateRequest, _ *testClock) {
			req.RunnerAuth.Signature = strings.ToUpper(req.RunnerAuth.Signature)
		}, "nonce was used"},
		{"at the end of the window", func(_ *testing.T, _ *enforcementv1.EvaluateRequest, clock *testClock) {
			clock.advance(defaultMaxAge - time.Nanosecond)
		}, "nonce was used"},
		{"when the window has passed", func(_ *testing.T, _ *enforcementv1.EvaluateRequest, clock *testClock) {
			clock.advance(defaultMaxAge)
		}, "too long ago"},
		{"the nonce alone, for another request", func(t *testing.T, req *enforcementv1.EvaluateRequest, clock *testClock) {
			nonce := req.RunnerAuth.Nonce
			req.Target = "else"
			signFresh(t, key, req, clock.now()).RunnerAuth.Nonce = nonce
			resign(key, req.RunnerAuth)
		}, "nonce was used"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v, clock := newFresh(t, key)
			req := signFresh(t, key, action(), clock.now())
			if _, err := v.verify(t.Context(), req); err != nil {
				t.Fatal(err)
			}
			tt.change(t, req, clock)
			refuse(t, v, req, tt.says, key)
		})
	}
}

// The key id is not part of what is signed. Where any will do, another one must
// not make a used message a new one.
func TestReplayUnderAnotherKeyIDIsRefused(t *testing.T) {
	key := newKey()
	clock := newTestClock(testStart)
	v := newVerifier(t, Options{HMACKey: key}, clock.now)
	req := signFresh(t, key, action(), clock.now())
	if _, err := v.verify(t.Context(), req); err != nil {
		t.Fatal(err)
	}
	req.RunnerAuth.KeyID = "another"
	refuse(t, v, req, "nonce was used", key)
}

func TestReplayAfterTheClockWasSetBackIsRefused(t *testing.T) {
	key := newKey()
	v, clock := newFresh(t, key)
	req := signFresh(t, key, action(), clock.now())
	if _, err := v.verify(t.Context(), req); err != nil {
		t.Fatal(err)
	}
	clock.advance(time.Hour) // the first is forgotten
	if _, err := v.verify(t.Context(), signFresh(t, key, action(), clock.now())); err != nil {
		t.Fatal(err)
	}
	clock.advance(-time.Hour)
	refuse(t, v, req, "nonce was used", key)
}

func TestReplayAfterRestartIsRefused(t *testing.T) {
	key := newKey()
	v, clock := newFresh(t, key)
	req := signFresh(t, key, action(), clock.now())
	if _, err := v.verify(t.Context(), req); err != nil {
		t.Fatal(err)
	}
	clock.advance(time.Nanosecond)
	restarted := newVerifier(t, Options{HMACKey: key, HMACKeyID: testKeyID}, clock.now)
	refuse(t, restarted, req, "before the daemon started", key)
}

// A full memory refuses what is new and forgets nothing.
func TestFullMemoryRefuses(t *testing.T) {
	key := newKey()
	v, clock := newFresh(t, key)
	v.fresh.nonces = newSeen(2, clock.now)
	first := signFresh(t, key, action(), clock.now())
	for _, req := range []*enforcementv1.EvaluateRequest{first, signFresh(t, key, action(), clock.now())} {
		if _, err := v.verify(t.Context(), req); err != nil {
			t.Fatal(err)
		}
	}
	third := signFresh(t, key, action(), clock.now().Add(time.Minute))
	clock.advance(time.Minute)
	refuse(t, v, third, "no room", key)
	refuse(t, v, first, "nonce was used", key)
	clock.advance(defaultMaxAge - time.Minute)
	if _, err := v.verify(t.Context(), third); err != nil {
		t.Errorf("there is room again, and it is refused: %v", err)
	}
}

// Whoever has no key cannot fill the memory, nor have a long request hashed.
func TestStrangersAreNotRemembered(t *testing.T) {
	key := newKey()
	v, clock := newFresh(t, key)
	for range 100 {
		refuse(t, v, signFresh(t, newKey(), action(), clock.now()), "does not fit")
	}
	stale := signFresh(t, key, action(), clock.now())
	elsewhere := signFresh(t, key, action(), clock.now())
	elsewhere.Target = "else"
	refuse(t, v, elsewhere, "not that of this request")
	clock.advance(time.Hour)
	refuse(t, v, stale, "too long ago")
	if n := len(v.fresh.nonces.held); n != 0 {
		t.Errorf("%d nonces are remembered, want none", n)
	}
}

func TestOneOfManyPasses(t *testing.T) {
	key := newKey()
	const many = 100
	for _, tt := range []struct {
		name string
		next func(clock *testClock, first *enforcementv1.EvaluateRequest) *enforcementv1.EvaluateRequest
	}{
		{"the same message", func(_ *testClock, first *enforcementv1.EvaluateRequest) *enforcementv1.EvaluateRequest { return first }},
		{"the same nonce", func(clock *testClock, first *enforcementv1.EvaluateRequest) *enforcementv1.EvaluateRequest {
			req := action()
			req.Target = rapid.String().Example()
			signFresh(t, key, req, clock.now()).RunnerAuth.Nonce = first.RunnerAuth.Nonce
			resign(key, req.RunnerAuth)
			return req
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v, clock := newFresh(t, key)
			first := signFresh(t, key, action(), clock.now())
			var wg sync.WaitGroup
			var passed atomic.Int32
			begin := make(chan struct{})
			for range many {
				req := tt.next(clock, first)
				wg.Go(func() {
					<-begin
					if _, err := v.verify(t.Context(), req); err == nil {
						passed.Add(1)
					}
				})
			}
			close(begin)
			wg.Wait()
			if n := passed.Load(); n != 1 {
				t.Errorf("%d of %d pass, want 1", n, many)
			}
		})
	}
}

func TestRequireV2(t *testing.T) {
	key := newKey()
	clock := newTestClock(testStart)
	v := newVerifier(t, Options{HMACKey: key, HMACKeyID: testKeyID, HMACRequire: "v2"}, clock.now)
	refuse(t, v, request(signed(t, key)), "takes v2 alone", key)
	if _, err := v.verify(t.Context(), signFresh(t, key, action(), clock.now())); err != nil {
		t.Errorf("v2 is refused: %v", err)
	}
}

func TestConformsV2(t *testing.T) {
	key := newKey()
	stage := newStage(t, Options{HMACKey: key, HMACKeyID: testKeyID})
	x := exchange(nil)
	signFresh(t, key, x.Request, time.Now())
	raw := x.Request.AppendJSON(nil)
	x.Raw = raw
	pipelinetest.Conform(t, stage, x)
}
