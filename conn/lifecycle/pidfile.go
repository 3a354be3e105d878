package lifecycle

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"unicode"
)

// maxPIDFile is the length of the longest file that is taken for a pid file. What
// we write is shorter; others wrote more words.
const maxPIDFile = 256

var (
	errNoPIDFile  = errors.New("there is no pid file")
	errNotPIDFile = errors.New("it is no pid file")
)

// WritePID writes our number to path, atomically. The caller holds the socket's
// lock, so a pid file that is there already is a leftover; what is no pid file is
// left alone. Nothing but the number is written, since scripts give the whole of
// it to kill.
func WritePID(path string) error {
	if err := checkPIDFile(path); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), ".pid-")
	if err == nil {
		_, err = fmt.Fprintln(tmp, os.Getpid())
		err = errors.Join(err, tmp.Close())
		if err == nil {
			err = os.Rename(tmp.Name(), path)
		}
		if err != nil {
			_ = os.Remove(tmp.Name())
		}
	}
	if err != nil {
		return fmt.Errorf("the pid file cannot be written: %w; name another with --pid", err)
	}
	return nil
}

// RemovePID removes the pid file if it still holds our number.
func RemovePID(path string) {
	if pid, err := ReadPID(path); err == nil && pid == os.Getpid() {
		_ = os.Remove(path)
	}
}

// ReadPID reads the first word of a pid file. It must be a plain file, not a link.
func ReadPID(path string) (int, error) {
	pid, err := readPID(path)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, errNoPIDFile):
		return 0, fmt.Errorf("%w at %s", errNoPIDFile, quote(path))
	case errors.Is(err, errNotPIDFile):
		return 0, fmt.Errorf("%s is no pid file, so it is left alone; remove it, or name another with --pid", quote(path))
	case err != nil:
		return 0, fmt.Errorf("the pid file cannot be read: %w", err)
	}
	return pid, nil
}

func readPID(path string) (int, error) {
	// Opening a pipe would wait for its writer, so look first.
	if info, err := os.Lstat(path); err != nil {
		return 0, err
	} else if !info.Mode().IsRegular() {
		return 0, errNotPIDFile
	}
	f, err := openNoFollow(path, os.O_RDONLY)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxPIDFile+1))
	if err != nil {
		return 0, err
	}
	words := strings.Fields(string(text))
	if len(text) == 0 { // what a crash of the machine leaves of a file that was just written
		return 0, errNoPIDFile
	}
	if len(text) > maxPIDFile || len(words) == 0 {
		return 0, errNotPIDFile
	}
	pid, err := strconv.ParseUint(words[0], 10, 31)
	if err != nil || pid == 0 {
		return 0, errNotPIDFile
	}
	return int(pid), nil
}

// checkPIDFile refuses to replace what is no pid file: --pid could name anything.
func checkPIDFile(path string) error {
	if _, err := ReadPID(path); err != nil && !errors.Is(err, errNoPIDFile) {
		return err
	}
	return nil
}

// quote makes a path fit for a message: escaped, and cut where it is long.
func quote(path string) string {
	const most = 200
	if len(path) > most {
		return strconv.QuoteToASCII(path[:most]) + "…"
	}
	return strconv.QuoteToASCII(path)
}

// visible replaces what could disturb a terminal or hide what stands beside it.
func visible(r rune) rune {
	if r == '\n' || r == '\t' || unicode.IsPrint(r) {
		return r
	}
	return '?'
}
