package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/hashicorp/go-hclog"

	enforcementv1 "github.com/Huzefaaa2/cavra/go/cavra-runtime/enforcement/v1"
	"github.com/Huzefaaa2/cavra/go/cavra-runtime/pipeline"
	"github.com/Huzefaaa2/cavra/go/cavra-runtime/stages/evaluate"
)

// An explainer is a stage that can say how it decides.
type explainer interface {
	Explain(*enforcementv1.EvaluateRequest, pipeline.Identity) *evaluate.Explanation
}

// An explained decision is what --explain prints.
type explained struct {
	// Response is the answer. It is what counts.
	Response *enforcementv1.DecisionResponse `json:"response"`
	// Note says in which way the explanation is not that of the response; empty
	// where it is.
	Note string `json:"note,omitempty"`
	// Explanation is missing where the request could not be judged at all.
	Explanation *evaluate.Explanation `json:"explanation,omitempty"`
}

// tryFault finds what is wrong with the flags of trying a policy together.
func (c *cli) tryFault() string {
	tries := c.PolicyTest != "" || c.Backtest != ""
	switch {
	case c.Explain && !c.asks():
		return "--explain goes with a request: of --input, or of --daemon"
	case tries && (c.ExpectDecision != "" || c.ExpectRule != ""):
		return "--expect-decision and --expect-rule go with one request"
	case tries && c.Policy == "" && c.PolicyPacks == "" && c.Config == "":
		return "say which policy to try: --policy FILE, --policy-packs NAME, or --config FILE that names one"
	}
	return ""
}

// explainOnce prints the decision of this process with its explanation.
func (c *cli) explainOnce(stage explainer, raw []byte, resp *enforcementv1.DecisionResponse, stdout, stderr io.Writer) int {
	e := explained{Response: resp}
	if stage == nil {
		e.Note = "no stage of this chain can explain itself"
	} else {
		e.add(stage, raw, "this runtime")
	}
	return c.showExplained(&e, stdout, stderr)
}

// explainDaemon prints the decision of the daemon with an explanation that is
// made here, by the policy that the flags name.
func (c *cli) explainDaemon(raw []byte, resp *enforcementv1.DecisionResponse, stdout, stderr io.Writer) int {
	e := explained{Response: resp}
	if stage, err := c.evaluator(stderr); err != nil {
		e.Note = "there is no explanation, since the policy cannot be used here: " + strings.ReplaceAll(err.Error(), "\n", "; ")
	} else {
		e.add(stage, raw, "the daemon")
	}
	return c.showExplained(&e, stdout, stderr)
}

// evaluator is the stage evaluate of the configuration, by itself.
func (c *cli) evaluator(stderr io.Writer) (*evaluate.Stage, error) {
	cfg, err := configure(c, nil)
	if err != nil {
		return nil, err
	}
	log := newLogger(cfg.file.Log, stderr)
	for _, p := range cfg.stages {
		if p.name != "evaluate" {
			continue
		}
		stage, err := p.Build(pipeline.Env{Log: log.Named(p.name), Workspace: cfg.file.Workspace, Files: cfg.ownFiles(hclog.NewNullLogger()), DryRun: true})
		if err != nil {
			return nil, ofStage(p.name, err)
		}
		if s, ok := stage.(*evaluate.Stage); ok {
			return s, nil
		}
	}
	return nil, errors.New("the configuration holds no stage evaluate; list it under stages")
}

// add explains the request and says how far that explains the response of who.
func (e *explained) add(stage explainer, raw []byte, who string) {
	req, err := enforcementv1.DecodeRequest(raw)
	if err != nil {
		e.Note = "the request cannot be read, so it was blocked before any policy was asked"
		return
	}
	e.Explanation = stage.Explain(req, identityOf(e.Response))
	e.Note = e.relate(who)
}

// identityOf is who asked, as far as an answer tells.
func identityOf(resp *enforcementv1.DecisionResponse) pipeline.Identity {
	return pipeline.Identity{Proof: refOf(resp, "runner-auth://")}
}

// refOf is what follows the scheme in the first ref that has it.
func refOf(resp *enforcementv1.DecisionResponse, scheme string) string {
	for _, ref := range resp.EvidenceRefs {
		if rest, ok := strings.CutPrefix(ref, scheme); ok {
			return rest
		}
	}
	return ""
}

// relate says in which way the explanation is not that of the response.
func (e *explained) relate(who string) string {
	const policyRef = "policy://"
	resp, told := e.Response, e.Explanation
	same := resp.Decision == told.Decision && resp.RuleID == told.RuleID
	theirs, ours := refOf(resp, policyRef), ""
	if told.Policy != nil {
		ours = strings.TrimPrefix(told.Policy.Ref, policyRef)
	}
	switch {
	case theirs == "" && same: // a request that no policy can judge
		return ""
	case theirs == "":
		return "the block is by " + rulesStage(resp.RuleID) + " and not by a policy; below stands what the policy named here would have said"
	case theirs != ours:
		return who + " did not judge by the policy that explains here: its policy is " + theirs + ", this one is " + or(ours, "none") +
			"; name the right one with --policy FILE, with --policy-packs, or with --config FILE as " + who + " has it"
	case !same:
		return "the policy is the same, and " + who + " decided otherwise than is explained here: the workspace, the registry, the runtime's own files or the file system differ; give --config FILE as " + who + " has it"
	}
	return ""
}

func or(s, otherwise string) string {
	if s != "" {
		return s
	}
	return otherwise
}

// rulesStage names what answers with a rule that no policy has.
func rulesStage(rule string) string {
	area, what, _ := strings.Cut(rule, ".")
	switch {
	case what == "fault":
		return "the stage " + area + ", which failed"
	case area == "runner_auth":
		return "the stage auth"
	case area == "request":
		return "the reading of the request"
	case area == "evidence":
		return "the stage evidence"
	case area == "server" || area == "peer":
		return "the server"
	case area == "policy":
		return "the choice of the policy"
	}
	return "another stage (" + rule + ")"
}

// showExplained prints a decision with its explanation, and compares it with
// what is expected.
func (c *cli) showExplained(e *explained, stdout, stderr io.Writer) int {
	var err error
	if c.JSON {
		err = printJSON(stdout, e)
	} else {
		_, err = io.WriteString(stdout, tree(e, paintFor(stdout)))
	}
	if err != nil {
		return fail(stderr, "the explanation cannot be printed", err)
	}
	return c.expect(e.Response, stderr)
}

// printJSON prints v as one line of JSON, in ASCII: what turns or hides text must
// not reach a terminal.
func printJSON(w io.Writer, v any) error {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		return err
	}
	_, err := w.Write(asciiJSON(b.Bytes()))
	return err
}

// asciiJSON escapes what is not ASCII in JSON text.
func asciiJSON(text []byte) []byte {
	out := make([]byte, 0, len(text))
	for len(text) > 0 {
		r, size := utf8.DecodeRune(text)
		switch {
		case r < utf8.RuneSelf && r != 0x7f:
			out = append(out, text[0])
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			out = fmt.Appendf(out, `\u%04x\u%04x`, high, low)
		default:
			out = fmt.Appendf(out, `\u%04x`, r)
		}
		text = text[size:]
	}
	return out
}
