package auth

import (
	"context"
	"crypto/sha256"
	"sync"
	"time"

	enforcementv1 "github.com/Huzefaaa2/cavra/go/cavra-runtime/enforcement/v1"
	"github.com/Huzefaaa2/cavra/go/cavra-runtime/pipeline"
)

// oidcVerifier takes identities that a token of a CI provider proves.
type oidcVerifier struct {
	issuers map[string]*oidcIssuer // by their name, byte for byte
	names   *claimNames
	now     func() time.Time

	headers    headers
	remembered remembered
}

// oidcIssuer is a CI provider whose tokens are taken.
type oidcIssuer struct {
	audience string
	proof    string
	keys     keySource
	maxAge   time.Duration
	leeway   time.Duration
	checker  checker
	used     *seen // the jti of tokens, where each is taken once; else nil
}

// verified is a token whose signature and audience are good for as long as the
// keys are those of the set.
type verified struct {
	issuer *oidcIssuer
	set    *keySet
	kid    string
	claims *claims
}

var (
	errFreshMembers  = errInvalid.Reasonf("runner_auth.issued_at, nonce and request_digest belong to HMAC-SHA256; leave them out beside a token")
	errTokenIssuer   = refusal("is a token of an issuer that is not trusted here")
	errTokenOtherKey = errInvalid.Reasonf("runner_auth.key_id is not the kid of the token: send that one, or leave it out")
	errTokenNoJTI    = refusal("is a token without a jti, so it cannot be told whether it was used before")
	errTokenUsed     = refusal("is a token that was used before, and each is taken once; get a new one")
	errTokensFull    = refusal("is one token too many: so many were used that no more can be remembered; try again later")
)

// verify checks the form first, then the signature, and only for tokens of a
// trusted issuer the rest: its reasons tell a stranger nothing.
func (v *oidcVerifier) verify(ctx context.Context, req *enforcementv1.EvaluateRequest) (pipeline.Identity, error) {
	id, err := v.identify(ctx, req.RunnerAuth)
	if err != nil {
		return pipeline.Identity{}, err
	}
	return id, nil
}

func (v *oidcVerifier) identify(ctx context.Context, auth *enforcementv1.RunnerAuthentication) (pipeline.Identity, *pipeline.BlockError) {
	if auth.IssuedAt != "" || auth.Nonce != "" || auth.RequestDigest != "" {
		return pipeline.Identity{}, errFreshMembers
	}
	if f := faultOf(&auth.Identity, auth.KeyID); f.problem != "" {
		return pipeline.Identity{}, f.refuse()
	}
	token, err := v.token(ctx, auth.Signature)
	if err != nil {
		return pipeline.Identity{}, err
	}
	if auth.KeyID != "" && auth.KeyID != token.kid {
		return pipeline.Identity{}, errTokenOtherKey
	}
	issuer := token.issuer
	if err := token.claims.check(v.now(), issuer.leeway, issuer.maxAge); err != nil {
		return pipeline.Identity{}, err
	}
	runner := auth.Identity
	if f := issuer.checker.check(&runner, token.claims); f.problem != "" {
		return pipeline.Identity{}, f.refuse()
	}
	if err := issuer.use(token.claims); err != nil {
		return pipeline.Identity{}, err
	}
	return pipeline.Identity{Proof: issuer.proof, Runner: runner}, nil
}

func (f fault) refuse() *pipeline.BlockError {
	return errInvalid.Reasonf("runner_auth.%s %s", f.member, f.problem)
}

// token gives the token of that text, if its issuer signed it for us. What
// changes with time and what this request claims is not checked.
func (v *oidcVerifier) token(ctx context.Context, text string) (verified, *pipeline.BlockError) {
	if len(text) > maxToken {
		return verified{}, errTokenLong
	}
	hash := sha256.Sum256([]byte(text))
	if token, ok := v.remembered.get(hash); ok {
		if set, err := token.issuer.keys.current(ctx); err != nil || set == token.set {
			return token, err
		}
	}
	parsed, err := parseCompact(text, &v.headers)
	if err != nil {
		return verified{}, err
	}
	claims, err := parseClaims(parsed.payload, v.names)
	if err != nil {
		return verified{}, err
	}
	issuer := v.issuers[claims.iss]
	if issuer == nil {
		return verified{}, errTokenIssuer
	}
	key, set, err := issuer.keys.lookup(ctx, parsed.kid)
	if err != nil {
		return verified{}, err
	}
	if err := parsed.verify(key); err != nil {
		return verified{}, err
	}
	v.headers.put(parsed.header)
	if !claims.isFor(issuer.audience) {
		return verified{}, errTokenAudience
	}
	token := verified{issuer: issuer, set: set, kid: parsed.kid, claims: claims}
	v.remembered.put(hash, token)
	return token, nil
}

// use notes the token as used, where each is taken once.
func (i *oidcIssuer) use(c *claims) *pipeline.BlockError {
	if i.used == nil {
		return nil
	}
	if c.jti == "" {
		return errTokenNoJTI
	}
	fresh, full := i.used.add(c.jti, c.end(i.leeway, i.maxAge))
	switch {
	case full:
		return errTokensFull
	case !fresh:
		return errTokenUsed
	}
	return nil
}

// close ends what the issuers' keys do in the background.
func (v *oidcVerifier) close() {
	for _, i := range v.issuers {
		i.keys.close()
	}
}

// maxRemembered bounds the tokens that are remembered. A token is used for one
// job, so this many jobs run at once at full speed.
const maxRemembered = 1024

// remembered holds verified tokens by the hash of their whole text, since a
// signature costs far more than a hash. Whoever takes one out checks the time
// and the keys again.
type remembered struct {
	mu     sync.RWMutex
	tokens map[[sha256.Size]byte]verified
}

func (r *remembered) get(hash [sha256.Size]byte) (verified, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	token, ok := r.tokens[hash]
	return token, ok
}

// put makes room by forgetting them all, which costs each one verification.
func (r *remembered) put(hash [sha256.Size]byte, token verified) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.tokens == nil || len(r.tokens) >= maxRemembered {
		r.tokens = make(map[[sha256.Size]byte]verified)
	}
	r.tokens[hash] = token
}
