package main

import (
	"bytes"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/goreleaser/nfpm/v2"
	"github.com/goreleaser/nfpm/v2/deb"
	"github.com/goreleaser/nfpm/v2/files"
	"github.com/goreleaser/nfpm/v2/rpm"
)

// shared are the files that every package and archive of a target is made from,
// beside its binary.
type shared struct {
	license          []byte
	readme           []byte // of the package
	archiveReadme    []byte
	linuxReadme      []byte // of what the units need
	licences         []byte // of the modules that the binaries hold
	man              []byte
	bash, zsh, fish  []byte
	runners          []file // what CI runners need
	service, socket  []byte // units of systemd
	config           []byte // that of the units
	scripts          string // the directory of the maintainer scripts
	version, homeURL string
	at               time.Time
}

// distributionPackages are the Debian and the RPM package of a Linux target.
func (s shared) distributionPackages(b built) ([]file, error) {
	var made []file
	for _, packager := range []interface {
		nfpm.Packager
		ConventionalExtension() string
	}{deb.Default, rpm.DefaultRPM} {
		kind := strings.TrimPrefix(packager.ConventionalExtension(), ".")
		f, err := s.distributionPackage(b, kind, packager)
		if err != nil {
			return nil, fmt.Errorf("the %s package for %v: %w", kind, b.target, err)
		}
		made = append(made, f)
	}
	return made, nil
}

func (s shared) distributionPackage(b built, kind string, packager nfpm.Packager) (file, error) {
	stage, err := os.MkdirTemp("", "cavra-release-"+kind+"-")
	if err != nil {
		return file{}, err
	}
	defer os.RemoveAll(stage)
	contents, err := s.contents(b, kind, stage)
	if err != nil {
		return file{}, err
	}
	info := nfpm.WithDefaults(&nfpm.Info{
		Name: "cavra-runtime", Arch: b.target.arch, Platform: "linux", Version: s.version,
		Maintainer: "CAVRA <" + s.homeURL + ">", Vendor: "CAVRA", Homepage: s.homeURL, License: "Apache-2.0",
		Section: "admin", Priority: "optional", MTime: s.at, DisableGlobbing: true,
		Description: "Decides before an agent or a CI runner acts, and records the decision\n" +
			"A daemon on a Unix socket that answers allow, require_approval or block, and\nkeeps evidence of its answers that can be verified.",
		Overridables: nfpm.Overridables{
			Contents: contents,
			Depends:  map[string][]string{"deb": {"passwd"}, "rpm": {"shadow-utils"}}[kind],
			Scripts: nfpm.Scripts{
				PostInstall: filepath.Join(s.scripts, "postinstall.sh"),
				PreRemove:   filepath.Join(s.scripts, "preremove.sh"),
				PostRemove:  filepath.Join(s.scripts, "postremove.sh"),
			},
			RPM: nfpm.RPM{BuildHost: "localhost"}, // the machine's name would differ from one to the next
		},
	})
	if err := nfpm.Validate(info); err != nil {
		return file{}, err
	}
	var text bytes.Buffer
	if err := packager.Package(info, &text); err != nil {
		return file{}, err
	}
	return file{name: "packages/" + packager.ConventionalFileName(info), text: text.Bytes()}, nil
}

// contents are the files of a Debian or RPM package, staged in the directory stage.
func (s shared) contents(b built, kind, stage string) (files.Contents, error) {
	zsh, license := "/usr/share/zsh/vendor-completions/_cavra-runtime", "/usr/share/doc/cavra-runtime/copyright"
	if kind == "rpm" {
		zsh, license = "/usr/share/zsh/site-functions/_cavra-runtime", "/usr/share/licenses/cavra-runtime/LICENSE"
	}
	const config = "/etc/cavra/cavra-runtime.yaml"
	var contents files.Contents
	for _, f := range []file{
		{"/usr/bin/cavra-runtime", b.text, true},
		{"/usr/lib/systemd/system/cavra-runtime.service", s.service, false},
		{"/usr/lib/systemd/system/cavra-runtime.socket", s.socket, false},
		{config, s.config, false},
		{"/usr/share/man/man1/cavra-runtime.1.gz", zipped(s.man), false},
		{"/usr/share/bash-completion/completions/cavra-runtime", s.bash, false},
		{zsh, s.zsh, false},
		{"/usr/share/fish/vendor_completions.d/cavra-runtime.fish", s.fish, false},
		{"/usr/share/doc/cavra-runtime/README.md", s.linuxReadme, false},
		{license, s.license, false},
		{path.Join(path.Dir(license), licencesFile), s.licences, false},
	} {
		staged := filepath.Join(stage, filepath.FromSlash(f.name))
		if err := os.MkdirAll(filepath.Dir(staged), 0o755); err != nil {
			return nil, err
		}
		if err := os.WriteFile(staged, f.text, 0o644); err != nil {
			return nil, err
		}
		c := &files.Content{Source: staged, Destination: f.name, FileInfo: &files.ContentFileInfo{Mode: f.mode(), MTime: s.at, Owner: "root", Group: "root"}}
		if f.name == config {
			c.Type = files.TypeConfigNoReplace // what the operator wrote outlives an upgrade
		}
		contents = append(contents, c)
	}
	return append(contents, &files.Content{Destination: path.Dir(config), Type: files.TypeDir,
		FileInfo: &files.ContentFileInfo{Mode: 0o755, MTime: s.at, Owner: "root", Group: "root"}}), nil
}

// common are the files that the package and every archive hold, but for the readme.
func (s shared) common(readme []byte) []file {
	return append([]file{
		{"LICENSE", s.license, false},
		{licencesFile, s.licences, false},
		{"README.md", readme, false},
		{"completions/_cavra-runtime", s.zsh, false},
		{"completions/cavra-runtime.bash", s.bash, false},
		{"completions/cavra-runtime.fish", s.fish, false},
		{"man/cavra-runtime.1", s.man, false},
	}, s.runners...)
}

// systemd are the units, what configures them, and what to do with them.
func (s shared) systemd() []file {
	return []file{
		{"systemd/README.md", s.linuxReadme, false},
		{"systemd/cavra-runtime.service", s.service, false},
		{"systemd/cavra-runtime.socket", s.socket, false},
		{"systemd/cavra-runtime.yaml", s.config, false},
	}
}

// archive is the target's archive: its binary, and what is installed beside it.
func (s shared) archive(b built) (file, error) {
	top := "cavra-runtime-" + s.version + "-" + b.target.os + "-" + b.target.arch
	held := append(s.common(s.archiveReadme), file{b.target.program(), b.text, true})
	if b.target.os == "linux" {
		held = append(held, s.systemd()...)
	}
	var text bytes.Buffer
	pack, extension := packTarGz, ".tar.gz"
	if b.target.os == "windows" {
		pack, extension = packZip, ".zip"
	}
	err := pack(&text, top, s.at, byName(held))
	return file{name: "archives/" + top + extension, text: text.Bytes()}, err
}
