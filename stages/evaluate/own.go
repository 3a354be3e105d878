package evaluate

import (
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/Huzefaaa2/cavra/go/cavra-runtime/pipeline"
)

// ownFiles are the files that the runtime relies on. No policy lets anyone write
// to them or use them in a command, nor read the secret ones.
type ownFiles struct {
	all, secret []string // absolute and clean; a directory covers what is under it
	mentions    []string // how a command may spell them
}

func newOwnFiles(files []pipeline.File, place *place) *ownFiles {
	own := &ownFiles{}
	for _, f := range files {
		for _, abs := range spellings(f.Path) {
			own.all = appendNew(own.all, abs)
			if f.Secret {
				own.secret = appendNew(own.secret, abs)
			}
			own.mentions = appendNew(own.mentions, abs)
			for _, base := range append([]string{place.workspace}, place.roots...) {
				if within(base, abs) {
					own.mentions = appendNew(own.mentions, strings.TrimPrefix(abs[len(base):], "/"))
				}
			}
		}
	}
	return own
}

// spellings are the absolute paths of one of our files: as it was named and with
// links resolved, as far as it exists yet.
func spellings(name string) []string {
	abs, err := filepath.Abs(name)
	if name == "" || err != nil {
		return nil
	}
	list := []string{filepath.ToSlash(abs)}
	if real, err := filepath.EvalSymlinks(abs); err == nil {
		return appendNew(list, filepath.ToSlash(real))
	}
	if dir, err := filepath.EvalSymlinks(filepath.Dir(abs)); err == nil {
		return appendNew(list, path.Join(filepath.ToSlash(dir), filepath.Base(abs)))
	}
	return list
}

func appendNew(list []string, s string) []string {
	if slices.Contains(list, s) {
		return list
	}
	return append(list, s)
}

// mentionedIn reports whether a command line that runs in cwd, which may be
// empty, touches one of the files. The line is searched as text, so that a path
// is found wherever it stands in an argument.
func (own *ownFiles) mentionedIn(line, cwd string) bool {
	for _, name := range own.mentions {
		if holdsPath(line, name) {
			return true
		}
	}
	if !isAbs(cwd) {
		return false
	}
	cwd = path.Clean(filepath.ToSlash(cwd))
	for _, abs := range own.all {
		if abs == cwd || within(abs, cwd) || within(cwd, abs) && holdsPath(line, strings.TrimPrefix(abs[len(cwd):], "/")) {
			return true
		}
	}
	return false
}

// holdsPath reports whether name stands in line as a whole path, or as the
// beginning or the end of one.
func holdsPath(line, name string) bool {
	for from := 0; ; {
		i := strings.Index(line[from:], name)
		if i < 0 {
			return false
		}
		start := from + i
		end := start + len(name)
		if (start == 0 || !inName(line[start-1])) && (end == len(line) || !inName(line[end])) {
			return true
		}
		from = start + 1
	}
}

// inName reports whether c goes on with the name of a file.
func inName(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || c == '-' || c == '.' || c >= 0x80
}
