package enforcementv1

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"pgregory.net/rapid"
)

// refusals are inputs that are no EvaluateRequest.
var refusals = []struct {
	name   string
	in     string
	offset int64
	member string
	text   string // what Error says after the offset
}{
	// No object at all.
	{"nothing", ``, 0, "", `the message is missing: send one JSON object`},
	{"white space", " \n\t", 3, "", `the message is missing: send one JSON object`},
	{"null", `null`, 0, "", `the message is null: write an object`},
	{"array", ` []`, 1, "", `the message is an array: write an object`},
	{"string", `"x"`, 0, "", `the message is a string: write an object`},
	{"number", `1`, 0, "", `the message is a number: write an object`},
	{"true", `true`, 0, "", `the message is true: write an object`},
	{"a word", `nope`, 1, "", `the message is no JSON from this byte on: send one JSON object`},
	{"deep arrays", strings.Repeat("[", 200_000), 0, "", `the message is an array: write an object`},
	{"byte order mark", "\ufeff{}", 0, "", `the message holds a byte order mark: leave it out`},

	// More than one.
	{"two objects", `{} {}`, 3, "", `the message is followed by more: send one object and nothing after it`},
	{"a letter after it", `{}x`, 2, "", `the message is followed by more: send one object and nothing after it`},
	{"a brace after it", `{}}`, 2, "", `the message is followed by more: send one object and nothing after it`},
	{"a comma after it", `{},`, 2, "", `the message is followed by more: send one object and nothing after it`},
	{"a zero byte after it", "{}\n\x00", 3, "", `the message is followed by more: send one object and nothing after it`},

	// Half of one.
	{"only a brace", `{`, 1, "", `the message ends too early: send all of it`},
	{"ends in a name", `{"targ`, 6, "", `the message ends too early: send all of it`},
	{"ends after a name", `{"target"`, 9, "target", `member "target" ends too early: send all of it`},
	{"ends after a colon", `{"target":`, 10, "target", `member "target" ends too early: send all of it`},
	{"ends in a string", `{"target":"a`, 12, "target", `member "target" ends too early: send all of it`},
	{"ends after a value", `{"target":"a"`, 13, "", `the message ends too early: send all of it`},
	{"ends after a comma", `{"target":"a",`, 14, "", `the message ends too early: send all of it`},
	{"ends in a list", `{"release_governance":{"evidence_refs":["a"`, 43, "release_governance.evidence_refs[1]",
		`member "release_governance.evidence_refs[1]" ends too early: send all of it`},

	// Broken grammar.
	{"comma before the end", `{"target":"a",}`, 13, "", `the message is no JSON from this byte on: send one JSON object`},
	{"comma before the end of a list", `{"release_governance":{"evidence_refs":["a",]}}`, 43, "release_governance.evidence_refs[1]",
		`member "release_governance.evidence_refs[1]" is no JSON from this byte on: send one JSON object`},
	{"no comma", `{"target":"a" "actor":"b"}`, 14, "", `the message is no JSON from this byte on: send one JSON object`},
	{"no colon", `{"target" "a"}`, 10, "target", `member "target" is no JSON from this byte on: send one JSON object`},
	{"no value", `{"target":}`, 10, "target", `member "target" is no JSON from this byte on: send one JSON object`},
	{"wrong bracket", `{"release_governance":{"evidence_refs":["a"}}`, 43, "release_governance.evidence_refs[1]",
		`member "release_governance.evidence_refs[1]" is no JSON from this byte on: send one JSON object`},
	{"closed by a bracket", `{]`, 1, "", `the message is no JSON from this byte on: send one JSON object`},
	{"single quotes", `{'target':"a"}`, 1, "", `the message is no JSON from this byte on: send one JSON object`},
	{"a comment", `{/**/}`, 1, "", `the message is no JSON from this byte on: send one JSON object`},
	{"nearly null", `{"target":nul}`, 13, "target", `member "target" is no JSON from this byte on: send one JSON object`},
	{"nearly true", `{"release_governance":{"delivery_success":trve}}`, 44, "release_governance.delivery_success",
		`member "release_governance.delivery_success" is no JSON from this byte on: send one JSON object`},
	{"a number as a name", `{1:2}`, 1, "", `the message has a name that is no string: write names in double quotes`},
	{"deep arrays as a name", `{` + strings.Repeat("[", 200_000), 10_000, "", `the message is no JSON from this byte on: send one JSON object`},

	// Names.
	{"unknown", `{"colour":"a"}`, 1, "colour", `member "colour" is unknown: leave it out`},
	{"unknown in a member", `{"runner_auth":{"identity":{"colour":1}}}`, 28, "runner_auth.identity.colour",
		`member "runner_auth.identity.colour" is unknown: leave it out`},
	{"without a name", `{"":1}`, 1, "", `the message holds a member without a name: leave it out`},
	{"misspelt", `{"tarrget":"a"}`, 1, "tarrget", `member "tarrget" is unknown: did you mean "target"?`},
	{"misspelt, short", `{"cmd":"a"}`, 1, "cmd", `member "cmd" is unknown: did you mean "cwd"?`},
	{"upper case", `{"Target":"a"}`, 1, "Target", `member "Target" is unknown: did you mean "target"?`},
	{"camel case", `{"sessionId":"a"}`, 1, "sessionId", `member "sessionId" is unknown: did you mean "session_id"?`},
	{"another script's letter", "{\"t\u0430rget\":1}", 1, `t\u0430rget`, `member "t\u0430rget" is unknown: did you mean "target"?`},
	{"repeated", `{"target":"a", "target":"a"}`, 15, "target", `member "target" is repeated: write it once`},
	{"repeated, escaped", `{"target":"a","\u0074arget":"a"}`, 14, "target", `member "target" is repeated: write it once`},
	{"repeated object", `{"runner_auth":{},"runner_auth":{}}`, 18, "runner_auth", `member "runner_auth" is repeated: write it once`},
	{"repeated in a member", `{"runner_auth":{"identity":{},"identity":{}}}`, 30, "runner_auth.identity",
		`member "runner_auth.identity" is repeated: write it once`},
	{"a name to hide behind", `{"\u0000\u202e\"<":1}`, 1, `\x00\u202e\"<`, `member "\x00\u202e\"<" is unknown: leave it out`},
	{"a long name", `{"` + strings.Repeat("é", 500) + `":1}`, 1, strings.Repeat(`\u00e9`, 5) + "...",
		`member "` + strings.Repeat(`\u00e9`, 5) + `..." is unknown: leave it out`},

	// Null.
	{"null string", `{"target":null}`, 10, "target", `member "target" is null: write a string or leave it out`},
	{"null object", `{"runner_auth": null}`, 16, "runner_auth", `member "runner_auth" is null: write an object or leave it out`},
	{"null identity", `{"runner_auth":{"identity":null}}`, 27, "runner_auth.identity",
		`member "runner_auth.identity" is null: write an object or leave it out`},
	{"null bool", `{"release_governance":{"delivery_success":null}}`, 42, "release_governance.delivery_success",
		`member "release_governance.delivery_success" is null: write true or false or leave it out`},
	{"null list", `{"release_governance":{"evidence_refs":null}}`, 39, "release_governance.evidence_refs",
		`member "release_governance.evidence_refs" is null: write a list of strings or leave it out`},
	{"null element", `{"release_governance":{"evidence_refs":["a",null]}}`, 44, "release_governance.evidence_refs[1]",
		`member "release_governance.evidence_refs[1]" is null: write a string or leave it out`},
	{"null number", `{"release_governance":{"blocked_count":null}}`, 39, "release_governance.blocked_count",
		`member "release_governance.blocked_count" is null: ` + wantInt32 + ` or leave it out`},

	// Types.
	{"number for string", `{"target":1}`, 10, "target", `member "target" is a number: write a string`},
	{"bool for string", `{"target":false}`, 10, "target", `member "target" is false: write a string`},
	{"list for string", `{"target":["a"]}`, 10, "target", `member "target" is an array: write a string`},
	{"deep object for string", `{"target":` + strings.Repeat(`{"a":`, 200_000), 10, "target", `member "target" is an object: write a string`},
	{"list for object", `{"release_governance":[]}`, 22, "release_governance", `member "release_governance" is an array: write an object`},
	{"string for list", `{"release_governance":{"evidence_refs":"a"}}`, 39, "release_governance.evidence_refs",
		`member "release_governance.evidence_refs" is a string: write a list of strings`},
	{"list in list", `{"release_governance":{"evidence_refs":[[]]}}`, 40, "release_governance.evidence_refs[0]",
		`member "release_governance.evidence_refs[0]" is an array: write a string`},
	{"number for bool", `{"release_governance":{"delivery_success":1}}`, 42, "release_governance.delivery_success",
		`member "release_governance.delivery_success" is a number: write true or false`},
	{"string for number", `{"release_governance":{"blocked_count":"1"}}`, 39, "release_governance.blocked_count",
		`member "release_governance.blocked_count" is a string: ` + wantInt32},

	{"long list", `{"release_governance":{"evidence_refs":[` + strings.Repeat(`"",`, maxElements) + `""]}}`, 40 + 3*maxElements, "release_governance.evidence_refs",
		`member "release_governance.evidence_refs" holds more than 4096 strings: send fewer`},

	// Numbers.
	{"fraction", badCount(`1.0`), 39, "release_governance.blocked_count", badCountText},
	{"exponent", badCount(`1e2`), 39, "release_governance.blocked_count", badCountText},
	{"too large", badCount(`2147483648`), 39, "release_governance.blocked_count", badCountText},
	{"too small", badCount(`-2147483649`), 39, "release_governance.blocked_count", badCountText},
	{"far too large", badCount(strings.Repeat("9", 1000)), 39, "release_governance.blocked_count", badCountText},
	{"leading zero", badCount(`01`), 40, "release_governance", `member "release_governance" is no JSON from this byte on: send one JSON object`},
	{"plus sign", badCount(`+1`), 39, "release_governance.blocked_count",
		`member "release_governance.blocked_count" is no JSON from this byte on: send one JSON object`},

	// Text.
	{"invalid UTF-8", "{\"target\":\"a\xffb\"}", 12, "target", `member "target" holds invalid UTF-8: send UTF-8`},
	{"overlong UTF-8", "{\"target\":\"\xc0\xaf\"}", 11, "target", `member "target" holds invalid UTF-8: send UTF-8`},
	{"surrogate in UTF-8", "{\"target\":\"\xed\xa0\x80\"}", 11, "target", `member "target" holds invalid UTF-8: send UTF-8`},
	{"invalid UTF-8 in a name", "{\"ta\xffrget\":\"a\"}", 4, "", `the message holds invalid UTF-8: send UTF-8`},
	{"high surrogate alone", `{"target":"\ud800"}`, 11, "target", halfPairText},
	{"low surrogate alone", `{"target":"\uDC00"}`, 11, "target", halfPairText},
	{"surrogates the wrong way round", `{"target":"\udc00\ud800"}`, 11, "target", halfPairText},
	{"high surrogate and a letter", `{"target":"\ud800x"}`, 11, "target", halfPairText},
	{"unknown escape", `{"target":"\q"}`, 11, "target", `member "target" holds an escape that JSON has not: write \n, \" or \u with four hex digits`},
	{"broken escape", `{"target":"\u12g4"}`, 11, "target", `member "target" holds an escape that JSON has not: write \n, \" or \u with four hex digits`},
	{"bare newline", "{\"target\":\"a\nb\"}", 12, "target", `member "target" holds a control character: write it as \u with four hex digits`},
}

// badCount is a request whose blocked_count, at byte 39, is n.
func badCount(n string) string { return `{"release_governance":{"blocked_count":` + n + `}}` }

const (
	badCountText = `member "release_governance.blocked_count" is a number out of range or not whole: ` + wantInt32
	halfPairText = `member "target" holds half of a surrogate pair: write both halves, or the character itself`
)

func TestDecodeRequestRefuses(t *testing.T) {
	for _, test := range refusals {
		t.Run(test.name, func(t *testing.T) {
			m, err := DecodeRequest([]byte(test.in))
			if m != nil {
				t.Errorf("gave %s", m.AppendJSON(nil))
			}
			fault, ok := errors.AsType[*DecodeError](err)
			if !ok {
				t.Fatalf("error %v is no *DecodeError", err)
			}
			if fault.Offset != test.offset || fault.Member != test.member {
				t.Errorf("at byte %d, member %q; want byte %d, member %q", fault.Offset, fault.Member, test.offset, test.member)
			}
			if _, got, _ := strings.Cut(err.Error(), ": "); got != test.text {
				t.Errorf("says %s\nwant %s", got, test.text)
			}
			checkFault(t, fault, len(test.in))

			// JSON libraries that call the methods are told the same no.
			for name, unmarshal := range map[string]func([]byte, any) error{
				"encoding/json": json.Unmarshal,
				"json/v2":       func(b []byte, v any) error { return jsonv2.Unmarshal(b, v) },
				"json/v2, lax": func(b []byte, v any) error {
					return jsonv2.Unmarshal(b, v, jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true))
				},
			} {
				m := &EvaluateRequest{Target: "stale"}
				if unmarshal([]byte(test.in), m) == nil {
					t.Errorf("%s took it", name)
				}
			}
		})
	}
}

// checkFault holds an error to what DecodeError promises of every one.
func checkFault(t testing.TB, fault *DecodeError, size int) {
	t.Helper()
	if fault.Offset < 0 || fault.Offset > int64(size) {
		t.Errorf("offset %d of %d bytes", fault.Offset, size)
	}
	text := fault.Error()
	if len(text) > 300 {
		t.Errorf("the text has %d bytes", len(text))
	}
	for _, c := range []byte(text) {
		if c < ' ' || c > '~' {
			t.Errorf("%q holds byte %#x", text, c)
		}
	}
}

// A value that is refused is never quoted.
func TestDecodeErrorHoldsNoValue(t *testing.T) {
	for _, in := range []string{
		`{"target":"SECRET","target":"SECRET"}`, `{"target":"SECRET`, `{"target":"SECRET\ud800"}`, `{"target":"SECRET"}SECRET`,
		`{"target":["SECRET"]}`, `{"colour":"SECRET"}`, `"SECRET"`, `SECRET`, `{"target":SECRET}`, "{\"target\":\"SECRET\xff\"}",
	} {
		if _, err := DecodeRequest([]byte(in)); err == nil || strings.Contains(err.Error(), "SECRET") {
			t.Errorf("%s: %v", in, err)
		}
	}
}

func TestDecodeErrorUnwraps(t *testing.T) {
	for _, in := range []string{``, ` `, `{`, `{"target":"a`, `{"target":"a"`} {
		if _, err := DecodeRequest([]byte(in)); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%q: %v is not io.ErrUnexpectedEOF", in, err)
		}
	}
	if _, err := DecodeRequest([]byte(`{]`)); errors.Is(err, io.ErrUnexpectedEOF) {
		t.Error("broken input is taken for an incomplete one")
	}
}

func TestDecodeRequest(t *testing.T) {
	tests := []struct {
		name string
		in   string
		want *EvaluateRequest
	}{
		{"empty", `{}`, &EvaluateRequest{}},
		{"white space around it", " \t\r\n{ } \t\r\n", &EvaluateRequest{}},
		{"any order", `{"target":"b","session_id":"a"}`, &EvaluateRequest{SessionID: "a", Target: "b"}},
		{"empty string", `{"target":""}`, &EvaluateRequest{}},
		{"escaped name", `{"t\u0061rget":"a"}`, &EvaluateRequest{Target: "a"}},
		{"escapes", `{"target":"\"\\\/\b\f\n\r\t\u0000\u00e9\ud83d\ude00"}`, &EvaluateRequest{Target: "\"\\/\b\f\n\r\t\x00é😀"}},
		{"as it stands", `{"target":"é😀<>&` + "\u2028" + `"}`, &EvaluateRequest{Target: "é😀<>&\u2028"}},
		{"empty object is present", `{"release_governance":{}}`, &EvaluateRequest{ReleaseGovernance: &ReleaseGovernanceEvidence{}}},
		{"empty list is none", `{"release_governance":{"evidence_refs":[ ]}}`, &EvaluateRequest{ReleaseGovernance: &ReleaseGovernanceEvidence{}}},
		{"empty element", `{"release_governance":{"evidence_refs":["","a"]}}`,
			&EvaluateRequest{ReleaseGovernance: &ReleaseGovernanceEvidence{EvidenceRefs: []string{"", "a"}}}},
		{"the longest list", `{"release_governance":{"evidence_refs":[` + strings.Repeat(`"a",`, maxElements-1) + `"a"]}}`,
			&EvaluateRequest{ReleaseGovernance: &ReleaseGovernanceEvidence{EvidenceRefs: slices.Repeat([]string{"a"}, maxElements)}}},
		{"numbers", `{"release_governance":{"approval_required_count":-2147483648,"blocked_count":2147483647,"delivery_success":true,"critical_count":-0}}`,
			&EvaluateRequest{ReleaseGovernance: &ReleaseGovernanceEvidence{ApprovalRequiredCount: -2147483648, BlockedCount: 2147483647, DeliverySuccess: true}}},
		{"no identity", `{"runner_auth":{"algorithm":"HMAC-SHA256"}}`, &EvaluateRequest{RunnerAuth: &RunnerAuthentication{Algorithm: "HMAC-SHA256"}}},
		{"identity", `{"runner_auth":{"identity":{"ref":"refs/heads/main"}},"cwd":"/w"}`,
			&EvaluateRequest{Cwd: "/w", RunnerAuth: &RunnerAuthentication{Identity: RunnerIdentity{Ref: "refs/heads/main"}}}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			raw := []byte(test.in)
			got, err := DecodeRequest(raw)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(raw, []byte(test.in)) {
				t.Error("the input was changed")
			}
			clear(raw) // the message keeps nothing of the input
			if !reflect.DeepEqual(got, test.want) {
				t.Errorf("got  %s\nwant %s", got.AppendJSON(nil), test.want.AppendJSON(nil))
			}
			for name, unmarshal := range map[string]func([]byte, any) error{
				"encoding/json": json.Unmarshal,
				"json/v2":       func(b []byte, v any) error { return jsonv2.Unmarshal(b, v) },
			} {
				m := &EvaluateRequest{Tool: "stale"}
				if err := unmarshal([]byte(test.in), m); err != nil || !reflect.DeepEqual(m, test.want) {
					t.Errorf("%s gives %s, %v", name, m.AppendJSON(nil), err)
				}
			}
		})
	}
}

func TestDecodeResponse(t *testing.T) {
	want := fullResponse()
	got, err := DecodeResponse(want.AppendJSON(nil))
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %s, %v", got.AppendJSON(nil), err)
	}
	if m, err := DecodeResponse([]byte(`{"decision":"allow","Decision":"block"}`)); m != nil || err == nil ||
		err.Error() != `byte 20: member "Decision" is unknown: did you mean "decision"?` {
		t.Errorf("got %v, %v", m, err)
	}
}

func TestUnmarshalJSONEmptiesWhatItRefuses(t *testing.T) {
	forEachMessage(t, func(t *testing.T, m wireMessage) {
		for _, in := range []string{`{} x`, `null`, `{"colour":1}`} {
			setAny(reflect.ValueOf(m).Elem().Field(0))
			if err := m.UnmarshalJSON([]byte(in)); err == nil || !m.IsZero() {
				t.Errorf("%s: left %s, %v", in, m.AppendJSON(nil), err)
			}
		}
	})
}

func TestUnmarshalJSONFrom(t *testing.T) {
	const stream = ` {"target":"a"} {"target":"b","target":"c"} {"Actor":"x"} {}`

	t.Run("one value after the other, offsets in the stream", func(t *testing.T) {
		// One byte a read, so that the decoder's buffer moves.
		dec := jsontext.NewDecoder(iotest.OneByteReader(strings.NewReader(stream)), jsontext.AllowDuplicateNames(true))
		var m EvaluateRequest
		if err := m.UnmarshalJSONFrom(dec); err != nil || m.Target != "a" {
			t.Fatalf("first: %+v, %v", m, err)
		}
		for _, want := range []string{
			`byte 30: member "target" is repeated: write it once`,
			`byte 45: member "Actor" is unknown: did you mean "actor"?`,
		} {
			if err := m.UnmarshalJSONFrom(dec); err == nil || err.Error() != want || !m.IsZero() {
				t.Fatalf("got %v, left %s\nwant %s", err, m.AppendJSON(nil), want)
			}
		}
		if err := m.UnmarshalJSONFrom(dec); err != nil {
			t.Fatal(err)
		}
		if err := m.UnmarshalJSONFrom(dec); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatalf("at the end: %v", err)
		}
	})

	t.Run("what the decoder itself refuses", func(t *testing.T) {
		for in, want := range map[string]string{
			`{"target":"b","target":"c"}`:      `byte 14: member "target" is repeated: write it once`,
			"{\"target\":\"\xff\"}":            `byte 11: the message holds invalid UTF-8: send UTF-8`,
			`   {"target":"\ud800"}`:           `byte 14: the message holds half of a surrogate pair: write both halves, or the character itself`,
			`{"target":`:                       `byte 10: the message ends too early: send all of it`,
			`{"` + strings.Repeat("é\x00", 99): `byte 4: the message holds a control character: write it as \u with four hex digits`,
		} {
			var m EvaluateRequest
			err := m.UnmarshalJSONFrom(jsontext.NewDecoder(strings.NewReader(in)))
			if fault, ok := errors.AsType[*DecodeError](err); !ok || err.Error() != want {
				t.Errorf("%q: %v\nwant %s", in, fault, want)
			}
		}
	})

	t.Run("a reader that fails", func(t *testing.T) {
		broken := errors.New("SECRET")
		var m EvaluateRequest
		err := m.UnmarshalJSONFrom(jsontext.NewDecoder(io.MultiReader(strings.NewReader(`{"tar`), iotest.ErrReader(broken))))
		if fault, ok := errors.AsType[*DecodeError](err); !ok || !errors.Is(err, broken) || strings.Contains(fault.Error(), "SECRET") {
			t.Errorf("got %v", err)
		}
	})
}

// Whatever is written is read back, and the same bytes come out again. Only text
// that is no UTF-8 is another text afterwards.
func TestDecodeReadsWhatAppendJSONWrites(t *testing.T) {
	forEachMessage(t, func(t *testing.T, m wireMessage) {
		rapid.Check(t, func(rt *rapid.T) {
			m, back := newLike(m), newLike(m)
			draw(rt, reflect.ValueOf(m).Elem())
			m = mapped(m, func(s string) string { return strings.ToValidUTF8(s, "\ufffd") })
			written := m.AppendJSON(nil)
			if err := back.UnmarshalJSON(written); err != nil {
				rt.Fatalf("%s: %v", written, err)
			}
			if again := back.AppendJSON(nil); !bytes.Equal(again, written) {
				rt.Fatalf("wrote %s\nthen  %s", written, again)
			}
		})
	})
}

// What is accepted re-encodes to a fixed point, and encoding/json, for all its
// tolerance, reads the same message from it.
func FuzzDecodeRequest(f *testing.F) {
	for _, test := range refusals {
		if len(test.in) < 1000 {
			f.Add([]byte(test.in))
		}
	}
	f.Add(smallRequest)
	f.Add([]byte(` {"runner_auth":{"key_id":"\u0061\ud83d\ude00","identity":{"ref":"<"}},"release_governance":{"evidence_refs":["","a"],"blocked_count":-0}} `))
	f.Fuzz(func(t *testing.T, raw []byte) {
		m, err := DecodeRequest(raw)
		if err != nil {
			fault, ok := errors.AsType[*DecodeError](err)
			if !ok || m != nil {
				t.Fatalf("gave %v, %v", m, err)
			}
			checkFault(t, fault, len(raw))
			return
		}

		written := m.AppendJSON(nil)
		again, err := DecodeRequest(written)
		if err != nil {
			t.Fatalf("refuses its own %s: %v", written, err)
		}
		if !reflect.DeepEqual(again, m) || !bytes.Equal(again.AppendJSON(nil), written) {
			t.Fatalf("read  %s\nthen  %s", written, again.AppendJSON(nil))
		}

		plain := reflect.New(plainType(reflect.TypeFor[EvaluateRequest]()))
		if err := json.Unmarshal(raw, plain.Interface()); err != nil {
			t.Fatalf("encoding/json refuses it: %v", err)
		}
		if got := marshal(t, plain.Interface()); got != string(written) {
			t.Fatalf("we read       %s\nencoding/json %s", written, got)
		}
	})
}

func TestDecodeRequestAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("under the race detector sync.Pool drops values at random")
	}
	// The message and its two strings.
	n := testing.AllocsPerRun(100, func() {
		if _, err := DecodeRequest(smallRequest); err != nil {
			t.Fatal(err)
		}
	})
	if n > 3 {
		t.Errorf("%v allocations, want 3", n)
	}
}

// smallRequest is the request of the README.
var smallRequest = []byte(`{"action_type":"read_file","target":"config/prod.pem"}`)

func BenchmarkDecodeRequest(b *testing.B) {
	b.Run("contract", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := DecodeRequest(smallRequest); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("encoding_json", func(b *testing.B) {
		plain := plainType(reflect.TypeFor[EvaluateRequest]())
		b.ReportAllocs()
		for b.Loop() {
			if err := json.Unmarshal(smallRequest, reflect.New(plain).Interface()); err != nil {
				b.Fatal(err)
			}
		}
	})
}
