package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/licenseclassifier/v2/assets"
)

// licencesFile holds the licences of what the binaries are made of.
const licencesFile = "THIRD_PARTY_LICENSES"

// either are the modules that leave the choice of a licence, by their words, which a
// list of all that is found in them does not tell.
var either = map[string]string{"kernel.org/pub/linux/libs/security/libcap/psx": "BSD-3-Clause OR GPL-2.0-only"}

// A thirdParty is a module in a binary.
type thirdParty struct {
	path, version string
	dir           string   // of its files
	ids           []string // of its licences, as SPDX names them
}

// licences finds the licence of every module in the binaries, and of Go's standard
// library, in the module's own files. The text holds all of them; ids are theirs by
// package URL. A module without a licence, or with one that is not known, ends the
// release.
func (b build) licences(ctx context.Context, binaries []built) (text []byte, ids map[string][]string, err error) {
	modules, err := b.thirdParties(ctx, binaries)
	if err != nil {
		return nil, nil, err
	}
	classifier, err := assets.DefaultClassifier()
	if err != nil {
		return nil, nil, err
	}
	ids = map[string][]string{}
	var all bytes.Buffer
	all.WriteString("cavra-runtime is made of the Go modules below as well. These are their licences.\n")
	for _, m := range modules {
		var held bytes.Buffer
		files, err := licenceFiles(m.dir, m.path != "std")
		if err != nil {
			return nil, nil, err
		}
		for _, name := range files {
			text, err := os.ReadFile(filepath.Join(m.dir, filepath.FromSlash(name)))
			if err != nil {
				return nil, nil, err
			}
			for _, match := range classifier.Match(text).Matches {
				if match.MatchType == "License" {
					m.ids = append(m.ids, match.Name)
				}
			}
			fmt.Fprintf(&held, "\n-- %s\n\n%s\n", name, bytes.TrimSpace(bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n"))))
		}
		slices.Sort(m.ids)
		if m.ids = slices.Compact(m.ids); len(m.ids) == 0 {
			return nil, nil, fmt.Errorf("%s %s: no licence is found in %v; do without the module, or teach this program where its licence stands", m.path, m.version, files)
		}
		if choice := either[m.path]; choice != "" {
			m.ids = []string{choice}
		}
		ids[purl(m.path, m.version)] = m.ids
		fmt.Fprintf(&all, "\n==== %s %s (%s)\n%s", m.path, m.version, strings.Join(m.ids, ", "), held.Bytes())
	}
	return all.Bytes(), ids, nil
}

// thirdParties are the modules of the binaries, sorted, with the standard library.
func (b build) thirdParties(ctx context.Context, binaries []built) (found []thirdParty, err error) {
	goVersion, modules, err := madeOf(binaries)
	if err != nil {
		return nil, err
	}
	goroot, err := b.goPrints(ctx, "env", "GOROOT")
	if err != nil {
		return nil, err
	}
	found = append(found, thirdParty{path: "std", version: strings.TrimPrefix(goVersion, "go"), dir: string(bytes.TrimSpace(goroot))})
	download := []string{"mod", "download", "-json"}
	for _, m := range modules {
		download = append(download, m.Path+"@"+m.Version)
	}
	out, err := b.goPrints(ctx, download...)
	if err != nil {
		return nil, err
	}
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
		var m struct{ Path, Version, Dir string }
		if err := decoder.Decode(&m); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, err
		}
		found = append(found, thirdParty{path: m.Path, version: m.Version, dir: m.Dir})
	}
	slices.SortFunc(found, func(a, b thirdParty) int {
		return cmp.Or(cmp.Compare(a.path, b.path), cmp.Compare(a.version, b.version))
	})
	return found, nil
}

// goPrints is what a go command prints.
func (b build) goPrints(ctx context.Context, args ...string) ([]byte, error) {
	cmd, err := b.goCommand(ctx, args...)
	if err != nil {
		return nil, err
	}
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go %s: %w%s", args[0], err, saidBy(err))
	}
	return out, nil
}

// licenceFiles are the files of a module that hold a licence, or what it wants to be
// told: its own, and where deep is set those of code that it took in. Documents and
// tests are in no binary.
func licenceFiles(dir string, deep bool) (found []string, err error) {
	apart := []string{"docs", "doc", "testdata", "examples", "_examples", "vendor"}
	err = fs.WalkDir(os.DirFS(dir), ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if path != "." && (!deep || slices.Contains(apart, entry.Name())) {
				return fs.SkipDir
			}
			return nil
		}
		name := strings.ToUpper(entry.Name())
		for _, beginning := range []string{"LICENSE", "LICENCE", "COPYING", "NOTICE", "PATENTS"} {
			if strings.HasPrefix(name, beginning) && !strings.HasSuffix(name, ".GO") {
				found = append(found, path)
			}
		}
		return nil
	})
	return found, err
}
