package main

import (
	"github.com/Huzefaaa2/cavra/go/cavra-runtime/pipeline"
	"github.com/Huzefaaa2/cavra/go/cavra-runtime/stages/auth"
	"github.com/Huzefaaa2/cavra/go/cavra-runtime/stages/decode"
	"github.com/Huzefaaa2/cavra/go/cavra-runtime/stages/evaluate"
	"github.com/Huzefaaa2/cavra/go/cavra-runtime/stages/evidence"
	"github.com/Huzefaaa2/cavra/go/cavra-runtime/stages/redact"
)

// stages are the stages that a configuration can list, by name. A fork adds its
// own here, one line a stage; docs/writing-a-stage.md shows how.
var stages = map[string]pipeline.Factory{
	"decode":   pipeline.From(decode.New),
	"auth":     pipeline.FromEnv(auth.New),
	"evaluate": pipeline.FromEnv(evaluate.New),
	"redact":   pipeline.From(redact.New),
	"evidence": pipeline.FromEnv(evidence.New),
}

// defaultStages are the stages of a chain whose configuration lists none, in
// order.
var defaultStages = []string{"decode", "auth", "evaluate", "redact", "evidence"}
