package main

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestConfine confines a process of its own, since nothing undoes it.
func TestConfine(t *testing.T) {
	if dir := os.Getenv("CONFINE_TEST_DIR"); dir != "" {
		confined(t, dir)
		if t.Failed() {
			os.Exit(1)
		}
		os.Exit(0) // the clean-up after the tests would run programs and remove files
	}
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "ours"), 0o700); err != nil {
		t.Fatal(err)
	}
	child := exec.Command(os.Args[0], "-test.run", "^TestConfine$", "-test.v")
	child.Env = append(os.Environ(), "CONFINE_TEST_DIR="+dir)
	out, err := child.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if strings.Contains(string(out), "SKIP") {
		t.Skipf("this kernel has no Landlock: %s", out)
	}
}

func confined(t *testing.T, dir string) {
	ours := filepath.Join(dir, "ours")
	state, err := confine([]string{ours, ours})
	if err != nil {
		t.Fatal(err)
	}
	if strings.HasPrefix(state, "not confined") {
		t.Log("SKIP", state)
		return
	}
	file := filepath.Join(ours, "file")
	if err := os.WriteFile(file, []byte("a"), 0o600); err != nil {
		t.Errorf("writing where it may: %v", err)
	}
	if err := os.Rename(file, file+".1"); err != nil {
		t.Errorf("renaming where it may: %v", err)
	}
	if err := os.Truncate(file+".1", 0); err != nil {
		t.Errorf("truncating where it may: %v", err)
	}
	if _, err := os.ReadFile(os.Args[0]); err != nil {
		t.Errorf("reading elsewhere: %v", err)
	}
	// In threads that are there already, and in those to come.
	done := make(chan error)
	for range 4 {
		go func() { done <- os.WriteFile(filepath.Join(dir, "elsewhere"), nil, 0o600) }()
	}
	for range 4 {
		if err := <-done; !errors.Is(err, fs.ErrPermission) {
			t.Errorf("writing elsewhere: %v", err)
		}
	}
	if err := exec.Command("/bin/true").Run(); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("running a program: %v", err)
	}
}
