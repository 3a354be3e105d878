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
		text, _ := Pack(name)
		p, err := parsePolicy(name+".json", text, log)
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
