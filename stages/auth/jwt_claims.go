package auth

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/Huzefaaa2/cavra/go/cavra-runtime/pipeline"
)

var (
	errTokenExpired  = refusal("is a token that has expired; get a new one for each job")
	errTokenEarly    = refusal("is a token of the future; check the clocks of the issuer and of this host")
	errTokenOld      = refusal("is a token that was issued too long ago; get a new one for each job")
	errTokenAudience = refusal("is a token for another audience; ask who runs the daemon which one to get it for")
)

// claimNames are the claims that the configuration needs, by their place in
// claims.values.
type claimNames struct {
	place  map[string]int
	folded map[string]bool // the same and the registered ones, in lower case
}

func newClaimNames() *claimNames {
	n := &claimNames{place: map[string]int{}, folded: map[string]bool{}}
	for _, name := range [...]string{"iss", "aud", "exp", "iat", "nbf", "jti"} {
		n.folded[name] = true
	}
	return n
}

// add gives the place of a claim.
func (n *claimNames) add(name string) int {
	at, ok := n.place[name]
	if !ok {
		at = len(n.place)
		n.place[name] = at
		n.folded[strings.ToLower(name)] = true
	}
	return at
}

// claims are what a token says.
type claims struct {
	iss, jti      string
	aud           []string
	exp, iat, nbf int64   // seconds since 1970; absent where there is none
	values        []claim // by their place in claimNames
}

const absent = -1

// A claim is the text of a string, or of an integer as it is written in decimal.
// Anything else is present and has no text.
type claim struct {
	present, comparable bool
	text                string
}

// parseClaims reads the claims of a token.
func parseClaims(payload []byte, names *claimNames) (*claims, *pipeline.BlockError) {
	c := &claims{exp: absent, iat: absent, nbf: absent, values: make([]claim, len(names.place))}
	err := eachMember(payload, func(name []byte, value jsontext.Value) error {
		ok := true
		switch string(name) {
		case "iss":
			c.iss, ok = stringOf(value)
		case "jti":
			c.jti, ok = stringOf(value)
		case "aud":
			c.aud, ok = stringsOf(value)
		case "exp":
			c.exp, ok = secondsOf(value)
		case "iat":
			c.iat, ok = secondsOf(value)
		case "nbf":
			c.nbf, ok = secondsOf(value)
		default:
			if _, known := names.place[string(name)]; !known && hasUpper(name) {
				ok = !names.folded[strings.ToLower(string(name))]
			}
		}
		if at, known := names.place[string(name)]; known {
			c.values[at] = claimOf(value)
		}
		if !ok {
			return errWrongType
		}
		return nil
	})
	if err != nil || c.exp == absent || c.iat == absent || c.iss == "" {
		return nil, errTokenClaims.Because(err)
	}
	return c, nil
}

// check holds the claims to the clock.
func (c *claims) check(now time.Time, leeway, maxAge time.Duration) *pipeline.BlockError {
	switch {
	case c.exp <= c.iat:
		return errTokenExpired
	case !now.Before(c.end(leeway, maxAge)):
		if now.Before(time.Unix(c.exp, 0).Add(leeway)) {
			return errTokenOld
		}
		return errTokenExpired
	case time.Unix(c.iat, 0).After(now.Add(leeway)), c.nbf != absent && time.Unix(c.nbf, 0).After(now.Add(leeway)):
		return errTokenEarly
	}
	return nil
}

// end is when the token is refused for its age, if it is good before.
func (c *claims) end(leeway, maxAge time.Duration) time.Time {
	exp, old := time.Unix(c.exp, 0), time.Unix(c.iat, 0).Add(maxAge)
	if old.Before(exp) {
		exp = old
	}
	return exp.Add(leeway)
}

func (c *claims) isFor(audience string) bool { return slices.Contains(c.aud, audience) }

func claimOf(value jsontext.Value) claim {
	if text, ok := stringOf(value); ok {
		return claim{true, true, text}
	}
	if isInteger(value) {
		return claim{true, true, string(value)}
	}
	return claim{present: true}
}

// isInteger reports whether the value is an integer in the one way that decimal
// digits write it.
func isInteger(value jsontext.Value) bool {
	digits := value
	if len(digits) > 1 && digits[0] == '-' && digits[1] != '0' {
		digits = digits[1:]
	}
	for _, b := range digits {
		if b < '0' || b > '9' {
			return false
		}
	}
	return true
}

// maxSeconds is the end of the year 9999.
const maxSeconds = 253402300799

// secondsOf gives a time as claims have it.
func secondsOf(value jsontext.Value) (int64, bool) {
	n, err := strconv.ParseInt(string(value), 10, 64)
	return n, err == nil && isInteger(value) && n >= 0 && n <= maxSeconds
}

// stringsOf gives the texts of a string or of a list of strings.
func stringsOf(value jsontext.Value) (texts []string, ok bool) {
	if text, ok := stringOf(value); ok {
		return []string{text}, true
	}
	if value.Kind() != jsontext.KindBeginArray {
		return nil, false
	}
	err := eachItem(value, func(item jsontext.Value) error {
		text, ok := stringOf(item)
		if !ok {
			return errWrongType
		}
		texts = append(texts, text)
		return nil
	})
	return texts, err == nil
}

func hasUpper(name []byte) bool {
	for _, b := range name {
		if 'A' <= b && b <= 'Z' || b > '~' { // some letters beyond ASCII fold into it
			return true
		}
	}
	return false
}
