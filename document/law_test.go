package document_test

import (
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/Huzefaaa2/cavra/go/cavra-runtime/document"
)

// write renders a node as JSON on one line, or as YAML with block maps and lists.
func write(b *strings.Builder, n *document.Node, yaml bool, indent string) {
	switch n.Kind() {
	case document.Null:
		b.WriteString("null")
	case document.String:
		b.WriteString(quoted(n.Text()))
	case document.Map:
		if len(n.Members()) == 0 {
			b.WriteString("{}")
			return
		}
		for i := range n.Members() {
			m := &n.Members()[i]
			separate(b, yaml, indent, i, "{", quoted(m.Key)+":")
			write(b, m.Value(), yaml, indent+"  ")
		}
		if !yaml {
			b.WriteString("}")
		}
	case document.List:
		if len(n.Items()) == 0 {
			b.WriteString("[]")
			return
		}
		for i := range n.Items() {
			separate(b, yaml, indent, i, "[", map[bool]string{true: "-"}[yaml])
			write(b, &n.Items()[i], yaml, indent+"  ")
		}
		if !yaml {
			b.WriteString("]")
		}
	default:
		b.WriteString(n.Text())
	}
}

func separate(b *strings.Builder, yaml bool, indent string, i int, open, lead string) {
	switch {
	case yaml:
		b.WriteString("\n" + indent)
	case i == 0:
		b.WriteString(open)
	default:
		b.WriteString(", ")
	}
	b.WriteString(lead + " ")
}

// quoted writes a string in the double quotes that JSON and YAML share.
func quoted(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteString(`\` + string(r))
		case r < ' ' || r == 0x7f:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	return `"` + b.String() + `"`
}

func render(n *document.Node, yaml bool) string {
	var b strings.Builder
	write(&b, n, yaml, "")
	return b.String() + "\n"
}

// anyValue draws a document of the kinds that Value takes.
func anyValue(depth int) *rapid.Generator[any] {
	text := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"yes", "null", "1", "- a", "a: b", "#", " ", "\n", "\t", "'", "<<", "*", "&a", "!"}))
	kinds := []*rapid.Generator[any]{
		rapid.Just[any](nil), rapid.Bool().AsAny(), rapid.Int64().AsAny(), text.AsAny(),
	}
	if depth > 0 {
		kinds = append(kinds,
			rapid.Custom(func(t *rapid.T) any { return rapid.SliceOfN(anyValue(depth-1), 0, 4).Draw(t, "list") }),
			rapid.Custom(func(t *rapid.T) any { return rapid.MapOfN(text, anyValue(depth-1), 0, 4).Draw(t, "map") }))
	}
	return rapid.OneOf(kinds...)
}

// The same content decodes equally from JSON, from that JSON read as YAML, and
// from YAML.
func TestJSONAndYAMLDecodeEqually(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := document.Value("v", rapid.MapOfN(rapid.String(), anyValue(4), 1, 6).Draw(t, "document"))
		text := render(want, false)
		for name, parse := range map[string]func() (*document.Node, error){
			"JSON":         func() (*document.Node, error) { return document.ParseJSON("f", []byte(text)) },
			"JSON as YAML": func() (*document.Node, error) { return document.ParseYAML("f", []byte(text)) },
			"YAML":         func() (*document.Node, error) { return document.ParseYAML("f", []byte(render(want, true))) },
		} {
			got, err := parse()
			if err != nil {
				t.Fatalf("%s: %v\n%s%s", name, err, text, render(want, true))
			}
			if again := render(got, false); again != text {
				t.Fatalf("%s: read as\n%swritten as\n%s%s", name, again, text, render(want, true))
			}
		}
	})
}

// Whatever the text, Parse returns; what it cannot read is a fault of that name;
// what it read lies inside the text, in order, and nests within the limit.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		`{"a": [1, -2.5e3, true, null, "x\n\u00e9"], "b": {}}`, "a: 1\nb:\n- c: [x, 'y']\n- |\n  text\n", "a: &x 1\nb: *x\n", "<<: {}\n", "? a\n",
		"---\na: 1\n...\n", "{a: b, c", "a: \"\\x41\"\n", "- - - x\n", "a: >-\n  b\n\n  c\n", "\ufeff", "a:\t1", `{"a":1,"a":2}`, "!!str a", "%YAML 1.2",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		lines := strings.Count(string(text), "\n") + 1
		for _, parse := range []func(string, []byte) (*document.Node, error){document.Parse, document.ParseJSON, document.ParseYAML} {
			n, err := parse("f", text)
			if n == nil {
				if _, ok := errors.AsType[*document.Fault](err); !ok {
					t.Fatalf("neither a node nor a fault: %v", err)
				}
				continue
			}
			var check func(n *document.Node, depth int)
			check = func(n *document.Node, depth int) {
				if depth > document.MaxDepth || n.Line() < 1 || n.Line() > lines || n.Column() < 1 {
					t.Fatalf("value at %d:%d, %d deep, in %d lines", n.Line(), n.Column(), depth, lines)
				}
				for i := range n.Members() {
					check(n.Members()[i].Value(), depth+1)
				}
				for i := range n.Items() {
					check(&n.Items()[i], depth+1)
				}
			}
			check(n, 0)
			_ = document.Decode(n, new(config))
		}
	})
}

// policy renders a compiled policy of n patterns.
func policy(n int) []byte {
	var b strings.Builder
	b.WriteString("{\"metadata\": {\"id\": \"bench\"},\n \"filesystem\": {\"block_read\": [")
	for i := range n {
		if i > 0 {
			b.WriteString(",")
		}
		b.WriteString("\n  \"**/services/team-" + strconv.Itoa(i) + "/secrets/*.pem\"")
	}
	b.WriteString("]}}\n")
	return []byte(b.String())
}

type policyFile struct {
	Metadata struct {
		ID string `json:"id"`
	} `json:"metadata"`
	Filesystem struct {
		BlockRead []string `json:"block_read"`
	} `json:"filesystem"`
}

func BenchmarkPolicyOf100000Patterns(b *testing.B) {
	text := policy(100_000)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		var p policyFile
		if err := document.Read("policy.json", text, &p); err != nil || len(p.Filesystem.BlockRead) != 100_000 {
			b.Fatal(err)
		}
	}
}

func TestALargePolicyIsRead(t *testing.T) {
	const n = 100_000
	text := policy(n)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	var p policyFile
	if err := document.Read("policy.json", text, &p); err != nil || len(p.Filesystem.BlockRead) != n {
		t.Fatalf("%d patterns, %v", len(p.Filesystem.BlockRead), err)
	}
	runtime.ReadMemStats(&after)
	if got := document.Bytes(after.TotalAlloc - before.TotalAlloc); got > 60<<20 {
		t.Errorf("allocated %d bytes for a text of %d", got, len(text))
	}
	if got := after.Mallocs - before.Mallocs; got > 2000 {
		t.Errorf("%d allocations for %d patterns", got, n)
	}
}
