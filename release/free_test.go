package release

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"os"
	"slices"
	"testing"
)

// within lists the numbers of ranges, which are given by their ends.
func within(ranges ...[2]int) (all []int) {
	for _, r := range ranges {
		for i := r[0]; i < r[1]; i++ {
			all = append(all, i)
		}
	}
	return all
}

// No byte of what holds a zip together can be changed, but those of the times and of
// attributes of other systems.
func TestNoByteOfAZipIsFree(t *testing.T) {
	_, private := newKey(t)
	p := build{}.make(t, private)
	for name, text := range map[string][]byte{
		"lengths first": zipRaw(t, &p, 0, zip.Deflate, nil), "lengths behind": p.zip(t), "not deflated": zipRaw(t, &p, 0, zip.Store, nil),
	} {
		at := write(t, "p.zip", text)
		if r := Verify(at, p.key); !r.Valid {
			t.Fatalf("%s: %+v", name, r.Errors)
		}
		for _, part := range []struct {
			magic  string
			length int
			free   []int
		}{
			{zipLocalMagic, zipLocal + 20, within([2]int{10, 14})},
			{"PK\x01\x02", zipCentral + 20, within([2]int{4, 5}, [2]int{12, 16}, [2]int{38, 40})},
			{zipDescrMagic, zipDescriptor, nil},
			{zipEndMagic, zipEnd, nil},
		} {
			from := bytes.LastIndex(text, []byte(part.magic))
			if from < 0 && part.magic != zipDescrMagic {
				t.Fatalf("%s: there is no %q", name, part.magic)
			}
			for i := range part.length {
				if from < 0 || slices.Contains(part.free, i) {
					continue
				}
				for _, bit := range []byte{1, 0x80} {
					changed := bytes.Clone(text)
					changed[from+i] ^= bit
					if err := os.WriteFile(at, changed, 0o600); err != nil {
						t.Fatal(err)
					}
					if Verify(at, p.key).Valid {
						t.Errorf("%s: byte %d behind %q can be changed by %#x", name, i, part.magic, bit)
					}
				}
			}
		}
	}
}

// No byte of a tar's header can be changed, but those of the time and of the numbers
// that devices have.
func TestNoByteOfATarIsFree(t *testing.T) {
	_, private := newKey(t)
	p := build{}.make(t, private)
	free := within([2]int{136, 147}, [2]int{148, 156}, [2]int{329, 336}, [2]int{337, 344})
	at := write(t, "p.tgz", nil)
	for _, path := range []string{"install.sh", "bin/"} {
		text := p.tar(t, tar.FormatUSTAR)
		from := bytes.Index(text, []byte(inside(path)+"\x00"))
		for i := range tarHeader { // the checksum is set anew
			if slices.Contains(free, i) {
				continue
			}
			changed := bytes.Clone(text)
			changed[from+i] ^= 1
			checksummed(changed[from:])
			if err := os.WriteFile(at, zipped(changed), 0o600); err != nil {
				t.Fatal(err)
			}
			if Verify(at, p.key).Valid {
				t.Errorf("%s: byte %d of its header can be changed", path, i)
			}
		}
	}
}

// Entries of a zip that are not quite what a package has.
func TestEntriesOfAZip(t *testing.T) {
	_, private := newKey(t)
	for _, c := range []struct {
		name   string
		change func(*pkg)
		want   []string
	}{
		{"a directory", func(p *pkg) { p.files = append(p.files, item{path: "bin", kind: tar.TypeDir, mode: 0o755}) }, nil},
		{"a directory that all can write", func(p *pkg) { p.files = append(p.files, item{path: "bin", kind: tar.TypeDir, mode: 0o777}) }, []string{KindMode}},
		{"a file with the name of a directory", func(p *pkg) { p.files = append(p.files, item{path: "bin/", mode: 0o755}) }, []string{KindEntry}},
		{"a manifest that is a program", func(p *pkg) { p.files[0].mode = 0o755 }, []string{KindEntry}},
		{"a signature that all can write", func(p *pkg) { p.files[1].mode = 0o666 }, []string{KindEntry}},
		{"a manifest that is a link", func(p *pkg) { p.files[0].kind, p.files[0].link = tar.TypeSymlink, p.files[0].text }, []string{KindEntry}},
	} {
		p := build{}.make(t, private)
		c.change(&p)
		if r := Verify(write(t, "p.zip", p.zip(t)), p.key); !slices.Equal(kinds(r), c.want) {
			t.Errorf("%s: %+v, want %v", c.name, r.Errors, c.want)
		}
	}
}
