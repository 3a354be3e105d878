// Package keys reads the HMAC keys that stages are configured with: from an
// option, which a variable may have set, or from a file that others cannot read.
//
// No error and no warning holds any of a key.
package keys

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/hashicorp/go-multierror"
)

// Recommended is the length in bytes from which on a key is not warned about:
// that of the hash it is used with.
const Recommended = sha256.Size

const (
	maxFile = 64 << 10 // bytes of a key file; more is another file
	maxID   = 128      // bytes of a key's name
)

// A Source is how a stage's options name one key.
type Source struct {
	// Option is the name of the option that holds the key, such as "hmac_key".
	// The file's option is called the same with "_file", the id's with "_id".
	Option string
	// Entry is set where Option is an entry of a list of keys, such as
	// "hmac_keys[1]". Its file and its id are then the members file and id, and
	// both are needed: keys side by side are told apart by their ids.
	Entry bool

	Key  string // the key itself, or empty
	File string // the file that holds it, or empty
	ID   string // the key's name, or empty
}

// member is the name of the option that holds the file or the id.
func (s Source) member(name string) string {
	if s.Entry {
		return s.Option + "." + name
	}
	return s.Option + "_" + name
}

// Set reports whether any of the options is set.
func (s Source) Set() bool { return s.Key != "" || s.File != "" || s.ID != "" }

// Load returns the key, nil where none is configured, and what to warn about.
// The error holds every fault of the options.
func (s Source) Load() (key []byte, warnings []string, err error) {
	var faults *multierror.Error
	switch {
	case s.Key != "" && s.File != "":
		faults = multierror.Append(faults, fmt.Errorf("%s and %s are both set; leave one of them out, better the first", s.Option, s.member("file")))
	case s.File != "":
		if key, warnings, err = readFile(s.File); err != nil {
			err = withoutPath(err)
			faults = multierror.Append(faults, fmt.Errorf("%s: %w", s.member("file"), err))
		}
	case s.Key != "":
		key = []byte(s.Key)
	case s.Entry:
		faults = multierror.Append(faults, fmt.Errorf("%s is missing; name the file that holds the key", s.member("file")))
	case s.ID != "":
		faults = multierror.Append(faults, fmt.Errorf("%s is set and there is no key; set %s, or leave the id out", s.member("id"), s.member("file")))
	}
	if s.Entry && s.ID == "" {
		faults = multierror.Append(faults, fmt.Errorf("%s is missing; give the key a name", s.member("id")))
	}
	if problem := badID(s.ID); problem != "" {
		faults = multierror.Append(faults, fmt.Errorf("%s %s", s.member("id"), problem))
	}
	if err := faults.ErrorOrNil(); err != nil {
		return nil, nil, err
	}
	if key != nil && len(key) < Recommended {
		warnings = append(warnings, fmt.Sprintf("%s has %d bytes, so it can be guessed; make one of %d or more, as with: openssl rand -hex 32", s.Option, len(key), Recommended))
	}
	return key, warnings, nil
}

// withoutPath is a fault of a file without the file's name: where somebody gave
// the key in the place of its file, the name is the key.
func withoutPath(err error) error {
	if at := (*fs.PathError)(nil); errors.As(err, &at) {
		return fmt.Errorf("the file cannot be read: %w", at.Err)
	}
	return err
}

// badID says why id cannot name a key, or "".
func badID(id string) string {
	switch {
	case len(id) > maxID:
		return fmt.Sprintf("has %d bytes; use at most %d", len(id), maxID)
	case !utf8.ValidString(id), strings.ContainsFunc(id, func(r rune) bool { return !unicode.IsPrint(r) }):
		return `holds what cannot be seen; use letters, digits, "-" and "_"`
	}
	return ""
}

// readFile reads a key that only we should be able to read. A line break at the
// end of the file is not part of the key.
func readFile(path string) (key []byte, warnings []string, err error) {
	// Opening a pipe would wait for its writer, so look first.
	info, err := os.Stat(path)
	if err != nil {
		return nil, nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, nil, fmt.Errorf("%q is no regular file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close() // only read
	if info, err = f.Stat(); err != nil {
		return nil, nil, err
	}
	warning, err := checkMode(path, info.Mode())
	if err != nil {
		return nil, nil, err
	}
	if warning != "" {
		warnings = append(warnings, warning)
	}
	key, err = io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, nil, err
	}
	if len(key) > maxFile {
		return nil, nil, fmt.Errorf("%q has more than %d bytes, so it is no key", path, maxFile)
	}
	if line, ok := bytes.CutSuffix(key, []byte("\n")); ok {
		key = bytes.TrimSuffix(line, []byte("\r"))
	}
	if len(key) == 0 {
		return nil, nil, errors.New("the file is empty; write a key into it, as with: openssl rand -hex 32")
	}
	return key, warnings, nil
}

// checkMode refuses a key file that everybody can read or change, and warns of
// one that its group can.
func checkMode(path string, mode fs.FileMode) (warning string, err error) {
	switch {
	case runtime.GOOS == "windows": // has no such bits
	case mode&0o007 != 0:
		return "", fmt.Errorf("%q has mode %04o, so others can get at the key; make a new key, and chmod 600 its file", path, mode.Perm())
	case mode&0o070 != 0:
		return fmt.Sprintf("the group of key file %q can get at the key (mode %04o); chmod 600 it unless it should", path, mode.Perm()), nil
	}
	return "", nil
}
