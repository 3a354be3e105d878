package conn

import (
	"context"
	"errors"
	"fmt"

	enforcementv1 "github.com/Huzefaaa2/cavra/go/cavra-runtime/enforcement/v1"
)

// What a decision that is no allow is, as an error. A DecisionError wraps one of
// them.
var (
	// ErrBlocked means that the action must not be taken.
	ErrBlocked = errors.New("blocked")
	// ErrApprovalRequired means that somebody must approve the action first: the
	// group that the response names.
	ErrApprovalRequired = errors.New("approval required")
)

// A DecisionError is a decision that is no allow.
type DecisionError struct {
	Response *enforcementv1.DecisionResponse
}

// Error names the rule and gives its reason.
func (e *DecisionError) Error() string {
	r := e.Response
	switch e.Unwrap() {
	case ErrApprovalRequired:
		who := r.ApproverGroup
		if who == "" {
			who = "somebody"
		}
		return fmt.Sprintf("%v of %s by %s: %s (decision %s)", ErrApprovalRequired, who, r.RuleID, r.Reason, r.DecisionID)
	default:
		return fmt.Sprintf("%v by %s: %s (decision %s)", ErrBlocked, r.RuleID, r.Reason, r.DecisionID)
	}
}

// Unwrap is ErrApprovalRequired, or ErrBlocked for everything that is neither
// that nor an allow.
func (e *DecisionError) Unwrap() error {
	if e.Response.Decision == enforcementv1.DecisionRequireApproval {
		return ErrApprovalRequired
	}
	return ErrBlocked
}

// Allowed is nil for an allow, and a *DecisionError for any other decision.
func Allowed(resp *enforcementv1.DecisionResponse) error {
	if resp.Decision == enforcementv1.DecisionAllow {
		return nil
	}
	return &DecisionError{resp}
}

// Require asks for a decision and returns nil where the action is allowed, and
// only there. The error is a *DecisionError, or that of Evaluate where there was
// no answer.
func (c *Client) Require(ctx context.Context, req *enforcementv1.EvaluateRequest) error {
	resp, err := c.Evaluate(ctx, req)
	if err != nil {
		return err
	}
	return Allowed(resp)
}
