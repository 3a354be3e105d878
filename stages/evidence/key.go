package evidence

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/hashicorp/go-multierror"

	"github.com/Huzefaaa2/cavra/go/cavra-runtime/keys"
)

// key is where the signing key comes from.
func (o Options) key() keys.Source {
	return keys.Source{Option: "signing_key", Key: o.SigningKey, File: o.SigningKeyFile, ID: o.SigningKeyID}
}

// loadKeys reads the keys that the options name, the one that signs first. The
// error holds every fault, and none of a key.
func (o Options) loadKeys() (loaded []Key, warnings []string, err error) {
	var faults *multierror.Error
	fault := func(format string, args ...any) { faults = multierror.Append(faults, fmt.Errorf(format, args...)) }

	var sources []keys.Source
	if o.key().Set() {
		sources = append(sources, o.key())
	}
	for i, k := range o.SigningKeys {
		sources = append(sources, keys.Source{Option: fmt.Sprintf("signing_keys[%d]", i), Entry: true, File: k.File, ID: k.ID})
	}
	for i, source := range sources {
		key, more, err := source.Load()
		if err != nil {
			faults = multierror.Append(faults, err)
		}
		warnings = append(warnings, more...)
		for j, other := range sources[:i] {
			if source.ID != "" && source.ID == other.ID {
				fault("%s and %s have the same id; give each key an id of its own", other.Option, source.Option)
			}
			if key != nil && bytes.Equal(key, loaded[j].Key) {
				fault("%s and %s are the same key; leave one of them out", other.Option, source.Option)
			}
		}
		if key != nil && source.ID == "" && len(sources) > 1 {
			fault("%s has no id, and there are other keys; set signing_key_id", source.Option)
		}
		loaded = append(loaded, Key{source.ID, key})
	}
	if o.RequireSignature && len(sources) == 0 {
		faults = multierror.Append(faults, errNoKey)
	}
	return loaded, warnings, faults.ErrorOrNil()
}

var errNoKey = errors.New("signatures are required and there is no signing key; set signing_key_file, or CAVRA_DAEMON_EVIDENCE_HMAC_KEY")

// VerifyOptions gives what a verifier needs to check the log that these options
// make: the keys, read from their files where they stand in some.
func (o Options) VerifyOptions() (VerifyOptions, error) {
	v := VerifyOptions{}
	if o.SigningKey == "" && o.SigningKeyFile == "" {
		// Every record has to carry an id that is given without a key.
		v.KeyID, o.SigningKeyID = o.SigningKeyID, ""
	}
	loaded, _, err := o.loadKeys()
	if err != nil {
		return VerifyOptions{}, err
	}
	if o.SigningKey != "" || o.SigningKeyFile != "" {
		v.Key, v.KeyID, loaded = loaded[0].Key, loaded[0].ID, loaded[1:]
	}
	v.OldKeys = loaded
	return v, nil
}
