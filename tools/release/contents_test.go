package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/ed25519"
	"debug/buildinfo"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/CycloneDX/cyclonedx-go"
	"github.com/blakesmith/ar"
	"github.com/sassoftware/go-rpmutils"

	"github.com/Huzefaaa2/cavra/go/cavra-runtime/release"
)

func TestProvenance(t *testing.T) {
	p := thePackage(t)
	var e struct {
		PayloadType, Payload string
		Signatures           []struct{ KeyID, Sig string }
	}
	if err := json.Unmarshal(p.file(t, provenanceFile), &e); err != nil {
		t.Fatal(err)
	}
	payload, err := base64.StdEncoding.DecodeString(e.Payload)
	if err != nil {
		t.Fatal(err)
	}
	sig, err := base64.StdEncoding.DecodeString(e.Signatures[0].Sig)
	if err != nil {
		t.Fatal(err)
	}
	signed := fmt.Sprintf("DSSEv1 28 application/vnd.in-toto+json %d %s", len(payload), payload)
	if !ed25519.Verify(p.public, []byte(signed), sig) || e.Signatures[0].KeyID != release.KeyID(p.public) || e.PayloadType != "application/vnd.in-toto+json" {
		t.Error("the signature does not hold")
	}
	var s statement
	if err := json.Unmarshal(payload, &s); err != nil {
		t.Fatal(err)
	}
	if s.Type != "https://in-toto.io/Statement/v1" || s.PredicateType != "https://slsa.dev/provenance/v1" {
		t.Errorf("it is a %s of %s", s.Type, s.PredicateType)
	}
	if d := s.Predicate.BuildDefinition.ResolvedDependencies; len(d) < 3 || d[0].Digest["gitCommit"] != p.commit || d[1].URI != purl("std", strings.TrimPrefix(runtime.Version(), "go")) || len(d[2].Digest["dirHash"]) != 64 {
		t.Errorf("it was made from %v, and not from %s", d, p.commit)
	}
	if s.Predicate.RunDetails.Builder.ID == "" || s.Predicate.BuildDefinition.BuildType == "" {
		t.Error("the builder or the kind of build is not named")
	}
	var subjects []string
	for _, r := range s.Subject {
		if r.Digest["sha256"] != sha256Hex(p.file(t, r.Name)) {
			t.Errorf("the digest of %s is another", r.Name)
		}
		subjects = append(subjects, r.Name)
	}
	for name := range p.files {
		of := strings.HasPrefix(name, "bin/") || strings.HasPrefix(name, "archives/") || strings.HasPrefix(name, "packages/")
		if of != slices.Contains(subjects, name) {
			t.Errorf("%s: a subject is %v", name, !of)
		}
	}
}

// TestTheProvenancePayloadsAreToldApart holds the text that is signed to the example
// of the DSSE specification.
func TestTheProvenancePayloadsAreToldApart(t *testing.T) {
	if got := string(preAuthentication("http://example.com/HelloWorld", []byte("hello world"))); got != "DSSEv1 29 http://example.com/HelloWorld 11 hello world" {
		t.Errorf("%q", got)
	}
}

func TestBillOfMaterials(t *testing.T) {
	p := thePackage(t)
	text := p.file(t, sbomFile)
	var bom cyclonedx.BOM
	if err := cyclonedx.NewBOMDecoder(bytes.NewReader(text), cyclonedx.BOMFileFormatJSON).Decode(&bom); err != nil {
		t.Fatal(err)
	}
	var again bytes.Buffer
	if err := cyclonedx.NewBOMEncoder(&again, cyclonedx.BOMFileFormatJSON).SetPretty(true).Encode(&bom); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(text, again.Bytes()) {
		t.Error("the library reads other things than it wrote")
	}
	if bom.SpecVersion != cyclonedx.SpecVersion1_6 || bom.Metadata.Component.Version != version {
		t.Errorf("it is of %v, for %s", bom.SpecVersion, bom.Metadata.Component.Version)
	}
	components, licences := map[string]cyclonedx.Component{}, p.file(t, licencesFile)
	for _, c := range *bom.Components {
		if _, twice := components[c.BOMRef]; twice || c.BOMRef == "" {
			t.Errorf("the reference %q is there twice, or empty", c.BOMRef)
		}
		components[c.BOMRef] = c
		if c.Type != cyclonedx.ComponentTypeLibrary {
			continue
		}
		told := ""
		if c.Licenses != nil && (*c.Licenses)[0].License != nil {
			told = (*c.Licenses)[0].License.ID
		} else if c.Licenses != nil {
			told = (*c.Licenses)[0].Expression
		}
		if told == "" || !bytes.Contains(licences, []byte("==== "+c.Name+" "+c.Version+" ("+told)) {
			t.Errorf("the licence of %s is not told: %+v", c.Name, c.Licenses)
		}
	}
	components[bom.Metadata.Component.BOMRef] = *bom.Metadata.Component
	info, err := buildinfo.Read(bytes.NewReader(p.file(t, runner.binary())))
	if err != nil {
		t.Fatal(err)
	}
	needs := []string{purl("std", strings.TrimPrefix(info.GoVersion, "go"))}
	for _, m := range info.Deps {
		needs = append(needs, purl(m.Path, m.Version))
		if c := components[purl(m.Path, m.Version)]; c.Properties == nil || (*c.Properties)[0].Value != m.Sum {
			t.Errorf("%s is %+v", m.Path, c)
		}
	}
	slices.Sort(needs)
	if hash := (*components[runner.binary()].Hashes)[0]; hash.Value != sha256Hex(p.file(t, runner.binary())) {
		t.Error("the binary's hash is another")
	}
	for _, d := range *bom.Dependencies {
		if _, known := components[d.Ref]; !known {
			t.Errorf("%s depends on something, and is no component", d.Ref)
		}
		if d.Ref == runner.binary() && !reflect.DeepEqual(*d.Dependencies, needs) {
			t.Errorf("the binary is said to hold %v and holds %v", *d.Dependencies, needs)
		}
	}
}

// A packed is one entry of an archive.
type packed struct {
	name string
	mode int64
	file bool // and no directory or link
	at   time.Time
	text []byte
}

func tarEntries(t *testing.T, r io.Reader) (entries []packed) {
	t.Helper()
	unzipped, err := gzip.NewReader(r)
	if err != nil {
		t.Fatal(err)
	}
	if unzipped.Name != "" || !unzipped.ModTime.IsZero() {
		t.Errorf("gzip tells the name %q and the time %v", unzipped.Name, unzipped.ModTime)
	}
	for files := tar.NewReader(unzipped); ; {
		h, err := files.Next()
		if err == io.EOF {
			return entries
		}
		if err != nil {
			t.Fatal(err)
		}
		if h.Uid != 0 || h.Gid != 0 || h.Uname != "" && h.Uname != "root" || h.Gname != "" && h.Gname != "root" {
			t.Errorf("%s belongs to %d:%d, %s:%s", h.Name, h.Uid, h.Gid, h.Uname, h.Gname)
		}
		if h.Typeflag != tar.TypeReg && h.Typeflag != tar.TypeDir {
			t.Errorf("%s is neither a file nor a directory", h.Name)
		}
		text, err := io.ReadAll(files)
		if err != nil {
			t.Fatal(err)
		}
		entries = append(entries, packed{strings.TrimPrefix(h.Name, "./"), h.Mode, h.Typeflag == tar.TypeReg, h.ModTime.UTC(), text})
	}
}

func zipEntries(t *testing.T, text []byte) (entries []packed) {
	t.Helper()
	r, err := zip.NewReader(bytes.NewReader(text), int64(len(text)))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range r.File {
		opened, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(opened)
		if err != nil {
			t.Fatal(err)
		}
		entries = append(entries, packed{f.Name, int64(f.Mode().Perm()), f.Mode().IsRegular(), f.Modified.UTC(), text})
	}
	return entries
}

// plainEntries holds entries to what comes out of an archive as it went in on every
// system: below one directory, with names that Windows has and that differ by more
// than case.
func plainEntries(t *testing.T, top string, at time.Time, entries []packed) {
	t.Helper()
	seen := map[string]bool{}
	for _, e := range entries {
		name := strings.TrimSuffix(e.name, "/")
		if seen[strings.ToLower(name)] {
			t.Errorf("%s is there twice, to a file system that folds case", name)
		}
		seen[strings.ToLower(name)] = true
		if !filepath.IsLocal(name) || name != top && !strings.HasPrefix(name, top+"/") {
			t.Errorf("%s is not below %s", name, top)
		}
		for _, part := range strings.Split(name, "/") {
			stem, _, _ := strings.Cut(strings.ToUpper(part), ".")
			if strings.ContainsAny(part, `<>:"\|?*`) || strings.HasSuffix(part, ".") || strings.HasSuffix(part, " ") ||
				slices.Contains([]string{"CON", "PRN", "AUX", "NUL", "COM1", "LPT1"}, stem) {
				t.Errorf("Windows has no file %s", name)
			}
		}
		if e.mode != 0o755 && (e.mode != 0o644 || !e.file) {
			t.Errorf("the mode of %s is %o", name, e.mode)
		}
		if !e.at.Equal(at) {
			t.Errorf("%s is of %v and not of %v", name, e.at, at)
		}
	}
}

var committed = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

func TestArchivesExtractSafely(t *testing.T) {
	p := thePackage(t)
	whole, err := os.Open(p.archive)
	if err != nil {
		t.Fatal(err)
	}
	defer whole.Close()
	plainEntries(t, release.Root(version), committed, tarEntries(t, whole))

	top := "cavra-runtime-v0.1.0-linux-amd64"
	entries := tarEntries(t, bytes.NewReader(p.file(t, "archives/"+top+".tar.gz")))
	plainEntries(t, top, committed, entries)
	i := slices.IndexFunc(entries, func(e packed) bool { return e.name == top+"/cavra-runtime" })
	if i < 0 || entries[i].mode != 0o755 || !bytes.Equal(entries[i].text, p.file(t, runner.binary())) {
		t.Error("the archive does not hold the binary")
	}
	for _, name := range []string{runnerScript, githubAction, licencesFile, "systemd/README.md"} {
		if i := slices.IndexFunc(entries, func(e packed) bool { return e.name == top+"/"+name }); i < 0 || !bytes.Equal(entries[i].text, p.file(t, name)) {
			t.Errorf("the archive does not hold the package's %s", name)
		}
	}
}

func TestTheArchiveForWindowsExtractsSafely(t *testing.T) {
	s := shared{version: version, at: committed, license: []byte("license")}
	b := built{target: target{"windows", "arm64"}, text: []byte("program")}
	first, err := s.archive(b)
	if err != nil {
		t.Fatal(err)
	}
	if first.name != "archives/cavra-runtime-v0.1.0-windows-arm64.zip" {
		t.Errorf("it is called %s", first.name)
	}
	entries := zipEntries(t, first.text)
	plainEntries(t, "cavra-runtime-v0.1.0-windows-arm64", committed, entries)
	if !slices.ContainsFunc(entries, func(e packed) bool {
		return strings.HasSuffix(e.name, "/cavra-runtime.exe") && string(e.text) == "program"
	}) {
		t.Error("the archive does not hold the binary")
	}
	if second, err := s.archive(b); err != nil || !bytes.Equal(first.text, second.text) {
		t.Errorf("a second one is not the same (%v)", err)
	}
}

// installed are the files of a Debian or RPM package that tell whether it is whole,
// with their modes.
var installed = map[string]int64{
	"usr/bin/cavra-runtime":                                  0o755,
	"usr/lib/systemd/system/cavra-runtime.service":           0o644,
	"usr/lib/systemd/system/cavra-runtime.socket":            0o644,
	"etc/cavra/cavra-runtime.yaml":                           0o644,
	"usr/share/man/man1/cavra-runtime.1.gz":                  0o644,
	"usr/share/bash-completion/completions/cavra-runtime":    0o644,
	"usr/share/fish/vendor_completions.d/cavra-runtime.fish": 0o644,
}

func TestDebianPackage(t *testing.T) {
	p := thePackage(t)
	text := p.file(t, "packages/cavra-runtime_0.1.0_amd64.deb")
	members := map[string][]packed{}
	for r := ar.NewReader(bytes.NewReader(text)); ; {
		h, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if name, gz := strings.CutSuffix(h.Name, ".tar.gz"); gz {
			members[name] = tarEntries(t, r)
		}
	}
	control := map[string]string{}
	for _, e := range members["control"] {
		control[e.name] = string(e.text)
	}
	for _, line := range []string{"Package: cavra-runtime\n", "Version: 0.1.0\n", "Architecture: amd64\n", "Depends: passwd\n", "Maintainer: CAVRA <"} {
		if !strings.Contains(control["control"], line) {
			t.Errorf("control lacks %q:\n%s", line, control["control"])
		}
	}
	if control["conffiles"] != "/etc/cavra/cavra-runtime.yaml\n" {
		t.Errorf("conffiles are %q", control["conffiles"])
	}
	for script, from := range map[string]string{"postinst": "postinstall.sh", "prerm": "preremove.sh", "postrm": "postremove.sh"} {
		want, err := os.ReadFile(filepath.Join("..", "..", "packaging", "linux", from))
		if err != nil || control[script] != string(want) {
			t.Errorf("%s is not %s (%v)", script, from, err)
		}
	}
	modes := map[string]int64{}
	for _, e := range members["data"] {
		if e.file {
			modes[strings.TrimPrefix(e.name, "/")] = e.mode
		}
		if e.name == "usr/bin/cavra-runtime" && !bytes.Equal(e.text, p.file(t, runner.binary())) {
			t.Error("its binary is another")
		}
		if strings.Contains(e.name, "/etc/systemd/") || strings.Contains(e.name, ".wants/") {
			t.Errorf("%s would start it", e.name)
		}
	}
	holdsInstalled(t, modes)
	if _, err := exec.LookPath("dpkg-deb"); err == nil {
		path := filepath.Join(p.dir, "packages", "cavra-runtime_0.1.0_amd64.deb")
		if out, err := exec.Command("dpkg-deb", "--info", path).CombinedOutput(); err != nil {
			t.Errorf("dpkg-deb: %v\n%s", err, out)
		}
	}
}

func TestRPMPackage(t *testing.T) {
	p := thePackage(t)
	text := p.file(t, "packages/cavra-runtime-0.1.0-1.x86_64.rpm")
	r, err := rpmutils.ReadRpm(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	for tag, want := range map[int]string{
		rpmutils.NAME: "cavra-runtime", rpmutils.VERSION: "0.1.0", rpmutils.ARCH: "x86_64", rpmutils.LICENSE: "Apache-2.0", rpmutils.BUILDHOST: "localhost",
	} {
		if got, err := r.Header.GetString(tag); err != nil || got != want {
			t.Errorf("tag %d is %q and not %q (%v)", tag, got, want, err)
		}
	}
	for tag, from := range map[int]string{rpmutils.POSTIN: "postinstall.sh", rpmutils.PREUN: "preremove.sh", rpmutils.POSTUN: "postremove.sh"} {
		want, err := os.ReadFile(filepath.Join("..", "..", "packaging", "linux", from))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := r.Header.GetString(tag); err != nil || strings.TrimSpace(got) != strings.TrimSpace(string(want)) {
			t.Errorf("the script of tag %d is not %s (%v)", tag, from, err)
		}
	}
	infos, err := r.Header.GetFiles()
	if err != nil {
		t.Fatal(err)
	}
	modes := map[string]int64{}
	for _, f := range infos {
		if f.UserName() != "root" || f.GroupName() != "root" {
			t.Errorf("%s belongs to %s:%s", f.Name(), f.UserName(), f.GroupName())
		}
		modes[strings.TrimPrefix(f.Name(), "/")] = int64(f.Mode() & 0o7777)
		const configNoReplace = 1 | 1<<4
		if config := f.Name() == "/etc/cavra/cavra-runtime.yaml"; config != (f.Flags()&configNoReplace == configNoReplace) {
			t.Errorf("%s has the flags %b", f.Name(), f.Flags())
		}
	}
	holdsInstalled(t, modes)
	dir := t.TempDir()
	if err := r.ExpandPayload(dir); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(filepath.Join(dir, "usr", "bin", "cavra-runtime")); err != nil || !bytes.Equal(got, p.file(t, runner.binary())) {
		t.Errorf("its binary is another (%v)", err)
	}
}

func holdsInstalled(t *testing.T, modes map[string]int64) {
	t.Helper()
	for name, mode := range installed {
		if got, ok := modes[name]; !ok || got != mode {
			t.Errorf("%s is there: %v, with the mode %o", name, ok, got)
		}
	}
}

// TestMaintainerScriptsTwice runs the scripts with programs that only write down how
// they were called.
func TestMaintainerScriptsTwice(t *testing.T) {
	if _, err := exec.LookPath("sh"); err != nil {
		t.Skip("there is no sh to run the scripts with")
	}
	bin := t.TempDir()
	log := filepath.Join(bin, "log")
	fake := func(name, body string) {
		writeFile(t, filepath.Join(bin, name), []byte("#!/bin/sh\necho \""+name+" $*\" >>"+log+"\n"+body+"\n"))
		if err := os.Chmod(filepath.Join(bin, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	fake("getent", `[ -e `+bin+`/made-$1 ]`)
	fake("groupadd", `: >`+bin+`/made-group`)
	fake("useradd", `: >`+bin+`/made-passwd`)
	fake("install", "")
	fake("systemctl", "")
	run := func(script string, args ...string) string {
		os.Remove(log)
		cmd := exec.Command("sh", append([]string{filepath.Join("..", "..", "packaging", "linux", script)}, args...)...)
		cmd.Env = []string{"PATH=" + bin + ":/usr/bin:/bin"}
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s %v: %v\n%s", script, args, err, out)
		}
		said, _ := os.ReadFile(log)
		return string(said)
	}
	first := run("postinstall.sh", "configure")
	if !strings.Contains(first, "groupadd --system cavra") || !strings.Contains(first, "useradd --system --gid cavra") ||
		!strings.Contains(first, "install -d -m 0700 -o cavra -g cavra /var/lib/cavra") {
		t.Errorf("the first installation calls\n%s", first)
	}
	second := run("postinstall.sh", "configure", "v0.0.9")
	if strings.Contains(second, "groupadd") || strings.Contains(second, "useradd") {
		t.Errorf("an upgrade calls\n%s", second)
	}
	for _, args := range [][]string{{"upgrade"}, {"1"}} {
		if said := run("preremove.sh", args...); said != "" {
			t.Errorf("before an upgrade (%v) it calls\n%s", args, said)
		}
	}
	for _, said := range []string{first, second, run("preremove.sh", "remove"), run("preremove.sh", "0"), run("postremove.sh", "purge"), run("postremove.sh", "0")} {
		for _, word := range []string{"start ", "enable ", "userdel", "rm "} {
			if strings.Contains(strings.ReplaceAll(said, "try-restart ", ""), word) {
				t.Errorf("a script calls %q in\n%s", word, said)
			}
		}
	}
}
