package evaluate

import (
	"strings"
	"testing"

	enforcementv1 "github.com/Huzefaaa2/cavra/go/cavra-runtime/enforcement/v1"
	"github.com/Huzefaaa2/cavra/go/cavra-runtime/pipeline"
)

func releaseVerdict(decision, rule, severity string) verdict {
	v := verdict{decision, "release_governance." + rule, severity, "Release Governance"}
	if decision == "allow" {
		v.approver = ""
	}
	return v
}

var (
	recordIsMissing   = releaseVerdict("require_approval", "record.missing", "medium")
	approvalIsMissing = releaseVerdict("block", "approval.missing", "critical")
	releaseIsApproved = releaseVerdict("allow", "approval.approved", "low")
	releaseIsPending  = releaseVerdict("require_approval", "approval.pending", "high")
	releaseIsDenied   = releaseVerdict("block", "approval.denied", "critical")
	releaseIsUnknown  = releaseVerdict("require_approval", "approval.unknown", "medium")
	deliveryIsFailed  = releaseVerdict("block", "delivery.failed", "high")
	signalIsCritical  = releaseVerdict("require_approval", "signal.critical", "high")
	releaseIsRequired = releaseVerdict("require_approval", "approval.required", "high")
	recordIsVerified  = releaseVerdict("allow", "record.verified", "low")
	releaseIsFree     = releaseVerdict("allow", "approval.not_required", "low")
)

type release = enforcementv1.ReleaseGovernanceEvidence

func TestReleaseRows(t *testing.T) {
	s := newStage(t, Options{}, pipeline.Env{})
	approved := release{ApprovalState: "approved", ApprovalID: "a-1"}
	with := func(base release, change func(*release)) *release {
		change(&base)
		return &base
	}
	tests := []struct {
		name, target string
		record       *release
		want         verdict
	}{
		{"no record", "rollout-promotion-execution", nil, recordIsMissing},
		{"empty record", "rollout-promotion-execution", &release{}, recordIsMissing},

		{"approved without id", "", &release{ApprovalState: "approved"}, approvalIsMissing},
		{"approved with a blank id", "", &release{ApprovalState: "approved", ApprovalID: " "}, approvalIsMissing},
		{"approved, integrity failed", "", with(approved, func(r *release) { r.IntegrityStatus = "failed" }), signalIsCritical},
		{"approved, integrity mismatch", "", with(approved, func(r *release) { r.IntegrityStatus = "mismatch" }), signalIsCritical},
		{"approved, integrity tampered", "", with(approved, func(r *release) { r.IntegrityStatus = " Tampered" }), signalIsCritical},
		{"approved, verification failed", "", with(approved, func(r *release) { r.VerificationStatus = "failed" }), signalIsCritical},
		{"approved, verification blocked", "", with(approved, func(r *release) { r.VerificationStatus = "blocked" }), signalIsCritical},
		{"approved, verification mismatch", "", with(approved, func(r *release) { r.VerificationStatus = "mismatch" }), signalIsCritical},
		{"approved, verifications failed", "", with(approved, func(r *release) { r.FailedVerificationCount = 1 }), signalIsCritical},
		{"approved, integrity failures", "", with(approved, func(r *release) { r.IntegrityFailureCount = 1 }), signalIsCritical},
		{"approved", "", &approved, releaseIsApproved},
		{"approved, in other letters", "", with(approved, func(r *release) { r.ApprovalState = " APPROVED\n" }), releaseIsApproved},
		{"approved, whatever is blocked", "", with(approved, func(r *release) { r.BlockedCount, r.AlertLevel = 1, "critical" }), releaseIsApproved},
		{"approved, delivery failed", "release-connector-delivery", &approved, releaseIsApproved},
		{"approved execution", "rollout-promotion-execution", &approved, releaseIsApproved},

		{"pending", "", &release{ApprovalState: "pending"}, releaseIsPending},
		{"pending, tampered", "", &release{ApprovalState: "pending", IntegrityStatus: "tampered"}, releaseIsPending},
		{"denied", "", &release{ApprovalState: "denied"}, releaseIsDenied},
		{"rejected", "", &release{ApprovalState: "Rejected"}, releaseIsDenied},
		{"expired", "", &release{ApprovalState: "expired"}, releaseIsDenied},
		{"cancelled", "", &release{ApprovalState: "cancelled"}, releaseIsDenied},
		{"canceled", "", &release{ApprovalState: "canceled"}, releaseIsDenied},
		{"another state", "", &release{ApprovalState: "approved!", ApprovalID: "a-1"}, releaseIsUnknown},

		{"publication not delivered", "", &release{MetadataKind: "endpoint-management-publication-delivery"}, deliveryIsFailed},
		{"connector not delivered", "", &release{MetadataKind: "Release_Connector_Delivery ", AlertLevel: "critical"}, deliveryIsFailed},
		{"connector delivered", "", &release{MetadataKind: "release-connector-delivery", DeliverySuccess: true}, recordIsVerified},
		{"kind by target", "release-connector-delivery", &release{ReleaseVersion: "1"}, deliveryIsFailed},
		{"kind by target, where the record's is blank", "release-connector-delivery", &release{MetadataKind: " "}, deliveryIsFailed},
		{"the record's kind before the target", "release-connector-delivery", &release{MetadataKind: "x"}, releaseIsFree},

		{"alert critical", "", &release{AlertLevel: "critical"}, signalIsCritical},
		{"alert blocked", "", &release{AlertLevel: "blocked"}, signalIsCritical},
		{"alert breached", "", &release{AlertLevel: "breached"}, signalIsCritical},
		{"drifted", "", &release{DriftStatus: "drifted"}, signalIsCritical},
		{"not compliant", "", &release{DriftStatus: "Non-Compliant"}, signalIsCritical},
		{"handoff blocked", "", &release{HandoffStatus: "blocked"}, signalIsCritical},
		{"handoff failed", "", &release{HandoffStatus: "failed"}, signalIsCritical},
		{"verification failed", "", &release{VerificationStatus: "failed"}, signalIsCritical},
		{"verification blocked", "", &release{VerificationStatus: "blocked"}, signalIsCritical},
		{"verification mismatch", "", &release{VerificationStatus: "mismatch"}, signalIsCritical},
		{"integrity failed", "", &release{IntegrityStatus: "failed"}, signalIsCritical},
		{"integrity mismatch", "", &release{IntegrityStatus: "mismatch"}, signalIsCritical},
		{"integrity tampered", "", &release{IntegrityStatus: "tampered"}, signalIsCritical},
		{"audit failed", "", &release{AuditExportStatus: "failed"}, signalIsCritical},
		{"audit blocked", "", &release{AuditExportStatus: "blocked"}, signalIsCritical},
		{"blocked count", "", &release{BlockedCount: 1}, signalIsCritical},
		{"critical count", "", &release{CriticalCount: 1}, signalIsCritical},
		{"breached count", "", &release{BreachedCount: 1}, signalIsCritical},
		{"failed delivery count", "", &release{FailedDeliveryCount: 1}, signalIsCritical},
		{"connector failure count", "", &release{ConnectorDeliveryFailureCount: 1}, signalIsCritical},
		{"failed verification count", "", &release{FailedVerificationCount: 1}, signalIsCritical},
		{"integrity failure count", "", &release{IntegrityFailureCount: 1}, signalIsCritical},
		{"signal before required", "", &release{CriticalCount: 1, ApprovalRequiredCount: 1}, signalIsCritical},
		{"signal before execution", "rollout-rollback-execution", &release{CriticalCount: 1}, signalIsCritical},
		{"a count that is no signal", "", &release{DriftedEndpointCount: 1, MissingTargetCount: 1, RollbackReferenceCount: 1}, releaseIsFree},
		{"a status that is no signal", "", &release{AlertLevel: "warning", DriftStatus: "ok", IntegrityStatus: "passed"}, releaseIsFree},

		{"execution of drift remediation", "endpoint-drift-remediation-execution", &release{ReleaseVersion: "1"}, approvalIsMissing},
		{"execution of promotion", "Rollout_Promotion_Execution", &release{ReleaseVersion: "1"}, approvalIsMissing},
		{"execution of rollback", "rollout-rollback-execution", &release{ReleaseVersion: "1"}, approvalIsMissing},
		{"required by count", "", &release{ApprovalRequiredCount: 1}, releaseIsRequired},
		{"required by count, known kind", "rollout-evidence-capture", &release{ApprovalRequiredCount: 1}, releaseIsRequired},
		{"required for promotion", "release-channel-promotion-request", &release{ReleaseVersion: "1"}, releaseIsRequired},
		{"required for reconciliation", "endpoint-reconciliation-automation", &release{ReleaseVersion: "1"}, releaseIsRequired},
		{"required for drift remediation", "endpoint-drift-remediation-request", &release{ReleaseVersion: "1"}, releaseIsRequired},
		{"required for handoff", "endpoint-remediation-handoff", &release{ReleaseVersion: "1"}, releaseIsRequired},
		{"not required below nought", "", &release{ApprovalRequiredCount: -1}, releaseIsFree},
		{"unknown kind", "something-else", &release{ReleaseVersion: "1"}, releaseIsFree},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := ask(t, s, &request{ActionType: "release_governance_record", Target: tt.target, ReleaseGovernance: tt.record})
			tt.want.check(t, r)
		})
	}
}

func TestKnownReleaseKinds(t *testing.T) {
	s := newStage(t, Options{}, pipeline.Env{})
	for _, kind := range strings.Fields(`
		endpoint-inventory-ingestion endpoint-inventory-freshness-report managed-endpoint-reconciliation endpoint-management-export
		endpoint-remediation-handoff-status endpoint-remediation-sla-report
		endpoint-remediation-sla-notification-plan endpoint-remediation-sla-notification-ack
		endpoint-remediation-sla-escalation-plan endpoint-remediation-sla-escalation-review
		endpoint-remediation-sla-escalation-recurrence-plan endpoint-remediation-sla-escalation-suppression-audit
		endpoint-remediation-sla-escalation-recurrence-retry-plan endpoint-remediation-sla-escalation-owner-digest
		endpoint-remediation-sla-escalation-suppression-trend endpoint-remediation-sla-escalation-recurrence-automation-run
		endpoint-remediation-sla-escalation-recurrence-automation-health-alert-plan
		endpoint-remediation-sla-escalation-recurrence-automation-health-alert-ack
		rollout-evidence-capture rollout-evidence-verification rollout-artifact-retrieval rollout-artifact-integrity
		rollout-promotion-audit-export rollout-rollback-audit-export`) {
		t.Run(kind, func(t *testing.T) {
			for _, spelling := range []string{kind, strings.ToUpper(kind), strings.ReplaceAll(kind, "-", "_"), " " + kind + " "} {
				recordIsVerified.check(t, ask(t, s, &request{ActionType: "release_governance_record", ReleaseGovernance: &release{MetadataKind: spelling}}))
			}
		})
	}
	if len(recordKinds) != 7+2+24 {
		t.Errorf("%d kinds are known", len(recordKinds))
	}
}

func TestAReleaseRecordNeedsAProvenIdentityWhereAsked(t *testing.T) {
	s := newStage(t, Options{RequireProvenIdentityForRelease: true}, pipeline.Env{})
	req := &request{ActionType: "release_governance_record", ReleaseGovernance: &release{ApprovalState: "approved", ApprovalID: "a-1"}}
	verdict{"block", "runner_auth.invalid", "critical", ""}.check(t, ask(t, s, req))
	releaseIsApproved.check(t, askAs(t, s, req, pipeline.Identity{Proof: "hmac/k"}))
	readIsAllowed.check(t, ask(t, s, &request{ActionType: "read_file", Target: "README.md"}))
	releaseIsApproved.check(t, ask(t, newStage(t, Options{}, pipeline.Env{}), req))
}
