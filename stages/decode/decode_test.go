package decode

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/hashicorp/go-multierror"

	"github.com/Huzefaaa2/cavra/go/cavra-runtime/document"
	enforcementv1 "github.com/Huzefaaa2/cavra/go/cavra-runtime/enforcement/v1"
	"github.com/Huzefaaa2/cavra/go/cavra-runtime/pipeline"
	"github.com/Huzefaaa2/cavra/go/cavra-runtime/pipeline/pipelinetest"
)

const small = `{"action_type":"read_file","target":"config/prod.pem"}`

func newStage(t testing.TB, o Options) *Stage {
	t.Helper()
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestConforms(t *testing.T) { pipelinetest.Conform(t, newStage(t, Options{})) }

func TestAccepts(t *testing.T) {
	for _, tt := range []struct{ name, raw, canonical string }{
		{"a small request", small, small},
		{"an empty object", `{}`, `{}`},
		{"white space around it", " \t\r\n" + small + " \t\r\n", small},
		{"white space inside", "{ \"target\"\n:\t\"a\" }", `{"target":"a"}`},
		{"members in another order", `{"target":"b","action_type":"a"}`, `{"action_type":"a","target":"b"}`},
		{"escapes", `{"target":"\u0041\/\ud83d\udca1"}`, `{"target":"A/💡"}`},
		{"an escaped name", `{"t\u0061rget":"a"}`, `{"target":"a"}`},
		{"an empty member", `{"target":""}`, `{}`},
		{"brackets in a string", `{"target":"` + strings.Repeat("[{", 100) + `"}`, `{"target":"` + strings.Repeat("[{", 100) + `"}`},
		{"as deep as a request can be", `{"runner_auth":{"identity":{"ref":"a"}},"release_governance":{"failed_providers":["a","b"]}}`,
			`{"release_governance":{"failed_providers":["a","b"]},"runner_auth":{"identity":{"ref":"a"}}}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := pipelinetest.Handle(t, newStage(t, Options{MaxDepth: leastMaxDepth}), pipelinetest.NewExchange(tt.raw))
			if r.Err != nil {
				t.Fatalf("refused: %v", r.Err)
			}
			if got := string(r.Request.AppendJSON(nil)); got != tt.canonical {
				t.Errorf("decoded as %s, want %s", got, tt.canonical)
			}
		})
	}
}

func TestRefuses(t *testing.T) {
	deep := strings.Repeat(`{"a":`, 64) + "[" + strings.Repeat("}", 64)
	for _, tt := range []struct {
		name, raw string
		says      []string // in the reason
	}{
		{"nothing", "", []string{"byte 0"}},
		{"white space alone", " \n\t ", []string{"byte 4"}},
		{"cut off after the brace", "{", []string{"byte 1"}},
		{"cut off in a name", `{"targ`, []string{"byte 6"}},
		{"cut off after a name", `{"target"`, []string{"byte 9"}},
		{"cut off in a value", `{"target":"config/pr`, []string{"byte 20", "target"}},
		{"cut off before the last brace", `{"target":"a"`, []string{"byte 13"}},
		{"cut off in an escape", `{"target":"\u00`, []string{"byte", "target"}},
		{"not JSON", "hello", []string{"byte 0"}},
		{"another protocol", "GET / HTTP/1.1\r\n\r\n", []string{"byte 0"}},
		{"single quotes", `{'target':'a'}`, []string{"byte 1"}},
		{"a comment", `{/* */"target":"a"}`, []string{"byte 1"}},
		{"a comma at the end", `{"target":"a",}`, []string{"byte 1"}},
		{"no comma", `{"target":"a" "cwd":"/"}`, []string{"byte 14"}},
		{"a byte order mark", "\ufeff" + small, []string{"byte 0", "byte order mark"}},
		{"a NUL after it", small + "\x00", []string{fmt.Sprint("byte ", len(small))}},
		{"a second value", small + small, []string{fmt.Sprint("byte ", len(small))}},
		{"a second value on a line of its own", "{}\n{}", []string{"byte 3"}},
		{"a closing brace too many", "{}}", []string{"byte 2"}},
		{"null", "null", []string{"byte 0", "null"}},
		{"a list", "[]", []string{"byte 0"}},
		{"a list of a request", "[" + small + "]", []string{"byte 0"}},
		{"a string", `"a"`, []string{"byte 0"}},
		{"a number", "1", []string{"byte 0"}},
		{"true", "true", []string{"byte 0"}},
		{"a null member", `{"target":null}`, []string{"byte 10", "target", "null"}},
		{"a null message", `{"runner_auth":null}`, []string{"byte 15", "runner_auth", "null"}},
		{"a null in a list", `{"release_governance":{"failed_providers":["a",null]}}`, []string{"byte 47", "release_governance.failed_providers[1]"}},
		{"a number for a string", `{"target":1}`, []string{"byte 10", "target"}},
		{"an object for a string", `{"target":{}}`, []string{"byte 10", "target"}},
		{"a list for a string", `{"target":["a"]}`, []string{"byte 10", "target"}},
		{"a string for an object", `{"runner_auth":"a"}`, []string{"byte 15", "runner_auth"}},
		{"a string for a list", `{"release_governance":{"failed_providers":"a"}}`, []string{"release_governance.failed_providers"}},
		{"a string for a number", `{"release_governance":{"blocked_count":"1"}}`, []string{"release_governance.blocked_count"}},
		{"a number for a bool", `{"release_governance":{"delivery_success":1}}`, []string{"release_governance.delivery_success"}},
		{"a fraction", `{"release_governance":{"blocked_count":1.5}}`, []string{"release_governance.blocked_count"}},
		{"an exponent", `{"release_governance":{"blocked_count":1e3}}`, []string{"release_governance.blocked_count"}},
		{"over 32 bits", `{"release_governance":{"blocked_count":2147483648}}`, []string{"release_governance.blocked_count"}},
		{"a leading zero", `{"release_governance":{"blocked_count":01}}`, []string{"byte"}},
		{"unknown", `{"target":"a","targets":"b"}`, []string{"byte 14", "targets"}},
		{"unknown, deeper", `{"runner_auth":{"identity":{"reff":"a"}}}`, []string{"byte 28", "runner_auth.identity.reff"}},
		{"unknown and hostile", "{\"\u202e\\u001b[2J\":1}", []string{`\u202e\x1b[2J`}},
		{"unknown and long", `{"` + strings.Repeat("a", 10_000) + `":1}`, []string{"aaa..."}},
		{"repeated", `{"target":"a","target":"b"}`, []string{"byte 14", "target"}},
		{"repeated, escaped", `{"target":"a","t\u0061rget":"b"}`, []string{"byte 14", "target"}},
		{"repeated, deeper", `{"runner_auth":{"key_id":"a","key_id":"b"}}`, []string{"byte 29", "runner_auth.key_id"}},
		{"in another case", `{"Target":"a"}`, []string{"byte 1", "Target", "target"}},
		{"in another case beside it", `{"target":"a","TARGET":"b"}`, []string{"byte 14", "TARGET"}},
		{"invalid UTF-8", "{\"target\":\"a\xff\"}", []string{"byte 12", "target", "UTF-8"}},
		{"invalid UTF-8 in a name", "{\"targ\xff\":\"a\"}", []string{"byte 6", "UTF-8"}},
		{"overlong UTF-8", "{\"target\":\"\xc0\xaf\"}", []string{"byte 11", "target", "UTF-8"}},
		{"a surrogate in UTF-8", "{\"target\":\"\xed\xa0\x80\"}", []string{"byte 11", "target", "UTF-8"}},
		{"half a surrogate pair", `{"target":"\ud800"}`, []string{"byte", "target", "surrogate"}},
		{"the other half", `{"target":"\udc00x"}`, []string{"byte", "target", "surrogate"}},
		{"a control character", "{\"target\":\"a\nb\"}", []string{"byte 12", "target"}},
		{"an escape that is none", `{"target":"\x41"}`, []string{"byte", "target"}},
		{"too deep", deep, []string{fmt.Sprint("byte ", len(deep)-65), "64 levels"}},
		{"too deep and cut off", strings.Repeat("[", 200_000), []string{"byte 64", "64 levels"}},
		{"too deep behind a quote", `{"a\"[":` + strings.Repeat("[", 64), []string{"byte 71", "64 levels"}},
		{"deep in a string, unknown", `{"x":"` + strings.Repeat("[", 100) + `"}`, []string{"byte 1", "unknown"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := pipelinetest.Handle(t, newStage(t, Options{}), pipelinetest.NewExchange(tt.raw))
			if r.Request != nil {
				t.Errorf("the request became %+v", r.Request)
			}
			reason := wantBlock(t, r.Err, "request.invalid")
			for _, say := range tt.says {
				if !strings.Contains(reason, say) {
					t.Errorf("the reason %q does not say %q", reason, say)
				}
			}
			if r.Response.Decision != enforcementv1.DecisionBlock {
				t.Errorf("the answer is %s", r.Response.Decision)
			}
		})
	}
}

// wantBlock checks that err is a block by the rule, of severity high, with a
// reason that fits a terminal, and gives the reason.
func wantBlock(t *testing.T, err error, rule string) string {
	t.Helper()
	var block *pipeline.BlockError
	if !errors.As(err, &block) {
		t.Fatalf("Handle returned %v, want a block", err)
	}
	if block.Rule() != rule || block.Severity() != enforcementv1.SeverityHigh {
		t.Errorf("blocked by %s, %s; want %s, high", block.Rule(), block.Severity(), rule)
	}
	reason := block.Reason()
	if len(reason) > 300 {
		t.Errorf("the reason has %d bytes", len(reason))
	}
	for _, r := range reason {
		if r < ' ' || r > '~' {
			t.Errorf("the reason %q holds %q", reason, r)
		}
	}
	return reason
}

func TestNeverQuotesAValue(t *testing.T) {
	const secret = "hunter2"
	for _, raw := range []string{
		`{"target":"` + secret, `{"target":"` + secret + `\x"}`, `{"target":"` + secret + `"}` + secret, `{"session_id":"` + secret + `","target":1}`,
		`{"runner_auth":{"signature":"` + secret + `","signature":""}}`, `{"target":` + secret + `}`, secret, `"` + secret + `"`,
	} {
		r := pipelinetest.Handle(t, newStage(t, Options{}), pipelinetest.NewExchange(raw))
		if reason := wantBlock(t, r.Err, "request.invalid"); strings.Contains(reason, secret) {
			t.Errorf("%s: the reason %q holds the value", raw, reason)
		}
	}
}

func TestMaxBytes(t *testing.T) {
	for _, tt := range []struct {
		name  string
		o     Options
		bytes int
		ok    bool
	}{
		{"at the default", Options{}, 1 << 20, true},
		{"over the default", Options{}, 1<<20 + 1, false},
		{"at the limit", Options{MaxBytes: document.Bytes(len(small))}, len(small), true},
		{"over the limit", Options{MaxBytes: document.Bytes(len(small))}, len(small) + 1, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			raw := small + strings.Repeat(" ", tt.bytes-len(small))
			r := pipelinetest.Handle(t, newStage(t, tt.o), pipelinetest.NewExchange(raw))
			if tt.ok {
				if r.Err != nil {
					t.Error(r.Err)
				}
				return
			}
			if reason := wantBlock(t, r.Err, "request.too_large"); !strings.Contains(reason, fmt.Sprint(tt.bytes)) {
				t.Errorf("the reason %q does not say how large the request is", reason)
			}
		})
	}
}

func TestRefusesToStart(t *testing.T) {
	for _, tt := range []struct {
		name string
		o    Options
		want []string
	}{
		{"negative bytes", Options{MaxBytes: -1}, []string{"max_bytes"}},
		{"too flat", Options{MaxDepth: 2}, []string{"max_depth"}},
		{"both", Options{MaxBytes: -1, MaxDepth: -1}, []string{"max_bytes", "max_depth"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := New(tt.o)
			var faults *multierror.Error
			if !errors.As(err, &faults) || len(faults.Errors) != len(tt.want) {
				t.Fatalf("New says %v, want %d faults", err, len(tt.want))
			}
			for i, want := range tt.want {
				if !strings.Contains(faults.Errors[i].Error(), want) {
					t.Errorf("fault %q does not name %s", faults.Errors[i], want)
				}
			}
		})
	}
}

// FuzzDecode holds two laws: what is accepted re-encodes to itself, and
// encoding/json reads in it what we read.
func FuzzDecode(f *testing.F) {
	for _, raw := range []string{
		small, `{}`, ` { "target" : "\u003c\ud83d\udca1" } `, `{"t\u0061rget":"a"}`, `{"target":"a","Target":"b"}`, `{"target":null}`,
		`{"runner_auth":{"identity":{"provider":"p","repository":"r"},"algorithm":"HMAC-SHA256","signature":"00"}}`,
		`{"release_governance":{"failed_providers":["a",""],"blocked_count":-1,"delivery_success":true}}`,
	} {
		f.Add([]byte(raw))
	}
	stage, err := New(Options{})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		r := pipelinetest.Handle(t, stage, &pipelinetest.Exchange{Raw: raw})
		if r.Panic != nil {
			t.Fatalf("panic: %v", r.Panic)
		}
		if r.Err != nil {
			wantBlock(t, r.Err, "request.invalid")
			return
		}
		canonical := r.Request.AppendJSON(nil)
		again, err := enforcementv1.DecodeRequest(canonical)
		if err != nil {
			t.Fatalf("%s was accepted, its own encoding %s is not: %v", raw, canonical, err)
		}
		if second := again.AppendJSON(nil); string(second) != string(canonical) {
			t.Fatalf("%s re-encodes to %s", canonical, second)
		}
		var theirs, ours any
		if err := json.Unmarshal(raw, &theirs); err != nil {
			t.Fatalf("%s was accepted, encoding/json says %v", raw, err)
		}
		if err := json.Unmarshal(canonical, &ours); err != nil {
			t.Fatal(err)
		}
		if theirs, ours = prune(theirs), prune(ours); !reflect.DeepEqual(theirs, ours) {
			t.Fatalf("%s: encoding/json reads %v, we read %v", raw, theirs, ours)
		}
	})
}

// prune leaves the empty members out of objects.
func prune(v any) any {
	object, ok := v.(map[string]any)
	if !ok {
		return v
	}
	for name, member := range object {
		switch member := prune(member).(type) {
		case map[string]any:
			if len(member) == 0 {
				delete(object, name)
			}
		case []any:
			if len(member) == 0 {
				delete(object, name)
			}
		case nil:
			// An absent member is not null: keep it, and be found out.
		default:
			if reflect.ValueOf(member).IsZero() {
				delete(object, name)
			}
		}
	}
	return object
}

// BenchmarkDecode is held to less than a microsecond.
func BenchmarkDecode(b *testing.B) {
	pipelinetest.Within(b, newStage(b, Options{}), pipelinetest.NewExchange(small), func(handle func() error) {
		b.ReportAllocs()
		for b.Loop() {
			if err := handle(); err != nil {
				b.Error(err)
			}
		}
	})
}
