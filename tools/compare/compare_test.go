package main

import (
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Who measures a wrong answer measures nothing: the three give the same answer to
// every command, by any rules.
func TestTheEnginesAgree(t *testing.T) {
	seen := map[string]int{}
	rapid.Check(t, func(t *rapid.T) {
		random := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		r := randomRules(random)
		list, err := engines(r)
		if err != nil {
			t.Fatalf("%q: %v", r, err)
		}
		for range 20 {
			command := randomCommand(random, r)
			want, err := list[1].judge(command)
			if err != nil {
				t.Fatal(err)
			}
			seen[want]++
			if err := agree(list, []question{{command: command, want: want}}); err != nil {
				t.Fatalf("%q: %v", r, err)
			}
		}
	})
	for _, answer := range []string{blocked, allowed, unknown} {
		if seen[answer] == 0 {
			t.Errorf("no command was answered with %s", answer)
		}
	}
}

func TestWhatIsTooSlowOrWrongIsAnError(t *testing.T) {
	if err := run(io.Discard, time.Millisecond, []size{{12, 1e12}}); !errors.Is(err, errTooSlow) {
		t.Errorf("a ratio that nothing reaches: %v", err)
	}
	list := []engine{{"fake", func(string) (string, error) { return allowed, nil }}}
	if err := agree(list, []question{{command: "x", want: allowed}, {command: "y", want: blocked}}); err == nil {
		t.Error("a wrong answer is no error")
	}
}

// A quick look that the table has its lines and that the ratios are what they
// should be, with room for a busy machine.
func TestTheOthersTakeLonger(t *testing.T) {
	var out strings.Builder
	if err := run(&out, 50*time.Millisecond, []size{{12, 1.5}, {200, 6}}); err != nil {
		t.Errorf("%v:\n%s", err, out.String())
	}
	if got := strings.Count(out.String(), "\n"); got != 1+2*5 {
		t.Errorf("%d lines:\n%s", got, out.String())
	}
}
