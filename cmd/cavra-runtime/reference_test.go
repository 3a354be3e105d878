//go:build linux

package main

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the generated parts of the documents anew")

// What docs/operations.md says of options, exit codes, signals, rules and metrics
// is what the code says. A part stands between a comment that names it and one
// that ends it.
func TestOperationsAreGenerated(t *testing.T) {
	const path = "../../docs/operations.md"
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	got := string(text)
	for name, part := range map[string]string{
		"options": optionTables(), "exit codes": exitCodeTable(), "signals": signalTable(),
		"rules": ruleTable(t), "metrics": metricTable(t),
	} {
		begin, end := "<!-- generated: "+name+" -->\n", "<!-- end: "+name+" -->"
		i, j := strings.Index(got, begin), strings.Index(got, end)
		if i < 0 || j < i {
			t.Fatalf("%s holds no generated part %q", path, name)
		}
		got = got[:i+len(begin)] + "\n" + part + "\n" + got[j:]
	}
	if got == string(text) {
		return
	}
	if !*update {
		t.Fatalf("%s is not what the code says; go test ./cmd/cavra-runtime -run %s -update writes it anew", path, t.Name())
	}
	if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
		t.Fatal(err)
	}
}

// cell is text in a table of Markdown.
func cell(text string) string { return strings.ReplaceAll(text, "|", `\|`) }

func optionTables() string {
	var b strings.Builder
	for i, g := range flagGroups(newParser(&cli{}).Model.Flags) {
		if i > 0 {
			b.WriteByte('\n')
		}
		fmt.Fprintf(&b, "**%s**\n\n| flag | variable | default | meaning |\n|---|---|---|---|\n", g.title)
		for _, f := range g.flags {
			name, def, help := "--"+f.Name, f.Default, f.Help
			if takesValue(f) {
				name += " " + f.PlaceHolder
			}
			if said, d, ok := strings.Cut(help, " Default: "); ok {
				help, def = said, d
			}
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", cell(name), strings.Join(f.Envs, ", "), cell(def), cell(help))
		}
	}
	return b.String()
}

func exitCodeTable() string {
	var b strings.Builder
	b.WriteString("| code | meaning |\n|---|---|\n")
	for _, e := range exitCodes {
		fmt.Fprintf(&b, "| %d | %s |\n", e.code, e.meaning)
	}
	return b.String()
}

func signalTable() string {
	var b strings.Builder
	b.WriteString("| signal | the daemon |\n|---|---|\n")
	for _, s := range signals {
		fmt.Fprintf(&b, "| %s | %s |\n", s.name, s.meaning)
	}
	return b.String()
}

// metricTable lists what a daemon with every built-in source of figures gives.
func metricTable(t *testing.T) string {
	_, socket := monitored(t, "--runner-oidc-issuer", "https://ci.example", "--runner-oidc-audience", "cavra",
		"--runner-oidc-jwks", jwksFile(t), "--runner-oidc-require", "repository=octo/*")
	given := scrape(t, socket)
	var b strings.Builder
	b.WriteString("| family | type | meaning |\n|---|---|---|\n")
	for _, name := range sortedKeys(given) {
		f := given[name]
		var labels []string
		for _, l := range f.GetMetric()[0].GetLabel() {
			labels = append(labels, l.GetName())
		}
		help := f.GetHelp()
		if labels != nil {
			help += " Labels: " + strings.Join(labels, ", ") + "."
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", name, strings.ToLower(f.GetType().String()), cell(help))
	}
	return b.String()
}

// ruleTable lists every rule that an answer can name, as the sources declare them:
// rows of a table of evaluate, and blocks.
func ruleTable(t *testing.T) string {
	found := map[string]bool{}
	for _, name := range append([]string{"pipeline"}, defaultStages...) {
		found[fmt.Sprintf("| `%s.fault` | block | critical | |", name)] = true
	}
	for _, dir := range []string{"../../conn", "../../stages"} {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
			if err != nil {
				return err
			}
			severities := map[ast.Expr]string{}
			ast.Inspect(file, func(n ast.Node) bool {
				decision, rule, severity, group := "", "", "", ""
				switch n := n.(type) {
				case *ast.CallExpr:
					switch of := n.Fun.(type) {
					case *ast.SelectorExpr:
						if of.Sel.Name == "WithSeverity" {
							severities[of.X] = word(n.Args[0])
						}
						if x, ok := of.X.(*ast.Ident); ok && x.Name == "pipeline" && of.Sel.Name == "Block" {
							decision, rule, severity = "block", word(n.Args[0]), "high"
							if s := severities[n]; s != "" {
								severity = s
							}
						}
					case *ast.Ident:
						if of.Name == "releaseRow" {
							decision, rule, severity = word(n.Args[0]), "release_governance."+word(n.Args[1]), word(n.Args[2])
							if decision != "allow" {
								group = "Release Governance"
							}
						}
					}
				case *ast.CompositeLit:
					if of, ok := n.Type.(*ast.Ident); ok && of.Name == "row" && len(n.Elts) == 4 {
						decision, rule, severity, group = word(n.Elts[0]), word(n.Elts[1]), word(n.Elts[2]), word(n.Elts[3])
					}
				}
				if strings.Contains(rule, ".") && severity != "" {
					found[strings.TrimSpace(fmt.Sprintf("| `%s` | %s | %s | %s", rule, decision, severity, group))+" |"] = true
				}
				return true
			})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	table := strings.Join(sortedKeys(found), "\n")
	// The rules that clients of earlier runtimes know; each is declared somewhere.
	for _, rule := range strings.Fields(knownRules) {
		if !strings.Contains(table, "`"+rule+"`") {
			t.Errorf("no source declares %s: the test looks in the wrong place, or the rule is gone", rule)
		}
	}
	return "| rule | decision | severity | approved by |\n|---|---|---|---|\n" + table + "\n"
}

// word is the value of a string literal, or what one of our constants stands for.
func word(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.BasicLit:
		s, _ := strconv.Unquote(e.Value)
		return s
	case *ast.SelectorExpr: // enforcementv1.DecisionRequireApproval, enforcementv1.SeverityHigh
		name := strings.TrimPrefix(strings.TrimPrefix(e.Sel.Name, "Decision"), "Severity")
		return strings.ToLower(regexp.MustCompile(`([a-z])([A-Z])`).ReplaceAllString(name, "${1}_${2}"))
	case *ast.Ident: // platformSecurity
		name := regexp.MustCompile(`([a-z])([A-Z])`).ReplaceAllString(e.Name, "${1} ${2}")
		if name == "ai Governance" {
			return "AI Governance"
		}
		return strings.ToUpper(name[:1]) + name[1:]
	}
	return ""
}

const knownRules = `request.invalid request.too_large request.timeout runner_auth.invalid evidence.unavailable
server.overloaded peer.denied policy.unknown_pack policy.pack_not_allowed decode.fault evaluate.fault
filesystem.read.block filesystem.read.allow filesystem.write.block filesystem.write.require_approval filesystem.write.allow
commands.block commands.require_approval commands.allow commands.default.require_approval commands.unresolved
git.protected_branch.block_direct_push git.push.unresolved git.allow
mcp.server.trust.block_unknown mcp.server.trust.allow mcp.registry.unknown mcp.registry.blocked mcp.registry.requires_approval
mcp.registry.tool_scope mcp.registry.capability_scope mcp.registry.allow
release_governance.record.missing release_governance.approval.missing release_governance.approval.approved
release_governance.approval.pending release_governance.approval.denied release_governance.approval.unknown
release_governance.delivery.failed release_governance.signal.critical release_governance.approval.required
release_governance.record.verified release_governance.approval.not_required runtime.default.require_approval`

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
