package evaluate

import (
	"errors"
	"fmt"

	"github.com/Huzefaaa2/cavra/go/cavra-runtime/document"
	enforcementv1 "github.com/Huzefaaa2/cavra/go/cavra-runtime/enforcement/v1"
	"github.com/Huzefaaa2/cavra/go/cavra-runtime/pipeline"
)

// Examples say in a policy what must be answered, and are asked when it is loaded,
// of the code that judges requests. The file system is left out of it, so that a
// policy loads on every machine or on none: links are not resolved, repositories
// not looked for, and the workspace is the same everywhere.

const (
	// exampleWorkspace is the workspace in which examples are asked.
	exampleWorkspace = "/workspace"
	// The examples of a policy are bounded in number and in the bytes of what they
	// ask, since each of them is judged at every start.
	mostExamples     = 2000
	mostExampleBytes = 256 << 10
)

type (
	policyExamples struct {
		// What must be allowed.
		Allow exampleNodes `json:"allow"`
		// What must be put to approval.
		RequireApproval exampleNodes `json:"require_approval"`
		// What must be blocked.
		Block   exampleNodes      `json:"block"`
		Unknown []document.Member `json:",unknown"`
	}
	// An exampleFile is an example that is more than a command line.
	exampleFile struct {
		// A command line that is run.
		Command *string `json:"command"`
		// A file that is read.
		Read *string `json:"read"`
		// A file that is written.
		Write *string `json:"write"`
		// What follows git push, such as origin main.
		Push *string `json:"push"`
		// A tool that is called, as server:tool. The policy alone judges it, not a
		// trust registry.
		MCP *string `json:"mcp"`
		// The directory that it is asked from: absolute, or from the workspace, which
		// is /workspace. Default: not told.
		Cwd *string `json:"cwd"`
		// The rule that must decide, such as commands.block. Default: any.
		Rule *string `json:"rule"`
	}

	// exampleNodes are examples that know where they stand.
	exampleNodes = []*document.Node
)

// An example is a request and the answer that a policy must give.
type example struct {
	at       *document.Node
	asked    string // as the policy has it
	request  enforcementv1.EvaluateRequest
	decision string
	rule     string // empty for any
}

// examples reads the examples of a policy.
func (c *policyCheck) examples(file *policyExamples) []example {
	var list []example
	bytes := 0
	for _, of := range []struct {
		decision string
		nodes    exampleNodes
	}{
		{enforcementv1.DecisionAllow, file.Allow},
		{enforcementv1.DecisionRequireApproval, file.RequireApproval},
		{enforcementv1.DecisionBlock, file.Block},
	} {
		for _, n := range of.nodes {
			if n == nil { // null, which Decode has reported
				continue
			}
			if len(list) == mostExamples {
				c.add(n.Fault("more than %d examples; keep those that say most", mostExamples))
				return nil
			}
			e, err := readExample(n)
			c.add(err)
			e.at, e.decision = n, of.decision
			if bytes += len(e.asked) + len(e.request.Cwd); bytes > mostExampleBytes {
				c.add(n.Fault("more than %v of examples; keep those that say most", document.Bytes(mostExampleBytes)))
				return nil
			}
			list = append(list, e)
		}
	}
	return list
}

// readExample reads one example; the error holds every fault of it.
func readExample(n *document.Node) (e example, err error) {
	var file exampleFile
	switch n.Kind() {
	case document.String:
		text := n.Text()
		file.Command = &text
	case document.Map:
		err = document.Decode(n, &file)
	default:
		return e, n.Fault("wants a command line, or a map that says what is asked, found %v", n.Kind())
	}
	asked := 0
	for _, what := range []struct {
		text              *string
		action, operation string
	}{
		{file.Command, enforcementv1.ActionExecuteCommand, ""},
		{file.Read, enforcementv1.ActionReadFile, ""},
		{file.Write, enforcementv1.ActionWriteFile, ""},
		{file.Push, enforcementv1.ActionGitOperation, "push"},
		{file.MCP, enforcementv1.ActionMCPToolCall, ""},
	} {
		if what.text == nil {
			continue
		}
		asked++
		e.asked = *what.text
		e.request = enforcementv1.EvaluateRequest{ActionType: what.action, Target: *what.text, Operation: what.operation}
	}
	for _, set := range []struct {
		into *string
		text *string
	}{{&e.request.Cwd, file.Cwd}, {&e.rule, file.Rule}} {
		if set.text != nil {
			*set.into = *set.text
		}
	}
	switch {
	case err != nil: // there is enough to mend
	case asked == 0:
		err = n.Fault("asks nothing; write one of command, read, write, push and mcp")
	case asked != 1:
		err = n.Fault("asks %d things; write one of command, read, write, push and mcp", asked)
	case e.asked == "":
		err = n.Fault("asks nothing; write what is asked")
	}
	return e, err
}

// tryExamples judges each example, and reports those that get another answer. What
// a policy says is no secret, so the fault repeats the example.
func (c *policyCheck) tryExamples(p *policy, list []example) {
	if len(list) == 0 {
		return
	}
	s := &Stage{place: &place{workspace: exampleWorkspace}, own: &ownFiles{}}
	for i := range list {
		e := &list[i]
		d := s.answer(p, &e.request)
		if d.Decision == e.decision && (e.rule == "" || e.rule == d.RuleID) {
			continue
		}
		want := e.decision
		if e.rule != "" {
			want += " by " + quote(e.rule)
		}
		c.add(e.at.Fault("%s must be %s and is %s by %s: %s", quote(e.asked), want, d.Decision, d.RuleID, d.Reason))
	}
}

// answer is what the policy says of a request outside of an exchange.
func (s *Stage) answer(p *policy, req *enforcementv1.EvaluateRequest) pipeline.Decision {
	var d pipeline.Decision
	err := error(errNUL)
	if !holdsNUL(req) {
		d, err = s.judge(p, req, nil)
	}
	if block := (*pipeline.BlockError)(nil); errors.As(err, &block) {
		return pipeline.Decision{Decision: enforcementv1.DecisionBlock, RuleID: block.Rule(), Severity: block.Severity(), Reason: block.Reason()}
	} else if err != nil {
		panic(fmt.Sprintf("evaluate: judging an example failed: %v", err)) // every error of judge is a block
	}
	return d
}
