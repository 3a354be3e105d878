package evaluate

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"mvdan.cc/sh/v3/syntax"
)

// The bounds of what is read as a shell script. A script beyond one of them is
// not resolved, so it is never allowed. The parser and the walk recurse, and a
// stack that overflows ends the daemon, so the bounds on a text hold before the
// parser sees it.
const (
	mostScript    = 64 << 10  // bytes of one script
	mostResolved  = 256 << 10 // bytes of all scripts and resolved words of a line
	mostNesting   = 200       // brackets of any kind within each other
	mostOpenings  = 2000      // brackets and operators of a script
	mostCommands  = 512       // commands of a line
	mostUnwrapped = 12        // scripts and wrappers within each other
	mostExpanded  = 256       // words of one brace expansion
	mostMoves     = 4         // changes of directory
)

// tooComplex says in which way a text exceeds the bounds, or "". It knows no
// quotes: what is refused too much is put to approval, and nothing can hide a
// bracket from it. Its time is linear.
func tooComplex(text string) string {
	if len(text) > mostScript {
		return fmt.Sprintf("more than %d bytes of script", mostScript)
	}
	depth, openings := 0, 0
	for i := range len(text) {
		switch c := text[i]; c {
		case '(', '{', '[', '`':
			depth++
			openings++
		case ')', '}', ']':
			depth = max(depth-1, 0)
		case ';', '&', '|', '\n', '<', '>', '$', '!':
			openings++
		case '\t':
		default:
			if byteKinds[c] == controlByte {
				return "a control character"
			}
		}
		if depth > mostNesting {
			return fmt.Sprintf("brackets nested deeper than %d", mostNesting)
		}
		if openings > mostOpenings {
			return fmt.Sprintf("more than %d brackets and operators", mostOpenings)
		}
	}
	return ""
}

// A shell is what came out of reading a command line as a shell would.
type shell struct {
	commands []command
	reads    []string // files
	writes   []string
	moves    []string // directories that the line changes to, in order
	// readTrees and writeTrees are those of the files that are taken with all that
	// is in them, where they are directories.
	readTrees, writeTrees []string
	suspects              []command // what may be a command, to see what is blocked
	suspecting            bool      // this only reads what may be a command
	linked                bool      // it makes a link
	cut                   bool      // a bound was met
	// unresolved is the first thing that keeps some command from being known;
	// empty where every command is.
	unresolved string

	variables []*variable // of all scopes
	tampered  string      // a command that can set variables unseen
	left      int         // of mostResolved
	traced    bool        // where each command stands is noted, to explain
}

// A command is one command that the line runs, with its words resolved.
type command struct {
	words       []shellWord
	assignments []shellWord // NAME=VALUE before it
	// written is its text in the line where its words hold nothing but literal
	// text and quotes; otherwise empty.
	written string
	where   string // how it came to stand in the line; empty unless that is traced
	respelt bool   // it is another spelling of a command of the line
}

// A scope is where a statement stands. It is handed on by value, so that what
// holds in a subshell ends with it.
type scope struct {
	*shell
	source    string // the script
	unwrapped int    // how many scripts and wrappers are around it
	variables map[string]*variable
	sure      bool   // it runs exactly once, in the order of the text
	input     *input // what commands read, if that is no terminal
	where     string // as in command
}

// An input is what a command reads: a script, where that is known.
type input struct {
	script string
	known  bool
}

// read finds every command that a line runs.
func (sh *shell) read(line string) *shell {
	scope{shell: sh, variables: map[string]*variable{}, sure: true}.script(line)
	for _, v := range sh.variables {
		switch {
		case v.used && v.unsure:
			sh.doubt("the variable " + quote(v.name) + ", which may have several values")
		case v.used && sh.tampered != "":
			sh.doubt("the variable " + quote(v.name) + ", which " + quote(sh.tampered) + " may change")
		}
	}
	if sh.linked && len(sh.commands) > 1 {
		sh.doubt("a link that other commands may go through")
	}
	if len(sh.commands) == 0 {
		sh.doubt("no command")
	}
	return sh
}

// doubt notes what cannot be resolved.
func (sh *shell) doubt(what string) {
	if sh.unresolved == "" {
		sh.unresolved = what
	}
}

// limit notes what was not read to its end.
func (sh *shell) limit(what string) {
	sh.cut = true
	sh.doubt(what)
}

// spend takes n bytes from what a line may resolve to, and reports whether there
// were as many.
func (sh *shell) spend(n int) bool {
	if sh.left -= n; sh.left < 0 {
		sh.limit(fmt.Sprintf("words that come to more than %d bytes", mostResolved))
		return false
	}
	return true
}

// deeper is the scope one wrapper further in, and whether that is not too deep.
func (s scope) deeper() (scope, bool) {
	if s.unwrapped++; s.unwrapped > mostUnwrapped {
		s.limit(fmt.Sprintf("more than %d commands within each other", mostUnwrapped))
		return s, false
	}
	return s, true
}

// script reads a text as a script and visits what it runs.
func (s scope) script(text string) {
	if what := tooComplex(text); what != "" {
		s.limit(what)
		return
	}
	s, ok := s.deeper()
	if !ok || !s.spend(len(text)) {
		return
	}
	file, err := parseScript(text)
	if err != nil {
		var at syntax.ParseError
		if errors.As(err, &at) {
			s.doubt(fmt.Sprintf("text that no shell takes, at byte %d", at.Pos.Offset()))
		} else {
			s.doubt("text that no shell takes")
		}
		return
	}
	s.source = text
	if strings.Contains(text, "#") && holdsComment(file) {
		s.doubt("a comment, which not every shell skips")
	}
	s.statements(file.Stmts)
}

// freshParser is what each script is parsed by, and parsers are copies of it.
// What makes a parser costs as much as half of a short script, most of it for
// memory. A copy becomes as fresh as the first again before it is used again, so
// that nothing of one script is left for the next.
var (
	freshParser = *syntax.NewParser(syntax.Variant(syntax.LangBash), syntax.KeepComments(true))
	parsers     = sync.Pool{New: func() any {
		p := freshParser
		return &p
	}}
)

func parseScript(text string) (*syntax.File, error) {
	p := parsers.Get().(*syntax.Parser)
	file, err := p.Parse(strings.NewReader(text), "")
	*p = freshParser
	parsers.Put(p)
	return file, err
}

func holdsComment(file *syntax.File) (found bool) {
	syntax.Walk(file, func(n syntax.Node) bool {
		_, comment := n.(*syntax.Comment)
		found = found || comment
		return !found
	})
	return found
}

// inNewShell is the scope of a script that another shell runs. It sees the
// variables that were exported to it, which is not followed.
func (s scope) inNewShell() scope {
	outer := s.variables
	s.variables = make(map[string]*variable, len(outer))
	for name, v := range outer {
		s.set(name, v.value, true)
	}
	return s
}

// maybe is the scope of what may run never, later or more than once.
func (s scope) maybe() scope {
	s.sure = false
	return s
}

func (s scope) statements(list []*syntax.Stmt) {
	if len(list) > 1 {
		s = s.in("a list")
	}
	for _, stmt := range list {
		s.statement(stmt)
	}
}

func (s scope) statement(stmt *syntax.Stmt) {
	if stmt.Background || stmt.Coprocess || stmt.Disown {
		s.sure = false
	}
	for _, r := range stmt.Redirs {
		if in := s.redirect(r); in != nil {
			s.input = in
		}
	}
	if s.traced {
		s = s.in(structure(stmt))
	}
	switch c := stmt.Cmd.(type) {
	case nil:
	case *syntax.CallExpr:
		s.call(c)
	case *syntax.BinaryCmd:
		s.binary(c)
	case *syntax.Block:
		s.statements(c.Stmts)
	case *syntax.Subshell:
		s.maybe().statements(c.Stmts)
	case *syntax.IfClause:
		for s := s.maybe(); c != nil; c = c.Else {
			s.statements(c.Cond)
			s.statements(c.Then)
		}
	case *syntax.WhileClause:
		s.maybe().statements(c.Cond)
		s.maybe().statements(c.Do)
	case *syntax.ForClause:
		s.loop(c)
	case *syntax.CaseClause:
		s.passive(c.Word)
		for _, item := range c.Items {
			for _, w := range item.Patterns {
				s.passive(w)
			}
			s.maybe().statements(item.Stmts)
		}
	case *syntax.FuncDecl:
		s.input = &input{} // that of whoever calls it
		s.maybe().statement(c.Body)
	case *syntax.TimeClause:
		s.time(c.Stmt)
	case *syntax.CoprocClause:
		s.doubt("a coprocess, which not every shell knows")
		s.maybe().statement(c.Stmt)
	case *syntax.DeclClause:
		s.declare(c)
	case *syntax.TestClause:
		s.passive(c)
	default: // arithmetic, and what other shells have
		s.doubt("arithmetic")
		s.passive(c)
	}
}

// time visits what is timed. Not every shell knows the word: to the others it is
// a command, with options of its own.
func (s scope) time(stmt *syntax.Stmt) {
	if stmt == nil {
		return
	}
	s.statement(stmt)
	if c, ok := stmt.Cmd.(*syntax.CallExpr); ok && len(c.Args) > 0 && strings.HasPrefix(c.Args[0].Lit(), "-") {
		s.run(command{words: append([]shellWord{known("time")}, s.fields(c.Args)...)})
	}
}

func (s scope) binary(c *syntax.BinaryCmd) {
	if c.Op == syntax.AndStmt || c.Op == syntax.OrStmt {
		s.statement(c.X)
		s.maybe().statement(c.Y)
		return
	}
	s = s.maybe()
	if _, timed := c.Y.Cmd.(*syntax.TimeClause); timed {
		s.doubt("a time behind a pipe, which is a command of its own")
	}
	s.statement(c.X)
	s.input = &input{script: echoed(s, c.X)}
	s.statement(c.Y)
}

// echoed is what a statement prints where it is an echo or a printf, as near as
// can be told; it is only looked at for what is blocked.
func echoed(s scope, stmt *syntax.Stmt) string {
	call, ok := stmt.Cmd.(*syntax.CallExpr)
	if !ok || len(call.Args) < 2 {
		return ""
	}
	words := s.fields(call.Args)
	if len(words) < 2 || !slices.Contains([]string{"echo", "printf"}, words[0].base()) {
		return ""
	}
	return texts(words[1:])
}

func (s scope) loop(c *syntax.ForClause) {
	switch l := c.Loop.(type) {
	case *syntax.WordIter:
		value := ""
		for _, w := range l.Items {
			s.passive(w)
			for _, f := range s.fields([]*syntax.Word{w}) {
				value = f.text
			}
		}
		s.assign(l.Name.Value, value, true)
	default:
		s.doubt("arithmetic")
		s.passive(l)
	}
	s.maybe().statements(c.Do)
}

// passive visits the substitutions of what is itself no command. Nothing in it
// may be expanded: that can run commands and set variables.
func (s scope) passive(n syntax.Node) {
	syntax.Walk(n, func(n syntax.Node) bool {
		switch n := n.(type) {
		case *syntax.CmdSubst:
			s.doubt("a substitution")
			s.maybe().in("a substitution").statements(n.Stmts)
			return false
		case *syntax.ProcSubst:
			s.doubt("a substitution")
			s.maybe().in("a substitution").statements(n.Stmts)
			return false
		case *syntax.ParamExp:
			s.doubt("the expansion " + quote(s.text(n)))
			s.taint(n)
		case *syntax.ArithmExp:
			s.doubt("arithmetic")
			s.tampered = "arithmetic"
		case *syntax.BinaryTest:
			// Numbers are arithmetic, which runs what it finds in an index. And to a
			// shell that does not know [[ the others are its operators.
			if n.Op != syntax.TsMatch && n.Op != syntax.TsMatchShort && n.Op != syntax.TsNoMatch {
				s.doubt("a test that can run commands")
			}
		case *syntax.UnaryTest:
			if n.Op == syntax.TsVarSet || n.Op == syntax.TsRefVar {
				s.doubt("a test that can run commands")
			}
		}
		return true
	})
}

// taint notes that an expansion may set its variable.
func (s scope) taint(p *syntax.ParamExp) {
	if p.Exp != nil && (p.Exp.Op == syntax.AssignUnset || p.Exp.Op == syntax.AssignUnsetOrNull) && p.Param != nil {
		s.assign(p.Param.Value, "", true)
	}
}

// redirect notes which file a redirection opens. It returns what the command
// then reads, or nil.
func (s scope) redirect(r *syntax.Redirect) *input {
	if r.N != nil && strings.HasPrefix(r.N.Value, "{") {
		s.assign(strings.Trim(r.N.Value, "{}"), "", true)
	}
	standard := r.N == nil || r.N.Value == "0"
	switch r.Op {
	case syntax.Hdoc, syntax.DashHdoc:
		end := s.text(r.Word)
		name := strings.Trim(end, `'"\`)
		if r.Hdoc == nil && name != "" || !plainName(name) {
			s.doubt("a here-document whose end is not one plain name")
			return &input{}
		}
		quoted := name != end
		if r.Hdoc == nil {
			return &input{}
		}
		body := s.text(r.Hdoc)
		if lit := r.Hdoc.Lit(); lit != "" {
			body = lit
		}
		if !quoted {
			s.passive(r.Hdoc)
		}
		if !standard {
			return nil
		}
		// Between quotes and without them a backslash is another thing.
		return &input{script: body, known: quoted || !strings.ContainsAny(body, "\\$`")}
	case syntax.WordHdoc:
		words := s.fields([]*syntax.Word{r.Word})
		if !standard {
			return nil
		}
		return &input{script: texts(words), known: len(words) == 1 && words[0].static}
	}
	for _, w := range s.fields([]*syntax.Word{r.Word}) {
		switch {
		case r.Op == syntax.DplIn || r.Op == syntax.DplOut:
			if strings.Trim(w.text, "0123456789-") != "" { // >& file
				s.writes = append(s.writes, w.text)
				s.reads = append(s.reads, w.text)
			}
		case w.text == "/dev/null":
		case strings.HasPrefix(w.text, "/dev/tcp/"), strings.HasPrefix(w.text, "/dev/udp/"):
			s.doubt("a connection to another machine")
		case r.Op == syntax.RdrIn:
			s.reads = append(s.reads, w.text)
		case r.Op == syntax.RdrInOut:
			s.reads = append(s.reads, w.text)
			s.writes = append(s.writes, w.text)
		default:
			s.writes = append(s.writes, w.text)
		}
	}
	if standard && (r.Op == syntax.RdrIn || r.Op == syntax.RdrInOut || r.Op == syntax.DplIn) {
		return &input{}
	}
	return nil
}

// plainName reports whether a text is a name to every shell.
func plainName(text string) bool {
	return text != "" && !strings.ContainsFunc(text, func(r rune) bool {
		return r != '_' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	})
}

// call visits a simple command.
func (s scope) call(c *syntax.CallExpr) {
	var assignments []shellWord
	for _, a := range c.Assigns {
		w := s.assignment(a)
		// Before a command an assignment ends with it, or not, as the command is.
		s.assign(a.Name.Value, strings.TrimPrefix(w.text, a.Name.Value+"="), len(c.Args) > 0 || a.Append || a.Value == nil)
		assignments = append(assignments, w)
	}
	words := s.fields(c.Args)
	if len(words) == 0 {
		if len(c.Args) > 0 {
			s.doubt("a command without a name")
		}
		for _, w := range assignments {
			s.note(command{words: []shellWord{w}})
		}
		return
	}
	written := ""
	if literal(c) {
		written = singleBlanks(s.text(c))
	}
	s.run(command{words: words, assignments: assignments, written: written})
}

// note adds a command to what was found, and reports whether there is room.
func (s scope) note(c command) bool {
	if len(s.commands) >= mostCommands {
		s.limit(fmt.Sprintf("more than %d commands", mostCommands))
		return false
	}
	for _, w := range c.words {
		if !s.spend(len(w.text)) {
			return false
		}
	}
	c.where = s.where
	s.commands = append(s.commands, c)
	return true
}

// text is a node as it is written.
func (s scope) text(n syntax.Node) string {
	from, to := int(n.Pos().Offset()), int(n.End().Offset())
	if from < 0 || to > len(s.source) || from > to {
		return ""
	}
	return s.source[from:to]
}
