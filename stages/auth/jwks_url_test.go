package auth

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"go.uber.org/goleak"

	"github.com/Huzefaaa2/cavra/go/cavra-runtime/pipeline"
)

// keyServer serves a key set, or fails as it is told to.
type keyServer struct {
	*httptest.Server
	hits   atomic.Int32
	answer atomic.Pointer[http.HandlerFunc]
}

func newKeyServer(t testing.TB, body string) *keyServer {
	t.Helper()
	s := new(keyServer)
	s.serve(body)
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.hits.Add(1)
		(*s.answer.Load())(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *keyServer) handle(f http.HandlerFunc) { s.answer.Store(&f) }

func (s *keyServer) serve(body string) {
	s.handle(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) })
}

func (s *keyServer) fail(status int) {
	s.handle(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", status) })
}

// syncBuffer is a log that is written to in the background.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

// take gives what was written since it was last called.
func (s *syncBuffer) take() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.b.Reset()
	return s.b.String()
}

func (s *syncBuffer) peek() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// urlTest is a stage whose keys come from a URL.
type urlTest struct {
	*testing.T
	server *keyServer
	clock  *testClock
	log    *syncBuffer
	stage  *Stage
}

func newURLTest(t *testing.T, body string) *urlTest {
	t.Helper()
	u := &urlTest{T: t, server: newKeyServer(t, body), clock: newTestClock(testTime), log: new(syncBuffer)}
	u.start(u.server.URL + "/keys")
	return u
}

func (u *urlTest) start(url string) {
	u.Helper()
	o := testOIDC(u, func(i *OIDCIssuer) { i.JWKS, i.JWKSURL = "", url })
	var err error
	u.stage, err = newStageAt(o, pipeline.Env{Log: hclog.New(&hclog.LoggerOptions{Output: u.log, Level: hclog.Trace})}, u.clock.now)
	if err != nil {
		u.Fatal(err)
	}
	u.Cleanup(func() { _ = u.stage.Close() })
	u.settle()
}

// settle waits for the end of a fetch in the background.
func (u *urlTest) settle() {
	_, _, _ = u.keys().group.Do("", func() (any, error) { return nil, nil })
}

func (u *urlTest) keys() *urlKeys {
	return u.stage.oidc.(*oidcVerifier).issuers[testIssuer].keys.(*urlKeys)
}

// token is good at the time of the test's clock.
func (u *urlTest) token(kid int) string {
	c := githubClaims()
	now := u.clock.now().Unix()
	c["iat"], c["nbf"], c["exp"] = now, now, now+300
	return signRaw(rsaKeys()[kid], fmt.Sprintf(`{"alg":"RS256","kid":"k%d"}`, kid), toJSON(c))
}

func (u *urlTest) in(what string, kid int) {
	u.Helper()
	if _, err := ask(u, u.stage, oidcAuth(u.token(kid))); err != nil {
		u.Errorf("%s: %v", what, err)
	}
}

func (u *urlTest) out(what string, kid int, says string) {
	u.Helper()
	token := u.token(kid)
	_, err := ask(u, u.stage, oidcAuth(token))
	if reason := wantRefused(u, err); !strings.Contains(reason, says) {
		u.Errorf("%s: the reason %q does not say %q", what, reason, says)
	}
	holdsNone(u, err.Error()+u.log.peek(), token)
}

func (u *urlTest) hits(what string, want int32) {
	u.Helper()
	u.settle()
	if got := u.server.hits.Load(); got != want {
		u.Errorf("%s: %d fetches, want %d", what, got, want)
	}
}

func (u *urlTest) logged(want string) {
	u.Helper()
	if got := u.log.take(); !strings.Contains(got, want) {
		u.Errorf("the log does not say %q: %s", want, got)
	}
}

func keysOf(numbers ...int) string {
	var all []any
	for _, n := range numbers {
		all = append(all, jwkOf(fmt.Sprintf("k%d", n), &rsaKeys()[n].PublicKey, nil))
	}
	return jwksOf(all...)
}

func TestURLKeysRotateWithoutARestart(t *testing.T) {
	u := newURLTest(t, keysOf(0))
	u.hits("at the start", 1)
	u.logged("new keys were fetched")
	u.in("the first key", 0)
	u.server.serve(keysOf(0, 1))
	u.in("a key that is new", 1)
	u.hits("after the rotation", 2)
	u.server.serve(keysOf(1, 2))
	u.in("a second rotation at once", 2)
	u.hits("after the second rotation", 3)
	u.out("a key that was taken back", 0, "not among those")
}

func TestURLKeysAThousandUnknownKeyIDs(t *testing.T) {
	u := newURLTest(t, keysOf(0))
	var wg sync.WaitGroup
	for part := range 10 {
		wg.Go(func() {
			for i := range 100 {
				token := signRaw(rsaKeys()[2], fmt.Sprintf(`{"alg":"RS256","kid":"made-up-%d-%d"}`, part, i), toJSON(githubClaims()))
				if _, err := u.stage.identify(context.Background(), exchange(oidcAuth(token)).Request); err == nil {
					t.Error("a made-up key is taken")
				}
			}
		})
	}
	wg.Wait()
	u.hits("a thousand made-up ids", 2)
	u.out("within the window", 2, "not among those")
	u.hits("within the window", 2)
	u.clock.advance(fetchWindow)
	for range 10 {
		u.out("after the window", 2, "not among those")
	}
	u.hits("one more for each window", 3)
	u.in("the key that there is", 0)
	u.clock.advance(fetchWindow)
	u.server.serve(keysOf(0, 2))
	u.in("the key has come", 2)
}

func TestURLKeysOutageAndRecovery(t *testing.T) {
	u := newURLTest(t, keysOf(0))
	u.log.take()
	u.server.fail(http.StatusServiceUnavailable)
	u.clock.advance(freshFor)
	u.in("old keys", 0)
	u.hits("the refresh in the background", 2)
	u.logged("the last good ones serve")
	u.clock.advance(fetchWindow - time.Second)
	u.in("old keys within the window", 0)
	u.hits("within the window", 2)
	u.clock.advance(time.Second)
	u.in("old keys after the window", 0)
	u.hits("after the window", 3)
	if again := u.log.take(); again != "" {
		t.Errorf("the log repeats itself: %s", again)
	}
	u.clock.set(testTime.Add(usableFor - time.Second))
	u.in("in the last second", 0)
	u.settle()
	u.clock.advance(fetchWindow)
	u.out("beyond the limit", 0, "24 hours")
	u.logged("too old")
	u.server.serve(keysOf(0))
	u.out("before the next try", 0, "24 hours")
	u.clock.advance(fetchWindow)
	u.in("after the recovery", 0)
	u.logged("can be fetched again")
}

func TestURLKeysStartWhileTheServerIsDown(t *testing.T) {
	u := newURLTest(t, "")
	u.hits("at the start", 1)
	u.logged("cannot be fetched")
	u.out("without keys", 0, "could not be fetched yet")
	u.hits("at once", 1)
	u.clock.advance(fetchBackoff)
	u.out("the second try", 0, "could not be fetched yet")
	u.hits("after the first wait", 2)
	u.clock.advance(fetchBackoff)
	u.out("the wait is longer", 0, "could not be fetched yet")
	u.hits("the wait is longer", 2)
	u.clock.advance(fetchBackoff)
	u.server.serve(keysOf(0))
	u.in("the third try", 0)
	u.hits("the third try", 3)
}

// Whatever goes wrong with an answer, the old keys serve and the log says what
// it was, without what was sent.
func TestURLKeysBadAnswers(t *testing.T) {
	other := newKeyServer(t, keysOf(2))
	for name, tt := range map[string]struct {
		answer http.HandlerFunc
		says   string
	}{
		"500":   {func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "private words", 500) }, "status 500"},
		"204":   {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) }, "status 204"},
		"HTML":  {func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<p>private words") }, "no JWKS"},
		"empty": {func(http.ResponseWriter, *http.Request) {}, "no JWKS"},
		"cut off": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "999")
			_, _ = io.WriteString(w, "{")
		}, "could not be read"},
		"too long":    {func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, strings.Repeat(" ", maxJWKS+1)) }, "bytes"},
		"no keys":     {func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, jwksOf()) }, "no RSA key"},
		"elsewhere":   {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, other.URL, 302) }, "another host"},
		"for ever":    {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/again", 302) }, "three times"},
		"a long head": {func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X", strings.Repeat("x", 1<<17)) }, "header"},
	} {
		t.Run(name, func(t *testing.T) {
			u := newURLTest(t, keysOf(0))
			u.log.take()
			u.server.handle(tt.answer)
			u.out("a new key", 2, "not among those")
			if name == "no keys" { // the answer is whole: the issuer withdrew them
				u.out("the old key", 0, "not among those")
			} else {
				u.in("the old key", 0)
			}
			got := u.log.take()
			if !strings.Contains(got, tt.says) || strings.Contains(got, "private words") {
				t.Errorf("the log says %s; want %q", got, tt.says)
			}
		})
	}
	if other.hits.Load() != 0 {
		t.Error("a redirect to another host was followed")
	}
	t.Run("too slow", func(t *testing.T) {
		u := newURLTest(t, keysOf(0))
		u.log.take()
		u.keys().client.Timeout = time.Millisecond // in place of 5 s
		u.server.handle(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, "{")
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		})
		u.out("a new key", 2, "not among those")
		u.in("the old key", 0)
		u.logged("cannot be refreshed")
	})
	t.Run("a redirect on the same host", func(t *testing.T) {
		u := newURLTest(t, keysOf(0))
		u.server.handle(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/keys" {
				http.Redirect(w, r, "/moved", http.StatusFound)
				return
			}
			_, _ = io.WriteString(w, keysOf(2))
		})
		u.in("a new key", 2)
	})
}

func TestURLKeysCloseEndsAFetch(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	asked, done := make(chan struct{}), make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(asked)
		<-r.Context().Done() // the client hangs up
		close(done)
	}))
	defer server.Close()
	o := testOIDC(t, func(i *OIDCIssuer) { i.JWKS, i.JWKSURL = "", server.URL })
	log := new(syncBuffer)
	stage, err := New(o, pipeline.Env{Log: hclog.New(&hclog.LoggerOptions{Output: log})})
	if err != nil {
		t.Fatal(err)
	}
	<-asked
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = stage.identify(ctx, exchange(oidcAuth(tokenOf(githubClaims()))).Request)
	wantRefused(t, err) // without waiting for the server
	if err := stage.Close(); err != nil {
		t.Fatal(err)
	}
	<-done
	if err := stage.Close(); err != nil {
		t.Fatal(err)
	}
	_, err = stage.identify(t.Context(), exchange(oidcAuth(tokenOf(githubClaims()))).Request)
	wantRefused(t, err)
	if got := log.take(); strings.Contains(got, "cannot be fetched") {
		t.Errorf("our own hanging up is logged as a fault: %s", got)
	}
}

func TestURLKeysDryRunFetchesNothing(t *testing.T) {
	server := newKeyServer(t, keysOf(0))
	o := testOIDC(t, func(i *OIDCIssuer) { i.JWKS, i.JWKSURL = "", server.URL })
	stage, err := New(o, pipeline.Env{DryRun: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := stage.Close(); err != nil || server.hits.Load() != 0 {
		t.Errorf("a dry run fetched %d times, %v", server.hits.Load(), err)
	}
}

func TestParseKeysURL(t *testing.T) {
	for _, good := range []string{
		"https://ci.example/keys", "https://ci.example:8443/keys?a=b", "http://127.0.0.1:1/", "http://127.9.9.9/k", "http://[::1]:80/k", "http://localhost/k",
	} {
		if _, err := parseKeysURL(good); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for _, bad := range []string{
		"", "keys.json", "/keys", "http://ci.example/keys", "http://127.0.0.1.example/", "http://localhost.example/", "http://0.0.0.0/", "http://10.0.0.1/",
		"ftp://127.0.0.1/", "file:///etc/keys", "https:keys", "https://user:secret-word@ci.example/", "https://[::1", "HTTP://ci.example/", "http://2130706433/",
	} {
		if u, err := parseKeysURL(bad); err == nil {
			t.Errorf("%s is taken as %v", bad, u)
		} else if strings.Contains(err.Error(), "secret-word") {
			t.Errorf("the error tells the password: %v", err)
		}
	}
}
