package conn

import (
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/Huzefaaa2/cavra/go/cavra-runtime/pipeline"
)

// object is a JSON object of exactly n bytes.
func object(n int) string { return `{"a":"` + strings.Repeat("x", n-8) + `"}` }

func TestReadFrom(t *testing.T) {
	const limit = 100_000
	errBroken := errors.New("broken")
	for _, tc := range []struct {
		name string
		in   io.Reader
		raw  string // what the chain gets
		rule string // or the refusal
		err  error
	}{
		{name: "nothing", in: strings.NewReader("")},
		{name: "small", in: strings.NewReader(`{"a":1}`), raw: `{"a":1}`},
		{name: "newline is dropped", in: strings.NewReader("{}\n"), raw: "{}"},
		{name: "more stays", in: strings.NewReader("{} x"), raw: "{} x"},
		{name: "cut off", in: strings.NewReader(`{"a":`), raw: `{"a":`},
		{name: "byte by byte", in: iotest.OneByteReader(strings.NewReader(`{"a":"é"}`)), raw: `{"a":"é"}`},
		{name: "fills the first buffer", in: strings.NewReader(object(smallBuffer - spare)), raw: object(smallBuffer - spare)},
		{name: "outgrows the first buffer", in: strings.NewReader(object(smallBuffer)), raw: object(smallBuffer)},
		{name: "outgrows the second buffer", in: strings.NewReader(object(2 * mediumBuffer)), raw: object(2 * mediumBuffer)},
		{name: "at the limit", in: strings.NewReader(object(limit) + "\n"), raw: object(limit)},
		{name: "at the limit, byte by byte", in: iotest.OneByteReader(strings.NewReader(object(limit))), raw: object(limit)},
		{name: "over the limit", in: strings.NewReader(object(limit + 1)), rule: "request.too_large"},
		{name: "endless white space", in: endless(' '), rule: "request.too_large"},
		{name: "endless zeros end at once", in: iotest.OneByteReader(endless(0)), raw: "\x00"},
		{name: "too late", in: io.MultiReader(strings.NewReader("{"), iotest.ErrReader(os.ErrDeadlineExceeded)), rule: "request.timeout"},
		{name: "broken at once", in: iotest.ErrReader(errBroken), err: errBroken},
		{name: "broken later", in: io.MultiReader(strings.NewReader("{"), iotest.ErrReader(errBroken)), raw: "{"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			x, err := ReadFrom(tc.in, Limits{RequestBytes: limit})
			if !errors.Is(err, tc.err) {
				t.Fatalf("error %v, want %v", err, tc.err)
			}
			if err != nil {
				return
			}
			if string(x.Raw()) != tc.raw {
				t.Errorf("the chain gets %.40q (%d bytes), want %.40q (%d)", x.Raw(), len(x.Raw()), tc.raw, len(tc.raw))
			}
			resp := chainOf(t).Run(t.Context(), x)
			if tc.rule != "" && resp.RuleID != tc.rule {
				t.Errorf("rule %s, want %s", resp.RuleID, tc.rule)
			}
		})
	}
}

func TestReadFromHoldsAPipeToTheDeadline(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	x, err := ReadFrom(r, Limits{ReadTimeout: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	resp := chainOf(t).Run(t.Context(), x)
	if resp.RuleID != "request.timeout" || resp.Severity != "medium" || !strings.Contains(resp.Reason, "1ms") || !strings.Contains(resp.Reason, "0 bytes") {
		t.Errorf("got %s, %s: %s", resp.RuleID, resp.Severity, resp.Reason)
	}
}

type endless byte

func (e endless) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = byte(e)
	}
	return len(b), nil
}

func chainOf(t testing.TB) *pipeline.Chain {
	t.Helper()
	chain, err := pipeline.New([]pipeline.Stage{fakeDecode{}, &fakeEvaluate{}, &fakeRedact{}}, pipeline.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return chain
}
