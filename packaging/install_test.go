//go:build unix

// Package packaging_test runs install.sh as people do.
package packaging_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/Huzefaaa2/cavra/go/cavra-runtime/release"
	"github.com/Huzefaaa2/cavra/go/cavra-runtime/release/releasetest"
)

// program is a binary that tells its version, as far as the installer looks.
func program(version string) string {
	return "#!/bin/sh\necho 'cavra-runtime " + version + " 0123abcd go1.26 linux/amd64'\n"
}

// A result is how a command ended.
type result struct {
	code           int
	stdout, stderr string
}

// install runs the installer with a shell and an environment.
func install(t *testing.T, shell string, env []string, as *syscall.Credential, args ...string) result {
	t.Helper()
	script, err := filepath.Abs("install.sh")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(script)
	if err != nil {
		t.Fatal(err)
	}
	// A copy that every user can read, as the package's own is.
	script = filepath.Join(releasetest.Dir(t), "install.sh")
	if err := os.WriteFile(script, text, 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(shell, append([]string{script}, args...)...)
	cmd.Dir = "/"
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "TMPDIR=" + os.TempDir()}, env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: as}
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err = cmd.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return result{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// need skips where a command that the installer works with is missing.
func need(t *testing.T, commands ...string) {
	t.Helper()
	for _, c := range commands {
		if _, err := exec.LookPath(c); err != nil {
			t.Skipf("there is no %s here", c)
		}
	}
	if out, _ := exec.Command("openssl", "pkeyutl", "-help").CombinedOutput(); !bytes.Contains(out, []byte("-rawin")) {
		t.Skip("openssl is older than 3 here")
	}
}

// filesBelow are all files below a directory, by their paths.
func filesBelow(t *testing.T, dir string) map[string]os.FileInfo {
	t.Helper()
	files := map[string]os.FileInfo{}
	err := filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
		if err == nil && !info.IsDir() {
			path, _ = filepath.Rel(dir, path)
			files[path] = info
		}
		return err
	})
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return files
}

func write(t *testing.T, path, text string, mode os.FileMode) {
	t.Helper()
	err := os.MkdirAll(filepath.Dir(path), 0o755)
	if err == nil {
		err = os.WriteFile(path, []byte(text), mode)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestInstall(t *testing.T) {
	need(t, "openssl")
	for _, shell := range []string{"sh", "bash", "dash"} {
		t.Run(shell, func(t *testing.T) {
			need(t, shell)
			dir, key := releasetest.Write(t, "v0.1.0", program("v0.1.0"))
			spaced := filepath.Join(releasetest.Dir(t), "a package's place")
			if err := os.Rename(dir, spaced); err != nil {
				t.Fatal(err)
			}
			prefix := filepath.Join(releasetest.Dir(t), "it's a prefix")
			r := install(t, shell, []string{"PACKAGE_KEY=" + key}, nil, "--package", spaced, "--prefix", prefix)
			if r.code != 0 || r.stderr != "" || !strings.Contains(r.stdout, "cavra-runtime v0.1.0 for "+runtime.GOOS) {
				t.Fatalf("got %+v", r)
			}
			files := filesBelow(t, prefix)
			for path, mode := range map[string]os.FileMode{
				"bin/cavra-runtime": 0o755, "share/bash-completion/completions/cavra-runtime": 0o644, "share/man/man1/cavra-runtime.1": 0o644,
				"share/zsh/site-functions/_cavra-runtime": 0o644, "share/fish/vendor_completions.d/cavra-runtime.fish": 0o644,
			} {
				if files[path] == nil || files[path].Mode() != mode {
					t.Errorf("%s is not there with the mode %v", path, mode)
				}
			}
			if len(files) != 5 {
				t.Errorf("%d files are there, want 5", len(files))
			}
			// Again, and away with it, as it says.
			if r = install(t, shell, []string{"PREFIX=" + prefix}, nil, "--key", key, "--package", spaced); r.code != 0 || !strings.Contains(r.stdout, "in the place of v0.1.0") {
				t.Fatalf("a second time: %+v", r)
			}
			_, remove, _ := strings.Cut(r.stdout, "To uninstall it: ")
			remove, _, _ = strings.Cut(remove, "\n")
			if out, err := exec.Command(shell, "-c", remove).CombinedOutput(); err != nil || len(filesBelow(t, prefix)) != 0 {
				t.Errorf("%s leaves %v: %v, %s", remove, filesBelow(t, prefix), err, out)
			}
		})
	}
}

func TestInstallRefuses(t *testing.T) {
	need(t, "openssl")
	change := func(path string) func(*testing.T, string, *[]string) {
		return func(t *testing.T, dir string, _ *[]string) {
			at := filepath.Join(dir, path)
			text, err := os.ReadFile(at)
			if err != nil {
				t.Fatal(err)
			}
			text[len(text)/2] ^= 1
			write(t, at, string(text), 0o755)
		}
	}
	here := release.BinaryPath(runtime.GOOS, runtime.GOARCH)
	for _, c := range []struct {
		name   string
		tamper func(t *testing.T, dir string, args *[]string)
		code   int
		says   string
	}{
		{"a changed binary", change(here), 1, "is not what was signed"},
		{"a changed binary of another system", change(release.BinaryPath("darwin", "arm64")), 1, "is not what was signed"},
		{"a changed completion", change("completions/_cavra-runtime"), 1, "is not what was signed"},
		{"a changed manifest", change(release.ManifestName), 1, "not signed by the given key"},
		{"a changed signature", change(release.SignatureName), 1, "not signed by the given key"},
		{"a manifest with more behind it", func(t *testing.T, dir string, _ *[]string) {
			text, _ := os.ReadFile(filepath.Join(dir, release.ManifestName))
			write(t, filepath.Join(dir, release.ManifestName), string(text)+"\n", 0o644)
		}, 1, "not signed by the given key"},
		{"a stranger's package", func(t *testing.T, dir string, args *[]string) {
			_, other := releasetest.Write(t, "v0.1.0", "")
			*args = append(*args, "--key", other)
		}, 1, "not signed by the given key"},
		{"a missing binary", func(t *testing.T, dir string, _ *[]string) { os.Remove(filepath.Join(dir, here)) }, 1, "fetch it again"},
		{"no signature", func(t *testing.T, dir string, _ *[]string) { os.Remove(filepath.Join(dir, release.SignatureName)) }, 1, "manifest.sig.json is missing"},
		{"no manifest", func(t *testing.T, dir string, _ *[]string) { os.Remove(filepath.Join(dir, release.ManifestName)) }, 1, "manifest.json is missing"},
		{"no key", func(t *testing.T, dir string, args *[]string) { *args = (*args)[2:] }, 2, "no key was given"},
		{"no key file", func(t *testing.T, dir string, args *[]string) { *args = append(*args, "--key", dir+"/none") }, 2, "key file is not there"},
		{"a key of the package", func(t *testing.T, dir string, args *[]string) {
			text, _ := os.ReadFile((*args)[1])
			write(t, filepath.Join(dir, "sub", "maker.pub"), string(text), 0o644)
			*args = append(*args, "--key", filepath.Join(dir, "sub", "maker.pub"))
		}, 2, "proves nothing"},
		{"no key in the key's file", func(t *testing.T, dir string, args *[]string) {
			other := filepath.Join(releasetest.Dir(t), "none")
			write(t, other, "none\n", 0o644)
			*args = append(*args, "--key", other)
		}, 1, "not signed by the given key"},
		{"a key of another kind", func(t *testing.T, dir string, args *[]string) {
			rsa := filepath.Join(releasetest.Dir(t), "rsa")
			out, err := exec.Command("sh", "-c", "openssl genrsa 2048 2>/dev/null | openssl pkey -pubout").Output()
			if err != nil {
				t.Fatal(err)
			}
			write(t, rsa, string(out), 0o644)
			*args = append(*args, "--key", rsa)
		}, 1, "not signed by the given key"},
		{"an unknown argument", func(t *testing.T, dir string, args *[]string) { *args = append(*args, "--insecure") }, 2, "not known"},
		{"a value that is missing", func(t *testing.T, dir string, args *[]string) { *args = append(*args, "--prefix") }, 2, "--prefix needs a value"},
		{"no package", func(t *testing.T, dir string, args *[]string) { *args = append(*args, "--package", dir+"/none") }, 2, "unpack the archive first"},
		{"a prefix below a file", func(t *testing.T, dir string, args *[]string) {
			*args = append(*args, "--prefix", filepath.Join(dir, release.ManifestName, "x"))
		}, 1, "cannot be made"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir, key := releasetest.Write(t, "v0.1.0", program("v0.1.0"))
			prefix := filepath.Join(releasetest.Dir(t), "prefix")
			args := []string{"--key", key, "--package", dir, "--prefix", prefix}
			c.tamper(t, dir, &args)
			r := install(t, "sh", nil, nil, args...)
			if r.code != c.code || !strings.Contains(r.stderr, c.says) || strings.Count(r.stderr, "\n") != 1 || r.stdout != "" {
				t.Errorf("got %+v; want %d and %q in one line", r, c.code, c.says)
			}
			if files := filesBelow(t, prefix); len(files) != 0 {
				t.Errorf("it left %v", files)
			}
		})
	}
}

// What is already installed stays, whole, where something is refused late.
func TestInstallChangesAllOrNothing(t *testing.T) {
	need(t, "openssl")
	dir, key := releasetest.Write(t, "v0.2.0", program("v0.2.0"))
	prefix := releasetest.Dir(t)
	write(t, filepath.Join(prefix, "bin", "cavra-runtime"), program("v0.1.0"), 0o755)
	if err := os.MkdirAll(filepath.Join(prefix, "share/man/man1/cavra-runtime.1"), 0o755); err != nil {
		t.Fatal(err)
	}
	r := install(t, "sh", nil, nil, "--key", key, "--package", dir, "--prefix", prefix)
	if r.code != 1 || !strings.Contains(r.stderr, "is a directory") {
		t.Errorf("got %+v", r)
	}
	text, err := os.ReadFile(filepath.Join(prefix, "bin", "cavra-runtime"))
	if files := filesBelow(t, prefix); err != nil || string(text) != program("v0.1.0") || len(files) != 1 {
		t.Errorf("there are %v, and the program is %q, %v", files, text, err)
	}
}

func TestInstallWithoutPermission(t *testing.T) {
	need(t, "openssl")
	if runtime.GOOS != "linux" || os.Getuid() != 0 {
		t.Skip("only root can be somebody else")
	}
	dir, key := releasetest.Write(t, "v0.1.0", program("v0.1.0"))
	prefix := releasetest.Dir(t)
	r := install(t, "sh", []string{"TMPDIR=/tmp"}, &syscall.Credential{Uid: 65534, Gid: 65534}, "--key", key, "--package", dir, "--prefix", prefix)
	if r.code != 1 || !strings.Contains(r.stderr, "cannot be written to") || len(filesBelow(t, prefix)) != 0 {
		t.Errorf("got %+v and %v", r, filesBelow(t, prefix))
	}
}

func TestInstallOverAnotherVersion(t *testing.T) {
	need(t, "openssl")
	for _, c := range []struct {
		installed, version string
		newer              bool // the installed one is, so it stays
	}{
		{"v0.1.0", "v0.2.0", false},
		{"v0.2.0", "v0.1.0", true},
		{"v0.10.0", "v0.9.0", true},
		{"v1.0.0", "v0.99.99", true},
		{"v1.0.0-rc.1", "v1.0.0", false},
		{"v1.0.0", "v1.0.0-rc.1", true},
		{"v1.0.0-rc.10", "v1.0.0-rc.9", true},
		{"v1.0.0-rc.9", "v1.0.0-rc.10", false},
		{"v1.0.0-rc", "v1.0.0-rc.1", false},
		{"v1.0.0-beta", "v1.0.0-alpha", true},
		{"v1.0.0-1", "v1.0.0-a", false},
		{"(devel)", "v9.0.0", true}, // perhaps
	} {
		t.Run(c.installed+" to "+c.version, func(t *testing.T) {
			dir, key := releasetest.Write(t, c.version, program(c.version))
			prefix := releasetest.Dir(t)
			at := filepath.Join(prefix, "bin", "cavra-runtime")
			write(t, at, program(c.installed), 0o755)
			args := []string{"--key", key, "--package", dir, "--prefix", prefix}
			r := install(t, "sh", nil, nil, args...)
			text, err := os.ReadFile(at)
			if (r.code != 0) != c.newer || err != nil || (string(text) == program(c.installed)) != c.newer {
				t.Fatalf("got %+v, %v", r, err)
			}
			if c.newer {
				if !strings.Contains(r.stderr, "--force") {
					t.Errorf("it says %q", r.stderr)
				}
				if r = install(t, "sh", nil, nil, append(args, "--force")...); r.code != 0 {
					t.Errorf("forced: %+v", r)
				}
			}
		})
	}
}

// An archive of which half was fetched is unpacked by tar as far as it goes.
func TestInstallOfAHalfDownload(t *testing.T) {
	need(t, "openssl", "tar")
	dir, key := releasetest.Write(t, "v0.1.0", program("v0.1.0")+strings.Repeat("# more\n", 1000))
	all := filepath.Join(releasetest.Dir(t), "all.tar")
	names := []string{release.ManifestName, release.SignatureName, "bin", "completions", "man", release.BundlesName, release.ChecksumsName, releasetest.Wrapper}
	if out, err := exec.Command("tar", append([]string{"-cf", all, "-C", dir}, names...)...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	text, err := os.ReadFile(all)
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []int{8, 4, 2} { // an eighth, a quarter, a half
		t.Run(fmt.Sprintf("one of %d", part), func(t *testing.T) {
			half, into := filepath.Join(releasetest.Dir(t), "half.tar"), releasetest.Dir(t)
			write(t, half, string(text[:len(text)/part]), 0o644)
			_ = exec.Command("tar", "-xf", half, "-C", into).Run() // does not complain of every cut
			prefix := releasetest.Dir(t)
			r := install(t, "sh", nil, nil, "--key", key, "--package", into, "--prefix", prefix)
			if r.code != 1 || !strings.Contains(r.stderr, "fetch") || len(filesBelow(t, prefix)) != 0 {
				t.Errorf("got %+v", r)
			}
		})
	}
}

// Where openssl cannot verify, a cavra-runtime that is there already does.
func TestInstallWithAnInstalledRuntime(t *testing.T) {
	need(t, "openssl", "go")
	dir, key := releasetest.Write(t, "v0.1.0", program("v0.1.0"))
	_, other := releasetest.Write(t, "v0.1.0", "")
	tools := releasetest.Dir(t)
	write(t, filepath.Join(tools, "openssl"), "#!/bin/sh\nexit 1\n", 0o755)
	env := []string{"PATH=" + tools + ":" + os.Getenv("PATH")}
	args := []string{"--package", dir, "--prefix", releasetest.Dir(t), "--key"}
	if _, err := exec.LookPath("cavra-runtime"); err != nil {
		if r := install(t, "sh", env, nil, append(args, key)...); r.code != 1 || !strings.Contains(r.stderr, "neither OpenSSL 3 nor") {
			t.Errorf("with neither: %+v", r)
		}
	}
	build := exec.Command("go", "build", "-o", filepath.Join(tools, "cavra-runtime"), "../cmd/cavra-runtime")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if r := install(t, "sh", env, nil, append(args, other)...); r.code != 1 || !strings.Contains(r.stderr, "not signed by the given key") {
		t.Errorf("another key: %+v", r)
	}
	if r := install(t, "sh", env, nil, append(args, key)...); r.code != 0 {
		t.Errorf("got %+v", r)
	}

	// Who can write to the package has it right only while it is verified.
	binary, manifest := filepath.Join(dir, release.BinaryPath(runtime.GOOS, runtime.GOARCH)), filepath.Join(dir, release.ManifestName)
	right, err := os.ReadFile(manifest)
	if err != nil {
		t.Fatal(err)
	}
	const evil = "#!/bin/sh\necho evil\n"
	hash := func(text string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(text))) }
	before, after, ok := strings.Cut(string(right), `"`+release.BinaryPath(runtime.GOOS, runtime.GOARCH)+`"`)
	if !ok {
		t.Fatal("the manifest has no binary for this system")
	}
	after = strings.Replace(after, hash(program("v0.1.0")), hash(evil), 1)
	swapped := before + `"` + release.BinaryPath(runtime.GOOS, runtime.GOARCH) + `"` + after
	kept := releasetest.Dir(t)
	write(t, filepath.Join(kept, "manifest"), string(right), 0o644)
	write(t, filepath.Join(kept, "binary"), program("v0.1.0"), 0o755)
	write(t, filepath.Join(kept, "evil"), evil, 0o755)
	around := releasetest.Dir(t)
	write(t, filepath.Join(around, "cavra-runtime"), fmt.Sprintf(`#!/bin/sh
cp '%[1]s/manifest' '%[2]s' && cp '%[1]s/binary' '%[3]s' && '%[4]s' "$@"
result=$?
cp '%[1]s/evil' '%[3]s'
exit $result
`, kept, manifest, binary, filepath.Join(tools, "cavra-runtime")), 0o755)
	for name, change := range map[string]func(){
		"before it is verified":           func() { write(t, manifest, swapped, 0o644) },
		"before it is verified, and more": func() { write(t, manifest, swapped, 0o644); write(t, binary, evil, 0o755) },
		"after it was verified":           func() {},
	} {
		write(t, manifest, string(right), 0o644)
		write(t, binary, program("v0.1.0"), 0o755)
		change()
		prefix := releasetest.Dir(t)
		install(t, "sh", []string{"PATH=" + around + ":" + env[0][len("PATH="):]}, nil, "--package", dir, "--prefix", prefix, "--key", key)
		if text, err := os.ReadFile(filepath.Join(prefix, "bin", "cavra-runtime")); err == nil && string(text) == evil {
			t.Errorf("changed %s, it installs what nobody signed", name)
		}
	}
}

// A runtime of the package itself is none to verify it with, whatever it says.
func TestInstallWithTheRuntimeOfThePackage(t *testing.T) {
	need(t, "openssl")
	dir, key := releasetest.Write(t, "v0.1.0", "#!/bin/sh\n: says that all is well\n")
	_, other := releasetest.Write(t, "v0.1.0", "")
	tools, linked := releasetest.Dir(t), releasetest.Dir(t)
	write(t, filepath.Join(tools, "openssl"), "#!/bin/sh\nexit 1\n", 0o755)
	bin := filepath.Dir(filepath.Join(dir, release.BinaryPath(runtime.GOOS, runtime.GOARCH)))
	if err := os.Symlink(filepath.Join(bin, "cavra-runtime"), filepath.Join(linked, "cavra-runtime")); err != nil {
		t.Fatal(err)
	}
	for name, path := range map[string]string{"in PATH": bin, "by a link": linked} {
		for _, key := range []string{key, other} {
			r := install(t, "sh", []string{"PATH=" + tools + ":" + path + ":" + os.Getenv("PATH")}, nil, "--package", dir, "--prefix", releasetest.Dir(t), "--key", key)
			if r.code != 1 || !strings.Contains(r.stderr, "lies in the package") {
				t.Errorf("%s: %+v", name, r)
			}
		}
	}
}

// Names that commands take for something else.
func TestInstallWithOddNames(t *testing.T) {
	need(t, "openssl")
	dir, key := releasetest.Write(t, "v0.1.0", program("v0.1.0"))
	text, err := os.ReadFile(key)
	if err != nil {
		t.Fatal(err)
	}
	here := releasetest.Dir(t)
	write(t, filepath.Join(here, "-", "-k"), string(text), 0o644)
	if err := os.Rename(dir, filepath.Join(here, "-", "-p")); err != nil {
		t.Fatal(err)
	}
	script, err := filepath.Abs("install.sh")
	if err != nil {
		t.Fatal(err)
	}
	odd := filepath.Join(releasetest.Dir(t), `a\nb`)
	if err := os.Mkdir(odd, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sh", script, "--key", "-k", "--package", "-p", "--prefix", "-")
	cmd.Dir = filepath.Join(here, "-")
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "OLDPWD=/", "TMPDIR=" + odd}
	if out, err := cmd.CombinedOutput(); err != nil || len(filesBelow(t, filepath.Join(here, "-", "-"))) != 5 {
		t.Errorf("%v: %s", err, out)
	}
	cmd = exec.Command("sh", script, "--key", "-/-k", "--package", "-/-p", "--prefix", "-/-prefix")
	cmd.Dir, cmd.Env = here, []string{"PATH=" + os.Getenv("PATH"), "OLDPWD=/"}
	if out, err := cmd.CombinedOutput(); err != nil || len(filesBelow(t, filepath.Join(here, "-", "-prefix"))) != 5 {
		t.Errorf("%v: %s", err, out)
	}
}

// Several keys in one file, as after a change of keys.
func TestInstallWithSeveralKeys(t *testing.T) {
	need(t, "openssl")
	dir, key := releasetest.Write(t, "v0.1.0", program("v0.1.0"))
	_, other := releasetest.Write(t, "v0.1.0", "")
	var both string
	for _, f := range []string{other, key} {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		both += string(text)
	}
	file := filepath.Join(releasetest.Dir(t), "both keys")
	write(t, file, both, 0o644)
	if r := install(t, "sh", nil, nil, "--key", file, "--package", dir, "--prefix", releasetest.Dir(t)); r.code != 0 {
		t.Errorf("got %+v", r)
	}
}

func TestTheScriptIsClean(t *testing.T) {
	if _, err := exec.LookPath("shellcheck"); err != nil {
		t.Skip("there is no shellcheck here")
	}
	if out, err := exec.Command("shellcheck", "install.sh").CombinedOutput(); err != nil {
		t.Errorf("%s", out)
	}
}
