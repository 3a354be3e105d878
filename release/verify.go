package release

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/hashicorp/go-multierror"
)

// ReportSchema is the schema_version of a Report.
const ReportSchema = "cavra.go-runtime.package-verification.v1"

// Kinds of faults.
const (
	KindRead      = "read"      // the package or a file of it cannot be read
	KindSignature = "signature" // there is none, or none of the given keys made it
	KindManifest  = "manifest"  // what was signed is no manifest
	KindArchive   = "archive"   // the archive is cut off, or made of other parts than a package's is
	KindPath      = "path"      // a path that could lead out of the package, or mean two files
	KindEntry     = "entry"     // a link, a device or whatever else is no file and no directory
	KindDuplicate = "duplicate" // a path comes twice, but perhaps for the case of letters
	KindUnlisted  = "unlisted"  // the manifest does not list it
	KindMissing   = "missing"   // the manifest lists it, and it is not there
	KindChanged   = "changed"   // its content is not what was signed
	KindMode      = "mode"      // its mode, or its owner in an archive, is not a package's
	KindChecksums = "checksums" // checksums.txt does not agree with the manifest
	KindBundles   = "bundles"   // the bundles do not agree with the manifest
)

// A Report is what Verify saw.
type Report struct {
	SchemaVersion string   `json:"schema_version"` // ReportSchema
	Path          string   `json:"path"`           // as it was given
	Valid         bool     `json:"valid"`          // the package is, to the byte, what the owner of the key signed
	Version       string   `json:"version"`        // from the manifest; empty where its signature does not hold
	Commit        string   `json:"commit"`         // likewise
	KeyID         string   `json:"key_id"`         // of the key that signed; empty where none of those given did
	Files         int      `json:"files"`          // how many files of the manifest are there and unchanged
	Errors        []Fault  `json:"errors"`         // empty where the package is valid; at most maxFaults
	Warnings      []string `json:"warnings"`       // what else is to be known
}

// A Fault is one thing wrong with a package.
type Fault struct {
	Kind    string `json:"kind"`
	Path    string `json:"path"`    // of the file in the package; empty for the whole
	Message string `json:"message"` // what is wrong, and what to do
}

const maxFaults = 100

// A source is a package as it lies on disk.
type source interface {
	// head returns the manifest and its signature, and reads no other file.
	head() (manifest, signature []byte, err error)
	// each visits everything but those two. most is how many bytes the files of
	// the manifest have, and so what it makes sense to read.
	each(most int64, visit func(entry) error) error
	io.Closer
}

// An entry is a file, a directory, or something that no package holds.
type entry struct {
	path    string // below the directory of the package, which itself has none; without a slash at its end
	dir     bool
	problem string // why it is neither a file nor a directory of a package, or ""
	mode    fs.FileMode
	onDisk  bool // mode is that of a file on disk, from which a umask took something
	size    int64
	open    func() (io.ReadCloser, error)
}

// Verify verifies the package at path, a directory or an archive, with the public
// keys of those who may sign one. It reads and never writes.
func Verify(path string, keys ...ed25519.PublicKey) Report {
	v := verifier{Report: Report{SchemaVersion: ReportSchema, Path: path, Errors: []Fault{}, Warnings: []string{}}}
	v.verify(keys)
	v.Valid = len(v.Errors) == 0
	return v.Report
}

type verifier struct {
	Report
	manifest Manifest
	listed   map[string]*File  // by path
	dirs     map[string]bool   // those that the files are in, the package's own too
	seen     map[string]bool   // paths in lower case
	found    map[string]bool   // files of the manifest that are there, changed or not
	texts    map[string][]byte // checksums and bundles, if they are unchanged
	entries  int
}

func (v *verifier) fault(kind, path, format string, args ...any) {
	if len(v.Errors) == maxFaults {
		v.Warnings = []string{fmt.Sprintf("only the first %d errors are listed", maxFaults)}
		return
	}
	if path != "" && checkPath(path) != "" {
		path = clip(path)
	}
	v.Errors = append(v.Errors, Fault{kind, path, fmt.Sprintf(format, args...)})
}

func (v *verifier) verify(keys []ed25519.PublicKey) {
	if len(keys) == 0 {
		v.fault(KindSignature, "", "no public key was given, so anybody can have made the package; give the one that its maker publishes")
		return
	}
	s, err := open(v.Path)
	if err != nil {
		v.unreadable("", err)
		return
	}
	defer s.Close() // only read
	text, signature, err := s.head()
	if err != nil {
		v.unreadable("", err)
		return
	}
	if !v.signature(text, signature, keys) || !v.readManifest(text) {
		return
	}
	if a, ok := s.(interface{ root() string }); ok && a.root() != Root(v.Version) {
		v.fault(KindPath, "", "the archive is of a directory %s, and the package's is %s", clip(a.root()), Root(v.Version))
	}
	if err := v.contents(s); err != nil {
		v.unreadable("", err)
		return // what follows was perhaps only not read
	}
	for _, f := range v.manifest.Files {
		if !v.found[f.Path] {
			v.fault(KindMissing, f.Path, "the manifest lists it, and it is not there; fetch the package again")
		}
	}
	v.agree()
}

// unreadable reports what ended the reading of a file, or of the whole.
func (v *verifier) unreadable(path string, err error) {
	kind, problem := KindRead, plainly(err)
	if f, ok := errors.AsType[*structural](err); ok {
		kind, problem = f.kind, f.problem
	}
	v.fault(kind, path, "%s", problem)
}

// unreadableText reports every fault of a file that is no JSON, or not of its form.
func (v *verifier) unreadableText(kind, path string, err error) {
	faults := []error{err}
	if all, ok := errors.AsType[*multierror.Error](err); ok {
		faults = all.Errors
	}
	for _, f := range faults {
		v.fault(kind, path, "%v", f)
	}
}

// A structural error is a fault of how a package is put together.
type structural struct{ kind, problem string }

func (s *structural) Error() string { return s.problem }

func structure(kind, format string, args ...any) error {
	return &structural{kind, fmt.Sprintf(format, args...)}
}

// plainly is an error without the path that it may quote.
func plainly(err error) string {
	if at := (*fs.PathError)(nil); errors.As(err, &at) {
		err = at.Err
	}
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return "it ends too early; perhaps it was not fetched whole, so fetch it again"
	}
	return err.Error()
}

// signature checks who signed the manifest, before anything is read from it.
func (v *verifier) signature(manifest, text []byte, keys []ed25519.PublicKey) bool {
	var s Signature
	if err := decode(SignatureName, text, &s); err != nil {
		v.unreadableText(KindSignature, SignatureName, err)
		return false
	}
	if s.Algorithm != Algorithm {
		v.fault(KindSignature, SignatureName, "the algorithm is %s, and only %s is read", clip(s.Algorithm), Algorithm)
		return false
	}
	i := slices.IndexFunc(keys, func(k ed25519.PublicKey) bool { return len(k) == ed25519.PublicKeySize && KeyID(k) == s.KeyID })
	if i < 0 {
		v.fault(KindSignature, SignatureName, "it is said to be signed with the key %s, which is none of those given; get the key from its maker, and not with the package", clip(s.KeyID))
		return false
	}
	raw, err := base64.StdEncoding.Strict().DecodeString(s.Signature)
	if err != nil || !ed25519.Verify(keys[i], signed(manifest), raw) {
		v.fault(KindSignature, SignatureName, "the signature does not fit to the manifest and the key %s: one of the two files was changed; do not use the package", s.KeyID)
		return false
	}
	if !bytes.Equal(text, Marshal(s)) {
		v.fault(KindSignature, SignatureName, "it is not written in its one form; fetch the package again")
		return false
	}
	v.KeyID = s.KeyID
	return true
}

// readManifest reads what was signed.
func (v *verifier) readManifest(text []byte) bool {
	if err := decode(ManifestName, text, &v.manifest); err != nil {
		v.unreadableText(KindManifest, ManifestName, err)
		return false
	}
	if faults := v.manifest.faults(); len(faults) > 0 {
		for _, f := range faults {
			v.fault(KindManifest, ManifestName, "%s", f)
		}
		return false
	}
	v.Version, v.Commit = v.manifest.Version, v.manifest.Commit
	return true
}

// contents holds the files to the manifest.
func (v *verifier) contents(s source) error {
	v.listed, v.dirs, v.found, v.texts = map[string]*File{}, map[string]bool{"": true}, map[string]bool{}, map[string][]byte{}
	v.seen = map[string]bool{ManifestName: true, SignatureName: true}
	var most int64
	for i := range v.manifest.Files {
		f := &v.manifest.Files[i]
		v.listed[f.Path] = f
		most += f.Size
		for dir := path.Dir(f.Path); dir != "."; dir = path.Dir(dir) {
			v.dirs[dir] = true
		}
	}
	return s.each(most, v.entry)
}

// entry takes one entry. It returns an error where there is no end to them, and
// fs.SkipDir where nothing in a directory on disk can be of the package.
func (v *verifier) entry(e entry) error {
	if v.entries++; v.entries > maxEntries {
		return structure(KindUnlisted, "there are more than %d files and directories", maxEntries)
	}
	v.judge(e)
	if e.dir && e.onDisk && !v.dirs[e.path] {
		return fs.SkipDir
	}
	return nil
}

func (v *verifier) judge(e entry) {
	lower := strings.ToLower(e.path)
	before := v.seen[lower]
	v.seen[lower] = true
	if problem := checkPath(e.path); problem != "" && !(e.path == "" && e.dir) {
		v.fault(KindPath, e.path, "%s", problem)
		return
	}
	f := v.listed[e.path]
	if f != nil && !e.dir {
		v.found[e.path] = true
	}
	switch {
	case e.problem != "":
		v.fault(KindEntry, e.path, "%s", e.problem)
	case before:
		v.fault(KindDuplicate, e.path, "it comes a second time, but perhaps for the case of letters")
	case e.dir && !v.dirs[e.path], !e.dir && f == nil:
		v.fault(KindUnlisted, e.path, "the manifest does not list it; nobody signed it")
	case e.dir && e.onDisk && e.mode&0o002 != 0 && permissionsAreKept:
		v.fault(KindMode, e.path, "everybody can change what is in it; chmod o-w it, after a look at why")
	case e.dir && !e.onDisk && e.mode != 0o755:
		v.fault(KindMode, e.path, "the mode is %04o and must be 0755", uint32(e.mode))
	case !e.dir:
		v.file(e, f)
	}
}

// file holds one file to what the manifest says of it.
func (v *verifier) file(e entry, f *File) {
	if problem := modeProblem(e, f.Mode); problem != "" {
		v.fault(KindMode, e.path, "%s", problem)
		return
	}
	if e.size != f.Size {
		v.fault(KindChanged, e.path, "it has %d bytes and was signed with %d; do not use the package", e.size, f.Size)
		return
	}
	r, err := e.open()
	if err != nil {
		v.unreadable(e.path, err)
		return
	}
	defer r.Close() // only read
	sum := sha256.New()
	into := io.Writer(sum)
	var text bytes.Buffer
	if f.Path == ChecksumsName || f.Path == BundlesName {
		into = io.MultiWriter(sum, &text)
	}
	// One byte more than there should be tells that there is more.
	n, err := io.Copy(into, io.LimitReader(r, f.Size+1))
	switch {
	case err != nil:
		v.unreadable(e.path, err)
	case n != f.Size || hex.EncodeToString(sum.Sum(nil)) != f.SHA256:
		v.fault(KindChanged, e.path, "its content is not what was signed; do not use the package")
	default:
		v.Files++
		v.texts[f.Path] = text.Bytes()
	}
}

// modeProblem says why a mode is not the one that was signed. An archive has it
// exactly; on disk a umask may have taken something from it.
func modeProblem(e entry, want string) string {
	mode := fs.FileMode(0o644)
	if want == ModeProgram {
		mode = 0o755
	}
	switch {
	case !e.onDisk && e.mode != mode:
		return fmt.Sprintf("the mode is %04o and was signed as %s", uint32(e.mode), want)
	case e.onDisk && permissionsAreKept && (e.mode&^mode != 0 || e.mode&0o100 != mode&0o100):
		return fmt.Sprintf("the mode is %04o and was signed as %s; chmod it, after a look at why", uint32(e.mode.Perm()), want)
	}
	return ""
}

// agree holds the files that name others to the manifest.
func (v *verifier) agree() {
	if text, ok := v.texts[ChecksumsName]; ok && !bytes.Equal(text, Checksums(v.manifest.Files)) {
		v.fault(KindChecksums, ChecksumsName, "it is not what the manifest makes of it: one line for each other file, sorted by path")
	}
	text, ok := v.texts[BundlesName]
	if !ok {
		return
	}
	var b Bundles
	if err := decode(BundlesName, text, &b); err != nil {
		v.unreadableText(KindBundles, BundlesName, err)
		return
	}
	for _, f := range b.faults(&v.manifest) {
		v.fault(KindBundles, BundlesName, "%s", f)
	}
}
