package release

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
)

// A tarball is a package in a .tar.gz. It is read once, from front to end.
type tarball struct {
	*os.File
	packed   *bufio.Reader
	gzip     *gzip.Reader
	unpacked io.LimitedReader // of gzip
	read     recent           // of unpacked
	tar      *tar.Reader
	top      string
	early    []entry // directories that stood before the manifest
}

// overhead is what a tar may have beside the contents of n files: a header and
// padding for each of them and their directories, and the padding at its end.
func overhead(n int64) int64 { return 4096*n + 64<<10 }

func newTarball(f *os.File) (source, error) {
	t := &tarball{File: f, packed: bufio.NewReaderSize(f, 64<<10)}
	head, err := t.packed.Peek(4)
	if err != nil {
		return nil, t.unread(err)
	}
	if head[3] != 0 { // which parts it has; one of them is as long as its maker likes
		return nil, structure(KindArchive, "its header of gzip has optional parts, where other files can be hidden; a package's has none (gzip -n)")
	}
	if t.gzip, err = gzip.NewReader(t.packed); err != nil {
		return nil, t.unread(err)
	}
	t.gzip.Multistream(false)
	t.unpacked = io.LimitedReader{R: t.gzip, N: maxManifest + maxSignature + overhead(16)}
	t.read.Reader = &t.unpacked
	t.tar = tar.NewReader(&t.read)
	return t, nil
}

func (t *tarball) root() string { return t.top }

// unread words what ended the reading.
func (t *tarball) unread(err error) error {
	if f, ok := errors.AsType[*structural](err); ok {
		return f
	}
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		if t.unpacked.R != nil && t.unpacked.N <= 0 {
			return structure(KindArchive, "it holds far more than it should; do not unpack it")
		}
		return structure(KindArchive, "%s", plainly(io.ErrUnexpectedEOF))
	case errors.Is(err, gzip.ErrHeader), errors.Is(err, gzip.ErrChecksum), errors.Is(err, tar.ErrHeader):
		return structure(KindArchive, "it was damaged: %s; fetch it again", err)
	}
	return structure(KindArchive, "it cannot be read: %s", plainly(err))
}

func (t *tarball) head() (manifest, signature []byte, err error) {
	for manifest == nil || signature == nil {
		e, err := t.next()
		if err != nil {
			return nil, nil, t.unread(err)
		}
		switch {
		case e.dir && e.problem == "" && len(t.early) < 16:
			t.early = append(t.early, e)
			continue
		case e.problem == "" && e.mode == 0o644 && e.path == ManifestName && manifest == nil:
			manifest, err = readText(t.tar, e.path, maxManifest)
		case e.problem == "" && e.mode == 0o644 && e.path == SignatureName && signature == nil:
			signature, err = readText(t.tar, e.path, maxSignature)
		default:
			return nil, nil, structure(KindSignature, "it does not begin with %s and %s, as plain files of mode 0644", ManifestName, SignatureName)
		}
		if err != nil {
			return nil, nil, t.unread(err)
		}
	}
	return manifest, signature, nil
}

func (t *tarball) each(most int64, visit func(entry) error) error {
	for _, e := range t.early {
		if err := visit(e); err != nil {
			return err
		}
	}
	t.unpacked.N = most + overhead(maxFiles)
	for {
		e, err := t.next()
		if err == io.EOF && t.unpacked.N > 0 {
			return t.end()
		}
		if err != nil {
			return t.unread(err)
		}
		if err := visit(e); err != nil {
			return err
		}
	}
}

// next returns the next entry. That of the package's directory has no path.
func (t *tarball) next() (entry, error) {
	h, err := t.tar.Next()
	if h == nil {
		if err == nil {
			err = io.EOF
		}
		return entry{}, err
	}
	if err != nil && !errors.Is(err, tar.ErrInsecurePath) { // which we see to ourselves
		return entry{}, err
	}
	e := entry{dir: h.Typeflag == tar.TypeDir, mode: fs.FileMode(h.Mode), size: h.Size, problem: tarProblem(h, t.read.header[:])}
	e.open = func() (io.ReadCloser, error) { return io.NopCloser(t.tar), nil }
	name := h.Name
	if e.dir {
		name = strings.TrimSuffix(name, "/")
	}
	if t.top == "" {
		t.top, _, _ = strings.Cut(name, "/")
	}
	e.path = below(t.top, name)
	return e, nil
}

// below is what of name stands below the directory top. What is not below it is
// a path that no package has.
func below(top, name string) string {
	if name == top {
		return ""
	}
	if rest, ok := strings.CutPrefix(name, top+"/"); ok && rest != "" && top != "" {
		return rest
	}
	return "/" + name
}

// recent keeps the last bytes that were read: after a step to the next entry, its
// header.
type recent struct {
	io.Reader
	header [tarHeader]byte
}

func (r *recent) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if new := p[max(0, n-tarHeader):n]; len(new) > 0 {
		copy(r.header[:], r.header[len(new):])
		copy(r.header[tarHeader-len(new):], new)
	}
	return n, err
}

// tarProblem says what of an entry is not a package's, or "". raw are the bytes of h.
func tarProblem(h *tar.Header, raw []byte) string {
	switch {
	case h.Typeflag == tar.TypeSymlink, h.Typeflag == tar.TypeLink:
		return "it is a link; a package has none"
	case h.Typeflag != tar.TypeReg && h.Typeflag != tar.TypeDir:
		return "it is neither a file nor a directory"
	case h.Mode&^0o7777 != 0:
		return "its mode holds more than permissions"
	case h.Format != tar.FormatUSTAR, len(h.PAXRecords) > 0:
		return "it is written in another format than USTAR, which all programs read alike"
	case raw[156] != h.Typeflag || h.Linkname != "" || !plainFields(raw):
		return "its header is not filled in as it should be, so that programs read different things in it"
	case h.Typeflag == tar.TypeDir && h.Size != 0:
		return "it is a directory with content"
	case h.Uid != 0 || h.Gid != 0 || h.Uname != "" && h.Uname != "root" || h.Gname != "" && h.Gname != "root":
		return "it belongs to another than root, who could change it once root has unpacked it"
	}
	return ""
}

// tarHeader is the length of a header in a tar.
const tarHeader = 512

// plainFields reports whether every field of a header holds its value from its first
// byte on, and nothing behind that: some programs stop where others skip.
func plainFields(header []byte) bool {
	type field struct{ from, to int }
	for _, f := range []field{{0, 100}, {157, 257}, {265, 297}, {297, 329}, {345, 500}} { // names
		if bytes.IndexByte(bytes.TrimRight(header[f.from:f.to], "\x00"), 0) >= 0 {
			return false
		}
	}
	for _, f := range []field{{100, 108}, {108, 116}, {116, 124}, {124, 136}, {136, 148}, {148, 156}, {329, 337}, {337, 345}} {
		digits := bytes.TrimRight(header[f.from:f.to], " \x00")
		if len(bytes.Trim(digits, "01234567")) > 0 || len(digits) == 0 && f.from < 329 { // devices have the last two
			return false
		}
	}
	return string(header[257:265]) == "ustar\x0000" && bytes.Count(header[500:], []byte{0}) == tarHeader-500
}

// isPlainTar reports whether a file with this beginning is a tar that is not packed:
// the checksum of its first header holds. GNU's tar asks this before it asks whether
// the file is in gzip, and a file can be made to be both.
func isPlainTar(head []byte) bool {
	if len(head) < tarHeader {
		return false
	}
	const from, to = 148, 156 // of the checksum, which counts as blanks
	unsigned, signed := int64(' '*(to-from)), int64(' '*(to-from))
	for _, b := range slices.Concat(head[:from], head[to:tarHeader]) {
		unsigned, signed = unsigned+int64(b), signed+int64(int8(b))
	}
	said := strings.TrimLeft(string(head[from:to]), " \t\n\v\f\r\x00")
	digits := len(said) - len(strings.TrimLeft(said, "01234567"))
	sum, err := strconv.ParseInt(said[:digits], 8, 64)
	return err == nil && (sum == unsigned || sum == signed)
}

// end sees to it that nothing stands behind the last entry: other programs read on
// in places where we do not.
func (t *tarball) end() error {
	rest := make([]byte, 4096)
	for {
		n, err := t.unpacked.Read(rest)
		for _, b := range rest[:n] {
			if b != 0 {
				return structure(KindArchive, "there is something behind the end of the tar")
			}
		}
		if err == io.EOF && t.unpacked.N > 0 {
			break
		}
		if err != nil {
			return t.unread(err)
		}
	}
	switch _, err := t.packed.ReadByte(); err {
	case io.EOF:
		return nil
	case nil:
		return structure(KindArchive, "there is something behind the end of the gzip member")
	default:
		return fmt.Errorf("its end cannot be read: %w", err)
	}
}
