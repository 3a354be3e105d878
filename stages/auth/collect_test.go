package auth

import (
	"strings"
	"testing"
	"time"

	"github.com/Huzefaaa2/cavra/go/cavra-runtime/metrics"
)

func collected(t testing.TB, s *Stage) string {
	t.Helper()
	var w metrics.Writer
	s.Collect(&w)
	var b strings.Builder
	if _, err := w.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestCollect(t *testing.T) {
	u := newURLTest(t, keysOf(0, 1))
	u.clock.advance(90 * time.Second)
	got := collected(t, u.stage)
	for _, want := range []string{
		`cavra_jwks_age_seconds{issuer="` + testIssuer + `"} 90`,
		`cavra_jwks_keys{issuer="` + testIssuer + `"} 2`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("there is no line %s in\n%s", want, got)
		}
	}

	u.server.fail(503)
	u.start(u.server.URL + "/others")
	if got := collected(t, u.stage); !strings.Contains(got, `cavra_jwks_keys{issuer="`+testIssuer+`"} 0`) || strings.Contains(got, "age") {
		t.Errorf("keys that could not be fetched yet have an age:\n%s", got)
	}
	if got := collected(t, stageAt(t, Options{}, atTestTime)); got != "" {
		t.Errorf("a stage without issuers writes %s", got)
	}
}
