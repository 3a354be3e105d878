package auth

import (
	"bytes"
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"io"
	"strings"
	"sync"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/Huzefaaa2/cavra/go/cavra-runtime/pipeline"
)

// maxToken is the size in bytes of the longest token. Those of the CI providers
// have two thousand.
const maxToken = 16 << 10

// refusal makes the block of a token, once, so that refusing costs little. The
// problem follows the words "runner_auth.signature".
func refusal(problem string) *pipeline.BlockError {
	return errInvalid.Reasonf("runner_auth.signature %s", problem)
}

var (
	errTokenMissing   = refusal("is missing: send the token of the CI provider")
	errTokenLong      = refusal("is longer than 16384 bytes, so it is no token of a CI provider")
	errTokenForm      = refusal("is no compact JWT: send three parts of base64url with two dots between them, and nothing else")
	errTokenHeader    = refusal("has a header that is not one strict JSON object of the right types")
	errTokenAlgorithm = refusal("is a token whose alg is not the one that is taken here")
	errTokenHeaders   = refusal("is a token with a header member that is not taken here: one of crit, jwk, jku, x5u, x5c, b64, zip, cty, or a known name in other case")
	errTokenType      = refusal("is a token whose typ is not JWT")
	errTokenKeyID     = refusal("is a token without a kid, so its key is not known")
	errTokenClaims    = refusal("has claims that are not one strict JSON object of the right types")
	errTokenForged    = refusal("is a token whose signature does not fit; get a new one from the CI provider")
)

// compact is a token that has the right form and asks for nothing unusual.
// Nothing in it is proven.
type compact struct {
	*header
	payload   []byte
	signature []byte
}

// parseCompact checks all of a token that needs no key. It is stricter than the
// library that verifies the signature, which takes line breaks and stray bits.
func parseCompact(text string, known *headers) (compact, *pipeline.BlockError) {
	switch {
	case text == "":
		return compact{}, errTokenMissing
	case len(text) > maxToken:
		return compact{}, errTokenLong
	}
	first, rest, _ := strings.Cut(text, ".")
	payload, signature, _ := strings.Cut(rest, ".")
	var raw [3][]byte
	for i, part := range [...]string{first, payload, signature} {
		var err error
		if part == "" || !consistsOf(part, &base64URL) { // a third dot is not in the set
			return compact{}, errTokenForm
		}
		if raw[i], err = strictBase64.DecodeString(part); err != nil {
			return compact{}, errTokenForm
		}
	}
	h := known.get(first)
	if h == nil {
		var err *pipeline.BlockError
		if h, err = newHeader(first, raw[0]); err != nil {
			return compact{}, err
		}
	}
	return compact{header: h, payload: raw[1], signature: raw[2]}, nil
}

// header is the header of a token. All tokens of one key have the same, so what
// is read from it once serves for the next.
type header struct {
	text   string
	kid    string
	parsed *jose.JSONWebSignature // with nothing but the header
}

func newHeader(text string, raw []byte) (*header, *pipeline.BlockError) {
	kid, refused := parseHeader(raw)
	if refused != nil {
		return nil, refused
	}
	parsed, err := jose.ParseSignedCompact(text+".e30.AA", []jose.SignatureAlgorithm{jose.RS256})
	if err != nil {
		return nil, errTokenHeader
	}
	return &header{strings.Clone(text), kid, parsed}, nil
}

// maxHeaders bounds the headers that are remembered: one for each key in use.
const maxHeaders = 64

// headers remembers the headers of tokens that were verified.
type headers struct {
	mu     sync.RWMutex
	byText map[string]*header
}

func (h *headers) get(text string) *header {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.byText[text]
}

func (h *headers) put(known *header) {
	if h.get(known.text) != nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.byText == nil || len(h.byText) >= maxHeaders {
		h.byText = map[string]*header{}
	}
	h.byText[known.text] = known
}

// strictBase64 has one spelling for every value.
var strictBase64 = base64.RawURLEncoding.Strict()

// parseHeader gives the kid of a header that asks for nothing but a signature by
// RS256.
func parseHeader(raw []byte) (kid string, refused *pipeline.BlockError) {
	alg := ""
	err := eachMember(raw, func(name []byte, value jsontext.Value) error {
		var text string
		var ok bool
		switch string(name) {
		case "alg":
			alg, ok = stringOf(value)
		case "kid":
			kid, ok = stringOf(value)
		case "typ":
			if text, ok = stringOf(value); ok && text != "JWT" {
				refused = errTokenType
			}
		default:
			ok = true
			for _, known := range [...]string{"crit", "jwk", "jku", "x5u", "x5c", "b64", "zip", "cty", "alg", "kid", "typ"} {
				if strings.EqualFold(string(name), known) {
					refused = errTokenHeaders
				}
			}
		}
		if !ok {
			return errWrongType
		}
		return nil
	})
	switch {
	case err != nil:
		return "", errTokenHeader.Because(err)
	case refused != nil:
		return "", refused
	case alg != string(jose.RS256):
		return "", errTokenAlgorithm
	case kid == "":
		return "", errTokenKeyID
	}
	return kid, nil
}

// verify checks the signature over the header and the payload.
func (c *compact) verify(key *rsa.PublicKey) *pipeline.BlockError {
	signed := *c.parsed
	signed.Signatures = []jose.Signature{signed.Signatures[0]}
	signed.Signatures[0].Signature = c.signature
	// The library writes the payload in base64url again. There is one spelling of
	// it, so it is the text that was sent.
	if signed.DetachedVerify(c.payload, key) != nil {
		return errTokenForged
	}
	return nil
}

var (
	errNoObject  = errors.New("it is no JSON object, or is followed by more")
	errWrongType = errors.New("a member has the wrong type")
)

// eof is a reader of nothing.
type eof struct{}

func (eof) Read([]byte) (int, error) { return 0, io.EOF }

var decoders = sync.Pool{New: func() any { return new(jsontext.Decoder) }}

// eachMember visits the members of the one JSON object that raw holds. It
// refuses what two readers could read differently: a repeated name at any depth,
// text that is not UTF-8, a lone surrogate. The arguments of visit are good only
// during its call. The error tells nothing of the object.
func eachMember(raw []byte, visit func(name []byte, value jsontext.Value) error) error {
	dec := decoders.Get().(*jsontext.Decoder)
	defer func() {
		dec.Reset(eof{}) // refers to raw no longer
		decoders.Put(dec)
	}()
	dec.Reset(bytes.NewBuffer(raw))
	if dec.PeekKind() != jsontext.KindBeginObject {
		return errNoObject
	}
	if _, err := dec.ReadToken(); err != nil {
		return errNoObject
	}
	var scratch [64]byte
	for dec.PeekKind() != jsontext.KindEndObject {
		quoted, err := dec.ReadValue()
		if err != nil {
			return errNotStrict
		}
		name, err := unquote(scratch[:0], quoted)
		if err != nil {
			return errNotStrict
		}
		value, err := dec.ReadValue()
		if err != nil {
			return errNotStrict
		}
		if err := visit(name, value); err != nil {
			return err
		}
	}
	if _, err := dec.ReadToken(); err != nil {
		return errNotStrict
	}
	if len(bytes.TrimLeft(raw[dec.InputOffset():], " \t\r\n")) > 0 {
		return errNoObject
	}
	return nil
}

var errNotStrict = errors.New("it is no strict JSON: look for a repeated name, text that is not UTF-8, or a syntax error")

// stringOf gives the text of a JSON string.
func stringOf(value jsontext.Value) (text string, ok bool) {
	if value.Kind() != jsontext.KindString {
		return "", false
	}
	b, err := unquote(nil, value)
	return string(b), err == nil
}

// unquote gives what a JSON string that was read stands for; where nothing in it
// is escaped that is what it holds, else it is put into b.
func unquote(b []byte, quoted jsontext.Value) ([]byte, error) {
	if bytes.IndexByte(quoted, '\\') < 0 {
		return quoted[1 : len(quoted)-1], nil
	}
	return jsontext.AppendUnquote(b, quoted)
}

// eachItem visits the values of a list, as eachMember does the members of an
// object.
func eachItem(list jsontext.Value, visit func(value jsontext.Value) error) error {
	dec := jsontext.NewDecoder(bytes.NewBuffer(list))
	if t, err := dec.ReadToken(); err != nil || t.Kind() != jsontext.KindBeginArray {
		return errWrongType
	}
	for dec.PeekKind() != jsontext.KindEndArray {
		value, err := dec.ReadValue()
		if err != nil {
			return errNotStrict
		}
		if err := visit(value); err != nil {
			return err
		}
	}
	return nil
}
