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
	subcommands                                subcommands  // of what is blocked or needs approval
	arrangements                               arrangements // of the same
	blockUnknownServers, blockProtectedPushes  bool

	source string    // the file, or the pack, that it was read from
	rec    *recorder // hears how a decision comes about; nil but in a copy made to explain one
}

//go:generate go test -run ^TestTheSchemaIsThatOfTheTypes$ -update .

// The form of a policy file. The comments of its members are what its schema
// says of them. What a section holds beyond its members is gathered under
// Unknown, since earlier releases wrote more than is enforced.
type (
	policyFile struct {
		// Where an editor finds this schema. The runtime does not read it.
		Schema string `json:"$schema"`
		// What the policy is called.
		Metadata policyMetadata `json:"metadata"`
		// Patterns of the files that are read and written.
		Filesystem policyFilesystem `json:"filesystem"`
		// Patterns of the commands that are run. What matches none of them needs
		// approval.
		Commands policyCommands `json:"commands"`
		// Patterns of the MCP servers that are called, where no trust registry judges
		// them.
		MCP policyMCP `json:"mcp"`
		// The branches that nobody pushes to directly.
		Git policyGit `json:"git"`
		// What must be answered. The policy is refused where something else would be.
		Examples policyExamples    `json:"examples"`
		Unknown  []document.Member `json:",unknown"`
	}
	policyMetadata struct {
		// Names the policy in every answer: one word of printable ASCII.
		ID wordNode `json:"id"`
		// The name of the policy for people.
		Title string `json:"title"`
		// What the policy is for.
		Description string `json:"description"`
		// The version of the policy, as a string.
		Version string            `json:"version"`
		Unknown []document.Member `json:",unknown"`
	}
	policyFilesystem struct {
		// Files that are not read.
		BlockRead patternNodes `json:"block_read"`
		// Files that are not written.
		BlockWrite patternNodes `json:"block_write"`
		// Files that are written once somebody has approved.
		RequireApprovalWrite patternNodes      `json:"require_approval_write"`
		Unknown              []document.Member `json:",unknown"`
	}
	policyCommands struct {
		// Commands that are not run. They are tried first.
		Block patternNodes `json:"block"`
		// Commands that are run once somebody has approved. They are tried second.
		RequireApproval patternNodes `json:"require_approval"`
		// Commands that are run. They are tried last.
		Allow   patternNodes      `json:"allow"`
		Unknown []document.Member `json:",unknown"`
	}
	policyMCP struct {
		// Servers that may be called.
		AllowedServers patternNodes `json:"allowed_servers"`
		// Servers that are not called, even where the other list allows them.
		BlockedServers patternNodes `json:"blocked_servers"`
		// Whether servers that match no pattern are blocked. Default: true.
		BlockUnknownServers *bool             `json:"block_unknown_servers"`
		Unknown             []document.Member `json:",unknown"`
	}
	policyGit struct {
		// Branches that are protected. Default: main and master, for an empty list too.
		ProtectedBranches patternNodes `json:"protected_branches"`
		// Whether a direct push to them is blocked. Default: true.
		BlockDirectPushToProtectedBranch *bool             `json:"block_direct_push_to_protected_branch"`
		Unknown                          []document.Member `json:",unknown"`
	}

	// patternNodes are patterns that know where they stand.
	patternNodes = []*document.Node
	// wordNode is one word that knows where it stands.
	wordNode = *document.Node
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

	examplesSection = section{"examples", []string{"allow", "require_approval", "block"}, nil}

	knownSections   = []string{"metadata", "filesystem", "commands", "mcp", "git", "examples"}
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

// parsePolicy checks a policy, tries its examples and makes it ready. The error
// holds every fault of it; name stands before each. What is accepted and not
// enforced goes to the log, and so does what is hardly meant.
func parsePolicy(name string, text []byte, log hclog.Logger) (*policy, error) {
	c := &policyCheck{source: name, log: log}
	p, examples, err := c.read(text)
	if err != nil {
		return nil, err
	}
	if c.tryExamples(p, examples); len(c.faults) > 0 {
		return nil, document.Join(c.faults...)
	}
	c.warn(p)
	return p, nil
}

// parsePack makes a built-in pack ready. Its examples are tried by a test, and not
// again at every start.
func parsePack(name string, log hclog.Logger) (*policy, error) {
	text, _ := Pack(name)
	p, _, err := (&policyCheck{source: name + ".json", log: log}).read(text)
	return p, err
}

// read reads a policy and its examples, and reports all that is faulty before any
// example is tried: what a faulty policy would answer says nothing.
func (c *policyCheck) read(text []byte) (*policy, []example, error) {
	root, err := document.Parse(c.source, text)
	if root == nil {
		return nil, nil, err
	}
	var file policyFile
	c.nodes = map[string]patternNodes{}
	c.add(err)
	c.add(document.Decode(root, &file))
	c.sections(root, file.Unknown)
	c.members(metadataSection, file.Metadata.Unknown)
	c.members(filesystemSection, file.Filesystem.Unknown)
	c.members(commandsSection, file.Commands.Unknown)
	c.members(mcpSection, file.MCP.Unknown)
	c.members(gitSection, file.Git.Unknown)
	c.members(examplesSection, file.Examples.Unknown)

	const (
		blocked   = "do without it, or have the policy changed"
		toApprove = "ask for approval and wait for it"
		noAdvice  = ""
	)
	fs, cmd, git := &file.Filesystem, &file.Commands, &file.Git
	p := &policy{
		id:                   c.id(root, file.Metadata.ID),
		source:               c.source,
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
	for _, list := range []*ruleList{&p.blockCommand, &p.approveCommand} {
		p.subcommands.addPatterns(list.patterns.texts)
		p.arrangements.addPatterns(list.patterns.texts)
	}
	if len(p.protectedBranches.patterns.texts) == 0 {
		p.protectedBranches.patterns = compilePatterns(defaultProtectedBranches)
	}
	examples := c.examples(&file.Examples)
	if len(c.faults) > 0 {
		return nil, nil, document.Join(c.faults...)
	}
	sum := sha256.Sum256(text)
	p.ref = "policy://" + p.id + "@sha256:" + hex.EncodeToString(sum[:])
	return p, examples, nil
}

func orTrue(b *bool) bool { return b == nil || *b }

// A policyCheck gathers what is wrong with one policy.
type policyCheck struct {
	source string
	log    hclog.Logger
	faults []error
	rules  int                     // patterns found
	nodes  map[string]patternNodes // where the patterns of a list stand, by its name
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
	case strings.HasPrefix(text, "~/"), strings.HasPrefix(text, "$"):
		return "~ and variables stand for themselves; for a file in any directory write it with **/, as in **/.ssh/**"
	case strings.HasPrefix(text, "!"):
		return "! stands for itself, and no pattern takes another back; leave it out"
	case strings.ContainsAny(text, `?[]{}\`):
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
	c.nodes[name] = nodes
	list := ruleList{name: name, advice: advice, patterns: compilePatterns(texts), anchored: anchored(texts)}
	if strings.HasPrefix(name, "filesystem.") {
		list.folded = foldPatterns(texts)
	}
	return list
}
