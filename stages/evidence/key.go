package evidence

import "github.com/Huzefaaa2/cavra/go/cavra-runtime/keys"

// key is where the signing key comes from.
func (o Options) key() keys.Source {
	return keys.Source{Option: "signing_key", Key: o.SigningKey, File: o.SigningKeyFile, ID: o.SigningKeyID}
}

// VerifyOptions gives what a verifier needs to check the log that these options
// make: the key, read from its file where it stands in one.
func (o Options) VerifyOptions() (VerifyOptions, error) {
	if o.SigningKey == "" && o.SigningKeyFile == "" {
		return VerifyOptions{KeyID: o.SigningKeyID}, nil // an id can be checked without the key
	}
	key, _, err := o.key().Load()
	return VerifyOptions{Key: key, KeyID: o.SigningKeyID}, err
}
