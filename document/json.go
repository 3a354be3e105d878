package document

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// ParseJSON reads text as one JSON value; see Parse.
func ParseJSON(name string, text []byte) (*Node, error) {
	var found faults
	if f := checkText(name, text, MaxSize); f != nil {
		found.add(f)
		return nil, found.err()
	}
	r := jsonReader{
		builder: builder{doc: &origin{source: name}},
		text:    string(text),
		line:    1,
		column:  1,
		// We look for repeated members ourselves, to report all with both lines.
		dec: jsontext.NewDecoder(bytes.NewBuffer(text), jsontext.AllowDuplicateNames(true)),
	}
	root, err := r.value(1)
	if err == nil {
		if _, err = r.dec.ReadToken(); err == io.EOF {
			return r.finish(root, &found)
		}
		if err == nil {
			err = r.faultHere("one value is wanted, and another follows it; remove what follows")
		}
	}
	if f, ok := errors.AsType[*Fault](err); ok {
		found.add(f)
	} else {
		found.add(syntaxFault(name, text, err))
	}
	return nil, found.err()
}

// jsonReader builds nodes from the tokens of a decoder. The children of lists
// and maps that are still open stand on two stacks and are copied once, at
// their exact size, when the list or map ends.
type jsonReader struct {
	builder
	dec     *jsontext.Decoder
	text    string // the whole; strings without escapes are parts of it
	at      int    // the offset that line and column belong to
	line    int
	column  int
	items   []Node
	members []Member
}

// value reads the next value, which stands depth maps and lists deep.
func (r *jsonReader) value(depth int) (Node, error) {
	if r.made >= MaxValues {
		return Node{}, r.faultHere("more than %d values, the most that are read", MaxValues)
	}
	kind := r.dec.PeekKind()
	if kind != '{' && kind != '[' {
		return r.scalar()
	}
	if _, err := r.dec.ReadToken(); err != nil {
		return Node{}, err
	}
	r.moveTo(int(r.dec.InputOffset()) - 1)
	if depth > MaxDepth {
		return Node{}, r.faultHere("more than %d maps and lists inside each other", MaxDepth)
	}
	var n Node
	var err error
	if kind == '{' {
		n, err = r.object(depth)
	} else {
		n, err = r.array(depth)
	}
	if err == nil {
		_, err = r.dec.ReadToken() // the closing bracket
	}
	return n, err
}

func (r *jsonReader) object(depth int) (Node, error) {
	n, base := r.node(Map, r.line, r.column, ""), len(r.members)
	for r.dec.PeekKind() != '}' {
		key, err := r.string()
		if err != nil {
			return n, err
		}
		m := Member{Key: key, line: uint32(r.line), column: uint32(r.column)}
		if m.value, err = r.value(depth + 1); err != nil {
			return n, err
		}
		r.members = append(r.members, m)
	}
	if len(r.members) > base {
		n.children = &children{members: slices.Clone(r.members[base:])}
		r.members = r.members[:base]
	}
	return n, nil
}

func (r *jsonReader) array(depth int) (Node, error) {
	n, base := r.node(List, r.line, r.column, ""), len(r.items)
	for r.dec.PeekKind() != ']' {
		item, err := r.value(depth + 1)
		if err != nil {
			return n, err
		}
		r.items = append(r.items, item)
	}
	if len(r.items) > base {
		n.children = &children{items: slices.Clone(r.items[base:])}
		r.items = r.items[:base]
	}
	return n, nil
}

func (r *jsonReader) scalar() (Node, error) {
	kind := r.dec.PeekKind()
	if kind == '"' {
		text, err := r.string()
		return r.node(String, r.line, r.column, text), err
	}
	raw, err := r.dec.ReadValue()
	if err != nil {
		return Node{}, err
	}
	start := int(r.dec.InputOffset()) - len(raw)
	r.moveTo(start)
	text := r.text[start : start+len(raw)]
	switch kind {
	case 'n':
		return r.node(Null, r.line, r.column, ""), nil
	case 't', 'f':
		return r.node(Bool, r.line, r.column, text), nil
	}
	return r.node(numberKind(text), r.line, r.column, text), nil
}

// string reads the next value, a string or the key of a member.
func (r *jsonReader) string() (string, error) {
	raw, err := r.dec.ReadValue()
	if err != nil {
		return "", err
	}
	start := int(r.dec.InputOffset()) - len(raw)
	r.moveTo(start)
	if bytes.IndexByte(raw, '\\') < 0 {
		return r.text[start+1 : start+len(raw)-1], nil
	}
	text, err := jsontext.AppendUnquote(nil, raw)
	return string(text), err
}

// moveTo counts lines and columns up to the byte at offset.
func (r *jsonReader) moveTo(offset int) {
	for ; r.at < offset; r.at++ {
		switch c := r.text[r.at]; {
		case c == '\n':
			r.line, r.column = r.line+1, 1
		case c&0xC0 != 0x80: // not inside a character
			r.column++
		}
	}
}

func (r *jsonReader) faultHere(problem string, args ...any) *Fault {
	return &Fault{Source: r.doc.source, Line: r.line, Column: r.column, Problem: fmt.Sprintf(problem, args...)}
}

// numberKind tells the kind of a number in the grammar of JSON.
func numberKind(text string) Kind {
	if strings.ContainsAny(text, ".eE") {
		return Float
	}
	return Int
}

// syntaxFault says in our words what the decoder could not read. Its own words
// may quote some bytes of a string, which may be a secret.
func syntaxFault(name string, text []byte, err error) *Fault {
	offset, reason := len(text), ""
	if syntax, ok := errors.AsType[*jsontext.SyntacticError](err); ok && syntax.Err != nil {
		offset, reason = min(int(syntax.ByteOffset), len(text)), syntax.Err.Error()
	}
	line, column := position(text, offset)
	f := &Fault{Source: name, Line: line, Column: column}
	rest := text[offset:]
	switch {
	case err == io.EOF:
		f.Problem = "empty; write at least {}"
	case errors.Is(err, io.ErrUnexpectedEOF) || len(rest) == 0:
		f.Problem = "ends too early; a closing quote or bracket is missing"
	case errors.Is(err, jsontext.ErrNonStringName):
		f.Problem = `the name of a member must stand in double quotes, and no comma before }`
	case strings.Contains(reason, "escape sequence"), strings.Contains(reason, "surrogate"):
		f.Problem = `an escape in a string that JSON does not have; write \\ for a backslash`
	case strings.Contains(reason, "in string"):
		f.Problem = `a line break, tab or other control character in a string; write \n, \t or \u00XX`
	case rest[0] == '#' || rest[0] == '/':
		f.Problem = "JSON has no comments; remove it, or write the file as YAML"
	case rest[0] == ',' && bytes.IndexAny(bytes.TrimLeft(rest[1:], " \t\r\n"), "}]") == 0:
		f.Problem = "a comma stands before the closing bracket; remove it"
	case strings.Contains(reason, "expecting"):
		_, wanted, _ := strings.Cut(reason, "(expecting ")
		wanted, _, _ = strings.Cut(wanted, ")")
		f.Problem = "not valid JSON; " + wanted + " is wanted here"
	case rest[0] == '}' || rest[0] == ']':
		f.Problem = "a closing bracket that closes nothing; remove it, or open it before"
	default:
		f.Problem = "not valid JSON; strings and names stand in double quotes, other words are true, false and null"
	}
	return f
}
