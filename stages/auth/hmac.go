package auth

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"sync"
	"unicode/utf8"

	"github.com/hashicorp/go-hclog"

	enforcementv1 "github.com/Huzefaaa2/cavra/go/cavra-runtime/enforcement/v1"
	"github.com/Huzefaaa2/cavra/go/cavra-runtime/pipeline"
)

// SignHMAC makes the runner authentication of an identity with a key that the
// daemon holds too. keyID may be empty; the daemon may ask for one. The error
// names the member at fault.
func SignHMAC(key []byte, keyID string, id enforcementv1.RunnerIdentity) (*enforcementv1.RunnerAuthentication, error) {
	if len(key) == 0 {
		return nil, errors.New("the runner authentication key is empty")
	}
	if f := faultOf(&id, keyID); f.problem != "" {
		return nil, fmt.Errorf("the runner cannot be authenticated: %s %s", f.member, f.problem)
	}
	text := appendSignedText(nil, &id)
	if !utf8.Valid(text) || !utf8.ValidString(keyID) { // JSON would carry another text than was signed
		return nil, errors.New("the runner cannot be authenticated: its identity or its key id is not UTF-8")
	}
	mac := hmac.New(sha256.New, key)
	mac.Write(text)
	return &enforcementv1.RunnerAuthentication{
		Identity: id, Algorithm: enforcementv1.AlgorithmHMAC, KeyID: keyID, Signature: hex.EncodeToString(mac.Sum(nil)),
	}, nil
}

// hmacVerifier takes identities that are signed with its key.
type hmacVerifier struct {
	keyID string
	proof string
	pool  sync.Pool // of *hmacState
}

// hmacState is what one verification needs. It is kept for the next because
// the key's schedule costs more than the sum.
type hmacState struct {
	mac  hash.Hash
	text []byte
	sig  [2 * sha256.Size]byte // as sent, in hex
	sent [sha256.Size]byte
	sum  [sha256.Size]byte
}

// newHMACVerifier makes a verifier of the options. The error holds every fault.
func newHMACVerifier(o Options, log hclog.Logger) (*hmacVerifier, error) {
	key, warnings, err := o.hmac().Load()
	if err != nil {
		return nil, err
	}
	for _, warning := range warnings {
		log.Warn(warning)
	}
	v := &hmacVerifier{keyID: o.HMACKeyID, proof: "hmac/" + o.HMACKeyID}
	v.pool.New = func() any { return &hmacState{mac: hmac.New(sha256.New, key)} }
	return v, nil
}

var errInvalid = pipeline.Block("runner_auth.invalid", "the runner is not authenticated").WithSeverity(enforcementv1.SeverityCritical)

var (
	errMissing   = errInvalid.Reasonf("runner_auth is missing; sign the request with the runner's key")
	errFresh     = errInvalid.Reasonf("runner_auth is of the fresh form (issued_at, nonce, request_digest), which this daemon does not support yet; sign without these members")
	errAlgorithm = errInvalid.Reasonf("runner_auth.algorithm is not the one that this daemon takes; ask who runs it how runners sign")
	errKeyID     = errInvalid.Reasonf("runner_auth.key_id names no key of this daemon; ask who runs it for the key that is in use")
	errForm      = errInvalid.Reasonf("runner_auth.signature is not 64 hex digits: send the HMAC in hex")
	errSignature = errInvalid.Reasonf("runner_auth.signature does not fit the identity; check that the key is the right one and that no member was changed after signing")
)

func (v *hmacVerifier) verify(_ context.Context, req *enforcementv1.EvaluateRequest) (pipeline.Identity, error) {
	auth := req.RunnerAuth
	if auth == nil {
		return pipeline.Identity{}, errMissing
	}
	switch {
	case auth.IssuedAt != "" || auth.Nonce != "" || auth.RequestDigest != "":
		return pipeline.Identity{}, errFresh
	case auth.Algorithm != enforcementv1.AlgorithmHMAC:
		return pipeline.Identity{}, errAlgorithm
	}
	if f := faultOf(&auth.Identity, auth.KeyID); f.problem != "" {
		return pipeline.Identity{}, errInvalid.Reasonf("runner_auth.%s %s", f.member, f.problem)
	}
	if v.keyID != "" && auth.KeyID != v.keyID {
		return pipeline.Identity{}, errKeyID
	}
	s := v.pool.Get().(*hmacState)
	defer v.pool.Put(s)
	if err := s.check(&auth.Identity, auth.Signature); err != nil {
		return pipeline.Identity{}, err
	}
	return pipeline.Identity{Proof: v.proof, Runner: auth.Identity}, nil
}

// check verifies the signature of an identity.
func (s *hmacState) check(id *enforcementv1.RunnerIdentity, signature string) error {
	if len(signature) != len(s.sig) {
		return errForm
	}
	copy(s.sig[:], signature)
	if _, err := hex.Decode(s.sent[:], s.sig[:]); err != nil {
		return errForm
	}
	s.text = appendSignedText(s.text[:0], id)
	s.mac.Reset()
	s.mac.Write(s.text)
	if !hmac.Equal(s.mac.Sum(s.sum[:0]), s.sent[:]) { // in constant time
		return errSignature
	}
	return nil
}
