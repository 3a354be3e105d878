//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package evidence

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/Huzefaaa2/cavra/go/cavra-runtime/pipeline"
	"github.com/Huzefaaa2/cavra/go/cavra-runtime/stages/evidence/checkpoint"
)

// keyFiles writes a new key and gives the paths of its halves.
func keyFiles(t *testing.T) (public ed25519.PublicKey, publicFile, privateFile, text string) {
	t.Helper()
	public, private := newCheckpointKey(t)
	der, err := x509.MarshalPKCS8PrivateKey(private)
	must(t, err)
	text = string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	dir := t.TempDir()
	publicFile, privateFile = filepath.Join(dir, "key.pub"), filepath.Join(dir, "key.pem")
	write(t, publicFile, checkpoint.FormatPublicKey(public))
	write(t, privateFile, []byte(text))
	return public, publicFile, privateFile, text
}

func TestStageWithCheckpoints(t *testing.T) {
	public, publicFile, privateFile, text := keyFiles(t)
	path := newPath(t)
	start := func(o Options) error {
		o.Log = path
		s, err := New(o, pipeline.Env{})
		if err != nil {
			return err
		}
		if s.log != nil && s.log.head.sequence == 0 {
			add(t, s.log.Log, "a")
		}
		return s.Close()
	}
	must(t, start(Options{CheckpointKeyFile: privateFile}))
	wantCheckpoint(t, path, public)
	must(t, start(Options{CheckpointKey: text}))

	_, otherPublicFile, otherFile, _ := keyFiles(t)
	for name, c := range map[string]struct {
		o    Options
		says string
	}{
		"no key":                     {Options{}, "--evidence-checkpoint-key"},
		"no key but the public one":  {Options{CheckpointPublicKeyFile: publicFile}, "--evidence-checkpoint-key"},
		"another key":                {Options{CheckpointKeyFile: otherFile}, "another key"},
		"the key twice":              {Options{CheckpointKeyFile: privateFile, CheckpointKey: text}, "both set"},
		"the public key for it":      {Options{CheckpointKeyFile: publicFile}, "no Ed25519 private key"},
		"the private one as public":  {Options{CheckpointKeyFile: privateFile, CheckpointPublicKeyFile: privateFile}, "checkpoint_public_key_file: it holds a private key"},
		"a public key that is none":  {Options{CheckpointKeyFile: privateFile, CheckpointPublicKeyFile: path}, "no Ed25519 public key"},
		"a public key file too many": {Options{CheckpointKeyFile: otherFile, CheckpointPublicKeyFile: otherPublicFile}, "another key"},
	} {
		err := start(c.o)
		if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		} else if strings.Contains(err.Error(), strings.Split(text, "\n")[1]) {
			t.Errorf("%s: the error holds the key", name)
		}
	}
	must(t, start(Options{CheckpointKeyFile: otherFile, CheckpointPublicKeyFile: publicFile}))
}

func TestFilesOfCheckpointsAreOurs(t *testing.T) {
	files := Options{Log: "log", CheckpointKeyFile: "key", CheckpointPublicKeyFile: "pub"}.Files()
	for _, want := range []pipeline.File{{Path: "log.checkpoint", Written: true}, {Path: "log.hashes", Written: true}, {Path: "log.index", Written: true}, {Path: "pub"}, {Path: "key", Secret: true}} {
		if !slices.Contains(files, want) {
			t.Errorf("%+v is not among %v", want, files)
		}
	}
}
