package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"time"
)

// pythonFallback looks for the cavra command of the Python package, which earlier
// hooks fall back on. It is never required. One that others could have put there
// or changed is named and not run; none gets our environment, which holds keys.
func pythonFallback(ctx context.Context, path string) readinessCheck {
	if runtime.GOOS == "windows" {
		return skipped("not looked for on this system")
	}
	found := ""
	for _, dir := range filepath.SplitList(path) {
		candidate := filepath.Join(dir, "cavra")
		if info, err := os.Stat(candidate); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			found = candidate
			break
		}
	}
	if found == "" {
		return pass("no cavra command is on the PATH; none is required")
	}
	if err := othersCannotChange(found); err != nil {
		return readinessCheck{Status: checkSkipped, Message: fmt.Sprintf("%q was not run: %v", found, err), Action: "take that directory out of the PATH, or the rights from others"}
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, found, "--version")
	cmd.Env = []string{"PATH=" + path, "HOME=" + os.Getenv("HOME")}
	cmd.WaitDelay = 100 * time.Millisecond
	out := firstBytes{most: 100}
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		return pass("%q does not say its version (%v); it is not required", found, err)
	}
	line, _, _ := bytes.Cut(out.b, []byte("\n"))
	return pass("%q is %q; it is not required", found, printable(string(line)))
}

// othersCannotChange refuses a program that is named by a relative path, or that
// somebody other than root or us owns or can write to, or whose directory is so;
// of a link, what it leads to as well.
func othersCannotChange(program string) error {
	if !filepath.IsAbs(program) {
		return errors.New("the PATH names its directory by a relative path")
	}
	target, err := filepath.EvalSymlinks(program)
	if err != nil {
		return err
	}
	for _, path := range []string{filepath.Dir(program), target, filepath.Dir(target)} {
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		if info.Mode()&0o002 != 0 {
			return fmt.Errorf("everybody can write to %q", path)
		}
		if !ownedByUsOrRoot(info) {
			return fmt.Errorf("%q belongs to another user", path)
		}
	}
	return nil
}

// firstBytes keeps the first bytes that are written to it.
type firstBytes struct {
	b    []byte
	most int
}

func (w *firstBytes) Write(p []byte) (int, error) {
	w.b = append(w.b, p[:min(len(p), w.most-len(w.b))]...)
	return len(p), nil
}
