//go:build !windows

package examples_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	repository        = "octo/app"
	commit            = "0123456789abcdef0123456789abcdef01234567"
	githubURL         = "https://token.actions.githubusercontent.com"
	azureOrganization = "6f1f63d2-7b1c-4a43-9f0e-0d3a5a9c1e11"
	azureRepository   = "1d4f7a2e-5b0c-4e35-8a61-c0f2b9d7e683"
)

// A provider plays the three CI providers on this host: it publishes its keys
// and makes tokens for jobs.
type provider struct {
	*httptest.Server
	key        *rsa.PrivateKey
	credential string // that its token services ask for

	mu     sync.Mutex
	tokens []string // that were made
}

func startProvider(t *testing.T) *provider {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	p := &provider{key: key, credential: rand.Text()}
	mux := http.NewServeMux()
	// GitLab's path; the others' keys are fetched from here too.
	mux.HandleFunc("GET /oauth/discovery/keys", func(w http.ResponseWriter, _ *http.Request) {
		encode := base64.RawURLEncoding.EncodeToString
		fmt.Fprintf(w, `{"keys":[{"kty":"RSA","use":"sig","alg":"RS256","kid":"k1","n":%q,"e":%q}]}`,
			encode(key.N.Bytes()), encode(big.NewInt(int64(key.E)).Bytes()))
	})
	serve := func(pattern, scheme, member string, token func(*http.Request) string) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") != scheme+p.credential {
				http.Error(w, "who are you?", http.StatusUnauthorized)
				return
			}
			_ = json.NewEncoder(w).Encode(map[string]string{member: token(r)})
		})
	}
	serve("GET /github", "bearer ", "value", func(r *http.Request) string {
		return p.githubToken(t, r.URL.Query().Get("audience"), repository)
	})
	serve("POST /azure", "Bearer ", "oidcToken", func(*http.Request) string {
		return p.issue(t, map[string]any{
			"iss": "https://vstoken.dev.azure.com/" + azureOrganization, "aud": "api://AzureADTokenExchange",
			"rpo_id": azureRepository, "rpo_uri": "https://dev.azure.example/octo/p/_git/app", "run_id": "7", "rpo_ref": "refs/heads/main", "rpo_ver": commit,
		})
	})
	p.Server = httptest.NewServer(mux)
	t.Cleanup(p.Close)
	return p
}

func (p *provider) githubToken(t *testing.T, audience, repository string) string {
	return p.issue(t, map[string]any{
		"iss": githubURL, "aud": audience, "repository": repository, "workflow": "Release governance",
		"run_id": "7", "run_attempt": "1", "ref": "refs/tags/v1.2.3", "sha": commit, "actor": "octocat",
	})
}

func (p *provider) gitlabToken(t *testing.T, project string) string {
	return p.issue(t, map[string]any{
		"iss": p.URL, "aud": "cavra", "project_path": project, "pipeline_id": "7", "job_id": "8",
		"ref": "v1.2.3", "sha": commit, "user_login": "octocat",
	})
}

// issue signs claims, and adds when.
func (p *provider) issue(t *testing.T, claims map[string]any) string {
	now := time.Now().Unix()
	claims["jti"], claims["iat"], claims["nbf"], claims["exp"] = rand.Text(), now, now, now+300
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Error(err)
	}
	encode := base64.RawURLEncoding.EncodeToString
	text := encode([]byte(`{"alg":"RS256","typ":"JWT","kid":"k1"}`)) + "." + encode(payload)
	sum := sha256.Sum256([]byte(text))
	signature, err := rsa.SignPKCS1v15(nil, p.key, crypto.SHA256, sum[:])
	if err != nil {
		t.Error(err)
	}
	token := text + "." + encode(signature)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tokens = append(p.tokens, token)
	return token
}

// secrets are what no log and no file may hold: the credential, and the claims
// and the signature of every token.
func (p *provider) secrets() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	secrets := []string{p.credential}
	for _, token := range p.tokens {
		secrets = append(secrets, strings.Split(token, ".")[1:]...)
	}
	return secrets
}
