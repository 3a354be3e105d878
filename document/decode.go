package document

import (
	"encoding"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// Decode fills the value that into points to from the node, and reports every
// member that does not fit.
//
// It takes structs, pointers, slices, maps with string keys, strings, bools,
// integers (whose range is checked), floats, time.Duration (from "5s"), and what
// implements encoding.TextUnmarshaler. An exported field needs a tag
// `json:"name"`, or `json:"-"` where it is no member. Two types are special:
//
//   - *Node takes any value but null as it stands, to be decoded later.
//   - A field []Member tagged `json:",unknown"` takes the members that the
//     struct does not know, which are faults otherwise.
//
// What UnmarshalText says is not shown, since it may quote the value. A type
// says what to write instead by a method Wants() string, which returns for
// example "a size such as 1MiB".
//
// Only what the node holds is changed, so a second document laid over the first
// overrides it: structs and maps are merged, everything else is replaced. A
// nil node, as Get returns for a missing member, changes nothing.
// Slices, maps and pointers that into held before are not written to. After a
// fault the value is filled in part and is not to be used.
func Decode(n *Node, into any) error {
	v := reflect.ValueOf(into)
	if v.Kind() != reflect.Pointer || v.IsNil() {
		return fmt.Errorf("document.Decode: into is %T and must be a pointer", into)
	}
	if n == nil {
		return nil
	}
	d := decoder{shapes: map[reflect.Type]*shape{}}
	d.decode(n, v.Elem())
	if d.misuse != nil {
		return d.misuse
	}
	return d.err()
}

type decoder struct {
	faults
	shapes map[reflect.Type]*shape
	misuse error // a Go type that cannot be decoded: a mistake of the program, not of the file
}

var (
	nodeType     = reflect.TypeFor[*Node]()
	membersType  = reflect.TypeFor[[]Member]()
	durationType = reflect.TypeFor[time.Duration]()
)

func (d *decoder) decode(n *Node, v reflect.Value) {
	if n.kind == Null {
		d.add(n.Fault("has no value; write one, or remove it"))
		return
	}
	if v.Type() == nodeType {
		v.Set(reflect.ValueOf(n))
		return
	}
	if v.Kind() == reflect.Pointer {
		target := reflect.New(v.Type().Elem())
		if !v.IsNil() {
			target.Elem().Set(v.Elem())
		}
		d.decode(n, target.Elem())
		v.Set(target)
		return
	}
	if t, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		d.text(n, t)
		return
	}
	if v.Type() == durationType {
		d.duration(n, v)
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		d.structure(n, v)
	case reflect.Slice:
		d.slice(n, v)
	case reflect.Map:
		d.mapping(n, v)
	case reflect.String:
		if d.wants(n, "a string", String) {
			v.SetString(n.text)
		}
	case reflect.Bool:
		if d.wants(n, "true or false", Bool) {
			v.SetBool(n.text == "true")
		}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		d.integer(n, v)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		d.unsigned(n, v)
	case reflect.Float32, reflect.Float64:
		if d.wants(n, "a number", Int, Float) {
			f, err := strconv.ParseFloat(n.text, v.Type().Bits())
			if err != nil {
				d.add(n.Fault("out of range; write a smaller number"))
			}
			v.SetFloat(f)
		}
	default:
		d.misuse = fmt.Errorf("document.Decode: cannot fill a %v", v.Type())
	}
}

// shape is what decoding needs to know of a struct type.
type shape struct {
	fields  map[string]int // by the name of the member
	names   []string       // in the order of the struct
	unknown int            // the field that takes unknown members, or -1
}

func (d *decoder) shape(t reflect.Type) *shape {
	if s, ok := d.shapes[t]; ok {
		return s
	}
	s := &shape{fields: map[string]int{}, unknown: -1}
	for i := range t.NumField() {
		f := t.Field(i)
		tag := f.Tag.Get("json")
		name, options, _ := strings.Cut(tag, ",")
		switch {
		case tag == "-" || !f.IsExported():
		case options == "unknown" && f.Type == membersType:
			s.unknown = i
		case name == "":
			d.misuse = fmt.Errorf(`document.Decode: field %s of %v needs a tag json:"…"`, f.Name, t)
		default:
			s.fields[name] = i
			s.names = append(s.names, name)
		}
	}
	d.shapes[t] = s
	return s
}

func (d *decoder) structure(n *Node, v reflect.Value) {
	s := d.shape(v.Type())
	if !d.wants(n, "a map", Map) {
		return
	}
	var unknown []Member
	members := n.Members()
	for i := range members {
		m := &members[i]
		if field, ok := s.fields[m.Key]; ok {
			d.decode(&m.value, v.Field(field))
		} else if s.unknown >= 0 {
			unknown = append(unknown, *m)
		} else if d.full() {
			d.add(m.Fault("unknown option")) // it will only be counted
		} else {
			d.add(m.Fault("unknown option%s", instead(m.Key, s.names)))
		}
	}
	if unknown != nil {
		v.Field(s.unknown).Set(reflect.ValueOf(unknown))
	}
}

// instead says which of the known names to write for the unknown one.
func instead(name string, known []string) string {
	if len(known) == 0 {
		return "; there are none here, remove it"
	}
	if near := Nearest(name, known); near != "" {
		return fmt.Sprintf("; did you mean %q?", near)
	}
	return "; the options here are " + strings.Join(known, ", ")
}

func (d *decoder) slice(n *Node, v reflect.Value) {
	if !d.wants(n, "a list", List) {
		return
	}
	items := n.Items()
	list := reflect.MakeSlice(v.Type(), len(items), len(items))
	for i := range items {
		d.decode(&items[i], list.Index(i))
	}
	v.Set(list)
}

func (d *decoder) mapping(n *Node, v reflect.Value) {
	if v.Type().Key().Kind() != reflect.String {
		d.misuse = fmt.Errorf("document.Decode: cannot fill a %v, whose keys are no strings", v.Type())
		return
	}
	if !d.wants(n, "a map", Map) {
		return
	}
	members := n.Members()
	merged := reflect.MakeMapWithSize(v.Type(), v.Len()+len(members))
	for it := v.MapRange(); it.Next(); {
		merged.SetMapIndex(it.Key(), it.Value())
	}
	for i := range members {
		key := reflect.ValueOf(members[i].Key).Convert(v.Type().Key())
		value := reflect.New(v.Type().Elem()).Elem()
		if old := v.MapIndex(key); old.IsValid() {
			value.Set(old)
		}
		d.decode(&members[i].value, value)
		merged.SetMapIndex(key, value)
	}
	v.Set(merged)
}

func (d *decoder) integer(n *Node, v reflect.Value) {
	if !d.wants(n, "a whole number", Int) {
		return
	}
	i, err := strconv.ParseInt(n.text, 10, v.Type().Bits())
	if err != nil {
		highest := int64(math.MaxInt64) >> (64 - v.Type().Bits())
		d.add(n.Fault("out of range; write a whole number from %d to %d", -highest-1, highest))
		return
	}
	v.SetInt(i)
}

func (d *decoder) unsigned(n *Node, v reflect.Value) {
	if !d.wants(n, "a whole number", Int) {
		return
	}
	u, err := strconv.ParseUint(n.text, 10, v.Type().Bits())
	if err != nil {
		d.add(n.Fault("out of range; write a whole number from 0 to %d", uint64(math.MaxUint64)>>(64-v.Type().Bits())))
		return
	}
	v.SetUint(u)
}

func (d *decoder) duration(n *Node, v reflect.Value) {
	if !d.wants(n, `a duration such as "5s"`, String) {
		return
	}
	t, err := time.ParseDuration(n.text)
	if err != nil {
		d.add(n.Fault(`not a duration; write one such as "500ms", "5s" or "1h30m"`))
		return
	}
	v.SetInt(int64(t))
}

func (d *decoder) text(n *Node, into encoding.TextUnmarshaler) {
	want := "a string in the right form"
	if t, ok := into.(interface{ Wants() string }); ok {
		want = t.Wants()
	}
	if d.wants(n, want, String, Int) && into.UnmarshalText([]byte(n.text)) != nil {
		d.add(n.Fault("wants %s", want))
	}
}

// wants reports whether the node is of one of the kinds, and adds the fault
// where it is not.
func (d *decoder) wants(n *Node, what string, kinds ...Kind) bool {
	for _, k := range kinds {
		if n.kind == k {
			return true
		}
	}
	hint := ""
	switch scalar := n.kind < List; {
	case kinds[0] == Bool && n.kind == String:
		hint = "; write true or false, without quotes"
	case kinds[0] == Int && n.kind == String:
		hint = "; write it in decimal, without quotes"
	case kinds[0] == Map && n.kind == String:
		hint = "; write its members as name: value, with a space after the colon"
	case what == "a string" && scalar:
		hint = "; put it in quotes"
	case kinds[0] == List && scalar:
		hint = "; write [ ] around it"
	case strings.HasPrefix(what, "a duration") && (n.kind == Int || n.kind == Float):
		hint = "; add a unit: ns, us, ms, s, m or h"
	}
	d.add(n.Fault("wants %s, found %v%s", what, n.kind, hint))
	return false
}
