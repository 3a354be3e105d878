package evaluate

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// A form is one spelling of a file target.
type form struct {
	how  string // what was done to the target, for reasons; empty for the target as written
	text string
}

// subject is how a reason speaks of the form.
func (f *form) subject() string {
	if f.how == "" {
		return "the target"
	}
	return "the target, " + f.how + " as " + quote(f.text) + ","
}

// forms are all spellings of one file target that a policy may mean by it: agents
// send absolute paths and policies hold relative ones. They are made only as far
// as they are asked for, since the first often decides and the last ones cost a
// look at the file system. No form is listed twice.
type forms struct {
	place  *place
	target string
	cwd    string // absolute and clean, or empty
	// repositories are looked for, which costs a look at the file system for each
	// directory of the path.
	repositories bool

	list      []form
	absolutes [2]string // the files that the target may mean: from cwd, from the workspace
	step      int
}

// A place is where the daemon stands.
type place struct {
	workspace string   // absolute and clean, or empty
	roots     []string // of the repositories that hold the workspace, itself left out
}

func newPlace(workspace string) *place {
	if workspace == "" {
		return &place{}
	}
	p := &place{workspace: path.Clean(filepath.ToSlash(workspace))}
	p.roots = repositoryRoots(p.workspace, "")
	return p
}

// directory is the absolute directory that a request's cwd means: a relative one
// is taken against the workspace. It is empty where there is no telling.
func (p *place) directory(cwd string) string {
	switch {
	case cwd == "":
		return ""
	case isAbs(cwd):
		return path.Clean(filepath.ToSlash(cwd))
	case p.workspace == "":
		return ""
	}
	return path.Join(p.workspace, filepath.ToSlash(cwd))
}

// formsOf begins the forms of a target. Repositories are looked for only where
// one of the lists can tell the difference.
func (p *place) formsOf(target, cwd string, lists ...*ruleList) forms {
	f := forms{place: p, target: target}
	for _, list := range lists {
		f.repositories = f.repositories || list.anchored
	}
	f.cwd = p.directory(cwd)
	return f
}

// at is form i, and whether there is one.
func (f *forms) at(i int) (form, bool) {
	for i >= len(f.list) {
		switch f.step++; f.step {
		case 1:
			f.list = append(make([]form, 0, 6), form{"", f.target}) // as many as there mostly are
		case 2:
			f.addLexical()
		case 3:
			if f.repositories {
				f.addRepositories()
			}
		// What the file system makes of the links in f.absolutes joins here.
		default:
			return form{}, false
		}
	}
	return f.list[i], true
}

// addLexical adds what the text alone gives.
func (f *forms) addLexical() {
	clean := path.Clean(filepath.ToSlash(f.target))
	f.add("cleaned", clean)
	switch {
	case isAbs(f.target):
		f.addAbsolute(0, clean)
	default:
		if f.cwd != "" {
			f.addAbsolute(0, path.Join(f.cwd, clean))
		}
		// Anyone can name a cwd, so the daemon's own holds as well.
		if f.place.workspace != "" {
			f.addAbsolute(1, path.Join(f.place.workspace, clean))
		}
	}
}

// addAbsolute adds a file that the target may mean, and its path from the
// directories that are known.
func (f *forms) addAbsolute(i int, abs string) {
	f.absolutes[i] = abs
	f.add("made absolute", abs)
	f.addFrom("taken relative to cwd", f.cwd, abs)
	f.addFrom("taken relative to the workspace", f.place.workspace, abs)
}

// addRepositories adds the paths from the root of each repository that holds the
// target. The nearest is the one that people mean; the outer ones hold too,
// since anyone can make a directory called .git.
func (f *forms) addRepositories() {
	for _, abs := range f.absolutes {
		if abs == "" {
			continue
		}
		inside := within(f.place.workspace, abs)
		below := ""
		if inside {
			below = f.place.workspace
		}
		for _, root := range repositoryRoots(abs, below) {
			f.addFrom("taken relative to its repository", root, abs)
		}
		if inside {
			for _, root := range f.place.roots {
				f.addFrom("taken relative to its repository", root, abs)
			}
		}
	}
}

func (f *forms) addFrom(how, base, abs string) {
	if within(base, abs) {
		f.add(how, strings.TrimPrefix(abs[len(base):], "/"))
	}
}

func (f *forms) add(how, text string) {
	for i := range f.list {
		if f.list[i].text == text {
			return
		}
	}
	f.list = append(f.list, form{how, text})
}

// longestPath is the most bytes of a path that a system takes, so nothing
// longer can be a directory.
const longestPath = 4096

// repositoryRoots are the ancestors of the file abs that hold .git, nearest
// first: those below the directory below, or all where that is empty.
func repositoryRoots(abs, below string) []string {
	var roots []string
	for dir := parent(abs); dir != "" && dir != below; dir = parent(dir) {
		if len(dir) <= longestPath && holdsGit(dir) {
			roots = append(roots, dir)
		}
	}
	return roots
}

// holdsGit reports whether .git stands in dir. Where that cannot be seen it is
// taken to be so: a form too many is judged, not one too few.
func holdsGit(dir string) bool {
	_, err := os.Lstat(strings.TrimSuffix(dir, "/") + "/.git")
	return err == nil || errors.Is(err, fs.ErrPermission)
}

// parent is the directory of a clean absolute path; empty for that of the root.
func parent(abs string) string {
	i := strings.LastIndexByte(abs, '/')
	switch {
	case i > 0:
		return abs[:i]
	case i == 0 && abs != "/":
		return "/"
	}
	return ""
}

// within reports whether abs lies under the directory base. Both are clean; an
// empty base holds nothing.
func within(base, abs string) bool {
	if base == "/" {
		return len(abs) > 1 && abs[0] == '/'
	}
	return base != "" && len(abs) > len(base) && abs[len(base)] == '/' && abs[:len(base)] == base
}

func isAbs(name string) bool { return path.IsAbs(name) || filepath.IsAbs(name) }
