package evaluate

import (
	"fmt"
	"slices"

	"github.com/hashicorp/go-hclog"

	"github.com/Huzefaaa2/cavra/go/cavra-runtime/document"
)

// A registry says how far MCP servers are trusted. It never changes.
type registry struct {
	servers map[string]*server // by server_id and by name
}

// A server is one entry of the registry.
type server struct {
	id           string // as it is listed
	tier         string // one of the tiers below, or empty for a trusted one
	state        string // one of the states below, or empty for an approved one
	tools        []string
	capabilities []string
}

// What a registry can say against a server.
const (
	tierBlocked      = "blocked"
	tierUnknown      = "unknown"
	tierExperimental = "experimental"

	stateDenied  = "denied"
	statePending = "pending"
)

// What a registry can say for a server. A word that is neither here nor above is
// taken for the nearest thing to no trust: a tier for unknown, a state for
// pending.
var (
	goodTiers = []string{"trusted", "verified", "approved", "certified", "official", "enterprise", "internal",
		"managed", "partner", "vendor", "standard", "restricted"}
	goodStates = []string{"approved"}
)

type (
	registryFile struct {
		Servers []registryServer `json:"mcp_servers"`
	}
	registryServer struct {
		ServerID      *document.Node `json:"server_id"`
		Name          *document.Node `json:"name"`
		TrustTier     *document.Node `json:"trust_tier"`
		ApprovalState *document.Node `json:"approval_state"`
		Capabilities  []string       `json:"capabilities"`
		AllowedTools  []string       `json:"allowed_tools"`
	}
)

// loadRegistry reads a trust registry. The error holds every fault of it.
func loadRegistry(path string, log hclog.Logger) (*registry, error) {
	text, err := document.ReadFile(path)
	if err != nil {
		return nil, unreadable("registry", err)
	}
	return parseRegistry(path, text, log)
}

func parseRegistry(name string, text []byte, log hclog.Logger) (*registry, error) {
	root, err := document.Parse(name, text)
	if root == nil {
		return nil, err
	}
	var file registryFile
	faults := []error{err, document.Decode(root, &file)}
	fault := func(f *document.Fault) { faults = append(faults, f) }

	list := root.Get("mcp_servers")
	if list == nil {
		fault(root.Fault("mcp_servers is missing; list the servers there, or leave the registry out"))
	}
	items := list.Items()
	r := &registry{servers: map[string]*server{}}
	for i := range file.Servers {
		f := &file.Servers[i]
		for _, n := range []*document.Node{f.ServerID, f.Name, f.TrustTier, f.ApprovalState} {
			if n != nil && n.Kind() != document.String {
				fault(n.Fault("wants a string, found %v", n.Kind()))
			}
		}
		s := &server{tools: f.AllowedTools, capabilities: f.Capabilities}
		s.tier = readWord(f.TrustTier, []string{tierBlocked, tierUnknown, tierExperimental}, goodTiers, tierUnknown, log, fault)
		if f.ApprovalState != nil { // entries of earlier releases hold none
			s.state = readWord(f.ApprovalState, []string{stateDenied, statePending}, goodStates, statePending, log, fault)
		}
		for _, n := range []*document.Node{f.ServerID, f.Name} {
			if n == nil || n.Text() == "" {
				continue
			}
			if s.id == "" {
				s.id = n.Text()
			}
			switch other := r.servers[n.Text()]; other {
			case nil:
				r.servers[n.Text()] = s
			case s: // the name is the id
			default:
				fault(n.Fault("an earlier server has this server_id or name already, so a call could mean either; rename one"))
			}
		}
		if s.id == "" {
			fault(items[i].Fault("has neither server_id nor name, so no call can mean it; give it a server_id"))
		}
	}
	if err := document.Join(faults...); err != nil {
		return nil, err
	}
	return r, nil
}

// readWord reads a tier or a state: what it says against the server, or nothing
// where it speaks for it. A misspelt restriction is a fault.
func readWord(n *document.Node, against, good []string, otherwise string, log hclog.Logger, fault func(*document.Fault)) string {
	if n == nil {
		return otherwise
	}
	w := word(n.Text())
	switch {
	case slices.Contains(against, w):
		return w
	case slices.Contains(good, w):
		return ""
	}
	if near := document.Nearest(w, slices.Concat(against, good)); near != "" {
		fault(n.Fault("unknown word; did you mean %q?", near))
	} else {
		at := n.Fault("")
		log.Warn("the registry holds a word that this runtime does not know; calls to the server need approval",
			"registry", fmt.Sprintf("%s:%d:%d", at.Source, at.Line, at.Column), "member", at.Path, "word", quote(w), "taken_for", otherwise)
	}
	return otherwise
}

// compare warns of servers that a policy blocks and the registry, which decides,
// does not.
func (r *registry) compare(policies []*policy, log hclog.Logger) {
	for _, p := range policies {
		for name, s := range r.servers {
			if s.tier != tierBlocked && s.state != stateDenied && p.blockedServers.match(name) >= 0 {
				log.Warn("the policy blocks a server that the registry does not; with a registry, the registry decides",
					"policy", p.id, "server", quote(name))
			}
		}
	}
}
