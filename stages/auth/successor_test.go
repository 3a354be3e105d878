package auth

import (
	"strings"
	"testing"
	"time"

	"github.com/Huzefaaa2/cavra/go/cavra-runtime/pipeline"
)

// after makes the stage that takes the place of old.
func after(t testing.TB, old *Stage, o Options, now func() time.Time) *Stage {
	t.Helper()
	s, err := newStageAt(o, pipeline.Env{Predecessor: old}, now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// What was signed before the configuration was read again is good after it, and
// still good for one use only, in whichever stage.
func TestSuccessorRemembersNonces(t *testing.T) {
	key, clock := newKey(), newTestClock(testStart)
	o := Options{HMACKey: key, HMACKeyID: testKeyID}
	old := stageAt(t, o, clock.now)
	clock.advance(time.Minute)
	used, unused := signFresh(t, key, action(), clock.now()), signFresh(t, key, action(), clock.now())
	late := signFresh(t, key, action(), clock.now())
	if _, err := old.identify(t.Context(), used); err != nil {
		t.Fatal(err)
	}
	clock.advance(time.Second)
	o.HMACMaxAge = 2 * time.Minute // shorter than it was
	next := after(t, old, o, clock.now)
	if _, err := next.identify(t.Context(), unused); err != nil {
		t.Errorf("what was signed before is refused: %v", err)
	}
	refuse(t, next.hmac, used, "used before")
	// The old stage still answers the last of its requests.
	if _, err := old.identify(t.Context(), late); err != nil {
		t.Fatal(err)
	}
	refuse(t, next.hmac, late, "used before")

	// A longer age would outlive what is remembered, also by a detour.
	for _, before := range []*Stage{old, next} {
		o.HMACMaxAge = 6 * time.Minute
		if before == next {
			o.HMACMaxAge = 5 * time.Minute
		}
		if _, err := newStageAt(o, pipeline.Env{Predecessor: before}, clock.now); err == nil || !strings.Contains(err.Error(), "restart") {
			t.Errorf("a longer hmac_max_age is taken: %v", err)
		}
	}
}

// A key that is new in the ring is good at once, one that was taken out is not.
func TestSuccessorHasItsOwnKeys(t *testing.T) {
	first, second, clock := newKey(), newKey(), newTestClock(testStart)
	old := stageAt(t, Options{HMACKey: first, HMACKeyID: testKeyID}, clock.now)
	clock.advance(time.Minute)
	next := after(t, old, Options{HMACKey: second, HMACKeyID: testKeyID}, clock.now)
	if _, err := next.identify(t.Context(), signFresh(t, second, action(), clock.now())); err != nil {
		t.Error(err)
	}
	refuse(t, next.hmac, signFresh(t, first, action(), clock.now()), "")
}

// Where nothing was remembered before, what was issued before is refused.
func TestSuccessorOfNoMemoryStartsOne(t *testing.T) {
	key, clock := newKey(), newTestClock(testStart)
	old := stageAt(t, Options{}, clock.now)
	clock.advance(time.Minute)
	early := signFresh(t, key, action(), clock.now())
	clock.advance(time.Second)
	next := after(t, old, Options{HMACKey: key, HMACKeyID: testKeyID}, clock.now)
	refuse(t, next.hmac, early, "before the daemon started")
}

func TestSuccessorRemembersTokens(t *testing.T) {
	o := testOIDC(t, func(i *OIDCIssuer) { i.RememberJTI = true })
	old := stageAt(t, o, atTestTime)
	token := oidcAuth(tokenOf(with(githubClaims(), "jti", "once")))
	if _, err := ask(t, old, token); err != nil {
		t.Fatal(err)
	}
	_, err := ask(t, after(t, old, o, atTestTime), token)
	if reason := wantRefused(t, err); !strings.Contains(reason, "used before") {
		t.Errorf("the token is refused because %s", reason)
	}
}

// Keys that were fetched serve on where the issuer cannot be reached, and are
// not fetched again for each reload.
func TestSuccessorKeepsFetchedKeys(t *testing.T) {
	u := newURLTest(t, keysOf(0))
	u.in("before", 0)
	u.hits("before", 1)
	u.server.fail(503)
	old := u.stage
	o := testOIDC(u, func(i *OIDCIssuer) { i.JWKS, i.JWKSURL = "", u.server.URL+"/keys" })
	for range 5 {
		u.stage = after(t, u.stage, o, u.clock.now)
		u.settle()
	}
	_ = old.Close()
	u.in("after", 0)
	u.hits("after", 1)

	// Another address has to be fetched from.
	o = testOIDC(u, func(i *OIDCIssuer) { i.JWKS, i.JWKSURL = "", u.server.URL+"/others" })
	u.stage = after(t, u.stage, o, u.clock.now)
	u.settle()
	u.out("other address", 0, "could not be fetched")
}
