// Package cavraruntime_test holds the tests of the repository as a whole: who
// imports whom, and that the documents are true.
package cavraruntime_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/Huzefaaa2/cavra/go/cavra-runtime"

// mayImport says which of our packages the packages below a folder may import.
// The first prefix that fits a package counts.
var mayImport = []struct {
	folder  string
	imports []string
}{
	{"enforcement/", nil},
	{"document", nil},
	{"keys", nil},
	{"jwt", nil},
	{"metrics", nil},
	{"release", []string{"document", "release"}},
	{"packaging", []string{"release"}},
	{"pipeline", []string{"enforcement/v1", "document", "pipeline"}},
	{"stages/auth/citoken", []string{"enforcement/v1"}},
	{"stages/evidence/checkpoint", nil},
	{"stages/evidence/show", []string{"enforcement/v1", "stages/evidence"}},
	{"stages/evidence", []string{"enforcement/v1", "document", "keys", "metrics", "pipeline", "stages/evidence"}},
	{"stages/", []string{"enforcement/v1", "document", "jwt", "keys", "metrics", "pipeline"}},
	{"conn", []string{"enforcement/v1", "metrics", "pipeline", "conn"}},
	{"examples/", []string{"enforcement/v1", "document", "pipeline", "conn"}},
	{"cmd/", []string{"enforcement/v1", "document", "metrics", "pipeline", "release", "stages", "conn", "examples/custom-stage"}},
	{"", []string{}}, // the tests of the repository
}

func TestWhoMayImportWhom(t *testing.T) {
	checked := 0
	for file := range goFiles(t) {
		pkg := filepath.ToSlash(filepath.Dir(file))
		rule := mayImport[slices.IndexFunc(mayImport, func(r struct {
			folder  string
			imports []string
		}) bool {
			return strings.HasPrefix(pkg, r.folder)
		})]
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, spec := range parsed.Imports {
			path, _ := strconv.Unquote(spec.Path.Value)
			ours, ok := strings.CutPrefix(path, module+"/")
			if !ok || ours == pkg {
				continue
			}
			checked++
			allowed := slices.ContainsFunc(rule.imports, func(dir string) bool {
				return ours == dir || strings.HasPrefix(ours, dir+"/")
			})
			if !allowed {
				t.Errorf("%s imports %s; packages in %q may import only %v", file, ours, rule.folder, rule.imports)
			}
		}
	}
	if checked == 0 {
		t.Fatal("no import of ours was found: the test looks in the wrong place")
	}
}

// goFiles are the Go files of this module, without the tools', by their path
// from the root.
func goFiles(t *testing.T) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case d.IsDir() && path != "." && (strings.HasPrefix(d.Name(), ".") || path == "tools" || d.Name() == "testdata"):
				return filepath.SkipDir
			case strings.HasSuffix(path, ".go") && !yield(path):
				return filepath.SkipAll
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}
