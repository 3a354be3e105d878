package evaluate

import (
	"fmt"
	"path"
	"slices"
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

// judgeCommand judges a command line as a shell would run it: as text, and by
// each command that it runs, wherever that stands. A line is allowed only where
// every command of it is known and allowed. Plain words that name a command
// without further meaning need no shell to be read.
func (s *Stage) judgeCommand(p *policy, req *enforcementv1.EvaluateRequest) (pipeline.Decision, error) {
	if strings.TrimSpace(req.Target) == "" {
		return pipeline.Decision{}, errNoCommand
	}
	line, sh := p.readCommand(req.Target)
	if sh == nil {
		return s.judgePlain(p, req), nil
	}
	if p.rec != nil {
		p.rec.line(p, line.readings, sh)
	}
	dirs := sh.directories(req.Cwd)

	for i := range line.readings {
		r := &line.readings[i]
		if n := p.blockCommand.match(r.text); n >= 0 {
			if d := line.blocked(p.blockCommand.reason(r.subject(), n)); p.rec.ends(d) {
				return d, nil
			}
		}
	}
	for i := range line.readings {
		for _, dir := range dirs {
			if r := &line.readings[i]; s.own.mentionedIn(r.text, dir, s.place) {
				if d := line.blocked(r.subject() + ownFileReason); p.rec.ends(d) {
					return d, nil
				}
			}
		}
	}
	files := s.judgeFiles(p, sh, dirs)
	if files.Decision == enforcementv1.DecisionBlock && p.rec.ends(files) {
		return files, nil
	}
	if d, found := judgePushes(p, sh); found && p.rec.ends(d) {
		return d, nil
	}
	if files.Decision == enforcementv1.DecisionRequireApproval && p.rec.ends(files) {
		return files, nil
	}
	for i := range line.readings {
		r := &line.readings[i]
		if n := p.approveCommand.match(r.text); n >= 0 {
			if d := commandApprove.because(p.approveCommand.reason(r.subject(), n)); p.rec.ends(d) {
				return d, nil
			}
		}
	}
	if sh.unresolved != "" {
		if d := commandUnresolved.because("the command holds " + sh.unresolved +
			", so what would run cannot be told from its text; send plain commands one by one, or ask for approval"); p.rec.ends(d) {
			return d, nil
		}
	}
	allowed := -1
	for i := range sh.commands {
		c := &sh.commands[i]
		allowed = p.allowCommand.match(c.text())
		if allowed < 0 && len(c.assignments) > 0 && c.setsHarmless() {
			allowed = p.allowCommand.match(texts(c.words))
		}
		if allowed < 0 && c.written != "" && c.setsHarmless() {
			allowed = p.allowCommand.match(c.written)
		}
		subject := "the command"
		if len(sh.commands) > 1 {
			subject = "the part " + quote(c.text()) + " of the command"
		}
		why := ""
		if allowed < 0 {
			why = "no pattern in commands.allow matches " + subject + "; ask for approval"
		} else {
			why = p.named(c.words[0].text, allowed, subject)
		}
		if why != "" {
			if d := commandDefault.because(why); p.rec.ends(d) {
				return d, nil
			}
		}
	}
	if p.rec.ended() {
		return p.rec.decided, nil
	}
	if len(sh.commands) > 1 {
		return commandAllow.because(fmt.Sprintf("each of the %d commands in it matches a pattern in commands.allow", len(sh.commands))), nil
	}
	return commandAllow.because("the command matches " + quote(p.allowCommand.patterns.texts[allowed]) + " in commands.allow"), nil
}

// readCommand reads a line as all the texts that it may amount to under a policy.
// There is no shell where it is nothing but its text.
func (p *policy) readCommand(text string) (commandLine, *shell) {
	line := readLine(text)
	if line.plain {
		switch {
		case !strings.Contains(text, " -"),
			!p.subcommands.mayHide(text) && !p.arrangements.mayRearrange(text),
			p.rec == nil && p.blockCommand.match(text) >= 0, // nothing is stricter
			!p.respells(text):
			return line, nil
		}
		line.add("", text)
	}
	sh := (&shell{left: mostResolved, traced: p.rec != nil}).read(text)
	line.addHidden(&p.subcommands, sh)
	line.addRearranged(&p.arrangements, sh)
	line.addCommands(sh)
	return line, sh
}

// respells reports whether a line of plain words amounts to more than its text.
func (p *policy) respells(text string) bool {
	words := strings.Split(text, " ")
	sh := &shell{left: mostResolved, commands: []command{{words: make([]shellWord, len(words))}}}
	for i, word := range words {
		sh.commands[0].words[i] = known(word)
	}
	var line commandLine
	line.addHidden(&p.subcommands, sh)
	line.addRearranged(&p.arrangements, sh)
	return len(line.readings) > 0 || sh.unresolved != ""
}

// judgePlain judges a line that is one command of plain words.
func (s *Stage) judgePlain(p *policy, req *enforcementv1.EvaluateRequest) pipeline.Decision {
	line := commandLine{readings: []reading{{text: req.Target}}}
	if n := p.blockCommand.match(req.Target); n >= 0 {
		if d := line.blocked(p.blockCommand.reason("the command", n)); p.rec.ends(d) {
			return d
		}
	}
	if s.own.mentionedIn(req.Target, req.Cwd, s.place) {
		if d := line.blocked("the command" + ownFileReason); p.rec.ends(d) {
			return d
		}
	}
	if n := p.approveCommand.match(req.Target); n >= 0 {
		if d := commandApprove.because(p.approveCommand.reason("the command", n)); p.rec.ends(d) {
			return d
		}
	}
	allowed := p.allowCommand.match(req.Target)
	if allowed < 0 {
		return commandDefault.because("no pattern in commands.allow matches the command; ask for approval")
	}
	first, _, _ := strings.Cut(req.Target, " ")
	if why := p.named(first, allowed, "the command"); why != "" {
		return commandDefault.because(why)
	}
	return commandAllow.because("the command matches " + quote(p.allowCommand.patterns.texts[allowed]) + " in commands.allow")
}

const ownFileReason = " touches one of the runtime's own files, which it keeps from those it judges; leave it alone"

// named says why a command named by a path is not what the allow pattern means,
// or "": cat/../evil is not cat.
func (p *policy) named(first string, allowed int, subject string) string {
	pattern := p.allowCommand.patterns.texts[allowed]
	if !strings.Contains(first, "/") || isPath(pattern) || pattern == "*" {
		return ""
	}
	return subject + " is named by a path, and the pattern " + quote(pattern) + " in commands.allow names none; call it by its name, or ask for approval"
}

// mostFiles bounds how many files of a line are judged, since each may cost a
// look at the file system.
const mostFiles = 256

// directories are those that a line may run its commands in: the one it is
// started in, and from each of them the ones it changes to. Which command runs
// where is not followed.
func (sh *shell) directories(cwd string) []string {
	dirs := []string{cwd}
	for _, move := range sh.moves {
		for _, dir := range dirs {
			// It is not cleaned: behind a link ".." may lead elsewhere.
			if dir == "" || isAbs(move) {
				dir = move
			} else {
				dir += "/" + move
			}
			if !slices.Contains(dirs, dir) {
				dirs = append(dirs, dir)
			}
		}
	}
	sh.reads, sh.writes = append(sh.reads, sh.readTrees...), append(sh.writes, sh.writeTrees...)
	slices.Sort(sh.reads)
	slices.Sort(sh.writes)
	sh.reads, sh.writes = slices.Compact(sh.reads), slices.Compact(sh.writes)
	if (len(sh.reads)+len(sh.writes))*len(dirs) > mostFiles {
		sh.doubt(fmt.Sprintf("more than %d files", mostFiles))
	}
	return dirs
}

// judgeFiles is the strictest verdict on the files that a line reads and writes,
// from each directory that it may stand in.
func (s *Stage) judgeFiles(p *policy, sh *shell, dirs []string) pipeline.Decision {
	strictest := readAllow.because("")
	files := append(slices.Clone(sh.reads), sh.writes...)
	for i, file := range files[:min(len(files), mostFiles)] {
		judge, verb := s.judgeRead, "reads "
		if i >= len(sh.reads) {
			judge, verb = s.judgeWrite, "writes "
		}
		for _, dir := range dirs {
			d, err := judge(p, &enforcementv1.EvaluateRequest{Target: file, Cwd: dir})
			if tree := s.judgeTree(p, sh, file, dir, i >= len(sh.reads)); tree.Decision == enforcementv1.DecisionBlock {
				d, err = tree, nil
			}
			if err != nil || d.Decision == enforcementv1.DecisionAllow {
				continue // an empty name opens nothing
			}
			d.Reason = "the command " + verb + quote(file) + ": " + d.Reason
			block := d.Decision == enforcementv1.DecisionBlock
			if strictest.Decision == enforcementv1.DecisionAllow || block && strictest.Decision != enforcementv1.DecisionBlock {
				strictest = d
			}
			if goesOn := p.rec.weighed(d); block && !goesOn {
				return d
			}
		}
	}
	return strictest
}

// judgeTree blocks a directory that is taken with all that is in it where a rule
// names what is in it: by that directory, that is, for a rule like **/.env would
// keep everybody from looking through their own sources.
func (s *Stage) judgeTree(p *policy, sh *shell, dir, cwd string, writes bool) pipeline.Decision {
	list, trees, row := &p.blockRead, sh.readTrees, readBlock
	if writes {
		list, trees, row = &p.blockWrite, sh.writeTrees, writeBlock
	}
	if !slices.Contains(trees, dir) {
		return pipeline.Decision{}
	}
	forms := s.place.formsOf(dir, cwd, list)
	for i := 0; ; i++ {
		form, ok := forms.at(i)
		if !ok {
			break
		}
		if n := list.under(form.text); n >= 0 {
			return row.because(list.reason(form.subject()+" and what is in it", n))
		}
	}
	switch form, n := forms.matchFolded(list, list.underFolded); {
	case n >= 0:
		return row.because(list.reason(form.subject()+" and what is in it", n))
	case forms.asked && forms.unresolved != "":
		return row.because(unresolvedReason(&forms))
	}
	return pipeline.Decision{}
}

// under is the first pattern that names what is in a directory, or -1.
func (list *ruleList) under(dir string) int {
	if dir == "." || dir == "/" || dir == "" {
		return -1
	}
	if n := list.match(dir + "/*"); n >= 0 {
		return n
	}
	for i, pattern := range list.patterns.texts {
		if within(dir, pattern) {
			return i
		}
	}
	return -1
}

// judgePushes finds a git push among the commands that the rules for git block.
func judgePushes(p *policy, sh *shell) (pipeline.Decision, bool) {
	for i := range sh.commands {
		operation := pushIn(sh.commands[i].words)
		if operation == "" {
			continue
		}
		d := judgeGit(p, &enforcementv1.EvaluateRequest{Operation: operation})
		if d.Decision == enforcementv1.DecisionBlock {
			d.Reason = "the command pushes: " + d.Reason
			return d, true
		}
	}
	return pipeline.Decision{}, false
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
	how  string // what was done to the line, for reasons; empty for the line as written
	text string
	part bool // it is a command that the line runs
}

func (r *reading) subject() string {
	switch {
	case r.part:
		return "the command, in its part " + quote(r.text) + ","
	case r.how == "":
		return "the command"
	case r.how == respeltHow:
		return "the command, which is the same as " + quote(r.text) + ","
	}
	return "the command, " + r.how + ","
}

// A commandLine is a command line as text.
type commandLine struct {
	readings []reading
	plain    bool // it is one command of plain words
}

func (l *commandLine) add(how, text string) {
	if text != "" {
		l.readings = append(l.readings, reading{how: how, text: text})
	}
}

// blocked is the decision on a line of which something is blocked.
func (l *commandLine) blocked(reason string) pipeline.Decision {
	for i := range l.readings {
		if holdsCritical(l.readings[i].text) {
			return commandCritical.because(reason)
		}
	}
	return commandBlock.because(reason)
}

// addCommands adds the commands that were found in the line. Where some were not
// found the pieces of the line are added too, as they may be commands.
func (l *commandLine) addCommands(sh *shell) {
	for i := range sh.commands {
		c := &sh.commands[i]
		for _, text := range c.spellings() {
			l.readings = append(l.readings, reading{text: text, part: true})
		}
	}
	for i := range sh.suspects {
		for _, text := range sh.suspects[i].spellings() {
			if sh.suspects[i].respelt {
				l.add(respeltHow, text)
				continue
			}
			l.readings = append(l.readings, reading{text: text, part: true})
		}
	}
	if sh.unresolved != "" {
		l.addPieces(l.readings[0].text)
	}
}

// text is the command as an allow pattern must match it.
func (c *command) text() string {
	return texts(slices.Concat(c.assignments, c.words))
}

// spellings are the texts that a pattern may mean the command by.
func (c *command) spellings() []string {
	list := []string{texts(c.words)}
	if len(c.assignments) > 0 {
		list = append(list, c.text())
	}
	if slices.ContainsFunc(c.words, func(w shellWord) bool { return w.bare != w.text || w.text == "" }) {
		if bare := bares(c.words); bare != list[0] {
			list = append(list, bare)
		}
	}
	for _, text := range list {
		if first, rest, _ := strings.Cut(text, " "); strings.Contains(first, "/") {
			list = append(list, strings.TrimSuffix(path.Base(first)+" "+rest, " "))
		}
	}
	return list
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

// readLine reads a command line as text. Its time is linear in the length of the
// line.
func readLine(text string) commandLine {
	line := commandLine{plain: true}
	quoted := false
	for i := range len(text) {
		switch byteKinds[text[i]] {
		case plainByte:
			continue
		case blankByte:
			// A word that begins with # is a comment, which the shell reader knows.
			if text[i] == ' ' && i > 0 && i < len(text)-1 && text[i+1] != ' ' && text[i+1] != '#' {
				continue
			}
		case quoteByte:
			quoted = true
		}
		line.plain = false
	}
	if first, rest, _ := strings.Cut(text, " "); line.plain && (!special(first, text) || first == "git" && onlyLooks(rest)) {
		return line
	}
	line.plain = false
	line.add("", text)
	if single := singleBlanks(text); single != text {
		line.add("with single blanks", single)
	}
	if quoted {
		line.add("without its quotes", singleBlanks(unquote(text)))
	}
	return line
}

// gitLooks are words after git with which it runs nothing further, names no file
// and pushes nothing, in whatever order they stand.
var gitLooks = map[string]bool{
	"status": true, "log": true, "diff": true, "branch": true, "remote": true, "--short": true, "--branch": true, "--porcelain": true,
	"--oneline": true, "--graph": true, "--stat": true, "--cached": true, "--staged": true, "--name-only": true, "-s": true, "-v": true, "-a": true,
}

// onlyLooks reports whether git with these words is what agents run most: it needs
// no shell to be read.
func onlyLooks(words string) bool {
	for word := range strings.SplitSeq(words, " ") {
		if !gitLooks[word] {
			return false
		}
	}
	return true
}

// mostPieces bounds how many pieces of a line are judged by themselves. A line in
// pieces is never allowed, so one with more loses no more than a block.
const mostPieces = 256

// addPieces adds what stands between the operators of a line, each by itself,
// as it may be a command. Operators inside quotes part the line too: a piece too
// many is judged, not one too few.
func (l *commandLine) addPieces(text string) {
	from, n := 0, 0
	for i := 0; i <= len(text); i++ {
		if i < len(text) {
			if k := byteKinds[text[i]]; k != operatorByte && k != dollarByte && k != groupByte {
				continue
			}
		}
		if i > from {
			if n++; n > mostPieces {
				return
			}
			how := fmt.Sprintf("in its piece at byte %d", from)
			piece := withoutKeywords(singleBlanks(text[from:i]))
			l.add(how, piece)
			if bare := singleBlanks(unquote(piece)); bare != piece {
				l.add(how+" without its quotes", bare)
			}
		}
		from = i + 1
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

// singleBlanks trims a text and makes each run of blanks in it one space.
func singleBlanks(text string) string {
	if !strings.Contains(text, "  ") && strings.IndexByte(text, '\t') < 0 && strings.Trim(text, " ") == text {
		return text
	}
	return strings.Join(strings.FieldsFunc(text, func(r rune) bool { return r == ' ' || r == '\t' }), " ")
}

// unquote takes the quotes and the backslashes out of a text, as the shell does
// with those around and inside a word. An escaped newline goes altogether.
func unquote(text string) string {
	if !strings.ContainsAny(text, `'"\`) {
		return text
	}
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
