package evaluate

import (
	"strings"

	enforcementv1 "github.com/Huzefaaa2/cavra/go/cavra-runtime/enforcement/v1"
	"github.com/Huzefaaa2/cavra/go/cavra-runtime/pipeline"
)

var (
	readBlock       = row{enforcementv1.DecisionBlock, "filesystem.read.block", enforcementv1.SeverityHigh, ""}
	readAllow       = row{enforcementv1.DecisionAllow, "filesystem.read.allow", enforcementv1.SeverityLow, ""}
	readUnresolved  = row{enforcementv1.DecisionRequireApproval, "filesystem.read.unresolved", enforcementv1.SeverityHigh, platformSecurity}
	writeBlock      = row{enforcementv1.DecisionBlock, "filesystem.write.block", enforcementv1.SeverityHigh, ""}
	writeApprove    = row{enforcementv1.DecisionRequireApproval, "filesystem.write.require_approval", enforcementv1.SeverityHigh, platformSecurity}
	writeUnresolved = row{enforcementv1.DecisionRequireApproval, "filesystem.write.unresolved", enforcementv1.SeverityHigh, platformSecurity}
	writeAllow      = row{enforcementv1.DecisionAllow, "filesystem.write.allow", enforcementv1.SeverityLow, ""}
)

var errNoFile = pipeline.Block("request.invalid", "target is empty; name the file that is to be read or written")

// judgeRead and judgeWrite ask each row about every form before the next row, so
// the strictest verdict wins whichever form it is of.

func (s *Stage) judgeRead(p *policy, req *enforcementv1.EvaluateRequest) (pipeline.Decision, error) {
	if req.Target == "" {
		return pipeline.Decision{}, errNoFile
	}
	forms := s.place.formsOf(req.Target, req.Cwd, &p.blockRead)
	if p.rec != nil {
		p.rec.file("read", req, &forms, &p.blockRead)
	}
	if reason := matchForms(&p.blockRead, s.own.holdsSecret, &forms); reason != "" {
		return readBlock.because(reason), nil
	}
	if reason := noPath(req); reason != "" {
		return readUnresolved.because(reason), nil
	}
	if forms.unresolved != "" {
		return readUnresolved.because(unresolvedReason(&forms)), nil
	}
	return readAllow.because("no pattern in filesystem.block_read matches the target"), nil
}

func (s *Stage) judgeWrite(p *policy, req *enforcementv1.EvaluateRequest) (pipeline.Decision, error) {
	if req.Target == "" {
		return pipeline.Decision{}, errNoFile
	}
	forms := s.place.formsOf(req.Target, req.Cwd, &p.blockWrite, &p.approveWrite)
	if p.rec != nil {
		p.rec.file("write", req, &forms, &p.blockWrite, &p.approveWrite)
	}
	if reason := matchForms(&p.blockWrite, s.own.keeps, &forms); reason != "" {
		return writeBlock.because(reason), nil
	}
	if reason := matchForms(&p.approveWrite, nil, &forms); reason != "" {
		return writeApprove.because(reason), nil
	}
	if reason := noPath(req); reason != "" {
		return writeUnresolved.because(reason), nil
	}
	if forms.unresolved != "" {
		return writeUnresolved.because(unresolvedReason(&forms)), nil
	}
	return writeAllow.because("no pattern in filesystem.block_write or filesystem.require_approval_write matches the target"), nil
}

// noPath says why a target, or the cwd that it is taken from, is not the path that
// it looks like, or "": tools that know addresses or home directories open
// another file.
func noPath(req *enforcementv1.EvaluateRequest) string {
	for _, name := range [...]struct{ member, text string }{{"target", req.Target}, {"cwd", req.Cwd}} {
		if len(name.text) > 5 && strings.EqualFold(name.text[:5], "file:") {
			return name.member + " is an address, which not everybody opens alike; name the file by its path, or ask for approval"
		}
		if first, _, deeper := strings.Cut(name.text, "/"); strings.HasPrefix(first, "~") && (deeper || first == "~") {
			return name.member + " begins with a home directory to some and with a name to others; name the file by its whole path, or ask for approval"
		}
	}
	return ""
}

// unresolvedReason says why a target is not allowed though no pattern matches it:
// what it leads to might.
func unresolvedReason(forms *forms) string {
	return "the target " + forms.unresolved + ", so which file it is cannot be told; name the file itself, or ask for approval"
}

// matchForms is the reason why a form of the target is on the list, or is one of
// the runtime's own files, where own tells those; empty where none is.
func matchForms(list *ruleList, own func(abs string) bool, forms *forms) string {
	for i := 0; ; i++ {
		form, ok := forms.at(i)
		if !ok {
			break
		}
		if n := list.match(form.text); n >= 0 {
			return list.reason(form.subject(), n)
		}
		if own != nil && own(form.text) {
			return form.subject() + " is one of the runtime's own files, which it keeps from those it judges; leave it alone"
		}
	}
	if form, n := forms.matchFolded(list, list.matchFolded); n >= 0 {
		return list.reason(form.subject(), n)
	}
	return ""
}
