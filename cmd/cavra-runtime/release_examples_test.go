//go:build !windows

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"

	enforcementv1 "github.com/Huzefaaa2/cavra/go/cavra-runtime/enforcement/v1"
)

const releaseExamples = "../../examples/go-runtime/typed-release-governance"

// releaseRows are the rows of the table of release governance, in its order, each
// with its example. The reason tells two rows of one rule apart.
var releaseRows = []struct{ example, decision, rule, severity, reason string }{
	{"missing-record", "require_approval", "record.missing", "medium", "holds no release_governance record"},
	{"approved-without-id", "block", "approval.missing", "critical", "there is no approval_id"},
	{"tampered-although-approved", "require_approval", "signal.critical", "high", "an approval does not vouch for that"},
	{"approved-promotion", "allow", "approval.approved", "low", "is approved"},
	{"pending-promotion", "require_approval", "approval.pending", "high", "is pending"},
	{"denied-rollback", "block", "approval.denied", "critical", "is denied"},
	{"unknown-approval-state", "require_approval", "approval.unknown", "medium", "means nothing here"},
	{"failed-connector-delivery", "block", "delivery.failed", "high", "delivery_success is not true"},
	{"critical-inventory-freshness", "require_approval", "signal.critical", "high", "alert_level is critical; find out why"},
	{"execution-without-approval", "block", "approval.missing", "critical", "carried out only with an approval"},
	{"unapproved-promotion-request", "require_approval", "approval.required", "high", "needs an approval"},
	{"verified-artifact-integrity", "allow", "record.verified", "low", "is of a known kind"},
	{"unclassified-record", "allow", "approval.not_required", "low", "needs no approval"},
}

func TestReleaseExamplesAreDecidedAsTheySay(t *testing.T) {
	readme, err := os.ReadFile(filepath.Join(releaseExamples, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, row := range releaseRows {
		names = append(names, row.example)
		t.Run(row.example, func(t *testing.T) {
			t.Parallel()
			out, err := exec.CommandContext(t.Context(), "cavra-runtime", "--input", filepath.Join(releaseExamples, row.example+".json")).Output()
			if err != nil {
				t.Fatal(err)
			}
			var resp enforcementv1.DecisionResponse
			if err := json.Unmarshal(out, &resp); err != nil {
				t.Fatal(err)
			}
			want := [...]string{row.decision, "release_governance." + row.rule, row.severity}
			if got := [...]string{resp.Decision, resp.RuleID, resp.Severity}; got != want || !strings.Contains(resp.Reason, row.reason) {
				t.Errorf("decided %q: %s; want %q: …%s…", got, resp.Reason, want, row.reason)
			}
			line := "| [" + row.example + "](" + row.example + ".json) | " + strings.Join(want[:], " | ") + " |"
			if !strings.Contains(string(readme), line) {
				t.Errorf("the README has no line that begins with %s", line)
			}
		})
	}

	files, err := filepath.Glob(filepath.Join(releaseExamples, "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	var there []string
	for _, f := range files {
		there = append(there, strings.TrimSuffix(filepath.Base(f), ".json"))
	}
	slices.Sort(names)
	if !slices.Equal(there, names) {
		t.Errorf("there are the examples\n%q\nand the rows have\n%q", there, names)
	}
}

// Every rule of release governance that the runtime knows has an example, so that
// one that is added is missed here.
func TestEveryReleaseRuleHasAnExample(t *testing.T) {
	source, err := os.ReadFile("../../stages/evaluate/release.go")
	if err != nil {
		t.Fatal(err)
	}
	declared := regexp.MustCompile(`releaseRow\([^,]+, "([a-z_.]+)"`).FindAllSubmatch(source, -1)
	if len(declared) < 11 {
		t.Fatalf("%d rules are declared: the test looks in the wrong place", len(declared))
	}
	for _, m := range declared {
		if !slices.ContainsFunc(releaseRows, func(row struct{ example, decision, rule, severity, reason string }) bool {
			return row.rule == string(m[1])
		}) {
			t.Errorf("release_governance.%s has no example", m[1])
		}
	}
}
