package evaluate

import (
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"

	enforcementv1 "github.com/Huzefaaa2/cavra/go/cavra-runtime/enforcement/v1"
	"github.com/Huzefaaa2/cavra/go/cavra-runtime/pipeline"
)

// A recorder listens to how a decision comes about. There is none in ordinary
// use: its methods take a nil one, and then cost nothing.
//
// With a recorder, what judges goes on after the verdict that would have ended
// it, so that the others are found as well. The first one stays the decision.
type recorder struct {
	stage  *Stage
	proof  bool // the request comes from a proven identity
	action string
	policy *policy

	told    Explanation
	decided pipeline.Decision // the first verdict that would have ended it
	seen    map[[2]string]bool
	hows    map[string]string // what was done to the target to get a text
}

// listenTo is a copy of p that tells the recorder what is matched against it; p
// itself where there is no recorder.
func (r *recorder) listenTo(p *policy) *policy {
	if r == nil {
		return p
	}
	q := *p
	q.rec = r
	for _, list := range q.lists() {
		list.rec = r
	}
	r.policy = &q
	return &q
}

// lists are all lists of a policy.
func (p *policy) lists() []*ruleList {
	return []*ruleList{
		&p.blockRead, &p.blockWrite, &p.approveWrite, &p.blockCommand, &p.approveCommand, &p.allowCommand,
		&p.allowedServers, &p.blockedServers, &p.protectedBranches,
	}
}

// ends notes a verdict that decides, unless one before it has, and reports
// whether judging ends there.
func (r *recorder) ends(d pipeline.Decision) bool {
	if r == nil {
		return true
	}
	if !r.ended() {
		r.decided = d
	}
	r.weighed(d)
	return false
}

// ended reports whether judging would have ended.
func (r *recorder) ended() bool { return r != nil && r.decided.RuleID != "" }

// weighed notes a verdict that decides nothing by itself, and reports whether
// judging goes on to find more.
func (r *recorder) weighed(d pipeline.Decision) bool {
	if r == nil {
		return false
	}
	if v := verdictOn(d); !slices.Contains(r.told.Verdicts, v) {
		r.told.Verdicts = append(r.told.Verdicts, v)
	}
	return true
}

// proven reports whether a request comes from a proven identity.
func (r *recorder) proven(x *pipeline.Exchange) bool {
	if r == nil {
		return x.Identity().Proven()
	}
	return r.proof
}

// tried notes that text was matched against a list, of which pattern i matched,
// or none where that is negative.
func (r *recorder) tried(list *ruleList, text string, i int) {
	key := [2]string{list.name, text}
	if r.seen[key] || len(list.patterns.texts) == 0 {
		return
	}
	r.seen[key] = true
	t := Trial{Text: shown(text), How: r.hows[text], List: list.name, Of: len(list.patterns.texts)}
	if i >= 0 {
		t.Match = &Match{i, list.patterns.texts[i]}
	}
	r.told.Tried = append(r.told.Tried, t)
}

// try matches a text against lists, for no more than to tell.
func (r *recorder) try(text, how string, lists ...*ruleList) {
	if _, known := r.hows[text]; !known {
		r.hows[text] = how
	}
	for _, list := range lists {
		list.match(text)
	}
}

// file notes a file and all its forms.
func (r *recorder) file(access string, req *enforcementv1.EvaluateRequest, forms *forms, lists ...*ruleList) {
	f := FoundFile{Access: access, Path: shown(req.Target), From: shown(req.Cwd)}
	for i := 0; ; i++ {
		form, ok := forms.at(i)
		if !ok {
			break
		}
		how := form.how
		if how == "" {
			how = "as written"
		}
		f.Forms = append(f.Forms, Form{how, shown(form.text)})
		r.try(form.text, how, lists...)
	}
	if r.action == enforcementv1.ActionWriteFile { // a block would end the search for this
		if reason := matchForms(&r.policy.approveWrite, nil, forms); reason != "" {
			r.weighed(writeApprove.because(reason))
		}
	}
	f.Unresolved = forms.unresolved
	r.told.Files = append(r.told.Files, f)
}

// line notes the commands that a line runs, and what it amounts to as text.
func (r *recorder) line(p *policy, readings []reading, sh *shell) {
	r.told.Unresolved = sh.unresolved
	for i := range sh.commands {
		c := &sh.commands[i]
		f := FoundCommand{Text: shown(c.text()), Static: true, Where: c.where}
		for _, w := range slices.Concat(c.assignments, c.words) {
			f.Words = append(f.Words, shown(w.text))
			f.Static = f.Static && w.static
		}
		same := func(o FoundCommand) bool { return o.Text == f.Text && o.Where == f.Where }
		if !slices.ContainsFunc(r.told.Commands, same) {
			r.told.Commands = append(r.told.Commands, f)
		}
		if c.written != "" {
			r.try(c.written, "a command as it stands in the line")
		}
	}
	for i := range readings {
		how := readings[i].how
		switch {
		case readings[i].part:
			how = "a command in the line"
		case how == "":
			how = "as written"
		}
		r.try(readings[i].text, how, &p.blockCommand, &p.approveCommand)
	}
}

// describe fills in what is known of the request without listening: the same
// functions that judge read it once more.
func (r *recorder) describe(req *enforcementv1.EvaluateRequest, judged bool) {
	e := &r.told
	if p := r.policy; p != nil {
		e.Policy = &UsedPolicy{ID: p.id, Ref: p.ref, Source: p.source, Chosen: r.chosen(req)}
		if r.stage.choice.only == nil {
			e.Policy.Source = "the built-in packs"
		}
	}
	if !judged {
		return
	}
	switch r.action {
	case enforcementv1.ActionExecuteCommand:
		if e.Commands == nil && e.Unresolved == "" { // plain words, which need no shell to be read
			e.Commands = []FoundCommand{{Text: shown(req.Target), Words: strings.Fields(shown(req.Target)), Static: true}}
		}
	case enforcementv1.ActionGitOperation:
		r.push(pipeline.Operation(req), req.Target)
	case enforcementv1.ActionMCPToolCall:
		server, tool, _ := serverAndTool(req)
		e.Call = &FoundCall{Server: shown(server), Tool: shown(tool), Capability: shown(req.Capability)}
		if registry := r.stage.registry; registry != nil {
			e.Call.Registry = "no entry"
			if entry := registry.servers[server]; entry != nil && server != "" {
				e.Call.Registry = "the entry of " + quote(entry.id) + ": trust_tier " + otherwise(entry.tier, "good") + ", approval_state " + otherwise(entry.state, "approved")
			}
		}
	case enforcementv1.ActionReleaseGovernanceRecord:
		e.Release = releaseFound(req)
	}
}

// chosen says why the policy judges.
func (r *recorder) chosen(req *enforcementv1.EvaluateRequest) string {
	switch {
	case r.stage.choice.only != nil:
		return "it is configured, so it judges every request"
	case req.PolicyPack == "":
		return "the request names no policy_pack, and this is the default"
	}
	return "the request names it as its policy_pack"
}

// push notes a push, where there is one.
func (r *recorder) push(operation, target string) {
	push, found := readPush(operation, target)
	if !found {
		return
	}
	f := FoundPush{Operation: shown(strings.TrimSpace(operation + " " + target)), Unclear: push.unclear}
	for _, name := range push.names {
		if branch := push.branch(name); branch != "" && !slices.Contains(f.Branches, shown(branch)) {
			f.Branches = append(f.Branches, shown(branch))
		}
	}
	r.told.Pushes = append(r.told.Pushes, f)
}

// releaseFound is a release record as judgeRelease compares it.
func releaseFound(req *enforcementv1.EvaluateRequest) *FoundRelease {
	record := req.ReleaseGovernance
	if record == nil {
		return nil
	}
	name := strings.ReplaceAll(otherwise(word(record.MetadataKind), word(req.Target)), "_", "-")
	kind := recordKinds[name]
	return &FoundRelease{
		Kind: shown(name), Known: kind != unknownKind, State: shown(status(record.ApprovalState)),
		Required: record.ApprovalRequiredCount > 0 || kind == requiredKind || kind == executionKind,
		Signal:   otherwise(integritySignal(record), otherSignal(record)),
	}
}

func otherwise(s, instead string) string {
	if s != "" {
		return s
	}
	return instead
}

// longestWhere bounds what is told of where a command stands.
const longestWhere = 160

// in is the scope inside of what place names. Only a line that is explained
// keeps track of that.
func (s scope) in(place string) scope {
	switch {
	case !s.traced || place == "" || len(s.where) > longestWhere:
	case s.where == "":
		s.where = place
	case s.where != place && !strings.HasSuffix(s.where, " > "+place):
		s.where += " > " + place
	}
	return s
}

// structure names what a statement is that holds others; empty where it is none.
func structure(stmt *syntax.Stmt) string {
	switch c := stmt.Cmd.(type) {
	case *syntax.BinaryCmd:
		if c.Op == syntax.AndStmt || c.Op == syntax.OrStmt {
			return "a list"
		}
		return "a pipe"
	case *syntax.Subshell:
		return "a subshell"
	case *syntax.IfClause:
		return "an if"
	case *syntax.WhileClause, *syntax.ForClause:
		return "a loop"
	case *syntax.CaseClause:
		return "a case"
	case *syntax.FuncDecl:
		return "a function"
	case *syntax.CoprocClause:
		return "a coprocess"
	}
	if stmt.Background {
		return "the background"
	}
	return ""
}
