package checkpoint

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"testing"

	"golang.org/x/mod/sumdb/tlog"
	"pgregory.net/rapid"
)

// memory is the stored hashes of a tree.
type memory []Hash

func (m memory) ReadHashes(indexes []int64) ([]Hash, error) {
	hashes := make([]Hash, len(indexes))
	for i, index := range indexes {
		if index >= int64(len(m)) {
			return nil, errors.New("no such hash")
		}
		hashes[i] = m[index]
	}
	return hashes, nil
}

// grow makes a tree of n lines.
func grow(n int64) (t Tree, stored memory) {
	l := NewLeafer()
	for i := range n {
		stored = t.Add(l.Leaf(line(i)), stored)
	}
	return t, stored
}

func line(i int64) []byte { return fmt.Appendf(nil, `{"record":%d}`, i) }

// The law: the tree is that of package tlog, whatever its size.
func TestTreeIsThatOfTlog(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Int64Range(0, 600).Draw(t, "size")
		tree, stored := grow(n)
		if int64(len(stored)) != tlog.StoredHashCount(n) {
			t.Fatalf("%d stored hashes, want %d", len(stored), tlog.StoredHashCount(n))
		}
		var theirs memory
		for i := range n {
			hashes, err := tlog.StoredHashes(i, line(i), theirs)
			if err != nil {
				t.Fatal(err)
			}
			theirs = append(theirs, hashes...)
		}
		want, err := tlog.TreeHash(n, theirs)
		if err != nil {
			t.Fatal(err)
		}
		if tree.Root() != want || tree.Size() != n {
			t.Fatal("another root than that of package tlog")
		}
		for i := range theirs {
			if theirs[i] != stored[i] {
				t.Fatalf("stored hash %d is another", i)
			}
		}

		// Any smaller tree is found again, grows to the same, and is its prefix.
		k := rapid.Int64Range(0, n).Draw(t, "prefix")
		again, err := TreeAt(k, stored)
		if err != nil {
			t.Fatal(err)
		}
		prefix, _ := grow(k)
		if again.Root() != prefix.Root() {
			t.Fatal("TreeAt has another root")
		}
		if root, ok := PrefixRoot(k, tree, stored); ok != (k > 0) || ok && root != prefix.Root() {
			t.Fatal("PrefixRoot does not know the prefix")
		}
		l := NewLeafer()
		for i := k; i < n; i++ {
			again.Add(l.Leaf(line(i)), nil)
		}
		if again.Root() != tree.Root() {
			t.Fatal("the prefix grew to another tree")
		}
	})
}

// A wrong stored hash never makes a prefix.
func TestPrefixRootIsProven(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Int64Range(1, 100).Draw(t, "size")
		k := rapid.Int64Range(1, n).Draw(t, "prefix")
		tree, stored := grow(n)
		prefix, _ := grow(k)
		stored[rapid.IntRange(0, len(stored)-1).Draw(t, "hash")][rapid.IntRange(0, 31).Draw(t, "byte")] ^= 1
		if root, ok := PrefixRoot(k, tree, stored); ok && root != prefix.Root() {
			t.Fatal("a wrong root passed for that of the prefix")
		}
	})
}

func TestTheEmptyTree(t *testing.T) {
	var tree Tree
	if tree.Root() != sha256.Sum256(nil) {
		t.Error("not the root of RFC 6962")
	}
	for _, size := range []int64{-1, maxLines + 1} {
		if _, err := TreeAt(size, memory{}); err == nil {
			t.Errorf("TreeAt(%d) succeeds", size)
		}
	}
}

func TestATreeGrowsWithoutGarbage(t *testing.T) {
	l, text := NewLeafer(), line(1)
	var tree Tree
	stored := make([]Hash, 0, 64)
	for range 1 << 10 {
		tree.Add(l.Leaf(text), stored)
	}
	if n := testing.AllocsPerRun(1000, func() { tree.Add(l.Leaf(text), stored) }); n > 0 {
		t.Errorf("%v allocations a line", n)
	}
}
