package evidence

import (
	"context"
	"fmt"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-multierror"

	enforcementv1 "github.com/Huzefaaa2/cavra/go/cavra-runtime/enforcement/v1"
	"github.com/Huzefaaa2/cavra/go/cavra-runtime/pipeline"
)

// Options are those of the evidence stage.
type Options struct {
	// Log is the path of the evidence log. Empty records nothing. The log is made
	// with mode 0600 and its directory with mode 0700; others must not be able to
	// write to either.
	Log string `json:"log"`
	// Sync says when a decision may be answered: "always" once its record is
	// durable, "interval" once it is written, with a sync every 100 ms, "off" once
	// it is written. With the last two a crash of the machine can lose records
	// whose decisions were answered.
	Sync SyncMode `json:"sync"`
	// SigningKey signs each record with HMAC-SHA256. Use 32 random bytes or more.
	// Prefer SigningKeyFile: others can often see a process's environment and
	// command line.
	SigningKey string `json:"signing_key"`
	// SigningKeyFile is a file that holds the key: all its bytes but one line end
	// at the end. It must not be open to everybody.
	SigningKeyFile string `json:"signing_key_file"`
	// SigningKeyID names the key in each signature.
	SigningKeyID string `json:"signing_key_id"`
	// VerifyAll verifies the whole log at start, however long it is, rather than
	// its last 64 MiB.
	VerifyAll bool `json:"verify_all"`
}

// SetDefaults sets what is not empty by default.
func (o *Options) SetDefaults() { o.Sync = SyncAlways }

// Files are the log and the file of the key.
func (o Options) Files() []pipeline.File {
	var files []pipeline.File
	if o.Log != "" {
		files = append(files, pipeline.File{Path: o.Log})
	}
	if o.SigningKeyFile != "" {
		files = append(files, pipeline.File{Path: o.SigningKeyFile, Secret: true})
	}
	return files
}

// Stage records each exchange and gives FactEvidence.
type Stage struct {
	log     *Log // nil where nothing is recorded
	setting string
}

// New opens the log and makes the stage.
func New(o Options, env pipeline.Env) (*Stage, error) {
	log := env.Log
	if log == nil {
		log = hclog.NewNullLogger()
	}
	var faults *multierror.Error
	if !o.Sync.valid() {
		faults = multierror.Append(faults, o.Sync.fault())
	}
	key, warnings, err := o.key().Load()
	if err != nil {
		faults = multierror.Append(faults, err)
	}
	if err := faults.ErrorOrNil(); err != nil {
		return nil, err
	}
	for _, warning := range warnings {
		log.Warn(warning)
	}
	if o.Log == "" {
		log.Warn("no evidence log is configured: decisions are not recorded; name one with --evidence-log, or as the stage's option log")
		return &Stage{setting: "none: decisions are not recorded"}, nil
	}
	setting := fmt.Sprintf("%s, sync %s, %s", o.Log, o.Sync, signing(key, o.SigningKeyID))
	if env.DryRun {
		return &Stage{setting: setting}, nil // opening it would lock it, and repair it
	}
	l, err := Open(o.Log, LogOptions{Sync: o.Sync, Key: key, KeyID: o.SigningKeyID, VerifyAll: o.VerifyAll, Log: log})
	if err != nil {
		return nil, err
	}
	return &Stage{l, setting}, nil
}

// signing says how records are signed.
func signing(key []byte, id string) string {
	switch {
	case key == nil:
		return "not signed"
	case id == "":
		return "signed"
	}
	return "signed as " + id
}

// Describe says where and how decisions are recorded.
func (s *Stage) Describe() string { return s.setting }

// Spec says that the stage records, after redaction.
func (s *Stage) Spec() pipeline.Spec {
	return pipeline.Spec{Name: "evidence", Phase: pipeline.Record, Needs: pipeline.FactRedacted, Gives: pipeline.FactEvidence}
}

var errUnavailable = pipeline.Block("evidence.unavailable",
	"the decision could not be recorded, so nothing is allowed; the runtime's log says why: see to the evidence log and its disk, restart the runtime if it asks for that, and ask again",
).WithSeverity(enforcementv1.SeverityCritical)

// Handle records the redacted request and response. The reference joins the
// response first, so that what is stored is what is sent.
func (s *Stage) Handle(_ context.Context, x *pipeline.Exchange) error {
	if s.log == nil {
		x.SetEvidence("")
		return nil
	}
	id := newRecordID()
	x.SetEvidence(refPrefix + id)
	req, resp := x.Redacted()
	if err := s.log.Append(id, req, resp); err != nil {
		return errUnavailable.Because(err)
	}
	return nil
}

// Close makes durable what was recorded and gives up the log.
func (s *Stage) Close() error {
	if s.log == nil {
		return nil
	}
	return s.log.Close()
}
