package release

import (
	"fmt"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/semver"

	"github.com/Huzefaaa2/cavra/go/cavra-runtime/document"
)

// Limits of a package. They are far above what a release has, and far below what
// would hurt.
const (
	maxManifest  = 1 << 20      // bytes of manifest.json
	maxSignature = 4 << 10      // bytes of manifest.sig.json
	maxText      = 1 << 20      // bytes of checksums.txt and of the bundles, each
	maxFiles     = 2000         // files that a manifest lists
	maxEntries   = 3 * maxFiles // files and directories that a package holds
	maxFile      = 256 << 20    // bytes of a file
	maxPackage   = 1 << 30      // bytes of all files
	maxPath      = 150          // bytes of a path: it and Root stand in a USTAR header
)

// faults says what of a manifest cannot be, signed or not.
func (m *Manifest) faults() (faults []string) {
	add := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	if m.SchemaVersion != ManifestSchema {
		add("schema_version is %s, and %s is read", clip(m.SchemaVersion), ManifestSchema)
	}
	if m.Product != Product || m.Component != Component {
		add("it is of %s %s, and not of %s %s", clip(m.Product), clip(m.Component), Product, Component)
	}
	if m.Version == "" || semver.Canonical(m.Version) != m.Version || len(m.Version) > 64 {
		add("version is %s; it must be a whole semantic version, such as v1.2.3", clip(m.Version))
	}
	if (len(m.Commit) != 40 && len(m.Commit) != 64) || !lowerHex(m.Commit) {
		add("commit is %s; it must be 40 or 64 lower-case hex digits", clip(m.Commit))
	}
	if u, err := url.Parse(m.Repository); err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil {
		add("repository is no https URL without a user") // which may be a secret
	}
	if len(m.Files) > maxFiles {
		add("it lists %d files; the most are %d", len(m.Files), maxFiles)
		return faults
	}
	return append(faults, m.fileFaults()...)
}

// fileFaults says what is wrong with the list of the files.
func (m *Manifest) fileFaults() (faults []string) {
	add := func(f File, format string, args ...any) {
		faults = append(faults, clip(f.Path)+": "+fmt.Sprintf(format, args...))
	}
	names := map[string]bool{} // in lower case
	for _, f := range m.Files {
		names[strings.ToLower(f.Path)] = true
	}
	seen := map[string]bool{}
	var total int64
	for i, f := range m.Files {
		lower := strings.ToLower(f.Path)
		switch problem := checkPath(f.Path); {
		case problem != "":
			add(f, "%s", problem)
		case lower == ManifestName || lower == SignatureName:
			add(f, "cannot be listed, since the list stands in it or is signed by it")
		case seen[lower]:
			add(f, "is listed before, but perhaps for the case of letters")
		case i > 0 && f.Path < m.Files[i-1].Path:
			add(f, "is not in the order of the paths")
		}
		seen[lower] = true
		for dir := path.Dir(lower); dir != "." && dir != "/"; dir = path.Dir(dir) {
			if names[dir] || dir == ManifestName || dir == SignatureName {
				add(f, "lies below a file")
			}
		}
		if len(f.SHA256) != 64 || !lowerHex(f.SHA256) {
			add(f, "sha256 must be 64 lower-case hex digits")
		}
		if f.Mode != ModeFile && f.Mode != ModeProgram {
			add(f, "mode must be %s or %s", ModeFile, ModeProgram)
		}
		if f.Size < 0 || f.Size > maxFile {
			add(f, "size must be from 0 to %d", maxFile)
			continue
		}
		total += f.Size
	}
	if total > maxPackage {
		faults = append(faults, fmt.Sprintf("the files have %d bytes together; the most are %d", total, maxPackage))
	}
	for _, name := range []string{ChecksumsName, BundlesName} {
		if f := m.find(name); f == nil {
			faults = append(faults, name+" is not listed")
		} else if f.Size > maxText {
			add(*f, "has more than %d bytes", maxText)
		}
	}
	return faults
}

// find returns the file of a path, or nil.
func (m *Manifest) find(path string) *File {
	for i := range m.Files {
		if m.Files[i].Path == path {
			return &m.Files[i]
		}
	}
	return nil
}

// checkPath says why path cannot be that of a file in a package, or "". A path has
// names of ASCII letters, digits and . _ + @ ~ - with slashes between them, is
// short, and means the same file on every system.
func checkPath(p string) string {
	switch {
	case p == "":
		return "a path is missing"
	case len(p) > maxPath:
		return fmt.Sprintf("the path has %d bytes; the most are %d", len(p), maxPath)
	case strings.Trim(p, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._+@~-/") != "":
		return "the path holds other characters than ASCII letters, digits and . _ + @ ~ - /"
	case strings.HasPrefix(p, "/"):
		return "the path is absolute"
	case path.Clean(p) != p || p == ".." || strings.HasPrefix(p, "../") || p == ".":
		return "the path is not clean, or leaves the package"
	}
	for name := range strings.SplitSeq(p, "/") {
		if problem := checkName(name); problem != "" {
			return problem
		}
	}
	return ""
}

// checkName looks for names that some system or tool takes for something else.
func checkName(name string) string {
	switch {
	case strings.HasSuffix(name, "."):
		return "a name in the path ends with a dot, which Windows drops"
	case strings.HasPrefix(name, "-"), strings.HasPrefix(name, "~"):
		return "a name in the path begins with - or ~"
	}
	stem, _, _ := strings.Cut(strings.ToLower(name), ".")
	if slices.Contains([]string{"con", "prn", "aux", "nul"}, stem) ||
		len(stem) == 4 && (strings.HasPrefix(stem, "com") || strings.HasPrefix(stem, "lpt")) && stem[3] >= '0' && stem[3] <= '9' {
		return "a name in the path is that of a device on Windows"
	}
	return ""
}

// faults says where bundles and manifest do not fit.
func (b *Bundles) faults(m *Manifest) (faults []string) {
	add := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	if b.SchemaVersion != BundlesSchema {
		add("schema_version is %s, and %s is read", clip(b.SchemaVersion), BundlesSchema)
	}
	if b.Product != m.Product || b.Component != m.Component || b.Version != m.Version || b.Commit != m.Commit || b.Repository != m.Repository {
		add("product, component, version, commit and repository are not all those of the manifest")
	}
	if t, err := time.Parse(time.RFC3339, b.GeneratedAt); err != nil || t.UTC().Format(time.RFC3339) != b.GeneratedAt {
		add("generated_at must be a time of RFC 3339 in UTC, without fractions")
	}
	names := func(member, path, sum string) {
		switch f := m.find(path); {
		case f == nil:
			add("%s names %s, which the manifest does not list", member, clip(path))
		case f.SHA256 != sum:
			add("%s has another hash for %s than the manifest", member, clip(path))
		}
	}
	names("runner_script", b.RunnerScript.Path, b.RunnerScript.SHA256)
	names("github_action", b.GitHubAction.Path, b.GitHubAction.SHA256)
	if len(b.RunnerBundles) == 0 {
		add("runner_bundles is empty")
	}
	for i, r := range b.RunnerBundles {
		at := fmt.Sprintf("runner_bundles[%d].", i)
		names(at+"runtime_binary", r.RuntimeBinary, r.RuntimeBinarySHA256)
		names(at+"reusable_wrapper", r.ReusableWrapper, r.ReusableWrapperSHA)
		if m.find(r.DefaultRequest) == nil {
			add("%sdefault_request names %s, which the manifest does not list", at, clip(r.DefaultRequest))
		}
		if r.RuntimeBinary != BinaryPath(r.RunnerOS, r.RunnerArch) {
			add("%sruntime_binary is not the binary for its runner_os and runner_arch", at)
		}
	}
	return faults
}

// decode reads JSON strictly: unknown, repeated and empty members are faults.
func decode(name string, text []byte, into any) error {
	n, err := document.ParseJSON(name, text)
	if n == nil {
		return err
	}
	return document.Join(err, document.Decode(n, into))
}

func lowerHex(s string) bool { return strings.Trim(s, "0123456789abcdef") == "" }

// clip quotes text of others for a message.
func clip(s string) string {
	const most = 80
	if len(s) > most {
		return strconv.QuoteToASCII(s[:most]) + "…"
	}
	return strconv.QuoteToASCII(s)
}
