package evaluate

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"

	"github.com/Huzefaaa2/cavra/go/cavra-runtime/metrics"
	"github.com/Huzefaaa2/cavra/go/cavra-runtime/pipeline"
)

// Report and metrics name the same policies, with the digest that responses have.
func TestReport(t *testing.T) {
	policy := filepath.Join(t.TempDir(), "p.json")
	if err := os.WriteFile(policy, []byte(`{"metadata":{"id":"mine@home"},"commands":{"block":["rm*"]}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, o := range map[string]Options{
		"packs":  {PolicyPacks: []string{"cavra-terraform-prod", "cavra-kubernetes-prod"}},
		"policy": {Policy: policy},
	} {
		s, err := New(o, pipeline.Env{Log: hclog.NewNullLogger(), Workspace: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		report := s.Report().(Report)
		var w metrics.Writer
		s.Collect(&w)
		var b strings.Builder
		if _, err := w.WriteTo(&b); err != nil {
			t.Fatal(err)
		}
		if first := report.Policies[0].ID; first != s.DefaultPolicyPack() {
			t.Errorf("%s: the first is %s, and %s judges where none is named", name, first, s.DefaultPolicyPack())
		}
		if len(report.Policies) != max(1, len(o.PolicyPacks)) {
			t.Errorf("%s: %+v", name, report)
		}
		for _, p := range report.Policies {
			if !strings.HasPrefix(p.Digest, "sha256:") || len(p.Digest) != len("sha256:")+64 {
				t.Errorf("%s: the digest is %s", name, p.Digest)
			}
			if !strings.Contains(b.String(), `cavra_policy_info{policy_id="`+p.ID+`",digest="`+p.Digest+`"} 1`) {
				t.Errorf("%s: %s is not among\n%s", name, p.ID, &b)
			}
		}
	}
}
