package citoken

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log"
	"maps"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// quick is a service that waits for nothing between tries, and for a slow server
// only as long as a test can bear.
func quick() *service {
	s := newService()
	s.wait = func(ctx context.Context, _ time.Duration) error { return ctx.Err() }
	return s
}

// A fake is a provider's token service, and the job's environment beside it.
type fake struct {
	env        map[string]string
	credential string
	member     string // of the answer
	asked      atomic.Int32
	seen       atomic.Pointer[http.Request] // the last
	answer     http.HandlerFunc
	url        string
}

// newFake starts the token service of GitHub Actions or of Azure Pipelines.
func newFake(t *testing.T, name string) *fake {
	t.Helper()
	f := &fake{credential: rand.Text()}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.asked.Add(1)
		f.seen.Store(r)
		f.answer(w, r)
	}))
	t.Cleanup(server.Close)
	f.url = server.URL
	switch name {
	case "GitHub Actions":
		f.member = "value"
		f.env = map[string]string{"GITHUB_ACTIONS": "true", "ACTIONS_ID_TOKEN_REQUEST_URL": server.URL + "/token?api-version=2.0", "ACTIONS_ID_TOKEN_REQUEST_TOKEN": f.credential}
	case "Azure Pipelines":
		f.member = "oidcToken"
		f.env = map[string]string{"TF_BUILD": "True", "SYSTEM_OIDCREQUESTURI": server.URL + "/oidctoken", "SYSTEM_ACCESSTOKEN": f.credential}
	}
	return f
}

func (f *fake) source(s *service) Source {
	env := environment(f.env)
	return Detect(env).source(request{getenv: env, audience: "cavra test", service: s})
}

func TestRequestForms(t *testing.T) {
	token := newToken(t)
	for _, tt := range []struct{ name, method, uri, scheme string }{
		{"GitHub Actions", "GET", "/token?api-version=2.0&audience=cavra+test", "bearer "},
		{"Azure Pipelines", "POST", "/oidctoken?api-version=7.1", "Bearer "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFake(t, tt.name)
			f.answer = func(w http.ResponseWriter, _ *http.Request) {
				fmt.Fprintf(w, `{"count":1,%q:%q}`, f.member, token)
			}
			check(t, f.source(quick()), token, nil)
			r := f.seen.Load()
			if r.Method != tt.method || r.RequestURI != tt.uri || r.Header.Get("Authorization") != tt.scheme+f.credential || r.ContentLength != 0 {
				t.Errorf("asked with %s %s, length %d, %v", r.Method, r.RequestURI, r.ContentLength, r.Header)
			}
			if tt.method == "POST" && r.Header.Get("Content-Length") != "0" {
				t.Errorf("Content-Length is %q", r.Header.Get("Content-Length"))
			}
		})
	}
}

// The failures of real token services. Each is tried as often as trying again
// can help, and none gets anything of the answer into the error.
func TestFailuresOfATokenService(t *testing.T) {
	token := newToken(t)
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		t.Errorf("the redirect is followed, with %v", r.Header)
	}))
	defer elsewhere.Close()
	for _, provider := range []struct{ name, help string }{
		{"GitHub Actions", "permissions: id-token: write"},
		{"Azure Pipelines", "maps SYSTEM_ACCESSTOKEN to the variable System.AccessToken"},
	} {
		for _, tt := range []struct {
			name   string
			answer func(f *fake, w http.ResponseWriter, r *http.Request)
			tries  int
			says   string // empty where the token is got after all
		}{
			{"500", func(_ *fake, w http.ResponseWriter, _ *http.Request) { http.Error(w, token, 500) }, 3, "status 500 (the last of 3 tries)"},
			{"503 once", func(f *fake, w http.ResponseWriter, _ *http.Request) {
				if f.asked.Load() == 1 {
					http.Error(w, token, 503)
					return
				}
				fmt.Fprintf(w, `{%q:%q}`, f.member, token)
			}, 2, ""},
			{"429 twice", func(f *fake, w http.ResponseWriter, _ *http.Request) {
				if f.asked.Load() < 3 {
					w.WriteHeader(429)
					return
				}
				fmt.Fprintf(w, `{%q:%q}`, f.member, token)
			}, 3, ""},
			{"401", func(_ *fake, w http.ResponseWriter, _ *http.Request) { http.Error(w, token, 401) }, 1, "status 401"},
			{"403", func(_ *fake, w http.ResponseWriter, _ *http.Request) { http.Error(w, token, 403) }, 1, "status 403"},
			{"204", func(_ *fake, w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) }, 1, "status 204"},
			{"HTML", func(_ *fake, w http.ResponseWriter, _ *http.Request) { fmt.Fprintf(w, "<html>%s", token) }, 3, "JSON object"},
			{"nothing", func(*fake, http.ResponseWriter, *http.Request) {}, 3, "JSON object"},
			{"a list", func(_ *fake, w http.ResponseWriter, _ *http.Request) { fmt.Fprintf(w, `[%q]`, token) }, 3, "JSON object"},
			{"two members of one name", func(f *fake, w http.ResponseWriter, _ *http.Request) {
				fmt.Fprintf(w, `{%[1]q:%[2]q,%[1]q:%[2]q}`, f.member, token)
			}, 3, "JSON object"},
			{"another member", func(_ *fake, w http.ResponseWriter, _ *http.Request) { fmt.Fprintf(w, `{"token":%q}`, token) }, 3, "holds no member"},
			{"a number", func(f *fake, w http.ResponseWriter, _ *http.Request) { fmt.Fprintf(w, `{%q:1}`, f.member) }, 3, "holds no member"},
			{"an empty token", func(f *fake, w http.ResponseWriter, _ *http.Request) { fmt.Fprintf(w, `{%q:""}`, f.member) }, 3, "empty token"},
			{"no token", func(f *fake, w http.ResponseWriter, _ *http.Request) {
				fmt.Fprintf(w, `{%q:"x%s"}`, f.member, token+".a")
			}, 3, "no token"},
			{"endless", func(_ *fake, w http.ResponseWriter, _ *http.Request) {
				_, _ = w.Write(make([]byte, 1<<20))
			}, 1, "more than 65536 bytes"},
			{"hangs up", func(*fake, http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, 3, "cannot be reached"},
			{"cut off", func(_ *fake, w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Length", "1000")
				_, _ = io.WriteString(w, token)
				panic(http.ErrAbortHandler)
			}, 3, "cannot be reached"},
			{"redirect to another host", func(_ *fake, w http.ResponseWriter, r *http.Request) {
				http.Redirect(w, r, elsewhere.URL+"/"+token, http.StatusTemporaryRedirect)
			}, 1, "redirects to another place"},
			{"redirect to another scheme", func(f *fake, w http.ResponseWriter, r *http.Request) {
				http.Redirect(w, r, "https://"+r.Host+"/"+token, http.StatusTemporaryRedirect)
			}, 1, "redirects to another place"},
			{"redirect to itself", func(f *fake, w http.ResponseWriter, r *http.Request) {
				http.Redirect(w, r, r.URL.Path, http.StatusTemporaryRedirect)
			}, 4, "redirects to another place"},
			{"redirect on the same host", func(f *fake, w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/new" {
					http.Redirect(w, r, "/new", http.StatusTemporaryRedirect)
					return
				}
				fmt.Fprintf(w, `{%q:%q}`, f.member, token)
			}, 2, ""},
		} {
			t.Run(provider.name+"/"+tt.name, func(t *testing.T) {
				f := newFake(t, provider.name)
				f.answer = func(w http.ResponseWriter, r *http.Request) { tt.answer(f, w, r) }
				var says []string
				if tt.says != "" {
					says = []string{provider.name + " gives no token", tt.says, provider.help}
				}
				check(t, f.source(quick()), token, says, token, f.credential, f.url)
				if int(f.asked.Load()) != tt.tries {
					t.Errorf("asked %d times, want %d", f.asked.Load(), tt.tries)
				}
			})
		}
	}
}

func TestASlowTokenService(t *testing.T) {
	f := newFake(t, "GitHub Actions")
	f.answer = func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() } // until the client gives up
	t.Run("each try ends", func(t *testing.T) {
		s := quick()
		s.try = 10 * time.Millisecond
		check(t, f.source(s), "", []string{"does not answer in time (the last of 3 tries)"}, f.credential)
	})
	t.Run("all tries end together", func(t *testing.T) {
		s := quick()
		s.total = 10 * time.Millisecond
		check(t, f.source(s), "", []string{"does not answer in time (after 1 tries there was no time for another)"}, f.credential)
	})
	t.Run("the wait ends too", func(t *testing.T) {
		s := newService()
		s.total, s.try = 20*time.Millisecond, 10*time.Millisecond
		check(t, f.source(s), "", []string{"no time for another"}, f.credential)
	})
	t.Run("the caller has gone", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := f.source(quick()).Token(ctx); err == nil {
			t.Error("a token is got")
		}
	})
	if s := newService(); s.total != 5*time.Second || s.try >= s.total {
		t.Errorf("the times are %v and %v", s.total, s.try)
	}
}

func TestACertificateThatIsNotTrusted(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("it is asked") }))
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // it complains of the client
	server.StartTLS()
	defer server.Close()
	secret := rand.Text()
	f := &fake{env: map[string]string{"GITHUB_ACTIONS": "true", "ACTIONS_ID_TOKEN_REQUEST_URL": server.URL, "ACTIONS_ID_TOKEN_REQUEST_TOKEN": secret}}
	check(t, f.source(quick()), "", []string{"its certificate cannot be verified"}, secret)
}

func TestBackoffGrows(t *testing.T) {
	f := newFake(t, "GitHub Actions")
	f.answer = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }
	var waited []time.Duration
	s := newService()
	s.wait = func(_ context.Context, d time.Duration) error {
		waited = append(waited, d)
		return nil
	}
	check(t, f.source(s), "", []string{"500"})
	if len(waited) != 2 || waited[0] >= waited[1] {
		t.Errorf("waited %v between tries", waited)
	}
}

func TestAddressesThatAreNotAsked(t *testing.T) {
	for name, address := range map[string]string{
		"http":                 "http://token.example/x",
		"http, a name alike":   "http://localhost.example/x",
		"http, an address":     "http://10.0.0.1/x",
		"no scheme":            "token.example/x",
		"another scheme":       "file:///etc/passwd",
		"a user":               "https://user:pass@token.example/x",
		"a control character":  "https://token.example/\x7f",
		"no host":              "https:///x",
		"loopback in the path": "http://token.example/127.0.0.1",
		"loopback as a user":   "http://127.0.0.1@token.example/",
	} {
		t.Run(name, func(t *testing.T) {
			secret := rand.Text()
			for _, f := range []*fake{
				{env: map[string]string{"GITHUB_ACTIONS": "true", "ACTIONS_ID_TOKEN_REQUEST_URL": address, "ACTIONS_ID_TOKEN_REQUEST_TOKEN": secret}},
				{env: map[string]string{"TF_BUILD": "True", "SYSTEM_OIDCREQUESTURI": address, "SYSTEM_ACCESSTOKEN": secret}},
			} {
				s := quick()
				s.client.Transport = asked(func() { t.Error("it is asked") })
				check(t, f.source(s), "", []string{"holds"}, secret, address, "pass")
			}
		})
	}
}

// asked is a transport that nothing should use.
type asked func()

func (f asked) RoundTrip(*http.Request) (*http.Response, error) {
	f()
	return nil, errors.New("nobody is there")
}

// What a job's environment gives without anybody being asked.
func TestTokensOfVariables(t *testing.T) {
	a, b := newToken(t), newToken(t)
	gitlab := map[string]string{"GITLAB_CI": "true"}
	azure := map[string]string{"TF_BUILD": "True"}
	circle := map[string]string{"CIRCLECI": "true"}
	with := func(env map[string]string, more ...string) map[string]string {
		env = maps.Clone(env)
		for i := 0; i < len(more); i += 2 {
			env[more[i]] = more[i+1]
		}
		return env
	}
	for _, tt := range []struct {
		name string
		env  map[string]string
		says []string // empty where a is got
	}{
		{"GitLab, the first name", with(gitlab, "CAVRA_GITLAB_OIDC_TOKEN", a, "GITLAB_OIDC_TOKEN", b), nil},
		{"GitLab, the second name", with(gitlab, "GITLAB_OIDC_TOKEN", a, "CI_JOB_JWT_V2", b), nil},
		{"GitLab, the last name", with(gitlab, "CI_JOB_JWT_V2", a), nil},
		{"GitLab, a name of one's own", with(gitlab, "CAVRA_RUNNER_AUTH_OIDC_TOKEN_ENV", "MINE", "MINE", a, "GITLAB_OIDC_TOKEN", b), nil},
		{"GitLab, that name is not set", with(gitlab, "CAVRA_RUNNER_AUTH_OIDC_TOKEN_ENV", "MINE", "GITLAB_OIDC_TOKEN", b), []string{"GitLab CI", `"MINE"`, "CAVRA_RUNNER_AUTH_OIDC_TOKEN_ENV"}},
		{"GitLab, nothing", gitlab, []string{"GitLab CI", "CAVRA_GITLAB_OIDC_TOKEN", "id_tokens"}},
		{"GitLab, no token", with(gitlab, "GITLAB_OIDC_TOKEN", a+"!"), []string{"GitLab CI", "GITLAB_OIDC_TOKEN", "no token"}},
		{"Azure, a variable", with(azure, "CAVRA_AZURE_OIDC_TOKEN", a), nil},
		{"Azure, nothing", with(azure, "SYSTEM_OIDCREQUESTURI", "https://token.example"), []string{"Azure Pipelines", "maps SYSTEM_ACCESSTOKEN to the variable System.AccessToken"}},
		{"Azure, no address", with(azure, "SYSTEM_ACCESSTOKEN", "x"), []string{"Azure Pipelines", "SYSTEM_OIDCREQUESTURI is not set"}},
		{"Azure, the variable's name", with(azure, "SYSTEM_OIDCREQUESTURI", "https://token.example", "SYSTEM_ACCESSTOKEN", "$(System.AccessToken)"), []string{"holds the name of a variable"}},
		{"CircleCI, the second version", with(circle, "CIRCLE_OIDC_TOKEN_V2", a, "CIRCLE_OIDC_TOKEN", b), nil},
		{"CircleCI, the first version", with(circle, "CIRCLE_OIDC_TOKEN", a), nil},
		{"CircleCI, nothing", circle, []string{"CircleCI", "CIRCLE_OIDC_TOKEN_V2", "forks"}},
		{"GitHub, nothing", map[string]string{"GITHUB_ACTIONS": "true"}, []string{"GitHub Actions", "permissions: id-token: write"}},
		{"no provider", map[string]string{}, []string{"no CI provider", "CAVRA_RUNNER_AUTH_OIDC_TOKEN_FILE"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			env := environment(tt.env)
			check(t, Detect(env).source(request{getenv: env, audience: "a", service: quick()}), a, tt.says, a, b)
		})
	}
}

func TestAzureTakesAnotherRequestToken(t *testing.T) {
	token := newToken(t)
	f := newFake(t, "Azure Pipelines")
	f.answer = func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintf(w, `{"oidcToken":%q}`, token) }
	f.env["SYSTEM_ACCESSTOKEN"], f.env["CAVRA_AZURE_OIDC_REQUEST_TOKEN"] = "", f.credential
	check(t, f.source(quick()), token, nil)
	if got := f.seen.Load().Header.Get("Authorization"); got != "Bearer "+f.credential {
		t.Errorf("asked with %q", got)
	}
}

func TestAnAudienceIsNeeded(t *testing.T) {
	for _, env := range []map[string]string{
		{"GITHUB_ACTIONS": "true", "ACTIONS_ID_TOKEN_REQUEST_URL": "https://token.example", "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "x"},
		{"BUILDKITE": "true"},
	} {
		check(t, Detect(environment(env)).Source(environment(env), ""), "", []string{"CAVRA_RUNNER_OIDC_AUDIENCE"})
	}
}

func TestBuildkite(t *testing.T) {
	token := newToken(t)
	env := environment(map[string]string{"BUILDKITE": "true"})
	var ran []string
	source := func(out string, err error) Source {
		return Detect(env).source(request{getenv: env, audience: "$(id) cavra", service: quick(), run: func(_ context.Context, name string, args ...string) ([]byte, error) {
			ran = append([]string{name}, args...)
			return []byte(out), err
		}})
	}
	check(t, source(token+"\n", nil), token, nil)
	if want := []string{"buildkite-agent", "oidc", "request-token", "--audience", "$(id) cavra"}; !reflect.DeepEqual(ran, want) {
		t.Errorf("ran %q, want %q", ran, want)
	}
	check(t, source("", nil), "", []string{"Buildkite gives no token", "empty"})
	check(t, source("<html>"+token, nil), "", []string{"no token"}, token)
	check(t, source(token, exec.ErrNotFound), "", []string{"PATH"}, token)

	slow := Detect(env).source(request{getenv: env, audience: "a", service: &service{total: time.Millisecond}, run: func(ctx context.Context, _ string, _ ...string) ([]byte, error) {
		<-ctx.Done()
		return []byte(token), ctx.Err()
	}})
	check(t, slow, "", []string{"does not end in time"}, token)
}

// A program that fails, prints too much or never ends.
func TestOutput(t *testing.T) {
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("there is no sh to play the agent")
	}
	secret := rand.Text()
	if out, err := output(t.Context(), sh, "-c", "echo a.b.c; echo "+secret+" >&2"); err != nil || string(out) != "a.b.c\n" {
		t.Errorf("output gives %q, %v", out, err)
	}
	_, err = output(t.Context(), sh, "-c", "echo "+secret+" >&2; exit 3")
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 3 || strings.Contains(fmt.Sprintf("%v%s", err, exit.Stderr), secret) {
		t.Errorf("output fails with %v", err)
	}
	if out, err := output(t.Context(), sh, "-c", "while :; do echo "+secret+"; done"); err == nil || len(out) > maxAnswer {
		t.Errorf("output gives %d bytes, %v", len(out), err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := output(ctx, sh, "-c", "exec tail -f /dev/null"); err == nil {
		t.Error("what never ends is waited for")
	}
}
