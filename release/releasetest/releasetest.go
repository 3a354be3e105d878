// Package releasetest writes small signed packages for tests.
package releasetest

import (
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/Huzefaaa2/cavra/go/cavra-runtime/release"
)

// Wrapper is a file of every package that Write writes.
const Wrapper = "wrapper.sh"

// Write writes a valid package, whose binaries are all program, into a new
// directory, and the public key of its maker into a file elsewhere.
func Write(t testing.TB, version, program string) (dir, keyFile string) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	public, private, err := ed25519.GenerateKey(nil)
	must(err)
	der, err := x509.MarshalPKIXPublicKey(public)
	must(err)
	dir, keyFile = filepath.Join(Dir(t), release.Root(version)), filepath.Join(Dir(t), "maker.pub")
	must(os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), 0o644))

	var files []release.File
	add := func(path, text, mode string) release.Reference {
		t.Helper()
		at, bits := filepath.Join(dir, path), fs.FileMode(0o644)
		if mode == release.ModeProgram {
			bits = 0o755
		}
		must(os.MkdirAll(filepath.Dir(at), 0o755))
		must(os.WriteFile(at, []byte(text), bits))
		sum := sha256.Sum256([]byte(text))
		files = append(files, release.File{Path: path, SHA256: hex.EncodeToString(sum[:]), Size: int64(len(text)), Mode: mode})
		return release.Reference{Path: path, SHA256: hex.EncodeToString(sum[:])}
	}
	wrapper := add(Wrapper, "#!/bin/sh\n", release.ModeProgram)
	var binary release.Reference
	for _, system := range []string{"darwin/amd64", "darwin/arm64", "linux/arm64", "linux/amd64"} {
		goos, goarch, _ := strings.Cut(system, "/")
		binary = add(release.BinaryPath(goos, goarch), program, release.ModeProgram) // the last one counts
	}
	for _, path := range []string{"completions/_cavra-runtime", "completions/cavra-runtime.bash", "completions/cavra-runtime.fish", "man/cavra-runtime.1"} {
		add(path, path+"\n", release.ModeFile)
	}
	m := release.Manifest{Version: version, Commit: strings.Repeat("0", 40), Repository: "https://example.com/cavra"}
	add(release.BundlesName, string(release.Marshal(release.Bundles{
		SchemaVersion: release.BundlesSchema, Product: release.Product, Component: release.Component,
		Version: m.Version, Commit: m.Commit, Repository: m.Repository, GeneratedAt: "2026-01-02T03:04:05Z",
		RunnerScript: wrapper, GitHubAction: wrapper, Controls: []string{}, OperatorSteps: []string{},
		RunnerBundles: []release.RunnerBundle{{
			RunnerOS: "linux", RunnerArch: "amd64", RuntimeBinary: binary.Path, RuntimeBinarySHA256: binary.SHA256,
			ReusableWrapper: wrapper.Path, ReusableWrapperSHA: wrapper.SHA256, DefaultRequest: wrapper.Path,
			VerificationCommands: []string{}, RequiredOutputs: []string{},
		}},
	})), release.ModeFile)
	add(release.ChecksumsName, string(release.Checksums(files)), release.ModeFile)
	m.Files = files
	manifest, signature, err := release.Sign(m, private)
	must(err)
	must(os.WriteFile(filepath.Join(dir, release.ManifestName), manifest, 0o644))
	must(os.WriteFile(filepath.Join(dir, release.SignatureName), signature, 0o644))
	return dir, keyFile
}

// Dir is a new directory that every user can read, which t.TempDir is not always
// in. It is removed at the end of the test.
func Dir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "release")
	if err == nil {
		err = os.Chmod(dir, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}
