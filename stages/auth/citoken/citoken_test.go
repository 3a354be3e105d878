package citoken

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"
	"pgregory.net/rapid"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// newToken makes what has the form of a token, with a secret in it.
func newToken(t testing.TB) string {
	t.Helper()
	part := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	return part(`{"alg":"RS256","kid":"k-1"}`) + "." + part(`{"jti":"`+rand.Text()+`"}`) + "." + part(rand.Text())
}

func environment(v map[string]string) Getenv { return func(name string) string { return v[name] } }

// check compares what a source gives, and looks for secrets in its error.
func check(t *testing.T, s Source, want string, says []string, secrets ...string) {
	t.Helper()
	got, err := s.Token(context.Background())
	if err == nil {
		if got != want || says != nil {
			t.Errorf("Token gives %q, want %q or an error that says %q", got, want, says)
		}
		return
	}
	if got != "" {
		t.Error("Token gives a token and an error")
	}
	if says == nil {
		t.Fatalf("Token fails: %v", err)
	}
	for _, say := range says {
		if !strings.Contains(err.Error(), say) {
			t.Errorf("the error %q does not say %q", err, say)
		}
	}
	for _, secret := range secrets {
		if secret != "" && strings.Contains(err.Error(), secret) {
			t.Errorf("the error %q tells a secret", err)
		}
	}
}

func TestFormOfATokenAtHand(t *testing.T) {
	token := newToken(t)
	parts := strings.Split(token, ".")
	for _, tt := range []struct {
		name, given string
		says        []string
	}{
		{"as it is", token, nil},
		{"a line break after it", token + "\r\n", nil},
		{"nothing", "", []string{"--flag", "empty"}},
		{"white space", " \n", []string{"empty"}},
		{"two parts", parts[0] + "." + parts[1], []string{"no token"}},
		{"four parts", token + ".AAAA", []string{"no token"}},
		{"an empty part", parts[0] + ".." + parts[2], []string{"no token"}},
		{"another alphabet", parts[0] + "." + parts[1] + ".a+b/", []string{"no token"}},
		{"a space inside", parts[0] + ". " + parts[1] + "." + parts[2], []string{"no token"}},
		{"a line break inside", parts[0] + "." + parts[1][:1] + "\r\n" + parts[1][1:] + "." + parts[2], []string{"no token"}},
		{"stray bits", "AB.AA.AA", []string{"no token"}},
		{"a page", "<html>" + token + "</html>", []string{"no token"}},
		{"too long", token + strings.Repeat("A", maxToken), []string{"16384 bytes"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			check(t, Value(tt.given, "--flag"), token, tt.says, parts...)
		})
	}
}

func TestFile(t *testing.T) {
	token := newToken(t)
	dir := t.TempDir()
	path := filepath.Join(dir, "token")
	check(t, File(path), "", []string{"cannot be read", "--runner-auth-oidc-token-file"})
	check(t, File(dir), "", []string{"no regular file"})

	source := File(path)
	for _, content := range []string{token + "\n", newToken(t)} { // replaced between two calls
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		check(t, source, strings.TrimSpace(content), nil)
	}
	if err := os.WriteFile(path, []byte(strings.Repeat(token, 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	check(t, source, "", []string{"16384 bytes"}, token)
}

func TestVariable(t *testing.T) {
	token := newToken(t)
	env := environment(map[string]string{"TOKEN": token, "BAD": token + "!"})
	check(t, Variable(env, "TOKEN"), token, nil)
	check(t, Variable(env, "NONE"), "", []string{`"NONE" is not set`})
	check(t, Variable(env, "BAD"), "", []string{`"BAD" gives what is no token`}, token)
	check(t, Variable(env, "A\x1b\n"+strings.Repeat("x", 200)), "", []string{"no name of a variable"}, "\x1b", strings.Repeat("x", 20))
	check(t, Variable(env, token), "", []string{"no name of a variable"}, token[:20])
}

func TestPrintingASourceTellsNoToken(t *testing.T) {
	token := newToken(t)
	github := environment(map[string]string{"GITHUB_ACTIONS": "true", "ACTIONS_ID_TOKEN_REQUEST_TOKEN": token})
	for _, s := range []Source{Value(token, "--flag"), Variable(github, "ACTIONS_ID_TOKEN_REQUEST_TOKEN"), Detect(github).Source(github, "a")} {
		for _, verb := range []string{"%v", "%+v", "%#v"} {
			if got := fmt.Sprintf(verb, s); strings.Contains(got, token) {
				t.Errorf("%s prints %s", verb, got)
			}
		}
	}
}

func TestKeyID(t *testing.T) {
	head := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	for name, tt := range map[string]struct{ token, want string }{
		"there":         {newToken(t), "k-1"},
		"none":          {head(`{"alg":"RS256"}`) + ".a.b", ""},
		"a number":      {head(`{"kid":1}`) + ".a.b", ""},
		"no JSON":       {head(`kid`) + ".a.b", ""},
		"no base64":     {"!.a.b", ""},
		"nothing":       {"", ""},
		"other members": {head(`{"kid":"x","typ":"JWT","new":[1]}`), "x"},
	} {
		if got := KeyID(tt.token); got != tt.want {
			t.Errorf("%s: KeyID gives %q, want %q", name, got, tt.want)
		}
	}
}

// FuzzWellFormed: what is taken is three parts of base64url, and taking it again
// changes nothing; an error repeats none of it.
func FuzzWellFormed(f *testing.F) {
	f.Add(newToken(f))
	f.Add("AA.BA.CA")
	f.Add("0\r0.00.00")
	f.Add(" AA.BB.CC\n")
	f.Fuzz(func(t *testing.T, s string) {
		got, err := wellFormed(s, "the test")
		if err != nil {
			if len(s) > 40 && strings.Contains(err.Error(), s) {
				t.Errorf("the error %q repeats what was given", err)
			}
			return
		}
		if strings.Count(got, ".") != 2 || strings.Trim(got, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.") != "" {
			t.Errorf("%q is taken", got)
		}
		if again, err := wellFormed(got, ""); again != got || err != nil {
			t.Errorf("%q is taken once, then %q, %v", got, again, err)
		}
	})
}

// No name of a variable, whatever it holds, puts a control character into a
// message.
func TestQuotedTextIsPrintable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		got := quote(rapid.String().Draw(t, "text"))
		if len(got) > 1000 || strings.ContainsFunc(got, func(r rune) bool { return r < ' ' || r > '~' }) {
			t.Errorf("quote gives %q", got)
		}
	})
}
