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
	mentions    []string // how a command may spell them, from the workspace too
	around      bool     // the workspace is one of them, or under one

	folded *ownFiles // those that lie where names fold, folded; nil where none does
}

func newOwnFiles(files []pipeline.File, place *place) *ownFiles {
	own, fold := &ownFiles{}, &ownFiles{}
	for _, f := range files {
		for _, abs := range place.disk.spellings(f.Path) {
			bases := append([]string{place.workspace}, place.roots...)
			own.add(abs, f.Secret, bases)
			if place.foldsAt(abs) {
				for i := range bases {
					bases[i] = folded(bases[i])
				}
				fold.add(folded(abs), f.Secret, bases)
			}
		}
	}
	own.around = place.workspace != "" && own.touches(place.workspace)
	if fold.all != nil {
		fold.around = place.workspace != "" && fold.touches(folded(place.workspace))
		own.folded = fold
	}
	return own
}

// add adds a file, which commands may spell from one of the directories.
func (own *ownFiles) add(abs string, secret bool, bases []string) {
	own.all = appendNew(own.all, abs)
	if secret {
		own.secret = appendNew(own.secret, abs)
	}
	own.mentions = appendNew(own.mentions, abs)
	for _, base := range bases {
		if within(base, abs) {
			own.mentions = appendNew(own.mentions, strings.TrimPrefix(abs[len(base):], "/"))
		}
	}
}

// spellings are the absolute paths of one of our files: as it was named and with
// links resolved, as far as it exists yet.
func (d *disk) spellings(name string) []string {
	abs, err := filepath.Abs(name)
	if name == "" || err != nil {
		return nil
	}
	list := []string{filepath.ToSlash(abs)}
	if itself, err := d.resolve(list[0]); err == nil {
		list = appendNew(list, itself)
	}
	return list
}

func appendNew(list []string, s string) []string {
	if slices.Contains(list, s) {
		return list
	}
	return append(list, s)
}

// keeps reports whether the file at abs is not to be written: one of ours, what
// is under it, what stands beside it under its name (a torn log, say), or a
// directory that holds it, which somebody could put another in place of.
func (own *ownFiles) keeps(abs string) bool {
	for _, name := range own.all {
		if isOrBelow(name, abs) || within(abs, name) {
			return true
		}
	}
	return own.folded != nil && own.folded.keeps(folded(abs))
}

// holdsSecret reports whether the file at abs is not to be read.
func (own *ownFiles) holdsSecret(abs string) bool {
	return anyCovers(own.secret, abs) || own.folded != nil && own.folded.holdsSecret(folded(abs))
}

// touches reports whether the file at abs is one of ours.
func (own *ownFiles) touches(abs string) bool { return anyCovers(own.all, abs) }

func anyCovers(names []string, abs string) bool {
	return slices.ContainsFunc(names, func(name string) bool { return isOrBelow(name, abs) })
}

// besides are the endings of what the runtime puts beside a file of its own.
var besides = [...]string{".torn-", ".next", ".checkpoint", ".hashes", ".index", ".lock", ".ctl", ".pid"}

// isOrBelow reports whether abs is the file name, under it, or one of those that
// stand beside it.
func isOrBelow(name, abs string) bool {
	rest, ok := strings.CutPrefix(abs, name)
	if !ok || rest == "" || rest[0] == '/' || name == "/" {
		return ok
	}
	for _, ending := range besides {
		if strings.HasPrefix(rest, ending) {
			return true
		}
	}
	// What was rotated has a number.
	return rest[0] == '.' && len(rest) > 1 && '0' <= rest[1] && rest[1] <= '9'
}

// mentionedIn reports whether a command line that runs in cwd, which may be
// empty, touches one of the files. The line is searched as text, so that a path
// is found wherever it stands in an argument, and each of its words is taken for
// a path, so that other spellings are found too.
func (own *ownFiles) mentionedIn(line, cwd string, place *place) bool {
	dir := place.directory(cwd)
	return own.standIn(line, dir, place.workspace) ||
		own.folded != nil && own.folded.standIn(folded(line), folded(dir), folded(place.workspace))
}

// standIn is mentionedIn for a line that runs in dir, which may be empty.
func (own *ownFiles) standIn(line, dir, workspace string) bool {
	for _, name := range own.mentions {
		if holdsPath(line, name) {
			return true
		}
	}
	if own.around {
		return true
	}
	if dir == workspace {
		dir = ""
	}
	for _, abs := range own.all {
		if dir != "" && (isOrBelow(abs, dir) || within(dir, abs) && holdsPath(line, strings.TrimPrefix(abs[len(dir):], "/"))) {
			return true
		}
	}
	return own.isWordOf(line, [...]string{dir, workspace})
}

// isWordOf reports whether a word of the line names one of the files, in any
// spelling, from one of the directories. Options hold paths behind "=", ":" and
// ",", and behind their letter.
func (own *ownFiles) isWordOf(line string, dirs [2]string) bool {
	if len(own.all) == 0 || !strings.ContainsAny(line, "./") {
		return false
	}
	for from, to := 0, 0; from < len(line); from = to + 1 {
		for to = from; to < len(line) && !endsName[line[to]]; {
			to++
		}
		word := line[from:to]
		for _, name := range [...]string{word, afterOption(word)} {
			if !strings.ContainsAny(name, "./") || len(name) > longestPath {
				continue
			}
			if isAbs(name) {
				if own.touches(path.Clean(name)) {
					return true
				}
				continue
			}
			for _, dir := range dirs {
				if dir != "" && own.touches(path.Join(dir, name)) {
					return true
				}
			}
		}
	}
	return false
}

// endsName are the bytes that stand between what may be the names of files.
var endsName = func() (ends [256]bool) {
	for _, c := range []byte(" \t\n\r\v\f=:,;&|()<>`") {
		ends[c] = true
	}
	return ends
}()

// afterOption is the value of an option that stands right behind its letter, as
// in -f/path; empty where the word is no option.
func afterOption(word string) string {
	if len(word) > 2 && word[0] == '-' && word[1] != '-' {
		return word[2:]
	}
	return ""
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
