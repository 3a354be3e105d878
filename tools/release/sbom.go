package main

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"debug/buildinfo"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/CycloneDX/cyclonedx-go"
)

// A built is the binary of one target.
type built struct {
	target target
	text   []byte
	sum    string // SHA-256 of text in hex
}

// madeOf tells with which Go the binaries were built, and which modules they hold, by
// their paths.
func madeOf(binaries []built) (goVersion string, modules []*debug.Module, err error) {
	for _, b := range binaries {
		info, err := buildinfo.Read(bytes.NewReader(b.text))
		if err != nil {
			return "", nil, fmt.Errorf("the binary for %v tells nothing of its modules: %w", b.target, err)
		}
		goVersion = info.GoVersion
		for _, m := range info.Deps {
			if m.Replace != nil {
				m = m.Replace
			}
			if !slices.ContainsFunc(modules, func(o *debug.Module) bool { return o.Path == m.Path }) { // one go.mod, so one version
				modules = append(modules, m)
			}
		}
	}
	slices.SortFunc(modules, func(a, b *debug.Module) int { return cmp.Compare(a.Path, b.Path) })
	return goVersion, modules, nil
}

// sbomFile is the bill of materials in the package.
const sbomFile = "cavra-runtime.cdx.json"

// sbom is the bill of materials of the binaries, as the Go linker wrote it into
// each of them: which modules, in which versions, built with which Go. Nothing is
// taken from go.mod, which also names what no binary holds. licences are those of the
// modules, by package URL.
func sbom(version string, at time.Time, binaries []built, licences map[string][]string) ([]byte, error) {
	libraries := map[string]cyclonedx.Component{}
	var programs []cyclonedx.Component
	var dependencies []cyclonedx.Dependency
	module := ""
	for _, b := range binaries {
		info, err := buildinfo.Read(bytes.NewReader(b.text))
		if err != nil {
			return nil, fmt.Errorf("the binary for %v tells nothing of its modules: %w", b.target, err)
		}
		module = info.Main.Path
		var needs []string
		for _, c := range append([]cyclonedx.Component{standardLibrary(info.GoVersion)}, modules(info.Deps)...) {
			libraries[c.BOMRef], needs = c, append(needs, c.BOMRef)
		}
		slices.Sort(needs)
		programs = append(programs, program(version, b, info))
		dependencies = append(dependencies, cyclonedx.Dependency{Ref: b.target.binary(), Dependencies: &needs})
	}
	for _, c := range libraries {
		c.Licenses = licensesOf(licences[c.BOMRef])
		dependencies = append(dependencies, cyclonedx.Dependency{Ref: c.BOMRef})
		programs = append(programs, c)
	}
	roots := []string{}
	for _, b := range binaries {
		roots = append(roots, b.target.binary())
	}
	slices.Sort(roots)
	dependencies = append(dependencies, cyclonedx.Dependency{Ref: "cavra-runtime", Dependencies: &roots})
	slices.SortFunc(programs, func(a, b cyclonedx.Component) int {
		return cmp.Or(cmp.Compare(a.Type, b.Type), cmp.Compare(a.BOMRef, b.BOMRef))
	})
	slices.SortFunc(dependencies, func(a, b cyclonedx.Dependency) int { return cmp.Compare(a.Ref, b.Ref) })

	bom := cyclonedx.NewBOM()
	bom.Metadata = &cyclonedx.Metadata{
		Timestamp: at.Format(time.RFC3339),
		Component: &cyclonedx.Component{
			BOMRef: "cavra-runtime", Type: cyclonedx.ComponentTypeApplication, Name: "cavra-runtime", Version: version,
			PackageURL: purl(module, version),
			Licenses:   licensesOf([]string{"Apache-2.0"}),
		},
	}
	bom.Components, bom.Dependencies = &programs, &dependencies
	bom.SerialNumber = serialNumber(binaries)
	var text bytes.Buffer
	encoder := cyclonedx.NewBOMEncoder(&text, cyclonedx.BOMFileFormatJSON).SetPretty(true)
	if err := encoder.EncodeVersion(bom, cyclonedx.SpecVersion1_6); err != nil {
		return nil, err
	}
	return text.Bytes(), nil
}

// licensesOf are licences by their SPDX names, or an expression of such, as a component
// has them.
func licensesOf(ids []string) *cyclonedx.Licenses {
	var list cyclonedx.Licenses
	for _, id := range ids {
		if strings.Contains(id, " ") {
			return &cyclonedx.Licenses{{Expression: id}}
		}
		list = append(list, cyclonedx.LicenseChoice{License: &cyclonedx.License{ID: id}})
	}
	return &list
}

func program(version string, b built, info *debug.BuildInfo) cyclonedx.Component {
	properties := []cyclonedx.Property{{Name: "cavra:go:version", Value: info.GoVersion}}
	for _, s := range info.Settings {
		switch s.Key {
		case "GOOS", "GOARCH", "GOAMD64", "GOARM64", "CGO_ENABLED", "-trimpath":
			properties = append(properties, cyclonedx.Property{Name: "cavra:go:build:" + strings.TrimPrefix(s.Key, "-"), Value: s.Value})
		}
	}
	return cyclonedx.Component{
		BOMRef: b.target.binary(), Type: cyclonedx.ComponentTypeApplication, Name: b.target.binary(), Version: version,
		PackageURL: purl(info.Main.Path, version) + "?goarch=" + b.target.arch + "&goos=" + b.target.os,
		Hashes:     &[]cyclonedx.Hash{{Algorithm: cyclonedx.HashAlgoSHA256, Value: b.sum}},
		Properties: &properties,
	}
}

// modules are the components of the modules that a binary holds. A module's sum in
// go.sum is no hash of a file, so it is a property and not a hash.
func modules(deps []*debug.Module) (found []cyclonedx.Component) {
	for _, m := range deps {
		if m.Replace != nil {
			m = m.Replace
		}
		found = append(found, cyclonedx.Component{
			BOMRef: purl(m.Path, m.Version), Type: cyclonedx.ComponentTypeLibrary, Name: m.Path, Version: m.Version,
			PackageURL: purl(m.Path, m.Version),
			Properties: &[]cyclonedx.Property{{Name: "cavra:go:sum", Value: m.Sum}},
		})
	}
	return found
}

// standardLibrary is the component of what comes with Go.
func standardLibrary(goVersion string) cyclonedx.Component {
	version := strings.TrimPrefix(goVersion, "go")
	return cyclonedx.Component{
		BOMRef: purl("std", version), Type: cyclonedx.ComponentTypeLibrary, Name: "std", Version: version, PackageURL: purl("std", version),
	}
}

// purl is the package URL of a Go module. Its type folds case, and a version may hold
// a +.
func purl(module, version string) string {
	return "pkg:golang/" + strings.ToLower(module) + "@" + strings.ReplaceAll(version, "+", "%2B")
}

// serialNumber is a UUID made of the binaries' hashes, so that the same release has the
// same one.
func serialNumber(binaries []built) string {
	all := sha256.New()
	for _, b := range binaries {
		all.Write([]byte(b.sum))
	}
	u := all.Sum(nil)[:16]
	u[6], u[8] = u[6]&0x0f|0x80, u[8]&0x3f|0x80 // version 8: made as its maker likes
	return fmt.Sprintf("urn:uuid:%x-%x-%x-%x-%x", u[:4], u[4:6], u[6:8], u[8:10], u[10:])
}
