// Package document reads a configuration, policy or registry file, JSON or
// YAML, into a Go struct and reports every fault of the file at once.
//
//	text, err := document.ReadFile("config.yaml")
//	…
//	err = document.Read("config.yaml", text, &config)
//
// prints as one line a fault:
//
//	config.yaml:3:1: listne: unknown option; did you mean "listen"?
//	config.yaml:12:14: stages[1].options.burst: wants a whole number, found a string; write it in decimal, without quotes
//
// It promises:
//
//   - Nothing is guessed. Unknown and repeated members, null, a number where a
//     string is wanted and a value out of range are faults; nothing is
//     converted silently. What YAML adds to JSON beyond comments and layout
//     (anchors, aliases, merge keys, tags, several documents) is refused.
//   - All faults are reported together, in the order of the file, with line,
//     column and what to write instead. Only text that cannot be read at all
//     stops at its first fault. Beyond a thousand faults the rest are counted.
//   - No fault quotes a value, since a value may be a secret. Faults name
//     members and kinds only.
//   - Hostile text costs little: size, nesting, the number of
//     values and, for YAML, of lines are bounded, and Parse never panics.
package document

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"unicode/utf8"
)

// Limits of a text. YAML has tighter ones than JSON, since its parser takes
// quadratic time over many lines; it serves what people write by hand.
const (
	MaxSize      = 32 << 20  // bytes of a file
	MaxValues    = 1 << 20   // values of a file, those inside maps and lists counted
	MaxDepth     = 64        // maps and lists inside each other
	MaxYAMLSize  = 256 << 10 // bytes of a YAML file
	MaxYAMLLines = 5000      // lines of a YAML file
)

// ReadFile returns the content of the file at path, which may be a pipe. A file
// over MaxSize is an error and is not read to its end.
func ReadFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, MaxSize+1))
	if err != nil {
		return nil, err
	}
	if len(text) > MaxSize {
		return nil, fmt.Errorf("%s: larger than %v; is it the right file?", path, Bytes(MaxSize))
	}
	return text, nil
}

// Read parses text, decodes it into the struct that into points to, and reports
// the faults of both together. Name stands before each fault; usually it is the
// file's path.
func Read(name string, text []byte, into any) error {
	n, err := Parse(name, text)
	if n == nil {
		return err
	}
	return Join(err, Decode(n, into))
}

// Parse reads text as JSON when its first byte that is no space is { or [, and
// as YAML otherwise. A text without any value is an empty map.
//
// Where the text can be read but breaks a rule, by a repeated member say, Parse
// returns both the node and the faults, so that Decode can look for more.
func Parse(name string, text []byte) (*Node, error) {
	if t := bytes.TrimLeft(text, " \t\r\n"); len(t) > 0 && (t[0] == '{' || t[0] == '[') {
		return ParseJSON(name, text)
	}
	return ParseYAML(name, text)
}

// checkText refuses what neither format may hold.
func checkText(name string, text []byte, limit Bytes) *Fault {
	switch {
	case len(text) > int(limit):
		return &Fault{Source: name, Problem: fmt.Sprintf("larger than %v, the most that is read", limit)}
	case bytes.HasPrefix(text, []byte("\ufeff")):
		return &Fault{Source: name, Line: 1, Column: 1, Problem: "starts with a byte order mark; save it as plain UTF-8"}
	case !utf8.Valid(text):
		at := 0
		for at < len(text) {
			r, size := utf8.DecodeRune(text[at:])
			if r == utf8.RuneError && size == 1 {
				break
			}
			at += size
		}
		line, column := position(text, at)
		return &Fault{Source: name, Line: line, Column: column, Problem: "not UTF-8; save it as plain UTF-8"}
	}
	return nil
}

// position returns the line and the column, both from 1, of the byte at offset.
// Columns count characters.
func position(text []byte, offset int) (line, column int) {
	before := text[:min(offset, len(text))]
	start := bytes.LastIndexByte(before, '\n') + 1
	return 1 + bytes.Count(before, []byte("\n")), 1 + utf8.RuneCount(before[start:])
}
