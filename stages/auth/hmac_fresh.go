package auth

import (
	"crypto/hmac"
	"crypto/sha256"
	"time"

	enforcementv1 "github.com/Huzefaaa2/cavra/go/cavra-runtime/enforcement/v1"
)

const (
	defaultMaxAge = 5 * time.Minute

	// maxNonces is how many v2 signatures are remembered. Each takes about 150
	// bytes until it is too old, so with the default age some 800 requests a
	// second can go on for ever.
	maxNonces = 1 << 18
)

// freshness takes a v2 signature once, and only for the request it was made
// for. What it is asked about was found to be signed before: nobody without a
// key can make it remember, read a long request, or learn what is wrong.
type freshness struct {
	maxAge time.Duration
	now    func() time.Time
	start  time.Time
	nonces *seen
}

// newFreshness remembers from now on. What was issued earlier is refused, since
// a process before this one may have taken it.
func newFreshness(maxAge time.Duration, now func() time.Time) *freshness {
	return &freshness{maxAge: maxAge, now: now, start: now(), nonces: newSeen(maxNonces, now)}
}

var (
	errStale    = errInvalid.Reasonf("runner_auth.issued_at is too long ago; sign each request when it is sent, and check the runner's clock")
	errAhead    = errInvalid.Reasonf("runner_auth.issued_at is in the future; check the runner's clock and the daemon's")
	errRestart  = errInvalid.Reasonf("runner_auth.issued_at is before the daemon started, so it may have been used already; sign the request again")
	errRequest  = errInvalid.Reasonf("runner_auth.request_digest is not that of this request; sign each request by itself, and change nothing after signing")
	errReplayed = errInvalid.Reasonf("runner_auth.nonce was used before; sign each request by itself, and a repeated one again")
	errFull     = errInvalid.Reasonf("the daemon has no room to remember another runner_auth.nonce; send fewer requests, or ask who runs it for a shorter hmac_max_age")
)

// check takes the signature of a request that was issued when it says.
//
// There is no allowance for a runner's clock that is ahead. Runner and daemon
// read the same clock, that of their host; and what the process before this one
// took ahead of its time would pass here for issued after our start.
func (f *freshness) check(s *hmacState, req *enforcementv1.EvaluateRequest, issued time.Time) error {
	now, until := f.now(), issued.Add(f.maxAge)
	switch {
	case !until.After(now):
		return errStale
	case issued.Before(f.start):
		return errRestart
	case issued.After(now):
		return errAhead
	case !s.checkDigest(req):
		return errRequest
	}
	switch fresh, full := f.nonces.add(req.RunnerAuth.Nonce, until); {
	case full:
		return errFull
	case !fresh:
		return errReplayed
	}
	return nil
}

// checkDigest reports whether the digest is that of the request.
func (s *hmacState) checkDigest(req *enforcementv1.EvaluateRequest) bool {
	if !s.read(req.RunnerAuth.RequestDigest) {
		return false
	}
	s.text = appendUnauthenticated(s.text[:0], req)
	s.sum = sha256.Sum256(s.text)
	return hmac.Equal(s.sum[:], s.sent[:]) // in constant time
}

// appendUnauthenticated appends the bytes of a request without its runner
// authentication, which are what its digest is of. They stand for one request
// only where its text is UTF-8, which decoding makes sure of.
func appendUnauthenticated(b []byte, req *enforcementv1.EvaluateRequest) []byte {
	bare := *req
	bare.RunnerAuth = nil
	return bare.AppendJSON(b)
}
