//go:build !windows

package checkpoint

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/google/renameio/v2"
)

// Replace puts a checkpoint at path, whole and durably or not at all.
func Replace(path string, signed []byte) error {
	dir := filepath.Dir(path)
	f, err := renameio.NewPendingFile(path, renameio.WithTempDir(dir), renameio.WithStaticPermissions(0o600))
	if err != nil {
		return err
	}
	defer f.Cleanup() // does nothing once the file has its name
	if _, err := f.Write(signed); err != nil {
		return err
	}
	if err := f.CloseAtomicallyReplace(); err != nil {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync() // without it a crash could bring the one before back
}

// hasOtherName reports whether a file has several names (hard links).
func hasOtherName(info os.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && st.Nlink > 1
}

// Sweep removes what a Replace that was killed has left beside path.
func Sweep(path string) {
	dir, prefix := filepath.Dir(path), "."+filepath.Base(path)
	entries, _ := os.ReadDir(dir) // what is not found is not removed
	for _, e := range entries {
		number, ok := strings.CutPrefix(e.Name(), prefix)
		if ok && number != "" && strings.Trim(number, "0123456789") == "" {
			_ = os.Remove(filepath.Join(dir, e.Name()))
		}
	}
}
