package main

import (
	"fmt"
	"io"
	"strings"

	enforcementv1 "github.com/Huzefaaa2/cavra/go/cavra-runtime/enforcement/v1"
)

// show prints a decision and compares it with what is expected.
func (c *cli) show(resp *enforcementv1.DecisionResponse, stdout, stderr io.Writer) int {
	if err := c.print(resp, stdout); err != nil {
		return fail(stderr, "the decision cannot be printed", err)
	}
	return c.expect(resp, stderr)
}

// expect compares a decision with what is expected.
func (c *cli) expect(resp *enforcementv1.DecisionResponse, stderr io.Writer) int {
	if expected := c.ExpectDecision; expected != "" && expected != resp.Decision {
		return fail(stderr, "the decision is not the expected one", fmt.Errorf("%s was expected, and it is %s by %s: %s", expected, resp.Decision, resp.RuleID, resp.Reason))
	}
	if expected := c.ExpectRule; expected != "" && expected != resp.RuleID {
		return fail(stderr, "the rule is not the expected one", fmt.Errorf("%s was expected, and it is %s: %s", expected, resp.RuleID, resp.Reason))
	}
	return exitOK
}

// print writes a decision: one line of JSON, or at a terminal a few lines for the
// one who sits there.
func (c *cli) print(resp *enforcementv1.DecisionResponse, stdout io.Writer) (err error) {
	switch {
	case c.Quiet:
	case c.JSON || !terminalOf(stdout).is:
		_, err = stdout.Write(append(resp.AppendJSON(nil), '\n'))
	default:
		_, err = io.WriteString(stdout, readable(resp, paintFor(stdout)))
	}
	return err
}

// readable words a decision for a terminal. The reason quotes what was asked, and
// the rest may too, so nothing of it reaches the terminal but printable ASCII.
func readable(resp *enforcementv1.DecisionResponse, p paint) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s  %s", p.verdict(resp.Decision, printable(resp.Decision)), printable(resp.RuleID))
	if resp.Severity != "" {
		fmt.Fprintf(&b, "  %s", p.verdict(resp.Severity, printable(resp.Severity)))
	}
	fmt.Fprintf(&b, "\n  %s\n", printable(resp.Reason))
	if resp.ApproverGroup != "" {
		fmt.Fprintf(&b, "  to be approved by %s\n", printable(resp.ApproverGroup))
	}
	for _, ref := range resp.EvidenceRefs {
		fmt.Fprintf(&b, "  %s\n", printable(ref))
	}
	return b.String()
}
