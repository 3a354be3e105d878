package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"cmp"
	"compress/gzip"
	"io"
	"io/fs"
	"slices"
	"time"
)

// A file is one of an archive or of the package.
type file struct {
	name       string // with slashes
	text       []byte
	executable bool
}

// mode is the mode that the file has wherever it is put.
func (f file) mode() fs.FileMode {
	if f.executable {
		return 0o755
	}
	return 0o644
}

// byName sorts files.
func byName(files []file) []file {
	return slices.SortedFunc(slices.Values(files), func(a, b file) int { return cmp.Compare(a.name, b.name) })
}

// packTarGz packs the files, in their order, below one directory. The same files,
// directory and time give the same bytes: everything is owned by root, and nothing
// says who packed it and when.
func packTarGz(w io.Writer, top string, at time.Time, files []file) error {
	zipped := gzip.NewWriter(w)
	packed := tar.NewWriter(zipped)
	add := func(h *tar.Header, text []byte) error {
		h.ModTime, h.Format = at, tar.FormatUSTAR
		if err := packed.WriteHeader(h); err != nil {
			return err
		}
		_, err := packed.Write(text)
		return err
	}
	held := map[string]bool{} // directories
	for _, f := range files {
		for _, dir := range parents(top + "/" + f.name) {
			if held[dir] {
				continue
			}
			held[dir] = true
			if err := add(&tar.Header{Typeflag: tar.TypeDir, Name: dir + "/", Mode: 0o755}, nil); err != nil {
				return err
			}
		}
		h := &tar.Header{Typeflag: tar.TypeReg, Name: top + "/" + f.name, Mode: int64(f.mode()), Size: int64(len(f.text))}
		if err := add(h, f.text); err != nil {
			return err
		}
	}
	if err := packed.Close(); err != nil {
		return err
	}
	return zipped.Close()
}

// packZip is packTarGz for Windows.
func packZip(w io.Writer, top string, at time.Time, files []file) error {
	packed := zip.NewWriter(w)
	for _, f := range files {
		h := &zip.FileHeader{Name: top + "/" + f.name, Method: zip.Deflate, Modified: at}
		h.SetMode(f.mode())
		to, err := packed.CreateHeader(h)
		if err != nil {
			return err
		}
		if _, err := to.Write(f.text); err != nil {
			return err
		}
	}
	return packed.Close()
}

// zipped is text in gzip, without name and time, as small as distributions want it.
func zipped(text []byte) []byte {
	var b bytes.Buffer
	w, _ := gzip.NewWriterLevel(&b, gzip.BestCompression) // a level that there is
	_, _ = w.Write(text)                                  // a buffer takes everything
	_ = w.Close()
	return b.Bytes()
}

// parents are the directories that a file is in, the outer before the inner.
func parents(name string) (dirs []string) {
	for i, r := range name {
		if r == '/' {
			dirs = append(dirs, name[:i])
		}
	}
	return dirs
}
