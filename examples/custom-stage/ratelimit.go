// Package ratelimit is a stage that limits how often somebody may ask. It is an
// example of a stage that a fork adds: docs/writing-a-stage.md builds it step by
// step.
package ratelimit

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/go-multierror"
	"golang.org/x/time/rate"

	"github.com/Huzefaaa2/cavra/go/cavra-runtime/pipeline"
)

// Options are what the configuration may say of the stage.
type Options struct {
	// Rate is how many requests a second are answered in the long run.
	Rate float64 `json:"rate"`
	// Burst is how many may come at once. Default: 10.
	Burst int `json:"burst"`
	// By says whose requests count together: "uid", the user that the kernel
	// names, or "runner", the repository that the runner has proven. Names that
	// a request merely claims are no choice: whoever is limited would change
	// them. Default: "uid".
	By string `json:"by"`
	// MaxKeys bounds how many users or repositories are told apart at once.
	// Default: 10000.
	MaxKeys int `json:"max_keys"`
}

// SetDefaults is called before the options are read.
func (o *Options) SetDefaults() { *o = Options{Burst: 10, By: "uid", MaxKeys: 10000} }

// check finds every fault of the options.
func (o Options) check() error {
	var faults *multierror.Error
	if o.Rate <= 0 {
		faults = multierror.Append(faults, errors.New("ratelimit: rate must be over 0; write how many requests a second are answered, for example 50"))
	}
	if o.Burst < 1 {
		faults = multierror.Append(faults, errors.New("ratelimit: burst must be 1 or more, or nothing would ever be answered"))
	}
	if o.By != "uid" && o.By != "runner" {
		faults = multierror.Append(faults, errors.New(`ratelimit: by must be "uid" or "runner"`))
	}
	if o.MaxKeys < 1 {
		faults = multierror.Append(faults, errors.New("ratelimit: max_keys must be 1 or more"))
	}
	return faults.ErrorOrNil()
}

// Declared once: blocking allocates nothing.
var errExceeded = pipeline.Block("ratelimit.exceeded", "too many requests at once; wait a second and ask again")

// Stage blocks those who ask too often.
type Stage struct {
	o   Options
	now func() time.Time

	mu   sync.Mutex
	keys map[string]*rate.Limiter
}

// New makes the stage.
func New(o Options) (*Stage, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	return &Stage{o: o, now: time.Now, keys: map[string]*rate.Limiter{}}, nil
}

// Spec says that the stage decides. It needs the identity, which by: runner
// counts by, and gives nothing: it cannot allow.
func (s *Stage) Spec() pipeline.Spec {
	return pipeline.Spec{Name: "ratelimit", Phase: pipeline.Decide, Needs: pipeline.FactIdentity}
}

// Handle takes one token of whoever asks.
func (s *Stage) Handle(_ context.Context, x *pipeline.Exchange) error {
	now := s.now()
	limiter := s.limiter(s.key(x), now)
	if limiter == nil || !limiter.AllowN(now, 1) {
		return errExceeded
	}
	return nil
}

// key names whose requests count together. All whose identity is unproven, or
// whose user the system cannot tell, share one key.
func (s *Stage) key(x *pipeline.Exchange) string {
	if s.o.By == "runner" {
		if id := x.Identity(); id.Proven() {
			return id.Runner.Provider + "\n" + id.Runner.Repository
		}
		return ""
	}
	if peer := x.Peer(); peer.Known {
		return fmt.Sprint(peer.UID)
	}
	return ""
}

// limiter finds or makes the limiter of a key. It returns nil where there is no
// room for another: a stage that cannot count must not let pass.
func (s *Stage) limiter(key string, now time.Time) *rate.Limiter {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l, ok := s.keys[key]; ok {
		return l
	}
	if len(s.keys) >= s.o.MaxKeys {
		// One that has all its tokens back remembers nothing, so it can go.
		for k, l := range s.keys {
			if l.TokensAt(now) >= float64(s.o.Burst) {
				delete(s.keys, k)
			}
		}
		if len(s.keys) >= s.o.MaxKeys {
			return nil
		}
	}
	l := rate.NewLimiter(rate.Limit(s.o.Rate), s.o.Burst)
	s.keys[key] = l
	return l
}
