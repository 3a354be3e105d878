package release

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/ed25519"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// Whatever is done to an archive: Verify returns, and where it says valid, other
// readers of the archive find exactly the files that were signed.
//
// The fuzzer is given what to change and not the archive, most changes of which
// would end at the first check: in the tar before it is packed, in the packed one,
// or in the zip, removed bytes at an offset make place for others.
func FuzzVerify(f *testing.F) {
	seed := bytes.Repeat([]byte{7}, ed25519.SeedSize) // the same in every process of the fuzzer
	p := build{}.make(f, ed25519.NewKeyFromSeed(seed))
	want := map[string]string{}
	for _, file := range p.files {
		want[inside(file.path)] = file.text
	}
	archives := [][]byte{p.tar(f, tar.FormatUSTAR), p.targz(f), p.zip(f)}
	for form, text := range archives {
		f.Add(uint8(form), uint16(0), uint16(0), []byte{})
		f.Add(uint8(form), uint16(len(text)), uint16(0), []byte("x"))
		f.Add(uint8(form), uint16(0), uint16(len(text)), []byte("PK"))
		if at := bytes.Index(text, []byte("install.sh")); at >= 0 {
			f.Add(uint8(form), uint16(at), uint16(3), []byte("../"))
		}
	}
	at := filepath.Join(f.TempDir(), "p")
	f.Fuzz(func(t *testing.T, form uint8, offset, removed uint16, put []byte) {
		text := archives[int(form)%len(archives)]
		from := min(int(offset), len(text))
		text = slices.Concat(text[:from], put, text[min(from+int(removed), len(text)):])
		if int(form)%len(archives) == 0 {
			text = zipped(text)
		}
		if err := os.WriteFile(at, text, 0o600); err != nil {
			t.Fatal(err)
		}
		r := Verify(at, p.key)
		if r.Valid != (len(r.Errors) == 0) {
			t.Fatalf("valid is %v with the errors %+v", r.Valid, r.Errors)
		}
		if !r.Valid {
			return
		}
		got := read(t, text)
		if len(got) != len(want) {
			t.Fatalf("a valid package has %d files and was signed with %d", len(got), len(want))
		}
		for name, content := range want {
			if got[name] != content {
				t.Fatalf("a valid package has another %s", name)
			}
		}
	})
}

// read unpacks an archive as the next best program would.
func read(t *testing.T, text []byte) map[string]string {
	t.Helper()
	files := map[string]string{}
	if bytes.HasPrefix(text, []byte("PK")) {
		r, err := zip.NewReader(bytes.NewReader(text), int64(len(text)))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range r.File {
			part, err := f.Open()
			if err != nil {
				t.Fatal(err)
			}
			content, err := io.ReadAll(part)
			if err != nil {
				t.Fatal(err)
			}
			files[f.Name] += string(content)
		}
		return files
	}
	unzipped, err := gzip.NewReader(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	for r := tar.NewReader(unzipped); ; {
		h, err := r.Next()
		if err == io.EOF {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		if h.Typeflag == tar.TypeDir {
			continue
		}
		content, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		files[h.Name] += string(content)
	}
}
