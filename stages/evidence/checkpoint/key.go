package checkpoint

import (
	"bytes"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"errors"
)

// The one line that makes a key.
const makeKey = "openssl genpkey -algorithm ed25519"

var (
	errPrivateKey = errors.New("it is no Ed25519 private key in PEM (PKCS #8); make one with: " + makeKey)
	errPublicKey  = errors.New("it is no Ed25519 public key in PEM; the daemon's is printed by --evidence-public-key")
	errNotPublic  = errors.New("it holds a private key where the public one is enough; print that with --evidence-public-key, and keep this one to the daemon")
)

// ParsePrivateKey reads a private key, as openssl writes it.
func ParsePrivateKey(text []byte) (ed25519.PrivateKey, error) {
	block, rest := pem.Decode(bytes.TrimSpace(text)) // what carried it may leave half an end of line
	if block == nil || block.Type != "PRIVATE KEY" || len(bytes.TrimSpace(rest)) > 0 {
		return nil, errPrivateKey
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, errPrivateKey
	}
	private, ok := key.(ed25519.PrivateKey)
	if !ok {
		return nil, errPrivateKey
	}
	return private, nil
}

// ParsePublicKeys reads one public key or more, one after the other: several are
// needed for checkpoints from before and after a change of keys.
func ParsePublicKeys(text []byte) (keys []ed25519.PublicKey, err error) {
	for len(bytes.TrimSpace(text)) > 0 {
		block, rest := pem.Decode(text)
		switch {
		case block == nil:
			return nil, errPublicKey
		case block.Type == "PRIVATE KEY":
			return nil, errNotPublic
		case block.Type != "PUBLIC KEY":
			return nil, errPublicKey
		}
		key, err := x509.ParsePKIXPublicKey(block.Bytes)
		if err != nil {
			return nil, errPublicKey
		}
		public, ok := key.(ed25519.PublicKey)
		if !ok {
			return nil, errPublicKey
		}
		keys, text = append(keys, public), rest
	}
	if len(keys) == 0 {
		return nil, errPublicKey
	}
	return keys, nil
}

// FormatPublicKey gives a public key in PEM.
func FormatPublicKey(key ed25519.PublicKey) []byte {
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		panic(err) // every Ed25519 key has this form
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}
