package evaluate

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"

	"github.com/hashicorp/go-hclog"

	"github.com/Huzefaaa2/cavra/go/cavra-runtime/document"
)

// A policy is a compiled policy made ready to judge by. It never changes.
type policy struct {
	id  string
	ref string // policy://<id>@sha256:<hex of the file's bytes>

	blockRead, blockWrite, approveWrite        ruleList
	blockCommand, approveCommand, allowCommand ruleList
	allowedServers, blockedServers             ruleList
	protectedBranches                          ruleList
	blockUnknownServers, blockProtectedPushes  bool
}

// The form of a compiled policy. What a section holds beyond its members is
// gathered under Unknown, since earlier releases wrote more than is enforced.
type (
	policyFile struct {
		Metadata   policyMetadata    `json:"metadata"`
		Filesystem policyFilesystem  `json:"filesystem"`
		Commands   policyCommands    `json:"commands"`
		MCP        policyMCP         `json:"mcp"`
		Git        policyGit         `json:"git"`
		Unknown    []document.Member `json:",unknown"`
	}
	policyMetadata struct {
		ID          *document.Node    `json:"id"`
		Title       string            `json:"title"`
		Description string            `json:"description"`
		Version     string            `json:"version"`
		Unknown     []document.Member `json:",unknown"`
	}
	policyFilesystem struct {
		BlockRead            []*document.Node  `json:"block_read"`
		BlockWrite           []*document.Node  `json:"block_write"`
		RequireApprovalWrite []*document.Node  `json:"require_approval_write"`
		Unknown              []document.Member `json:",unknown"`
	}
	policyCommands struct {
		Block           []*document.Node  `json:"block"`
		RequireApproval []*document.Node  `json:"require_approval"`
		Allow           []*document.Node  `json:"allow"`
		Unknown         []document.Member `json:",unknown"`
	}
	policyMCP struct {
		AllowedServers      []*document.Node  `json:"allowed_servers"`
		BlockedServers      []*document.Node  `json:"blocked_servers"`
		BlockUnknownServers *bool             `json:"block_unknown_servers"`
		Unknown             []document.Member `json:",unknown"`
	}
	policyGit struct {
		ProtectedBranches                []*document.Node  `json:"protected_branches"`
		BlockDirectPushToProtectedBranch *bool             `json:"block_direct_push_to_protected_branch"`
		Unknown                          []document.Member `json:",unknown"`
	}
)

// A section says which members of a section are known, and which ones earlier
// releases wrote that nothing here enforces.
type section struct {
	name           string
	known, earlier []string
}

var (
	metadataSection   = section{"metadata", []string{"id", "title", "description", "version"}, []string{"inherits", "mode"}}
	filesystemSection = section{"filesystem", []string{"block_read", "block_write", "require_approval_write"}, nil}
	commandsSection   = section{"commands", []string{"block", "require_approval", "allow"}, nil}
	mcpSection        = section{"mcp", []string{"allowed_servers", "blocked_servers", "block_unknown_servers"}, []string{"allowlist_enabled", "risk_scoring"}}
	gitSection        = section{"git", []string{"protected_branches", "block_direct_push_to_protected_branch"}, []string{"require_pull_request", "require_human_reviewer", "require_ai_attestation"}}

	knownSections   = []string{"metadata", "filesystem", "commands", "mcp", "git"}
	earlierSections = []string{"compliance", "approvals", "evidence"}
)

// defaultProtectedBranches are protected where a policy names none.
var defaultProtectedBranches = []string{"main", "master"}

// loadPolicy reads a compiled policy file.
func loadPolicy(path string, log hclog.Logger) (*policy, error) {
	text, err := document.ReadFile(path)
	if err != nil {
		return nil, unreadable("policy", err)
	}
	return parsePolicy(path, text, log)
}

// parsePolicy checks a compiled policy and makes it ready. The error holds every
// fault of it; name stands before each. What is accepted and not enforced goes to
// the log.
func parsePolicy(name string, text []byte, log hclog.Logger) (*policy, error) {
	root, err := document.Parse(name, text)
	if root == nil {
		return nil, err
	}
	var file policyFile
	c := &policyCheck{source: name, log: log}
	c.add(err)
	c.add(document.Decode(root, &file))
	c.sections(root, file.Unknown)
	c.members(metadataSection, file.Metadata.Unknown)
	c.members(filesystemSection, file.Filesystem.Unknown)
	c.members(commandsSection, file.Commands.Unknown)
	c.members(mcpSection, file.MCP.Unknown)
	c.members(gitSection, file.Git.Unknown)

	const (
		blocked   = "do without it, or have the policy changed"
		toApprove = "ask for approval and wait for it"
		noAdvice  = ""
	)
	fs, cmd, git := &file.Filesystem, &file.Commands, &file.Git
	p := &policy{
		id:                   c.id(root, file.Metadata.ID),
		blockRead:            c.list("filesystem.block_read", blocked, fs.BlockRead),
		blockWrite:           c.list("filesystem.block_write", blocked, fs.BlockWrite),
		approveWrite:         c.list("filesystem.require_approval_write", toApprove, fs.RequireApprovalWrite),
		blockCommand:         c.list("commands.block", blocked, cmd.Block),
		approveCommand:       c.list("commands.require_approval", toApprove, cmd.RequireApproval),
		allowCommand:         c.list("commands.allow", noAdvice, cmd.Allow),
		allowedServers:       c.list("mcp.allowed_servers", noAdvice, file.MCP.AllowedServers),
		blockedServers:       c.list("mcp.blocked_servers", blocked, file.MCP.BlockedServers),
		protectedBranches:    c.list("git.protected_branches", "open a pull request instead", git.ProtectedBranches),
		blockUnknownServers:  orTrue(file.MCP.BlockUnknownServers),
		blockProtectedPushes: orTrue(git.BlockDirectPushToProtectedBranch),
	}
	if len(c.faults) == 0 && c.rules == 0 {
		c.add(root.Fault("holds no rule, so nearly everything would be allowed; list patterns under filesystem, commands, mcp or git"))
	}
	if len(c.faults) > 0 {
		return nil, document.Join(c.faults...)
	}
	if len(p.protectedBranches.patterns) == 0 {
		p.protectedBranches.patterns = compilePatterns(defaultProtectedBranches)
	}
	sum := sha256.Sum256(text)
	p.ref = "policy://" + p.id + "@sha256:" + hex.EncodeToString(sum[:])
	return p, nil
}

func orTrue(b *bool) bool { return b == nil || *b }

// A policyCheck gathers what is wrong with one policy.
type policyCheck struct {
	source string
	log    hclog.Logger
	faults []error
	rules  int // patterns found
}

func (c *policyCheck) add(err error) {
	if err != nil {
		c.faults = append(c.faults, err)
	}
}

// sections checks the members of the policy that are no known section. One that
// nearly spells a known section would silently enforce nothing.
func (c *policyCheck) sections(root *document.Node, unknown []document.Member) {
	for i := range unknown {
		m := &unknown[i]
		near := document.Nearest(m.Key, slices.Concat(knownSections, earlierSections))
		switch {
		case near == m.Key:
			c.notEnforced(m, "section")
		case near != "":
			c.add(m.Fault("unknown section; did you mean %q?", near))
		default:
			c.log.Warn("the policy holds a section that this runtime does not know; nothing in it is enforced",
				"policy", c.source, "line", m.Value().Line(), "section", quote(m.Key))
		}
	}
}

// members checks the members of a section that are not enforced.
func (c *policyCheck) members(s section, unknown []document.Member) {
	for i := range unknown {
		m := &unknown[i]
		switch near := document.Nearest(m.Key, slices.Concat(s.known, s.earlier)); near {
		case m.Key:
			c.notEnforced(m, "member")
		case "":
			c.add(m.Fault("unknown member of %s; the members are %s", s.name, strings.Join(s.known, ", ")))
		default:
			c.add(m.Fault("unknown member of %s; did you mean %q?", s.name, near))
		}
	}
}

func (c *policyCheck) notEnforced(m *document.Member, what string) {
	c.log.Info("the policy holds a "+what+" of earlier releases that is not enforced here",
		"policy", c.source, "line", m.Value().Line(), what, m.Value().Fault("").Path)
}

// id is the policy's id. It stands in every answer and in a URL, so it is one
// printable word.
func (c *policyCheck) id(root, id *document.Node) string {
	if id == nil {
		c.add(root.Fault("metadata.id is missing; every answer names the policy by it"))
		return ""
	}
	text := id.Text()
	odd := strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' })
	if id.Kind() != document.String || text == "" || odd || len(text) > mostQuoted {
		c.add(id.Fault("wants one word of printable ASCII, at most %d characters", mostQuoted))
	}
	return text
}

// oddPattern says what is unusual about a file pattern, or "". A pattern matches
// the whole path, and other tools write patterns in other ways.
func oddPattern(text string) string {
	switch {
	case strings.TrimSpace(text) != text:
		return "it begins or ends with a space"
	case strings.HasSuffix(text, "/"):
		return "no file's path ends with a slash; for what is below a directory write it with /**"
	case strings.HasPrefix(text, "./"):
		return "paths are also judged without ./, which this pattern does not match; leave it out"
	case strings.ContainsAny(text, "?[]{}"):
		return "only * is special; write a pattern for each spelling"
	}
	return ""
}

// list makes a list of patterns.
func (c *policyCheck) list(name, advice string, nodes []*document.Node) ruleList {
	texts := make([]string, 0, len(nodes))
	for _, n := range nodes {
		switch {
		case n == nil: // null, which Decode has reported
		case n.Kind() != document.String:
			c.add(n.Fault("wants a pattern, found %v; write a string", n.Kind()))
		case n.Text() == "":
			c.add(n.Fault("an empty pattern matches nothing; remove it, or write \"*\" for everything"))
		default:
			if odd := oddPattern(n.Text()); odd != "" && strings.HasPrefix(name, "filesystem.") {
				c.log.Warn("a pattern hardly matches what was meant: "+odd, "policy", c.source, "line", n.Line(), "list", name, "pattern", quote(n.Text()))
			}
			texts = append(texts, n.Text())
		}
	}
	c.rules += len(nodes)
	return ruleList{name, advice, compilePatterns(texts), anchored(texts)}
}
