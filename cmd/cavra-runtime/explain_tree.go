package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/Huzefaaa2/cavra/go/cavra-runtime/stages/evaluate"
)

// A treeText is a tree of lines, one indented under the other.
type treeText struct{ strings.Builder }

// line adds a line at a depth. What is not plain ASCII in it is escaped.
func (t *treeText) line(depth int, format string, args ...any) {
	t.WriteString(strings.Repeat("  ", depth) + plainText(fmt.Sprintf(format, args...)) + "\n")
}

// tree is a decision with its explanation, for people.
func tree(e *explained, p paint) string {
	t := &treeText{}
	r := e.Response
	t.WriteString(p.verdict(r.Decision, plainText(r.Decision)) + plainText(" by "+r.RuleID+", severity "+r.Severity))
	if r.ApproverGroup != "" {
		t.WriteString(plainText(", approver " + r.ApproverGroup))
	}
	t.WriteByte('\n')
	t.line(1, "%s", r.Reason)
	if e.Note != "" {
		t.WriteString("\n" + p.verdict("", "note: ") + plainText(e.Note) + "\n")
	}
	if e.Explanation == nil {
		return t.String()
	}
	t.explanation(e.Explanation, p)
	return t.String()
}

func (t *treeText) explanation(e *evaluate.Explanation, p paint) {
	head := func(title string) { t.WriteString("\n" + title + "\n") }

	head("request")
	t.line(1, "%s %s", or(e.Request.ActionType, "no action_type"), cut(e.Request.Target))
	if e.Request.Operation != "" {
		t.line(1, "operation %s", cut(e.Request.Operation))
	}
	t.line(1, "cwd %s, workspace %s", orNone(e.Request.Cwd), orNone(e.Request.Workspace))
	if e.Request.Defaults != nil {
		t.line(1, "left out, so the default holds: %s", strings.Join(e.Request.Defaults, ", "))
	}

	head("policy")
	if e.Policy == nil {
		t.line(1, "none was asked")
	} else {
		t.line(1, "%s from %s", e.Policy.Ref, e.Policy.Source)
		t.line(1, "%s", e.Policy.Chosen)
	}
	if t.found(e, head) {
		t.trials(e.Tried, head, p)
	}

	head("verdicts")
	for i, v := range e.Verdicts {
		mark, end := " ", ""
		if i == 0 {
			mark, end = ">", " ("+e.Why+")"
		}
		t.WriteString("  " + mark + " " + p.verdict(v.Decision, plainText(v.Decision)) + plainText(" by "+v.RuleID+", severity "+v.Severity+end) + "\n")
		t.line(3, "%s", v.Reason)
	}
	if e.Advice != nil {
		head("for another decision")
		for _, a := range e.Advice {
			t.line(1, "%s", a)
		}
	}
}

// found tells what was found in the request. It reports whether anything was
// matched.
func (t *treeText) found(e *evaluate.Explanation, head func(string)) bool {
	if e.Commands != nil || e.Unresolved != "" {
		head("commands")
	}
	for _, c := range e.Commands {
		line := cut(c.Text)
		if c.Where != "" {
			line += ", in " + c.Where
		}
		if !c.Static {
			line += ", not all of it known"
		}
		t.line(1, "%s", line)
	}
	if e.Unresolved != "" {
		t.line(1, "not known from the text: %s", e.Unresolved)
	}
	if e.Files != nil {
		head("files")
	}
	for _, f := range e.Files {
		line := f.Access + " " + cut(f.Path)
		if f.From != "" {
			line += " from " + cut(f.From)
		}
		t.line(1, "%s", line)
		for _, form := range f.Forms {
			t.line(2, "%s: %s", form.How, cut(form.Text))
		}
		if f.Unresolved != "" {
			t.line(2, "not all forms are known: it %s", f.Unresolved)
		}
	}
	for _, push := range e.Pushes {
		head("push")
		t.line(1, "%s", cut(push.Operation))
		for _, branch := range push.Branches {
			t.line(2, "could go to %s", cut(branch))
		}
		if push.Unclear != "" {
			t.line(2, "not one plain branch: %s", push.Unclear)
		}
	}
	if c := e.Call; c != nil {
		head("call")
		t.line(1, "server %s, tool %s, capability %s", orNone(c.Server), orNone(c.Tool), orNone(c.Capability))
		t.line(1, "%s", or(c.Registry, "there is no trust registry, so the policy judges"))
	}
	if r := e.Release; r != nil {
		head("release")
		t.line(1, "kind %s, known: %t, approval required: %t, state %s", orNone(r.Kind), r.Known, r.Required, orNone(r.State))
		if r.Signal != "" {
			t.line(1, "%s", r.Signal)
		}
	}
	return len(e.Tried) > 0
}

// trials tells what was matched against which list, by text.
func (t *treeText) trials(trials []evaluate.Trial, head func(string), p paint) {
	head("patterns tried")
	var texts []string
	for _, trial := range trials {
		if !slices.Contains(texts, trial.Text) {
			texts = append(texts, trial.Text)
		}
	}
	const most = 40 // texts; --json holds all
	for i, text := range texts {
		if i == most {
			t.line(1, "and %d texts more; --json holds them", len(texts)-most)
			return
		}
		first := true
		for _, trial := range trials {
			if trial.Text != text {
				continue
			}
			if first {
				t.line(1, "%s%s", cut(text), how(trial.How))
			}
			first = false
			if m := trial.Match; m != nil {
				t.WriteString("    " + p.verdict("", "* ") + plainText(fmt.Sprintf("%s[%d] %s matches", trial.List, m.Index, cut(m.Pattern))) + "\n")
			} else {
				t.line(2, "- %s: none of %d", trial.List, trial.Of)
			}
		}
	}
}

func how(done string) string {
	if done == "" {
		return ""
	}
	return ", " + done
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return cut(s)
}

// longestShown is how many bytes of somebody else's text a line holds.
const longestShown = 200

// cut is somebody else's text in quotes, cut short and in ASCII.
func cut(s string) string {
	if len(s) > longestShown {
		return strconv.QuoteToASCII(strings.ToValidUTF8(s[:longestShown], "")) + "..."
	}
	return strconv.QuoteToASCII(s)
}
