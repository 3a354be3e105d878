// Package evaluate is the stage that judges: it looks at what a request is about
// to do and allows it, puts it to approval or blocks it, by a compiled policy, a
// trust registry of MCP servers and the rules of release governance.
//
// It promises:
//
//   - The strictest verdict wins. A file is judged in every form that its path
//     has, a command line command by command, as a shell would run it, and one
//     block is enough.
//   - What cannot be understood is never allowed.
//   - Everything that can be prepared is prepared when the stage is made:
//     patterns are compiled once, and matching takes linear time.
//   - The runtime's own files are kept under every policy.
//   - A decision names its rule, the list and the pattern that decided, and the
//     exact policy by the hash of its bytes.
//
// It is pure but for one thing: the directories of a file target are looked at for
// a repository (.git), for links and for whether names fold, unless an earlier form
// has already decided.
package evaluate

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/hashicorp/go-hclog"

	"github.com/Huzefaaa2/cavra/go/cavra-runtime/document"
	enforcementv1 "github.com/Huzefaaa2/cavra/go/cavra-runtime/enforcement/v1"
	"github.com/Huzefaaa2/cavra/go/cavra-runtime/pipeline"
)

// Stage judges requests. It never changes once it is made.
type Stage struct {
	choice          *chooser
	registry        *registry // nil where there is none
	place           *place
	own             *ownFiles
	proofForRelease bool
}

// New makes the stage, loading and checking all that the options name. The error
// holds every fault of every file.
func New(o Options, env pipeline.Env) (*Stage, error) {
	log := env.Log
	if log == nil {
		log = hclog.NewNullLogger()
	}
	choice, faults := newChooser(o.Policy, o.PolicyPacks, log)
	s := &Stage{choice: choice, proofForRelease: o.RequireProvenIdentityForRelease}
	if o.Registry != "" {
		var err error
		s.registry, err = loadRegistry(o.Registry, log)
		faults = document.Join(faults, err)
	}
	if env.Workspace != "" && !filepath.IsAbs(env.Workspace) {
		faults = document.Join(faults, fmt.Errorf("workspace: %s is not absolute; name the directory from the root", quote(env.Workspace)))
	}
	if faults != nil {
		return nil, faults
	}
	s.place = newPlace(env.Workspace, orTrue(o.ResolveLinks))
	s.own = newOwnFiles(env.Files, s.place)
	if s.registry != nil {
		s.registry.compare(choice.all(), log)
	}
	return s, nil
}

// DefaultPolicyPack is what a response calls its policy_pack where the request
// named none: the id of the loaded policy, or the pack that judges.
func (s *Stage) DefaultPolicyPack() string {
	if s.choice.only != nil {
		return s.choice.only.id
	}
	return s.choice.first.id
}

// Describe names what judges.
func (s *Stage) Describe() string {
	c, registry := s.choice, ""
	if s.registry != nil {
		registry = "; MCP calls by the trust registry"
	}
	switch {
	case c.only != nil:
		return "every request by " + c.only.ref + registry
	case c.pinned != nil:
		return "by the pack that the request picks of " + strings.Join(c.pinned, ", ") + registry
	}
	return "by any built-in pack that the request picks, else by " + c.first.id + registry
}

// Spec says that the stage decides on a decoded request from a known identity.
func (s *Stage) Spec() pipeline.Spec {
	return pipeline.Spec{
		Name:  "evaluate",
		Phase: pipeline.Decide,
		Needs: pipeline.FactRequest | pipeline.FactIdentity,
		Gives: pipeline.FactDecision,
	}
}

// Handle judges the request of the exchange.
func (s *Stage) Handle(_ context.Context, x *pipeline.Exchange) error {
	d, err := s.decide(x.Request(), x, nil)
	if err != nil {
		return err
	}
	x.SetDecision(d)
	return nil
}

// decide is the decision on a request, or the block that says why there is none.
// A recorder, where there is one, hears how it comes about; it has no say in it.
func (s *Stage) decide(req *enforcementv1.EvaluateRequest, x *pipeline.Exchange, r *recorder) (pipeline.Decision, error) {
	if holdsNUL(req) {
		return pipeline.Decision{}, errNUL
	}
	p, err := s.choice.policyFor(req.PolicyPack)
	if err != nil {
		return pipeline.Decision{}, err
	}
	d, err := s.judge(r.listenTo(p), req, x)
	d.PolicyID, d.PolicyRef = p.id, p.ref
	return d, err
}

var errNUL = pipeline.Block("request.invalid", "target, cwd or another member that is judged holds a NUL character, at which the system would end it; send it without")

// holdsNUL reports whether what is judged would be something else to the system,
// which ends a path and an argument at a NUL.
func holdsNUL(req *enforcementv1.EvaluateRequest) bool {
	for _, s := range [...]string{req.Target, req.Cwd, req.Operation, req.RequestedOperation, req.Server, req.Tool, req.Capability} {
		if strings.IndexByte(s, 0) >= 0 {
			return true
		}
	}
	return false
}

var unknownAction = row{enforcementv1.DecisionRequireApproval, "runtime.default.require_approval", enforcementv1.SeverityMedium, repositoryOwners}

// judge finds the rules for the kind of action.
func (s *Stage) judge(p *policy, req *enforcementv1.EvaluateRequest, x *pipeline.Exchange) (pipeline.Decision, error) {
	switch action := pipeline.ActionType(req); action {
	case enforcementv1.ActionReadFile:
		return s.judgeRead(p, req)
	case enforcementv1.ActionWriteFile:
		return s.judgeWrite(p, req)
	case enforcementv1.ActionExecuteCommand:
		return s.judgeCommand(p, req)
	case enforcementv1.ActionGitOperation:
		return judgeGit(p, req), nil
	case enforcementv1.ActionMCPToolCall:
		return s.judgeMCP(p, req)
	case enforcementv1.ActionReleaseGovernanceRecord:
		if s.proofForRelease && !p.rec.proven(x) {
			return pipeline.Decision{}, errUnprovenRelease
		}
		return judgeRelease(req), nil
	default:
		return unknownAction.because("no rule knows the action_type " + quote(action) + "; " + suggestAction(action)), nil
	}
}

var knownActions = []string{
	enforcementv1.ActionReadFile, enforcementv1.ActionWriteFile, enforcementv1.ActionExecuteCommand,
	enforcementv1.ActionGitOperation, enforcementv1.ActionMCPToolCall, enforcementv1.ActionReleaseGovernanceRecord,
}

// suggestAction says what to do about an action_type that no rule knows.
func suggestAction(action string) string {
	const ask = "ask for approval, or send one of "
	if len(action) <= mostQuoted { // looking for the nearest takes time
		if near := document.Nearest(action, knownActions); near != "" {
			return "did you mean " + near + "? Otherwise ask for approval"
		}
	}
	return ask + strings.Join(knownActions, ", ")
}
