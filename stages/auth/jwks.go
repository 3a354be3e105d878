package auth

import (
	"context"
	"crypto/rsa"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/Huzefaaa2/cavra/go/cavra-runtime/pipeline"
)

const (
	maxJWKS    = 1 << 20 // bytes of a key set
	minRSABits = 2048
	maxRSABits = 8192 // more makes a verification slow
)

// keySource is where the keys of an issuer come from. It is safe for concurrent
// use.
type keySource interface {
	// current gives the set in use: the same pointer as long as no key changes.
	current(ctx context.Context) (*keySet, *pipeline.BlockError)
	// lookup gives a key and the set that holds it. It may look for a newer set
	// where the one in use has no such key.
	lookup(ctx context.Context, kid string) (*rsa.PublicKey, *keySet, *pipeline.BlockError)
	// freshness says when the keys were last known to be good, and how many they
	// are.
	freshness() (loaded time.Time, keys int)
	// close ends what the source does in the background.
	close()
}

var (
	errUnknownKey = refusal("is a token whose key is not among those of its issuer; get a new token, or check the daemon's log for why new keys are not seen")
	errNoKeys     = errInvalid.Reasonf("the keys of the token's issuer could not be fetched yet; the daemon's log says why")
	errKeysTooOld = errInvalid.Reasonf("the keys of the token's issuer could not be refreshed for 24 hours; the daemon's log says why")
)

// noKeys stands for a source that is not configured well.
type noKeys struct{}

func (noKeys) current(context.Context) (*keySet, *pipeline.BlockError) { return nil, errNoKeys }
func (noKeys) lookup(context.Context, string) (*rsa.PublicKey, *keySet, *pipeline.BlockError) {
	return nil, nil, errNoKeys
}
func (noKeys) close() {}

// keySet is the keys of an issuer that sign tokens. It is never changed.
type keySet struct {
	keys    map[string]*rsa.PublicKey // by kid
	skipped int                       // keys that are of another kind or for another use
}

// sameKeys reports whether both sets hold the same keys under the same ids.
func (s *keySet) sameKeys(other *keySet) bool {
	return s != nil && other != nil && maps.EqualFunc(s.keys, other.keys, func(a, b *rsa.PublicKey) bool { return a.Equal(b) })
}

// parseJWKS reads a key set key by key. Keys that are not for verifying RS256
// are skipped; one that should never have been published, that is too weak, or
// that shares its id with another fails the set. A set that could be read and
// holds no key for us is returned with errNoUsableKey. The error holds no part
// of a key.
func parseJWKS(text []byte) (*keySet, error) {
	if len(text) > maxJWKS {
		return nil, fmt.Errorf("the key set has more than %d bytes", maxJWKS)
	}
	var list jsontext.Value
	err := eachMember(text, func(name []byte, value jsontext.Value) error {
		if string(name) == "keys" {
			list = slices.Clone(value)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("it is no JWKS: %w", err)
	}
	if list == nil {
		return nil, errors.New(`it is no JWKS: it has no list "keys"`)
	}
	set := &keySet{keys: map[string]*rsa.PublicKey{}}
	seen := map[string]bool{}
	number := 0
	err = eachItem(list, func(value jsontext.Value) error {
		number++
		kid, key, err := parseJWK(value)
		switch {
		case err != nil:
			return fmt.Errorf("key %d of the set %w", number, err)
		case kid != "" && seen[kid]:
			return fmt.Errorf("key %d of the set has the kid of an earlier one", number)
		case key == nil || kid == "":
			set.skipped++
		default:
			set.keys[kid] = key
		}
		seen[kid] = true
		return nil
	})
	switch {
	case err != nil:
		return nil, err
	case len(set.keys) == 0:
		return set, errNoUsableKey
	}
	return set, nil
}

// errNoUsableKey comes with the empty set: the set could be read, and what it
// held before is withdrawn.
var errNoUsableKey = errors.New("the set holds no RSA key with a kid that verifies RS256")

// without gives the keys of s that a later set still holds; nil where none was
// withdrawn, or where the later set could not be read at all.
func (s *keySet) without(later *keySet) *keySet {
	if later == nil || len(s.keys) == 0 {
		return nil
	}
	kept := &keySet{keys: map[string]*rsa.PublicKey{}, skipped: later.skipped}
	for kid, key := range s.keys {
		if now := later.keys[kid]; now != nil && now.Equal(key) {
			kept.keys[kid] = key
		}
	}
	if len(kept.keys) == len(s.keys) {
		return nil
	}
	return kept
}

// jwk is a key as the set has it, with the members that matter.
type jwk struct {
	text    map[string]string // the members that are strings
	ops     []string
	hasOps  bool
	private bool
}

// parseJWK reads one key. A key that is not for us is nil, without an error. The
// error follows the words "key 1 of the set".
func parseJWK(value jsontext.Value) (kid string, key *rsa.PublicKey, err error) {
	k := jwk{text: map[string]string{}}
	err = eachMember(value, func(name []byte, value jsontext.Value) error {
		ok := true
		switch string(name) {
		case "kty", "kid", "use", "alg", "n", "e":
			k.text[string(name)], ok = stringOf(value)
		case "key_ops":
			k.hasOps = true
			k.ops, ok = stringsOf(value)
			ok = ok && value.Kind() == jsontext.KindBeginArray
		case "d", "p", "q", "dp", "dq", "qi", "oth", "k":
			k.private = true
		}
		if !ok {
			return errWrongType
		}
		return nil
	})
	if err != nil {
		return "", nil, fmt.Errorf("cannot be read: %w", err)
	}
	kty, hasKty := k.text["kty"]
	kid = k.text["kid"]
	switch {
	case !hasKty:
		return "", nil, errors.New("has no kty")
	case kty == "oct":
		return "", nil, errors.New("is a shared secret (oct); whoever reads the set could sign with it")
	case k.private:
		return "", nil, errors.New("is a private key; publish the public one, and make a new key since this one is known")
	case kty != "RSA", !k.verifiesRS256():
		return kid, nil, nil
	}
	key, err = k.rsa()
	return kid, key, err
}

// verifiesRS256 reports whether the key is meant for that.
func (k *jwk) verifiesRS256() bool {
	use, hasUse := k.text["use"]
	alg, hasAlg := k.text["alg"]
	return (!hasUse || use == "sig") && (!hasAlg || alg == "RS256") && (!k.hasOps || slices.Contains(k.ops, "verify"))
}

// rsa gives the key, if it is a strong one.
func (k *jwk) rsa() (*rsa.PublicKey, error) {
	n, err := numberOf(k.text["n"])
	if err != nil {
		return nil, err
	}
	e, err := numberOf(k.text["e"])
	if err != nil {
		return nil, err
	}
	switch bits := n.BitLen(); {
	case bits < minRSABits, bits > maxRSABits:
		return nil, fmt.Errorf("has %d bits; RSA keys of %d to %d are taken", bits, minRSABits, maxRSABits)
	case n.Bit(0) == 0:
		return nil, errors.New("has an even modulus, so it is no RSA key")
	case e.BitLen() > 31 || e.Bit(0) == 0 || e.Int64() < 3:
		return nil, errors.New("has an exponent that is even, below 3 or over 31 bits")
	}
	return &rsa.PublicKey{N: n, E: int(e.Int64())}, nil
}

func numberOf(text string) (*big.Int, error) {
	b, err := strictBase64.DecodeString(text)
	if err != nil || len(b) == 0 || !consistsOf(text, &base64URL) {
		return nil, errors.New("has no n or no e in base64url")
	}
	return new(big.Int).SetBytes(b), nil
}
