//go:build linux

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestPythonFallback(t *testing.T) {
	t.Setenv("CAVRA_RUNNER_AUTH_HMAC_KEY", "not for others")
	for _, test := range []struct {
		name, script string
		prepare      func(t *testing.T, dir string) // after the command was written
		status       checkStatus
		message      string
	}{
		{"none", "", nil, checkPass, "no cavra command is on the PATH"},
		{"one", "#!/bin/sh\necho cavra 1.2.3 $CAVRA_RUNNER_AUTH_HMAC_KEY $1\necho more", nil, checkPass, `is "cavra 1.2.3 --version"; it is not required`},
		{"hostile output", "#!/bin/sh\nprintf '\\033[2J'; while :; do echo xxxxxxxxxxxxxxxxxxxxxxxx || exit; done | head -c 100000", nil, checkPass, `\\x1b[2J`},
		{"one that fails", "#!/bin/sh\nexit 3", nil, checkPass, "does not say its version"},
		{"one that hangs", "#!/bin/sh\nsleep 100", nil, checkPass, "does not say its version"},
		{"in a directory of everybody", "#!/bin/sh\ntouch \"${0%/*}/ran\"", func(t *testing.T, dir string) { chmod(t, dir, 0o777) }, checkSkipped, "everybody can write to"},
		{"writable by everybody", "#!/bin/sh\ntouch \"${0%/*}/ran\"", func(t *testing.T, dir string) { chmod(t, filepath.Join(dir, "cavra"), 0o777) }, checkSkipped, "everybody can write to"},
		{"a link into a directory of everybody", "#!/bin/sh\ntouch \"${0%/*}/ran\"", func(t *testing.T, dir string) {
			open := t.TempDir()
			chmod(t, open, 0o777)
			if err := os.Rename(filepath.Join(dir, "cavra"), filepath.Join(open, "x")); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(filepath.Join(open, "x"), filepath.Join(dir, "cavra")); err != nil {
				t.Fatal(err)
			}
		}, checkSkipped, "everybody can write to"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			if test.script != "" {
				if err := os.WriteFile(filepath.Join(dir, "cavra"), []byte(test.script), 0o700); err != nil {
					t.Fatal(err)
				}
			}
			if test.prepare != nil {
				test.prepare(t, dir)
			}
			began := time.Now()
			got := pythonFallback(t.Context(), dir+":/usr/bin:/bin")
			if got.Status != test.status || !strings.Contains(got.Message, test.message) || len(got.Message) > 1000 {
				t.Errorf("%s: %s; want %s: %s", got.Status, got.Message, test.status, test.message)
			}
			if took := time.Since(began); took > 10*time.Second {
				t.Errorf("it took %v", took)
			}
			if _, err := os.Stat(filepath.Join(dir, "ran")); err == nil {
				t.Error("it was run")
			}
		})
	}
	t.Run("by a relative path", func(t *testing.T) {
		t.Chdir(t.TempDir())
		if err := os.WriteFile("cavra", []byte("#!/bin/sh\n"), 0o700); err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{".", ""} {
			got := pythonFallback(t.Context(), path+":/nowhere")
			if got.Status != checkSkipped || !strings.Contains(got.Message, "relative") {
				t.Errorf("PATH %q: %s: %s", path, got.Status, got.Message)
			}
		}
	})
}

func chmod(t *testing.T, path string, mode os.FileMode) {
	t.Helper()
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

func TestClock(t *testing.T) {
	log := filepath.Join(t.TempDir(), "log")
	if err := os.WriteFile(log, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name string
		now  time.Time
		want checkStatus
	}{
		{"right", time.Now(), checkPass},
		{"a little slow", time.Now().Add(-time.Minute), checkPass},
		{"an hour before the last record", time.Now().Add(-time.Hour), checkFail},
		{"at the beginning", time.Unix(0, 0), checkFail},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := clock(test.now, log); got.Status != test.want {
				t.Errorf("%+v, want %s", got, test.want)
			}
		})
	}
}
