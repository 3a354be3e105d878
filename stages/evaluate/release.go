package evaluate

import (
	"slices"
	"strings"
	"unicode"

	enforcementv1 "github.com/Huzefaaa2/cavra/go/cavra-runtime/enforcement/v1"
	"github.com/Huzefaaa2/cavra/go/cavra-runtime/pipeline"
)

func releaseRow(decision, rule, severity string) row {
	approver := releaseGovernance
	if decision == enforcementv1.DecisionAllow {
		approver = ""
	}
	return row{decision, "release_governance." + rule, severity, approver}
}

// The rows of release governance, in the order of the table.
var (
	recordMissing     = releaseRow(enforcementv1.DecisionRequireApproval, "record.missing", enforcementv1.SeverityMedium)
	approvalMissing   = releaseRow(enforcementv1.DecisionBlock, "approval.missing", enforcementv1.SeverityCritical)
	approvalApproved  = releaseRow(enforcementv1.DecisionAllow, "approval.approved", enforcementv1.SeverityLow)
	approvalPending   = releaseRow(enforcementv1.DecisionRequireApproval, "approval.pending", enforcementv1.SeverityHigh)
	approvalDenied    = releaseRow(enforcementv1.DecisionBlock, "approval.denied", enforcementv1.SeverityCritical)
	approvalUnknown   = releaseRow(enforcementv1.DecisionRequireApproval, "approval.unknown", enforcementv1.SeverityMedium)
	deliveryFailed    = releaseRow(enforcementv1.DecisionBlock, "delivery.failed", enforcementv1.SeverityHigh)
	signalCritical    = releaseRow(enforcementv1.DecisionRequireApproval, "signal.critical", enforcementv1.SeverityHigh)
	approvalRequired  = releaseRow(enforcementv1.DecisionRequireApproval, "approval.required", enforcementv1.SeverityHigh)
	recordVerified    = releaseRow(enforcementv1.DecisionAllow, "record.verified", enforcementv1.SeverityLow)
	approvalNotNeeded = releaseRow(enforcementv1.DecisionAllow, "approval.not_required", enforcementv1.SeverityLow)
)

var errUnprovenRelease = pipeline.Block("runner_auth.invalid",
	"a release record is believed in what it says of itself, so this runtime takes one only from a proven identity; send runner_auth").
	WithSeverity(enforcementv1.SeverityCritical)

// A recordKind says what the kind of a release record asks for.
type recordKind uint8

const (
	unknownKind   recordKind = iota
	knownKind                // needs nothing
	deliveryKind             // must have been delivered
	requiredKind             // needs an approval
	executionKind            // needs an approval before it runs
)

var recordKinds = func() map[string]recordKind {
	kinds := map[string]recordKind{
		"release-channel-promotion-request":  requiredKind,
		"endpoint-reconciliation-automation": requiredKind,
		"endpoint-drift-remediation-request": requiredKind,
		"endpoint-remediation-handoff":       requiredKind,

		"endpoint-drift-remediation-execution": executionKind,
		"rollout-promotion-execution":          executionKind,
		"rollout-rollback-execution":           executionKind,

		"endpoint-management-publication-delivery": deliveryKind,
		"release-connector-delivery":               deliveryKind,
	}
	for prefix, names := range map[string][]string{
		"": {
			"endpoint-inventory-ingestion", "endpoint-inventory-freshness-report", "managed-endpoint-reconciliation",
			"endpoint-management-export", "endpoint-remediation-handoff-status", "endpoint-remediation-sla-report",
		},
		"endpoint-remediation-sla-": {
			"notification-plan", "notification-ack", "escalation-plan", "escalation-review", "escalation-recurrence-plan",
			"escalation-suppression-audit", "escalation-recurrence-retry-plan", "escalation-owner-digest",
			"escalation-suppression-trend", "escalation-recurrence-automation-run",
			"escalation-recurrence-automation-health-alert-plan", "escalation-recurrence-automation-health-alert-ack",
		},
		"rollout-": {
			"evidence-capture", "evidence-verification", "artifact-retrieval", "artifact-integrity",
			"promotion-audit-export", "rollback-audit-export",
		},
	} {
		for _, name := range names {
			kinds[prefix+name] = knownKind
		}
	}
	return kinds
}()

// judgeRelease takes a release record at its word.
func judgeRelease(req *enforcementv1.EvaluateRequest) pipeline.Decision {
	record := req.ReleaseGovernance
	if record.IsZero() {
		return recordMissing.because("the request holds no release_governance record, or an empty one; send it, or ask for approval")
	}
	name := word(record.MetadataKind)
	if name == "" {
		name = word(req.Target)
	}
	kind := recordKinds[strings.ReplaceAll(name, "_", "-")]

	switch state := status(record.ApprovalState); state {
	case "":
	case "approved":
		if word(record.ApprovalID) == "" {
			return approvalMissing.because("approval_state is approved but there is no approval_id; name the approval")
		}
		if signal := integritySignal(record); signal != "" {
			return signalCritical.because(signal + ", and an approval does not vouch for that; find out why, and ask for approval again")
		}
		return approvalApproved.because("the release is approved")
	case "pending":
		return approvalPending.because("approval_state is pending; wait for the approval")
	case "denied", "rejected", "expired", "cancelled", "canceled":
		return approvalDenied.because("approval_state is " + state + "; ask for a new approval")
	default:
		return approvalUnknown.because("approval_state is " + quote(state) + ", which means nothing here; ask for approval")
	}

	required := record.ApprovalRequiredCount > 0 || kind == requiredKind || kind == executionKind
	signal := integritySignal(record)
	if signal == "" {
		signal = otherSignal(record)
	}
	switch {
	case kind == deliveryKind && !record.DeliverySuccess:
		return deliveryFailed.because("delivery_success is not true; deliver the record again")
	case signal != "":
		return signalCritical.because(signal + "; find out why, and ask for approval")
	case required && kind == executionKind:
		return approvalMissing.because("a record of this kind is carried out only with an approval; get it, and send approval_state and approval_id")
	case required:
		return approvalRequired.because("the record needs an approval; get it, and send approval_state and approval_id")
	case kind != unknownKind:
		return recordVerified.because("the record is of a known kind and nothing in it speaks against it")
	}
	return approvalNotNeeded.because("the record needs no approval and nothing in it speaks against it")
}

// integritySignal names the first member that says that an artifact is not what
// it should be; empty where none does.
func integritySignal(r *enforcementv1.ReleaseGovernanceEvidence) string {
	switch {
	case among(r.IntegrityStatus, "failed", "mismatch", "tampered"):
		return "integrity_status is " + status(r.IntegrityStatus)
	case among(r.VerificationStatus, "failed", "blocked", "mismatch"):
		return "verification_status is " + status(r.VerificationStatus)
	case r.FailedVerificationCount > 0:
		return "failed_verification_count is above 0"
	case r.IntegrityFailureCount > 0:
		return "integrity_failure_count is above 0"
	}
	return ""
}

// otherSignal names the first other member that speaks against a release; empty
// where none does.
func otherSignal(r *enforcementv1.ReleaseGovernanceEvidence) string {
	switch {
	case among(r.AlertLevel, "critical", "blocked", "breached"):
		return "alert_level is " + status(r.AlertLevel)
	case among(r.DriftStatus, "drifted", "non_compliant"):
		return "drift_status is " + status(r.DriftStatus)
	case among(r.HandoffStatus, "blocked", "failed"):
		return "handoff_status is " + status(r.HandoffStatus)
	case among(r.AuditExportStatus, "failed", "blocked"):
		return "audit_export_status is " + status(r.AuditExportStatus)
	case r.BlockedCount > 0:
		return "blocked_count is above 0"
	case r.CriticalCount > 0:
		return "critical_count is above 0"
	case r.BreachedCount > 0:
		return "breached_count is above 0"
	case r.FailedDeliveryCount > 0:
		return "failed_delivery_count is above 0"
	case r.ConnectorDeliveryFailureCount > 0:
		return "connector_delivery_failure_count is above 0"
	}
	return ""
}

// word is a name as it is compared, before "-" and "_" are told apart. What
// cannot be seen is left out, so that it hides no bad word.
func word(s string) string {
	s = strings.Map(func(r rune) rune {
		if r > '~' && !unicode.IsGraphic(r) || r < ' ' && !unicode.IsSpace(r) {
			return -1
		}
		return r
	}, s)
	return strings.ToLower(strings.TrimSpace(s))
}

// status is a state or status as it is compared.
func status(s string) string { return strings.ReplaceAll(word(s), "-", "_") }

func among(s string, words ...string) bool { return slices.Contains(words, status(s)) }
