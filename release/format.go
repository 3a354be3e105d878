// Package release is the format of a release package, and its verifier.
//
// A package is a directory, named Root(version) where it is packed, or a .tar.gz,
// .tgz or .zip archive of exactly that directory. It holds:
//
//	manifest.json                          a Manifest: every other file, but its signature
//	manifest.sig.json                      a Signature over the manifest
//	checksums.txt                          every other file but those two, as sha256sum writes it
//	cavra-runtime.ci-runner-bundles.json   Bundles: what a CI runner needs of it
//	bin/GOOS-GOARCH/cavra-runtime[.exe]    the binaries
//
// and whatever else the manifest lists. So that all readers of an archive see
// the same, it is made of the plainest parts of its format:
//
//   - A tar is of the format USTAR, in one gzip member without a name or other
//     optional parts, and begins with manifest.json and manifest.sig.json
//     (directories may stand before them).
//   - A zip has no prefix, comment or zip64; its entries are stored or deflated,
//     to their last byte, carry Unix modes, and have no extra field but that of the
//     times.
//   - Neither begins as a tar does that is not packed.
//   - Entries are regular files with the modes of the manifest, and the
//     directories that these are in.
//
// Verify promises:
//
//   - The signature comes first. Nothing of the manifest is believed, and no file
//     but the manifest and its signature is read, before that is checked.
//   - A package is valid only where every file is there as it was signed, and
//     nothing else is.
//   - Nothing is written to disk, links are not followed, and what is read is
//     bounded by what was signed.
package release

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Files that every package holds.
const (
	ManifestName  = "manifest.json"
	SignatureName = "manifest.sig.json"
	ChecksumsName = "checksums.txt"
	BundlesName   = "cavra-runtime.ci-runner-bundles.json"
)

// What the members of the same names hold.
const (
	ManifestSchema = "cavra.go-runtime.release-manifest.v1"
	BundlesSchema  = "cavra.go-runtime.ci-runner-bundles.v1"
	Product        = "CAVRA"
	Component      = "cavra-runtime"
	Algorithm      = "Ed25519"
)

// Modes of files.
const (
	ModeFile    = "0644"
	ModeProgram = "0755"
)

// Root is the name of the directory of a package, for a version such as v1.2.3.
func Root(version string) string { return Component + "-" + version }

// BinaryPath is where a package has the binary for a system, in Go's names.
func BinaryPath(goos, goarch string) string {
	name := Component
	if goos == "windows" {
		name += ".exe"
	}
	return "bin/" + goos + "-" + goarch + "/" + name
}

// A Manifest lists the files of a package, but for the manifest and its signature.
type Manifest struct {
	SchemaVersion string `json:"schema_version"` // ManifestSchema
	Product       string `json:"product"`        // Product
	Component     string `json:"component"`      // Component
	Version       string `json:"version"`        // a whole semantic version, such as v1.2.3-rc.1
	Commit        string `json:"commit"`         // what it was built from: 40 or 64 lower-case hex digits
	Repository    string `json:"repository"`     // where that is, as an https URL
	Files         []File `json:"files"`          // sorted by path, bytewise
}

// A File is one file of a package.
type File struct {
	Path   string `json:"path"`   // from the package's directory, with slashes; see checkPath
	SHA256 string `json:"sha256"` // of its content, in lower-case hex
	Size   int64  `json:"size"`   // in bytes
	Mode   string `json:"mode"`   // ModeFile or ModeProgram
}

// A Signature is the content of manifest.sig.json. It has one form only, that of
// Sign: a change of any byte of it is seen.
type Signature struct {
	Algorithm string `json:"algorithm"` // Algorithm
	KeyID     string `json:"key_id"`    // KeyID of the key
	Signature string `json:"signature"` // in base64, over ManifestSchema, a line break and the bytes of the manifest
}

// Bundles tell a CI owner what of the package a runner of which provider needs.
// Paths are those of the manifest, which holds the same hashes for them.
type Bundles struct {
	SchemaVersion string         `json:"schema_version"` // BundlesSchema
	Product       string         `json:"product"`
	Component     string         `json:"component"`
	Version       string         `json:"version"`
	Commit        string         `json:"commit"`
	Repository    string         `json:"repository"`
	GeneratedAt   string         `json:"generated_at"` // RFC 3339, UTC
	RunnerScript  Reference      `json:"runner_script"`
	GitHubAction  Reference      `json:"github_action"`
	RunnerBundles []RunnerBundle `json:"runner_bundles"`
	Controls      []string       `json:"controls"`       // what the package and the wrapper see to
	OperatorSteps []string       `json:"operator_steps"` // what is left to do, in order
}

// A Reference names a file of the manifest.
type Reference struct {
	Path   string `json:"path"`
	SHA256 string `json:"sha256"`
}

// A RunnerBundle is what the runners of one provider need.
type RunnerBundle struct {
	Provider             string   `json:"provider"`          // such as GitHub Actions
	DeploymentTarget     string   `json:"deployment_target"` // such as github-actions-linux-amd64-runner
	RunnerOS             string   `json:"runner_os"`         // GOOS
	RunnerArch           string   `json:"runner_arch"`       // GOARCH
	RuntimeBinary        string   `json:"runtime_binary"`    // BinaryPath of the two
	RuntimeBinarySHA256  string   `json:"runtime_binary_sha256"`
	ReusableWrapper      string   `json:"reusable_wrapper"` // the script or the action
	ReusableWrapperSHA   string   `json:"reusable_wrapper_sha256"`
	Invocation           string   `json:"invocation"`      // the line that a job runs
	DefaultRequest       string   `json:"default_request"` // a request of the package
	EvidenceDir          string   `json:"evidence_dir"`    // below the job's workspace
	VerificationCommands []string `json:"verification_commands"`
	RequiredOutputs      []string `json:"required_outputs"` // files in EvidenceDir
}

// KeyID names a public key: the SHA-256 of its DER form (SubjectPublicKeyInfo), as
// openssl pkey -pubin -in key.pub -outform DER | sha256sum prints it.
func KeyID(key ed25519.PublicKey) string {
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		panic(err) // every Ed25519 key has this form
	}
	sum := sha256.Sum256(der)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// Sign returns the bytes of manifest.json and of manifest.sig.json. The members
// with one possible value need not be set, the files are sorted; a manifest that
// Verify would refuse is an error.
func Sign(m Manifest, key ed25519.PrivateKey) (manifest, signature []byte, err error) {
	m.SchemaVersion, m.Product, m.Component = ManifestSchema, Product, Component
	m.Files = slices.Clone(m.Files)
	slices.SortFunc(m.Files, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	if faults := m.faults(); len(faults) > 0 {
		return nil, nil, fmt.Errorf("the manifest cannot be signed: %s", strings.Join(faults, "; "))
	}
	manifest = Marshal(m)
	if len(manifest) > maxManifest {
		return nil, nil, fmt.Errorf("the manifest has %d bytes; the most that is verified is %d", len(manifest), maxManifest)
	}
	return manifest, Marshal(Signature{
		Algorithm: Algorithm,
		KeyID:     KeyID(key.Public().(ed25519.PublicKey)),
		Signature: base64.StdEncoding.EncodeToString(ed25519.Sign(key, signed(manifest))),
	}), nil
}

// signed is what a signature is over. What stands before the manifest lets no
// signature for something else be one for this.
func signed(manifest []byte) []byte {
	return append([]byte(ManifestSchema+"\n"), manifest...)
}

// Marshal writes a Manifest, Signature or Bundles with one member a line, which
// install.sh relies on.
func Marshal(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		panic(err) // strings, numbers and lists of them only
	}
	return b.Bytes()
}

// Checksums is the content of checksums.txt for these files, whatever their order;
// itself is left out.
func Checksums(files []File) []byte {
	files = slices.Clone(files)
	slices.SortFunc(files, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	var b bytes.Buffer
	for _, f := range files {
		if f.Path != ChecksumsName {
			fmt.Fprintf(&b, "%s  %s\n", f.SHA256, f.Path)
		}
	}
	return b.Bytes()
}
