package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/bufbuild/protocompile"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
)

// contract is what the generator needs to know of a proto file.
type contract struct {
	proto     string // base name of the proto file
	sha256    string // of its bytes, in hex
	goPackage string
	messages  []*message // in the order of the proto file
	services  []*service
}

type message struct {
	name   string
	doc    string
	fields []*field // by number
}

type field struct {
	name   string // in proto and JSON
	goName string
	doc    string
	kind   kind
	of     string // the message, where kind is pointer or value
}

// kind is one of the shapes that a field can have in Go.
type kind int

const (
	kindString  kind = iota + 1
	kindInt32        // int32
	kindBool         // bool
	kindStrings      // []string
	kindPointer      // *Message, nil where the member is absent
	kindValue        // Message, for a field marked always_written
)

type service struct {
	name    string
	doc     string
	methods []method
}

type method struct {
	name, doc, input, output string
}

// maxFields is how many fields a message may have: the decoder keeps those it
// has seen as the bits of a uint64.
const maxFields = 64

// alwaysWritten is the field option that makes a message a value.
const alwaysWritten = "always_written"

// parse reads a proto file. It reports every construct that the generator does
// not know, each with its line.
func parse(name string, source []byte) (*contract, error) {
	compiler := protocompile.Compiler{
		Resolver: protocompile.WithStandardImports(&protocompile.SourceResolver{
			Accessor: func(path string) (io.ReadCloser, error) {
				if path != name {
					return nil, fmt.Errorf("%s: only %s and Google's own proto files can be imported", path, name)
				}
				return io.NopCloser(bytes.NewReader(source)), nil
			},
		}),
		SourceInfoMode: protocompile.SourceInfoStandard,
	}
	files, err := compiler.Compile(context.Background(), name)
	if err != nil {
		return nil, err
	}
	p := &parser{file: files[0]}
	c := &contract{
		proto:     name,
		sha256:    fmt.Sprintf("%x", sha256.Sum256(source)),
		goPackage: p.goPackage(),
	}
	p.forbidTopLevel()
	for m := range each(p.file.Messages()) {
		c.messages = append(c.messages, p.message(m))
		p.forbidCycle(m)
	}
	for s := range each(p.file.Services()) {
		c.services = append(c.services, p.service(s))
	}
	return c, errors.Join(p.faults...)
}

// parser gathers the faults of one file.
type parser struct {
	file   protoreflect.FileDescriptor
	faults []error
}

// fault notes what is wrong with a declaration.
func (p *parser) fault(d protoreflect.Descriptor, format string, args ...any) {
	line := p.file.SourceLocations().ByDescriptor(d).StartLine + 1
	p.faults = append(p.faults, fmt.Errorf("%s:%d: %s %s", p.file.Path(), line, d.FullName(), fmt.Sprintf(format, args...)))
}

// goPackage is the part of go_package after the semicolon.
func (p *parser) goPackage() string {
	options, _ := p.file.Options().(*descriptorpb.FileOptions)
	_, name, ok := strings.Cut(options.GetGoPackage(), ";")
	if !ok {
		p.faults = append(p.faults, fmt.Errorf(`%s: names no Go package: write option go_package = "import/path;name"`, p.file.Path()))
	}
	return name
}

func (p *parser) forbidTopLevel() {
	for e := range each(p.file.Enums()) {
		p.fault(e, "is an enum: use a string")
	}
	for x := range each(p.file.Extensions()) {
		if x.Name() != alwaysWritten {
			p.fault(x, "is an option that the generator does not know")
		}
	}
}

func (p *parser) message(d protoreflect.MessageDescriptor) *message {
	m := &message{name: string(d.Name()), doc: p.doc(d)}
	for nested := range each(d.Messages()) {
		if !nested.IsMapEntry() { // a map is refused as a field
			p.fault(nested, "stands inside a message: move it to the top level")
		}
	}
	for e := range each(d.Enums()) {
		p.fault(e, "is an enum: use a string")
	}
	if d.Fields().Len() > maxFields {
		p.fault(d, "has %d fields: %d are the most", d.Fields().Len(), maxFields)
	}
	fields := slices.SortedFunc(each(d.Fields()), func(a, b protoreflect.FieldDescriptor) int {
		return cmp.Compare(a.Number(), b.Number())
	})
	for _, f := range fields {
		m.fields = append(m.fields, p.field(f))
	}
	return m
}

func (p *parser) field(d protoreflect.FieldDescriptor) *field {
	f := &field{name: string(d.Name()), goName: goFieldName(string(d.Name())), doc: p.doc(d)}
	always := isAlwaysWritten(d)
	switch {
	case d.IsMap():
		p.fault(d, "is a map: use a message")
	case d.ContainingOneof() != nil:
		p.fault(d, "is optional or stands in a oneof: use a plain field")
	case d.IsList() && d.Kind() == protoreflect.StringKind:
		f.kind = kindStrings
	case d.IsList():
		p.fault(d, "repeats a %s: only strings can be repeated", d.Kind())
	case d.Kind() == protoreflect.StringKind:
		f.kind = kindString
	case d.Kind() == protoreflect.Int32Kind:
		f.kind = kindInt32
	case d.Kind() == protoreflect.BoolKind:
		f.kind = kindBool
	case d.Kind() == protoreflect.MessageKind && d.Message().ParentFile().Path() != p.file.Path():
		p.fault(d, "is of another file's message %s", d.Message().FullName())
	case d.Kind() == protoreflect.MessageKind:
		f.kind, f.of = kindPointer, string(d.Message().Name())
		if always {
			f.kind = kindValue
		}
	default:
		p.fault(d, "is of type %s: use string, int32, bool or a message", d.Kind())
	}
	if always && f.kind != kindValue {
		p.fault(d, "is marked %s: only a single message can be", alwaysWritten)
	}
	return f
}

// forbidCycle refuses a message that can hold itself: the decoder's depth is
// bounded by the contract, not by what a peer sends.
func (p *parser) forbidCycle(d protoreflect.MessageDescriptor) {
	seen := map[protoreflect.FullName]bool{}
	var visit func(protoreflect.MessageDescriptor) bool
	visit = func(m protoreflect.MessageDescriptor) bool {
		for f := range each(m.Fields()) {
			held := f.Message()
			if held == nil || seen[held.FullName()] {
				continue
			}
			seen[held.FullName()] = true
			if held.FullName() == d.FullName() || visit(held) {
				return true
			}
		}
		return false
	}
	if visit(d) {
		p.fault(d, "can hold itself: a message must have an end")
	}
}

func (p *parser) service(d protoreflect.ServiceDescriptor) *service {
	s := &service{name: string(d.Name()), doc: p.doc(d)}
	for m := range each(d.Methods()) {
		if m.IsStreamingClient() || m.IsStreamingServer() {
			p.fault(m, "streams: one message goes in and one comes out")
		}
		for _, of := range []protoreflect.MessageDescriptor{m.Input(), m.Output()} {
			if of.ParentFile().Path() != p.file.Path() {
				p.fault(m, "uses another file's message %s", of.FullName())
			}
		}
		s.methods = append(s.methods, method{
			name:   string(m.Name()),
			doc:    p.doc(m),
			input:  string(m.Input().Name()),
			output: string(m.Output().Name()),
		})
	}
	return s
}

// doc is the comment above a declaration. There must be one: it becomes the Go
// documentation.
func (p *parser) doc(d protoreflect.Descriptor) string {
	comment := p.file.SourceLocations().ByDescriptor(d).LeadingComments
	lines := strings.Split(strings.TrimRight(comment, " \n"), "\n")
	for i, line := range lines {
		lines[i] = strings.TrimRight(strings.TrimPrefix(line, " "), " ")
	}
	doc := strings.Join(lines, "\n")
	if doc == "" {
		p.fault(d, "has no comment: say what it means")
	}
	return doc
}

// isAlwaysWritten reports whether a field is marked with the option.
func isAlwaysWritten(d protoreflect.FieldDescriptor) bool {
	marked := false
	d.Options().ProtoReflect().Range(func(option protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		if option.IsExtension() && option.Name() == alwaysWritten {
			marked = v.Bool()
		}
		return !marked
	})
	return marked
}

// initialisms are the words that Go writes in upper case.
var initialisms = map[string]string{"id": "ID", "sha": "SHA"}

// goFieldName turns session_id into SessionID.
func goFieldName(name string) string {
	var b strings.Builder
	for word := range strings.SplitSeq(name, "_") {
		switch upper, ok := initialisms[word]; {
		case ok:
			b.WriteString(upper)
		case word != "":
			b.WriteString(strings.ToUpper(word[:1]) + word[1:])
		}
	}
	return b.String()
}
