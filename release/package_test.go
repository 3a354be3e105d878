package release

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

const (
	testVersion = "v0.1.0"
	testScript  = "ci-runners/cavra-release-governance-runner.sh"
	testAction  = "ci-runners/github-action/action.yml"
	testRequest = "ci-runners/requests/approved-promotion.json"
)

// A pkg is a package in memory, to be written in every form, also a wrong one.
type pkg struct {
	files []item // manifest.json and manifest.sig.json first
	key   ed25519.PublicKey
}

// An item is an entry of an archive, or a file on disk.
type item struct {
	path string
	text string
	mode int64
	kind byte   // of tar; 0 for a file
	link string // where it leads
	uid  int
}

func newKey(t testing.TB) (ed25519.PublicKey, ed25519.PrivateKey) {
	t.Helper()
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	return public, private
}

func sum(text string) string {
	s := sha256.Sum256([]byte(text))
	return hex.EncodeToString(s[:])
}

// contents are the files that a release would have, but for what is made of them.
func contents() []item {
	linux, windows := BinaryPath("linux", "amd64"), BinaryPath("windows", "amd64")
	return []item{
		{path: linux, text: "\x7fELF of linux", mode: 0o755},
		{path: BinaryPath("darwin", "arm64"), text: "Mach-O of arm64", mode: 0o755},
		{path: windows, text: "MZ of windows", mode: 0o755},
		{path: testScript, text: "#!/bin/bash\n", mode: 0o755},
		{path: testAction, text: "name: action\n", mode: 0o644},
		{path: testRequest, text: "{}\n", mode: 0o644},
		{path: "LICENSE", text: "as you like\n", mode: 0o644},
		{path: "empty", mode: 0o644},
		{path: "install.sh", text: "#!/bin/sh\n", mode: 0o755},
	}
}

func bundlesOf(files []item) Bundles {
	ref := func(path string) Reference {
		for _, f := range files {
			if f.path == path {
				return Reference{path, sum(f.text)}
			}
		}
		return Reference{Path: path}
	}
	b := Bundles{
		SchemaVersion: BundlesSchema, Product: Product, Component: Component, Version: testVersion,
		Commit: strings.Repeat("ab", 20), Repository: "https://example.com/cavra", GeneratedAt: "2026-01-02T03:04:05Z",
		RunnerScript: ref(testScript), GitHubAction: ref(testAction),
		Controls: []string{"signed"}, OperatorSteps: []string{"verify"},
	}
	binary := ref(BinaryPath("linux", "amd64"))
	for _, provider := range []string{"GitHub Actions", "GitLab CI", "Azure Pipelines"} {
		b.RunnerBundles = append(b.RunnerBundles, RunnerBundle{
			Provider: provider, RunnerOS: "linux", RunnerArch: "amd64",
			RuntimeBinary: binary.Path, RuntimeBinarySHA256: binary.SHA256,
			ReusableWrapper: testScript, ReusableWrapperSHA: ref(testScript).SHA256, DefaultRequest: testRequest,
			VerificationCommands: []string{"true"}, RequiredOutputs: []string{"response.json"},
		})
	}
	return b
}

func listOf(files []item) (list []File) {
	for _, f := range files {
		mode := ModeFile
		if f.mode == 0o755 {
			mode = ModeProgram
		}
		list = append(list, File{f.path, sum(f.text), int64(len(f.text)), mode})
	}
	return list
}

// A build says how a package differs from a right one before it is signed.
type build struct {
	bundles   func(*Bundles)
	checksums func(string) string
	manifest  func(string) string // its bytes, which are signed
	more      []item
}

func (b build) make(t testing.TB, private ed25519.PrivateKey) pkg {
	t.Helper()
	files := append(contents(), b.more...)
	bundles := bundlesOf(files)
	if b.bundles != nil {
		b.bundles(&bundles)
	}
	files = append(files, item{path: BundlesName, text: string(Marshal(bundles)), mode: 0o644})
	checksums := string(Checksums(listOf(files)))
	if b.checksums != nil {
		checksums = b.checksums(checksums)
	}
	files = append(files, item{path: ChecksumsName, text: checksums, mode: 0o644})
	slices.SortFunc(files, func(a, b item) int { return strings.Compare(a.path, b.path) })
	manifest, signature, err := Sign(Manifest{Version: testVersion, Commit: bundlesOf(nil).Commit, Repository: bundlesOf(nil).Repository, Files: listOf(files)}, private)
	if err != nil {
		t.Fatal(err)
	}
	if b.manifest != nil {
		changed := []byte(b.manifest(string(manifest)))
		if bytes.Equal(changed, manifest) {
			t.Fatal("the manifest was not changed")
		}
		manifest, signature = changed, signBytes(changed, private)
	}
	head := []item{{path: ManifestName, text: string(manifest), mode: 0o644}, {path: SignatureName, text: string(signature), mode: 0o644}}
	return pkg{append(head, files...), private.Public().(ed25519.PublicKey)}
}

func (p *pkg) find(t testing.TB, path string) *item {
	t.Helper()
	i := slices.IndexFunc(p.files, func(f item) bool { return f.path == path })
	if i < 0 {
		t.Fatalf("the package has no %s", path)
	}
	return &p.files[i]
}

// dirs are the directories of the files, each after the one that it is in.
func (p *pkg) dirs() (dirs []string) {
	for _, f := range p.files {
		for dir := path.Dir(f.path); dir != "." && dir != "/"; dir = path.Dir(dir) {
			if !slices.Contains(dirs, dir) {
				dirs = append(dirs, dir)
			}
		}
	}
	slices.Sort(dirs)
	return dirs
}

// inside is the path of an entry in an archive; those that begin with "!" are
// taken as they stand.
func inside(path string) string {
	if raw, ok := strings.CutPrefix(path, "!"); ok {
		return raw
	}
	return Root(testVersion) + "/" + path
}

func (p *pkg) tar(t testing.TB, format tar.Format) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	add := func(f item) {
		h := &tar.Header{Typeflag: cmpKind(f.kind), Name: inside(f.path), Linkname: f.link, Mode: f.mode, Size: int64(len(f.text)), Uid: f.uid, Format: format, ModTime: time.Unix(1, 0)}
		if format == tar.FormatPAX {
			h.ModTime = time.Unix(1, 5) // which needs a record of PAX
		}
		if h.Typeflag != tar.TypeReg {
			h.Size = 0
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if h.Size > 0 {
			if _, err := w.Write([]byte(f.text)); err != nil {
				t.Fatal(err)
			}
		}
	}
	add(item{path: "!" + Root(testVersion) + "/", kind: tar.TypeDir, mode: 0o755})
	for _, dir := range p.dirs() {
		if !strings.HasPrefix(dir, "!") {
			add(item{path: dir + "/", kind: tar.TypeDir, mode: 0o755})
		}
	}
	for _, f := range p.files {
		add(f)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func cmpKind(kind byte) byte {
	if kind == 0 {
		return tar.TypeReg
	}
	return kind
}

func zipped(text []byte) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write(text) // a buffer takes all
	_ = w.Close()
	return b.Bytes()
}

func (p *pkg) targz(t testing.TB) []byte { return zipped(p.tar(t, tar.FormatUSTAR)) }

func (p *pkg) zip(t testing.TB) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, f := range p.files {
		h := &zip.FileHeader{Name: inside(f.path), Method: zip.Deflate, Modified: time.Unix(1<<30, 0)}
		mode, text := fs.FileMode(f.mode&0o777), f.text
		if f.mode&0o4000 != 0 {
			mode |= fs.ModeSetuid
		}
		switch f.kind {
		case tar.TypeSymlink:
			mode, text = mode|fs.ModeSymlink, f.link
		case tar.TypeFifo:
			mode |= fs.ModeNamedPipe
		case tar.TypeDir:
			mode |= fs.ModeDir
			h.Name += "/"
		}
		h.SetMode(mode)
		part, err := w.CreateHeader(h)
		if err == nil {
			_, err = part.Write([]byte(text))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// dir writes the package below a new directory.
func (p *pkg) dir(t testing.TB) string {
	t.Helper()
	root := filepath.Join(t.TempDir(), Root(testVersion))
	for _, dir := range append([]string{"."}, p.dirs()...) {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range p.files {
		at := filepath.Join(root, f.path)
		err := os.WriteFile(at, []byte(f.text), 0o600)
		if err == nil {
			err = os.Chmod(at, fs.FileMode(f.mode))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func write(t testing.TB, name string, text []byte) string {
	t.Helper()
	name = filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(name, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// kinds are those of the faults, each once, sorted.
func kinds(r Report) (kinds []string) {
	for _, f := range r.Errors {
		kinds = append(kinds, f.Kind)
	}
	slices.Sort(kinds)
	return slices.Compact(kinds)
}
