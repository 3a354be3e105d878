package evidence

import (
	"context"
	"fmt"
	"sync"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-multierror"

	"github.com/Huzefaaa2/cavra/go/cavra-runtime/document"
	enforcementv1 "github.com/Huzefaaa2/cavra/go/cavra-runtime/enforcement/v1"
	"github.com/Huzefaaa2/cavra/go/cavra-runtime/pipeline"
	"github.com/Huzefaaa2/cavra/go/cavra-runtime/stages/evidence/checkpoint"
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
	// SigningKeys are further keys, each in a file of its own: those that signed
	// records of the log before, so that a key can be replaced. Where there is no
	// other key, the first of them signs.
	SigningKeys []SigningKey `json:"signing_keys"`
	// RequireSignature refuses to start, or to verify, without a key.
	RequireSignature bool `json:"require_signature"`
	// RotateSize is the size from which on the log is closed under a number and a
	// new file begun. 0 rotates only when asked to.
	RotateSize document.Bytes `json:"rotate_size"`
	// WarnFree is the free space of the log's file system below which a warning
	// is logged. Default: 256MiB, or a tenth of the file system if that is less.
	WarnFree document.Bytes `json:"warn_free"`
	// MinFree is the free space below which nothing is recorded, and so every
	// request blocked. Default: 16MiB, or a fiftieth of the file system if that
	// is less.
	MinFree document.Bytes `json:"min_free"`
	// CheckpointKey is the Ed25519 private key, in PEM (PKCS #8), that signs
	// checkpoints of the log. Prefer CheckpointKeyFile.
	CheckpointKey string `json:"checkpoint_key"`
	// CheckpointKeyFile is a file that holds that key. It must not be open to
	// everybody. With it, a checkpoint stands beside the log within 100 ms of each
	// record, and a start refuses a log that does not bear its checkpoint out.
	CheckpointKeyFile string `json:"checkpoint_key_file"`
	// CheckpointPublicKeyFile is a file of public keys in PEM, one or more, that
	// checkpoints may be signed with too: after a change of keys those of before.
	CheckpointPublicKeyFile string `json:"checkpoint_public_key_file"`
	// VerifyAll verifies the whole log at start, however long it is, rather than
	// its last 64 MiB.
	VerifyAll bool `json:"verify_all"`
}

// SigningKey is one entry of Options.SigningKeys.
type SigningKey struct {
	// ID is what signatures name the key by.
	ID string `json:"id"`
	// File holds the key; see Options.SigningKeyFile.
	File string `json:"file"`
}

// SetDefaults sets what is not empty by default.
func (o *Options) SetDefaults() { o.Sync = SyncAlways }

// Files are the log, what stands beside it, and the files of keys.
func (o Options) Files() []pipeline.File {
	var files []pipeline.File
	if o.Log != "" {
		for _, suffix := range []string{"", checkpoint.Suffix, checkpoint.HashesSuffix, checkpoint.IndexSuffix} {
			files = append(files, pipeline.File{Path: o.Log + suffix, Written: true})
		}
	}
	if o.CheckpointKeyFile != "" {
		files = append(files, pipeline.File{Path: o.CheckpointKeyFile, Secret: true})
	}
	if o.CheckpointPublicKeyFile != "" {
		files = append(files, pipeline.File{Path: o.CheckpointPublicKeyFile})
	}
	if o.SigningKeyFile != "" {
		files = append(files, pipeline.File{Path: o.SigningKeyFile, Secret: true})
	}
	for _, k := range o.SigningKeys {
		if k.File != "" {
			files = append(files, pipeline.File{Path: k.File, Secret: true})
		}
	}
	return files
}

// leastRotateSize keeps a slip of the unit from making a file of each record.
const leastRotateSize document.Bytes = 64 << 10

// Stage records each exchange and gives FactEvidence.
type Stage struct {
	log     *sharedLog // nil where nothing is recorded
	ring    []Key
	turn    int64     // its place among the stages that wrote to the log
	adopt   sync.Once // has the log use the ring, once the stage is in force
	closing sync.Once
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
	ring, warnings, err := o.loadKeys()
	if err != nil {
		faults = multierror.Append(faults, err)
	}
	if o.RotateSize > 0 && o.RotateSize < leastRotateSize {
		faults = multierror.Append(faults, fmt.Errorf("rotate_size is %v, and %v is the least: each file costs a few syncs", o.RotateSize, leastRotateSize))
	}
	if err := checkName(o.Log); err != nil {
		faults = multierror.Append(faults, err)
	}
	notary, err := o.notary(log)
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
	setting := fmt.Sprintf("%s, sync %s, %s", o.Log, o.Sync, signing(ring))
	if notary != nil {
		setting += ", checkpoints"
	}
	old := before(o, env)
	if old != nil {
		if err := old.checkKeys(ring); err != nil {
			return nil, err
		}
	}
	if env.DryRun {
		return &Stage{setting: setting}, nil // opening it would lock it, and repair it
	}
	if old != nil {
		old.log.warnOfChanges(o, log)
		old.log.holders.Add(1)
		return &Stage{log: old.log, ring: ring, setting: setting, turn: old.log.turns.Add(1)}, nil
	}
	options := LogOptions{
		Sync: o.Sync, VerifyAll: o.VerifyAll, Log: log,
		RotateSize: int64(o.RotateSize), WarnFree: int64(o.WarnFree), MinFree: int64(o.MinFree),
	}
	if len(ring) > 0 {
		options.Key, options.KeyID, options.OldKeys = ring[0].Key, ring[0].ID, ring[1:]
	}
	if notary != nil {
		options.follow = notary
	}
	l, err := Open(o.Log, options)
	if err != nil {
		return nil, err
	}
	return &Stage{log: share(l, o, notary), ring: ring, setting: setting}, nil
}

// signing says how records are signed.
func signing(ring []Key) string {
	switch {
	case len(ring) == 0:
		return "not signed"
	case ring[0].ID == "":
		return "signed"
	}
	return "signed as " + ring[0].ID
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
	s.adopt.Do(s.signWithRing)
	id := newRecordID()
	x.SetEvidence(refPrefix + id)
	req, resp := x.Redacted()
	if err := s.log.Append(id, req, resp); err != nil {
		return errUnavailable.Because(err)
	}
	return nil
}

// signWithRing has the log sign with the newest key of this stage, which may have
// taken the place of another.
func (s *Stage) signWithRing() {
	if len(s.ring) > 0 {
		s.log.adopt(s.turn, s.ring[0])
	}
}

// Rotate closes the log's file under a number and begins another; see Log.Rotate.
func (s *Stage) Rotate() error {
	if s.log == nil {
		return nil
	}
	return s.log.Rotate()
}

// Close makes durable what was recorded and gives up the log.
func (s *Stage) Close() error {
	if s.log == nil {
		return nil
	}
	var err error
	s.closing.Do(func() { err = s.log.release() })
	return err
}
