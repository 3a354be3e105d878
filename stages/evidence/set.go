package evidence

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/Huzefaaa2/cavra/go/cavra-runtime/stages/evidence/checkpoint"
)

// The files of one log are a set: what was rotated is numbered, the oldest 1,
// and what is being written stands at the log's path itself. Numbers are never
// used again, also where old files were moved away.

// minDigits is how many digits a number has at least, so that names sort.
const minDigits = 6

// rotatedName is the name of the n-th file of the log at path.
func rotatedName(path string, n uint64) string {
	return fmt.Sprintf("%s.%0*d", path, minDigits, n)
}

// rotatedNumber is the number in the name of a rotated file of the log that is
// called base, and 0 for any other name.
func rotatedNumber(base, name string) uint64 {
	digits, ok := strings.CutPrefix(name, base+".")
	if !ok {
		return 0
	}
	n, err := strconv.ParseUint(digits, 10, 63)
	if err != nil || rotatedName(base, n) != name {
		return 0
	}
	return n
}

// cutNumber takes the name of a rotated file apart. number is 0 where name is
// none, and base is name then.
func cutNumber(name string) (base string, number uint64) {
	if at := strings.LastIndexByte(name, '.'); at > 0 {
		if number = rotatedNumber(name[:at], name); number > 0 {
			return name[:at], number
		}
	}
	return name, 0
}

// besideLog are the endings of what stands beside a log; a number is another.
var besideLog = []string{nextSuffix, checkpoint.Suffix, checkpoint.HashesSuffix, checkpoint.IndexSuffix}

// checkName refuses a log whose name is that of a file beside another log: that
// log's writer would take it for its own, and remove or overwrite it.
func checkName(path string) error {
	name := filepath.Base(path)
	beside := numberIn(name) > 0
	for _, ending := range besideLog {
		beside = beside || strings.HasSuffix(name, ending)
	}
	if beside {
		return fmt.Errorf("the evidence log cannot be called %s: a log keeps files beside it under such names (a number, %s); name the log otherwise", name, strings.Join(besideLog, ", "))
	}
	return nil
}

// OpenRegular opens a file of a log to be read. It refuses what is no regular
// file, and does not wait where that is a pipe to which nobody writes.
func OpenRegular(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a regular file: move it away, or put the right file back", path)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// numberIn is the number of the rotated file that is called name, or 0.
func numberIn(name string) uint64 {
	_, number := cutNumber(name)
	return number
}

// rotatedFiles are the numbers of the rotated files that stand beside the log at
// path, in order.
func rotatedFiles(path string) ([]uint64, error) {
	names, err := os.ReadDir(filepath.Dir(path))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var numbers []uint64
	for _, name := range names { // of what could be read, beside an error
		if n := rotatedNumber(filepath.Base(path), name.Name()); n > 0 {
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	return numbers, err
}
