package enforcementv1

import (
	"encoding/json"
	"reflect"
	"testing"

	"pgregory.net/rapid"
)

func TestAppendJSON(t *testing.T) {
	tests := []struct {
		name string
		m    wireMessage
		want string
	}{
		{"empty request", &EvaluateRequest{}, `{}`},
		{
			"members stand in the order of their numbers",
			&EvaluateRequest{Cwd: "/w", ActionType: ActionReadFile, SessionID: "s"},
			`{"session_id":"s","action_type":"read_file","cwd":"/w"}`,
		},
		{
			"an empty message that is present is written",
			&EvaluateRequest{ReleaseGovernance: &ReleaseGovernanceEvidence{}},
			`{"release_governance":{}}`,
		},
		{
			"the identity is always written",
			&EvaluateRequest{RunnerAuth: &RunnerAuthentication{Algorithm: "HMAC-SHA256"}},
			`{"runner_auth":{"identity":{},"algorithm":"HMAC-SHA256"}}`,
		},
		{
			"zero numbers, false and empty lists are left out",
			&ReleaseGovernanceEvidence{FailedProviders: []string{}, BlockedCount: -1, DeliverySuccess: true},
			`{"delivery_success":true,"blocked_count":-1}`,
		},
		{
			"a list keeps its empty elements",
			&DecisionResponse{EvidenceRefs: []string{"", "<b>"}},
			`{"evidence_refs":["","\u003cb\u003e"]}`,
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := string(test.m.AppendJSON([]byte("before:"))); got != "before:"+test.want {
				t.Errorf("got  %s\nwant before:%s", got, test.want)
			}
			if got := marshal(t, test.m); got != test.want {
				t.Errorf("json.Marshal gives %s\nwant %s", got, test.want)
			}
		})
	}
}

func TestAppendStringIsEncodingJSON(t *testing.T) {
	for _, s := range hardPieces {
		if got, want := string(AppendString(nil, "a"+s+"b")), marshal(t, "a"+s+"b"); got != want {
			t.Errorf("%+q: got %s, want %s", s, got, want)
		}
	}
	for c := range 256 {
		s := string([]byte{byte(c)})
		if got, want := string(AppendString(nil, s)), marshal(t, s); got != want {
			t.Errorf("byte %#x: got %s, want %s", c, got, want)
		}
	}
}

// AppendJSON writes what encoding/json writes of the same fields.
func TestAppendJSONIsEncodingJSON(t *testing.T) {
	forEachMessage(t, func(t *testing.T, m wireMessage) {
		rapid.Check(t, func(rt *rapid.T) {
			m := newLike(m)
			draw(rt, reflect.ValueOf(m).Elem())
			if got, want := string(m.AppendJSON(nil)), marshalPlain(t, m); got != want {
				rt.Fatalf("got  %s\nwant %s", got, want)
			}
		})
	})
}

func FuzzAppendString(f *testing.F) {
	for _, s := range hardPieces {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if got, want := string(AppendString(nil, s)), marshal(t, s); got != want {
			t.Errorf("%+q: got %s, want %s", s, got, want)
		}
	})
}

func TestMapStrings(t *testing.T) {
	forEachMessage(t, func(t *testing.T, m wireMessage) {
		rapid.Check(t, func(rt *rapid.T) {
			m := newLike(m)
			draw(rt, reflect.ValueOf(m).Elem())
			before := marshalPlain(t, m)

			same := mapped(m, func(s string) string { return s })
			if got := marshalPlain(t, same); got != before {
				rt.Fatalf("the copy is %s\nwant        %s", got, before)
			}

			// Every string of the copy is replaced, none of the original.
			marked := mapped(m, func(string) string { return "mark" })
			walk(reflect.ValueOf(marked), func(s reflect.Value) {
				if s.String() != "mark" {
					rt.Fatalf("%q was not replaced in %s", s.String(), marked.AppendJSON(nil))
				}
			})

			// What is done to the copy does not reach the original.
			walk(reflect.ValueOf(same), func(s reflect.Value) { s.SetString("overwritten") })
			if got := marshalPlain(t, m); got != before {
				rt.Fatalf("the original became %s\nwas                %s", got, before)
			}
		})
		if got := mapped(reflect.Zero(reflect.TypeOf(m)).Interface().(wireMessage), nil); !reflect.ValueOf(got).IsNil() {
			t.Errorf("nil gave %v", got)
		}
	})
}

// mapped calls m.MapStrings, whose result differs from type to type.
func mapped(m wireMessage, f func(string) string) wireMessage {
	out := reflect.ValueOf(m).MethodByName("MapStrings").Call([]reflect.Value{reflect.ValueOf(f)})
	return out[0].Interface().(wireMessage)
}

// walk visits every string in v that can be redacted: members that are set and
// all elements of lists.
func walk(v reflect.Value, visit func(reflect.Value)) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			walk(v.Elem(), visit)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Field(i); f.Kind() != reflect.String || f.Len() > 0 {
				walk(f, visit)
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			walk(v.Index(i), visit)
		}
	case reflect.String:
		visit(v)
	}
}

func TestIsZero(t *testing.T) {
	forEachMessage(t, func(t *testing.T, m wireMessage) {
		if !m.IsZero() {
			t.Error("an empty message is not zero")
		}
		if absent := reflect.Zero(reflect.TypeOf(m)).Interface().(wireMessage); !absent.IsZero() {
			t.Error("nil is not zero")
		}
		// One member is enough, whichever it is.
		for i := range reflect.TypeOf(m).Elem().NumField() {
			m := newLike(m)
			setAny(reflect.ValueOf(m).Elem().Field(i))
			if m.IsZero() {
				t.Errorf("zero with %s set", reflect.TypeOf(m).Elem().Field(i).Name)
			}
		}
	})
}

// setAny gives v a value that counts as set.
func setAny(v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		v.SetString("x")
	case reflect.Int32:
		v.SetInt(1)
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Slice:
		v.Set(reflect.ValueOf([]string{""}))
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
	case reflect.Struct:
		setAny(v.Field(0))
	}
}

// fullResponse has every member set.
func fullResponse() *DecisionResponse {
	m := &DecisionResponse{}
	v := reflect.ValueOf(m).Elem()
	for i := range v.NumField() {
		setAny(v.Field(i))
	}
	m.Reason = "the command matches commands.block: \"rm -rf *\" <never>"
	m.EvidenceRefs = []string{"evidence://local/dec_0123456789ab", "runner-auth://none"}
	return m
}

func TestAppendJSONAllocatesNothing(t *testing.T) {
	m, b := fullResponse(), make([]byte, 0, 4096)
	if n := testing.AllocsPerRun(100, func() { b = m.AppendJSON(b[:0]) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkAppendJSON(b *testing.B) {
	m := fullResponse()
	b.Run("contract", func(b *testing.B) {
		buf := make([]byte, 0, 4096)
		b.ReportAllocs()
		for b.Loop() {
			buf = m.AppendJSON(buf[:0])
		}
	})
	b.Run("encoding_json", func(b *testing.B) {
		type plain DecisionResponse // of no nested messages, so one level is enough
		b.ReportAllocs()
		for b.Loop() {
			if _, err := json.Marshal((*plain)(m)); err != nil {
				b.Fatal(err)
			}
		}
	})
}
