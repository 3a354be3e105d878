package evaluate

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/Huzefaaa2/cavra/go/cavra-runtime/pipeline"
)

func TestPolicyFaultsAreReportedTogether(t *testing.T) {
	path := write(t, "policy.json", `{
 "metadata": {"id": "two words", "titel": "x"},
 "filesystem": {"blocks": [], "block_read": ["", 7, "ok"]},
 "filesystems": {"block_read": ["x"]},
 "commands": {"allow": "git*", "frobnicate": 1},
 "mcp": {"block_unknown_servers": "yes"},
 "git": {"protected_branches": [null], "require_pull_request": true},
 "complience": {}
}`)
	_, err := New(Options{Policy: path, PolicyPacks: []string{"no-such-pack"}, Registry: "/no/such/file"}, pipeline.Env{})
	if err == nil {
		t.Fatal("accepted")
	}
	for _, want := range []string{
		path + `:2:21: metadata.id: wants one word of printable ASCII`,
		path + `:2:34: metadata.titel: unknown member of metadata; did you mean "title"?`,
		path + `:3:17: filesystem.blocks: unknown member of filesystem; the members are block_read, block_write, require_approval_write`,
		path + `:3:46: filesystem.block_read[0]: an empty pattern matches nothing`,
		path + `:3:50: filesystem.block_read[1]: wants a pattern, found a whole number; write a string`,
		path + `:4:2: filesystems: unknown section; did you mean "filesystem"?`,
		path + `:5:24: commands.allow: wants a list`,
		path + `:5:32: commands.frobnicate: unknown member of commands; the members are block, require_approval, allow`,
		path + `:6:35: mcp.block_unknown_servers: wants true or false`,
		path + `:7:33: git.protected_branches[0]: has no value`,
		path + `:8:2: complience: unknown section; did you mean "compliance"?`,
		`policy_packs: "no-such-pack" is no built-in pack; the packs are cavra-agentic-delivery, cavra-ai-agent-baseline`,
		`registry: cannot read /no/such/file`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing", want)
		}
	}
	if t.Failed() {
		t.Log(err)
	}
}

func TestPoliciesThatAreRefused(t *testing.T) {
	for name, tt := range map[string]struct{ text, want string }{
		"empty":            {`{}`, "metadata.id is missing"},
		"no id":            {`{"commands":{"block":["x"]}}`, "metadata.id is missing"},
		"empty id":         {`{"metadata":{"id":""},"commands":{"block":["x"]}}`, "wants one word"},
		"id of a number":   {`{"metadata":{"id":7},"commands":{"block":["x"]}}`, "wants one word"},
		"id turned":        {`{"metadata":{"id":"a\u202eb"},"commands":{"block":["x"]}}`, "wants one word"},
		"no rule":          {`{"metadata":{"id":"x"}}`, "holds no rule"},
		"empty lists":      {`{"metadata":{"id":"x"},"commands":{"block":[]},"mcp":{"block_unknown_servers":true}}`, "holds no rule"},
		"null":             {`null`, ""},
		"a list":           {`[]`, "wants a map"},
		"null section":     {`{"metadata":{"id":"x"},"commands":null}`, "commands: has no value"},
		"repeated section": {`{"metadata":{"id":"x"},"commands":{"block":["a"]},"commands":{"allow":["a"]}}`, "given twice"},
		"case of section":  {`{"metadata":{"id":"x"},"Commands":{"block":["a"]}}`, `did you mean "commands"?`},
		"case of member":   {`{"metadata":{"id":"x"},"commands":{"Block":["a"]}}`, `did you mean "block"?`},
		"torn":             {`{"metadata":{"id":"x"}`, ""},
		"no text":          {``, "metadata.id is missing"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := New(Options{Policy: write(t, "policy.json", tt.text)}, pipeline.Env{})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
	if _, err := New(Options{Policy: "/no/such/policy.json"}, pipeline.Env{}); err == nil || !strings.Contains(err.Error(), "policy: cannot read /no/such/policy.json") {
		t.Errorf("missing file: %v", err)
	}
}

// logged makes a log and says what was written to it.
func logged() (hclog.Logger, func() string) {
	var b bytes.Buffer
	return hclog.New(&hclog.LoggerOptions{Output: &b, Level: hclog.Debug}), b.String
}

func TestPoliciesOfEarlierReleasesLoad(t *testing.T) {
	log, text := logged()
	policy := write(t, "policy.json", `{
		"metadata":{"id":"old","title":"t","description":"d","version":"1","inherits":null,"mode":"enforce"},
		"commands":{"block":["x"]},
		"mcp":{"allowlist_enabled":true,"risk_scoring":{"a":1}},
		"git":{"require_pull_request":true,"require_human_reviewer":true,"require_ai_attestation":false},
		"compliance":{},"approvals":[],"evidence":{"x":null},"observability":{}}`)
	if _, err := New(Options{Policy: policy}, pipeline.Env{Log: log}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"member=metadata.inherits", "member=metadata.mode", "member=mcp.allowlist_enabled", "member=mcp.risk_scoring",
		"member=git.require_pull_request", "member=git.require_human_reviewer", "member=git.require_ai_attestation",
		"section=compliance", "section=approvals", "section=evidence", `observability`,
	} {
		if !strings.Contains(text(), want) {
			t.Errorf("%q is missing in the log", want)
		}
	}
	for line := range strings.Lines(text()) {
		if unknown := strings.Contains(line, "observability"); unknown != strings.Contains(line, "[WARN]") {
			t.Errorf("the level is wrong: %s", line)
		}
	}
}

func TestWhichPolicyJudges(t *testing.T) {
	const own = `{"metadata":{"id":"own"},"filesystem":{"block_read":["x"]}}`
	ownPath := write(t, "policy.json", own)
	sum := sha256.Sum256([]byte(own))
	ownRef := "policy://own@sha256:" + hex.EncodeToString(sum[:])
	packRef := func(name string) string {
		text, ok := Pack(name)
		if !ok {
			t.Fatalf("no pack %s", name)
		}
		sum := sha256.Sum256(text)
		return "policy://" + name + "@sha256:" + hex.EncodeToString(sum[:])
	}
	pin := []string{"cavra-cloud-iam", "cavra-terraform-prod"}
	tests := []struct {
		name            string
		o               Options
		pack            string
		id, ref, refuse string
	}{
		{"policy, no pack asked", Options{Policy: ownPath}, "", "own", ownRef, ""},
		{"policy, pack asked", Options{Policy: ownPath}, "cavra-cloud-iam", "own", ownRef, ""},
		{"policy, unknown pack asked", Options{Policy: ownPath}, "whatever", "own", ownRef, ""},
		{"policy and pin", Options{Policy: ownPath, PolicyPacks: pin}, "cavra-mcp-enterprise", "own", ownRef, ""},
		{"no pack asked", Options{}, "", DefaultPack, packRef(DefaultPack), ""},
		{"pack asked", Options{}, "cavra-cloud-iam", "cavra-cloud-iam", packRef("cavra-cloud-iam"), ""},
		{"unknown pack asked", Options{}, "cavra-cloud", "", "", "policy.unknown_pack"},
		{"pack in other letters", Options{}, "Cavra-Cloud-IAM", "", "", "policy.unknown_pack"},
		{"pack with a path", Options{}, "../packs/cavra-cloud-iam", "", "", "policy.unknown_pack"},
		{"pin, no pack asked", Options{PolicyPacks: pin}, "", "cavra-cloud-iam", packRef("cavra-cloud-iam"), ""},
		{"pin, second pack asked", Options{PolicyPacks: pin}, "cavra-terraform-prod", "cavra-terraform-prod", packRef("cavra-terraform-prod"), ""},
		{"pin, another pack asked", Options{PolicyPacks: pin}, DefaultPack, "", "", "policy.pack_not_allowed"},
		{"pin, unknown pack asked", Options{PolicyPacks: pin}, "x", "", "", "policy.unknown_pack"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newStage(t, tt.o, pipeline.Env{})
			r := ask(t, s, &request{ActionType: "read_file", Target: "README.md", PolicyPack: tt.pack})
			if tt.refuse != "" {
				verdict{"block", tt.refuse, "high", ""}.check(t, r)
				if r.PolicyID != "" {
					t.Errorf("policy_id is %q though no policy decided", r.PolicyID)
				}
				return
			}
			if r.PolicyID != tt.id || !slices.Contains(r.EvidenceRefs, tt.ref) {
				t.Errorf("policy_id %q, refs %v", r.PolicyID, r.EvidenceRefs)
			}
		})
	}
}

func TestDefaultPolicyPack(t *testing.T) {
	own := write(t, "policy.json", `{"metadata":{"id":"own"},"filesystem":{"block_read":["x"]}}`)
	for want, o := range map[string]Options{
		"own":                  {Policy: own, PolicyPacks: []string{"cavra-cloud-iam"}},
		"cavra-cloud-iam":      {PolicyPacks: []string{"cavra-cloud-iam", DefaultPack}},
		DefaultPack:            {},
		"cavra-mcp-enterprise": {PolicyPacks: []string{"cavra-mcp-enterprise"}},
	} {
		if got := newStage(t, o, pipeline.Env{}).DefaultPolicyPack(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestThePin(t *testing.T) {
	_, err := New(Options{PolicyPacks: []string{"", "cavra-cloud-iam", "cavra-cloud-iam", "x"}}, pipeline.Env{})
	for _, want := range append(PackNames(), `"" is no built-in pack`, `"x" is no built-in pack`, "cavra-cloud-iam is listed twice") {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing in %v", want, err)
		}
	}
}

func TestAStartWithoutPinWarns(t *testing.T) {
	const warning = "a request may choose any built-in policy pack"
	own := write(t, "policy.json", `{"metadata":{"id":"own"},"filesystem":{"block_read":["x"]}}`)
	for name, tt := range map[string]struct {
		o    Options
		warn bool
	}{
		"nothing": {Options{}, true},
		"pin":     {Options{PolicyPacks: []string{DefaultPack}}, false},
		"policy":  {Options{Policy: own}, false},
	} {
		log, text := logged()
		newStage(t, tt.o, pipeline.Env{Log: log})
		if strings.Contains(text(), warning) != tt.warn {
			t.Errorf("%s: the log holds %q", name, text())
		}
	}
}

func TestAPolicyAtOddsWithTheRegistryWarns(t *testing.T) {
	log, text := logged()
	newStage(t, Options{
		Policy:   write(t, "policy.json", `{"metadata":{"id":"own"},"mcp":{"blocked_servers":["wide","blocked"]}}`),
		Registry: write(t, "registry.json", testRegistry),
	}, pipeline.Env{Log: log})
	if n := strings.Count(text(), "the registry decides"); n != 1 {
		t.Errorf("%d warnings:\n%s", n, text())
	}
}

func TestFilePatternsOfAnotherLanguageWarn(t *testing.T) {
	for pattern, want := range map[string]string{
		" x": "a space", "keys/": "ends with a slash", "./x": "without ./", "*.{pem,key}": "only * is special", `\.env$`: "only * is special",
		"~/.ssh/**": "~ and variables", "$HOME/x": "~ and variables", "!x": "takes another back",
		"**/.env": "", "a~": "", "a$b": "", "a!": "", "~x": "",
	} {
		if odd := oddPattern(pattern); want == "" && odd != "" || !strings.Contains(odd, want) {
			t.Errorf("%s: got %q, want %q", pattern, odd, want)
		}
	}
}

func TestPacksEnforceWhatEarlierReleasesDid(t *testing.T) {
	type lists map[string]any
	var earlier map[string]map[string]lists
	text, err := os.ReadFile("testdata/packs.json")
	if err != nil {
		t.Fatal(err)
	}
	decode(t, text, &earlier)
	if len(earlier) != 9 || len(PackNames()) != 9 {
		t.Fatalf("%d earlier packs, %d packs", len(earlier), len(PackNames()))
	}
	for name, sections := range earlier {
		t.Run(name, func(t *testing.T) {
			text, ok := Pack(name)
			if !ok {
				t.Fatal("there is no such pack")
			}
			var now map[string]map[string]any
			decode(t, text, &now)
			if now["metadata"]["id"] != name || now["metadata"]["title"] == "" || now["metadata"]["description"] == "" || now["metadata"]["version"] == "" {
				t.Errorf("metadata: %v", now["metadata"])
			}
			for section, lists := range sections {
				for list, want := range lists {
					patterns, isList := want.([]any)
					if !isList {
						if now[section][list] != want {
							t.Errorf("%s.%s is %v, was %v", section, list, now[section][list], want)
						}
						continue
					}
					have, _ := now[section][list].([]any)
					for _, p := range patterns {
						if !slices.Contains(have, p) {
							t.Errorf("%s.%s lost %q", section, list, p)
						}
					}
					if (list == "allow" || list == "allowed_servers") && len(have) != len(patterns) {
						t.Errorf("%s.%s allows more than it did", section, list)
					}
				}
			}
			if p, err := parsePolicy(name, text, hclog.NewNullLogger()); err != nil || p.id != name {
				t.Errorf("does not load: %v", err)
			}
		})
	}
	if _, ok := Pack("../stage.go"); ok {
		t.Error("a path is taken for a pack")
	}
}

func TestAHundredThousandPatternsLoadInASecond(t *testing.T) {
	var b strings.Builder
	b.WriteString(`{"metadata":{"id":"big"},"filesystem":{"block_read":["x"`)
	for i := range 100_000 {
		b.WriteString(`,"**/secret-` + strings.Repeat("a", i%20) + `/*.pem"`)
	}
	b.WriteString(`]}}`)
	start := time.Now()
	if _, err := parsePolicy("big.json", []byte(b.String()), hclog.NewNullLogger()); err != nil {
		t.Fatal(err)
	}
	t.Logf("loaded in %v", time.Since(start))
	if took := time.Since(start); took > patience {
		t.Errorf("took %v", took)
	}
}

func FuzzPolicy(f *testing.F) {
	f.Add([]byte(`{"metadata":{"id":"x"},"commands":{"block":["a*"]},"x":null}`))
	f.Add([]byte(examplePolicy + "examples: {allow: [ls, {read: a, cwd: b}], block: [{push: main, rule: x}]}"))
	f.Add([]byte(`{"metadata":{"id":"x"},"commands":{"allow":["**/**","*","a*b"]},"examples":{"allow":["x"]}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := parsePolicy("fuzz.json", text, hclog.NewNullLogger())
		if (p == nil) == (err == nil) {
			t.Fatalf("policy %v, error %v", p, err)
		}
	})
}
