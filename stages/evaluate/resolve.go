package evaluate

import (
	"errors"
	"io/fs"
	"path"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
)

var (
	errOthersProcess = errors.New("leads through what is another file for each process")
	errTooManyLinks  = errors.New("leads through more links than a path may hold")
	errNotSeen       = errors.New("cannot be looked at")
	errTooLong       = errors.New("is longer than a path may be")
)

// longestName is the most bytes that a file system takes for one name.
const longestName = 255

// mostLinks is how many links of one path are followed, as many as Linux does.
const mostLinks = 40

// resolve is the file that the system opens for an absolute path, which need not
// be clean: ".." leaves the directory that a link led to, not the one that holds
// the link. What does not exist yet stands as it is written.
func (e *eyes) resolve(name string) (string, error) {
	if len(name) > longestPath {
		return "", errTooLong
	}
	if clean := path.Clean(name); !ofOneProcess(clean) && e.plain(name, clean == name) {
		return clean, nil
	}
	volume := filepath.ToSlash(filepath.VolumeName(name))
	done, rest := volume+"/", name[len(volume):]
	missing := "" // the first part of done that does not exist
	for links := 0; ; {
		var part string
		rest = strings.TrimLeft(rest, "/")
		if part, rest, _ = strings.Cut(rest, "/"); part == "" {
			return done, nil
		}
		next := path.Join(done, part)
		if part == "." || part == ".." {
			if done = next; missing != "" && missing != done && !within(missing, done) {
				missing = ""
			}
			continue
		}
		if ofOneProcess(next) {
			if path.Base(next) != "root" {
				return "", errOthersProcess
			}
			done, missing = "/", "" // nearly every process has the root that this one has
			continue
		}
		if done = next; missing != "" {
			continue
		}
		if len(done) >= longestPath {
			return "", errTooLong // to look at, though not to reach step by step
		}
		target, err := e.readlink(done)
		switch {
		case err == nil && target != "":
			if links++; links > mostLinks {
				return "", errTooManyLinks
			}
			target = filepath.ToSlash(target)
			if isAbs(target) {
				volume = filepath.ToSlash(filepath.VolumeName(target))
				done, target = volume+"/", target[len(volume):]
			} else {
				done = path.Dir(done)
			}
			if rest = target + "/" + rest; len(rest) > 2*longestPath {
				return "", errTooLong
			}
		case absent(err, part):
			missing = done
		case !isNoLink(err):
			return "", errNotSeen
		}
	}
}

// absent reports whether err says that a part of a path does not exist, or cannot.
func absent(err error, part string) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) ||
		errors.Is(err, syscall.ENAMETOOLONG) && len(part) > longestName
}

// isNoLink reports whether err says that a name exists and is no link. Windows
// has its own error for that, and others for what it cannot read.
func isNoLink(err error) bool {
	return err == nil || errors.Is(err, syscall.EINVAL) || runtime.GOOS == "windows"
}

// ofOneProcess reports whether a clean path is one that the system turns into
// another for each process that asks, so that what this one sees says nothing of
// what others would: the working directory, the root, the program and the open files.
func ofOneProcess(name string) bool {
	rest, ok := strings.CutPrefix(name, "/proc/")
	if !ok {
		return false
	}
	_, rest, _ = strings.Cut(rest, "/") // a number, self or thread-self
	if task, ok := strings.CutPrefix(rest, "task/"); ok {
		_, rest, _ = strings.Cut(task, "/")
	}
	switch first, _, _ := strings.Cut(rest, "/"); first {
	case "cwd", "root", "exe", "fd", "map_files":
		return true
	}
	return false
}
