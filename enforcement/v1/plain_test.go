package enforcementv1

import (
	"encoding/json"
	"math"
	"reflect"
	"testing"

	"pgregory.net/rapid"
)

// wireMessage is what every generated type can do.
type wireMessage interface {
	AppendJSON([]byte) []byte
	MarshalJSON() ([]byte, error)
	UnmarshalJSON([]byte) error
	IsZero() bool
}

// messages gives one new message of each type.
func messages() []wireMessage {
	return []wireMessage{
		new(EvaluateRequest),
		new(ReleaseGovernanceEvidence),
		new(RunnerAuthentication),
		new(RunnerIdentity),
		new(DecisionResponse),
	}
}

// forEachMessage runs f as a subtest for one new message of each type.
func forEachMessage(t *testing.T, f func(t *testing.T, m wireMessage)) {
	for _, m := range messages() {
		t.Run(reflect.TypeOf(m).Elem().Name(), func(t *testing.T) { f(t, m) })
	}
}

// newLike gives an empty message of m's type.
func newLike(m wireMessage) wireMessage {
	return reflect.New(reflect.TypeOf(m).Elem()).Interface().(wireMessage)
}

// plainType is a message type without its methods, all the way down, so that
// encoding/json sees nothing but the fields and their tags.
func plainType(t reflect.Type) reflect.Type {
	switch t.Kind() {
	case reflect.Pointer:
		return reflect.PointerTo(plainType(t.Elem()))
	case reflect.Struct:
		fields := make([]reflect.StructField, t.NumField())
		for i := range fields {
			fields[i] = t.Field(i)
			fields[i].Type = plainType(fields[i].Type)
		}
		return reflect.StructOf(fields)
	}
	return t
}

// setPlain copies a value to one of the plain type.
func setPlain(dst, src reflect.Value) {
	switch {
	case src.Kind() == reflect.Pointer && !src.IsNil():
		dst.Set(reflect.New(dst.Type().Elem()))
		setPlain(dst.Elem(), src.Elem())
	case src.Kind() == reflect.Struct:
		for i := range src.NumField() {
			setPlain(dst.Field(i), src.Field(i))
		}
	case src.Kind() != reflect.Pointer:
		dst.Set(src)
	}
}

// marshalPlain gives the bytes that encoding/json makes of m's fields.
func marshalPlain(t testing.TB, m wireMessage) string {
	t.Helper()
	src := reflect.ValueOf(m).Elem()
	plain := reflect.New(plainType(src.Type()))
	setPlain(plain.Elem(), src)
	return marshal(t, plain.Interface())
}

func marshal(t testing.TB, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// draw fills v with random members.
func draw(t *rapid.T, v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(text.Draw(t, "string"))
	case reflect.Int32:
		v.SetInt(int64(rapid.OneOf(rapid.Int32(), rapid.SampledFrom([]int32{0, math.MinInt32, math.MaxInt32})).Draw(t, "int32")))
	case reflect.Bool:
		v.SetBool(rapid.Bool().Draw(t, "bool"))
	case reflect.Slice:
		v.Set(reflect.ValueOf(rapid.SliceOfN(text, 0, 3).Draw(t, "list")))
	case reflect.Pointer:
		if rapid.Bool().Draw(t, "present") {
			v.Set(reflect.New(v.Type().Elem()))
			draw(t, v.Elem())
		}
	case reflect.Struct:
		for i := range v.NumField() {
			draw(t, v.Field(i))
		}
	default:
		panic("no message holds a " + v.Kind().String())
	}
}

// text is any string, often one of those that are hard to write, also one that
// is no UTF-8.
var text = rapid.OneOf(
	rapid.Just(""),
	rapid.String(),
	rapid.Map(rapid.SliceOfN(rapid.Byte(), 0, 12), func(b []byte) string { return string(b) }),
	rapid.Map(rapid.SliceOfN(rapid.SampledFrom(hardPieces), 0, 6), func(pieces []string) string {
		s := ""
		for _, piece := range pieces {
			s += piece
		}
		return s
	}),
)

var hardPieces = []string{
	"a", "plain words", `"`, `\`, "/", "<", ">", "&", "'", "\b", "\f", "\n", "\r", "\t", "\x00", "\x1f", "\x7f",
	"\u0080", "\u2027", "\u2028", "\u2029", "\u202e", "\ufffd", "\ufeff", "😀", "\xff", "\xc3", "\xe2\x80", "\xed\xa0\x80",
}
