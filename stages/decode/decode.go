// Package decode is the stage that turns the bytes a client sent into a
// request.
//
// The package promises:
//
//   - What passes is exactly one JSON object that every careful reader reads
//     alike, with no member that this runtime does not know.
//   - A refusal names the byte and the member at fault and what to send instead,
//     and never quotes a value.
//   - The work grows with the length of the input and no faster.
package decode

import (
	"context"
	"fmt"

	"github.com/hashicorp/go-multierror"

	"github.com/Huzefaaa2/cavra/go/cavra-runtime/document"
	enforcementv1 "github.com/Huzefaaa2/cavra/go/cavra-runtime/enforcement/v1"
	"github.com/Huzefaaa2/cavra/go/cavra-runtime/pipeline"
)

// The limits where the options name none.
const (
	defaultMaxBytes = 1 << 20
	defaultMaxDepth = 64
)

// leastMaxDepth is how deep a request can be: the list of a release record and
// the identity of a runner are in an object in an object.
const leastMaxDepth = 3

// Options are the limits on a request.
type Options struct {
	// The largest request, as in "64KiB". 0 means 1MiB.
	MaxBytes document.Bytes `json:"max_bytes,omitempty"`
	// The most objects and lists inside each other that a request may have, from
	// 3. 0 means 64.
	MaxDepth int `json:"max_depth,omitempty"`
}

// Stage decodes requests.
type Stage struct {
	maxBytes document.Bytes
	maxDepth int
}

// New makes the stage. The error holds every fault of the options.
func New(o Options) (*Stage, error) {
	var faults *multierror.Error
	switch {
	case o.MaxBytes == 0:
		o.MaxBytes = defaultMaxBytes
	case o.MaxBytes < 0:
		faults = multierror.Append(faults, fmt.Errorf("max_bytes is %d; write a size such as 64KiB, or leave it out for 1MiB", int64(o.MaxBytes)))
	}
	switch {
	case o.MaxDepth == 0:
		o.MaxDepth = defaultMaxDepth
	case o.MaxDepth < leastMaxDepth:
		faults = multierror.Append(faults, fmt.Errorf("max_depth is %d; write a number from %d, which a signed request needs, or leave it out for %d", o.MaxDepth, leastMaxDepth, defaultMaxDepth))
	}
	if err := faults.ErrorOrNil(); err != nil {
		return nil, err
	}
	return &Stage{maxBytes: o.MaxBytes, maxDepth: o.MaxDepth}, nil
}

var (
	errInvalid  = pipeline.Block("request.invalid", "the request is not valid; send one JSON object")
	errTooLarge = pipeline.Block("request.too_large", "the request is too large")
)

// Spec implements pipeline.Stage.
func (*Stage) Spec() pipeline.Spec {
	return pipeline.Spec{Name: "decode", Phase: pipeline.Decide, Gives: pipeline.FactRequest}
}

// Handle implements pipeline.Stage.
func (s *Stage) Handle(_ context.Context, x *pipeline.Exchange) error {
	raw := x.Raw()
	if document.Bytes(len(raw)) > s.maxBytes {
		return errTooLarge.Reasonf("the request has %d bytes and the limit is %d; send less, or raise max_bytes of the decode stage", len(raw), int64(s.maxBytes))
	}
	req, err := enforcementv1.DecodeRequest(raw)
	if err != nil {
		// Members that are known are never deep, so what is too deep has failed.
		if at := tooDeep(raw, s.maxDepth); at >= 0 {
			return errInvalid.Reasonf("the request is not valid: byte %d: it is nested deeper than %d levels; send it flatter", at, s.maxDepth)
		}
		return errInvalid.Reasonf("the request is not valid: %v", err)
	}
	x.SetRequest(req)
	return nil
}

// tooDeep gives the offset at which raw goes deeper than limit, or -1. raw need
// not be valid JSON.
func tooDeep(raw []byte, limit int) int {
	depth, inString := 0, false
	for i := 0; i < len(raw); i++ {
		switch b := raw[i]; {
		case inString && b == '\\':
			i++
		case b == '"':
			inString = !inString
		case inString:
		case b == '{' || b == '[':
			if depth++; depth > limit {
				return i
			}
		case b == '}' || b == ']':
			depth--
		}
	}
	return -1
}
