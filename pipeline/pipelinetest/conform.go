package pipelinetest

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"sync"
	"testing"

	enforcementv1 "github.com/Huzefaaa2/cavra/go/cavra-runtime/enforcement/v1"
	"github.com/Huzefaaa2/cavra/go/cavra-runtime/pipeline"
)

// Conform holds a stage to the rules that package pipeline states for all of
// them. Run it under the race detector: what a stage keeps of an exchange, and
// what it shares between connections without a lock, is found there.
//
// exchanges are requests that the stage passes on, or blocks with a rule of its
// own; without any, some that suit the built-in stages are used.
func Conform(t *testing.T, s pipeline.Stage, exchanges ...*Exchange) {
	t.Helper()
	if len(exchanges) == 0 {
		exchanges = []*Exchange{
			NewExchange(`{"action_type":"read_file","target":"README.md"}`),
			NewExchange(`{"action_type":"execute_command","target":"git status","session_id":"s-1","actor":"dev"}`),
			NewExchange(`{"action_type":"no such action"}`),
		}
	}
	name := s.Spec().Name

	t.Run("its Spec never changes", func(t *testing.T) {
		if first, second := s.Spec(), s.Spec(); first != second {
			t.Errorf("Spec says %+v and then %+v", first, second)
		}
	})

	t.Run("it keeps what its Spec says", func(t *testing.T) {
		for _, x := range exchanges {
			if r := Handle(t, s, fresh(x)); r.Response.RuleID == name+".fault" {
				t.Errorf("%s: the stage broke its Spec or failed: %v", x.Raw, r.Err)
			}
		}
	})

	t.Run("it does not change what it is given", func(t *testing.T) {
		for _, x := range exchanges {
			given := fresh(x)
			Handle(t, s, given)
			if !bytes.Equal(given.Raw, x.Raw) {
				t.Errorf("the raw bytes %s became %s", x.Raw, given.Raw)
			}
			if was, is := toJSON(t, x.Request), toJSON(t, given.Request); was != is {
				t.Errorf("the request %s became %s", was, is)
			}
		}
	})

	t.Run("it survives hostile requests", func(t *testing.T) {
		for _, x := range hostile() {
			if r := Handle(t, s, x); r.Panic != nil {
				t.Errorf("%.80s: the stage panicked: %v", x.Raw, r.Panic)
			}
		}
	})

	t.Run("it ends when its context has ended", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		for _, x := range exchanges {
			HandleContext(ctx, t, s, fresh(x))
		}
	})

	if s.Spec().Phase == pipeline.Record {
		t.Run("it records what could not be read", func(t *testing.T) {
			for _, x := range []*Exchange{
				{Refused: pipeline.Block("request.too_large", "too large")},
				{Raw: []byte("{"), Block: pipeline.Block("request.invalid", "cut off")},
			} {
				if r := Handle(t, s, x); r.Err != nil || r.Response.Decision != enforcementv1.DecisionBlock {
					t.Errorf("the stage returned %v and the answer is %s", r.Err, r.Response.Decision)
				}
			}
		})
	}

	t.Run("it serves many connections and keeps nothing of them", func(t *testing.T) {
		var wg sync.WaitGroup
		for range 16 {
			wg.Go(func() {
				for i := range 32 {
					x := fresh(exchanges[i%len(exchanges)])
					Handle(t, s, x)
					for i := range x.Raw { // a stage that still reads it races with this
						x.Raw[i] = 0xff
					}
				}
			})
		}
		wg.Wait()
	})
}

// hostile are exchanges that no stage may panic on. Their Request is set as if
// a decoder had let them through.
func hostile() []*Exchange {
	long := strings.Repeat("a", 1<<20)
	var xs []*Exchange
	for _, req := range []*enforcementv1.EvaluateRequest{
		{},
		{ActionType: "read_file"},
		{ActionType: "read_file", Target: long, Cwd: long},
		{ActionType: "execute_command", Target: strings.Repeat("(", 1<<16)},
		{ActionType: "execute_command", Target: "\x00\n\xff\u202e$(`"},
		{ActionType: "write_file", Target: strings.Repeat("../", 1<<12), Cwd: "relative"},
		{ActionType: "git_operation", Operation: "push", Target: "::+:+"},
		{ActionType: "mcp_tool_call", Target: ":"},
		{ActionType: "release_governance_record", ReleaseGovernance: &enforcementv1.ReleaseGovernanceEvidence{}},
		{RunnerAuth: &enforcementv1.RunnerAuthentication{}},
		{RunnerAuth: &enforcementv1.RunnerAuthentication{Algorithm: "none", Signature: strings.Repeat("ey.", 1<<16)}},
	} {
		x := NewExchange("")
		x.Request = req
		x.Raw, _ = json.Marshal(req)
		xs = append(xs, x)
	}
	for _, raw := range []string{"", " ", "{", "null", "[]", `{"target":"\ud800"}`, "\xff", strings.Repeat("[", 1<<16), `{"a":1}{"b":2}`} {
		x := NewExchange(raw)
		x.Request = &enforcementv1.EvaluateRequest{}
		xs = append(xs, x)
	}
	return xs
}

// fresh is a copy of x that shares nothing that a stage could change.
func fresh(x *Exchange) *Exchange {
	c := *x
	c.Raw = bytes.Clone(x.Raw)
	c.Request = x.Request.MapStrings(func(s string) string { return s })
	return &c
}

func toJSON(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
