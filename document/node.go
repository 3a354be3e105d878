package document

import (
	"fmt"
	"maps"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"
)

// Kind says what a value is.
type Kind uint8

// The kinds. A number without fraction and exponent is an Int.
const (
	Null Kind = iota
	Bool
	Int
	Float
	String
	List
	Map
)

// String returns the kind as it reads in a fault.
func (k Kind) String() string {
	return [...]string{"null", "true or false", "a whole number", "a number with a fraction", "a string", "a list", "a map"}[k]
}

// Node is a parsed value that knows where it stands. It cannot be changed.
type Node struct {
	doc      *origin
	text     string    // of a scalar
	children *children // of a map or list that is not empty
	line     uint32    // from 1; 0 where the value was not read from a text
	column   uint32
	order    uint32 // counts the values of a document from its start
	kind     Kind
}

// origin is what all nodes of one document share.
type origin struct {
	source string
	root   *Node
}

// children holds members for a map and items for a list.
type children struct {
	members []Member
	items   []Node
}

// Member is one entry of a map.
type Member struct {
	Key          string
	line, column uint32
	value        Node
}

// Value returns the member's value.
func (m *Member) Value() *Node { return &m.value }

// Fault returns a fault that points at the member's key.
func (m *Member) Fault(problem string, args ...any) *Fault {
	f := m.value.Fault(problem, args...)
	f.Line, f.Column = int(m.line), int(m.column)
	return f
}

// Kind says what the value is; a missing value, which Get returns as nil, is Null.
func (n *Node) Kind() Kind {
	if n == nil {
		return Null
	}
	return n.kind
}

// Source returns the name of the file or flag that the value comes from.
func (n *Node) Source() string { return n.doc.source }

// Line returns the line on which the value starts, from 1. It is 0 for a value
// that was not read from a text.
func (n *Node) Line() int { return int(n.line) }

// Column returns the character of its line at which the value starts, from 1.
func (n *Node) Column() int { return int(n.column) }

// Text returns a scalar without its quotes and escapes, and nothing for a list
// or map.
func (n *Node) Text() string { return n.text }

// Members returns the entries of a map in the order of the file. Do not change
// them. A repeated key, which Parse has reported, is repeated here.
func (n *Node) Members() []Member {
	if n == nil || n.children == nil {
		return nil
	}
	return n.children.members
}

// Items returns the values of a list. Do not change them.
func (n *Node) Items() []Node {
	if n == nil || n.children == nil {
		return nil
	}
	return n.children.items
}

// Get follows the keys through maps inside each other, and returns nil where
// one is missing.
func (n *Node) Get(keys ...string) *Node {
next:
	for _, key := range keys {
		members := n.Members()
		for i := range members {
			if members[i].Key == key {
				n = &members[i].value
				continue next
			}
		}
		return nil
	}
	return n
}

// Fault returns a fault that points at the value. The problem, a format for
// fmt.Sprintf, says what is wrong and what to write instead. It must not hold
// the value where that may be a secret.
func (n *Node) Fault(problem string, args ...any) *Fault {
	return &Fault{
		Source:  n.doc.source,
		Line:    int(n.line),
		Column:  int(n.column),
		Path:    n.path(),
		Problem: fmt.Sprintf(problem, args...),
	}
}

// path finds the way from the root to n. Nodes hold no parent, to be small:
// they are numbered in the order of the file, so at each level the last child
// that does not come after n holds n.
func (n *Node) path() string {
	var b strings.Builder
	for at := n.doc.root; at != nil && at.order != n.order && at.children != nil; {
		members, items := at.children.members, at.children.items
		if at.kind == Map {
			i := sort.Search(len(members), func(i int) bool { return members[i].value.order > n.order }) - 1
			if b.Len() > 0 {
				b.WriteByte('.')
			}
			b.WriteString(plain(members[i].Key))
			at = &members[i].value
		} else {
			i := sort.Search(len(items), func(i int) bool { return items[i].order > n.order }) - 1
			fmt.Fprintf(&b, "[%d]", i)
			at = &items[i]
		}
	}
	return b.String()
}

// builder makes the nodes of one document. They are numbered when they start,
// and a map or list is filled when it ends.
type builder struct {
	doc  *origin
	made uint32
}

func (b *builder) node(kind Kind, line, column int, text string) Node {
	b.made++
	return Node{doc: b.doc, text: text, line: uint32(line), column: uint32(column), order: b.made, kind: kind}
}

// finish makes root the document's root, and returns it with the repeated
// members as its faults.
func (b *builder) finish(root Node, found *faults) (*Node, error) {
	b.doc.root = &root
	reportRepeats(&root, found)
	return &root, found.err()
}

// reportRepeats reports every member whose key an earlier member of its map has.
func reportRepeats(n *Node, found *faults) {
	members := n.Members()
	var lines map[string]uint32 // where each key stands first; a small map is faster searched
	if len(members) > 16 {
		lines = make(map[string]uint32, len(members))
	}
	for i := range members {
		m := &members[i]
		line, repeated := lines[m.Key]
		if lines == nil {
			first := slices.IndexFunc(members[:i], func(o Member) bool { return o.Key == m.Key })
			if repeated = first >= 0; repeated {
				line = members[first].line
			}
		} else if !repeated {
			lines[m.Key] = m.line
		}
		if repeated {
			found.add(m.Fault("given twice; it stands on line %d already, keep one of the two", line))
		}
		reportRepeats(&m.value, found)
	}
	items := n.Items()
	for i := range items {
		reportRepeats(&items[i], found)
	}
}

// Value makes a node of a value that was read from no text, such as that of a
// flag or of an environment variable, which source names. The value is nil, a
// bool, an int, an int64, a float64, a string, a time.Duration, a []string, or a
// []any or map[string]any of these; anything else panics. A fault of such a node
// reads `--policy: …`, without line and path.
func Value(source string, v any) *Node {
	b := builder{doc: &origin{source: source}}
	root := b.value(v)
	b.doc.root = &root
	return &root
}

func (b *builder) value(v any) Node {
	switch v := v.(type) {
	case nil:
		return b.node(Null, 0, 0, "")
	case bool:
		return b.node(Bool, 0, 0, strconv.FormatBool(v))
	case int:
		return b.node(Int, 0, 0, strconv.Itoa(v))
	case int64:
		return b.node(Int, 0, 0, strconv.FormatInt(v, 10))
	case float64:
		return b.node(Float, 0, 0, strconv.FormatFloat(v, 'g', -1, 64))
	case string:
		return b.node(String, 0, 0, v)
	case time.Duration:
		return b.node(String, 0, 0, v.String())
	case []string:
		n := b.node(List, 0, 0, "")
		n.children = &children{}
		for _, s := range v {
			n.children.items = append(n.children.items, b.value(s))
		}
		return n
	case []any:
		n := b.node(List, 0, 0, "")
		n.children = &children{}
		for _, item := range v {
			n.children.items = append(n.children.items, b.value(item))
		}
		return n
	case map[string]any:
		n := b.node(Map, 0, 0, "")
		n.children = &children{}
		for _, key := range slices.Sorted(maps.Keys(v)) {
			n.children.members = append(n.children.members, Member{Key: key, value: b.value(v[key])})
		}
		return n
	}
	panic(fmt.Sprintf("document.Value: %T is none of the types it takes", v))
}
