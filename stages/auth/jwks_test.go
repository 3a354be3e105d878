package auth

import (
	"bytes"
	"crypto/rsa"
	"fmt"
	"math/big"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
)

func TestParseJWKS(t *testing.T) {
	keys := rsaKeys()
	public := &keys[0].PublicKey
	good := jwkOf("k0", public, nil)
	with := func(name string, value any) any { return jwkOf("k0", public, map[string]any{name: value}) }
	sized := func(bits uint) any {
		n := new(big.Int).Lsh(big.NewInt(1), bits-1)
		return jwkOf("k0", &rsa.PublicKey{N: n.SetBit(n, 0, 1), E: 65537}, nil)
	}
	ec := map[string]any{"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA", "kid": "e0"}
	for _, tt := range []struct {
		name, text    string
		keys, skipped int
		says          string // where it is refused
	}{
		{name: "one key", text: jwksOf(good), keys: 1},
		{name: "what the providers add", text: jwksOf(jwkOf("k0", public, map[string]any{"use": "sig", "alg": "RS256", "x5t": "a", "x5c": []string{"b"}, "key_ops": []string{"verify"}})), keys: 1},
		{name: "two keys", text: jwksOf(good, jwkOf("k1", &keys[1].PublicKey, nil)), keys: 2},
		{name: "unknown kinds", text: jwksOf(ec, good, map[string]any{"kty": "AKP", "alg": "x"}, map[string]any{"kty": "rsa"}), keys: 1, skipped: 3},
		{name: "a key to encrypt", text: jwksOf(jwkOf("k2", public, map[string]any{"use": "enc"}), good), keys: 1, skipped: 1},
		{name: "a key of another algorithm", text: jwksOf(jwkOf("k2", public, map[string]any{"alg": "RS512"}), good), keys: 1, skipped: 1},
		{name: "a key that does not verify", text: jwksOf(jwkOf("k2", public, map[string]any{"key_ops": []string{"encrypt"}}), good), keys: 1, skipped: 1},
		{name: "no kid", text: jwksOf(jwkOf("", public, nil), jwkOf("", public, nil), good), keys: 1, skipped: 2},
		{name: "the largest key", text: jwksOf(sized(8192)), keys: 1},

		{name: "empty", text: "", says: "no JWKS"},
		{name: "HTML", text: "<html>sign in</html>", says: "no JWKS"},
		{name: "a list", text: "[]", says: "no JWKS"},
		{name: "no keys", text: "{}", says: "no list"},
		{name: "keys that are no list", text: `{"keys":{}}`, says: "wrong type"},
		{name: "a key that is no object", text: jwksOf(1), says: "key 1"},
		{name: "an empty list", text: jwksOf(), says: "no RSA key"},
		{name: "nothing of use", text: jwksOf(ec), says: "no RSA key"},
		{name: "two lists of keys", text: `{"keys":[],"keys":[]}`, says: "no JWKS"},
		{name: "a repeated member", text: strings.Replace(jwksOf(good), `"kty":`, `"kty":"EC","kty":`, 1), says: "no JWKS"},
		{name: "more after it", text: jwksOf(good) + "{}", says: "no JWKS"},
		{name: "a repeated kid", text: jwksOf(good, jwkOf("k0", &keys[1].PublicKey, nil)), says: "kid of an earlier"},
		{name: "a repeated kid of another kind", text: jwksOf(good, map[string]any{"kty": "EC", "kid": "k0"}), says: "kid of an earlier"},
		{name: "a shared secret", text: jwksOf(good, map[string]any{"kty": "oct", "k": "AA", "kid": "s"}), says: "shared secret"},
		{name: "a private key", text: jwksOf(with("d", "AQAB")), says: "private key"},
		{name: "no kty", text: jwksOf(map[string]any{"kid": "k0"}), says: "no kty"},
		{name: "a kid that is a number", text: jwksOf(with("kid", 1)), says: "wrong type"},
		{name: "key_ops that are a string", text: jwksOf(with("key_ops", "verify")), says: "wrong type"},
		{name: "too small", text: jwksOf(sized(2047)), says: "2047 bits"},
		{name: "too large", text: jwksOf(sized(8193)), says: "8193 bits"},
		{name: "an even modulus", text: jwksOf(jwkOf("k0", &rsa.PublicKey{N: new(big.Int).Lsh(big.NewInt(1), 2047), E: 3}, nil)), says: "even modulus"},
		{name: "an exponent of 1", text: jwksOf(with("e", "AQ")), says: "exponent"},
		{name: "an even exponent", text: jwksOf(with("e", "BA")), says: "exponent"},
		{name: "a huge exponent", text: jwksOf(with("e", "AQAAAAAB")), says: "exponent"},
		{name: "no exponent", text: jwksOf(with("e", "")), says: "no n or no e"},
		{name: "a modulus that is no base64url", text: jwksOf(with("n", "+/=")), says: "no n or no e"},
		{name: "a modulus over two lines", text: jwksOf(with("n", b64(public.N.Bytes())[:100]+"\n"+b64(public.N.Bytes())[100:])), says: "no n or no e"},
		{name: "too long", text: jwksOf(good) + strings.Repeat(" ", maxJWKS), says: "bytes"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			set, err := parseJWKS([]byte(tt.text))
			switch {
			case tt.says != "":
				if err == nil || !strings.Contains(err.Error(), tt.says) {
					t.Fatalf("it gives %+v, %v; want an error that says %q", set, err, tt.says)
				}
				holdsNone(t, err.Error(), b64(public.N.Bytes()))
			case err != nil:
				t.Fatal(err)
			case len(set.keys) != tt.keys || set.skipped != tt.skipped:
				t.Errorf("it gives %d keys and skips %d", len(set.keys), set.skipped)
			}
		})
	}
}

// A set that is taken holds strong keys only.
func FuzzParseJWKS(f *testing.F) {
	f.Add([]byte(jwksOf(jwkOf("k0", &rsaKeys()[0].PublicKey, map[string]any{"use": "sig", "key_ops": []string{"verify"}}))))
	f.Add([]byte(`{"keys":[{"kty":"oct"},{"kty":"RSA","e":"Aw"},{"kty":"EC","kid":""}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		set, err := parseJWKS(text)
		if err != nil {
			return
		}
		for kid, key := range set.keys {
			if kid == "" || key.N.BitLen() < minRSABits || key.N.BitLen() > maxRSABits || key.E < 3 || key.E%2 == 0 {
				t.Fatalf("the key %q has %d bits and the exponent %d", kid, key.N.BitLen(), key.E)
			}
		}
	})
}

func TestFileKeysFollowTheFile(t *testing.T) {
	keys := rsaKeys()
	one := jwksOf(jwkOf("k0", &keys[0].PublicKey, nil))
	two := jwksOf(jwkOf("k1", &keys[1].PublicKey, nil))
	path := writeJWKS(t, one)
	clock := newTestClock(time.Now())
	var out bytes.Buffer
	f, err := newFileKeys(path, logTo(&out).Log, clock.now)
	if err != nil {
		t.Fatal(err)
	}
	current := func() *keySet {
		t.Helper()
		set, err := f.current(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return set
	}
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	first := current()
	write(two)
	if current() != first {
		t.Error("the file was looked at twice in a second")
	}
	clock.advance(fileLookEvery)
	second := current()
	if second.keys["k1"] == nil || second.keys["k0"] != nil {
		t.Errorf("the new keys are not in use: %+v", second)
	}
	// The same length at the same time: the file has not settled, so it is read.
	clock.advance(fileLookEvery)
	write(strings.Replace(two, `"k1"`, `"k2"`, 1))
	if clock.advance(fileLookEvery); current().keys["k2"] == nil {
		t.Error("a change right after another is not seen")
	}
	write(two)
	clock.advance(fileLookEvery)
	second = current()
	out.Reset()
	for i, broken := range []string{"", "<html>", one[:len(one)-1]} {
		write(broken)
		for range 3 {
			clock.advance(fileLookEvery)
			if current() != second {
				t.Errorf("broken file %d took the keys away", i)
			}
		}
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	clock.advance(fileLookEvery)
	if current() != second {
		t.Error("without the file the keys are gone")
	}
	if n := strings.Count(out.String(), "[ERROR]"); n < 3 || n > 5 { // two of them fail alike
		t.Errorf("the log says %d times what is wrong: %s", n, out.String())
	}
	out.Reset()
	write(two)
	clock.advance(fileLookEvery)
	if current() != second {
		t.Error("the same keys in a new file are a new set")
	}
	if !strings.Contains(out.String(), "can be used again") {
		t.Errorf("the log does not say that the file is good again: %s", out.String())
	}
	holdsNone(t, out.String(), b64(keys[1].N.Bytes()))

	// A set that can be read and holds no key withdraws them all.
	write(jwksOf())
	clock.advance(fileLookEvery)
	if got := current(); len(got.keys) != 0 {
		t.Errorf("withdrawn keys stay in use: %+v", got)
	}
	// Keys whose file is gone serve for a day.
	write(two)
	clock.advance(fileLookEvery)
	current()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	clock.advance(usableFor - time.Minute)
	current()
	clock.advance(time.Minute)
	if _, err := f.current(t.Context()); err != errKeysTooOld {
		t.Errorf("after a day without the file: %v", err)
	}
}

func TestFileKeysRefusesTheFile(t *testing.T) {
	good := jwksOf(jwkOf("k0", &rsaKeys()[0].PublicKey, nil))
	path := writeJWKS(t, good)
	for name, change := range map[string]func() string{
		"no such file":  func() string { return path + ".none" },
		"a directory":   t.TempDir,
		"broken":        func() string { return writeJWKS(t, "{") },
		"open to all":   func() string { p := writeJWKS(t, good); _ = os.Chmod(p, 0o666); return p },
		"far too large": func() string { return writeJWKS(t, good+fmt.Sprintf("%*s", maxJWKS, "")) },
	} {
		t.Run(name, func(t *testing.T) {
			if name == "open to all" && runtime.GOOS == "windows" {
				t.Skip("windows has no such bits in a file's mode")
			}
			if f, err := newFileKeys(change(), logTo(new(bytes.Buffer)).Log, time.Now); err == nil {
				t.Errorf("it is taken: %+v", f.set)
			}
		})
	}
}
