package auth

import (
	"crypto/sha256"
	"strings"
	"time"
	"unicode"

	enforcementv1 "github.com/Huzefaaa2/cavra/go/cavra-runtime/enforcement/v1"
)

// isFresh reports whether auth is of the fresh form, v2. One member of that form
// is enough, so that none can be dropped to pass for v1.
func isFresh(auth *enforcementv1.RunnerAuthentication) bool {
	return auth.IssuedAt != "" || auth.Nonce != "" || auth.RequestDigest != ""
}

// appendSignedText appends the text that stands for a runner authentication
// under HMAC. It stands for one only where no member holds a line break, which
// faultOf and freshnessOf make sure of.
func appendSignedText(b []byte, auth *enforcementv1.RunnerAuthentication) []byte {
	id, fresh := &auth.Identity, isFresh(auth)
	if fresh {
		b = append(b, "cavra.runner-auth.v2\nprovider="...)
	} else {
		b = append(b, "cavra.runner-auth.v1\nprovider="...)
	}
	b = append(b, id.Provider...)
	b = append(append(b, "\nrepository="...), id.Repository...)
	b = append(append(b, "\nworkflow="...), id.Workflow...)
	b = append(append(b, "\nrun_id="...), id.RunID...)
	b = append(append(b, "\nrun_attempt="...), id.RunAttempt...)
	b = append(append(b, "\nref="...), id.Ref...)
	b = append(append(b, "\nsha="...), id.SHA...)
	b = append(append(b, "\nactor="...), id.Actor...)
	b = append(append(b, "\njob="...), id.Job...)
	b = append(append(b, "\nrunner_name="...), id.RunnerName...)
	if fresh {
		b = append(append(b, "\nissued_at="...), auth.IssuedAt...)
		b = append(append(b, "\nnonce="...), auth.Nonce...)
		b = append(append(b, "\nrequest_digest="...), auth.RequestDigest...)
	}
	return b
}

// A fault is what is wrong with the claims of a runner, whoever signed them.
type fault struct{ member, problem string }

// faultOf gives the fault of an identity and of the key id beside it; its zero
// value where there is none.
func faultOf(id *enforcementv1.RunnerIdentity, keyID string) fault {
	for _, m := range [...]struct{ name, value string }{
		{"identity.provider", id.Provider},
		{"identity.repository", id.Repository},
		{"identity.workflow", id.Workflow},
		{"identity.run_id", id.RunID},
		{"identity.run_attempt", id.RunAttempt},
		{"identity.ref", id.Ref},
		{"identity.sha", id.SHA},
		{"identity.actor", id.Actor},
		{"identity.job", id.Job},
		{"identity.runner_name", id.RunnerName},
		{"key_id", keyID},
	} {
		if hasControl(m.value) {
			return fault{m.name, "holds a control character: leave it out"}
		}
	}
	switch {
	case id.Provider == "":
		return fault{"identity.provider", "is missing: name it"}
	case id.Repository == "":
		return fault{"identity.repository", "is missing: name it"}
	}
	return fault{}
}

const (
	maxIssuedAt = len("2006-01-02T15:04:05.999999999Z")
	minNonce    = 22 // characters that hold 128 bits in base64url
	maxNonce    = 256
)

// freshnessOf gives when a message of the fresh form says that it was issued,
// and the fault of the members that only this form has.
func freshnessOf(auth *enforcementv1.RunnerAuthentication) (issued time.Time, f fault) {
	for _, m := range [...]struct{ name, value string }{
		{"issued_at", auth.IssuedAt},
		{"nonce", auth.Nonce},
		{"request_digest", auth.RequestDigest},
	} {
		if m.value == "" {
			return issued, fault{m.name, "is missing: send issued_at, nonce and request_digest, or none of them"}
		}
	}
	issued, ok := parseIssuedAt(auth.IssuedAt)
	switch {
	case !ok:
		return issued, fault{"issued_at", "is no time as 2006-01-02T15:04:05Z: send RFC 3339 in UTC"}
	case len(auth.Nonce) < minNonce, len(auth.Nonce) > maxNonce, !consistsOf(auth.Nonce, &base64URL):
		return issued, fault{"nonce", "is not 22 to 256 characters of base64url: draw 16 random bytes or more"}
	case len(auth.RequestDigest) != 2*sha256.Size, !consistsOf(auth.RequestDigest, &lowerHex):
		return issued, fault{"request_digest", "is not 64 lower-case hex digits: send the SHA-256 in hex"}
	}
	return issued, fault{}
}

// parseIssuedAt reads a time in UTC. It takes one spelling of the format, with a
// fraction of a second or without: package time alone would also take a comma
// before the fraction, and an hour of one digit.
func parseIssuedAt(s string) (t time.Time, ok bool) {
	const toSeconds = "2006-01-02T15:04:05"
	if len(s) <= len(toSeconds) || len(s) > maxIssuedAt || s[len(s)-1] != 'Z' {
		return t, false
	}
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return t, false
	}
	var b [maxIssuedAt]byte
	spelt := string(t.AppendFormat(b[:0], toSeconds)) == s[:len(toSeconds)]
	return t, spelt && (s[len(toSeconds)] == '.' || s[len(toSeconds)] == 'Z')
}

// A charset holds the bytes that a text may consist of.
type charset [256]bool

var (
	base64URL = newCharset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
	lowerHex  = newCharset("0123456789abcdef")
)

func newCharset(chars string) (set charset) {
	for i := range len(chars) {
		set[chars[i]] = true
	}
	return set
}

func consistsOf(s string, set *charset) bool {
	for i := range len(s) {
		if !set[s[i]] {
			return false
		}
	}
	return true
}

// hasControl reports whether s holds a control character, Unicode's category Cc.
func hasControl(s string) bool {
	for i := range len(s) {
		if b := s[i]; b < ' ' || b > '~' {
			return strings.ContainsFunc(s[i:], unicode.IsControl)
		}
	}
	return false
}
