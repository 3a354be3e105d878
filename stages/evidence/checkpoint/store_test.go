//go:build !windows

package checkpoint

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// fill writes n lines, in several flushes, after the size lines that are there.
func fill(t *testing.T, log string, size, n int64) {
	t.Helper()
	s, err := OpenStore(log, size)
	if err != nil {
		t.Fatal(err)
	}
	tree, err := storedAt(log, size)
	if err != nil {
		t.Fatal(err)
	}
	l := NewLeafer()
	for i := size; i < size+n; i++ {
		s.Add(tree.Add(l.Leaf(line(i)), nil), fmt.Appendf(nil, "%024x", i), 100*i)
		if i%7 == 0 {
			if err := s.Flush(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := s.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func storedAt(log string, size int64) (Tree, error) {
	f, err := os.Open(log + HashesSuffix)
	if err != nil {
		return Tree{}, err
	}
	defer f.Close()
	return TreeAt(size, Hashes{f})
}

func TestStore(t *testing.T) {
	log := filepath.Join(t.TempDir(), "log")
	fill(t, log, 0, 50)
	fill(t, log, 40, 60) // what was there after 40 is written over
	_, want := grow(100)
	got, err := os.ReadFile(log + HashesSuffix)
	if err != nil {
		t.Fatal(err)
	}
	var all []byte
	for _, h := range want {
		all = append(all, h[:]...)
	}
	if !bytes.Equal(got, all) {
		t.Error("the hashes are not those of the tree")
	}
	index, err := os.Open(log + IndexSuffix)
	if err != nil {
		t.Fatal(err)
	}
	defer index.Close()
	for _, i := range []int64{0, 41, 99} {
		sequence, offset, found := Find(index, fmt.Sprintf("%024x", i))
		if !found || sequence != i+1 || offset != 100*i {
			t.Errorf("record %d: sequence %d, offset %d, %v", i, sequence, offset, found)
		}
		if at, err := Offset(index, i+1); err != nil || at != 100*i {
			t.Errorf("Offset(%d) = %d, %v", i+1, at, err)
		}
		index.Seek(0, 0)
	}
	for _, id := range []string{fmt.Sprintf("%024x", 100), "", "zz", "0123456789abcdef0123456Z"} {
		if _, _, found := Find(index, id); found {
			t.Errorf("%q was found", id)
		}
	}
	if _, err := Offset(index, 101); err == nil {
		t.Error("there is no record 101")
	}
	if info, err := index.Stat(); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

// A cache never writes through a link, nor into what others can write.
func TestStoreTakesNoFileOfOthers(t *testing.T) {
	dir := t.TempDir()
	log, other := filepath.Join(dir, "log"), filepath.Join(dir, "other")
	if err := os.WriteFile(other, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(other, log+HashesSuffix); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(log+IndexSuffix, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	fill(t, log, 0, 3)
	if b, err := os.ReadFile(other); err != nil || string(b) != "precious" {
		t.Errorf("%q, %v", b, err)
	}
	if info, err := os.Lstat(log + IndexSuffix); err != nil || info.Mode() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}

func TestReplace(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log"+Suffix)
	if err := os.WriteFile(path, []byte("old"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := Replace(path, []byte("new")); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(path); err != nil || string(b) != "new" || info.Mode().Perm() != 0o600 {
		t.Errorf("%q, mode %v, %v", b, info.Mode(), err)
	}
	if err := Replace(filepath.Join(path, "none"), nil); err == nil {
		t.Error("a directory that is none was written to")
	}

	// What a killed Replace leaves is swept away, and nothing else.
	left := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+"4711")
	for _, name := range []string{left, left + "x"} {
		if err := os.WriteFile(name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	Sweep(path)
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) != 2 {
		t.Errorf("%v, %v", entries, err)
	}
}

// BenchmarkFind looks up the last of a million records.
func BenchmarkFind(b *testing.B) {
	index := make([]byte, 1_000_000*entrySize)
	index[len(index)-9] = 0 // the position's first bytes are 0 too
	copy(index[len(index)-entrySize:], []byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12})
	for b.Loop() {
		if _, _, found := Find(bytes.NewReader(index), "0102030405060708090a0b0c"); !found {
			b.Fatal("not found")
		}
	}
}
