package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// writePID writes our pid to path, atomically. The caller holds the socket's
// lock, so a pid file that is there already is a leftover; what is no pid file is
// left alone.
func writePID(path string) error {
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

// checkPIDFile refuses to replace what is no pid file: --pid could name
// anything.
func checkPIDFile(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil && info.Mode().IsRegular() && info.Size() < 64 {
		if _, err := readPID(path); err == nil {
			return nil
		}
	}
	return fmt.Errorf("%s is there and is no pid file, so it is left alone; remove it, or name another with --pid", path)
}

// removePID removes the pid file if it still holds our pid.
func removePID(path string) {
	if pid, err := readPID(path); err == nil && pid == os.Getpid() {
		_ = os.Remove(path)
	}
}

// readPID reads the first word of a pid file.
func readPID(path string) (int, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	word, _, _ := strings.Cut(strings.TrimSpace(string(text)), " ")
	return strconv.Atoi(word)
}
