package evidence

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/hashicorp/go-hclog"

	"github.com/Huzefaaa2/cavra/go/cavra-runtime/keys"
	"github.com/Huzefaaa2/cavra/go/cavra-runtime/stages/evidence/checkpoint"
)

// PrivateCheckpointKey is the key that signs checkpoints, nil where none is
// configured, and what to warn about.
func (o Options) PrivateCheckpointKey() (ed25519.PrivateKey, []string, error) {
	text, warnings, err := keys.Source{Option: "checkpoint_key", Key: o.CheckpointKey, File: o.CheckpointKeyFile}.Load()
	if err != nil || text == nil {
		return nil, nil, err
	}
	key, err := checkpoint.ParsePrivateKey(text)
	if err != nil {
		return nil, nil, fmt.Errorf("the checkpoint key cannot be used: %w", err)
	}
	return key, warnings, nil
}

// PublicCheckpointKeys are the keys that checkpoints are verified with: those of
// CheckpointPublicKeyFile, and that of the private key. There may be none.
func (o Options) PublicCheckpointKeys() ([]ed25519.PublicKey, error) {
	public, err := o.oldCheckpointKeys()
	if err != nil {
		return nil, err
	}
	private, _, err := o.PrivateCheckpointKey()
	if private != nil {
		public = append(public, private.Public().(ed25519.PublicKey))
	}
	return public, err
}

func (o Options) oldCheckpointKeys() ([]ed25519.PublicKey, error) {
	if o.CheckpointPublicKeyFile == "" {
		return nil, nil
	}
	text, err := os.ReadFile(o.CheckpointPublicKeyFile)
	var public []ed25519.PublicKey
	if err == nil {
		public, err = checkpoint.ParsePublicKeys(text)
	}
	if err != nil {
		return nil, fmt.Errorf("checkpoint_public_key_file: %w", err)
	}
	return public, nil
}

// notary makes the follower that signs checkpoints; nil where there is no key.
func (o Options) notary(log hclog.Logger) (*notary, error) {
	private, warnings, err := o.PrivateCheckpointKey()
	old, oldErr := o.oldCheckpointKeys()
	if err := errors.Join(err, oldErr); err != nil {
		return nil, err
	}
	for _, warning := range warnings {
		log.Warn(warning)
	}
	if private != nil {
		return newNotary(private, old, log), nil
	}
	// Whoever goes on without checkpoints has to say so, or removing the key would
	// do what truncating the log cannot.
	if _, err := os.Lstat(o.Log + checkpoint.Suffix); o.Log != "" && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("the evidence log %s has a checkpoint, and no key is configured to go on with: name it with --evidence-checkpoint-key; or, to go on without checkpoints, move %s away", o.Log, o.Log+checkpoint.Suffix)
	}
	return nil, nil
}
