package release

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
)

// open finds out what the package at name is: a directory, or an archive, which
// its first bytes tell.
func open(name string) (source, error) {
	info, err := os.Stat(name) // before it is opened, which would wait for a pipe's writer
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		root, err := os.OpenRoot(name)
		if err != nil {
			return nil, err
		}
		return directory{root}, nil
	}
	if !info.Mode().IsRegular() {
		return nil, structure(KindRead, "it is neither a directory nor a regular file")
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	s, err := openArchive(f)
	if err != nil {
		f.Close()
		return nil, err
	}
	return s, nil
}

func openArchive(f *os.File) (source, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	head := make([]byte, tarHeader)
	n, err := f.ReadAt(head, 0)
	if err != nil && err != io.EOF {
		return nil, err
	}
	switch head = head[:n]; {
	case isPlainTar(head):
		return nil, structure(KindArchive, "it can be read as a plain tar too, of other files; do not use it")
	case bytes.HasPrefix(head, []byte("\x1f\x8b")):
		return newTarball(f)
	case bytes.HasPrefix(head, []byte("PK")):
		return newZipball(f, info.Size())
	}
	return nil, structure(KindArchive, "it is neither a .tar.gz nor a .zip; perhaps an error page was fetched in its place")
}

// A directory is a package that is not packed, or was unpacked. Links in it are
// not followed, and nothing outside of it is reached.
type directory struct{ *os.Root }

func (d directory) head() (manifest, signature []byte, err error) {
	if signature, err = d.text(SignatureName, maxSignature); err == nil {
		manifest, err = d.text(ManifestName, maxManifest)
	}
	return manifest, signature, err
}

// text reads a file of at most limit bytes.
func (d directory) text(name string, limit int64) ([]byte, error) {
	info, err := d.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, structure(KindSignature, "%s is not there: name the directory that holds it, or the archive", name)
	}
	if err != nil {
		return nil, structure(KindSignature, "%s cannot be read: %s", name, plainly(err))
	}
	if problem := notPlain(info); problem != "" {
		return nil, structure(KindEntry, "%s: %s", name, problem)
	}
	r, err := d.openSame(name, info)
	if err != nil {
		return nil, err
	}
	defer r.Close() // only read
	return readText(r, name, limit)
}

func readText(r io.Reader, name string, limit int64) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err == nil && int64(len(text)) > limit {
		err = structure(KindSignature, "%s has more than %d bytes, so it is none", name, limit)
	}
	return text, err
}

func (d directory) each(_ int64, visit func(entry) error) error { return d.walk(".", visit) }

// walk visits a file, or a directory and all that is in it, in the order of the
// names. Of a directory with more than any package holds it reads no more than shows
// that.
func (d directory) walk(name string, visit func(entry) error) error {
	info, err := d.Lstat(name)
	if err != nil {
		return err
	}
	switch err := visit(d.entry(name, info)); {
	case err == fs.SkipDir:
		return nil
	case err != nil || !info.IsDir():
		return err
	}
	f, err := d.openSame(name, info)
	if err != nil {
		return err
	}
	inside, err := f.Readdirnames(maxEntries + 1)
	f.Close()
	if err != nil && err != io.EOF {
		return err
	}
	slices.Sort(inside)
	for _, base := range inside {
		if at := path.Join(name, base); at != ManifestName && at != SignatureName {
			if err := d.walk(at, visit); err != nil {
				return err
			}
		}
	}
	return nil
}

func (d directory) entry(name string, info fs.FileInfo) entry {
	e := entry{path: name, dir: info.IsDir(), onDisk: true, mode: info.Mode() &^ fs.ModeDir, size: info.Size()}
	e.open = func() (io.ReadCloser, error) { return d.openSame(name, info) }
	if name == "." {
		e.path = ""
	}
	if !e.dir {
		e.problem = notPlain(info)
	}
	return e
}

// openSame opens a file or directory that was just looked at.
func (d directory) openSame(name string, seen fs.FileInfo) (*os.File, error) {
	f, err := d.OpenFile(name, os.O_RDONLY|dontWait, 0)
	if err != nil {
		return nil, err
	}
	if now, err := f.Stat(); err != nil || !os.SameFile(seen, now) {
		f.Close()
		return nil, errors.New("it is being replaced; see to it that nobody works on the package")
	}
	return f, nil
}

// notPlain says why something is no file of a package, or "".
func notPlain(info fs.FileInfo) string {
	switch mode := info.Mode(); {
	case mode&fs.ModeSymlink != 0:
		return "it is a symbolic link; a package has none"
	case !mode.IsRegular():
		return "it is neither a file nor a directory"
	case hardLinks(info) > 1:
		return "it is a hard link: the file has another name, by which it could be changed; copy the package"
	}
	return ""
}
