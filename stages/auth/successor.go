package auth

import (
	"fmt"
	"net/url"
	"time"

	"github.com/Huzefaaa2/cavra/go/cavra-runtime/pipeline"
)

// What a stage takes over from the one whose place it takes: the memories of
// what was used once, without which everything could be used once more, and keys
// that were fetched, since fetching them again may fail. Both stages use a memory
// while the last requests of the old one end.

// before is the stage whose place this one takes, or nil.
func before(env pipeline.Env) *Stage {
	s, _ := env.Predecessor.(*Stage)
	return s
}

// freshness is that of the stage's HMAC verifier, or nil.
func (s *Stage) freshness() *freshness {
	if s == nil {
		return nil
	}
	if v, ok := s.hmac.(*hmacVerifier); ok {
		return v.fresh
	}
	return nil
}

// issuer is the stage's issuer of that name, or nil.
func (s *Stage) issuer(name string) *oidcIssuer {
	if s == nil {
		return nil
	}
	if v, ok := s.oidc.(*oidcVerifier); ok {
		return v.issuers[name]
	}
	return nil
}

// succeed gives a freshness that goes on with what old remembers; old may be
// nil.
func (old *freshness) succeed(maxAge time.Duration, now func() time.Time) (*freshness, error) {
	switch {
	case old == nil:
		return newFreshness(maxAge, now), nil
	case maxAge > old.maxAge:
		return nil, fmt.Errorf("hmac_max_age cannot be made longer while the daemon runs: nonces were remembered for %v, so older signatures could be used again; restart the daemon for that", old.maxAge)
	}
	return &freshness{maxAge: maxAge, now: now, start: old.start, nonces: old.nonces}, nil
}

// memory is the issuer's memory of used tokens, or a new one; i may be nil.
func (i *oidcIssuer) memory(now func() time.Time) *seen {
	if i == nil || i.used == nil {
		return newSeen(maxUsed, now)
	}
	return i.used
}

// succeed takes over what the issuer fetched from the same address, and when;
// i may be nil.
func (k *urlKeys) succeed(i *oidcIssuer) {
	if i == nil {
		return
	}
	old, ok := i.keys.(*urlKeys)
	if !ok || !sameURL(old.url, k.url) {
		return
	}
	old.mu.Lock()
	defer old.mu.Unlock()
	k.set, k.loaded, k.tried = old.set, old.loaded, old.tried
	k.failures, k.failing, k.tooOld, k.spare = old.failures, old.failing, old.tooOld, old.spare
}

func sameURL(a, b *url.URL) bool { return a.String() == b.String() }
