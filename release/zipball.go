package release

import (
	"archive/zip"
	"bufio"
	"bytes"
	"compress/flate"
	"encoding/binary"
	"io"
	"io/fs"
	"os"
	"strings"
)

// A zipball is a package in a .zip.
type zipball struct {
	*os.File
	zip *zip.Reader
	top string
}

// Parts of a zip: their sizes without what varies, and how they begin.
const (
	zipLocal, zipLocalMagic       = 30, "PK\x03\x04"
	zipCentral                    = 46
	zipDescriptor, zipDescrMagic  = 16, "PK\x07\x08"
	zipEnd, zipEndMagic           = 22, "PK\x05\x06"
	zipHasDescriptor, zipNameUTF8 = 0x8, 0x800
)

var le = binary.LittleEndian

// newZipball reads the directory of a zip, and refuses what could let another
// program find other files in it: some read the directory at its end, some go
// from entry to entry, some look for either anywhere.
func newZipball(f *os.File, size int64) (source, error) {
	cut := structure(KindArchive, "it does not end as a zip of a package does; perhaps it was not fetched whole, so fetch it again")
	if size < zipEnd {
		return nil, cut
	}
	end := make([]byte, zipEnd)
	if _, err := f.ReadAt(end, size-zipEnd); err != nil {
		return nil, err
	}
	entries, length, start := int(le.Uint16(end[10:])), int64(le.Uint32(end[12:])), int64(le.Uint32(end[16:]))
	switch {
	case string(end[:4]) != zipEndMagic || start+length+zipEnd != size || le.Uint32(end[4:]) != 0 ||
		le.Uint16(end[8:]) != le.Uint16(end[10:]) || le.Uint16(end[20:]) != 0:
		return nil, cut
	case entries > maxEntries || length > int64(maxEntries)*(zipCentral+2*maxPath):
		return nil, structure(KindArchive, "it has more than %d entries", maxEntries)
	}
	r, err := zip.NewReader(io.NewSectionReader(f, 0, size), size)
	if r == nil || len(r.File) != entries || entries == 0 {
		return nil, structure(KindArchive, "its directory cannot be read; fetch it again")
	}
	_ = err // names that lead elsewhere, which we see to ourselves
	r.RegisterDecompressor(zip.Deflate, inflate)
	z := &zipball{File: f, zip: r}
	z.top, _, _ = strings.Cut(r.File[0].Name, "/")
	return z, z.tight(start, length)
}

// tight sees to it that the entries stand one behind the other from the first byte
// to the directory, in its order, and say the same of themselves as it does.
func (z *zipball) tight(start, length int64) error {
	var at, directory int64
	for _, f := range z.zip.File {
		next, ok := z.entryEnd(f, at)
		if !ok || !z.plain(f, start+directory) {
			return structure(KindArchive, "what an entry says of itself is not what the directory says of it, so that programs unpack different files; do not use it")
		}
		at = next
		directory += zipCentral + int64(len(f.Name)+len(f.Extra)+len(f.Comment))
	}
	if at != start || directory != length {
		return structure(KindArchive, "there is something between its entries")
	}
	return nil
}

// plain looks at what an entry's part of the directory has beside what Go reads: where
// it is none that everybody reads, some leave out the entry, or its mode.
func (z *zipball) plain(f *zip.File, at int64) bool {
	const basic = 20 // the version that knows deflated files and directories
	b := make([]byte, zipCentral)
	_, err := z.ReadAt(b, at)
	return err == nil && f.ReaderVersion <= basic && le.Uint16(b[34:]) == 0 && le.Uint16(b[36:]) == 0 // disk and attributes
}

// entryEnd compares the entry at an offset with what the directory says of it.
func (z *zipball) entryEnd(f *zip.File, at int64) (end int64, ok bool) {
	b := make([]byte, zipLocal)
	if _, err := z.ReadAt(b, at); err != nil {
		return 0, false
	}
	name, extra := int64(le.Uint16(b[26:])), int64(le.Uint16(b[28:]))
	if string(b[:4]) != zipLocalMagic || name != int64(len(f.Name)) ||
		le.Uint16(b[4:]) != f.ReaderVersion || le.Uint16(b[6:]) != f.Flags || le.Uint16(b[8:]) != f.Method || f.Flags&^(zipHasDescriptor|zipNameUTF8) != 0 {
		return 0, false
	}
	if f.Method == zip.Store && (f.Flags&zipHasDescriptor != 0 || f.CompressedSize64 != f.UncompressedSize64) {
		return 0, false // where it ends, only the directory would tell
	}
	more := make([]byte, name+extra)
	if _, err := z.ReadAt(more, at+zipLocal); err != nil || string(more[:name]) != f.Name || !onlyTime(more[name:]) || !onlyTime(f.Extra) {
		return 0, false
	}
	data := at + zipLocal + name + extra
	if offset, err := f.DataOffset(); err != nil || offset != data || f.CompressedSize64 > maxFile {
		return 0, false
	}
	end = data + int64(f.CompressedSize64)
	sizes := make([]byte, 12) // as the directory has them
	le.PutUint32(sizes, f.CRC32)
	le.PutUint32(sizes[4:], uint32(f.CompressedSize64))
	le.PutUint32(sizes[8:], uint32(f.UncompressedSize64))
	if f.Flags&zipHasDescriptor == 0 {
		return end, bytes.Equal(b[14:26], sizes)
	}
	d := make([]byte, zipDescriptor)
	if _, err := z.ReadAt(d, end); err != nil {
		return 0, false
	}
	nothing := make([]byte, 12)
	return end + zipDescriptor, string(d[:4]) == zipDescrMagic && bytes.Equal(d[4:], sizes) && bytes.Equal(b[14:26], nothing)
}

// onlyTime reports whether extra fields hold nothing, or the times of a file: others
// may hold another name for it, and a longer one the end of another zip.
func onlyTime(extra []byte) bool {
	const time, most = 0x5455, 1 + 3*4 // flags, and three times
	return len(extra) == 0 || len(extra) >= 4 && len(extra) <= 4+most &&
		le.Uint16(extra) == time && int(le.Uint16(extra[2:])) == len(extra)-4
}

// inflate unpacks the bytes of an entry. They end only where its content does: who
// goes from entry to entry would take the rest for more entries.
func inflate(packed io.Reader) io.ReadCloser {
	b := bufio.NewReader(packed) // of which no byte more is read than is needed
	return &inflated{flate.NewReader(b), b}
}

type inflated struct {
	io.ReadCloser
	packed *bufio.Reader
}

func (i *inflated) Read(p []byte) (int, error) {
	n, err := i.ReadCloser.Read(p)
	if err == io.EOF {
		if _, end := i.packed.ReadByte(); end != io.EOF {
			err = structure(KindArchive, "there is something behind its content")
		}
	}
	return n, err
}

func (z *zipball) root() string { return z.top }

func (z *zipball) head() (manifest, signature []byte, err error) {
	if signature, err = z.text(SignatureName, maxSignature); err == nil {
		manifest, err = z.text(ManifestName, maxManifest)
	}
	return manifest, signature, err
}

// text reads the one file of that name.
func (z *zipball) text(name string, limit int64) ([]byte, error) {
	var found *zip.File
	for _, f := range z.zip.File {
		if f.Name != z.top+"/"+name {
			continue
		}
		if found != nil {
			return nil, structure(KindDuplicate, "%s comes twice", name)
		}
		found = f
	}
	if found == nil {
		return nil, structure(KindSignature, "there is no %s", name)
	}
	if e := z.entry(found); e.problem != "" || e.dir || e.mode != 0o644 {
		return nil, structure(KindEntry, "%s is no plain file of mode 0644", name)
	}
	r, err := found.Open()
	if err != nil {
		return nil, structure(KindArchive, "%s cannot be read; fetch the package again", name)
	}
	defer r.Close() // only read
	return readText(r, name, limit)
}

func (z *zipball) each(_ int64, visit func(entry) error) error {
	for _, f := range z.zip.File {
		e := z.entry(f)
		if e.path == ManifestName || e.path == SignatureName {
			continue // text saw that there is only one
		}
		if err := visit(e); err != nil {
			return err
		}
	}
	return nil
}

func (z *zipball) entry(f *zip.File) entry {
	const typeBits, regular, folder, link, unix, dosFolder = 0o170000, 0o100000, 0o040000, 0o120000, 3, 0x10
	mode := f.ExternalAttrs >> 16
	e := entry{mode: fs.FileMode(mode &^ typeBits), size: int64(f.UncompressedSize64), open: f.Open}
	name, slash := strings.CutSuffix(f.Name, "/")
	e.dir = slash
	e.path = below(z.top, name)
	switch {
	case mode&typeBits == link:
		e.problem = "it is a link; a package has none"
	case f.CreatorVersion>>8 != unix:
		e.problem = "it has no Unix mode"
	case slash && (mode&typeBits != folder || f.UncompressedSize64 != 0 || f.CompressedSize64 != 0),
		!slash && (mode&typeBits != regular || f.ExternalAttrs&dosFolder != 0):
		e.problem = "its name, its mode and its size do not tell alike whether it is a file or a directory"
	case f.Comment != "":
		e.problem = "it has a comment; a package's entries have none"
	}
	return e
}
