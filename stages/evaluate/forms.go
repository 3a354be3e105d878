package evaluate

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
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
	sent   string // cwd as it was sent, likewise absolute
	// repositories are looked for, which costs a look at the file system for each
	// directory of the path.
	repositories bool

	list      []form
	absolutes [2]string // the files that the target may mean: from cwd, from the workspace
	written   []string  // the same not cleaned, or only in part, where that makes a difference
	step      int

	cwdItself        string // cwd with links resolved, once the file system was asked
	asked, foldsHere bool   // whether names fold where the target lies

	// unresolved says why the file system did not tell all forms; empty where it
	// did. Such a target is not allowed.
	unresolved string
}

// A place is where the daemon stands.
type place struct {
	workspace string   // absolute and clean, or empty
	itself    string   // the workspace with links resolved, or empty
	roots     []string // of the repositories that hold the workspace, itself left out
	disk      *disk    // nil where the file system is not to be asked

	folds      bool // names fold on every file system of this machine, as far as is known
	foldsAbove bool // they do on the way to the workspace
}

func newPlace(workspace string, links bool) *place {
	p := &place{disk: newDisk(links), folds: foldsByDefault()}
	if workspace == "" {
		return p
	}
	p.workspace = path.Clean(filepath.ToSlash(workspace))
	p.roots, _ = p.disk.repositoryRoots(p.workspace, "")
	p.foldsAbove = p.foldsAt(p.workspace)
	if links {
		p.itself, _ = p.disk.resolve(p.workspace) // each target is resolved by itself, too
	}
	return p
}

// foldsAt reports whether names fold on the way to the file abs. Where that cannot
// be told they are taken to.
func (p *place) foldsAt(abs string) bool {
	if p.folds {
		return true
	}
	folds, err := p.disk.folds(abs)
	return folds || err != nil
}

// rootsOf are the roots of the repositories that hold the file abs, the nearest
// first.
func (p *place) rootsOf(abs string, e *eyes) ([]string, error) {
	if within(p.workspace, abs) {
		roots, err := e.repositoryRoots(abs, p.workspace)
		return append(roots, p.roots...), err
	}
	return e.repositoryRoots(abs, "")
}

// directory is the absolute directory that a request's cwd means: a relative one
// is taken against the workspace. It is empty where there is no telling.
func (p *place) directory(cwd string) string {
	if dir := p.sentDirectory(cwd); dir != "" {
		return path.Clean(dir)
	}
	return ""
}

// sentDirectory is the same and not cleaned.
func (p *place) sentDirectory(cwd string) string {
	switch {
	case cwd == "":
		return ""
	case isAbs(cwd):
		return filepath.ToSlash(cwd)
	case p.workspace == "":
		return ""
	}
	return p.workspace + "/" + filepath.ToSlash(cwd)
}

// formsOf begins the forms of a target. Repositories are looked for only where
// one of the lists can tell the difference.
func (p *place) formsOf(target, cwd string, lists ...*ruleList) forms {
	f := forms{place: p, target: target}
	for _, list := range lists {
		f.repositories = f.repositories || list.anchored
	}
	if f.sent = p.sentDirectory(cwd); f.sent != "" {
		f.cwd = path.Clean(f.sent)
	}
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
			f.addSeen()
		default:
			return form{}, false
		}
	}
	return f.list[i], true
}

// addLexical adds what the text alone gives.
func (f *forms) addLexical() {
	slashed := filepath.ToSlash(f.target)
	clean := path.Clean(slashed)
	f.add("cleaned", clean)
	switch {
	case isAbs(f.target):
		f.addAbsolute(0, clean)
		if slashed != clean {
			f.written = append(f.written, slashed)
		}
		return
	case f.cwd != "":
		f.addAbsolute(0, path.Join(f.cwd, clean))
		f.addWritten(f.cwd, slashed, clean)
		if f.sent != f.cwd {
			f.written = append(f.written, f.sent+"/"+clean)
			f.addWritten(f.sent, slashed, clean)
		}
	}
	// Anyone can name a cwd, so the daemon's own holds as well.
	if f.place.workspace != "" {
		f.addAbsolute(1, path.Join(f.place.workspace, clean))
		f.addWritten(f.place.workspace, slashed, clean)
	}
}

// addWritten adds the target in dir as it was written, where cleaning it changes
// it or takes a part off dir: behind a link, ".." is not what it looks like.
func (f *forms) addWritten(dir, slashed, clean string) {
	if slashed != clean || clean == ".." || strings.HasPrefix(clean, "../") {
		f.written = append(f.written, dir+"/"+slashed)
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

const notInTime = "lies on a file system that does not answer in time"

// addSeen adds what the file system makes of the target: its path from the root of
// each repository that holds it, and the file that links lead to. The nearest
// repository is the one that people mean; the outer ones hold too, since anyone
// can make a directory called .git.
//
// A target is looked at where it is known which file it may mean, and nothing but
// its own directories and links is.
func (f *forms) addSeen() {
	disk := f.place.disk
	if disk == nil || f.absolutes == [2]string{} || !f.repositories && !disk.links {
		return
	}
	q := question{place: f.place, cwd: f.sent, files: f.absolutes, written: f.written, repositories: f.repositories}
	if q.files[0] == q.files[1] {
		q.files[1] = ""
	}
	v, ok := disk.ask(q)
	if !ok {
		f.unresolved = notInTime
		return
	}
	if v.fault != nil {
		f.unresolved = v.fault.Error()
	}
	f.cwdItself = v.cwdItself
	for _, r := range v.rooted {
		if slices.Contains(f.absolutes[:], r[1]) {
			f.addFrom("taken relative to its repository", r[0], r[1])
		}
	}
	for _, abs := range f.absolutes {
		f.addFrom("taken relative to where cwd leads", v.cwdItself, abs)
		f.addFrom("taken relative to where the workspace leads", f.place.itself, abs)
	}
	for _, abs := range v.itself {
		const how = "with links resolved"
		f.add(how, abs)
		for _, base := range [...]string{f.cwd, f.place.workspace, v.cwdItself, f.place.itself} {
			f.addFrom(how, base, abs)
		}
		for _, r := range v.rooted {
			if r[1] == abs {
				f.addFrom(how, r[0], abs)
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
func (e *eyes) repositoryRoots(abs, below string) (roots []string, err error) {
	for dir := parent(abs); dir != "" && dir != below; dir = parent(dir) {
		if len(dir) > longestPath {
			continue
		}
		holds, err := e.holdsGit(dir)
		switch {
		case err != nil:
			return nil, err
		case holds:
			roots = append(roots, dir)
		}
	}
	return roots, nil
}

func holdsGit(dir string) (bool, error) {
	_, err := os.Lstat(gitIn(dir))
	return err == nil || errors.Is(err, fs.ErrPermission), nil
}

func gitIn(dir string) string { return strings.TrimSuffix(dir, "/") + "/.git" }

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
