package evidence

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/Huzefaaa2/cavra/go/cavra-runtime/pipeline"
	"github.com/Huzefaaa2/cavra/go/cavra-runtime/pipeline/pipelinetest"
)

// newKey makes a key of the test's own.
func newKey(id string) Key {
	key := make([]byte, 32)
	rand.Read(key)
	return Key{id, key}
}

// A log whose key was replaced twice verifies with all three, and with nothing
// less.
func TestKeyRing(t *testing.T) {
	a, b, c := newKey("a"), newKey("b"), newKey("c")
	path := newPath(t)
	for _, o := range []LogOptions{
		{Key: a.Key, KeyID: a.ID},
		{Key: b.Key, KeyID: b.ID, OldKeys: []Key{a}},
		{Key: c.Key, KeyID: c.ID, OldKeys: []Key{b, a}},
	} {
		l := open(t, path, o)
		add(t, l, "x")
		mustClose(t, l)
	}
	for name, row := range map[string]struct {
		o    VerifyOptions
		want []string
	}{
		"all":               {VerifyOptions{Key: c.Key, KeyID: "c", OldKeys: []Key{b, a}}, nil},
		"in another order":  {VerifyOptions{OldKeys: []Key{a, c, b}}, nil},
		"the oldest is not": {VerifyOptions{Key: c.Key, KeyID: "c", OldKeys: []Key{b}}, []string{"1 signature.key_id"}},
		"one alone":         {VerifyOptions{Key: c.Key, KeyID: "c"}, []string{"1 signature.key_id", "2 signature.key_id"}},
		"one old key alone": {VerifyOptions{OldKeys: []Key{a}}, []string{"2 signature.key_id", "3 signature.key_id"}},
		"ids swapped":       {VerifyOptions{OldKeys: []Key{{"b", a.Key}, {"a", b.Key}, c}}, []string{"1 signature.invalid", "2 signature.invalid"}},
		"an id is required": {VerifyOptions{KeyID: "c", OldKeys: []Key{a, b, c}}, []string{"1 signature.key_id", "2 signature.key_id"}},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := VerifyFile(path, row.o)
			must(t, err)
			if got := kindsOf(r); !slices.Equal(got, row.want) || r.Valid != (row.want == nil) {
				t.Errorf("found %q, want %q", got, row.want)
			}
		})
	}
	// A record that names one key of the ring and is signed by another.
	all := VerifyOptions{OldKeys: []Key{a, b, c}}
	swapped := bytes.Replace(read(t, path), []byte(`"key_id":"a"`), []byte(`"key_id":"b"`), 1)
	if got := kindsOf(Verify(bytes.NewReader(swapped), all)); !slices.Equal(got, []string{"1 signature.invalid"}) {
		t.Errorf("%q", got)
	}
	unnamed := bytes.Replace(read(t, path), []byte(`"key_id":"a",`), nil, 1)
	if got := kindsOf(Verify(bytes.NewReader(unnamed), all)); !slices.Equal(got, []string{"1 signature.key_id"}) {
		t.Errorf("%q", got)
	}
	unsignedLine := bytes.Join([][]byte{unsign(linesOf(t, path)[0]), linesOf(t, path)[1]}, nil)
	if got := kindsOf(Verify(bytes.NewReader(unsignedLine), all)); !slices.Equal(got, []string{"1 signature.missing"}) {
		t.Errorf("%q", got)
	}
	wantRefused(t, path, LogOptions{Key: c.Key, KeyID: c.ID, OldKeys: []Key{b}}, "another key id", "signing_keys")
	wantRefused(t, path, LogOptions{Key: c.Key, KeyID: c.ID}, "another key id", "signing_keys")
}

// The options name the ring, for the daemon and for a verifier alike.
func TestKeyRingOptions(t *testing.T) {
	dir := t.TempDir()
	file := func(name string) string {
		path := filepath.Join(dir, name)
		write(t, path, []byte(fmt.Sprintf("%x\n", newKey(name).Key)))
		return path
	}
	a, b, c := SigningKey{"a", file("a")}, SigningKey{"b", file("b")}, SigningKey{"c", file("c")}
	path := newPath(t)
	run := func(o Options) VerifyOptions {
		t.Helper()
		o.Log, o.RequireSignature = path, true
		s, _ := newStage(t, o)
		pipelinetest.Handle(t, s, pipelinetest.NewExchange(`{}`))
		must(t, s.Close())
		v, err := o.VerifyOptions()
		must(t, err)
		wantValid(t, path, v)
		return v
	}
	run(Options{SigningKeyFile: a.File, SigningKeyID: "a"})
	run(Options{SigningKeyFile: b.File, SigningKeyID: "b", SigningKeys: []SigningKey{a}})
	all := run(Options{SigningKeys: []SigningKey{c, b, a}}) // the first signs
	lines := linesOf(t, path)
	for i, id := range []string{"a", "b", "c"} {
		if !bytes.Contains(lines[i], []byte(`"key_id":"`+id+`"`)) {
			t.Errorf("record %d is not signed by %s: %s", i+1, id, lines[i])
		}
	}
	if len(all.OldKeys) != 3 || all.KeyID != "" {
		t.Errorf("%d keys", len(all.OldKeys))
	}
	v, err := (Options{SigningKeyID: "c", SigningKeys: []SigningKey{a, b, c}}).VerifyOptions()
	must(t, err)
	if r, err := VerifyFile(path, v); err != nil || len(r.Errors) != 2 {
		t.Errorf("with an id that is required: %+v, %v", r, err)
	}

	for name, row := range map[string]struct {
		o     Options
		words []string
	}{
		"no key where one is required": {Options{RequireSignature: true}, []string{"signatures are required and there is no signing key"}},
		"no id":                        {Options{SigningKeyFile: a.File, SigningKeys: []SigningKey{b}}, []string{"signing_key has no id"}},
		"no id of an entry":            {Options{SigningKeys: []SigningKey{{File: b.File}}}, []string{"signing_keys[0].id is missing"}},
		"no file":                      {Options{SigningKeys: []SigningKey{{ID: "b"}}}, []string{"signing_keys[0].file is missing"}},
		"an id twice":                  {Options{SigningKeys: []SigningKey{a, {"a", b.File}}}, []string{"signing_keys[0] and signing_keys[1] have the same id"}},
		"a key twice":                  {Options{SigningKeyFile: a.File, SigningKeyID: "n", SigningKeys: []SigningKey{a}}, []string{"signing_key and signing_keys[0] are the same key"}},
		"a small size":                 {Options{RotateSize: 1000}, []string{"rotate_size is 1000B, and 64KiB is the least"}},
		"all of it":                    {Options{RotateSize: 1, SigningKeys: []SigningKey{{}}}, []string{"rotate_size", "signing_keys[0].id", "signing_keys[0].file"}},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := New(row.o, pipeline.Env{})
			if err == nil {
				s.Close()
				t.Fatal("accepted")
			}
			for _, word := range row.words {
				if !strings.Contains(err.Error(), word) {
					t.Errorf("the error %q does not say %q", err, word)
				}
			}
		})
	}
	if _, err := (Options{RequireSignature: true}).VerifyOptions(); err == nil {
		t.Error("a verifier that requires signatures goes without a key")
	}
}
