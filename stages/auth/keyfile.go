package auth

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"

	"github.com/hashicorp/go-hclog"
)

// maxKeyFile is the most bytes that a key file may have: more is another file.
const maxKeyFile = 64 << 10

// readKeyFile reads a key that only we should be able to read. A line break at
// the end of the file is not part of the key. No error holds any of it.
func readKeyFile(path string, log hclog.Logger) ([]byte, error) {
	// Opening a pipe would wait for its writer, so look first.
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("the key cannot be read: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%q is no regular file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("the key cannot be read: %w", err)
	}
	defer f.Close() // only read
	if info, err = f.Stat(); err != nil {
		return nil, fmt.Errorf("the key cannot be read: %w", err)
	}
	if err := checkMode(path, info.Mode(), log); err != nil {
		return nil, err
	}
	key, err := io.ReadAll(io.LimitReader(f, maxKeyFile+1))
	if err != nil {
		return nil, fmt.Errorf("the key cannot be read: %w", err)
	}
	if len(key) > maxKeyFile {
		return nil, fmt.Errorf("%q has more than %d bytes, so it is no key", path, maxKeyFile)
	}
	if line, ok := bytes.CutSuffix(key, []byte("\n")); ok {
		key = bytes.TrimSuffix(line, []byte("\r"))
	}
	if len(key) == 0 {
		return nil, fmt.Errorf("%q is empty; write a key into it, as with: openssl rand -hex 32", path)
	}
	return key, nil
}

// checkMode refuses a key file that everybody can read or change, and warns of
// one that its group can.
func checkMode(path string, mode fs.FileMode, log hclog.Logger) error {
	switch {
	case runtime.GOOS == "windows": // has no such bits
	case mode&0o007 != 0:
		return fmt.Errorf("%q has mode %04o, so others can get at the key; chmod 600 it", path, mode.Perm())
	case mode&0o070 != 0:
		log.Warn("the group of the key file can get at the key; chmod 600 it unless it should", "file", path, "mode", fmt.Sprintf("%04o", mode.Perm()))
	}
	return nil
}
