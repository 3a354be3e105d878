package evaluate

import (
	"strings"
	"testing"

	"github.com/Huzefaaa2/cavra/go/cavra-runtime/pipeline"
)

var (
	serverIsBlocked = verdict{"block", "mcp.server.trust.block_unknown", "high", ""}
	serverIsAllowed = verdict{"allow", "mcp.server.trust.allow", "low", ""}

	registryIsUnknown  = verdict{"block", "mcp.registry.unknown", "high", ""}
	registryIsBlocked  = verdict{"block", "mcp.registry.blocked", "high", ""}
	registryIsApproval = verdict{"require_approval", "mcp.registry.requires_approval", "medium", "AI Governance"}
	registryIsTool     = verdict{"require_approval", "mcp.registry.tool_scope", "medium", "AI Governance"}
	registryIsCapable  = verdict{"require_approval", "mcp.registry.capability_scope", "medium", "AI Governance"}
	registryIsAllowed  = verdict{"allow", "mcp.registry.allow", "low", ""}
)

func TestMCPRowsWithoutRegistry(t *testing.T) {
	const closed = `{"allowed_servers":["github","bad","jira-*"],"blocked_servers":["bad","evil-*"]}`
	const open = `{"blocked_servers":["bad"],"block_unknown_servers":false}`
	tests := []struct {
		name, mcp, server string
		want              verdict
	}{
		{"allowed", closed, "github", serverIsAllowed},
		{"allowed by a pattern", closed, "jira-eu", serverIsAllowed},
		{"blocked, though allowed", closed, "bad", serverIsBlocked},
		{"blocked by a pattern", closed, "evil-1", serverIsBlocked},
		{"unknown", closed, "other", serverIsBlocked},
		{"unknown by case", closed, "GitHub", serverIsBlocked},
		{"none", closed, "", serverIsBlocked},
		{"blocked, where unknown ones pass", open, "bad", serverIsBlocked},
		{"unknown, where they pass", open, "other", serverIsAllowed},
		{"none, where unknown ones pass", open, "", serverIsBlocked},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := withPolicy(t, `{"mcp":`+tt.mcp+`}`, pipeline.Env{})
			tt.want.check(t, ask(t, s, &request{ActionType: "mcp_tool_call", Server: tt.server, Tool: "t"}))
		})
	}
}

func TestMCPTarget(t *testing.T) {
	s := withPolicy(t, `{"mcp":{"allowed_servers":["s"]}}`, pipeline.Env{})
	tests := []struct {
		name   string
		req    request
		want   verdict
		target string
	}{
		{"members", request{Server: "s", Tool: "t"}, serverIsAllowed, "s:t"},
		{"target", request{Target: "s:t"}, serverIsAllowed, "s:t"},
		{"both alike", request{Server: "s", Tool: "t", Target: "s:t"}, serverIsAllowed, "s:t"},
		{"server and target", request{Server: "s", Target: "s:t"}, serverIsAllowed, "s:t"},
		{"tool and target", request{Tool: "t", Target: "s:t"}, serverIsAllowed, "s:t"},
		{"server, and the tool as target and tool", request{Server: "s", Tool: "t", Target: "t"}, serverIsAllowed, "s:t"},
		{"tool, and the server as target", request{Tool: "t", Target: "s"}, serverIsAllowed, "s:t"},
		{"all, and the server as target", request{Server: "s", Tool: "t", Target: "s"}, serverIsAllowed, "s:t"},
		{"a tool with a colon", request{Target: "s:t:u"}, serverIsAllowed, "s:t:u"},
		{"another server", request{Server: "s", Target: "x:t"}, invalidRequest, "x:t"},
		{"another tool", request{Tool: "t", Target: "s:u"}, invalidRequest, "s:u"},
		{"another target", request{Server: "s", Tool: "t", Target: "x"}, invalidRequest, "x"},
		{"nothing", request{}, serverIsBlocked, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.req.ActionType = "mcp_tool_call"
			r := ask(t, s, &tt.req)
			tt.want.check(t, r)
			if r.Target != tt.target {
				t.Errorf("target is %q, want %q", r.Target, tt.target)
			}
		})
	}
}

const testRegistry = `{"mcp_servers":[
	{"server_id":"good","name":"Good One","trust_tier":"trusted","approval_state":"approved","allowed_tools":["read"],"capabilities":["repo"]},
	{"server_id":"wide","trust_tier":"verified"},
	{"server_id":"same","name":"same","trust_tier":"internal","approval_state":"approved"},
	{"server_id":"blocked","trust_tier":"Blocked ","approval_state":"approved"},
	{"server_id":"denied","trust_tier":"trusted","approval_state":"denied"},
	{"server_id":"blocked-pending","trust_tier":"blocked","approval_state":"pending"},
	{"server_id":"pending","trust_tier":"trusted","approval_state":"pending","allowed_tools":["read"]},
	{"server_id":"unknown","trust_tier":"unknown","approval_state":"approved"},
	{"server_id":"experimental","trust_tier":"experimental","approval_state":"approved"},
	{"server_id":"silent","approval_state":"approved"},
	{"server_id":"odd-tier","trust_tier":"cromulent","approval_state":"approved"},
	{"server_id":"odd-state","trust_tier":"trusted","approval_state":"revoked"}]}`

func TestMCPRowsWithRegistry(t *testing.T) {
	s := newStage(t, Options{Registry: write(t, "registry.json", testRegistry)}, pipeline.Env{})
	tests := []struct {
		name, server, tool, capability string
		want                           verdict
	}{
		{"not registered", "other", "read", "", registryIsUnknown},
		{"no server", "", "read", "", registryIsUnknown},
		{"other case", "Good", "read", "", registryIsUnknown},
		{"tier blocked", "blocked", "x", "", registryIsBlocked},
		{"state denied", "denied", "x", "", registryIsBlocked},
		{"blocked before pending", "blocked-pending", "x", "", registryIsBlocked},
		{"state pending", "pending", "other", "", registryIsApproval},
		{"tier unknown", "unknown", "x", "", registryIsApproval},
		{"tier experimental", "experimental", "x", "", registryIsApproval},
		{"no tier", "silent", "x", "", registryIsApproval},
		{"a tier that nobody knows", "odd-tier", "x", "", registryIsApproval},
		{"a state that nobody knows", "odd-state", "x", "", registryIsApproval},
		{"tool not allowed", "good", "write", "admin", registryIsTool},
		{"no tool", "good", "", "", registryIsTool},
		{"capability not listed", "good", "read", "admin", registryIsCapable},
		{"capability listed", "good", "read", "repo", registryIsAllowed},
		{"no capability asked", "good", "read", "", registryIsAllowed},
		{"by name", "Good One", "read", "repo", registryIsAllowed},
		{"name and id alike", "same", "x", "", registryIsAllowed},
		{"no lists", "wide", "x", "y", registryIsAllowed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := ask(t, s, &request{ActionType: "mcp_tool_call", Server: tt.server, Tool: tt.tool, Capability: tt.capability})
			tt.want.check(t, r)
		})
	}
}

func TestRegistryFaults(t *testing.T) {
	path := write(t, "registry.json", `{"mcp_servers":[
{"server_id":"a","trust_tier":"blockd"},
{"server_id":"b","aproval_state":"denied"},
{"name":"a","trust_tier":"trusted"},
{"trust_tier":"trusted"},
{"server_id":7,"trust_tier":"trusted"},
{"server_id":"c","approval_state":"aproved"}]}`)
	_, err := New(Options{Registry: path}, pipeline.Env{})
	if err == nil {
		t.Fatal("accepted")
	}
	for _, want := range []string{
		`:2:31: mcp_servers[0].trust_tier: unknown word; did you mean "blocked"?`,
		`:3:18: mcp_servers[1].aproval_state: unknown option; did you mean "approval_state"?`,
		`:4:9: mcp_servers[2].name: an earlier server has this server_id or name already`,
		`:5:1: mcp_servers[3]: has neither server_id nor name`,
		`:6:14: mcp_servers[4].server_id: wants a string, found a whole number`,
		`:7:35: mcp_servers[5].approval_state: unknown word; did you mean "approved"?`,
	} {
		if !strings.Contains(err.Error(), path+want) {
			t.Errorf("%q is missing in:\n%v", want, err)
		}
	}
	for name, text := range map[string]string{"no list": `{}`, "null": `{"mcp_servers":null}`, "an array": `[]`, "torn": `{"mcp_servers":[`} {
		if _, err := New(Options{Registry: write(t, "r.json", text)}, pipeline.Env{}); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := New(Options{Registry: "/no/such/registry.json"}, pipeline.Env{}); err == nil || !strings.Contains(err.Error(), "registry: cannot read /no/such/registry.json") {
		t.Errorf("missing file: %v", err)
	}
}
