package main

import (
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// Whatever flag the daemon has use for arrives there, and what has a variable goes
// by it. A flag that is added later is met by this test without a change.
func TestWhatIsHandedOverArrives(t *testing.T) {
	c, _, done := parse([]string{"--lifecycle", "start"}, io.Discard, io.Discard)
	if done {
		t.Fatal("--lifecycle start was not parsed")
	}
	given := []string{"--lifecycle", "start"}
	secret := 0
	for _, f := range c.flags {
		if !handedOver(f) {
			continue
		}
		switch f.Target.Kind() {
		case reflect.Bool:
			given = append(given, "--"+f.Name)
		case reflect.Slice:
			given = append(given, "--"+f.Name+"=-one of "+f.Name, "--"+f.Name+"=another=of it")
		default:
			given = append(given, "--"+f.Name+"=-value of "+f.Name)
		}
		if strings.HasSuffix(f.Name, "-key") && !strings.HasSuffix(f.Name, "-public-key") {
			secret++
			if len(f.Envs) == 0 {
				t.Errorf("--%s has no variable by which it could be handed over", f.Name)
			}
		}
	}
	if secret < 2 {
		t.Errorf("%d flags hold a key; the test looks in the wrong place", secret)
	}
	var stderr strings.Builder
	c, _, done = parse(given, io.Discard, &stderr)
	if done {
		t.Fatal(stderr.String())
	}
	args, env := c.handOver()
	for _, f := range c.flags {
		for _, arg := range args {
			if name, _, _ := strings.Cut(arg, "="); len(f.Envs) > 0 && name == "--"+f.Name && f.Target.Kind() == reflect.String {
				t.Errorf("--%s stands on the command line, though it has a variable", f.Name)
			}
		}
	}
	if !slices.Contains(args, "--serve") || slices.Contains(args, "--lifecycle") {
		t.Errorf("handed over: %q", args)
	}
	for _, e := range env {
		name, value, _ := strings.Cut(e, "=")
		t.Setenv(name, value)
	}
	got, _, done := parse(args, io.Discard, &stderr)
	if done {
		t.Fatalf("%q: %s", args, &stderr)
	}
	want := *c
	want.Serve, want.Lifecycle = true, ""
	want.flags, got.flags = nil, nil
	if !reflect.DeepEqual(*got, want) {
		t.Errorf("arrived:\n%+v\nwant:\n%+v", *got, want)
	}
}

// A runner's proof of who it is is not the daemon's business.
func TestAClientsProofIsNotHandedOver(t *testing.T) {
	c, _, done := parse([]string{"--lifecycle", "start", "--runner-auth-oidc-token", "to.k.en", "--runner-auth-claims", "auto"}, io.Discard, io.Discard)
	if done {
		t.Fatal("not parsed")
	}
	if args, env := c.handOver(); len(args) != 1 || len(env) != 0 {
		t.Errorf("handed over: %q, %q", args, env)
	}
}
