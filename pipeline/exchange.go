package pipeline

import (
	"errors"
	"fmt"
	"time"

	enforcementv1 "github.com/Huzefaaa2/cavra/go/cavra-runtime/enforcement/v1"
)

// An Exchange is one request on its way to an answer. Stages read it through
// its getters and add to it through its setters; a setter refuses what the
// running stage's Spec does not give, and the chain then treats the stage as
// faulty.
//
// An Exchange belongs to one Run at a time.
type Exchange struct {
	raw     []byte
	peer    Peer
	refused *BlockError // by the reader of the request, before the chain

	request  *enforcementv1.EvaluateRequest
	identity Identity
	decision Decision
	block    *BlockError // ends the Decide phase, or replaces an answer
	slots    []any       // by the bit of the slot's fact

	response         *enforcementv1.DecisionResponse // composed on first use, unredacted
	redactedRequest  *enforcementv1.EvaluateRequest
	redactedResponse *enforcementv1.DecisionResponse
	evidenceRef      string
	ids              string // of the decision and its correlation, once needed

	chain  *Chain
	active *Spec // of the running stage; nil outside Run
	given  Fact
	misuse error
	took   []time.Duration // by stage
}

// A Peer is the process at the other end of the connection, as the kernel
// names it.
type Peer struct {
	Known    bool // false where the system cannot tell
	PID      int32
	UID, GID uint32
}

// An Identity is who asks, and how far that is proven.
type Identity struct {
	// Proof is "none", "hmac/<key_id>" or "oidc/<issuer>"; it stands in the
	// response as runner-auth://<proof>.
	Proof string
	// Runner is the identity that the proof vouches for; zero where there is no
	// proof.
	Runner enforcementv1.RunnerIdentity
}

// Anonymous is the identity of whoever asks while no runner authentication is
// configured.
var Anonymous = Identity{Proof: proofNone}

const proofNone = "none"

// Proven reports whether the identity was proven.
func (i Identity) Proven() bool { return i.Proof != "" && i.Proof != proofNone }

// A Decision is what a Decide stage says of a request that it could judge.
type Decision struct {
	Decision      string // enforcementv1.DecisionAllow, …RequireApproval or …Block
	Severity      string // enforcementv1.SeverityLow to …Critical
	RuleID        string // the rule that decided
	Reason        string // why, and what to do about it
	ApproverGroup string // who may approve; empty where nobody is asked
	PolicyID      string // the policy that decided
	PolicyRef     string // policy://<id>@sha256:<hex>, or empty where no policy decided

	// What was judged, which the response echoes.
	ActionType, Target, RequestedOperation, PolicyPack string
}

// NewExchange begins an exchange with the bytes that a client sent. raw may be
// used again once Run has returned: no stage keeps it, nor a string that shares
// its memory.
func NewExchange(raw []byte, peer Peer) *Exchange {
	return &Exchange{raw: raw, peer: peer}
}

// Reset begins another exchange in the memory of one that has ended.
func (x *Exchange) Reset(raw []byte, peer Peer) {
	took, slots := x.took, x.slots[:0]
	clear(x.slots)
	*x = Exchange{raw: raw, peer: peer, took: took, slots: slots}
}

// Refuse says, before Run, that the request could not be read: too large, too
// late. No Decide stage will run, every Record stage will.
func (x *Exchange) Refuse(e *BlockError) { x.refused = e }

// Raw is what the client sent; nil after redaction.
func (x *Exchange) Raw() []byte { return x.raw }

// Peer is the process that asks.
func (x *Exchange) Peer() Peer { return x.peer }

// Request is the decoded request, as sent, without defaults. It is nil until
// decode has passed and after redaction. Stages must not change it.
func (x *Exchange) Request() *enforcementv1.EvaluateRequest { return x.request }

// SetRequest gives FactRequest.
func (x *Exchange) SetRequest(req *enforcementv1.EvaluateRequest) {
	if req == nil {
		x.misused(errors.New("the request is nil"))
		return
	}
	if x.give(FactRequest) {
		x.request = req
	}
}

// Identity is who asks; zero until auth has passed and after redaction.
func (x *Exchange) Identity() Identity { return x.identity }

// SetIdentity gives FactIdentity. Proof must be set: where nothing is proven,
// give Anonymous.
func (x *Exchange) SetIdentity(id Identity) {
	if id.Proof == "" {
		x.misused(errors.New("the identity says nothing of its proof; give Anonymous where there is none"))
		return
	}
	if x.give(FactIdentity) {
		x.identity = id
	}
}

// Decision is what was decided; zero until evaluate has passed and after
// redaction.
func (x *Exchange) Decision() Decision { return x.decision }

// SetDecision gives FactDecision. Decision, Severity and RuleID must be set.
func (x *Exchange) SetDecision(d Decision) {
	if !validDecision(d.Decision) || !validSeverity(d.Severity) || d.RuleID == "" {
		x.misused(fmt.Errorf("the decision is incomplete: decision %q, severity %q, rule %q", d.Decision, d.Severity, d.RuleID))
		return
	}
	if x.give(FactDecision) {
		x.decision = d
	}
}

// Blocked is the block that ended the Decide phase, or that a failed Record
// stage put in place of the answer; nil where there is none. It is nil again
// after redaction: what was decided stands in the redacted response.
func (x *Exchange) Blocked() *BlockError { return x.block }

// Response is the answer so far, not yet redacted, for the stage that redacts
// it; nil after redaction. Stages must not change it.
func (x *Exchange) Response() *enforcementv1.DecisionResponse {
	if x.response == nil && x.chain != nil && x.given&FactRedacted == 0 {
		x.response = x.chain.compose(x)
	}
	return x.response
}

// Redacted is the request and the response that may be stored and sent; nil
// before redaction. Stages must not change them.
func (x *Exchange) Redacted() (*enforcementv1.EvaluateRequest, *enforcementv1.DecisionResponse) {
	return x.redactedRequest, x.redactedResponse
}

// SetRedacted gives FactRedacted. Neither value may share memory with the
// request or the response that it was made from.
func (x *Exchange) SetRedacted(req *enforcementv1.EvaluateRequest, resp *enforcementv1.DecisionResponse) {
	if req == nil || resp == nil {
		x.misused(errors.New("the redacted request or response is nil"))
		return
	}
	if x.give(FactRedacted) {
		x.redactedRequest, x.redactedResponse = req, resp
	}
}

// SetEvidence gives FactEvidence. ref names the record, as in
// go-daemon-evidence://<record_id>, and joins the response's evidence_refs at
// once, so that the record can hold the response that is sent. It is empty
// where the chain keeps no evidence. Where the stage fails afterwards the chain
// takes the reference out again.
func (x *Exchange) SetEvidence(ref string) {
	if x.redactedResponse == nil {
		x.misused(errors.New("there is no redacted response to refer from"))
		return
	}
	if x.give(FactEvidence) && ref != "" {
		x.evidenceRef = ref
		x.redactedResponse.EvidenceRefs = append(x.redactedResponse.EvidenceRefs, ref)
	}
}

// give notes that the running stage gives f, if it may.
func (x *Exchange) give(f Fact) bool {
	if x.active == nil || x.active.Gives&f == 0 {
		x.misused(fmt.Errorf("its Spec does not give %v", f))
		return false
	}
	x.given |= f
	return true
}

// misused notes the first misuse of a setter; the chain makes it a fault of
// the running stage.
func (x *Exchange) misused(err error) {
	if x.misuse == nil {
		x.misuse = err
	}
}

// begin makes the exchange ready for a run. No exchange enters a chain with a
// decision: setters refuse to act outside a run, and every run ends in forget.
func (x *Exchange) begin(c *Chain) {
	x.block = x.refused
	x.redactedRequest, x.redactedResponse = nil, nil
	x.evidenceRef, x.ids = "", ""
	x.chain, x.given, x.misuse = c, 0, nil
	clear(x.slots)
	if cap(x.took) < len(c.stages) {
		x.took = make([]time.Duration, len(c.stages))
	}
	x.took = x.took[:len(c.stages)]
	clear(x.took)
}

// forget drops everything that redaction must not let through.
func (x *Exchange) forget() {
	x.raw, x.request, x.response, x.block, x.refused = nil, nil, nil, nil, nil
	if x.given&FactIdentity != 0 { // clearing costs more than looking
		x.identity = Identity{}
	}
	if x.given&FactDecision != 0 {
		x.decision = Decision{}
	}
}

func validDecision(d string) bool {
	return d == enforcementv1.DecisionAllow || d == enforcementv1.DecisionRequireApproval || d == enforcementv1.DecisionBlock
}

func validSeverity(s string) bool {
	return s == enforcementv1.SeverityLow || s == enforcementv1.SeverityMedium ||
		s == enforcementv1.SeverityHigh || s == enforcementv1.SeverityCritical
}
