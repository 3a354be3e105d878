package auth

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"time"
	"unicode/utf8"

	"github.com/hashicorp/go-multierror"

	enforcementv1 "github.com/Huzefaaa2/cavra/go/cavra-runtime/enforcement/v1"
	"github.com/Huzefaaa2/cavra/go/cavra-runtime/pipeline"
)

// SignHMAC makes the runner authentication v1 of an identity with a key that the
// daemon holds too. It stands for the identity alone: whoever reads it can use
// it again. keyID may be empty; the daemon may ask for one. The error names the
// member at fault.
func SignHMAC(key []byte, keyID string, id enforcementv1.RunnerIdentity) (*enforcementv1.RunnerAuthentication, error) {
	return sign(key, &enforcementv1.RunnerAuthentication{Identity: id, KeyID: keyID})
}

// SignHMACv2 makes the runner authentication v2 of an identity for one request:
// it draws a nonce, and the result is worth something once, for req as it is
// now, and for a short time from now on. A runner authentication that req holds
// is neither read nor changed; set the result there. keyID may be empty; the
// daemon may ask for one. The error names the member at fault.
func SignHMACv2(key []byte, keyID string, id enforcementv1.RunnerIdentity, req *enforcementv1.EvaluateRequest, now time.Time) (*enforcementv1.RunnerAuthentication, error) {
	if req == nil {
		return nil, errors.New("there is no request to sign")
	}
	if !isUTF8(req) { // JSON would carry another request than was signed
		return nil, errors.New("the request cannot be signed: it is not UTF-8")
	}
	digest := sha256.Sum256(appendUnauthenticated(nil, req))
	return sign(key, &enforcementv1.RunnerAuthentication{
		Identity: id, KeyID: keyID,
		IssuedAt:      now.UTC().Format(time.RFC3339Nano),
		Nonce:         rand.Text(),
		RequestDigest: hex.EncodeToString(digest[:]),
	})
}

// sign sets the algorithm and the signature of auth.
func sign(key []byte, auth *enforcementv1.RunnerAuthentication) (*enforcementv1.RunnerAuthentication, error) {
	if len(key) == 0 {
		return nil, errors.New("the runner authentication key is empty")
	}
	f := faultOf(&auth.Identity, auth.KeyID)
	if f.problem == "" && isFresh(auth) {
		_, f = freshnessOf(auth)
	}
	if f.problem != "" {
		return nil, fmt.Errorf("the runner cannot be authenticated: %s %s", f.member, f.problem)
	}
	text := appendSignedText(nil, auth)
	if !utf8.Valid(text) || !utf8.ValidString(auth.KeyID) { // JSON would carry another text than was signed
		return nil, errors.New("the runner cannot be authenticated: its identity or its key id is not UTF-8")
	}
	mac := hmac.New(sha256.New, key)
	mac.Write(text)
	auth.Algorithm, auth.Signature = enforcementv1.AlgorithmHMAC, hex.EncodeToString(mac.Sum(nil))
	return auth, nil
}

// isUTF8 reports whether what a digest of the request is made of is UTF-8.
func isUTF8(req *enforcementv1.EvaluateRequest) bool {
	valid := true
	bare := *req
	bare.RunnerAuth = nil
	bare.MapStrings(func(s string) string {
		valid = valid && utf8.ValidString(s)
		return s
	})
	return valid
}

// hmacVerifier takes identities that are signed with a key of its ring.
type hmacVerifier struct {
	keys      hmacRing
	freshOnly bool // takes v2 alone
	fresh     *freshness
}

func (v *hmacVerifier) describe() string {
	if v.freshOnly {
		return "HMAC signatures of v2"
	}
	return "HMAC signatures of v1, which can be replayed, or v2"
}

// newHMACVerifier makes a verifier of the options. The error holds every fault.
func newHMACVerifier(o Options, env pipeline.Env, now func() time.Time) (*hmacVerifier, error) {
	var faults *multierror.Error
	ring, err := loadHMACRing(o, env.Log)
	if err != nil {
		faults = multierror.Append(faults, err)
	}
	switch o.HMACRequire {
	case "", "v2":
	default:
		faults = multierror.Append(faults, errors.New("hmac_require is not v2; set it to v2, or leave it out to take v1 too"))
	}
	maxAge := o.HMACMaxAge
	switch {
	case maxAge == 0:
		maxAge = defaultMaxAge
	case maxAge < time.Second, maxAge > 24*time.Hour:
		faults = multierror.Append(faults, fmt.Errorf("hmac_max_age is %v; set it from 1s to 24h, or leave it out for %v", maxAge, defaultMaxAge))
	}
	fresh, err := before(env).freshness().succeed(maxAge, now)
	if err != nil {
		faults = multierror.Append(faults, err)
	}
	if err := faults.ErrorOrNil(); err != nil {
		return nil, err
	}
	return &hmacVerifier{keys: ring, freshOnly: o.HMACRequire == "v2", fresh: fresh}, nil
}

var errInvalid = pipeline.Block("runner_auth.invalid", "the runner is not authenticated").WithSeverity(enforcementv1.SeverityCritical)

var (
	errMissing   = errInvalid.Reasonf("runner_auth is missing; sign the request with the runner's key")
	errAlgorithm = errInvalid.Reasonf("runner_auth.algorithm is not the one that this daemon takes; ask who runs it how runners sign")
	errOldForm   = errInvalid.Reasonf("runner_auth is of the form v1, and this daemon takes v2 alone; sign with issued_at, nonce and request_digest")
	errNoKeyID   = errInvalid.Reasonf("runner_auth.key_id is missing; name the key that signed")
	errKeyID     = errInvalid.Reasonf("runner_auth.key_id names no key of this daemon; ask who runs it for the key that is in use")
	errForm      = errInvalid.Reasonf("runner_auth.signature is not 64 hex digits: send the HMAC in hex")
	errSignature = errInvalid.Reasonf("runner_auth.signature does not fit what it signs; check that the key is the right one and that no member was changed after signing")
)

// verify checks what everybody can see first, the signature next, and only for
// who holds a key the rest: its reasons tell a stranger nothing, and cost him
// more than us.
func (v *hmacVerifier) verify(_ context.Context, req *enforcementv1.EvaluateRequest) (pipeline.Identity, error) {
	auth := req.RunnerAuth
	switch {
	case auth == nil:
		return pipeline.Identity{}, errMissing
	case auth.Algorithm != enforcementv1.AlgorithmHMAC:
		return pipeline.Identity{}, errAlgorithm
	}
	f := faultOf(&auth.Identity, auth.KeyID)
	fresh := isFresh(auth)
	var issued time.Time
	switch {
	case f.problem != "":
	case fresh:
		issued, f = freshnessOf(auth)
	case v.freshOnly:
		return pipeline.Identity{}, errOldForm
	}
	if f.problem != "" {
		return pipeline.Identity{}, errInvalid.Reasonf("runner_auth.%s %s", f.member, f.problem)
	}
	key := v.keys.find(auth.KeyID)
	switch {
	case key == nil && auth.KeyID == "":
		return pipeline.Identity{}, errNoKeyID
	case key == nil:
		return pipeline.Identity{}, errKeyID
	}
	s := key.borrow()
	defer key.giveBack(s)
	if err := s.check(auth); err != nil {
		return pipeline.Identity{}, err
	}
	if fresh {
		if err := v.fresh.check(s, req, issued); err != nil {
			return pipeline.Identity{}, err
		}
	}
	return pipeline.Identity{Proof: key.proof, Runner: auth.Identity}, nil
}

// hmacState is what one verification with one key needs. It is kept for the
// next because the key's schedule costs more than the sum.
type hmacState struct {
	mac  hash.Hash
	text []byte
	hex  [2 * sha256.Size]byte // as sent
	sent [sha256.Size]byte
	sum  [sha256.Size]byte
}

// check verifies the signature.
func (s *hmacState) check(auth *enforcementv1.RunnerAuthentication) error {
	if !s.read(auth.Signature) {
		return errForm
	}
	s.text = appendSignedText(s.text[:0], auth)
	s.mac.Reset()
	s.mac.Write(s.text)
	if !hmac.Equal(s.mac.Sum(s.sum[:0]), s.sent[:]) { // in constant time
		return errSignature
	}
	return nil
}

// read decodes what was sent in hex, and reports whether it is a sum.
func (s *hmacState) read(sum string) bool {
	if len(sum) != len(s.hex) {
		return false
	}
	copy(s.hex[:], sum)
	_, err := hex.Decode(s.sent[:], s.hex[:])
	return err == nil
}
