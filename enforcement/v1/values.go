package enforcementv1

// What [DecisionResponse.Decision] can be.
const (
	DecisionAllow           = "allow"
	DecisionRequireApproval = "require_approval"
	DecisionBlock           = "block"
)

// What [DecisionResponse.Severity] can be, mildest first.
const (
	SeverityLow      = "low"
	SeverityMedium   = "medium"
	SeverityHigh     = "high"
	SeverityCritical = "critical"
)

// The values of [EvaluateRequest.ActionType] that have rules of their own.
// Anything else needs approval.
const (
	ActionReadFile                = "read_file"
	ActionWriteFile               = "write_file"
	ActionExecuteCommand          = "execute_command"
	ActionGitOperation            = "git_operation"
	ActionMCPToolCall             = "mcp_tool_call"
	ActionReleaseGovernanceRecord = "release_governance_record"
)

// How a runner proves its identity.
const (
	AlgorithmHMAC = "HMAC-SHA256"
	AlgorithmOIDC = "OIDC-JWT"
)
