package evaluate

import (
	"strings"

	"github.com/Huzefaaa2/cavra/go/cavra-runtime/metrics"
)

// A Report is what the stage tells whoever runs the daemon.
type Report struct {
	// Policies are those that may judge; the first judges a request that names
	// none.
	Policies []PolicyReport `json:"policies"`
	// Registry is true where a trust registry judges MCP calls.
	Registry bool `json:"registry"`
}

// A PolicyReport names a policy and the bytes of its file.
type PolicyReport struct {
	ID     string `json:"id"`
	Digest string `json:"digest"` // as in the policy:// ref of a response
}

// Report names the policies that may judge.
func (s *Stage) Report() any {
	r := Report{Registry: s.registry != nil}
	for _, p := range s.choice.all() {
		one := PolicyReport{p.id, p.digest()}
		if p == s.choice.first {
			r.Policies = append([]PolicyReport{one}, r.Policies...)
			continue
		}
		r.Policies = append(r.Policies, one)
	}
	return r
}

// Collect writes which policies may judge.
func (s *Stage) Collect(w *metrics.Writer) {
	for _, p := range s.choice.all() {
		w.Gauge("cavra_policy_info", "1; the labels name a policy that may judge, and its bytes.", 1, "policy_id", p.id, "digest", p.digest())
	}
}

// digest is what the policy's ref says of its bytes: sha256:<hex>.
func (p *policy) digest() string {
	return p.ref[strings.LastIndexByte(p.ref, '@')+1:]
}
