package conn

import (
	"errors"
	"strings"
	"testing"

	enforcementv1 "github.com/Huzefaaa2/cavra/go/cavra-runtime/enforcement/v1"
)

// Nothing but an allow is allowed, however near it comes.
func TestAllowed(t *testing.T) {
	if err := Allowed(&enforcementv1.DecisionResponse{Decision: "allow"}); err != nil {
		t.Errorf("an allow is %v", err)
	}
	for decision, want := range map[string]error{
		"require_approval": ErrApprovalRequired,
		"block":            ErrBlocked, "": ErrBlocked, "ALLOW": ErrBlocked, "allow ": ErrBlocked, "allowed": ErrBlocked, "Require_approval": ErrBlocked,
	} {
		resp := &enforcementv1.DecisionResponse{Decision: decision, RuleID: "some.rule", Reason: "because", DecisionID: "dec_1"}
		err := Allowed(resp)
		var d *DecisionError
		if !errors.Is(err, want) || !errors.As(err, &d) || d.Response != resp {
			t.Errorf("%q is %v, want %v", decision, err, want)
		}
		for _, part := range []string{"some.rule", "because", "dec_1"} {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%q: %q does not say %s", decision, err, part)
			}
		}
	}
}
