package checkpoint

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/mod/sumdb/tlog"
)

// The names of the files beside a log are the log's and these.
const (
	Suffix       = ".checkpoint" // the last checkpoint
	HashesSuffix = ".hashes"     // the stored hashes of the tree, in the order of package tlog
	IndexSuffix  = ".index"      // a record's id and its place, for each sequence
)

// idSize is the length of a record's id in bytes; in text it is twice as long.
const idSize = 12

// entrySize is the length of an entry of the index: the record's id, and the
// offset of its line in its file as 8 bytes, most significant first.
const entrySize = idSize + 8

// A Store is the hashes and the index of a log, open for writing. They are never
// synced: see the package's promises.
type Store struct {
	hashes, index *os.File
	size          int64 // lines so far

	hashBuf, indexBuf []byte // what Flush will write
}

// OpenStore opens or makes the files beside a log. What they hold after the
// first size lines will be overwritten.
func OpenStore(log string, size int64) (*Store, error) {
	hashes, err := openCache(log + HashesSuffix)
	if err != nil {
		return nil, err
	}
	index, err := openCache(log + IndexSuffix)
	if err != nil {
		hashes.Close()
		return nil, err
	}
	s := &Store{hashes: hashes, index: index, size: size}
	if err := errors.Join(hashes.Truncate(tlog.StoredHashCount(size)*tlog.HashSize), index.Truncate(size*entrySize)); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// openCache opens a file that holds nothing which cannot be made again, so one
// that is no file of ours alone makes place for a new one. That goes for one with
// a second name too, as in a backup of hard links: writing would change that.
func openCache(path string) (*os.File, error) {
	if info, err := os.Lstat(path); err == nil && (!info.Mode().IsRegular() || info.Mode().Perm()&0o077 != 0 || hasOtherName(info)) {
		if err := os.Remove(path); err != nil {
			return nil, err
		}
	}
	return os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
}

// Add takes note of the next line: the hashes that it added to the tree, its
// record's id (24 hex digits; anything else is not found by its id), and the
// offset of the line in its file. Flush writes it.
func (s *Store) Add(stored []Hash, id []byte, offset int64) {
	for i := range stored {
		s.hashBuf = append(s.hashBuf, stored[i][:]...)
	}
	var raw [idSize]byte
	if len(id) == hex.EncodedLen(idSize) {
		hex.Decode(raw[:], id)
	}
	s.indexBuf = append(s.indexBuf, raw[:]...)
	s.indexBuf = binary.BigEndian.AppendUint64(s.indexBuf, uint64(offset))
}

// Buffered is how many bytes Flush would write.
func (s *Store) Buffered() int { return len(s.hashBuf) + len(s.indexBuf) }

// Flush writes what was added.
func (s *Store) Flush() error {
	_, err := s.hashes.WriteAt(s.hashBuf, tlog.StoredHashCount(s.size)*tlog.HashSize)
	if err == nil {
		_, err = s.index.WriteAt(s.indexBuf, s.size*entrySize)
	}
	s.size += int64(len(s.indexBuf) / entrySize)
	s.hashBuf, s.indexBuf = s.hashBuf[:0], s.indexBuf[:0]
	return err
}

// Close closes the files.
func (s *Store) Close() error { return errors.Join(s.hashes.Close(), s.index.Close()) }

// Hashes are the stored hashes of a tree in a file.
type Hashes struct{ File io.ReaderAt }

// ReadHashes is that of tlog.HashReader.
func (h Hashes) ReadHashes(indexes []int64) ([]Hash, error) {
	hashes := make([]Hash, len(indexes))
	for i, index := range indexes {
		if _, err := h.File.ReadAt(hashes[i][:], index*tlog.HashSize); err != nil {
			return nil, fmt.Errorf("reading stored hash %d: %w", index, err)
		}
	}
	return hashes, nil
}

// Offset is where in its file the line of a sequence stands, by an index.
func Offset(index io.ReaderAt, sequence int64) (int64, error) {
	var b [8]byte
	if _, err := index.ReadAt(b[:], (sequence-1)*entrySize+idSize); err != nil {
		return 0, fmt.Errorf("reading the place of record %d: %w", sequence, err)
	}
	return int64(binary.BigEndian.Uint64(b[:])), nil
}

// Find looks a record's id, 24 hex digits, up in an index. The line at offset in
// the file that holds the line at sequence has to be looked at: the index may be
// wrong.
func Find(index io.Reader, id string) (sequence, offset int64, found bool) {
	var want [idSize]byte
	if len(id) != hex.EncodedLen(idSize) {
		return 0, 0, false
	}
	if _, err := hex.Decode(want[:], []byte(id)); err != nil {
		return 0, 0, false
	}
	buf := make([]byte, 8192*entrySize)
	for {
		n, err := io.ReadFull(index, buf)
		for at := 0; at+entrySize <= n; at += entrySize {
			sequence++
			if [idSize]byte(buf[at:at+idSize]) == want {
				return sequence, int64(binary.BigEndian.Uint64(buf[at+idSize:])), true
			}
		}
		if err != nil {
			return 0, 0, false
		}
	}
}
