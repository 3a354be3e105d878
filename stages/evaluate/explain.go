package evaluate

import (
	"errors"
	"slices"

	enforcementv1 "github.com/Huzefaaa2/cavra/go/cavra-runtime/enforcement/v1"
	"github.com/Huzefaaa2/cavra/go/cavra-runtime/jwt"
	"github.com/Huzefaaa2/cavra/go/cavra-runtime/pipeline"
)

// An Explanation says how the stage comes to a decision: what it made of the
// request, which patterns it tried, what each of them said, and what would have
// to change for another decision.
//
// Text of the request stands in it as it was sent, but for tokens, which are
// hidden. Whoever shows it to people must escape what turns or hides text.
type Explanation struct {
	// Verdict is the decision: the one that Handle comes to.
	Verdict
	// Why says why it won over the other verdicts.
	Why string `json:"why"`
	// Request is what was judged.
	Request AskedRequest `json:"request"`
	// Policy is what it was judged by; nil where there is no policy to judge by.
	Policy *UsedPolicy `json:"policy,omitempty"`

	// Commands are those that the line runs, wherever they stand in it.
	Commands []FoundCommand `json:"commands,omitempty"`
	// Unresolved is the first thing in the line that cannot be known from its
	// text; empty where all of it is known.
	Unresolved string `json:"unresolved,omitempty"`
	// Files are those that are read or written.
	Files []FoundFile `json:"files,omitempty"`
	// Pushes are the pushes of git.
	Pushes []FoundPush `json:"pushes,omitempty"`
	// Call is the tool that an MCP server is asked for.
	Call *FoundCall `json:"call,omitempty"`
	// Release is what a release record says of itself.
	Release *FoundRelease `json:"release,omitempty"`

	// Tried are the texts that were matched against lists of the policy, in order.
	Tried []Trial `json:"tried,omitempty"`
	// Verdicts are all that were found, the decision first. A verdict that could
	// change nothing any more is not always looked for.
	Verdicts []Verdict `json:"verdicts"`
	// Advice says what would have to change for another decision.
	Advice []string `json:"advice,omitempty"`
}

// A Verdict is what one rule says of a request.
type Verdict struct {
	Decision      string `json:"decision"` // allow, require_approval or block
	RuleID        string `json:"rule_id"`
	Severity      string `json:"severity"` // low to critical
	Reason        string `json:"reason"`
	ApproverGroup string `json:"approver_group,omitempty"`
}

// An AskedRequest is what was judged of a request, with what stands for the
// members that it left out.
type AskedRequest struct {
	ActionType string `json:"action_type"`
	Target     string `json:"target"`
	Operation  string `json:"operation,omitempty"`
	Cwd        string `json:"cwd,omitempty"`
	Workspace  string `json:"workspace,omitempty"` // holds beside cwd
	PolicyPack string `json:"policy_pack"`
	// Defaults are the members that the request left out, of those above.
	Defaults []string `json:"defaults,omitempty"`
}

// A UsedPolicy is the policy that judges.
type UsedPolicy struct {
	ID     string `json:"id"`
	Ref    string `json:"ref"`    // policy://<id>@sha256:<hex of its bytes>, as in a response
	Source string `json:"source"` // the file that it was read from, or the built-in pack
	Chosen string `json:"chosen"` // why this one judges
}

// A FoundCommand is one command of a command line, its words resolved.
type FoundCommand struct {
	Text   string   `json:"text"`
	Words  []string `json:"words"`
	Static bool     `json:"static"`          // every word is known
	Where  string   `json:"where,omitempty"` // what it stands in, outermost first; empty for the line itself
}

// A FoundFile is a file that is read or written, in all its spellings.
type FoundFile struct {
	Access     string `json:"access"`         // read or write
	Path       string `json:"path"`           // as written
	From       string `json:"from,omitempty"` // the directory that it is taken from, where one was given
	Forms      []Form `json:"forms"`
	Unresolved string `json:"unresolved,omitempty"` // why not all forms are known
}

// A Form is one spelling of a file's path.
type Form struct {
	How  string `json:"how"` // what was done to the path
	Text string `json:"text"`
}

// A FoundPush is a push of git.
type FoundPush struct {
	Operation string   `json:"operation"`          // as written
	Branches  []string `json:"branches,omitempty"` // all that its words could mean
	Unclear   string   `json:"unclear,omitempty"`  // why the destination is not one plain branch
}

// A FoundCall is a call of a tool.
type FoundCall struct {
	Server     string `json:"server"`
	Tool       string `json:"tool"`
	Capability string `json:"capability,omitempty"`
	// Registry says which entry of the trust registry decides; empty where the
	// policy does.
	Registry string `json:"registry,omitempty"`
}

// A FoundRelease is a release record as it is compared.
type FoundRelease struct {
	Kind     string `json:"kind"`
	Known    bool   `json:"known"`
	State    string `json:"approval_state"`
	Required bool   `json:"approval_required"`
	Signal   string `json:"signal,omitempty"` // what in it speaks against the release
}

// A Trial is a text that was matched against a list of the policy.
type Trial struct {
	Text string `json:"text"`
	How  string `json:"how,omitempty"` // what was done to the target to get it
	List string `json:"list"`          // as in commands.block
	Of   int    `json:"of"`            // patterns in the list
	// Match is the first pattern that matched; nil where none did.
	Match *Match `json:"match,omitempty"`
}

// A Match is a pattern and where in its list it stands, from 0.
type Match struct {
	Index   int    `json:"index"`
	Pattern string `json:"pattern"`
}

// Explain judges a request of somebody whose identity is id, as Handle does, and
// says how it came to its decision. It runs the code that decides, with a
// recorder that listens.
func (s *Stage) Explain(req *enforcementv1.EvaluateRequest, id pipeline.Identity) *Explanation {
	r := &recorder{stage: s, proof: id.Proven(), action: pipeline.ActionType(req), seen: map[[2]string]bool{}, hows: map[string]string{}}
	d, err := s.decide(req, nil, r)
	d = s.outcome(d, err)
	if !r.ended() {
		r.ends(d)
	} else if d.Decision != enforcementv1.DecisionAllow {
		r.weighed(d)
	}
	e := &r.told
	e.Verdict = verdictOn(r.decided)
	e.Verdicts = slices.Insert(slices.DeleteFunc(e.Verdicts, func(v Verdict) bool { return v == e.Verdict }), 0, e.Verdict)
	e.Why = why(e.Verdicts)
	e.Request = s.asked(req)
	r.describe(req, err == nil)
	e.Advice = r.advise()
	return e
}

// asked is what was judged of a request.
func (s *Stage) asked(req *enforcementv1.EvaluateRequest) AskedRequest {
	a := AskedRequest{
		ActionType: shown(pipeline.ActionType(req)), Target: shown(req.Target), Operation: shown(pipeline.Operation(req)),
		Cwd: shown(req.Cwd), Workspace: s.place.workspace, PolicyPack: shown(req.PolicyPack),
	}
	if req.PolicyPack == "" {
		a.PolicyPack = s.DefaultPolicyPack()
		a.Defaults = append(a.Defaults, "policy_pack")
	}
	if req.ActionType == "" && a.ActionType != "" {
		a.Defaults = append(a.Defaults, "action_type")
	}
	return a
}

// shown is text of a request as an explanation holds it.
func shown(text string) string { return jwt.Hide(text) }

func verdictOn(d pipeline.Decision) Verdict {
	return Verdict{d.Decision, d.RuleID, d.Severity, d.Reason, d.ApproverGroup}
}

// why says why the first verdict won over the others.
func why(verdicts []Verdict) string {
	first, reason := verdicts[0], "it is the strictest verdict"
	for _, v := range verdicts[1:] {
		switch {
		case v.Decision != first.Decision:
		case v.Severity == first.Severity:
			return "none is stricter or more severe, and it was found first"
		default:
			reason = "none is stricter, and it is the most severe"
		}
	}
	if len(verdicts) == 1 {
		return "it is the only verdict"
	}
	return reason
}

// Judge is the decision on a request of somebody whose identity is id, as Handle
// comes to it, and nothing more.
func (s *Stage) Judge(req *enforcementv1.EvaluateRequest, id pipeline.Identity) Verdict {
	if s.proofForRelease && pipeline.ActionType(req) == enforcementv1.ActionReleaseGovernanceRecord {
		return s.Explain(req, id).Verdict // which knows the identity
	}
	return verdictOn(s.outcome(s.decide(req, nil, nil)))
}

// TextOnly is a stage that judges as s does without a look at the file system:
// no link is followed and no repository found. It is for requests of another
// time or machine.
func (s *Stage) TextOnly() *Stage {
	text := *s
	text.place = &place{workspace: s.place.workspace}
	return &text
}

// outcome is what an answer says of what decide came to.
func (s *Stage) outcome(d pipeline.Decision, err error) pipeline.Decision {
	var block *pipeline.BlockError
	switch {
	case errors.As(err, &block):
		return pipeline.Decision{Decision: enforcementv1.DecisionBlock, RuleID: block.Rule(), Severity: block.Severity(), Reason: block.Reason()}
	case err != nil:
		return pipeline.Decision{Decision: enforcementv1.DecisionBlock, RuleID: s.Spec().Name + ".fault", Severity: enforcementv1.SeverityCritical, Reason: "the stage failed"}
	}
	return d
}
