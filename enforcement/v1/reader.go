package enforcementv1

import (
	"bytes"
	"strconv"
	"sync"

	"github.com/go-json-experiment/json/jsontext"
)

// reader reads the tokens of one document that is in memory as a whole.
type reader struct {
	dec jsontext.Decoder
	src bytes.Buffer // what dec reads: raw
	raw []byte
}

// Repeated names are found by object.next, which knows them all by number.
var readerOptions = jsontext.AllowDuplicateNames(true)

var readers = sync.Pool{New: func() any {
	r := new(reader)
	r.dec.Reset(&r.src, readerOptions)
	return r
}}

// newReader gives a reader of raw. It must be given back with free.
func newReader(raw []byte) *reader {
	r := readers.Get().(*reader)
	r.raw = raw
	r.src = *bytes.NewBuffer(raw)
	return r
}

// free gives the reader back. It refers to the document no longer.
func (r *reader) free() {
	r.raw = nil
	r.src = bytes.Buffer{}
	r.dec.Reset(&r.src, readerOptions)
	readers.Put(r)
}

// document fills m from the only value of the document.
func (r *reader) document(m decodable) *DecodeError {
	if err := m.decode(r); err != nil {
		return err
	}
	end := r.dec.InputOffset()
	rest := bytes.TrimLeft(r.raw[end:], " \t\r\n")
	if len(rest) > 0 {
		return &DecodeError{Offset: int64(len(r.raw) - len(rest)), Problem: "is followed by more: send one object and nothing after it"}
	}
	return nil
}

// syntax turns an error of the JSON library into ours.
func (r *reader) syntax(err error) *DecodeError {
	return syntaxFault(err, 0, r.raw)
}

// expect reports a fault unless the next value is of the kind wanted. want
// says what to write instead.
func (r *reader) expect(kind jsontext.Kind, want string) *DecodeError {
	got := r.dec.PeekKind()
	if got == kind {
		return nil
	}
	at := r.nextOffset()
	if got != jsontext.KindBeginObject && got != jsontext.KindBeginArray {
		// The kind is told by one byte: see whether the rest is JSON too.
		if _, err := r.dec.ReadValue(); err != nil {
			return r.syntax(err)
		}
	}
	if got == jsontext.KindNull && r.dec.StackDepth() > 0 {
		want += " or leave it out"
	}
	return &DecodeError{Offset: at, Problem: "is " + kindNames[got] + ": " + want}
}

// kindNames are the kinds of a JSON value.
var kindNames = map[jsontext.Kind]string{
	jsontext.KindNull:        "null",
	jsontext.KindFalse:       "false",
	jsontext.KindTrue:        "true",
	jsontext.KindString:      "a string",
	jsontext.KindNumber:      "a number",
	jsontext.KindBeginObject: "an object",
	jsontext.KindBeginArray:  "an array",
}

// nextOffset is where the value starts that was peeked at.
func (r *reader) nextOffset() int64 {
	rest := bytes.TrimLeft(r.raw[r.dec.InputOffset():], " \t\r\n:,")
	return int64(len(r.raw) - len(rest))
}

// string reads a string.
func (r *reader) string() (string, *DecodeError) {
	if err := r.expect(jsontext.KindString, "write a string"); err != nil {
		return "", err
	}
	quoted, err := r.dec.ReadValue()
	if err != nil {
		return "", r.syntax(err)
	}
	return string(unquote(quoted)), nil
}

// unquote gives the text of a valid JSON string, in place where it can.
func unquote(quoted jsontext.Value) []byte {
	if bytes.IndexByte(quoted, '\\') < 0 {
		return quoted[1 : len(quoted)-1]
	}
	text, _ := jsontext.AppendUnquote(nil, quoted) // a decoder has found it valid
	return text
}

// objectReader reads the members of one object. Its first fault ends it.
type objectReader struct {
	*reader
	members []string
	seen    uint64 // bit i: members[i] was read
	name    string // of the member whose value comes next
	last    int    // its place among the members
	err     *DecodeError
}

// object starts to read an object that may hold the members named.
func (r *reader) object(members []string) objectReader {
	o := objectReader{reader: r, members: members, last: -1}
	if o.err = r.expect(jsontext.KindBeginObject, "write an object"); o.err == nil {
		_, _ = r.dec.ReadToken() // the brace that was peeked at
	}
	return o
}

// next goes to the next member and sets name. It is false at the end of the
// object and after a fault.
func (o *objectReader) next() bool {
	if o.err != nil {
		return false
	}
	if o.dec.PeekKind() == jsontext.KindEndObject {
		_, _ = o.dec.ReadToken() // the brace that was peeked at
		return false
	}
	quoted, err := o.dec.ReadValue()
	if err != nil {
		o.err = o.syntax(err)
		return false
	}
	name := unquote(quoted)
	i := o.find(name)
	switch {
	case i < 0:
		o.err = unknownMember(string(name), o.members)
	case o.seen&(1<<i) != 0:
		o.err = &DecodeError{Member: o.members[i], Problem: repeated}
	default:
		o.seen |= 1 << i
		o.name, o.last = o.members[i], i
		return true
	}
	o.err.Offset = o.dec.InputOffset() - int64(len(quoted))
	return false
}

// find gives the place of a name among the members, or -1. Members mostly come
// in order, so it looks behind the last one first.
func (o *objectReader) find(name []byte) int {
	for i := o.last + 1; i < len(o.members); i++ {
		if o.members[i] == string(name) {
			return i
		}
	}
	for i := 0; i <= o.last; i++ {
		if o.members[i] == string(name) {
			return i
		}
	}
	return -1
}

// fail notes the fault of the member's value.
func (o *objectReader) fail(err *DecodeError) {
	o.err = err.under(o.name)
}

// string reads the member's value.
func (o *objectReader) string() string {
	s, err := o.reader.string()
	if err != nil {
		o.fail(err)
	}
	return s
}

// bool reads the member's value.
func (o *objectReader) bool() bool {
	switch o.dec.PeekKind() {
	case jsontext.KindTrue, jsontext.KindFalse:
		token, err := o.dec.ReadToken()
		if err != nil {
			o.fail(o.syntax(err))
			return false
		}
		return token.Bool()
	}
	o.fail(o.expect(jsontext.KindTrue, "write true or false"))
	return false
}

// int32 reads the member's value.
func (o *objectReader) int32() int32 {
	if err := o.expect(jsontext.KindNumber, wantInt32); err != nil {
		o.fail(err)
		return 0
	}
	digits, err := o.dec.ReadValue()
	if err != nil {
		o.fail(o.syntax(err))
		return 0
	}
	n, err := strconv.ParseInt(string(digits), 10, 32)
	if err != nil {
		o.fail(&DecodeError{
			Offset:  o.dec.InputOffset() - int64(len(digits)),
			Problem: "is a number out of range or not whole: " + wantInt32,
		})
	}
	return int32(n)
}

const wantInt32 = "write a whole number from -2147483648 to 2147483647, without fraction or exponent"

// maxElements is how many strings a list may hold. An empty string takes three
// bytes of input but sixteen of memory, and more while the list grows: without
// a bound, memory would not follow the size of the request.
const maxElements = 4096

// strings reads the member's value. An empty list is nil.
func (o *objectReader) strings() []string {
	if err := o.expect(jsontext.KindBeginArray, "write a list of strings"); err != nil {
		o.fail(err)
		return nil
	}
	_, _ = o.dec.ReadToken() // the bracket that was peeked at
	var list []string
	for o.dec.PeekKind() != jsontext.KindEndArray {
		if len(list) == maxElements {
			o.fail(&DecodeError{Offset: o.nextOffset(), Problem: "holds more than " + strconv.Itoa(maxElements) + " strings: send fewer"})
			return nil
		}
		s, err := o.reader.string()
		if err != nil {
			o.fail(err.under("[" + strconv.Itoa(len(list)) + "]"))
			return nil
		}
		list = append(list, s)
	}
	_, _ = o.dec.ReadToken()
	return list
}

// message reads the member's value into m.
func (o *objectReader) message(m decodable) {
	if err := m.decode(o.reader); err != nil {
		o.fail(err)
	}
}
