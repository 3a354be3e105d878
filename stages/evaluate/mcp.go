package evaluate

import (
	"slices"
	"strings"

	enforcementv1 "github.com/Huzefaaa2/cavra/go/cavra-runtime/enforcement/v1"
	"github.com/Huzefaaa2/cavra/go/cavra-runtime/pipeline"
)

var (
	serverBlock = row{enforcementv1.DecisionBlock, "mcp.server.trust.block_unknown", enforcementv1.SeverityHigh, ""}
	serverAllow = row{enforcementv1.DecisionAllow, "mcp.server.trust.allow", enforcementv1.SeverityLow, ""}

	registryUnknown    = row{enforcementv1.DecisionBlock, "mcp.registry.unknown", enforcementv1.SeverityHigh, ""}
	registryBlocked    = row{enforcementv1.DecisionBlock, "mcp.registry.blocked", enforcementv1.SeverityHigh, ""}
	registryApproval   = row{enforcementv1.DecisionRequireApproval, "mcp.registry.requires_approval", enforcementv1.SeverityMedium, aiGovernance}
	registryTool       = row{enforcementv1.DecisionRequireApproval, "mcp.registry.tool_scope", enforcementv1.SeverityMedium, aiGovernance}
	registryCapability = row{enforcementv1.DecisionRequireApproval, "mcp.registry.capability_scope", enforcementv1.SeverityMedium, aiGovernance}
	registryAllow      = row{enforcementv1.DecisionAllow, "mcp.registry.allow", enforcementv1.SeverityLow, ""}
)

var errToolDiffers = pipeline.Block("request.invalid",
	`target names another server or tool than the members server and tool do; give one, or "server:tool" as the target`)

// judgeMCP judges a tool call by the registry, where there is one, or else by the
// server lists of the policy.
func (s *Stage) judgeMCP(p *policy, req *enforcementv1.EvaluateRequest) (pipeline.Decision, error) {
	server, tool, err := serverAndTool(req)
	if err != nil {
		return pipeline.Decision{}, err
	}
	var d pipeline.Decision
	if s.registry != nil {
		d = s.registry.judge(server, tool, req.Capability)
	} else {
		d = judgeServer(p, server)
	}
	if server != "" || tool != "" {
		d.Target = server + ":" + tool
	}
	return d, nil
}

// serverAndTool are what the call names, in its own members, in its target as
// server:tool, or in both alike.
func serverAndTool(req *enforcementv1.EvaluateRequest) (server, tool string, err error) {
	if req.Target == "" {
		return req.Server, req.Tool, nil
	}
	server, tool, both := strings.Cut(req.Target, ":")
	switch {
	case both && (req.Server == "" || req.Server == server) && (req.Tool == "" || req.Tool == tool):
		return server, tool, nil
	case both && req.Server+":"+req.Tool == req.Target: // a server whose name holds a colon
		return req.Server, req.Tool, nil
	case both:
		return "", "", errToolDiffers
	case req.Server == "" || req.Server == req.Target:
		return req.Target, req.Tool, nil
	case req.Tool == req.Target:
		return req.Server, req.Target, nil
	}
	return "", "", errToolDiffers
}

// judgeServer judges a call by the policy alone.
func judgeServer(p *policy, server string) pipeline.Decision {
	for _, name := range [...]string{server, word(server)} { // a name in another case is no way past the list
		if i := p.blockedServers.match(name); i >= 0 {
			return serverBlock.because(p.blockedServers.reason("the server", i))
		}
	}
	switch i := p.allowedServers.match(server); {
	case server == "":
		return serverBlock.because("the call names no server; name it in server, or in target as server:tool")
	case i >= 0:
		return serverAllow.because("the server matches " + quote(p.allowedServers.patterns.texts[i]) + " in mcp.allowed_servers")
	case p.blockUnknownServers:
		return serverBlock.because("no pattern in mcp.allowed_servers matches the server; use a server that is allowed, or have the policy changed")
	}
	return serverAllow.because("the policy lets servers through that it does not know")
}

// judge judges a call by the registry.
func (r *registry) judge(server, tool, capability string) pipeline.Decision {
	entry := r.servers[server]
	if entry == nil || server == "" {
		return registryUnknown.because("the server is not registered; have it registered, or use one that is")
	}
	switch {
	case entry.tier == tierBlocked:
		return registryBlocked.because("trust_tier of the server is blocked; use another server")
	case entry.state == stateDenied:
		return registryBlocked.because("approval_state of the server is denied; use another server")
	case entry.state == statePending:
		return registryApproval.because("approval_state of the server is pending; ask for its approval")
	case entry.tier == tierUnknown || entry.tier == tierExperimental:
		return registryApproval.because("trust_tier of the server is " + entry.tier + "; ask for approval")
	case len(entry.tools) > 0 && !slices.Contains(entry.tools, tool):
		return registryTool.because("the tool is not in allowed_tools of the server; use another tool, or ask for approval")
	case capability != "" && len(entry.capabilities) > 0 && !slices.Contains(entry.capabilities, capability):
		return registryCapability.because("the capability is not in capabilities of the server; do without it, or ask for approval")
	}
	return registryAllow.because("the server is registered and trusted with this")
}
