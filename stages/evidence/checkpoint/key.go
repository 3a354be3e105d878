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
	errPrivateKey = errors.New("it is no Ed25519 private key in PEM (PKCS8); make one with: " + makeKey)
	errEncrypted  = errors.New("it is no Ed25519 private key that can be used: it is encrypted, and nobody is asked for a passphrase; decrypt it with: openssl pkey -in ENCRYPTED -out KEY")
	errIsPublic   = errors.New("it is no Ed25519 private key: it is a public one; name the private key that belongs to it")
	errOtherKind  = errors.New("it is no Ed25519 private key: it is of another kind, such as RSA; make one with: " + makeKey)
	errOneLine    = errors.New("it is no Ed25519 private key in PEM: its line breaks were lost on the way; keep the lines of the file as they are")
	errPublicKey  = errors.New("it is no Ed25519 public key in PEM; the daemon's is printed by --evidence-public-key")
	errNotPublic  = errors.New("it holds a private key where the public one is enough; print that with --evidence-public-key, and keep this one to the daemon")
)

// ParsePrivateKey reads a private key, as openssl writes it.
func ParsePrivateKey(text []byte) (ed25519.PrivateKey, error) {
	text = bytes.TrimSpace(text) // what carried it may leave half an end of line
	block, rest := pem.Decode(text)
	switch {
	case block == nil && bytes.HasPrefix(text, []byte("-----BEGIN ")) && !bytes.Contains(text, []byte("\n")):
		return nil, errOneLine
	case block == nil || len(bytes.TrimSpace(rest)) > 0:
		return nil, errPrivateKey
	case block.Type == "ENCRYPTED PRIVATE KEY" || block.Headers["DEK-Info"] != "":
		return nil, errEncrypted
	case block.Type == "PUBLIC KEY":
		return nil, errIsPublic
	case block.Type != "PRIVATE KEY":
		return nil, errOtherKind
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, errPrivateKey
	}
	private, ok := key.(ed25519.PrivateKey)
	if !ok {
		return nil, errOtherKind
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
