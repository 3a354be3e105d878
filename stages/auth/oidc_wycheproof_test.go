package auth

import (
	"crypto/rsa"
	"encoding/json"
	"io/fs"
	"testing"

	"github.com/c2sp/wycheproof"
)

// rocaVector is the name of the vectors with a key that is weak though nothing
// shows it without factoring it (CVE-2017-15361). Tokens under these two keys,
// and no others that ought to be refused, are taken: a provider that signs with
// such a key is broken for everybody.
const rocaVector = "rejectsKeyWithRocaVulnerability"

// TestWycheproof runs the vectors for JWS, JWK and both through our checks and
// the library behind them: what they call invalid is refused, and what they call
// valid is taken where it is RS256.
func TestWycheproof(t *testing.T) {
	roca, taken := 0, 0
	for _, file := range []string{"json_web_signature_test.json", "json_web_key_test.json", "json_web_crypto_test.json"} {
		text, err := fs.ReadFile(wycheproof.TestVectors, file)
		if err != nil {
			t.Fatal(err)
		}
		var vectors struct {
			TestGroups []struct {
				Comment         string
				Public, Private json.RawMessage
				Tests           []struct {
					TCID            int
					Comment, Result string
					JWS             json.RawMessage
				}
			}
		}
		if err := json.Unmarshal(text, &vectors); err != nil {
			t.Fatal(err)
		}
		for _, group := range vectors.TestGroups {
			key := group.Public
			if key == nil {
				key = group.Private
			}
			set, alg := wycheproofKeys(key)
			for _, tt := range group.Tests {
				if tt.JWS == nil {
					continue // of JWE, which is not taken at all
				}
				token := string(tt.JWS)
				_ = json.Unmarshal(tt.JWS, &token) // else it is of the JSON form, to be refused
				refused := wycheproofVerify(token, set)
				good := refused == nil
				switch {
				case good && tt.Result == "valid":
					taken++
				case good && tt.Comment == rocaVector:
					roca++
				case good:
					t.Errorf("%s %d (%s, %s): a %s token is taken", file, tt.TCID, group.Comment, tt.Comment, tt.Result)
				case tt.Result == "valid" && alg == "RS256" && tt.Comment != "emptyPayload": // claims are never empty
					t.Errorf("%s %d (%s, %s): a valid token is refused: %v", file, tt.TCID, group.Comment, tt.Comment, refused)
				}
			}
		}
	}
	if taken == 0 || roca != 2 {
		t.Errorf("%d valid tokens are taken and %d under weak keys", taken, roca)
	}
}

// wycheproofKeys gives the keys of a vector, nil where they are refused, and the
// algorithm of a single one.
func wycheproofKeys(text json.RawMessage) (*keySet, string) {
	var one struct {
		Alg  string
		Keys json.RawMessage
	}
	_ = json.Unmarshal(text, &one) // another form has neither
	if one.Keys == nil {
		text = json.RawMessage(`{"keys":[` + string(text) + `]}`)
	}
	set, err := parseJWKS(text)
	if err != nil {
		return nil, one.Alg
	}
	return set, one.Alg
}

// wycheproofVerify does what the verifier does to a token whose payload need not
// be claims.
func wycheproofVerify(token string, set *keySet) error {
	c, refused := parseCompact(token, new(headers))
	if refused != nil {
		return refused
	}
	var key *rsa.PublicKey
	if set != nil {
		key = set.keys[c.kid]
	}
	if key == nil {
		return errUnknownKey
	}
	if refused := c.verify(key); refused != nil {
		return refused
	}
	return nil
}
