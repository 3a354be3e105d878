//go:build !windows

package examples_test

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestInstallation runs the install step of each template with a curl that copies
// the package from this host.
func TestInstallation(t *testing.T) {
	t.Parallel()
	scripts := map[string]string{
		"GitHub": stepNamed(t, load[workflow](t, workflowFile).Jobs["release-governance"].Steps, "Install").Run,
		"GitLab": strings.Join(gitlabJobNamed(t, "cavra-release-governance").BeforeScript, "\n"),
		"Azure":  stepNamed(t, load[azurePipeline](t, azureFile).Jobs[0].Steps, "Install").Bash,
	}
	for provider, script := range scripts {
		for _, tt := range []struct {
			name  string
			spoil func(archive string) error
			curl  string // what it does at last
			link  string // what the checkout brings, and leads out of it
			fails bool
		}{
			{name: "a whole package"},
			{name: "a link in the place of the archive", link: ".cavra-package.tar.gz"},
			{name: "a link in the place of the package", link: ".cavra-package", fails: true},
			{name: "another package", spoil: func(archive string) error { return os.WriteFile(archive, []byte("another"), 0o600) }, fails: true},
			{name: "half a package", spoil: func(archive string) error { return os.Truncate(archive, 100) }, fails: true},
			{name: "no package", curl: "exit 22", fails: true},
		} {
			t.Run(provider+"/"+tt.name, func(t *testing.T) {
				t.Parallel()
				j := newJob(t, approved).unpack()
				if provider == "Azure" {
					j.azureShell()
				}
				archive := filepath.Join(t.TempDir(), "package.tar.gz")
				if out, err := exec.CommandContext(t.Context(), "tar", "-czf", archive, "-C", j.dir, "--transform", "s,^.cavra-package,cavra-runtime-v0.1.0,", ".cavra-package").CombinedOutput(); err != nil {
					t.Fatalf("%v: %s", err, out)
				}
				if err := os.RemoveAll(filepath.Join(j.dir, ".cavra-package")); err != nil {
					t.Fatal(err)
				}
				text, err := os.ReadFile(archive)
				if err != nil {
					t.Fatal(err)
				}
				sum := sha256.Sum256(text)
				if tt.spoil != nil {
					if err := tt.spoil(archive); err != nil {
						t.Fatal(err)
					}
				}
				outside := filepath.Join(t.TempDir(), "outside")
				if tt.link != "" {
					if err := os.Symlink(outside, filepath.Join(j.dir, tt.link)); err != nil {
						t.Fatal(err)
					}
				}
				bin := t.TempDir()
				curl := `#!/bin/sh
case "$*" in *"--fail "*"--proto =https "*"--output "*" https://packages.example.com/a;b.tar.gz") ;; *) echo "curl $*" >&2; exit 2 ;; esac
while [ "$1" != --output ]; do shift; done
cp "$ARCHIVE" "$2"
` + tt.curl + "\n"
				if err := os.WriteFile(filepath.Join(bin, "curl"), []byte(curl), 0o755); err != nil {
					t.Fatal(err)
				}
				log, code := j.run(script, map[string]string{
					"ARCHIVE": archive, "PATH": bin + ":" + os.Getenv("PATH"), "RUNNER_TEMP": t.TempDir(), "AGENT_TEMPDIRECTORY": t.TempDir(),
					"CAVRA_PACKAGE_URL": "https://packages.example.com/a;b.tar.gz", "CAVRA_PACKAGE_SHA256": hex.EncodeToString(sum[:]),
				})
				if (code != 0) != tt.fails {
					t.Fatalf("it ends with %d:\n%s", code, log)
				}
				if _, err := os.Lstat(outside); err == nil {
					t.Error("it writes where a link of the checkout leads")
				}
				_, err = os.Stat(filepath.Join(j.dir, ".cavra-package/cavra-runtime"))
				if (err != nil) != tt.fails {
					t.Errorf("the runtime is there: %v", err == nil)
				}
			})
		}
	}
}
