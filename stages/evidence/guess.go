package evidence

import (
	"bytes"
	"strconv"

	"github.com/go-json-experiment/json"
)

// guess reads a line as the writer writes it, several times as fast as a JSON
// reader. It may be wrong: the caller must compare the encoding of r with the
// line. It cuts at the names of members, which cannot stand inside a string,
// where each quote is escaped.
func (c *checker) guess(line []byte, r *Record) bool {
	g := guesser{rest: line, ok: true}
	g.skip(`{"schema_version":"` + SchemaVersion + `","product":"` + Product + `","event_type":"`)
	r.SchemaVersion, r.Product = SchemaVersion, Product
	if event := g.until(`","record_id":"`); string(event) == EventDecision {
		r.EventType = EventDecision
	} else {
		r.EventType = string(event)
	}
	r.RecordID = string(g.until(`","sequence":`))
	sequence, err := strconv.ParseUint(string(g.until(`,"`)), 10, 64)
	if err != nil {
		return false
	}
	r.Sequence = sequence
	if rest, ok := bytes.CutPrefix(g.rest, []byte(`previous_hash":"`)); ok {
		g.rest = rest
		r.PreviousHash = string(g.until(`","`))
	}
	g.skip(`record_hash":"`)
	r.RecordHash = string(g.until(`","timestamp":"`))
	r.Timestamp = string(g.until(`","request":`))
	request := g.until(`,"response":`)
	if !g.ok || !c.guessSignature(&g, r) {
		return false
	}
	return r.Request.UnmarshalJSON(request) == nil && r.Response.UnmarshalJSON(g.rest) == nil
}

// guessSignature reads the signature, if there is one, and leaves the response.
func (c *checker) guessSignature(g *guesser, r *Record) bool {
	rest, ok := bytes.CutSuffix(g.rest, []byte(`}`))
	response, text, isSigned := bytes.Cut(rest, []byte(`,"signature":{"algorithm":"`+Algorithm+`",`))
	g.rest = response
	if !isSigned {
		return ok
	}
	sig := guesser{rest: text, ok: ok}
	r.Signature = &Signature{Algorithm: Algorithm}
	if rest, named := bytes.CutPrefix(sig.rest, []byte(`"key_id":`)); named {
		sig.rest = rest
		id := sig.until(`,`)
		// A key id may hold the comma: then this is no string, and no guess.
		if !bytes.Equal(id, c.keyIDText) {
			var keyID string
			if json.Unmarshal(id, &keyID) != nil {
				return false
			}
			c.keyIDText, c.keyID = bytes.Clone(id), keyID
		}
		r.Signature.KeyID = c.keyID
	}
	sig.skip(`"value":"`)
	r.Signature.Value = string(sig.until(`"}`))
	return sig.ok && len(sig.rest) == 0
}

// A guesser takes a line apart from its start. Once something is not as
// expected it gives nothing more.
type guesser struct {
	rest []byte
	ok   bool
}

// skip goes past text, which must be next.
func (g *guesser) skip(text string) {
	rest, ok := bytes.CutPrefix(g.rest, []byte(text))
	g.rest, g.ok = rest, g.ok && ok
}

// until gives what comes before text and goes past both.
func (g *guesser) until(text string) []byte {
	before, after, ok := bytes.Cut(g.rest, []byte(text))
	if g.ok = g.ok && ok; !g.ok {
		return nil
	}
	g.rest = after
	return before
}
