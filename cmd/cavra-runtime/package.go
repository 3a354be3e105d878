package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"github.com/Huzefaaa2/cavra/go/cavra-runtime/release"
	"github.com/Huzefaaa2/cavra/go/cavra-runtime/stages/evidence/checkpoint"
)

// packageFault finds what is wrong with the flags of a release package.
func (c *cli) packageFault() string {
	switch {
	case c.Package != "" && !c.Readiness:
		return "--package goes with --readiness; --verify-package PATH verifies a package and nothing else"
	case cmp.Or(c.VerifyPackage, c.Package) != "" && c.PackageKey == "":
		return "a package is verified with the public key of its maker; name its file with --package-key"
	case c.PackageKey != "" && cmp.Or(c.VerifyPackage, c.Package) == "":
		return "--package-key goes with --verify-package, or with --readiness and --package"
	}
	return ""
}

// verifyPackage prints what there is to say of a release package.
func verifyPackage(c *cli, stdout, stderr io.Writer) int {
	report, err := c.packageReport(c.VerifyPackage)
	if err != nil {
		return fail(stderr, "the package cannot be verified", err)
	}
	text, err := json.Marshal(report)
	return printReport(text, err, report.Valid, stdout, stderr)
}

// packageReport verifies the package at path with the keys of --package-key.
func (c *cli) packageReport(path string) (release.Report, error) {
	if liesIn(c.PackageKey, path) {
		return release.Report{}, errors.New("the key lies in the package, where it proves nothing; get it from its maker")
	}
	const maxKeys = 64 << 10 // bytes
	text, err := readAtMost(c.PackageKey, nil, maxKeys)
	if err != nil {
		return release.Report{}, err
	}
	keys, err := checkpoint.ParsePublicKeys(text)
	if err != nil || len(text) > maxKeys {
		return release.Report{}, errors.New("--package-key names no file of Ed25519 public keys in PEM, one or more, and nothing else")
	}
	return release.Verify(path, keys...), nil
}

// liesIn reports whether a file lies in a directory, wherever links lead.
func liesIn(file, dir string) bool {
	for _, path := range []*string{&file, &dir} {
		if real, err := filepath.EvalSymlinks(*path); err == nil {
			*path = real
		}
		if absolute, err := filepath.Abs(*path); err == nil {
			*path = absolute
		}
	}
	rel, err := filepath.Rel(dir, file)
	return err == nil && filepath.IsLocal(rel) && rel != "."
}

// readyPackage verifies the package that was named.
func (c *cli) readyPackage() readinessCheck {
	if c.Package == "" {
		return skipped("no package was named with --package")
	}
	report, err := c.packageReport(c.Package)
	switch {
	case err != nil:
		return failed(err, "name the file of the maker's public key with --package-key")
	case !report.Valid:
		first := report.Errors[0]
		return failed(fmt.Errorf("%d errors; the first is %s: %s", len(report.Errors), cmp.Or(first.Path, "of the whole"), first.Message),
			"do not install it; --verify-package shows all of them")
	}
	return pass("%s is version %s, with %d files, signed by %s", c.Package, report.Version, report.Files, report.KeyID)
}
