package auth

import (
	"maps"
	"slices"
	"time"

	"github.com/Huzefaaa2/cavra/go/cavra-runtime/metrics"
)

// Collect writes how old the keys of each issuer are.
func (s *Stage) Collect(w *metrics.Writer) {
	v, ok := s.oidc.(*oidcVerifier)
	if !ok {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(v.issuers)) {
		loaded, keys := v.issuers[name].keys.freshness()
		if keys > 0 {
			w.Gauge("cavra_jwks_age_seconds", "How long ago the issuer's keys were last known to be good. They serve for 86400 s.", v.now().Sub(loaded).Seconds(), "issuer", name)
		}
		w.Gauge("cavra_jwks_keys", "Keys of the issuer that can verify a token.", float64(keys), "issuer", name)
	}
}

func (noKeys) freshness() (time.Time, int) { return time.Time{}, 0 }

func (f *fileKeys) freshness() (time.Time, int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.loaded, len(f.set.keys)
}

func (k *urlKeys) freshness() (time.Time, int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.set == nil {
		return time.Time{}, 0
	}
	return k.loaded, len(k.set.keys)
}
