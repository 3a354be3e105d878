// Package auth is the stage that finds out who asks.
//
// The package promises:
//
//   - The configuration alone chooses how a runner is verified. Nothing in a
//     request can choose another way, or none.
//   - An identity that is given as proven was verified member by member. Every
//     other request is blocked by runner_auth.invalid, with a reason that names
//     the check that failed and never what it expected.
//   - Half a configuration refuses to start.
//   - No key, no token and no signature appears in an error, a reason or the log.
//
// Without a configuration everybody is anonymous.
package auth

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-multierror"

	enforcementv1 "github.com/Huzefaaa2/cavra/go/cavra-runtime/enforcement/v1"
	"github.com/Huzefaaa2/cavra/go/cavra-runtime/keys"
	"github.com/Huzefaaa2/cavra/go/cavra-runtime/pipeline"
)

// Options say how runners prove who they are: by a signature with a shared key,
// by a token of their CI provider, or by either. Without any of them nobody has
// to.
type Options struct {
	// The key that runners sign with, shared with them. Prefer hmac_key_file:
	// this one stands in a configuration file or in the environment. 32 bytes or
	// more.
	HMACKey string `json:"hmac_key,omitempty"`
	// The file that holds the key. A line break at its end is not part of the
	// key. Others must not be able to read or write the file.
	HMACKeyFile string `json:"hmac_key_file,omitempty"`
	// Names the key in responses and evidence. Where it is set, a runner must
	// name the same one.
	HMACKeyID string `json:"hmac_key_id,omitempty"`
	// Further keys that are valid at the same time, so that a key can be replaced
	// without a gap.
	HMACKeys []HMACKey `json:"hmac_keys,omitempty"`
	// The version that a signature must be of: "v2" refuses those of v1, which can
	// be replayed. Empty takes both.
	HMACRequire string `json:"hmac_require,omitempty"`
	// How old a signature of version 2 may be. Default: 5m.
	HMACMaxAge time.Duration `json:"hmac_max_age,omitempty"`

	// The issuer of tokens, as their claim iss has it. This and the next four
	// options are one entry of oidc, for the command line.
	OIDCIssuer string `json:"oidc_issuer,omitempty"`
	// The audience that a token must be made for.
	OIDCAudience string `json:"oidc_audience,omitempty"`
	// The file that holds the issuer's keys, a JWKS.
	OIDCJWKS string `json:"oidc_jwks,omitempty"`
	// The URL that the issuer's keys are fetched from.
	OIDCJWKSURL string `json:"oidc_jwks_url,omitempty"`
	// Who gets in, as "repository=octo/*" or "repository_id=42". Values of one
	// name are alternatives.
	OIDCRequire []string `json:"oidc_require,omitempty"`
	// The issuers of tokens, each with its own audience, keys and rules.
	OIDC []OIDCIssuer `json:"oidc,omitempty"`
}

// An HMACKey is a key that runners sign with.
type HMACKey struct {
	// Names the key. A runner must name it too.
	ID string `json:"id"`
	// The file that holds the key. Others must not be able to read or write it.
	File string `json:"file"`
}

// Files are the files that the options name.
func (o Options) Files() []pipeline.File {
	var files []pipeline.File
	add := func(path string, secret bool) {
		if path != "" {
			files = append(files, pipeline.File{Path: path, Secret: secret})
		}
	}
	add(o.HMACKeyFile, true)
	for _, k := range o.HMACKeys {
		add(k.File, true)
	}
	add(o.OIDCJWKS, false)
	for _, i := range o.OIDC {
		add(i.JWKS, false)
	}
	return files
}

// Format writes the names of the options that are set, whatever the verb: a key
// must not get into a log by way of %v.
func (o Options) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "auth options %s", strings.Join(append(o.hmacSet(), o.oidcSet()...), ", "))
}

// hmac is where the first HMAC key comes from.
func (o Options) hmac() keys.Source {
	return keys.Source{Option: "hmac_key", Key: o.HMACKey, File: o.HMACKeyFile, ID: o.HMACKeyID}
}

// hmacSet lists the options that are set of those about HMAC.
func (o Options) hmacSet() []string {
	return set(option{"hmac_key", o.HMACKey != ""}, option{"hmac_key_file", o.HMACKeyFile != ""}, option{"hmac_key_id", o.HMACKeyID != ""},
		option{"hmac_keys", o.HMACKeys != nil}, option{"hmac_require", o.HMACRequire != ""}, option{"hmac_max_age", o.HMACMaxAge != 0})
}

// oidcSet lists the options that are set of those about OIDC.
func (o Options) oidcSet() []string {
	return append(o.oidcFlat(), set(option{"oidc", o.OIDC != nil})...)
}

// oidcFlat lists the options that are set of those that make one issuer.
func (o Options) oidcFlat() []string {
	return set(option{"oidc_issuer", o.OIDCIssuer != ""}, option{"oidc_audience", o.OIDCAudience != ""},
		option{"oidc_jwks", o.OIDCJWKS != ""}, option{"oidc_jwks_url", o.OIDCJWKSURL != ""}, option{"oidc_require", o.OIDCRequire != nil})
}

type option struct {
	name string
	set  bool
}

func set(options ...option) []string {
	var names []string
	for _, o := range options {
		if o.set {
			names = append(names, o.name)
		}
	}
	return names
}

// A verifier finds out who asks. The error is a *pipeline.BlockError where the
// request does not prove it.
type verifier interface {
	verify(ctx context.Context, req *enforcementv1.EvaluateRequest) (pipeline.Identity, error)
}

// Stage gives the identity of whoever asks.
type Stage struct {
	hmac verifier // nil where no HMAC key is configured
	oidc verifier // nil where no issuer is configured
	stop func()
}

// New makes the stage. The error holds every fault of the options.
func New(o Options, env pipeline.Env) (*Stage, error) {
	return newStageAt(o, env, time.Now)
}

// newStageAt is New with a clock.
func newStageAt(o Options, env pipeline.Env, now func() time.Time) (*Stage, error) {
	if env.Log == nil {
		env.Log = hclog.NewNullLogger()
	}
	var faults *multierror.Error
	s := &Stage{stop: func() {}}
	if o.hmacSet() != nil {
		v, err := newHMACVerifier(o, env, now)
		if err != nil {
			faults = multierror.Append(faults, err)
		}
		s.hmac = v
		if err == nil && o.HMACRequire == "" {
			env.Log.Warn("HMAC signatures of v1 are taken, and whoever reads one can send it again; set --runner-auth-require v2, or hmac_require: v2, once all runners sign v2")
		}
	}
	if o.oidcSet() != nil {
		env.DryRun = env.DryRun || faults != nil // look for faults, and fetch nothing
		v, err := newOIDCVerifier(o, env, now)
		if err != nil {
			faults = multierror.Append(faults, err)
		} else {
			s.oidc, s.stop = v, v.close
		}
	}
	if err := faults.ErrorOrNil(); err != nil {
		s.stop()
		return nil, err
	}
	return s, nil
}

// NobodyProves is what Describe says of a stage that checks nothing.
const NobodyProves = "nobody has to prove who they are"

// Describe says who has to prove what.
func (s *Stage) Describe() string {
	var ways []string
	if v, ok := s.hmac.(*hmacVerifier); ok {
		ways = append(ways, v.describe())
	}
	if v, ok := s.oidc.(*oidcVerifier); ok {
		ways = append(ways, "tokens of "+strings.Join(slices.Sorted(maps.Keys(v.issuers)), ", "))
	}
	if ways == nil {
		return NobodyProves
	}
	return strings.Join(ways, "; ")
}

// Spec implements pipeline.Stage.
func (*Stage) Spec() pipeline.Spec {
	return pipeline.Spec{Name: "auth", Phase: pipeline.Decide, Needs: pipeline.FactRequest, Gives: pipeline.FactIdentity}
}

// Handle implements pipeline.Stage.
func (s *Stage) Handle(ctx context.Context, x *pipeline.Exchange) error {
	id, err := s.identify(ctx, x.Request())
	if err != nil {
		return err
	}
	x.SetIdentity(id)
	return nil
}

// Close ends what the stage does in the background: the fetching of keys.
func (s *Stage) Close() error {
	s.stop()
	return nil
}

var errNoToken = errInvalid.Reasonf("runner_auth is missing; send a token of the CI provider with the request")

// identify finds out who asks. The request says by which of the configured ways,
// and cannot bring in another.
func (s *Stage) identify(ctx context.Context, req *enforcementv1.EvaluateRequest) (pipeline.Identity, error) {
	auth := req.RunnerAuth
	switch {
	case s.hmac == nil && s.oidc == nil:
		return pipeline.Anonymous, nil
	case auth == nil && s.hmac == nil:
		return pipeline.Identity{}, errNoToken
	case auth == nil:
		return pipeline.Identity{}, errMissing
	case s.hmac != nil && auth.Algorithm == enforcementv1.AlgorithmHMAC:
		return s.hmac.verify(ctx, req)
	case s.oidc != nil && auth.Algorithm == enforcementv1.AlgorithmOIDC:
		return s.oidc.verify(ctx, req)
	}
	return pipeline.Identity{}, errAlgorithm
}
