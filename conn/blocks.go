package conn

import (
	enforcementv1 "github.com/Huzefaaa2/cavra/go/cavra-runtime/enforcement/v1"
	"github.com/Huzefaaa2/cavra/go/cavra-runtime/pipeline"
)

// The blocks of this package. The first two go through the chain and are
// recorded; the others are answered, counted and logged.
var (
	errTooLarge   = pipeline.Block("request.too_large", "the request is larger than the limit")
	errTimeout    = pipeline.Block("request.timeout", "the request was not complete in time").WithSeverity(enforcementv1.SeverityMedium)
	errOverloaded = pipeline.Block("server.overloaded", "the runtime serves as much as it may; try again in a moment")
	errDenied     = pipeline.Block("peer.denied", "this user may not ask the runtime").WithSeverity(enforcementv1.SeverityCritical)
)
