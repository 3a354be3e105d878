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
//   - No key and no signature appears in an error, a reason or the log.
//
// Without a configuration everybody is anonymous.
package auth

import (
	"context"
	"fmt"
	"strings"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-multierror"

	enforcementv1 "github.com/Huzefaaa2/cavra/go/cavra-runtime/enforcement/v1"
	"github.com/Huzefaaa2/cavra/go/cavra-runtime/keys"
	"github.com/Huzefaaa2/cavra/go/cavra-runtime/pipeline"
)

// Options say how runners prove who they are. Without any of them nobody has
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

	// The issuer of OIDC tokens. Not available yet.
	OIDCIssuer string `json:"oidc_issuer,omitempty"`
	// The audience that an OIDC token must be made for. Not available yet.
	OIDCAudience string `json:"oidc_audience,omitempty"`
	// The file that holds the issuer's keys, a JWKS. Not available yet.
	OIDCJWKS string `json:"oidc_jwks,omitempty"`
	// The URL that the issuer's keys are fetched from. Not available yet.
	OIDCJWKSURL string `json:"oidc_jwks_url,omitempty"`
}

// Files are the files that the options name.
func (o Options) Files() []pipeline.File {
	var files []pipeline.File
	if o.HMACKeyFile != "" {
		files = append(files, pipeline.File{Path: o.HMACKeyFile, Secret: true})
	}
	if o.OIDCJWKS != "" {
		files = append(files, pipeline.File{Path: o.OIDCJWKS})
	}
	return files
}

// Format writes the names of the options that are set, whatever the verb: a key
// must not get into a log by way of %v.
func (o Options) Format(f fmt.State, _ rune) {
	names := append(set(option{"hmac_key", o.HMACKey}, option{"hmac_key_file", o.HMACKeyFile}, option{"hmac_key_id", o.HMACKeyID}), o.oidc()...)
	_, _ = fmt.Fprintf(f, "auth options %s", strings.Join(names, ", "))
}

// hmac is where the HMAC key comes from.
func (o Options) hmac() keys.Source {
	return keys.Source{Option: "hmac_key", Key: o.HMACKey, File: o.HMACKeyFile, ID: o.HMACKeyID}
}

// oidc lists the options that are set of those about OIDC.
func (o Options) oidc() []string {
	return set(option{"oidc_issuer", o.OIDCIssuer}, option{"oidc_audience", o.OIDCAudience},
		option{"oidc_jwks", o.OIDCJWKS}, option{"oidc_jwks_url", o.OIDCJWKSURL})
}

type option struct{ name, value string }

func set(options ...option) []string {
	var names []string
	for _, o := range options {
		if o.value != "" {
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
	verifier verifier
}

// New makes the stage. The error holds every fault of the options.
func New(o Options, env pipeline.Env) (*Stage, error) {
	log := env.Log
	if log == nil {
		log = hclog.NewNullLogger()
	}
	var faults *multierror.Error
	var v verifier = anonymous{}
	if names := o.oidc(); names != nil {
		faults = multierror.Append(faults, fmt.Errorf("%s: OIDC runner authentication is not available yet; leave it out, and set hmac_key_file to have runners sign", strings.Join(names, ", ")))
	}
	if o.hmac().Set() {
		h, err := newHMACVerifier(o, log)
		if err != nil {
			faults = multierror.Append(faults, err)
		}
		v = h
	}
	if err := faults.ErrorOrNil(); err != nil {
		return nil, err
	}
	return &Stage{verifier: v}, nil
}

// Spec implements pipeline.Stage.
func (*Stage) Spec() pipeline.Spec {
	return pipeline.Spec{Name: "auth", Phase: pipeline.Decide, Needs: pipeline.FactRequest, Gives: pipeline.FactIdentity}
}

// Handle implements pipeline.Stage.
func (s *Stage) Handle(ctx context.Context, x *pipeline.Exchange) error {
	id, err := s.verifier.verify(ctx, x.Request())
	if err != nil {
		return err
	}
	x.SetIdentity(id)
	return nil
}

// anonymous believes nobody and lets everybody pass.
type anonymous struct{}

func (anonymous) verify(context.Context, *enforcementv1.EvaluateRequest) (pipeline.Identity, error) {
	return pipeline.Anonymous, nil
}
