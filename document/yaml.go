package document

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// ParseYAML reads text as one YAML document of maps with string keys, lists and
// scalars; see Parse. What else YAML has is refused. Words and numbers mean what
// they mean in JSON: yes, on, 0x10, 0600 and 1_000 are strings.
func ParseYAML(name string, text []byte) (node *Node, err error) {
	var found faults
	// A panic of the library on malformed text must not end a daemon that
	// reloads its configuration. Running out of stack, which no recover catches,
	// is prevented by the checks before the parser.
	defer func() {
		if recover() != nil {
			node, err = nil, Join(&Fault{Source: name, Problem: "not valid YAML; check its indentation and quotes"})
		}
	}()
	if f := checkYAMLText(name, text); f != nil {
		found.add(f)
		return nil, found.err()
	}
	tokens := lexer.Tokenize(string(text))
	if checkTokens(name, tokens, &found); len(found.list) > 0 {
		return nil, found.err()
	}
	r := yamlReader{builder: builder{doc: &origin{source: name}}, found: &found}
	// We look for repeated members ourselves, to report all with both lines.
	file, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		found.add(yamlFault(name, err))
		return nil, found.err()
	}
	if len(file.Docs) == 0 || file.Docs[0].Body == nil {
		return r.finish(r.node(Map, 1, 1, ""), &found)
	}
	return r.finish(r.value(file.Docs[0].Body, 1), &found)
}

// checkYAMLText bounds what the lexer gets to see: it takes quadratic time over
// blank lines in a block of text.
func checkYAMLText(name string, text []byte) *Fault {
	if f := checkText(name, text, MaxYAMLSize); f != nil {
		return f
	}
	if bytes.Count(text, []byte("\n")) > MaxYAMLLines {
		return &Fault{Source: name, Problem: fmt.Sprintf("more than %d lines of YAML; write so large a file as JSON", MaxYAMLLines)}
	}
	for i, c := range text {
		crlf := c == '\r' && i+1 < len(text) && text[i+1] == '\n'
		if c < ' ' && c != '\n' && c != '\t' && !crlf || c == 0x7f {
			line, column := position(text, i)
			return &Fault{Source: name, Line: line, Column: column, Problem: "a control character; remove it"}
		}
	}
	return nil
}

// refused names what YAML has and these documents may not use.
var refused = map[token.Type]string{
	token.AnchorType:      "an anchor (&) is not allowed; repeat the value",
	token.AliasType:       "an alias (*) is not allowed; repeat the value, or put text that starts with * in quotes",
	token.TagType:         "a tag (!) is not allowed; remove it, or put text that starts with ! in quotes",
	token.MergeKeyType:    "a merge key (<<) is not allowed; repeat the members",
	token.MappingKeyType:  "a key after ? is not allowed; write key: value",
	token.DirectiveType:   "a directive (%) is not allowed; remove it",
	token.DocumentEndType: "one document is wanted; remove the ...",
}

// maxYAMLTokens bounds the parser's quadratic time over members without a value.
const maxYAMLTokens = 10 * MaxYAMLLines

// checkTokens reports everything refused, and what would cost the parser too
// much: it recurses, so deep nesting would run it out of stack.
func checkTokens(name string, tokens token.Tokens, found *faults) {
	at := func(tk *token.Token, problem string, args ...any) {
		found.add(&Fault{Source: name, Line: tk.Position.Line, Column: tk.Position.Column, Problem: fmt.Sprintf(problem, args...)})
	}
	if len(tokens) > maxYAMLTokens {
		at(tokens[maxYAMLTokens], "more than %d words and signs of YAML; write so large a file as JSON", maxYAMLTokens)
		return
	}
	brackets, signs, line := 0, 0, 0
	for i, tk := range tokens {
		if tk.Position.Line != line {
			line, signs = tk.Position.Line, 0
		}
		if problem, ok := refused[tk.Type]; ok {
			at(tk, "%s", problem)
		}
		switch tk.Type {
		case token.DirectiveType:
			return // what follows can only be the document's ---
		case token.DocumentHeaderType:
			if i > 0 && !onlyComments(tokens[:i]) {
				at(tk, "one document is wanted; remove the --- and what follows")
				return
			}
		case token.SequenceStartType, token.MappingStartType:
			brackets++
		case token.SequenceEndType, token.MappingEndType:
			brackets--
			signs = 0
		case token.CollectEntryType:
			signs = 0
		case token.SequenceEntryType, token.MappingValueType:
			signs++ // each - or : in a row may open a list or map inside the one before
		}
		if brackets > MaxDepth || signs > MaxDepth {
			at(tk, "more than %d maps and lists inside each other", MaxDepth)
			return
		}
	}
}

func onlyComments(tokens token.Tokens) bool {
	for _, tk := range tokens {
		if tk.Type != token.CommentType {
			return false
		}
	}
	return true
}

// yamlFault takes message and place from an error of the parser, whose own text
// would quote the lines around it.
func yamlFault(name string, err error) *Fault {
	f := &Fault{Source: name, Problem: "not valid YAML"}
	var syntax interface {
		GetMessage() string
		GetToken() *token.Token
	}
	if errors.As(err, &syntax) {
		// Some messages end in the text that they complain of.
		if message, _, _ := strings.Cut(syntax.GetMessage(), `: "`); !strings.Contains(message, `"`) {
			f.Problem += ": " + strings.Trim(strconv.QuoteToASCII(message), `"`)
			if strings.Contains(message, "'\t'") {
				f.Problem += "; indent with spaces"
			}
		}
		if tk := syntax.GetToken(); tk != nil && tk.Position != nil {
			f.Line, f.Column = tk.Position.Line, tk.Position.Column
		}
	}
	return f
}

// yamlReader builds nodes from the syntax tree.
type yamlReader struct {
	builder
	found *faults
}

func (r *yamlReader) value(in ast.Node, depth int) Node {
	place := in.GetToken().Position
	if m, ok := in.(*ast.MappingNode); ok && !m.IsFlowStyle && len(m.Values) > 0 {
		place = m.Values[0].Key.GetToken().Position // the token of a block map is its first colon
	}
	if depth > MaxDepth {
		r.faultAt(place, "more than %d maps and lists inside each other", MaxDepth)
		return r.node(Null, place.Line, place.Column, "")
	}
	switch in := in.(type) {
	case *ast.MappingNode:
		n := r.node(Map, place.Line, place.Column, "")
		n.children = &children{members: make([]Member, 0, len(in.Values))}
		for _, v := range in.Values {
			key := v.Key.GetToken()
			if _, ok := v.Key.(*ast.StringNode); !ok {
				r.faultAt(key.Position, "the key is no string; put it in quotes")
			}
			n.children.members = append(n.children.members, Member{
				Key:    key.Value,
				line:   uint32(key.Position.Line),
				column: uint32(key.Position.Column),
				value:  r.value(v.Value, depth+1),
			})
		}
		return n
	case *ast.SequenceNode:
		n := r.node(List, place.Line, place.Column, "")
		n.children = &children{items: make([]Node, 0, len(in.Values))}
		for _, v := range in.Values {
			n.children.items = append(n.children.items, r.value(v, depth+1))
		}
		return n
	case *ast.LiteralNode:
		return r.node(String, place.Line, place.Column, in.Value.Value)
	case *ast.StringNode:
		if in.Token.Type == token.StringType {
			return r.word(place, in.Value)
		}
		return r.node(String, place.Line, place.Column, in.Value)
	case *ast.NullNode:
		return r.node(Null, place.Line, place.Column, "")
	case *ast.BoolNode:
		return r.node(Bool, place.Line, place.Column, strings.ToLower(in.GetToken().Value))
	case *ast.IntegerNode, *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		return r.word(place, in.GetToken().Value)
	}
	r.faultAt(place, "neither a map, a list nor a plain value; write one of them")
	return r.node(Null, place.Line, place.Column, "")
}

// jsonNumber is the grammar of numbers in JSON. YAML has other spellings, which
// read differently from parser to parser (0600, 1_000, .5).
var jsonNumber = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?$`)
})

// word makes a node of text without quotes.
func (r *yamlReader) word(at *token.Position, text string) Node {
	kind := String
	if jsonNumber().MatchString(text) {
		kind = numberKind(text)
	}
	return r.node(kind, at.Line, at.Column, text)
}

func (r *yamlReader) faultAt(p *token.Position, problem string, args ...any) {
	r.found.add(&Fault{Source: r.doc.source, Line: p.Line, Column: p.Column, Problem: fmt.Sprintf(problem, args...)})
}
