package auth

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"pgregory.net/rapid"

	enforcementv1 "github.com/Huzefaaa2/cavra/go/cavra-runtime/enforcement/v1"
	"github.com/Huzefaaa2/cavra/go/cavra-runtime/pipeline"
)

// drawRequest fills every member that a request can have, or leaves it empty.
func drawRequest(t *rapid.T) *enforcementv1.EvaluateRequest {
	req := &enforcementv1.EvaluateRequest{}
	for _, m := range members(req) {
		drawMember(t, m)
	}
	if rapid.Bool().Draw(t, "with release_governance") {
		req.ReleaseGovernance = &enforcementv1.ReleaseGovernanceEvidence{}
		for _, m := range members(req.ReleaseGovernance) {
			drawMember(t, m)
		}
	}
	return req
}

// members are the members of a message that are no messages.
func members(message any) []reflect.Value {
	v := reflect.ValueOf(message).Elem()
	var ms []reflect.Value
	for i := range v.NumField() {
		if v.Field(i).Kind() != reflect.Pointer {
			ms = append(ms, v.Field(i))
		}
	}
	return ms
}

func drawMember(t *rapid.T, m reflect.Value) {
	switch v := m.Addr().Interface().(type) {
	case *string:
		*v = rapid.String().Draw(t, "string")
	case *int32:
		*v = rapid.Int32().Draw(t, "int32")
	case *bool:
		*v = rapid.Bool().Draw(t, "bool")
	case *[]string:
		*v = rapid.SliceOfN(rapid.String(), 0, 3).Draw(t, "strings")
	default:
		t.Fatalf("a member is a %s, which this test cannot draw", m.Type())
	}
}

// same reports whether two members hold the same; no list and an empty one do.
func same(a, b reflect.Value) bool {
	if list, ok := a.Interface().([]string); ok {
		return slices.Equal(list, b.Interface().([]string))
	}
	return a.Equal(b)
}

// Whatever is changed of a signed request is found.
func TestAnyChangeOfTheRequestIsRefused(t *testing.T) {
	key := newKey()
	v, clock := newFresh(t, key)
	rapid.Check(t, func(t *rapid.T) {
		req := signFresh(t, key, drawRequest(t), clock.now())
		changed := *req
		all := members(&changed)
		if req.ReleaseGovernance != nil {
			release := *req.ReleaseGovernance
			changed.ReleaseGovernance = &release
			all = append(all, members(&release)...)
		}
		switch i := rapid.IntRange(-1, len(all)-1).Draw(t, "member"); {
		case i >= 0:
			was := reflect.New(all[i].Type()).Elem()
			was.Set(all[i])
			drawMember(t, all[i])
			if same(was, all[i]) {
				t.Skip("the member was not changed")
			}
		case changed.ReleaseGovernance == nil:
			changed.ReleaseGovernance = &enforcementv1.ReleaseGovernanceEvidence{}
		default:
			changed.ReleaseGovernance = nil
		}
		refuse(t, v, &changed, "not that of this request", key)
		if _, err := v.verify(t.Context(), req); err != nil {
			t.Fatalf("what was signed is refused: %v", err)
		}
	})
}

// No signature is taken twice, in whatever order, and whenever it is sent.
func TestNoSignatureIsTakenTwice(t *testing.T) {
	key := newKey()
	rapid.Check(t, func(t *rapid.T) {
		clock := newTestClock(testStart)
		o := Options{HMACKey: key, HMACMaxAge: time.Minute}
		v, err := newHMACVerifier(o, pipeline.Env{Log: hclog.NewNullLogger()}, clock.now)
		if err != nil {
			t.Fatal(err)
		}
		var sent []*enforcementv1.EvaluateRequest
		taken := map[string]bool{}
		t.Repeat(map[string]func(*rapid.T){
			"sign": func(t *rapid.T) {
				ahead := rapid.SampledFrom([]time.Duration{0, 0, time.Second, -time.Second}).Draw(t, "ahead")
				sent = append(sent, signFresh(t, key, &enforcementv1.EvaluateRequest{Target: "a"}, clock.now().Add(ahead)))
			},
			"send": func(t *rapid.T) {
				if len(sent) == 0 {
					t.Skip("nothing is signed")
				}
				req := rapid.SampledFrom(sent).Draw(t, "request")
				req.RunnerAuth.KeyID = rapid.SampledFrom([]string{"", "a", "b"}).Draw(t, "key id")
				if _, err := v.verify(t.Context(), req); err != nil {
					return
				}
				if taken[req.RunnerAuth.Nonce] {
					t.Fatalf("%+v is taken twice", req.RunnerAuth)
				}
				taken[req.RunnerAuth.Nonce] = true
			},
			"wait": func(t *rapid.T) {
				clock.advance(time.Duration(rapid.IntRange(1, 90).Draw(t, "seconds")) * time.Second)
			},
			"set the clock back": func(t *rapid.T) {
				clock.advance(-time.Duration(rapid.IntRange(1, 90).Draw(t, "seconds")) * time.Second)
			},
			"restart": func(t *rapid.T) {
				// A clock that was set back below an earlier start is the one case
				// that a restart cannot see.
				if clock.now().Before(latest(sent)) {
					t.Skip("the clock was set back")
				}
				clock.advance(time.Nanosecond)
				if v, err = newHMACVerifier(o, pipeline.Env{Log: hclog.NewNullLogger()}, clock.now); err != nil {
					t.Fatal(err)
				}
			},
		})
	})
}

// latest is the last time that was signed.
func latest(sent []*enforcementv1.EvaluateRequest) (last time.Time) {
	for _, req := range sent {
		if issued, _ := parseIssuedAt(req.RunnerAuth.IssuedAt); issued.After(last) {
			last = issued
		}
	}
	return last
}

var (
	issuedAtForm = regexp.MustCompile(`\A\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z\z`)
	nonceForm    = regexp.MustCompile(`\A[A-Za-z0-9_-]{22,256}\z`)
)

// FuzzVerifyV2 holds the law that even under the right signature nothing is
// taken but the three members in their form, within the window, for their
// request, once.
func FuzzVerifyV2(f *testing.F) {
	key := newKey()
	genuine := signFresh(f, key, action(), testStart).RunnerAuth
	f.Add(genuine.IssuedAt, genuine.Nonce, genuine.RequestDigest, genuine.Signature, "a")
	f.Add("2026-03-04T05:06:07.5Z", strings.Repeat("A", 22), "", "", "\u2028<")
	f.Add("2026-03-04T05:06:07Z\nnonce=", "", "", "", "")
	f.Fuzz(func(t *testing.T, issuedAt, nonce, digest, signature, target string) {
		clock := newTestClock(testStart)
		v := newVerifier(t, Options{HMACKey: key, HMACKeyID: testKeyID}, clock.now)
		clock.advance(time.Minute)
		req := &enforcementv1.EvaluateRequest{Target: strings.ToValidUTF8(target, ""), RunnerAuth: &enforcementv1.RunnerAuthentication{
			Identity: runner(), Algorithm: "HMAC-SHA256", KeyID: testKeyID, IssuedAt: issuedAt, Nonce: nonce, RequestDigest: digest, Signature: signature,
		}}
		refuse(t, v, req, "runner_auth.", key) // nobody but us has the key, and the only message that is out is for another request

		plain, err := json.Marshal(struct {
			Target string `json:"target,omitempty"`
		}{req.Target})
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(plain)
		right := hex.EncodeToString(sum[:])
		for _, digest := range []string{digest, right} {
			req.RunnerAuth.RequestDigest = digest
			resign(key, req.RunnerAuth)
			_, err := v.verify(t.Context(), req)
			issued, parseErr := time.Parse(time.RFC3339Nano, issuedAt)
			want := digest == right && nonceForm.MatchString(nonce) && issuedAtForm.MatchString(issuedAt) && parseErr == nil &&
				!issued.Before(testStart) && !issued.After(clock.now())
			if v1 := issuedAt == "" && nonce == "" && digest == ""; (err == nil) != (want || v1) {
				t.Fatalf("%+v: verify gives %v, want it taken: %v", req.RunnerAuth, err, want)
			}
			if want {
				refuse(t, v, req, "nonce was used", key)
			}
		}
	})
}
