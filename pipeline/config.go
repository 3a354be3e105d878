package pipeline

import (
	"github.com/hashicorp/go-hclog"

	"github.com/Huzefaaa2/cavra/go/cavra-runtime/document"
)

// Env is what a stage may use of the runtime around it.
type Env struct {
	// Log is where the stage reports; named after the stage.
	Log hclog.Logger
	// Workspace is the absolute directory that relative targets are taken
	// against where a request names no cwd.
	Workspace string
	// Files are the runtime's own files: of all stages, of the socket, of the
	// configuration. They are to be kept from those who ask.
	Files []File
	// DryRun is set where the stage is built to be checked and will never run.
	// Whatever options and files say wrong is still an error, but the stage opens
	// nothing for writing, locks nothing and starts nothing.
	DryRun bool
	// Predecessor is the stage of the same name that this one is to take the place
	// of, where a running daemon reads its configuration again; else nil. What must
	// outlive that, such as a memory of what was used once, is taken over from it.
	// It goes on answering until the new chain is in force, and for good where that
	// fails, so it must not be changed.
	Predecessor Stage
}

// A File is a file or directory that the runtime relies on.
type File struct {
	Path   string
	Secret bool // not to be read either, as a key
	// Written says that the runtime writes it while it runs, and files beside it.
	Written bool
}

// A Factory makes a stage from its options. It decodes the layers in order into
// one value: the configuration file first, then flags and environment, which
// win. A nil layer is skipped. The error holds every fault of every layer.
type Factory func(layers ...*document.Node) (Prepared, error)

// Prepared is a stage whose options were read and found good, and which has yet
// to be built.
type Prepared interface {
	// Files are the files that the options name; nil where they name none.
	Files() []File
	// Build makes the stage.
	Build(Env) (Stage, error)
}

// From makes a Factory of a stage's constructor. The options are decoded
// strictly: an unknown one is an error with its position. Where *O has a method
// SetDefaults(), it is called first; where O has a method Files() []File, the
// files it names are protected by every policy.
func From[O any, S Stage](build func(O) (S, error)) Factory {
	return FromEnv(func(o O, _ Env) (S, error) { return build(o) })
}

// FromEnv is From for a constructor that uses the Env as well.
func FromEnv[O any, S Stage](build func(O, Env) (S, error)) Factory {
	return func(layers ...*document.Node) (Prepared, error) {
		p := &prepared[O, S]{build: build}
		if d, ok := any(&p.options).(interface{ SetDefaults() }); ok {
			d.SetDefaults()
		}
		return p, decodeLayers(&p.options, layers)
	}
}

type prepared[O any, S Stage] struct {
	options O
	build   func(O, Env) (S, error)
}

func (p *prepared[O, S]) Files() []File {
	if f, ok := any(p.options).(interface{ Files() []File }); ok {
		return f.Files()
	}
	return nil
}

func (p *prepared[O, S]) Build(env Env) (Stage, error) {
	s, err := p.build(p.options, env)
	if err != nil {
		return nil, err // not the typed nil that s holds
	}
	return s, nil
}

// decodeLayers decodes the layers over each other and gathers their faults.
func decodeLayers(options any, layers []*document.Node) error {
	var faults []error
	for _, layer := range layers {
		if layer != nil {
			faults = append(faults, document.Decode(layer, options))
		}
	}
	return document.Join(faults...)
}
