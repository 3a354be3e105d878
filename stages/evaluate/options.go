package evaluate

import (
	"errors"
	"io/fs"

	"github.com/Huzefaaa2/cavra/go/cavra-runtime/pipeline"
)

// Options configure the stage. The zero value judges by the built-in packs and
// lets each request choose among them.
type Options struct {
	// Policy is the path of a policy, YAML or JSON. It judges every request, whatever
	// policy_pack the request names. Default: the built-in packs.
	Policy string `json:"policy"`
	// PolicyPacks are the built-in packs that requests may choose; the first
	// judges a request that chooses none. Default: all of them, and
	// cavra-ai-agent-baseline first, so that whoever asks chooses the pack.
	PolicyPacks []string `json:"policy_packs"`
	// Registry is the path of a trust registry of MCP servers. With one, it
	// judges MCP tool calls in place of the policy. Default: none.
	Registry string `json:"registry"`
	// RequireProvenIdentityForRelease blocks a release governance record that
	// comes without proof of who sends it: such a record is believed in what it
	// says of itself. Default: false.
	RequireProvenIdentityForRelease bool `json:"require_proven_identity_for_release"`
	// ResolveLinks has the file system followed to the file that a target leads
	// to, so that a rule on a file holds for the links to it. What it does not
	// answer in time is not allowed. Default: true.
	ResolveLinks *bool `json:"resolve_links"`
}

// Files are the files that the options name. Agents may read them, not write to
// them.
func (o Options) Files() []pipeline.File {
	var files []pipeline.File
	for _, path := range []string{o.Policy, o.Registry} {
		if path != "" {
			files = append(files, pipeline.File{Path: path})
		}
	}
	return files
}

// unreadable says which file an option names that cannot be read.
func unreadable(option string, err error) error {
	var at *fs.PathError
	if errors.As(err, &at) {
		return errors.New(option + ": cannot read " + at.Path + ": " + at.Err.Error() + "; name a file that the runtime may read")
	}
	return errors.New(option + ": " + err.Error())
}
