package release

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// What the archives below hide, and what a program that finds it would install.
const hidden = "#!/bin/sh\necho hidden\n"

// The fields behind the name in a tar's header, of an empty file; and its magic.
const (
	tarFields = "0000644\x000000000\x000000000\x0000000000000\x0000000000000\x00"
	tarMagic  = "ustar\x0000"
)

// checksummed sets the checksum of a tar's header.
func checksummed(header []byte) []byte {
	copy(header[148:156], "        ")
	var sum int
	for _, b := range header[:512] {
		sum += int(b)
	}
	copy(header[148:156], fmt.Sprintf("%06o\x00 ", sum))
	return header
}

// gzipWith packs text behind a header of gzip with these flags, which say what
// optional parts stand behind its first ten bytes.
func gzipWith(t *testing.T, flags byte, parts, text []byte) []byte {
	t.Helper()
	plain := zipped(text)
	plain[3] = flags
	return slices.Concat(plain[:10], parts, plain[10:])
}

// tarInExtra is the package in gzip, with a plain tar in the extra field of its
// header: GNU's tar, which looks for a tar before it looks for gzip, unpacks that.
func tarInExtra(t *testing.T, p *pkg) []byte {
	evil := pkg{files: []item{{path: "install.sh", text: hidden, mode: 0o755}}}
	field := append(make([]byte, 500), evil.tar(t, tar.FormatUSTAR)...)
	text := gzipWith(t, 4, append(le.AppendUint16(nil, uint16(len(field))), field...), p.tar(t, tar.FormatUSTAR))
	copy(text[100:], tarFields)
	copy(text[257:], tarMagic)
	checksummed(text)
	return text
}

// storedTarHead is the package in gzip, of which the first 512 bytes are the header
// of a plain tar though the header of gzip has nothing optional: they stand in a
// block that is stored as it is, in what a tar's header has behind the name in it.
func storedTarHead(t *testing.T, p *pkg) []byte {
	t.Helper()
	const empty = "\x00\x00\x00\xff\xff" // a block of nothing, which moves what follows
	text := p.tar(t, tar.FormatUSTAR)
	before := slices.Concat([]byte("\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"), bytes.Repeat([]byte(empty), 10), []byte("\x00\x00\x02\xff\xfd"))
	inner := text[:512] // of the package's directory: its name ends at 22, and what is free up to 100
	at := 100 - len(before)
	if at < len(Root(testVersion))+2 || 156-len(before) > 100 {
		t.Fatal("the blocks do not move the fields to where they must be")
	}
	copy(inner[at:], tarFields)
	copy(inner[257-len(before):], tarMagic) // in the place of a link's end, which a directory has not
	// Each checksum is over the digits of the other: a byte that is free is changed
	// until both hold.
	outer := slices.Concat(before, inner)[:512]
	for free := byte(1); ; free++ {
		if free == 0x7f {
			t.Fatal("no two checksums hold together")
		}
		inner[at-1], outer[at-1+len(before)] = free, free
		for range 4 {
			copy(outer[len(before):], checksummed(inner))
			copy(inner[148-len(before):], checksummed(outer)[148:156])
		}
		if held := bytes.Clone(inner); bytes.Equal(held, checksummed(inner)) && bytes.Equal(outer[len(before):], inner[:512-len(before)]) {
			break
		}
	}
	var rest bytes.Buffer
	w, err := flate.NewWriter(&rest, flate.BestSpeed)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = w.Write(text[512:]) // a buffer takes all
	_ = w.Close()
	end := make([]byte, 8)
	le.PutUint32(end, crc32.ChecksumIEEE(text))
	le.PutUint32(end[4:], uint32(len(text)))
	return slices.Concat(before, inner, rest.Bytes(), end)
}

// zipRaw packs the package with tail behind the deflated last entry, which the
// lengths of the entry count to it.
func zipRaw(t *testing.T, p *pkg, flags, method uint16, tail []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for i, f := range p.files {
		packed := []byte(f.text)
		if method == zip.Deflate {
			var d bytes.Buffer
			z, err := flate.NewWriter(&d, flate.BestSpeed)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = z.Write([]byte(f.text))
			_ = z.Close()
			packed = d.Bytes()
		}
		if i == len(p.files)-1 {
			packed = append(packed, tail...)
		}
		h := &zip.FileHeader{
			Name: inside(f.path), Method: method, Flags: flags, CRC32: crc32.ChecksumIEEE([]byte(f.text)),
			CompressedSize64: uint64(len(packed)), UncompressedSize64: uint64(len(f.text)),
		}
		h.SetMode(os.FileMode(f.mode))
		part, err := w.CreateRaw(h)
		if err == nil {
			_, err = part.Write(packed)
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

// withExtra gives the last entry of a zip's directory an extra field.
func withExtra(text []byte, extra func(at int) []byte) []byte {
	text = bytes.Clone(text)
	last, end := bytes.LastIndex(text, []byte("PK\x01\x02")), len(text)-zipEnd
	field := extra(end)
	le.PutUint16(text[last+30:], le.Uint16(text[last+30:])+uint16(len(field)))
	le.PutUint32(text[end+12:], le.Uint32(text[end+12:])+uint32(len(field)))
	return slices.Concat(text[:end], field, text[end:])
}

// zip64InATime is the extra field of a time in which the end of a zip64 stands, and
// before it the directory that this end names.
func zip64InATime(t *testing.T) func(at int) []byte {
	evil := pkg{files: []item{{path: "install.sh", text: hidden, mode: 0o755}}}
	other := zipRaw(t, &evil, 0, zip.Store, nil)
	directory := other[bytes.Index(other, []byte("PK\x01\x02")) : len(other)-zipEnd]
	return func(at int) []byte {
		at += 4 // the field's own head
		b := bytes.Clone(directory)
		b = append(b, "PK\x06\x06"...)
		b = le.AppendUint64(b, 44)
		b = append(b, 45, 3, 45, 0, 0, 0, 0, 0, 0, 0, 0, 0)
		for _, n := range []int{1, 1, len(directory), at} {
			b = le.AppendUint64(b, uint64(n))
		}
		b = append(b, "PK\x06\x07\x00\x00\x00\x00"...)
		b = le.AppendUint64(b, uint64(at+len(directory)))
		b = append(b, 1, 0, 0, 0)
		return append(le.AppendUint16(le.AppendUint16(nil, 0x5455), uint16(len(b))), b...)
	}
}

// inHeader changes a header of the tar, and its checksum with it.
func inHeader(t *testing.T, p *pkg, path string, at int, with string) []byte {
	t.Helper()
	text := p.tar(t, tar.FormatUSTAR)
	header := bytes.Index(text, []byte(inside(path)+"\x00"))
	if header < 0 {
		t.Fatalf("the tar has no %s", path)
	}
	copy(text[header+at:], with)
	checksummed(text[header:])
	return zipped(text)
}

// inDirectory changes the part of the last entry in a zip's directory.
func inDirectory(text []byte, at int, with string) []byte {
	text = bytes.Clone(text)
	copy(text[bytes.LastIndex(text, []byte("PK\x01\x02"))+at:], with)
	return text
}

// atEnd changes the end of a zip.
func atEnd(text []byte, at int, with string) []byte {
	text = bytes.Clone(text)
	copy(text[len(text)-zipEnd+at:], with)
	return text
}

// between puts something between the parts of a zip, which are found all the same.
func between(text []byte, before int, something string) []byte {
	directory := le.Uint32(text[len(text)-zipEnd+16:])
	text = slices.Concat(text[:before], []byte(something), text[before:])
	if before <= int(directory) {
		le.PutUint32(text[len(text)-zipEnd+16:], directory+uint32(len(something)))
	}
	return text
}

// In each of these our reader finds the package as it was signed, and some other
// program, as people use it, something else.
func TestArchivesThatHideSomething(t *testing.T) {
	_, private := newKey(t)
	p := build{}.make(t, private)
	plain, plainZip := p.tar(t, tar.FormatUSTAR), zipRaw(t, &p, 0, zip.Deflate, nil)
	tail := append([]byte("PK\x07\x08"), make([]byte, 12)...)
	time := func(field string) func(int) []byte { return func(int) []byte { return []byte(field) } }
	for _, c := range []struct {
		name string
		text []byte
		want string
	}{
		{"a tar in the extra field of gzip", tarInExtra(t, &p), KindArchive},
		{"a name in gzip's header", gzipWith(t, 8, []byte("p.tar\x00"), plain), KindArchive},
		{"a comment in gzip's header", gzipWith(t, 16, []byte("more\x00"), plain), KindArchive},
		{"a checksum of gzip's header", func() []byte {
			text := gzipWith(t, 2, make([]byte, 2), plain)
			le.PutUint16(text[10:], uint16(crc32.ChecksumIEEE(text[:10])))
			return text
		}(), KindArchive},
		{"a flag that gzip does not have", gzipWith(t, 0x20, nil, plain), KindArchive},
		{"a tar in stored blocks of gzip", storedTarHead(t, &p), KindArchive},

		{"the end of a zip64 in a time", withExtra(plainZip, zip64InATime(t)), KindArchive},
		{"two times", withExtra(plainZip, time("UT\x05\x00\x01\x00\x00\x00\x00UT\x05\x00\x01\x00\x00\x00\x00")), KindArchive},
		{"more than an entry's content, deflated", zipRaw(t, &p, 0, zip.Deflate, tail), KindArchive},
		{"more than an entry's content, its length behind it", zipRaw(t, &p, zipHasDescriptor, zip.Deflate, tail), KindArchive},
		{"more than an entry's content, as it is", zipRaw(t, &p, 0, zip.Store, tail), KindArchive},
		{"content as it is, its length behind it", zipRaw(t, &p, zipHasDescriptor, zip.Store, nil), KindArchive},

		{"the name of a link at a file", inHeader(t, &p, "empty", 157, "/etc/passwd"), KindEntry},
		{"a directory by its name alone", inHeader(t, &p, "bin/", 156, "\x00"), KindSignature},
		{"a file of the oldest type", inHeader(t, &p, "empty", 156, "\x00"), KindEntry},
		{"zeros before a mode", inHeader(t, &p, "install.sh", 100, "\x00\x00\x00\x00755\x00"), KindEntry},
		{"blanks before a size", inHeader(t, &p, "install.sh", 124, "         12\x00"), KindEntry},
		{"no time", inHeader(t, &p, "install.sh", 136, strings.Repeat("\x00", 12)), KindEntry},
		{"something behind the name", inHeader(t, &p, "install.sh", 90, "x"), KindEntry},
		{"something behind the prefix", inHeader(t, &p, "install.sh", 400, "x"), KindEntry},
		{"something behind the number of a device", inHeader(t, &p, "install.sh", 329, "0000\x00x"), KindEntry},
		{"something behind the fields", inHeader(t, &p, "install.sh", 510, "x"), KindEntry},

		{"a version of zip that few know", inDirectory(plainZip, 6, "\xff"), KindArchive},
		{"another disk at the end", atEnd(plainZip, 4, "\x01"), KindArchive},
		{"the directory on another disk", atEnd(plainZip, 6, "\x01"), KindArchive},
		{"fewer entries on this disk", atEnd(plainZip, 8, "\x01"), KindArchive},
		{"fewer entries", atEnd(plainZip, 8, "\x01\x00\x01\x00"), KindArchive},
		{"a comment that is not there", atEnd(plainZip, 20, "\x01"), KindArchive},
		{"something between the entries and the directory", between(plainZip, int(le.Uint32(plainZip[len(plainZip)-zipEnd+16:])), "more"), KindArchive},
		{"something between the directory and the end", between(plainZip, len(plainZip)-zipEnd, "more"), KindArchive},
		{"another disk", inDirectory(plainZip, 34, "\x01"), KindArchive},
		{"attributes that no system has", inDirectory(plainZip, 36, "\x04"), KindArchive},
	} {
		t.Run(c.name, func(t *testing.T) {
			if r := Verify(write(t, "p", c.text), p.key); r.Valid || !slices.Equal(kinds(r), []string{c.want}) {
				t.Errorf("got %+v, want %s", r.Errors, c.want)
			}
		})
	}
	for name, text := range map[string][]byte{
		"a zip whose lengths come first": plainZip,
		"a zip that is not deflated":     zipRaw(t, &p, 0, zip.Store, nil),
		"a zip with a time":              withExtra(plainZip, time("UT\x05\x00\x01\x00\x00\x00\x00")),
	} {
		if r := Verify(write(t, "p", text), p.key); !r.Valid {
			t.Errorf("%s: %+v", name, r.Errors)
		}
	}
}

// The tests above would prove nothing, did no program find what they hide.
func TestTarFindsWhatIsHidden(t *testing.T) {
	if out, err := exec.Command("tar", "--version").Output(); err != nil || !bytes.Contains(out, []byte("GNU tar")) {
		t.Skip("tar is not that of GNU here")
	}
	_, private := newKey(t)
	p := build{}.make(t, private)
	for name, text := range map[string][]byte{
		"in the extra field of gzip": tarInExtra(t, &p), "in stored blocks": storedTarHead(t, &p),
	} {
		r, err := gzip.NewReader(bytes.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		if unpacked, err := io.ReadAll(r); err != nil || !bytes.Contains(unpacked, []byte(ManifestName)) {
			t.Errorf("%s: gzip finds no package: %v", name, err)
		}
		// Its first entry has the beginning of gzip as its name.
		out, _ := exec.Command("tar", "-tf", write(t, "p.tar.gz", text)).Output()
		if !strings.HasPrefix(string(out), `\037\213`) || name != "in stored blocks" && !strings.Contains(string(out), inside("install.sh")) {
			t.Errorf("%s: tar lists %.60q", name, out)
		}
	}
}
