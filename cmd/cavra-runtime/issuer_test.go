package main

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// An issuer plays the CI providers of one script: it makes tokens, publishes its
// keys at $ISSUER/jwks, and serves the token services of GitHub Actions at
// $ISSUER/github and of Azure Pipelines at $ISSUER/azure. It is down until the
// script says "issuer up".
type issuer struct {
	address    string
	credential string // that the token services ask for

	mu     sync.Mutex
	key    *rsa.PrivateKey
	kid    string
	issued []string
	server *http.Server
}

func startIssuer(env *testscript.Env) error {
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	// The port is ours to come back to: nothing else asks for it by number.
	i := &issuer{address: l.Addr().String(), credential: rand.Text()}
	if err := l.Close(); err != nil {
		return err
	}
	env.Values["issuer"] = i
	env.Setenv("ISSUER", "http://"+i.address)
	env.Setenv("CREDENTIAL", i.credential)
	env.Defer(i.down)
	return i.rotate()
}

func issuerOf(ts *testscript.TestScript) *issuer { return ts.Value("issuer").(*issuer) }

// issuer up|down|rotate starts, stops or renews the keys of the script's issuer.
func issuerCommand(ts *testscript.TestScript, neg bool, args []string) {
	i := issuerOf(ts)
	switch strings.Join(args, " ") {
	case "up":
		ts.Check(i.up())
	case "down":
		i.down()
	case "rotate":
		ts.Check(i.rotate())
	default:
		ts.Fatalf("usage: issuer up|down|rotate")
	}
}

// token NAME CLAIM=VALUE… makes a token, sets $NAME to it and writes it to the
// file secret-NAME. Without claims it is a good one of GitHub Actions, for the
// audience cavra. iat, nbf and exp are given as a time from now; key=other signs
// with a key that is not published.
func tokenCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: token NAME CLAIM=VALUE…")
	}
	i := issuerOf(ts)
	claims := githubClaims("cavra")
	var key *rsa.PrivateKey
	for _, arg := range args[1:] {
		name, value, _ := strings.Cut(arg, "=")
		switch name {
		case "key":
			other, err := rsa.GenerateKey(rand.Reader, 2048)
			ts.Check(err)
			key = other
		case "iat", "nbf", "exp":
			d, err := time.ParseDuration(value)
			ts.Check(err)
			claims[name] = time.Now().Add(d).Unix()
		default:
			claims[name] = value
		}
	}
	token, err := i.issue(key, claims)
	ts.Check(err)
	ts.Setenv(args[0], token)
	ts.Check(os.WriteFile(ts.MkAbs("secret-"+args[0]), []byte(token+"\n"), 0o600))
}

func githubClaims(audience string) map[string]any {
	now := time.Now()
	return map[string]any{
		"iss": "https://token.actions.githubusercontent.com", "aud": audience, "sub": "repo:octo/app:ref:refs/heads/main", "jti": rand.Text(),
		"iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(5 * time.Minute).Unix(),
		"repository": "octo/app", "repository_id": "42", "workflow": "release", "run_id": "7", "run_attempt": "1",
		"ref": "refs/heads/main", "sha": "0123456789abcdef0123456789abcdef01234567", "actor": "octocat",
	}
}

func (i *issuer) rotate() error {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	i.mu.Lock()
	defer i.mu.Unlock()
	i.key, i.kid = key, rand.Text()
	return err
}

// issue signs claims, with its own key where none is given, and keeps in mind
// what was made.
func (i *issuer) issue(key *rsa.PrivateKey, claims map[string]any) (string, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if key == nil {
		key = i.key
	}
	header, err := json.Marshal(map[string]any{"alg": "RS256", "typ": "JWT", "kid": i.kid})
	if err != nil {
		return "", err
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	encode := base64.RawURLEncoding.EncodeToString
	text := encode(header) + "." + encode(payload)
	sum := sha256.Sum256([]byte(text))
	signature, err := rsa.SignPKCS1v15(nil, key, crypto.SHA256, sum[:])
	if err != nil {
		return "", err
	}
	token := text + "." + encode(signature)
	i.issued = append(i.issued, token)
	return token, nil
}

// secrets are the credential, and of every token its claims and its signature.
func (i *issuer) secrets() []string {
	i.mu.Lock()
	defer i.mu.Unlock()
	secrets := []string{i.credential}
	for _, token := range i.issued {
		secrets = append(secrets, strings.Split(token, ".")[1:]...)
	}
	return secrets
}

func (i *issuer) up() error {
	i.down()
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", i.address)
	if err != nil {
		return err
	}
	i.server = &http.Server{Handler: i.handler(), ReadHeaderTimeout: 5 * time.Second}
	server := i.server
	go func() { _ = server.Serve(l) }()
	return nil
}

func (i *issuer) down() {
	if i.server != nil {
		_ = i.server.Close()
		i.server = nil
	}
}

func (i *issuer) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /jwks", func(w http.ResponseWriter, _ *http.Request) {
		i.mu.Lock()
		defer i.mu.Unlock()
		encode := base64.RawURLEncoding.EncodeToString
		fmt.Fprintf(w, `{"keys":[{"kty":"RSA","use":"sig","alg":"RS256","kid":%q,"n":%q,"e":%q}]}`,
			i.kid, encode(i.key.N.Bytes()), encode(big.NewInt(int64(i.key.E)).Bytes()))
	})
	serve := func(pattern, scheme, member string, claims func(*http.Request) map[string]any) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") != scheme+i.credential {
				http.Error(w, "who are you?", http.StatusUnauthorized)
				return
			}
			token, err := i.issue(nil, claims(r))
			if err != nil {
				http.Error(w, "no token", http.StatusInternalServerError)
				return
			}
			_ = json.NewEncoder(w).Encode(map[string]any{member: token})
		})
	}
	serve("GET /github", "bearer ", "value", func(r *http.Request) map[string]any { return githubClaims(r.URL.Query().Get("audience")) })
	serve("POST /azure", "Bearer ", "oidcToken", func(*http.Request) map[string]any {
		c := githubClaims("api://AzureADTokenExchange")
		return map[string]any{
			"iss": "https://vstoken.dev.azure.com/6f1f63d2-7b1c-4a43-9f0e-0d3a5a9c1e11", "aud": c["aud"], "jti": c["jti"], "iat": c["iat"], "nbf": c["nbf"], "exp": c["exp"],
			"rpo_id": "octo/app", "rpo_uri": "https://github.example/octo/app.git", "run_id": "7", "rpo_ref": "refs/heads/main", "rpo_ver": c["sha"],
		}
	})
	return mux
}
