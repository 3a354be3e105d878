package pipeline

import (
	"crypto/rand"
	"encoding/hex"
	"strings"
	"time"

	enforcementv1 "github.com/Huzefaaa2/cavra/go/cavra-runtime/enforcement/v1"
)

// What a response says where the request says nothing.
const (
	defaultSessionID = "local"
	defaultAgentID   = "unknown-agent"
	defaultActor     = "ai-agent"
	baselinePack     = "cavra-ai-agent-baseline"
)

const (
	idHex             = 12 // hex digits of an id
	decisionPrefix    = "dec_"
	correlationPrefix = "corr_"
)

// ActionType is the kind of action that a request is judged as: what it says,
// or release_governance_record where it says nothing and holds a release
// record.
func ActionType(req *enforcementv1.EvaluateRequest) string {
	if req.ActionType == "" && req.ReleaseGovernance != nil {
		return enforcementv1.ActionReleaseGovernanceRecord
	}
	return req.ActionType
}

// Operation is what a request asks to do to its target: operation, else
// requested_operation, else capability. One of blanks alone says nothing.
func Operation(req *enforcementv1.EvaluateRequest) string {
	for _, said := range [...]string{req.Operation, req.RequestedOperation} {
		if strings.TrimSpace(said) != "" {
			return said
		}
	}
	return req.Capability
}

// compose makes the response from what the Decide phase came to.
func (c *Chain) compose(x *Exchange) *enforcementv1.DecisionResponse {
	req, d, proof := x.request, &x.decision, or(x.identity.Proof, proofNone)
	if req == nil {
		req = &enforcementv1.EvaluateRequest{}
	}
	if x.block != nil || x.given&FactDecision == 0 {
		d = &Decision{}
	}
	resp := &enforcementv1.DecisionResponse{
		DecisionID:         x.decisionID(),
		SessionID:          or(req.SessionID, defaultSessionID),
		AgentID:            or(req.AgentID, defaultAgentID),
		Actor:              or(req.Actor, defaultActor),
		ActionType:         or(d.ActionType, ActionType(req)),
		Target:             or(d.Target, req.Target),
		RequestedOperation: or(d.RequestedOperation, Operation(req)),
		PolicyPack:         or(d.PolicyPack, req.PolicyPack),
		PolicyID:           d.PolicyID,
		RuleID:             d.RuleID,
		Decision:           d.Decision,
		Severity:           d.Severity,
		Reason:             d.Reason,
		ApproverGroup:      d.ApproverGroup,
		Timestamp:          time.Now().UTC().Format(time.RFC3339Nano),
		CorrelationID:      x.correlationID(),
	}
	if resp.PolicyPack == "" {
		resp.PolicyPack = c.o.DefaultPolicyPack()
	}
	resp.EvidenceRefs = append(make([]string, 0, 4), "evidence://"+resp.SessionID+"/"+resp.DecisionID)
	if d.PolicyRef != "" {
		resp.EvidenceRefs = append(resp.EvidenceRefs, d.PolicyRef)
	}
	resp.EvidenceRefs = append(resp.EvidenceRefs, "runner-auth://"+proof)
	switch {
	case x.block != nil:
		blockResponse(resp, x.block)
	case x.given&FactDecision == 0:
		// New demands a stage that gives a decision and handle holds it to that,
		// so this is never reached; if it were, it is no allow.
		blockResponse(resp, errNoDecision)
	}
	return resp
}

var errNoDecision = Block("pipeline.fault", "no stage gave a decision, so nothing is allowed").WithSeverity(enforcementv1.SeverityCritical)

// bare makes a block that holds nothing of the request.
func (c *Chain) bare(x *Exchange, block *BlockError) *enforcementv1.DecisionResponse {
	x.makeIDs()
	return c.compose(&Exchange{ids: x.ids, block: block})
}

// replaceAnswer puts a block in place of the answer after a Record stage
// failed. The refs of the policy and of the record go: neither stands behind
// this answer.
func (x *Exchange) replaceAnswer(block *BlockError) {
	if x.given&FactRedacted == 0 {
		x.block, x.response = block, nil
		return
	}
	resp := *x.redactedResponse
	resp.EvidenceRefs = nil
	for _, ref := range x.redactedResponse.EvidenceRefs {
		if ref != x.evidenceRef && !strings.HasPrefix(ref, "policy://") {
			resp.EvidenceRefs = append(resp.EvidenceRefs, ref)
		}
	}
	resp.PolicyID = ""
	blockResponse(&resp, block)
	x.redactedResponse, x.evidenceRef = &resp, ""
}

func blockResponse(resp *enforcementv1.DecisionResponse, block *BlockError) {
	resp.Decision = enforcementv1.DecisionBlock
	resp.RuleID, resp.Severity, resp.Reason, resp.ApproverGroup = block.rule, block.severity, block.reason, ""
}

func (x *Exchange) decisionID() string {
	x.makeIDs()
	return x.ids[:len(decisionPrefix)+idHex]
}

func (x *Exchange) correlationID() string {
	x.makeIDs()
	return x.ids[len(decisionPrefix)+idHex:]
}

// makeIDs draws both ids of the exchange at once, into one string.
func (x *Exchange) makeIDs() {
	if x.ids != "" {
		return
	}
	var random [idHex]byte // half of it for each id
	rand.Read(random[:])   // never fails
	b := make([]byte, 0, len(decisionPrefix)+len(correlationPrefix)+2*idHex)
	b = hex.AppendEncode(append(b, decisionPrefix...), random[:idHex/2])
	b = hex.AppendEncode(append(b, correlationPrefix...), random[idHex/2:])
	x.ids = string(b)
}

func or(s, otherwise string) string {
	if s != "" {
		return s
	}
	return otherwise
}
