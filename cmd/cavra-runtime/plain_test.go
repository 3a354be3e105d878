package main

import (
	"io"
	"reflect"
	"testing"

	"pgregory.net/rapid"
)

// Whatever the short way accepts the parser reads as the same.
func TestPlainAgreesWithTheParser(t *testing.T) {
	var names []string
	for _, f := range newParser(&cli{}).Model.Flags {
		names = append(names, f.Name)
	}
	values := []string{"x", "allow", "7s", "-", "--daemon", "", "a=b", "a b", "v1", "none", "true"}
	took := 0
	for _, variable := range []string{"", "CAVRA_RUNNER_AUTH_HMAC_KEY", "CAVRA_RUNNER_OIDC_AUTO"} {
		t.Run(variable, func(t *testing.T) {
			if variable != "" {
				t.Setenv(variable, "true")
			}
			rapid.Check(t, func(t *rapid.T) {
				args := []string{"--daemon"}
				for range rapid.IntRange(0, 3).Draw(t, "flags") {
					name, value := "--"+rapid.SampledFrom(names).Draw(t, "name"), rapid.SampledFrom(values).Draw(t, "value")
					switch rapid.IntRange(0, 2).Draw(t, "form") {
					case 0:
						args = append(args, name)
					case 1:
						args = append(args, name, value)
					case 2:
						args = append(args, name+"="+value)
					}
				}
				args = rapid.Permutation(args).Draw(t, "args")
				plain := parsePlain(args)
				if plain == nil {
					return
				}
				took++
				full, code, done := parseFully(args, io.Discard, io.Discard)
				if done {
					t.Fatalf("%q: the parser ends with %d", args, code)
				}
				full.flags = nil
				if !reflect.DeepEqual(plain, full) {
					t.Fatalf("%q:\n%+v, and the parser reads\n%+v", args, plain, full)
				}
			})
		})
	}
	if took < 10 {
		t.Errorf("%d command lines went the short way: the test looks at nothing", took)
	}
}

func TestWhatIsPlain(t *testing.T) {
	for _, test := range []struct {
		name string
		args []string
		want bool
	}{
		{"the question of a hook", []string{"--daemon", "--socket", "s", "--input", "f"}, true},
		{"with = and a check", []string{"--daemon", "--expect-decision=allow", "--timeout=2s"}, true},
		{"signed", []string{"--daemon", "--runner-auth-claims", "c.json", "--runner-auth-key=k"}, true},
		{"another mode", []string{"--serve"}, false},
		{"two modes", []string{"--daemon", "--serve"}, false},
		{"an unknown flag", []string{"--daemon", "--sockets", "s"}, false},
		{"an argument", []string{"--daemon", "x"}, false},
		{"help", []string{"--daemon", "--help"}, false},
		{"an empty value", []string{"--daemon", "--input", ""}, false},
		{"a value that looks like a flag", []string{"--daemon", "--input", "-"}, false},
		{"a flag twice", []string{"--daemon", "--input", "a", "--input", "b"}, false},
		{"a fault", []string{"--daemon", "--timeout", "soon"}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := parsePlain(test.args) != nil; got != test.want {
				t.Errorf("plain is %v, want %v", got, test.want)
			}
		})
	}
}
