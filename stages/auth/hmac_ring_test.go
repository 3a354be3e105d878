package auth

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-multierror"

	enforcementv1 "github.com/Huzefaaa2/cavra/go/cavra-runtime/enforcement/v1"

	"github.com/Huzefaaa2/cavra/go/cavra-runtime/pipeline"
)

func TestRingTakesEachOfItsKeys(t *testing.T) {
	flag, old, next := newKey(), newKey(), newKey()
	ring := []HMACKey{{ID: "old", File: writeKey(t, old, 0o600)}, {ID: "next", File: writeKey(t, next, 0o600)}}
	all := Options{HMACKey: flag, HMACKeyID: "flag", HMACKeys: ring}
	one := Options{HMACKeys: ring[:1]}
	for _, tt := range []struct {
		name       string
		o          Options
		key, keyID string
		says       string // empty where it is taken
	}{
		{"the first", all, old, "old", ""},
		{"the second", all, next, "next", ""},
		{"that of the flags", all, flag, "flag", ""},
		{"another's name", all, old, "next", "does not fit"},
		{"a name in capitals", all, old, "OLD", "names no key"},
		{"a name that is none", all, old, "older", "names no key"},
		{"no name", all, old, "", "key_id is missing"},
		{"withdrawn", one, next, "next", "names no key"},
		{"withdrawn, under the name that is left", one, next, "old", "does not fit"},
		{"the only one", one, old, "old", ""},
		{"the only one, not named", one, old, "", "key_id is missing"},
		{"only that of the flags, without an id", Options{HMACKey: flag}, flag, "any", ""},
		{"only that of the flags, without an id, not named", Options{HMACKey: flag}, flag, "", ""},
		{"only that of the flags, with an id", Options{HMACKey: flag, HMACKeyID: "flag"}, flag, "flag", ""},
		{"only that of the flags, not named", Options{HMACKey: flag, HMACKeyID: "flag"}, flag, "", "key_id is missing"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			clock := newTestClock(testStart)
			v := newVerifier(t, tt.o, clock.now)
			v1, err := SignHMAC([]byte(tt.key), tt.keyID, runner())
			if err != nil {
				t.Fatal(err)
			}
			fresh := action()
			v2, err := SignHMACv2([]byte(tt.key), tt.keyID, runner(), fresh, clock.now())
			if err != nil {
				t.Fatal(err)
			}
			fresh.RunnerAuth = v2
			proof := "hmac/" + tt.keyID
			if tt.o.HMACKeyID == "" && tt.o.HMACKeys == nil {
				proof = "hmac/"
			}
			for _, req := range []*enforcementv1.EvaluateRequest{request(v1), fresh} {
				if tt.says != "" {
					refuse(t, v, req, tt.says, flag, old, next)
				} else if id, err := v.verify(t.Context(), req); err != nil || id.Proof != proof {
					t.Errorf("verify gives %+v, %v; want the proof %s", id, err, proof)
				}
			}
		})
	}
}

func TestHMACOptionsRefuseToStart(t *testing.T) {
	key, other := newKey(), newKey()
	file, otherFile := writeKey(t, key, 0o600), writeKey(t, other, 0o600)
	for _, tt := range []struct {
		name string
		o    Options
		says []string // one for each fault
	}{
		{"no key, v2 required", Options{HMACRequire: "v2"}, []string{"there is no key"}},
		{"no key, an age", Options{HMACMaxAge: time.Minute}, []string{"there is no key"}},
		{"an entry without a file", Options{HMACKeys: []HMACKey{{ID: "a"}}}, []string{"hmac_keys[0].file is missing"}},
		{"an entry without an id", Options{HMACKeys: []HMACKey{{File: file}}}, []string{"hmac_keys[0].id is missing"}},
		{"an empty entry", Options{HMACKeys: []HMACKey{{ID: "a", File: file}, {}}}, []string{"hmac_keys[1].file is missing", "hmac_keys[1].id is missing"}},
		{"no such file", Options{HMACKeys: []HMACKey{{ID: "a", File: file + ".none"}}}, []string{"hmac_keys[0].file: "}},
		{"others can read it", Options{HMACKeys: []HMACKey{{ID: "a", File: writeKey(t, key, 0o644)}}}, []string{"hmac_keys[0].file: "}},
		{"an id with a line break", Options{HMACKeys: []HMACKey{{ID: "a\nb", File: file}}}, []string{"hmac_keys[0].id holds"}},
		{"an id twice", Options{HMACKeys: []HMACKey{{ID: "a", File: file}, {ID: "a", File: otherFile}}}, []string{"hmac_keys[0] and hmac_keys[1] have the same id"}},
		{"the id of the flags", Options{HMACKey: key, HMACKeyID: "a", HMACKeys: []HMACKey{{ID: "a", File: otherFile}}}, []string{"hmac_key and hmac_keys[0] have the same id"}},
		{"a key twice", Options{HMACKeys: []HMACKey{{ID: "a", File: file}, {ID: "b", File: writeKey(t, key+"\n", 0o600)}}}, []string{"hmac_keys[0] and hmac_keys[1] are the same key"}},
		{"the key of the flags", Options{HMACKey: key, HMACKeyID: "a", HMACKeys: []HMACKey{{ID: "b", File: file}}}, []string{"hmac_key and hmac_keys[0] are the same key"}},
		{"a key of the flags without an id", Options{HMACKey: key, HMACKeys: []HMACKey{{ID: "b", File: otherFile}}}, []string{"hmac_key has no id"}},
		{"v1 required", Options{HMACKey: key, HMACRequire: "v1"}, []string{"hmac_require is not"}},
		{"an age below zero", Options{HMACKey: key, HMACMaxAge: -time.Second}, []string{"hmac_max_age is"}},
		{"no age to speak of", Options{HMACKey: key, HMACMaxAge: 300}, []string{"hmac_max_age is"}},
		{"an age too long", Options{HMACKey: key, HMACMaxAge: 25 * time.Hour}, []string{"hmac_max_age is"}},
		{
			"everything at once",
			Options{HMACKey: key, HMACKeyFile: file, HMACKeys: []HMACKey{{ID: "a", File: otherFile}, {ID: "a"}}, HMACRequire: "V2\n", HMACMaxAge: 1},
			[]string{"hmac_key and hmac_key_file", "hmac_keys[1].file is missing", "hmac_keys[0] and hmac_keys[1] have the same id", "hmac_require is not", "hmac_max_age is"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v, err := newHMACVerifier(tt.o, pipeline.Env{Log: hclog.NewNullLogger()}, time.Now)
			var faults *multierror.Error
			if !errors.As(err, &faults) || v != nil {
				t.Fatalf("newHMACVerifier gives %v, %v; want faults", v, err)
			}
			if len(faults.Errors) != len(tt.says) {
				t.Fatalf("it finds %v, want %d faults", faults.Errors, len(tt.says))
			}
			for i, say := range tt.says {
				if !strings.Contains(faults.Errors[i].Error(), say) {
					t.Errorf("the fault %q does not say %q", faults.Errors[i], say)
				}
			}
			for _, secret := range []string{key, other} {
				if strings.Contains(err.Error(), secret) {
					t.Error("the faults tell a key")
				}
			}
		})
	}
}

// What a whole life of a verifier says, to the log and to those it refuses,
// holds no key and no signature.
func TestNoSecretIsTold(t *testing.T) {
	keys := []string{newKey()[:20], newKey()[:20]} // short, so that there is something to warn about
	var said bytes.Buffer
	log := hclog.New(&hclog.LoggerOptions{Output: &said, Level: hclog.Trace})
	clock := newTestClock(testStart)
	o := Options{HMACKey: keys[0], HMACKeyID: "a", HMACKeys: []HMACKey{{ID: "b", File: writeKey(t, keys[1], 0o640)}}}
	v, err := newHMACVerifier(o, pipeline.Env{Log: log}, clock.now)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(said.String(), "hmac_key has 20 bytes") || !strings.Contains(said.String(), "hmac_keys[0] has 20 bytes") {
		t.Errorf("the log does not warn of both keys: %s", said.String())
	}
	signatures := map[string]bool{}
	for i, id := range []string{"a", "b", "c", ""} {
		for range 2 {
			req := action()
			auth, err := SignHMACv2([]byte(keys[i%2]), id, runner(), req, clock.now())
			if err != nil {
				t.Fatal(err)
			}
			req.RunnerAuth = auth
			for range 2 { // the second time is a replay
				signatures[auth.Signature] = true
				_, err := v.verify(t.Context(), req)
				fmt.Fprintln(&said, err)
			}
			auth.Signature = strings.ToUpper(auth.Signature) + "0"
			_, err = v.verify(t.Context(), req)
			fmt.Fprintln(&said, err)
		}
	}
	text := strings.ToLower(said.String())
	for _, key := range keys {
		if strings.Contains(text, strings.ToLower(key)) || strings.Contains(text, fmt.Sprintf("%x", key)) {
			t.Error("a key is told")
		}
	}
	for signature := range signatures {
		if strings.Contains(text, signature) {
			t.Errorf("the signature %s is told", signature)
		}
	}
}

// A long request must not hold its memory for ever.
func TestLongBuffersAreNotKept(t *testing.T) {
	k := newHMACKey("a", []byte(newKey()))
	s := &hmacState{text: make([]byte, 0, maxKept+1)}
	k.giveBack(s)
	if s.text != nil {
		t.Errorf("a buffer of %d bytes is kept", cap(s.text))
	}
}
