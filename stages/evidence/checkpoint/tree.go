package checkpoint

import (
	"crypto/sha256"
	"fmt"
	"hash"
	"math/bits"
	"slices"

	"golang.org/x/mod/sumdb/tlog"
)

// A Hash is that of a leaf, of a node or of a root.
type Hash = tlog.Hash

// A Leafer hashes lines. It reuses its state, so it belongs to one goroutine.
type Leafer struct {
	sha hash.Hash
	sum Hash
}

// NewLeafer makes a Leafer.
func NewLeafer() *Leafer { return &Leafer{sha: sha256.New()} }

var leafPrefix = []byte{0}

// Leaf is the leaf hash of a line, given without its line end.
func (l *Leafer) Leaf(line []byte) Hash {
	l.sha.Reset()
	l.sha.Write(leafPrefix)
	l.sha.Write(line)
	l.sha.Sum(l.sum[:0])
	return l.sum
}

// A Tree is a Merkle tree that only grows. It holds the hashes of its right edge
// alone, at most one for each bit of its size, and the zero value is empty.
type Tree struct {
	size int64
	edge []Hash // the roots of the full subtrees from left to right
}

// Size is the number of leaves.
func (t *Tree) Size() int64 { return t.size }

// Add puts a leaf at the end. It appends to stored the hashes that the leaf adds
// to the tree's stored hashes, in the order of package tlog.
func (t *Tree) Add(leaf Hash, stored []Hash) []Hash {
	stored = append(stored, leaf)
	for n := t.size; n&1 == 1; n >>= 1 {
		last := len(t.edge) - 1
		leaf = tlog.NodeHash(t.edge[last], leaf)
		t.edge = t.edge[:last]
		stored = append(stored, leaf)
	}
	t.edge = append(t.edge, leaf)
	t.size++
	return stored
}

// Root is the hash of the whole tree.
func (t *Tree) Root() Hash {
	if t.size == 0 {
		return sha256.Sum256(nil)
	}
	root := t.edge[len(t.edge)-1]
	for i := len(t.edge) - 2; i >= 0; i-- {
		root = tlog.NodeHash(t.edge[i], root)
	}
	return root
}

// maxLines bounds the sizes that anybody can claim. No log comes near it, and
// the arithmetic of trees is safe below it.
const maxLines = 1 << 48

// TreeAt gives the tree of the first size leaves from its stored hashes. They
// are not checked: its root has to be compared with one that was signed.
func TreeAt(size int64, r tlog.HashReader) (Tree, error) {
	if size < 0 || size > maxLines {
		return Tree{}, fmt.Errorf("no tree has %d leaves", size)
	}
	var indexes []int64
	for rest, at := size, int64(0); rest > 0; {
		level := bits.Len64(uint64(rest)) - 1
		indexes = append(indexes, tlog.StoredHashIndex(level, at>>level))
		at += 1 << level
		rest -= 1 << level
	}
	edge, err := r.ReadHashes(indexes)
	if err != nil {
		return Tree{}, err
	}
	return Tree{size, edge}, nil
}

// PrefixRoot gives the root of the first size leaves of the tree whose size and
// root are given, where the stored hashes lead to that root; ok is false where
// they do not. A root that is right makes the one returned right.
func PrefixRoot(size int64, whole Tree, r tlog.HashReader) (root Hash, ok bool) {
	if size < 1 || size > whole.size {
		return Hash{}, false
	}
	path, err := tlog.ProveTree(whole.size, size, r)
	if err != nil {
		return Hash{}, false
	}
	if root, err = tlog.TreeHash(size, r); err != nil {
		return Hash{}, false
	}
	return root, tlog.CheckTree(path, whole.size, whole.Root(), size, root) == nil
}

// Clone gives a tree of its own.
func (t *Tree) Clone() Tree { return Tree{t.size, slices.Clone(t.edge)} }
