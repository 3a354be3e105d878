package release

import (
	"archive/tar"
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// signBytes signs whatever is given, as Sign would not.
func signBytes(text []byte, key ed25519.PrivateKey) []byte {
	return Marshal(Signature{Algorithm, KeyID(key.Public().(ed25519.PublicKey)), base64.StdEncoding.EncodeToString(ed25519.Sign(key, signed(text)))})
}

// forms are the three in which a package comes.
var forms = []struct {
	name string
	make func(*pkg, testing.TB) string // returns where it is
}{
	{"directory", func(p *pkg, t testing.TB) string { return p.dir(t) }},
	{"tar.gz", func(p *pkg, t testing.TB) string { return write(t, "p.tar.gz", p.targz(t)) }},
	{"zip", func(p *pkg, t testing.TB) string { return write(t, "p.zip", p.zip(t)) }},
}

func TestAPackageAsItWasSignedIsValid(t *testing.T) {
	_, private := newKey(t)
	other, _ := newKey(t)
	p := build{}.make(t, private)
	for _, form := range forms {
		t.Run(form.name, func(t *testing.T) {
			at := form.make(&p, t)
			r := Verify(at, other, p.key)
			if !r.Valid || len(r.Errors) != 0 || r.Files != len(p.files)-2 || r.Version != testVersion || r.KeyID != KeyID(p.key) || len(r.Commit) != 40 || r.Path != at {
				t.Errorf("got %+v", r)
			}
			text, err := json.Marshal(r)
			if err != nil || !bytes.Contains(text, []byte(`"errors":[],"warnings":[]}`)) {
				t.Errorf("the report is %s, %v", text, err)
			}
		})
	}
}

func TestEveryChangedByteIsSeen(t *testing.T) {
	_, private := newKey(t)
	whole := build{}.make(t, private)
	for _, form := range forms {
		t.Run(form.name, func(t *testing.T) {
			for i, f := range whole.files {
				places := []int{0, len(f.text) / 2, len(f.text) - 1}
				if form.name == "directory" {
					places = places[:1] // a new directory for each takes long
				}
				for _, at := range places {
					p := pkg{slices.Clone(whole.files), whole.key}
					changed := []byte(f.text)
					if len(changed) == 0 {
						changed = []byte("x")
					} else {
						changed[at] ^= 1
					}
					p.files[i].text = string(changed)
					r := Verify(form.make(&p, t), p.key)
					want := KindChanged
					if i < 2 {
						want = KindSignature
					}
					if r.Valid || !slices.Equal(kinds(r), []string{want}) {
						t.Errorf("byte %d of %s: %+v; want %s", at, f.path, r.Errors, want)
					}
					if i < 2 && (r.Version != "" || r.Commit != "" || r.KeyID != "" && i == 0 || r.Files != 0) {
						t.Errorf("%s: the report believes what nobody signed: %+v", f.path, r)
					}
				}
			}
		})
	}
}

// Every byte of the two files that all hangs on, and not three of each.
func TestNoByteOfManifestAndSignatureIsFree(t *testing.T) {
	_, private := newKey(t)
	p := build{}.make(t, private)
	for i := range 2 {
		for at := range p.files[i].text {
			head := [2][]byte{[]byte(p.files[0].text), []byte(p.files[1].text)}
			head[i][at] ^= 1
			v := verifier{}
			if v.signature(head[0], head[1], []ed25519.PublicKey{p.key}) {
				t.Errorf("byte %d of %s can be changed", at, p.files[i].path)
			}
		}
	}
}

func TestTamperedPackages(t *testing.T) {
	_, private := newKey(t)
	_, stranger := newKey(t)
	add := func(f item) func(*testing.T, *pkg) {
		return func(t *testing.T, p *pkg) { p.files = append(p.files, f) }
	}
	onDisk := func(f func(t *testing.T, root string)) func(*testing.T, string) { return f }
	must := func(t *testing.T, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	const evil = "#!/bin/sh\nevil\n"
	for _, c := range []struct {
		name   string
		build  build
		tamper func(*testing.T, *pkg)
		disk   func(*testing.T, string) // done to the directory; there is no archive then
		pack   bool                     // archives only: a directory cannot be like this
		want   []string
	}{
		{name: "swapped binaries", tamper: func(t *testing.T, p *pkg) {
			a, b := p.find(t, BinaryPath("linux", "amd64")), p.find(t, BinaryPath("darwin", "arm64"))
			a.text, b.text = b.text, a.text
		}, want: []string{KindChanged}},
		{name: "an extra file", tamper: add(item{path: "bin/evil", text: evil, mode: 0o755}), want: []string{KindUnlisted}},
		{name: "an extra directory", pack: true, tamper: add(item{path: "bin/evil", kind: tar.TypeDir, mode: 0o755}), want: []string{KindUnlisted}},
		{name: "a missing file", tamper: func(t *testing.T, p *pkg) {
			p.files = slices.DeleteFunc(p.files, func(f item) bool { return f.path == testAction })
		}, want: []string{KindMissing}},
		{name: "no checksums", tamper: func(t *testing.T, p *pkg) {
			p.files = slices.DeleteFunc(p.files, func(f item) bool { return f.path == ChecksumsName })
		}, want: []string{KindMissing}},
		{name: "no signature", tamper: func(t *testing.T, p *pkg) { p.files = slices.Delete(p.files, 1, 2) }, want: []string{KindSignature}},
		{name: "no manifest", tamper: func(t *testing.T, p *pkg) { p.files = slices.Delete(p.files, 0, 1) }, want: []string{KindSignature}},
		{name: "signed by a stranger", tamper: func(t *testing.T, p *pkg) {
			p.files[1].text = string(signBytes([]byte(p.files[0].text), stranger))
		}, want: []string{KindSignature}},
		{name: "a stranger's signature under our key's name", tamper: func(t *testing.T, p *pkg) {
			s := string(signBytes([]byte(p.files[0].text), stranger))
			p.files[1].text = strings.Replace(s, KeyID(stranger.Public().(ed25519.PublicKey)), KeyID(p.key), 1)
		}, want: []string{KindSignature}},
		{name: "the signature of another manifest", tamper: func(t *testing.T, p *pkg) {
			p.files[1].text = string(signBytes([]byte(p.files[0].text+" "), private))
		}, want: []string{KindSignature}},
		{name: "a signature of the bare manifest", tamper: func(t *testing.T, p *pkg) {
			bare := base64.StdEncoding.EncodeToString(ed25519.Sign(private, []byte(p.files[0].text)))
			p.files[1].text = string(Marshal(Signature{Algorithm, KeyID(p.key), bare}))
		}, want: []string{KindSignature}},
		{name: "another algorithm", tamper: func(t *testing.T, p *pkg) {
			p.files[1].text = strings.Replace(p.files[1].text, Algorithm, "none", 1)
		}, want: []string{KindSignature}},
		{name: "a signature with another member", tamper: func(t *testing.T, p *pkg) {
			p.files[1].text = strings.Replace(p.files[1].text, "{", `{"x":1,`, 1)
		}, want: []string{KindSignature}},
		{name: "a signature in another form", tamper: func(t *testing.T, p *pkg) { p.files[1].text += "\n" }, want: []string{KindSignature}},
		{name: "a signature of a megabyte", tamper: func(t *testing.T, p *pkg) { p.files[1].text += strings.Repeat(" ", 1<<20) }, want: []string{KindSignature}},
		{name: "a manifest of two megabytes", tamper: func(t *testing.T, p *pkg) { p.files[0].text += strings.Repeat(" ", 2<<20) }, want: []string{KindSignature}},
		{name: "another mode", tamper: func(t *testing.T, p *pkg) { p.find(t, testAction).mode = 0o755 }, want: []string{KindMode}},
		{name: "a program that is none any more", tamper: func(t *testing.T, p *pkg) { p.find(t, "install.sh").mode = 0o644 }, want: []string{KindMode}},
		{name: "a file that all can write", tamper: func(t *testing.T, p *pkg) { p.find(t, testAction).mode = 0o666 }, want: []string{KindMode}},
		{name: "setuid", pack: true, tamper: func(t *testing.T, p *pkg) { p.find(t, "install.sh").mode = 0o4755 }, want: []string{KindMode}},
		{name: "a case variant", tamper: add(item{path: "license", text: evil, mode: 0o644}), want: []string{KindDuplicate}},

		{name: "path traversal", pack: true, tamper: add(item{path: "../evil", text: evil, mode: 0o755}), want: []string{KindPath}},
		{name: "path traversal inside", pack: true, tamper: add(item{path: "bin/../evil", text: evil, mode: 0o755}), want: []string{KindPath}},
		{name: "an absolute path", pack: true, tamper: add(item{path: "!/etc/evil", text: evil, mode: 0o755}), want: []string{KindPath}},
		{name: "beside the directory", pack: true, tamper: add(item{path: "!evil", text: evil, mode: 0o755}), want: []string{KindPath}},
		{name: "a backslash", pack: true, tamper: add(item{path: `..\evil`, text: evil, mode: 0o755}), want: []string{KindPath}},
		{name: "a drive", pack: true, tamper: add(item{path: "C:evil", text: evil, mode: 0o755}), want: []string{KindPath}},
		{name: "a device of Windows", pack: true, tamper: add(item{path: "nul.txt", text: evil, mode: 0o644}), want: []string{KindPath}},
		{name: "a symbolic link in a file's place", pack: true, tamper: func(t *testing.T, p *pkg) {
			f := p.find(t, testAction)
			*f = item{path: f.path, kind: tar.TypeSymlink, link: "/etc/passwd", mode: 0o644}
		}, want: []string{KindEntry}},
		{name: "a pipe", pack: true, tamper: add(item{path: "bin/pipe", kind: tar.TypeFifo, mode: 0o644}), want: []string{KindEntry}},
		{name: "the same entry twice", pack: true, tamper: func(t *testing.T, p *pkg) { p.files = append(p.files, *p.find(t, "install.sh")) }, want: []string{KindDuplicate}},
		{name: "a second, other entry", pack: true, tamper: add(item{path: "install.sh", text: evil, mode: 0o755}), want: []string{KindDuplicate}},
		{name: "a second manifest", pack: true, tamper: add(item{path: ManifestName, text: "{}", mode: 0o644}), want: []string{KindDuplicate}},

		{name: "a symbolic link on disk", disk: onDisk(func(t *testing.T, root string) {
			must(t, os.Rename(filepath.Join(root, "install.sh"), filepath.Join(root, "..", "install.sh")))
			must(t, os.Symlink("../install.sh", filepath.Join(root, "install.sh")))
		}), want: []string{KindEntry}},
		{name: "a linked directory on disk", disk: onDisk(func(t *testing.T, root string) {
			must(t, os.Rename(filepath.Join(root, "bin"), filepath.Join(root, "..", "bin")))
			must(t, os.Symlink("../bin", filepath.Join(root, "bin")))
		}), want: []string{KindEntry, KindMissing}},
		{name: "a linked manifest on disk", disk: onDisk(func(t *testing.T, root string) {
			must(t, os.Rename(filepath.Join(root, ManifestName), filepath.Join(root, "..", "m")))
			must(t, os.Symlink("../m", filepath.Join(root, ManifestName)))
		}), want: []string{KindEntry}},
		{name: "a hard link on disk", disk: onDisk(func(t *testing.T, root string) {
			must(t, os.Link(filepath.Join(root, "install.sh"), filepath.Join(root, "..", "held")))
		}), want: []string{KindEntry}},
		{name: "a directory that all can write", disk: onDisk(func(t *testing.T, root string) {
			must(t, os.Chmod(filepath.Join(root, "bin"), 0o777))
		}), want: []string{KindMode}},
		{name: "an empty directory", disk: onDisk(func(t *testing.T, root string) {
			must(t, os.Mkdir(filepath.Join(root, "more"), 0o755))
		}), want: []string{KindUnlisted}},
		{name: "a directory in a file's place", disk: onDisk(func(t *testing.T, root string) {
			must(t, os.Remove(filepath.Join(root, "install.sh")))
			must(t, os.Mkdir(filepath.Join(root, "install.sh"), 0o755))
		}), want: []string{KindMissing, KindUnlisted}},
		{name: "a name that hides something", disk: onDisk(func(t *testing.T, root string) {
			must(t, os.WriteFile(filepath.Join(root, "a\u202eb\n"), nil, 0o644))
		}), want: []string{KindPath}},

		{name: "an unknown member", build: build{manifest: func(m string) string { return strings.Replace(m, "{", `{"more": 1,`, 1) }}, want: []string{KindManifest}},
		{name: "a repeated member", build: build{manifest: func(m string) string { return strings.Replace(m, "{", `{"version": "v9.9.9",`, 1) }}, want: []string{KindManifest}},
		{name: "a repeated member of a file", build: build{manifest: func(m string) string { return strings.Replace(m, `"path"`, `"mode": "0644", "path"`, 1) }}, want: []string{KindManifest}},
		{name: "a member in other letters", build: build{manifest: func(m string) string { return strings.Replace(m, `"version"`, `"Version"`, 1) }}, want: []string{KindManifest}},
		{name: "more behind it", build: build{manifest: func(m string) string { return m + "{}" }}, want: []string{KindManifest}},
		{name: "another schema", build: build{manifest: func(m string) string { return strings.Replace(m, "manifest.v1", "manifest.v2", 1) }}, want: []string{KindManifest}},
		{name: "another product", build: build{manifest: func(m string) string { return strings.Replace(m, `"CAVRA"`, `"OTHER"`, 1) }}, want: []string{KindManifest}},
		{name: "a version that leads elsewhere", build: build{manifest: func(m string) string { return strings.Replace(m, `"v0.1.0"`, `"../v0.1.0"`, 1) }}, want: []string{KindManifest}},
		{name: "a listed traversal", build: build{manifest: func(m string) string {
			return strings.Replace(m, `"install.sh"`, `"../install.sh"`, 1)
		}}, want: []string{KindManifest}},
		{name: "a listed device of Windows", build: build{manifest: func(m string) string {
			return strings.Replace(m, `"install.sh"`, `"lpt1.sh"`, 1)
		}}, want: []string{KindManifest}},
		{name: "the manifest in the manifest", build: build{manifest: func(m string) string {
			return strings.Replace(m, `"install.sh"`, `"manifest.json"`, 1)
		}}, want: []string{KindManifest}},
		{name: "two that differ in case", build: build{manifest: func(m string) string {
			return strings.Replace(m, `"install.sh"`, `"EMPTY"`, 1)
		}}, want: []string{KindManifest}},
		{name: "a file below a file", build: build{manifest: func(m string) string {
			return strings.Replace(m, `"install.sh"`, `"empty/install.sh"`, 1)
		}}, want: []string{KindManifest}},
		{name: "a negative size", build: build{manifest: func(m string) string { return strings.Replace(m, `"size": 0`, `"size": -1`, 1) }}, want: []string{KindManifest}},
		{name: "a listed setuid", build: build{manifest: func(m string) string { return strings.Replace(m, `"0755"`, `"4755"`, 1) }}, want: []string{KindManifest}},
		{name: "no list", build: build{manifest: func(m string) string { return `{"schema_version":"` + ManifestSchema + `"}` }}, want: []string{KindManifest}},

		{name: "checksums of another order", build: build{checksums: func(c string) string {
			lines := strings.SplitAfter(c, "\n")
			slices.Reverse(lines)
			return strings.Join(lines, "")
		}}, want: []string{KindChecksums}},
		{name: "a wrong checksum", build: build{checksums: func(c string) string { return sum("x") + c[64:] }}, want: []string{KindChecksums}},
		{name: "a missing checksum", build: build{checksums: func(c string) string { return c[strings.Index(c, "\n")+1:] }}, want: []string{KindChecksums}},
		{name: "bundles with another hash of the binary", build: build{bundles: func(b *Bundles) { b.RunnerBundles[1].RuntimeBinarySHA256 = sum("x") }}, want: []string{KindBundles}},
		{name: "bundles with another hash of the wrapper", build: build{bundles: func(b *Bundles) { b.RunnerBundles[2].ReusableWrapperSHA = "" }}, want: []string{KindBundles}},
		{name: "bundles with another hash of the script", build: build{bundles: func(b *Bundles) { b.RunnerScript.SHA256 = sum("x") }}, want: []string{KindBundles}},
		{name: "bundles with an action that is not there", build: build{bundles: func(b *Bundles) { b.GitHubAction.Path = "none.yml" }}, want: []string{KindBundles}},
		{name: "bundles with another system's binary", build: build{bundles: func(b *Bundles) { b.RunnerBundles[0].RunnerOS = "darwin" }}, want: []string{KindBundles}},
		{name: "bundles with a request that is not there", build: build{bundles: func(b *Bundles) { b.RunnerBundles[0].DefaultRequest = "none.json" }}, want: []string{KindBundles}},
		{name: "bundles of another version", build: build{bundles: func(b *Bundles) { b.Version = "v9.0.0" }}, want: []string{KindBundles}},
		{name: "bundles of another schema", build: build{bundles: func(b *Bundles) { b.SchemaVersion = "v2" }}, want: []string{KindBundles}},
		{name: "bundles of no time", build: build{bundles: func(b *Bundles) { b.GeneratedAt = "today" }}, want: []string{KindBundles}},
		{name: "bundles for nobody", build: build{bundles: func(b *Bundles) { b.RunnerBundles = []RunnerBundle{} }}, want: []string{KindBundles}},
	} {
		for _, form := range forms {
			if onDisk := form.name == "directory"; c.disk != nil && !onDisk || c.pack && onDisk {
				continue
			}
			t.Run(c.name+"/"+form.name, func(t *testing.T) {
				if form.name == "directory" && runtime.GOOS == "windows" && (c.disk != nil || slices.Contains(c.want, KindMode)) {
					t.Skip("Windows has no such modes and links")
				}
				p := c.build.make(t, private)
				if c.tamper != nil {
					c.tamper(t, &p)
				}
				at := form.make(&p, t)
				if c.disk != nil {
					c.disk(t, at)
				}
				r := Verify(at, p.key)
				if r.Valid || len(r.Errors) == 0 {
					t.Fatalf("it is valid: %+v", r)
				}
				if got := kinds(r); !slices.Equal(got, c.want) {
					t.Errorf("the faults are %+v, want %v", r.Errors, c.want)
				}
				for _, f := range r.Errors {
					if strings.ContainsFunc(f.Path+f.Message, func(r rune) bool { return r > 0x7e && r != '…' || r < 0x20 && r != '\n' }) {
						t.Errorf("a message is not escaped: %q", f)
					}
				}
			})
		}
	}
}

func TestNobodysKeyVerifiesNothing(t *testing.T) {
	_, private := newKey(t)
	other, _ := newKey(t)
	p := build{}.make(t, private)
	at := p.dir(t)
	for name, keys := range map[string][]ed25519.PublicKey{"none": nil, "another": {other}, "too short a one": {p.key[:31]}} {
		if r := Verify(at, keys...); r.Valid || !slices.Equal(kinds(r), []string{KindSignature}) || r.Version != "" {
			t.Errorf("%s: %+v", name, r)
		}
	}
}

// Where the signature does not hold, no other file is opened.
func TestTheSignatureComesFirst(t *testing.T) {
	_, private := newKey(t)
	other, _ := newKey(t)
	p := build{}.make(t, private)
	packed := p.targz(t)
	// What follows the two files is destroyed: whoever reads it finds another fault.
	clear(packed[len(packed)-len(packed)/4:])
	if r := Verify(write(t, "p.tgz", packed), other); !slices.Equal(kinds(r), []string{KindSignature}) {
		t.Errorf("got %+v", r.Errors)
	}
	p.files[0], p.files[2] = p.files[2], p.files[0]
	if r := Verify(write(t, "p.tgz", p.targz(t)), p.key); !slices.Equal(kinds(r), []string{KindSignature}) {
		t.Errorf("a tar that does not begin with the manifest: %+v", r.Errors)
	}
}

func TestArchivesThatProgramsCouldReadDifferently(t *testing.T) {
	_, private := newKey(t)
	p := build{}.make(t, private)
	tarText, targz, zipText := p.tar(t, tar.FormatUSTAR), p.targz(t), p.zip(t)
	evil := pkg{files: []item{{path: "install.sh", text: "evil", mode: 0o755}}}
	changed := func(text []byte, at int, with string) []byte {
		text = bytes.Clone(text)
		copy(text[at:], with)
		return text
	}
	localName := bytes.Index(zipText, []byte("install.sh"))
	centralName := bytes.LastIndex(zipText, []byte("install.sh"))
	if localName < 0 || localName == centralName {
		t.Fatal("the zip is not as the test believes")
	}
	owned := pkg{slices.Clone(p.files), p.key}
	owned.find(t, "install.sh").uid = 1000
	hard := pkg{slices.Clone(p.files), p.key}
	*hard.find(t, "install.sh") = item{path: "install.sh", kind: tar.TypeLink, link: inside("empty"), mode: 0o755}
	device := pkg{append(slices.Clone(p.files), item{path: "bin/null", kind: tar.TypeChar, mode: 0o644}), p.key}
	otherTop := bytes.ReplaceAll(zipText, []byte(Root(testVersion)), []byte(Root("v9.1.0")))
	eocd := func(comment string) []byte {
		text := append(bytes.Clone(zipText), comment...)
		binary.LittleEndian.PutUint16(text[len(zipText)-2:], uint16(len(comment)))
		return text
	}
	for _, c := range []struct {
		name string
		text []byte
		want string
	}{
		{"a second gzip member", append(bytes.Clone(targz), zipped(evil.tar(t, tar.FormatUSTAR))...), KindArchive},
		{"a byte behind the gzip member", append(bytes.Clone(targz), 0), KindArchive},
		{"a second tar in the member", zipped(append(bytes.Clone(tarText), evil.tar(t, tar.FormatUSTAR)...)), KindArchive},
		{"a zip behind the gzip", append(bytes.Clone(targz), zipText...), KindArchive},
		{"PAX", zipped(p.tar(t, tar.FormatPAX)), KindSignature},
		{"the format of GNU", zipped(p.tar(t, tar.FormatGNU)), KindSignature},
		{"a file of somebody", owned.targz(t), KindEntry},
		{"a hard link", hard.targz(t), KindEntry},
		{"a device", device.targz(t), KindEntry},
		{"half of a tar.gz", targz[:len(targz)/2], KindArchive},
		{"a tar.gz without its end", targz[:len(targz)-1], KindArchive},
		{"a tar.gz without its checksum", targz[:len(targz)-8], KindArchive},
		{"a wrong checksum of gzip", changed(targz, len(targz)-8, "evil"), KindArchive},
		{"no tar in the gzip", zipped([]byte(strings.Repeat("x", 4096))), KindArchive},
		{"an empty gzip", zipped(nil), KindArchive},

		{"another name in the zip's entry", changed(zipText, localName, "evilevil.s"), KindArchive},
		{"another name in the zip's directory", changed(zipText, centralName, "evilevil.s"), KindArchive},
		{"another directory in all names", otherTop, KindPath},
		{"something before the zip", append([]byte("PKx"), zipText...), KindArchive},
		{"something behind the zip", append(bytes.Clone(zipText), 0), KindArchive},
		{"a comment of the zip", eocd("evil"), KindArchive},
		{"half of a zip", zipText[:len(zipText)/2], KindArchive},
		{"a zip without its end", zipText[:len(zipText)-1], KindArchive},
		{"an empty zip", []byte("PK\x05\x06" + strings.Repeat("\x00", 18)), KindArchive},

		{"nothing", nil, KindArchive},
		{"how a zip begins", []byte("PK"), KindArchive},
		{"how gzip begins", []byte("\x1f\x8b\x08"), KindArchive},
		{"an error page", []byte("<html>not found</html>"), KindArchive},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := Verify(write(t, "p", c.text), p.key)
			if got := kinds(r); r.Valid || !slices.Contains(got, c.want) {
				t.Errorf("the faults are %+v, want %s", r.Errors, c.want)
			}
			for _, f := range r.Errors {
				if f.Kind == KindMissing && c.want == KindArchive {
					t.Errorf("what was not read is said to be missing: %+v", f)
				}
			}
		})
	}
}

// Wherever an archive is cut off, it is seen: at some two hundred places of each.
func TestHalfDownloads(t *testing.T) {
	_, private := newKey(t)
	p := build{}.make(t, private)
	for name, text := range map[string][]byte{"tar.gz": p.targz(t), "zip": p.zip(t)} {
		at := write(t, "p."+name, text)
		for n := len(text) - 1; n >= 0; n -= 1 + len(text)/200 {
			if err := os.Truncate(at, int64(n)); err != nil {
				t.Fatal(err)
			}
			if r := Verify(at, p.key); r.Valid || len(r.Errors) == 0 {
				t.Fatalf("%s: the first %d of %d bytes are valid", name, n, len(text))
			}
		}
	}
}

func TestWhatCannotBeOpened(t *testing.T) {
	key, _ := newKey(t)
	for _, at := range []string{filepath.Join(t.TempDir(), "none"), os.DevNull, t.TempDir()} {
		if r := Verify(at, key); r.Valid || len(r.Errors) != 1 || strings.Contains(r.Errors[0].Message, at) {
			t.Errorf("%s: %+v", at, r)
		}
	}
}

// On disk a umask may have taken what the maker gave.
func TestAUmaskIsNoFault(t *testing.T) {
	_, private := newKey(t)
	p := build{}.make(t, private)
	for i := range p.files {
		p.files[i].mode &^= 0o077
	}
	if r := Verify(p.dir(t), p.key); !r.Valid {
		t.Errorf("got %+v", r.Errors)
	}
}
