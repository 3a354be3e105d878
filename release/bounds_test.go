package release

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/ed25519"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// zeros is a reader of n zeros.
type zeros int64

func (z *zeros) Read(p []byte) (int, error) {
	if *z == 0 {
		return 0, io.EOF
	}
	n := min(int(*z), len(p))
	clear(p[:n])
	*z -= zeros(n)
	return n, nil
}

// A bomb is far larger unpacked than what was signed; it is not unpacked to its end.
func TestBombsAreNotUnpacked(t *testing.T) {
	_, private := newKey(t)
	p := build{}.make(t, private)
	tarText := p.tar(t, tar.FormatUSTAR)
	bomb := func(before []byte, entry *tar.Header) []byte {
		var b bytes.Buffer
		w, err := gzip.NewWriterLevel(&b, gzip.HuffmanOnly) // to an eighth, and fast
		if err != nil {
			t.Fatal(err)
		}
		_, _ = w.Write(before)
		packed := tar.NewWriter(w)
		z := zeros(entry.Size)
		if err := packed.WriteHeader(entry); err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(packed, &z); err != nil {
			t.Fatal(err)
		}
		_ = packed.Close()
		_ = w.Close()
		return b.Bytes()
	}
	const size = 64 << 20
	head := tarText[:bytes.Index(tarText, []byte(Root(testVersion)+"/"+BundlesName))]
	for _, c := range []struct {
		name string
		text []byte
		want string
	}{
		{"behind the files", bomb(tarText[:len(tarText)-1024], &tar.Header{Name: inside("bomb"), Size: size, Mode: 0o644, Format: tar.FormatUSTAR}), KindArchive},
		{"in a file's place", bomb(head, &tar.Header{Name: inside(BundlesName), Size: size, Mode: 0o644, Format: tar.FormatUSTAR}), KindArchive},
		{"as the manifest", bomb(nil, &tar.Header{Name: inside(ManifestName), Size: size, Mode: 0o644, Format: tar.FormatUSTAR}), KindSignature},
		{"behind the end", bomb(tarText, &tar.Header{Name: "x", Size: size, Format: tar.FormatUSTAR}), KindArchive},
	} {
		t.Run(c.name, func(t *testing.T) {
			at := write(t, "p.tgz", c.text)
			s, err := open(at)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			v := verifier{Report: Report{Path: at}}
			text, signature, err := s.head()
			if err == nil && v.signature(text, signature, []ed25519.PublicKey{p.key}) && v.readManifest(text) {
				err = v.contents(s)
			}
			if err == nil {
				t.Fatal("it was read to its end")
			}
			v.unreadable("", err)
			if got := kinds(v.Report); !slices.Contains(got, c.want) {
				t.Errorf("the faults are %+v, want %s", v.Errors, c.want)
			}
			if read, _ := s.(*tarball).Seek(0, io.SeekCurrent); read > int64(len(c.text))/2 {
				t.Errorf("%d of %d bytes were read", read, len(c.text))
			}
		})
	}
}

func TestFaultsAreBounded(t *testing.T) {
	_, private := newKey(t)
	p := build{}.make(t, private)
	for i := range 2 * maxFaults {
		p.files = append(p.files, item{path: "more-" + strings.Repeat("x", i%100+1) + strconv.Itoa(i), mode: 0o644})
	}
	if r := Verify(p.dir(t), p.key); r.Valid || len(r.Errors) != maxFaults || len(r.Warnings) != 1 {
		t.Errorf("%d errors, warnings %v", len(r.Errors), r.Warnings)
	}
}

// More entries than a package can have are not taken one by one.
func TestAFloodOfEntriesIsNotTaken(t *testing.T) {
	_, private := newKey(t)
	p := build{}.make(t, private)
	for i := range maxEntries {
		p.files = append(p.files, item{path: "more-" + strconv.Itoa(i), mode: 0o644})
	}
	if r := Verify(write(t, "p.zip", p.zip(t)), p.key); len(r.Errors) != 1 || !strings.Contains(r.Errors[0].Message, "more than") {
		t.Errorf("zip: %d errors, the first %+v", len(r.Errors), r.Errors[0])
	}
	s, err := open(write(t, "p.tgz", p.targz(t)))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	text, _, err := s.head()
	v := verifier{}
	if err != nil || !v.readManifest(text) {
		t.Fatalf("%v, %+v", err, v.Errors)
	}
	if err := v.contents(s); err == nil || v.entries != maxEntries+1 {
		t.Errorf("tar: %d entries were taken, %v", v.entries, err)
	}
}

// A directory that nobody signed is not gone through, and of one that was no more is
// read than shows that there is too much in it.
func TestAFloodOfFilesIsNotRead(t *testing.T) {
	_, private := newKey(t)
	p := build{}.make(t, private)
	root := p.dir(t)
	deep := filepath.Join(root, "deep")
	for range 400 { // which fits into a path
		deep = filepath.Join(deep, "d")
	}
	if err := os.MkdirAll(deep, 0o755); err != nil {
		t.Fatal(err)
	}
	if r := Verify(root, p.key); len(r.Errors) != 1 || r.Errors[0].Kind != KindUnlisted || r.Errors[0].Path != "deep" {
		t.Errorf("directories in directories: %d errors, the first %+v", len(r.Errors), r.Errors[:1])
	}
	if err := os.RemoveAll(filepath.Join(root, "deep")); err != nil {
		t.Fatal(err)
	}
	const flood = maxEntries + 1000
	for i := range flood {
		f, err := os.Create(filepath.Join(root, "bin", strconv.Itoa(i)))
		if err != nil {
			t.Fatal(err)
		}
		f.Close()
	}
	d, err := open(root)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	visited := 0
	if err := d.each(0, func(entry) error { visited++; return nil }); err != nil || visited > maxEntries+len(p.files)+10 {
		t.Errorf("%d entries were read, %v", visited, err)
	}
	if r := Verify(root, p.key); r.Valid || !slices.ContainsFunc(r.Errors, func(f Fault) bool { return f.Kind == KindUnlisted }) {
		t.Errorf("it is valid: %+v", r)
	}
}
