package main

import (
	"errors"
	"fmt"
	"slices"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-multierror"

	"github.com/Huzefaaa2/cavra/go/cavra-runtime/document"
	"github.com/Huzefaaa2/cavra/go/cavra-runtime/pipeline"
)

// An assembly is how a chain is made.
type assembly struct {
	// log makes the logger that the configuration asks for.
	log func(logConfig) hclog.Logger
	// dryRun opens nothing that a running daemon uses.
	dryRun bool
	// running is what the daemon started with, and before the chain that this one
	// takes the place of; nil at a start.
	running *configuration
	before  *pipeline.Chain
	// observer watches the chain; nil where nobody asks.
	observer *observer
}

// assemble reads the configuration and makes the chain. The error holds every
// fault of the configuration, the policy and the order that can be seen at once.
func assemble(c *cli, a assembly) (*configuration, *pipeline.Chain, error) {
	cfg, fault := configure(c, a.running)
	log := a.log(cfg.file.Log)
	if fault != nil {
		// The stages are still built, dry and silent, to find their faults too.
		a.dryRun, log = true, hclog.NewNullLogger()
	}
	chain, err := cfg.build(a, log)
	if err = document.Join(fault, err); err != nil {
		if chain != nil {
			_ = chain.Close()
		}
		return cfg, nil, err
	}
	return cfg, chain, nil
}

// build makes the chain.
func (cfg *configuration) build(a assembly, log hclog.Logger) (*pipeline.Chain, error) {
	env := pipeline.Env{Workspace: cfg.file.Workspace, Files: cfg.ownFiles(log), DryRun: a.dryRun}
	var (
		built       []pipeline.Stage
		faults      []error
		defaultPack func() string
	)
	for _, p := range cfg.stages {
		if p.faulty {
			continue
		}
		env.Log = log.Named(p.name)
		if a.before != nil {
			env.Predecessor = a.before.Stage(p.name)
		}
		stage, err := p.Build(env)
		if err != nil {
			faults = append(faults, ofStage(p.name, err))
			continue
		}
		built = append(built, stage)
		if e, ok := stage.(explainer); ok {
			cfg.explainer = e
		}
		if policy, ok := stage.(interface{ DefaultPolicyPack() string }); ok {
			defaultPack = policy.DefaultPolicyPack
		}
	}
	if len(built) == len(cfg.stages) {
		o := pipeline.Options{Log: log, DefaultPolicyPack: defaultPack}
		if a.observer != nil {
			o.Observe = a.observer.of(cfg.stageNames())
		}
		chain, err := pipeline.New(built, o)
		if err == nil {
			return chain, nil
		}
		faults = append(faults, err)
	} else {
		faults = append(faults, errors.New("the order of the stages is checked once these are mended"))
	}
	closeStages(built)
	return nil, document.Join(faults...)
}

// stageNames are the names of the stages, in order.
func (cfg *configuration) stageNames() []string {
	names := make([]string, len(cfg.stages))
	for i, p := range cfg.stages {
		names[i] = p.name
	}
	return names
}

// ofStage says of which stage's options the faults are, but for those that name
// a place in a file.
func ofStage(name string, err error) error {
	var all *multierror.Error
	if !errors.As(err, &all) {
		all = multierror.Append(nil, err)
	}
	var faults []error
	for _, fault := range all.Errors {
		if at := (*document.Fault)(nil); !errors.As(fault, &at) {
			fault = fmt.Errorf("stage %s: %w", name, fault)
		}
		faults = append(faults, fault)
	}
	return document.Join(faults...)
}

// closeStages releases what stages hold that never came to be a chain.
func closeStages(built []pipeline.Stage) {
	for _, s := range slices.Backward(built) {
		if closer, ok := s.(interface{ Close() error }); ok {
			_ = closer.Close() // the fault that brought us here is the one to report
		}
	}
}
