package enforcementv1

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// DecodeError says why bytes are no message. Its text is ASCII, short, and
// holds names but never a value that was sent.
type DecodeError struct {
	// Offset is where the fault stands, in bytes from the start of the input.
	Offset int64
	// Member is the dotted path of the member at fault, for example
	// runner_auth.identity.ref or release_governance.evidence_refs[2]. It is
	// empty where the message as a whole is at fault. Unknown names in it are
	// ASCII-escaped and cut short.
	Member string
	// Problem is what is wrong and what to write instead: "is null: write a
	// string".
	Problem string

	cause error
}

func (e *DecodeError) Error() string {
	if e.Member == "" {
		return fmt.Sprintf("byte %d: the message %s", e.Offset, e.Problem)
	}
	return fmt.Sprintf(`byte %d: member "%s" %s`, e.Offset, e.Member, e.Problem)
}

// Unwrap gives the reader's error where the input could not be read to its end:
// io.ErrUnexpectedEOF where it is incomplete. It is nil for every other fault.
func (e *DecodeError) Unwrap() error { return e.cause }

// under gives e seen from the object above: name holds what e is about.
func (e *DecodeError) under(name string) *DecodeError {
	switch {
	case e.Member == "":
		e.Member = name
	case e.Member[0] == '[':
		e.Member = name + e.Member
	default:
		e.Member = name + "." + e.Member
	}
	return e
}

// syntaxFault puts an error of the JSON library into our words. text is the
// input from the offset base on: the words come from the bytes at fault, not
// from the library's text, which quotes them.
func syntaxFault(err error, base int64, text []byte) *DecodeError {
	if err == io.EOF {
		return &DecodeError{Offset: base + int64(len(text)), Problem: "is missing: send one JSON object", cause: io.ErrUnexpectedEOF}
	}
	syntax, ok := errors.AsType[*jsontext.SyntacticError](err)
	if !ok {
		return &DecodeError{Offset: base, Problem: "could not be read to its end", cause: err}
	}
	fault := &DecodeError{Offset: syntax.ByteOffset}
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		fault.Problem, fault.cause = "ends too early: send all of it", io.ErrUnexpectedEOF
	case errors.Is(err, jsontext.ErrDuplicateName):
		fault.Member = escapeName(syntax.JSONPointer.LastToken())
		fault.Problem = repeated
	case errors.Is(err, jsontext.ErrNonStringName):
		fault.Problem = "has a name that is no string: write names in double quotes"
	default:
		at := min(max(syntax.ByteOffset-base, 0), int64(len(text)))
		fault.Problem = describe(text[at:])
	}
	return fault
}

const repeated = "is repeated: write it once"

// describe says why text cannot go on a JSON document.
func describe(text []byte) string {
	r, size := utf8.DecodeRune(text)
	switch {
	case r == utf8.RuneError && size == 1:
		return "holds invalid UTF-8: send UTF-8"
	case r == '\ufeff':
		return "holds a byte order mark: leave it out"
	case isSurrogateEscape(text):
		return "holds half of a surrogate pair: write both halves, or the character itself"
	case r == '\\':
		return `holds an escape that JSON has not: write \n, \" or \u with four hex digits`
	case size == 1 && r < ' ':
		return `holds a control character: write it as \u with four hex digits`
	}
	return "is no JSON from this byte on: send one JSON object"
}

// isSurrogateEscape reports whether text starts with an escape from \ud800 to
// \udfff.
func isSurrogateEscape(text []byte) bool {
	return len(text) >= 4 &&
		bytes.EqualFold(text[:3], []byte(`\ud`)) && text[1] == 'u' &&
		strings.IndexByte("89abcdefABCDEF", text[3]) >= 0
}

// unknownMember is the fault of a name that the object may not hold.
func unknownMember(name string, members []string) *DecodeError {
	if name == "" {
		return &DecodeError{Problem: "holds a member without a name: leave it out"}
	}
	fault := &DecodeError{Member: escapeName(name), Problem: "is unknown: leave it out"}
	if known := nearest(name, members); known != "" {
		fault.Problem = fmt.Sprintf("is unknown: did you mean %q?", known)
	}
	return fault
}

// maxName is how many bytes of a name that was sent a message may quote: less
// than the header of a token, which somebody may have put in a name's place.
const maxName = 32

// maxMisspelt is the length of a name that can still be a misspelt member.
const maxMisspelt = 40

// escapeName makes a name fit to be quoted: ASCII, at most maxName bytes and
// three dots.
func escapeName(name string) string {
	var b strings.Builder
	for _, r := range name {
		quoted := strconv.QuoteToASCII(string(r))
		part := quoted[1 : len(quoted)-1]
		if b.Len()+len(part) > maxName {
			return b.String() + "..."
		}
		b.WriteString(part)
	}
	return b.String()
}

// nearest gives the member that name was meant to be: the same but for case and
// separators, or one or two letters away. It gives "" where there is none.
func nearest(name string, members []string) string {
	if len(name) > maxMisspelt {
		return ""
	}
	best, least := "", 3
	a := fold(name)
	for _, member := range members {
		b := fold(member)
		if abs(len(a)-len(b)) >= least {
			continue
		}
		if d := distance(a, b); d < least && d <= len(b)/3 {
			best, least = member, d
		}
	}
	return best
}

// fold drops what people vary in a name: session_id, sessionId and Session-ID
// are one.
func fold(name string) string { return separators.Replace(strings.ToLower(name)) }

var separators = strings.NewReplacer("_", "", "-", "", " ", "")

// distance is how many bytes must be added, dropped or changed to turn a into b.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

func abs(n int) int { return max(n, -n) }
