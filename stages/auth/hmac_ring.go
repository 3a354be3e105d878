package auth

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"sync"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-multierror"

	"github.com/Huzefaaa2/cavra/go/cavra-runtime/keys"
)

// hmacRing holds the keys that runners sign with. They are few.
type hmacRing []*hmacKey

// find gives the key that a request names, or nil. A key without an id is the
// only one, and any name means it.
func (r hmacRing) find(id string) *hmacKey {
	for _, k := range r {
		if k.id == id || k.id == "" {
			return k
		}
	}
	return nil
}

// hmacKey is a key, as states that have it in them.
type hmacKey struct {
	id     string // empty only where there is no other key
	proof  string
	states sync.Pool // of *hmacState
}

func newHMACKey(id string, key []byte) *hmacKey {
	k := &hmacKey{id: id, proof: "hmac/" + id}
	k.states.New = func() any { return &hmacState{mac: hmac.New(sha256.New, key)} }
	return k
}

// maxKept is the size in bytes of the buffers that are kept for the next
// request. A long request must not hold its memory for ever.
const maxKept = 64 << 10

func (k *hmacKey) borrow() *hmacState { return k.states.Get().(*hmacState) }

func (k *hmacKey) giveBack(s *hmacState) {
	if cap(s.text) > maxKept {
		s.text = nil
	}
	k.states.Put(s)
}

// loadHMACRing reads the keys that the options name. The error holds every
// fault, and none of a key.
func loadHMACRing(o Options, log hclog.Logger) (hmacRing, error) {
	var faults *multierror.Error
	fault := func(format string, args ...any) { faults = multierror.Append(faults, fmt.Errorf(format, args...)) }

	var sources []keys.Source
	if o.hmac().Set() {
		sources = append(sources, o.hmac())
	}
	for i, k := range o.HMACKeys {
		sources = append(sources, keys.Source{Option: fmt.Sprintf("hmac_keys[%d]", i), Entry: true, File: k.File, ID: k.ID})
	}
	if len(sources) == 0 {
		fault("there is no key that runners could sign with; set hmac_key_file, or leave the other hmac options out")
	}
	loaded := make([][]byte, len(sources))
	var ring hmacRing
	for i, source := range sources {
		key, warnings, err := source.Load()
		if err != nil {
			faults = multierror.Append(faults, err)
		}
		for _, warning := range warnings {
			log.Warn(warning)
		}
		loaded[i] = key
		for j, other := range sources[:i] {
			if source.ID != "" && source.ID == other.ID {
				fault("%s and %s have the same id; give each key an id of its own", other.Option, source.Option)
			}
			if key != nil && bytes.Equal(key, loaded[j]) {
				fault("%s and %s are the same key; leave one of them out", other.Option, source.Option)
			}
		}
		if key != nil && source.ID == "" && len(sources) > 1 {
			fault("%s has no id, and there are other keys; set hmac_key_id", source.Option)
		}
		ring = append(ring, newHMACKey(source.ID, key))
	}
	if err := faults.ErrorOrNil(); err != nil {
		return nil, err
	}
	return ring, nil
}
