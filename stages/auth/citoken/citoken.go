// Package citoken gets what a CI job has to prove who it is: an OIDC token of
// its provider, and the identity that its environment names.
//
// The package promises:
//
//   - A token is asked for over https or from this machine alone, and no
//     redirect carries the credential to another host.
//   - Asking ends: after three tries, and after five seconds.
//   - No error holds any of a token, of a credential or of what a server
//     answered. Each says which provider was asked and what to set.
//   - What is returned has the form of a token. Whether it is genuine is for the
//     daemon to find out.
package citoken

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/go-json-experiment/json"
)

// A Source gives the token of a job, a compact JWT.
type Source interface {
	// Token returns a token that is good now. The error names the source and
	// what to set; it holds nothing of a token.
	Token(ctx context.Context) (string, error)
}

// Func is a Source made of a function. Printing one prints no token.
type Func func(ctx context.Context) (string, error)

// Token implements Source.
func (f Func) Token(ctx context.Context) (string, error) { return f(ctx) }

// Getenv looks a variable up, as os.Getenv does: empty where it is not set.
type Getenv func(name string) string

// maxToken is the largest token in bytes; the daemon takes no larger one.
const maxToken = 16 << 10

// Value is the source of a token that is at hand. from says where it was given,
// such as the name of a flag.
func Value(token, from string) Source {
	return Func(func(context.Context) (string, error) { return wellFormed(token, from) })
}

// Variable is the source of a token that a variable holds.
func Variable(getenv Getenv, name string) Source {
	return Func(func(context.Context) (string, error) {
		token := getenv(name)
		if token == "" {
			if !isVariable(name) { // somebody may have put the token in the place of its name
				return "", errors.New("the variable that is named has no name of a variable; use letters, digits and _, up to 64")
			}
			return "", fmt.Errorf("the variable %s is not set; set it to the token", quote(name))
		}
		return wellFormed(token, "the variable "+quote(name))
	})
}

func isVariable(name string) bool {
	return len(name) <= 64 && !strings.ContainsFunc(name, func(r rune) bool {
		return r != '_' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	})
}

// File is the source of a token that a file holds. The file is read at each
// call, since those who write such files replace them before they expire.
func File(path string) Source {
	return Func(func(context.Context) (string, error) {
		info, err := os.Stat(path) // opening a pipe would wait for its writer
		if err == nil && !info.Mode().IsRegular() {
			err = errors.New("it is no regular file")
		}
		var f *os.File
		if err == nil {
			f, err = os.Open(path)
		}
		if err != nil {
			if at := (*fs.PathError)(nil); errors.As(err, &at) {
				err = at.Err // somebody may have given the token in the place of its file
			}
			return "", fmt.Errorf("the token's file cannot be read: %w; name it with --runner-auth-oidc-token-file", err)
		}
		defer f.Close() // only read
		b, err := io.ReadAll(io.LimitReader(f, maxToken+2))
		if err != nil {
			return "", fmt.Errorf("the token's file cannot be read: %w", err)
		}
		return wellFormed(string(b), "the file "+quote(path))
	})
}

var strictBase64 = base64.RawURLEncoding.Strict()

// wellFormed returns a token without the white space around it, or says why it
// can be none. from says where it is from.
func wellFormed(token, from string) (string, error) {
	token = strings.TrimSpace(token)
	switch {
	case token == "":
		return "", fmt.Errorf("%s gives an empty token", from)
	case len(token) > maxToken:
		return "", fmt.Errorf("%s gives more than %d bytes, so it is no token", from, maxToken)
	}
	parts := strings.Split(token, ".")
	for _, p := range parts {
		// The decoder lets line breaks pass.
		if _, err := strictBase64.DecodeString(p); err != nil || p == "" || len(parts) != 3 || strings.ContainsAny(p, "\r\n") {
			return "", fmt.Errorf("%s gives what is no token; a token is three parts of base64url with dots between them", from)
		}
	}
	return token, nil
}

// KeyID is the kid of a token's header, or "" where there is none. It helps the
// daemon to say what is wrong; nothing relies on it.
func KeyID(token string) string {
	head, _, _ := strings.Cut(token, ".")
	b, err := base64.RawURLEncoding.DecodeString(head)
	if err != nil {
		return ""
	}
	var header struct {
		KeyID string `json:"kid"`
	}
	if json.Unmarshal(b, &header) != nil {
		return ""
	}
	return header.KeyID
}

// quote makes untrusted text fit for a message.
func quote(s string) string { return fmt.Sprintf("%+.80q", s) }
