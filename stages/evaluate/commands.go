package evaluate

import (
	"fmt"
	"strings"

	enforcementv1 "github.com/Huzefaaa2/cavra/go/cavra-runtime/enforcement/v1"
	"github.com/Huzefaaa2/cavra/go/cavra-runtime/pipeline"
)

var (
	commandBlock      = row{enforcementv1.DecisionBlock, "commands.block", enforcementv1.SeverityHigh, ""}
	commandCritical   = row{enforcementv1.DecisionBlock, "commands.block", enforcementv1.SeverityCritical, ""}
	commandApprove    = row{enforcementv1.DecisionRequireApproval, "commands.require_approval", enforcementv1.SeverityMedium, repositoryOwners}
	commandAllow      = row{enforcementv1.DecisionAllow, "commands.allow", enforcementv1.SeverityLow, ""}
	commandDefault    = row{enforcementv1.DecisionRequireApproval, "commands.default.require_approval", enforcementv1.SeverityMedium, repositoryOwners}
	commandUnresolved = row{enforcementv1.DecisionRequireApproval, "commands.unresolved", enforcementv1.SeverityMedium, repositoryOwners}
)

var errNoCommand = pipeline.Block("request.invalid", "target is empty; give the command line that is to run")

// judgeCommand judges a command line by its text. It does not know the shell's
// grammar: a line is allowed only where it is one command of plain words, and the
// lists that restrict are asked about every piece that might be a command.
func (s *Stage) judgeCommand(p *policy, req *enforcementv1.EvaluateRequest) (pipeline.Decision, error) {
	if strings.TrimSpace(req.Target) == "" {
		return pipeline.Decision{}, errNoCommand
	}
	line := readLine(req.Target)

	blocked := func(reason, text string) pipeline.Decision {
		if holdsCritical(req.Target) || holdsCritical(text) {
			return commandCritical.because(reason)
		}
		return commandBlock.because(reason)
	}
	for i := range line.readings {
		r := &line.readings[i]
		if n := p.blockCommand.match(r.text); n >= 0 {
			return blocked(p.blockCommand.reason(r.subject(), n), r.text), nil
		}
	}
	for i := range line.readings {
		if r := &line.readings[i]; s.own.mentionedIn(r.text, req.Cwd, s.place) {
			return blocked(r.subject()+" touches one of the runtime's own files, which it keeps from those it judges; leave it alone", r.text), nil
		}
	}
	for i := range line.readings {
		r := &line.readings[i]
		if n := p.approveCommand.match(r.text); n >= 0 {
			return commandApprove.because(p.approveCommand.reason(r.subject(), n)), nil
		}
	}
	if line.unresolved != "" {
		return commandUnresolved.because("the command holds " + line.unresolved +
			", so what would run cannot be told from its text; send plain commands one by one, or ask for approval"), nil
	}
	allowed := -1
	for i := range line.readings {
		if !line.readings[i].faithful {
			continue
		}
		if allowed = p.allowCommand.match(line.readings[i].text); allowed < 0 {
			return commandDefault.because("no pattern in commands.allow matches the command; ask for approval"), nil
		}
		if pattern := p.allowCommand.patterns[allowed].text; isPath(line.readings[i].text) && !isPath(pattern) && pattern != "*" {
			return commandDefault.because("the command is named by a path, and the pattern " + quote(pattern) + " in commands.allow names none; call it by its name, or ask for approval"), nil
		}
	}
	return commandAllow.because("the command matches " + quote(p.allowCommand.patterns[allowed].text) + " in commands.allow"), nil
}

// isPath reports whether the first word of a command line or of a pattern is a
// path: cat/../evil is not cat.
func isPath(line string) bool {
	first, _, _ := strings.Cut(line, " ")
	return strings.Contains(first, "/")
}

func holdsCritical(text string) bool {
	return strings.Contains(text, "apply") || strings.Contains(text, "delete")
}

// A reading is one text that a command line may amount to.
type reading struct {
	how      string // what was done to the line, for reasons; empty for the line as written
	text     string
	faithful bool // an allow must hold for it as well
}

func (r *reading) subject() string {
	if r.how == "" {
		return "the command"
	}
	return "the command, " + r.how + ","
}

// A commandLine is a command line read as text.
type commandLine struct {
	readings   []reading
	unresolved string // what keeps it from being one command of plain words; empty where it is one
}

// shellOperators are the characters that can join, redirect or hide a command,
// wherever in the line they stand.
const shellOperators = ";&|\n`<>$"

// What a byte of a command line can do.
const (
	plainByte = iota
	blankByte
	quoteByte
	globByte // stands for file names outside quotes
	operatorByte
	dollarByte
	groupByte // parts a line outside quotes
	braceByte
	controlByte
)

var byteKinds = func() (kinds [256]uint8) {
	for c := range 0x20 {
		kinds[c] = controlByte
	}
	kinds[0x7f] = controlByte
	for kind, bytes := range map[uint8]string{
		blankByte: " \t", quoteByte: `'"\`, operatorByte: ";&|\n`<>", dollarByte: "$", groupByte: "()", braceByte: "{", globByte: "*?[~",
	} {
		for i := range bytes {
			kinds[bytes[i]] = kind
		}
	}
	return kinds
}()

// readLine takes a command line apart. Its time is linear in the length of the
// line.
func readLine(text string) commandLine {
	line := commandLine{readings: []reading{{"", text, true}}}
	pieces, spaced, quoted, braced := false, false, false, false
	var quote byte // the one that is open, or 0
	for i := 0; i < len(text); i++ {
		kind := byteKinds[text[i]]
		if kind == plainByte {
			continue
		}
		switch kind {
		case blankByte:
			spaced = spaced || text[i] == '\t' || i == 0 || i == len(text)-1 || text[i+1] == ' '
		case quoteByte:
			quoted = true
			switch {
			case quote == text[i]:
				quote = 0
			case text[i] == '\\' && quote != '\'':
				if i++; i == len(text) {
					line.doubt("a backslash at its end", 0)
				} else if k := byteKinds[text[i]]; k == operatorByte || k == dollarByte || k == controlByte {
					i-- // escaped or not, it is looked at
				}
			case quote == 0 && text[i] != '\\':
				quote = text[i]
			}
		case operatorByte:
			pieces = true
			line.doubt("the shell operator "+operatorName(text[i]), i)
		case dollarByte:
			if quote != '\'' || strings.HasPrefix(text[i:], "$(") {
				pieces = true
				line.doubt("a $", i)
			}
		case groupByte:
			pieces = true
			if quote == 0 {
				line.doubt("a parenthesis", i)
			}
		case braceByte:
			// Whatever stands between, a list needs a comma and a range two dots.
			if quote != 0 || braced {
				break
			}
			if braced = true; strings.Contains(text[i:], ",") || strings.Contains(text[i:], "..") {
				line.doubt("a brace that the shell may expand", i)
			}
		case globByte:
			switch {
			case quote != 0:
			case text[i] != '~':
				line.doubt("a "+string(text[i])+" that stands for file names", i)
			case i == 0 || strings.IndexByte(" \t=:", text[i-1]) >= 0:
				line.doubt("a ~ that stands for a home directory", i)
			}
		case controlByte:
			line.doubt("a control character", i)
		}
	}
	if quote != 0 {
		line.doubt("a quote that is not closed", 0)
	}
	if name := loaderVariable(text); name != "" {
		line.doubt("an assignment "+name+", which can change what a command runs", 0)
	}

	if spaced {
		line.add("with single blanks", singleBlanks(text), true)
	}
	if quoted {
		line.add("without its quotes", singleBlanks(unquote(text)), false)
	}
	if pieces {
		line.addPieces(text)
	}
	return line
}

// doubt notes the first thing that keeps the line from being one plain command,
// and where it stands if that is to be told.
func (l *commandLine) doubt(what string, at int) {
	if l.unresolved != "" {
		return
	}
	l.unresolved = what
	if at > 0 {
		l.unresolved += fmt.Sprintf(" at byte %d", at)
	}
}

func operatorName(c byte) string {
	if c == '\n' {
		return "newline"
	}
	return `"` + string(rune(c)) + `"`
}

func (l *commandLine) add(how, text string, faithful bool) {
	if text != "" {
		l.readings = append(l.readings, reading{how, text, faithful})
	}
}

// mostPieces bounds how many pieces of a line are judged by themselves. A line
// with more is not allowed for its operators, so it loses no more than a block.
const mostPieces = 256

// addPieces adds what stands between the operators of a line, each by itself,
// as it may be a command. Operators inside quotes part the line too: a piece too
// many is judged, not one too few.
func (l *commandLine) addPieces(text string) {
	from := 0
	for i := 0; i <= len(text); i++ {
		if i < len(text) {
			if k := byteKinds[text[i]]; k != operatorByte && k != dollarByte && k != groupByte {
				continue
			}
		}
		if i > from {
			how := fmt.Sprintf("in its piece at byte %d", from)
			piece := withoutKeywords(singleBlanks(text[from:i]))
			l.add(how, piece, false)
			if bare := singleBlanks(unquote(piece)); bare != piece {
				l.add(how+" without its quotes", bare, false)
			}
		}
		from = i + 1
		if len(l.readings) >= mostPieces {
			l.doubt(fmt.Sprintf("more than %d pieces", mostPieces), 0)
			return
		}
	}
}

// withoutKeywords takes off the words of the shell's grammar that can stand
// before a command.
func withoutKeywords(piece string) string {
	for {
		first, rest, found := strings.Cut(piece, " ")
		switch first {
		case "then", "do", "else", "elif", "if", "while", "until", "!", "{", "time":
		default:
			return piece
		}
		if !found {
			return ""
		}
		piece = rest
	}
}

// loaders are variables that make a command run something else than its words
// say. One that ends in "_" stands for all that begin so.
var loaders = []string{
	"LD_", "DYLD_", "GIT_SSH", "GIT_SSH_", "GIT_CONFIG", "GIT_CONFIG_", "GIT_EXEC_PATH", "GIT_PAGER", "GIT_EDITOR", "GIT_SEQUENCE_EDITOR",
	"GIT_ASKPASS", "SSH_ASKPASS", "GIT_EXTERNAL_DIFF", "GIT_PROXY_COMMAND", "PATH", "IFS", "ENV", "BASH_ENV", "SHELLOPTS", "BASHOPTS",
	"PS4", "PROMPT_COMMAND", "PAGER", "EDITOR", "VISUAL", "BROWSER", "NODE_OPTIONS", "NODE_PATH", "PYTHONPATH", "PYTHONHOME",
	"PYTHONSTARTUP", "PERL5OPT", "PERL5LIB", "PERLLIB", "RUBYOPT", "RUBYLIB", "JAVA_TOOL_OPTIONS", "_JAVA_OPTIONS", "JDK_JAVA_OPTIONS",
}

// loaderVariable says which loader variable a line assigns before its command;
// empty where there is none. A quoted value may hold blanks, so what follows it
// is not looked for.
func loaderVariable(line string) string {
	for {
		line = strings.TrimLeft(line, " \t")
		end := strings.IndexAny(line, " \t")
		if end < 0 {
			end = len(line)
		}
		name, _, assigns := strings.Cut(line[:end], "=")
		if !assigns {
			return ""
		}
		name = strings.TrimSuffix(name, "+")
		for _, l := range loaders {
			if name == l || strings.HasSuffix(l, "_") && strings.HasPrefix(name, l) {
				return "to " + l
			}
		}
		if strings.ContainsAny(line[:end], "'\"\\") {
			return "of a quoted value"
		}
		line = line[end:]
	}
}

// singleBlanks trims a text and makes each run of blanks in it one space.
func singleBlanks(text string) string {
	return strings.Join(strings.FieldsFunc(text, func(r rune) bool { return r == ' ' || r == '\t' }), " ")
}

// unquote takes the quotes and the backslashes out of a text, as the shell does
// with those around and inside a word. An escaped newline goes altogether.
func unquote(text string) string {
	b := make([]byte, 0, len(text))
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\' && i+1 < len(text):
			if i++; text[i] != '\n' {
				b = append(b, text[i])
			}
		case c == '\'' || c == '"' || c == '\\':
		default:
			b = append(b, c)
		}
	}
	return string(b)
}
