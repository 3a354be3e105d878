package evaluate

import (
	"embed"
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/go-hclog"

	"github.com/Huzefaaa2/cavra/go/cavra-runtime/document"
	"github.com/Huzefaaa2/cavra/go/cavra-runtime/pipeline"
)

// DefaultPack is the built-in pack that judges where neither the configuration
// nor the request names one.
const DefaultPack = "cavra-ai-agent-baseline"

//go:embed packs/*.json
var packFiles embed.FS

var (
	errUnknownPack    = pipeline.Block("policy.unknown_pack", "")
	errPackNotAllowed = pipeline.Block("policy.pack_not_allowed", "")
)

// PackNames are the names of the built-in packs, in alphabetical order.
func PackNames() []string {
	entries, err := packFiles.ReadDir("packs")
	if err != nil {
		panic(err) // the directory is part of the program
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = strings.TrimSuffix(e.Name(), ".json")
	}
	slices.Sort(names)
	return names
}

// Pack is the compiled policy of a built-in pack as it stands in the program,
// and whether there is one of that name.
func Pack(name string) ([]byte, bool) {
	if !slices.Contains(PackNames(), name) {
		return nil, false
	}
	text, err := packFiles.ReadFile("packs/" + name + ".json")
	return text, err == nil
}

// A PackSummary is what a list of the packs says of one.
type PackSummary struct {
	Name        string `json:"name"`
	Title       string `json:"title"`
	Description string `json:"description"`
	Version     string `json:"version"`
	Rules       int    `json:"rules"`   // patterns in all lists
	Default     bool   `json:"default"` // judges where nothing names another
}

// Packs are the built-in packs, in alphabetical order.
func Packs() []PackSummary {
	var list []PackSummary
	for _, name := range PackNames() {
		text, _ := Pack(name)
		var file policyFile
		if err := document.Read(name, text, &file); err != nil {
			panic(err) // the pack is part of the program
		}
		s := PackSummary{
			Name: name, Title: file.Metadata.Title, Description: file.Metadata.Description, Version: file.Metadata.Version,
			Default: name == DefaultPack,
		}
		fs, cmd := &file.Filesystem, &file.Commands
		for _, list := range []patternNodes{
			fs.BlockRead, fs.BlockWrite, fs.RequireApprovalWrite, cmd.Block, cmd.RequireApproval, cmd.Allow,
			file.MCP.AllowedServers, file.MCP.BlockedServers, file.Git.ProtectedBranches,
		} {
			s.Rules += len(list)
		}
		list = append(list, s)
	}
	return list
}

// NearestPack is the name of the pack that name most likely misspells, or "". The
// prefix that all of them have may be missing.
func NearestPack(name string) string {
	if len(name) > mostQuoted { // looking for the nearest takes time
		return ""
	}
	const prefix = "cavra-"
	if near := document.Nearest(name, PackNames()); near != "" || strings.HasPrefix(name, prefix) {
		return near
	}
	return document.Nearest(prefix+name, PackNames())
}

// A chooser says which policy judges a request.
type chooser struct {
	only   *policy            // of the configuration; judges everything
	packs  map[string]*policy // those that a request may pick
	first  *policy            // for a request that picks none
	known  []string           // names of all packs
	pinned []string           // names of those that may be picked; nil where all may
}

// newChooser loads the policy file, or else the packs of the pin, or else all.
func newChooser(file string, pin []string, log hclog.Logger) (*chooser, error) {
	c := &chooser{known: PackNames(), packs: map[string]*policy{}}
	var faults []error
	for i, name := range pin {
		switch {
		case !slices.Contains(c.known, name):
			faults = append(faults, fmt.Errorf("policy_packs: %s is no built-in pack; the packs are %s", quote(name), strings.Join(c.known, ", ")))
		case slices.Contains(pin[:i], name):
			faults = append(faults, fmt.Errorf("policy_packs: %s is listed twice; list it once", name))
		}
	}
	if file != "" {
		p, err := loadPolicy(file, log)
		if len(pin) > 0 {
			log.Warn("policy_packs has no effect beside a policy, which judges every request", "policy", file)
		}
		c.only = p
		return c, document.Join(append(faults, err)...)
	}
	if len(faults) > 0 {
		return nil, document.Join(faults...)
	}

	names := c.known
	if len(pin) > 0 {
		names, c.pinned = pin, pin
	} else {
		log.Warn("a request may choose any built-in policy pack; name a policy with --policy FILE, or the packs that may be chosen with --policy-packs")
	}
	for _, name := range names {
		p, err := parsePack(name, log)
		if err != nil {
			faults = append(faults, err)
			continue
		}
		c.packs[name] = p
	}
	if c.first = c.packs[DefaultPack]; len(pin) > 0 {
		c.first = c.packs[pin[0]]
	}
	return c, document.Join(faults...)
}

// policyFor is the policy that judges a request which asks for a pack, or the
// block that says why there is none.
func (c *chooser) policyFor(pack string) (*policy, error) {
	switch {
	case c.only != nil:
		return c.only, nil
	case pack == "":
		return c.first, nil
	}
	if p := c.packs[pack]; p != nil {
		return p, nil
	}
	if slices.Contains(c.known, pack) {
		return nil, errPackNotAllowed.Reasonf("policy_pack %s is not among those that this runtime allows: %s", pack, strings.Join(c.pinned, ", "))
	}
	names := c.pinned
	if names == nil {
		names = c.known
	}
	return nil, errUnknownPack.Reasonf("policy_pack %s is no built-in pack; the packs are %s", quote(pack), strings.Join(names, ", "))
}

// all are the policies that can judge.
func (c *chooser) all() []*policy {
	if c.only != nil {
		return []*policy{c.only}
	}
	var list []*policy
	for _, name := range c.known {
		if p := c.packs[name]; p != nil {
			list = append(list, p)
		}
	}
	return list
}
