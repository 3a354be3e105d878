package main

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A source is the tree that is released.
type source struct {
	root    string    // of the repository
	commit  string    // the whole hash
	time    time.Time // of the commit: the time of every file that is made
	tracked bool      // there is a git repository that the tree can be compared with
	dirty   bool      // the tree is not what the commit holds
}

var wholeHash = regexp.MustCompile(`^([0-9a-f]{40}|[0-9a-f]{64})$`)

// readSource finds what is released. claimed is the commit that the caller names
// for a tree without git, such as an unpacked archive; nothing can check it, so it
// is refused where git knows better. The time is that of the commit; without git
// SOURCE_DATE_EPOCH tells it, in seconds since 1970. A tag that is called like the
// version must be of the commit.
func readSource(ctx context.Context, root, claimed, version string) (source, error) {
	s := source{root: root, commit: claimed}
	epoch := os.Getenv("SOURCE_DATE_EPOCH")
	_, err := os.Stat(filepath.Join(root, ".git"))
	s.tracked = err == nil
	switch {
	case s.tracked && claimed != "":
		return s, errors.New("--commit is for a tree without git; here git names the commit")
	case s.tracked:
		head, err := git(ctx, root, "log", "-1", "--format=%H %ct")
		if err != nil {
			return s, err
		}
		s.commit, epoch, _ = strings.Cut(strings.TrimSpace(string(head)), " ")
		tagged, err := git(ctx, root, "for-each-ref", "--format=%(objectname) %(*objectname)", "refs/tags/"+version)
		if err != nil {
			return s, err
		}
		if commits := strings.Fields(string(tagged)); len(commits) > 0 && commits[len(commits)-1] != s.commit {
			return s, fmt.Errorf("the tag %s is of another commit than the one that is checked out; check out the tag, or name another version", version)
		}
		changed, err := git(ctx, root, "status", "--porcelain", "--untracked-files=normal")
		if err != nil {
			return s, err
		}
		s.dirty = len(changed) > 0
	case claimed == "" || epoch == "":
		return s, errors.New("there is no git repository here; name the commit that the tree was taken from with --commit, and its time with SOURCE_DATE_EPOCH (git log -1 --format=%ct)")
	}
	if !wholeHash.MatchString(s.commit) {
		return s, errors.New("the commit must be a whole hash, in lower case")
	}
	seconds, err := strconv.ParseInt(epoch, 10, 64)
	if err != nil || seconds < earliest || seconds > latest {
		return s, errors.New("the commit's time, or SOURCE_DATE_EPOCH, must be seconds since 1970, of a day from 1980 to 2100")
	}
	s.time = time.Unix(seconds, 0).UTC()
	return s, nil
}

// The times that zip, tar and rpm can all hold.
const (
	earliest = 315619200  // 1980-01-02
	latest   = 4102444800 // 2100-01-01
)

// export writes the tree to dir: of a clean tree what the commit holds, with the line
// ends that it has there.
func (s source) export(ctx context.Context, dir string) error {
	if s.tracked && !s.dirty {
		text, err := git(ctx, s.root, "-c", "core.autocrlf=false", "-c", "core.eol=lf", "archive", "--format=tar", s.commit)
		if err != nil {
			return err
		}
		return untar(bytes.NewReader(text), dir)
	}
	return copyTree(s.root, dir)
}

// untar unpacks what git archive wrote.
func untar(r io.Reader, dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	for files := tar.NewReader(r); ; {
		h, err := files.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		switch h.Typeflag {
		case tar.TypeDir:
			err = root.MkdirAll(filepath.Clean(h.Name), 0o755)
		case tar.TypeReg:
			var text []byte
			if text, err = io.ReadAll(files); err == nil {
				err = root.WriteFile(h.Name, text, 0o644)
			}
		}
		if err != nil {
			return err
		}
	}
}

// copyTree copies the regular files below from, without git's own, without directories
// that begin with a dot, and without what a release left at the root.
func copyTree(from, to string) error {
	return filepath.WalkDir(from, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(from, path)
		switch {
		case err != nil:
			return err
		case d.IsDir() && (name == "dist" || name != "." && strings.HasPrefix(d.Name(), ".")):
			return filepath.SkipDir
		case d.IsDir():
			return os.MkdirAll(filepath.Join(to, name), 0o755)
		case !d.Type().IsRegular() || d.Name() == ".git": // which is a file in a work tree of another clone
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, name), text, 0o644)
	})
}

func git(ctx context.Context, dir string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir, cmd.Env = dir, withoutGit(os.Environ())
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("git %s: %w%s", strings.Join(args, " "), err, saidBy(err))
	}
	return out, nil
}

// withoutGit is an environment without the variables that lead git to another
// repository than that of its directory; a hook that git runs has them.
func withoutGit(environment []string) []string {
	return slices.DeleteFunc(environment, func(v string) bool { return strings.HasPrefix(v, "GIT_") })
}

// saidBy is what a command that failed wrote to standard error, cut short.
func saidBy(err error) string {
	var exit *exec.ExitError
	if !errors.As(err, &exit) || len(exit.Stderr) == 0 {
		return ""
	}
	return ": " + strings.TrimSpace(string(exit.Stderr[max(0, len(exit.Stderr)-2000):]))
}
