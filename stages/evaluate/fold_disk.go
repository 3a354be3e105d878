package evaluate

import (
	"errors"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"
	"unicode"
	"unicode/utf8"
)

var errFoldUntold = errors.New("lies where it cannot be told whether names that differ in case are the same")

// mostListed is how many names of a directory are looked at to tell whether it
// folds. The first one with a letter mostly tells.
const mostListed = 256

// foldsIn reports whether names fold in one of the directories on the way to the
// file at the absolute path name. It asks for each part in another case: a
// directory that has both folds, or holds two such files, which is so rare that it
// may be taken for the same. Directories can differ, since some file systems are
// told for each of them whether it folds.
func foldsIn(name string) (bool, error) {
	if len(name) > longestPath {
		return false, errTooLong
	}
	dir := filepath.ToSlash(filepath.VolumeName(name)) + "/"
	for part := range strings.SplitSeq(name[len(dir)-1:], "/") {
		if part == "" {
			continue
		}
		here, err := exists(dir, part)
		if err != nil {
			return false, err
		}
		other := otherCase(part)
		switch {
		case other == "" && isASCII(part) && here: // no other name can mean it
		case other == "" || !here:
			if folds, err := directoryFolds(dir); folds || err != nil {
				return folds, err
			}
		default:
			if folds, err := exists(dir, other); folds || err != nil {
				return folds, err
			}
		}
		if !here {
			return false, nil // what is made here is as the directory is
		}
		dir = path.Join(dir, part)
	}
	return false, nil
}

// directoryFolds reports whether names fold in a directory: it says so itself, or
// a name in it tells.
func directoryFolds(dir string) (bool, error) {
	d, err := openDirectory(dir)
	switch {
	case errors.Is(err, syscall.ENOTDIR):
		return false, nil // nothing can be in it
	case err != nil:
		return false, errFoldUntold
	}
	defer d.Close() // nothing was written
	folds, told := saysItFolds(d)
	if folds {
		return true, nil
	}
	names, _ := d.Readdirnames(mostListed) // what is listed until a fault is enough
	for _, name := range names {
		other := otherCase(name)
		if other == "" {
			continue
		}
		if folds, err := exists(dir, other); folds || err != nil {
			return folds, err
		}
		if here, err := exists(dir, name); here && err == nil {
			return false, nil // and was not removed meanwhile
		}
	}
	if !told {
		return false, errFoldUntold
	}
	return false, nil
}

func exists(dir, name string) (bool, error) {
	_, err := os.Lstat(path.Join(dir, name))
	switch {
	case err == nil:
		return true, nil
	case absent(err, name):
		return false, nil
	}
	return false, errNotSeen
}

// otherCase is the name with its letters in the other case, or empty where it has
// none. Those of ASCII are enough where it has some.
func otherCase(name string) string {
	other := strings.Map(func(r rune) rune {
		if r < utf8.RuneSelf && unicode.IsLetter(r) {
			return r ^ ('a' - 'A')
		}
		return r
	}, name)
	if other == name {
		other = strings.Map(unicode.SimpleFold, name)
	}
	if other == name {
		return ""
	}
	return other
}

// foldsAtHand says nothing: to tell takes several looks.
func foldsAtHand(string) (bool, error) { return false, errNotAtHand }
