package main

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/Huzefaaa2/cavra/go/cavra-runtime/release"
	"github.com/Huzefaaa2/cavra/go/cavra-runtime/stages/evidence/checkpoint"
)

// A packager makes one package.
type packager struct {
	source   source
	build    build
	targets  []target
	again    []target           // those that are built twice
	key      ed25519.PrivateKey // nil signs nothing
	out      string
	progress io.Writer
}

// run builds, packs, signs and verifies, and returns the path of the package. It
// appears under that path when it is whole.
func (p packager) run(ctx context.Context) (string, error) {
	made := filepath.Join(p.out, release.Root(p.build.version))
	for _, path := range []string{made, made + ".tar.gz"} {
		if _, err := os.Lstat(path); err == nil {
			return "", fmt.Errorf("%s is there already; a release is not written twice, so move it away or name another --out", path)
		}
	}
	if err := os.MkdirAll(p.out, 0o755); err != nil {
		return "", err
	}
	work, err := os.MkdirTemp(p.out, ".partial-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(work)
	if p.source.tracked && !p.source.dirty {
		// What the commit holds, and not what lies in its place: line ends, files that
		// git ignores, changes that it was told not to look at.
		p.build.root = filepath.Join(work, "source")
		if err := os.Mkdir(p.build.root, 0o755); err != nil {
			return "", err
		}
		if err := p.source.export(ctx, p.build.root); err != nil {
			return "", err
		}
	}

	binaries, tool, err := p.binaries(ctx, filepath.Join(work, "build"))
	if err != nil {
		return "", err
	}
	files, err := p.files(ctx, binaries, tool)
	if err != nil {
		return "", err
	}
	staged := filepath.Join(work, release.Root(p.build.version))
	if err := writeFiles(staged, files); err != nil {
		return "", err
	}
	archive := staged + ".tar.gz"
	if err := p.pack(archive, files); err != nil {
		return "", err
	}
	if err := p.verify(ctx, tool, staged, archive); err != nil {
		return "", err
	}
	sum, err := os.ReadFile(archive)
	if err != nil {
		return "", err
	}
	checksum := sha256Hex(sum) + "  " + filepath.Base(archive) + "\n"
	if err := os.WriteFile(archive+".sha256", []byte(checksum), 0o644); err != nil {
		return "", err
	}
	for _, name := range []string{archive + ".sha256", archive, staged} { // the package last
		if err := os.Rename(name, filepath.Join(p.out, filepath.Base(name))); err != nil {
			return "", err
		}
	}
	return made, nil
}

// verify holds the package to its own signature, as a directory and as an archive:
// with the code of this tree, and with the program that was just built.
func (p packager) verify(ctx context.Context, tool string, packages ...string) error {
	if p.key == nil {
		return nil
	}
	p.step("verify")
	public := p.key.Public().(ed25519.PublicKey)
	keyFile := filepath.Join(filepath.Dir(packages[0]), "release.pub")
	if err := os.WriteFile(keyFile, checkpoint.FormatPublicKey(public), 0o644); err != nil {
		return err
	}
	for _, path := range packages {
		if report := release.Verify(path, public); !report.Valid {
			return fmt.Errorf("%s does not verify: %+v", filepath.Base(path), report.Errors)
		}
		if _, err := printedBy(ctx, tool, "--verify-package", path, "--package-key", keyFile); err != nil {
			return err
		}
	}
	return nil
}

// step says what is done now, and since when.
func (p packager) step(format string, args ...any) {
	fmt.Fprintf(p.progress, "release: %s "+format+"\n", append([]any{time.Now().Format(time.TimeOnly)}, args...)...)
}

// binaries builds the targets, and compares with a second build. tool is a binary
// that runs here; it is one of them, or one more.
func (p packager) binaries(ctx context.Context, dir string) (binaries []built, tool string, err error) {
	path := func(t target) string { return filepath.Join(dir, filepath.FromSlash(t.binary())) }
	wanted := p.targets
	if !slices.Contains(wanted, host) {
		wanted = append(slices.Clone(wanted), host)
	}
	for _, t := range wanted {
		p.step("build %v", t)
		if err := p.build.binary(ctx, t, path(t)); err != nil {
			return nil, "", err
		}
	}
	if len(p.again) > 0 {
		p.step("build again, elsewhere and from nothing: %v", p.again)
		if err := reproduces(ctx, p.source, p.build, p.again, path); err != nil {
			return nil, "", err
		}
	}
	for _, t := range p.targets {
		text, err := os.ReadFile(path(t))
		if err != nil {
			return nil, "", err
		}
		binaries = append(binaries, built{target: t, text: text, sum: sha256Hex(text)})
	}
	return binaries, path(host), nil
}

// files are all files of the package, the manifest and its signature first.
func (p packager) files(ctx context.Context, binaries []built, tool string) ([]file, error) {
	p.step("pack")
	s, err := p.shared(ctx, tool)
	if err != nil {
		return nil, err
	}
	var licences map[string][]string
	if s.licences, licences, err = p.build.licences(ctx, binaries); err != nil {
		return nil, err
	}
	var made []file // what the provenance is of
	for _, b := range binaries {
		made = append(made, file{b.target.binary(), b.text, true})
		archive, err := s.archive(b)
		if err != nil {
			return nil, err
		}
		made = append(made, archive)
		if b.target.os != "linux" {
			continue
		}
		packages, err := s.distributionPackages(b)
		if err != nil {
			return nil, err
		}
		made = append(made, packages...)
	}
	files, err := p.copied(s)
	if err != nil {
		return nil, err
	}
	files = append(files, made...)
	materials, err := sbom(p.build.version, p.source.time, binaries, licences)
	if err != nil {
		return nil, err
	}
	origin, err := p.provenance(binaries, made)
	if err != nil {
		return nil, err
	}
	bundles, err := p.bundles(files)
	if err != nil {
		return nil, err
	}
	return p.sealed(append(files, file{name: sbomFile, text: materials}, origin, bundles))
}

// shared reads what every archive holds, and has the tool print the rest.
func (p packager) shared(ctx context.Context, tool string) (shared, error) {
	s := shared{version: p.build.version, homeURL: repository, at: p.source.time, scripts: filepath.Join(p.build.root, "packaging", "linux")}
	for path, to := range map[string]*[]byte{
		"LICENSE":                            &s.license,
		"packaging/README.md":                &s.readme,
		"packaging/archive.md":               &s.archiveReadme,
		"packaging/linux/README.md":          &s.linuxReadme,
		"docs/systemd/cavra-runtime.service": &s.service,
		"docs/systemd/cavra-runtime.socket":  &s.socket,
		"docs/systemd/cavra-runtime.yaml":    &s.config,
	} {
		text, err := p.read(path)
		if err != nil {
			return s, err
		}
		*to = text
	}
	for flag, to := range map[string]*[]byte{
		"--man": &s.man, "--completion=bash": &s.bash, "--completion=zsh": &s.zsh, "--completion=fish": &s.fish,
	} {
		text, err := printedBy(ctx, tool, flag)
		if err != nil {
			return s, err
		}
		*to = text
	}
	var err error
	s.runners, err = p.runners()
	return s, err
}

func (p packager) read(path string) ([]byte, error) {
	return os.ReadFile(filepath.Join(p.build.root, filepath.FromSlash(path)))
}

// copied are the files that are the same in every package of a commit.
func (p packager) copied(s shared) ([]file, error) {
	installer, err := p.read("packaging/install.sh")
	return append(append(s.common(s.readme), s.systemd()...), file{"install.sh", installer, true}), err
}

// runners are what CI runners need beside the program.
func (p packager) runners() (files []file, err error) {
	for _, f := range []struct {
		name, from string
		executable bool
	}{
		{runnerScript, "examples/ci-runners/cavra-release-governance-runner.sh", true},
		{githubAction, "examples/github-actions/actions/cavra-release-governance-go-runtime/action.yml", false},
		{defaultRequest, "examples/go-runtime/typed-release-governance/approved-promotion.json", false},
		{"ci-runners/templates/github-actions.yml", "examples/github-actions/cavra-release-governance-go-runtime.yml", false},
		{"ci-runners/templates/gitlab-ci.yml", "examples/gitlab-ci/cavra-release-governance-go-runtime.gitlab-ci.yml", false},
		{"ci-runners/templates/azure-pipelines.yml", "examples/azure-pipelines/cavra-release-governance-go-runtime.azure-pipelines.yml", false},
	} {
		text, err := p.read(f.from)
		if err != nil {
			return nil, err
		}
		files = append(files, file{f.name, text, f.executable})
	}
	return files, nil
}

// provenance is the file that says what the others were made from.
func (p packager) provenance(binaries []built, made []file) (file, error) {
	goVersion, modules, err := madeOf(binaries)
	if err != nil {
		return file{}, err
	}
	statement, err := provenance(p.source, p.build, goVersion, modules, p.targets, made)
	if err != nil || p.key == nil {
		return file{name: statementFile, text: statement}, err
	}
	text, err := seal(statement, p.key, release.KeyID(p.key.Public().(ed25519.PublicKey)))
	return file{name: provenanceFile, text: text}, err
}

// sealed puts the manifest, its signature and the checksums to the files.
func (p packager) sealed(files []file) ([]file, error) {
	files = append(byName(files), file{name: release.ChecksumsName, text: release.Checksums(listed(files))})
	key := p.key
	if key == nil { // one that nobody has: what is signed with it is thrown away
		var err error
		if _, key, err = ed25519.GenerateKey(nil); err != nil {
			return nil, err
		}
	}
	manifest, signature, err := release.Sign(release.Manifest{
		Version: p.build.version, Commit: p.build.commit, Repository: repository, Files: listed(files),
	}, key)
	if err != nil {
		return nil, err
	}
	first := []file{{name: release.ManifestName, text: manifest}}
	if p.key != nil {
		first = append(first, file{name: release.SignatureName, text: signature})
	}
	return append(first, files...), nil
}

// listed are the files as a manifest has them.
func listed(files []file) (list []release.File) {
	for _, f := range files {
		list = append(list, release.File{
			Path: f.name, SHA256: sha256Hex(f.text), Size: int64(len(f.text)), Mode: fmt.Sprintf("%04o", f.mode()),
		})
	}
	return list
}

// pack writes the archive of the whole package.
func (p packager) pack(path string, files []file) error {
	to, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	defer to.Close()
	if err := packTarGz(to, release.Root(p.build.version), p.source.time, files); err != nil {
		return err
	}
	return to.Close()
}

// writeFiles writes the files below dir, with their modes whatever the umask.
func writeFiles(dir string, files []file) error {
	for _, f := range files {
		path := filepath.Join(dir, filepath.FromSlash(f.name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, f.text, f.mode()); err != nil {
			return err
		}
		if err := os.Chmod(path, f.mode()); err != nil {
			return err
		}
	}
	return nil
}

func sha256Hex(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}
