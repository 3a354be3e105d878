// Package redact is the stage that makes the request and the response fit to be
// stored and sent.
//
// The package promises:
//
//   - What it gives is a copy. The request and the response it was made from
//     are never changed.
//   - The signature of a runner authentication never survives: it could be
//     replayed.
//   - No JSON Web Token survives in any string of either message, whatever it
//     is glued to.
//   - What holds neither stays as it was sent, and redacting twice is redacting
//     once.
//   - The work grows with the length of the text and no faster, whatever the
//     text is.
package redact

import (
	"context"

	enforcementv1 "github.com/Huzefaaa2/cavra/go/cavra-runtime/enforcement/v1"
	"github.com/Huzefaaa2/cavra/go/cavra-runtime/jwt"
	"github.com/Huzefaaa2/cavra/go/cavra-runtime/pipeline"
)

// What stands in the place of what was redacted.
const (
	redactedOIDCJWT   = "<redacted-oidc-jwt>"
	redactedHMAC      = "<redacted-hmac-signature>"
	redactedSignature = "<redacted-signature>"
)

// Options are those of the redact stage. It has none: there is no way to have
// less redacted.
type Options struct{}

// Stage gives the redacted pair. It holds no state.
type Stage struct{}

// New makes the stage.
func New(Options) (*Stage, error) { return &Stage{}, nil }

// Spec implements pipeline.Stage.
func (*Stage) Spec() pipeline.Spec {
	return pipeline.Spec{Name: "redact", Phase: pipeline.Record, Gives: pipeline.FactRedacted}
}

// Handle implements pipeline.Stage. Where no request could be read the redacted
// one is empty.
func (*Stage) Handle(_ context.Context, x *pipeline.Exchange) error {
	x.SetRedacted(request(x.Request()), x.Response().MapStrings(jwt.Hide))
	return nil
}

// request gives a redacted copy of req.
func request(req *enforcementv1.EvaluateRequest) *enforcementv1.EvaluateRequest {
	if req == nil {
		return &enforcementv1.EvaluateRequest{}
	}
	redacted := req.MapStrings(jwt.Hide)
	if auth := req.RunnerAuth; auth != nil {
		redacted.RunnerAuth.Signature = signature(auth.Algorithm, auth.Signature)
	}
	return redacted
}

// signature gives what stands for a signature of the algorithm that the request
// names, which need not be one that there is.
func signature(algorithm, sig string) string {
	switch {
	case sig == "":
		return ""
	case algorithm == enforcementv1.AlgorithmOIDC:
		return redactedOIDCJWT
	case algorithm == enforcementv1.AlgorithmHMAC:
		return redactedHMAC
	case sig == jwt.Redacted, jwt.Hide(sig) != sig:
		return jwt.Redacted
	default:
		return redactedSignature
	}
}
