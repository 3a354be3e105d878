package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/Huzefaaa2/cavra/go/cavra-runtime/document"
	enforcementv1 "github.com/Huzefaaa2/cavra/go/cavra-runtime/enforcement/v1"
	"github.com/Huzefaaa2/cavra/go/cavra-runtime/pipeline"
	"github.com/Huzefaaa2/cavra/go/cavra-runtime/stages/evaluate"
)

// policyTest judges the cases of --policy-test and prints where the decisions are
// not the expected ones.
func policyTest(c *cli, stdout, stderr io.Writer) int {
	cases, err := readCases(c.PolicyTest)
	if err != nil {
		fail(stderr, "the cases cannot be tried", err)
		return exitUsage
	}
	stage, err := c.evaluator(stderr)
	if err != nil {
		fail(stderr, "the policy cannot be tried", err)
		return exitUsage
	}
	result := testResult{Cases: len(cases), Differences: []difference{}}
	for i := range cases {
		got := stage.Judge(cases[i].request, pipeline.Anonymous)
		if d := cases[i].compare(got); d != nil {
			result.Differences = append(result.Differences, *d)
		}
	}
	if c.JSON {
		err = printJSON(stdout, &result)
	} else {
		_, err = io.WriteString(stdout, result.text(paintFor(stdout)))
	}
	switch {
	case err != nil:
		return fail(stderr, "the result cannot be printed", err)
	case len(result.Differences) > 0:
		return exitFailed
	}
	return exitOK
}

// A testCase is a request and what is expected of the decision on it.
type testCase struct {
	name    string
	line    int
	request *enforcementv1.EvaluateRequest
	expect  expectation
}

// An expectation is what a decision should say; what is empty may be anything.
type expectation struct {
	Decision      string `json:"decision"`
	RuleID        string `json:"rule_id"`
	Severity      string `json:"severity"`
	ApproverGroup string `json:"approver_group"`
}

// A testResult is what --policy-test prints.
type testResult struct {
	Cases       int          `json:"cases"`
	Differences []difference `json:"differences"`
}

// A difference is a case whose decision is not the expected one.
type difference struct {
	Name    string           `json:"name"`
	Line    int              `json:"line"`
	Members []memberDiff     `json:"members"`
	Got     evaluate.Verdict `json:"got"`
}

// A memberDiff is a member of the decision that is not as expected.
type memberDiff struct {
	Member string `json:"member"`
	Want   string `json:"want"`
	Got    string `json:"got"`
}

// compare says where a verdict differs from what is expected, or nil.
func (c *testCase) compare(got evaluate.Verdict) *difference {
	d := difference{Name: c.name, Line: c.line, Got: got}
	for _, m := range []memberDiff{
		{"decision", c.expect.Decision, got.Decision}, {"rule_id", c.expect.RuleID, got.RuleID},
		{"severity", c.expect.Severity, got.Severity}, {"approver_group", c.expect.ApproverGroup, got.ApproverGroup},
	} {
		if m.Want != "" && m.Want != m.Got {
			d.Members = append(d.Members, m)
		}
	}
	if d.Members == nil {
		return nil
	}
	return &d
}

// text is the result for people.
func (r *testResult) text(p paint) string {
	var b strings.Builder
	for _, d := range r.Differences {
		fmt.Fprintf(&b, "line %d: %s\n", d.Line, plainText(d.Name))
		for _, m := range d.Members {
			b.WriteString("  " + p.verdict(enforcementv1.DecisionBlock, "- "+m.Member+": "+plainText(m.Want)) + "\n")
			b.WriteString("  " + p.verdict(enforcementv1.DecisionAllow, "+ "+m.Member+": "+plainText(or(m.Got, "(none)"))) + "\n")
		}
		b.WriteString("    " + plainText(d.Got.Reason) + "\n")
	}
	fmt.Fprintf(&b, "cases: %d, differing: %d\n", r.Cases, len(r.Differences))
	return b.String()
}

// readCases reads the file of --policy-test. The error holds every fault of it.
func readCases(path string) ([]testCase, error) {
	text, err := document.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("%w; name the file of the cases", err)
	}
	root, err := document.Parse(path, text)
	if root == nil {
		return nil, err
	}
	if root.Kind() != document.List || len(root.Items()) == 0 {
		return nil, document.Join(err, root.Fault("wants a list of cases, each with a request and what to expect of it"))
	}
	r := &caseReader{}
	r.add(err)
	cases := make([]testCase, len(root.Items()))
	for i := range root.Items() {
		cases[i] = r.read(&root.Items()[i], i)
	}
	return cases, document.Join(r.faults...)
}

// A caseReader reads cases and gathers what is wrong with them.
type caseReader struct{ faults []error }

func (r *caseReader) add(err error) {
	if err != nil {
		r.faults = append(r.faults, err)
	}
}

// read reads one case: a request in full, or the action and its target in short
// with the members of a request beside it.
func (r *caseReader) read(n *document.Node, i int) testCase {
	c := testCase{name: fmt.Sprintf("case %d", i+1), line: n.Line()}
	if n.Kind() != document.Map {
		r.add(n.Fault("wants a case: a map of request and expect"))
		return c
	}
	full := n.Get("request")
	var short []requestMember
	action, unknown := "", false
	for _, m := range n.Members() {
		v := m.Value()
		switch {
		case m.Key == "name":
			r.add(document.Decode(v, &c.name))
		case m.Key == "request":
		case m.Key == "expect":
			r.expect(v, &c.expect)
		case slices.Contains(shortActions, m.Key):
			if action != "" {
				r.add(m.Fault("a case has one action; write another case"))
				continue
			}
			action = m.Key
			names := "target"
			if action == enforcementv1.ActionGitOperation {
				names = "operation" // as in push origin main
			}
			short = append(short, requestMember{"action_type", document.Value(v.Source(), action)}, requestMember{names, v})
		case full == nil && slices.Contains(shortMembers, m.Key):
			short = append(short, requestMember{m.Key, v})
		default:
			unknown = true
			if near := document.Nearest(m.Key, slices.Concat([]string{"name", "request", "expect"}, shortActions, shortMembers)); near != "" {
				r.add(m.Fault("unknown member of a case; did you mean %q?", near))
				continue
			}
			r.add(m.Fault("unknown member of a case; the members are name, request and expect, or one of %s in place of request with %s beside it",
				strings.Join(shortActions, ", "), strings.Join(shortMembers, ", ")))
		}
	}
	switch {
	case full == nil && action == "" && !unknown:
		r.add(n.Fault("the case has no request; write it under request, or in short as one of %s", strings.Join(shortActions, ", ")))
	case full != nil && action != "":
		r.add(full.Fault("the case has a request in full and one in short; keep one of the two"))
	case full != nil && full.Kind() != document.Map:
		r.add(full.Fault("wants a request: a map of its members"))
	case full != nil:
		var members []requestMember
		for _, m := range full.Members() {
			members = append(members, requestMember{m.Key, m.Value()})
		}
		c.request = r.request(members)
	default:
		c.request = r.request(short)
	}
	if n.Get("expect") == nil {
		r.add(n.Fault("the case expects nothing; write what the decision should be under expect"))
	}
	return c
}

// shortActions are the actions that a case can name with its target, and
// shortMembers what can stand beside them.
var (
	shortActions = []string{enforcementv1.ActionReadFile, enforcementv1.ActionWriteFile, enforcementv1.ActionExecuteCommand, enforcementv1.ActionGitOperation, enforcementv1.ActionMCPToolCall}
	shortMembers = []string{"cwd", "policy_pack", "capability"}
)

// A requestMember is one member of a request in a file.
type requestMember struct {
	key   string
	value *document.Node
}

// request reads a request as strictly as a daemon does, member by member, so that
// each fault is told.
func (r *caseReader) request(members []requestMember) *enforcementv1.EvaluateRequest {
	whole, faults := []byte{'{'}, len(r.faults)
	for _, m := range members {
		member := nodeJSON(append(enforcementv1.AppendString(nil, m.key), ':'), m.value)
		_, err := enforcementv1.DecodeRequest(slices.Concat([]byte{'{'}, member, []byte{'}'}))
		if malformed := (*enforcementv1.DecodeError)(nil); errors.As(err, &malformed) {
			inner := strings.TrimPrefix(strings.TrimPrefix(malformed.Member, m.key), ".") // of a member that holds others
			r.add(m.value.Fault("%s", strings.TrimSpace(inner+" "+malformed.Problem)))
		}
		if len(whole) > 1 {
			whole = append(whole, ',')
		}
		whole = append(whole, member...)
	}
	if len(r.faults) > faults {
		return nil
	}
	req, err := enforcementv1.DecodeRequest(append(whole, '}'))
	r.add(err)
	return req
}

// nodeJSON appends a value of a document as JSON.
func nodeJSON(b []byte, n *document.Node) []byte {
	switch n.Kind() {
	case document.String:
		return enforcementv1.AppendString(b, n.Text())
	case document.Map:
		b = append(b, '{')
		for i, m := range n.Members() {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(enforcementv1.AppendString(b, m.Key), ':')
			b = nodeJSON(b, m.Value())
		}
		return append(b, '}')
	case document.List:
		b = append(b, '[')
		for i := range n.Items() {
			if i > 0 {
				b = append(b, ',')
			}
			b = nodeJSON(b, &n.Items()[i])
		}
		return append(b, ']')
	case document.Null:
		return append(b, "null"...)
	}
	return append(b, n.Text()...)
}

// expect reads what is expected: a decision by itself, or members of it.
func (r *caseReader) expect(n *document.Node, into *expectation) {
	if n.Kind() == document.String {
		into.Decision = n.Text()
	} else if err := document.Decode(n, into); err != nil {
		r.add(err)
		return
	}
	at := func(member string) *document.Node {
		if v := n.Get(member); v != nil {
			return v
		}
		return n
	}
	decisions := []string{enforcementv1.DecisionAllow, enforcementv1.DecisionRequireApproval, enforcementv1.DecisionBlock}
	if into.Decision != "" && !slices.Contains(decisions, into.Decision) {
		r.add(at("decision").Fault("there is no such decision; write one of %s", strings.Join(decisions, ", ")))
	}
	severities := []string{enforcementv1.SeverityLow, enforcementv1.SeverityMedium, enforcementv1.SeverityHigh, enforcementv1.SeverityCritical}
	if into.Severity != "" && !slices.Contains(severities, into.Severity) {
		r.add(at("severity").Fault("there is no such severity; write one of %s", strings.Join(severities, ", ")))
	}
	if *into == (expectation{}) {
		r.add(n.Fault("expects nothing; write decision, rule_id, severity or approver_group"))
	}
}
