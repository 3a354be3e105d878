//go:build unix

package release

import (
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"
)

// A pipe that nobody writes to is not waited for, wherever it stands.
func TestPipesAreNotRead(t *testing.T) {
	_, private := newKey(t)
	p := build{}.make(t, private)
	for _, c := range []struct {
		name, at, want string
	}{
		{"in the package's place", ".", KindRead},
		{"in the manifest's", ManifestName, KindEntry},
		{"in the signature's", SignatureName, KindEntry},
		{"in a file's", "install.sh", KindEntry},
	} {
		t.Run(c.name, func(t *testing.T) {
			root := p.dir(t)
			at := filepath.Join(root, c.at)
			if err := os.RemoveAll(at); err != nil {
				t.Fatal(err)
			}
			if err := syscall.Mkfifo(at, 0o644); err != nil {
				t.Fatal(err)
			}
			done := make(chan Report, 1)
			go func() { done <- Verify(root, p.key) }()
			select {
			case r := <-done:
				if r.Valid || !slices.Equal(kinds(r), []string{c.want}) {
					t.Errorf("got %+v, want %s", r.Errors, c.want)
				}
			case <-time.After(10 * time.Second):
				t.Error("it waits")
			}
		})
	}
}

// What was looked at is what is read: another file in its place is seen.
func TestAFileThatIsReplacedIsSeen(t *testing.T) {
	_, private := newKey(t)
	p := build{}.make(t, private)
	root := p.dir(t)
	d, err := open(root)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	tried := false
	err = d.each(0, func(e entry) error {
		if e.path != "install.sh" {
			return nil
		}
		tried = true
		at := filepath.Join(root, e.path)
		for name, replace := range map[string]func() error{
			"by another file": func() error { return os.WriteFile(at, []byte("#!/bin/sh\n"), 0o755) },
			"by a link":       func() error { return os.Symlink(BundlesName, at) },
			"by a pipe":       func() error { return syscall.Mkfifo(at, 0o755) },
		} {
			if err := os.Rename(at, filepath.Join(t.TempDir(), "kept")); err != nil {
				return err
			}
			if err := replace(); err != nil {
				return err
			}
			if r, err := e.open(); err == nil {
				r.Close()
				t.Errorf("%s: it is opened", name)
			}
		}
		return nil
	})
	if err != nil || !tried {
		t.Errorf("%v, tried is %v", err, tried)
	}
}
