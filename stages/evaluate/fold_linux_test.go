package evaluate

import (
	"bytes"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/Huzefaaa2/cavra/go/cavra-runtime/pipeline"
)

// foldingFiles are what the file systems of these tests hold; those that end with
// a slash are directories.
var foldingFiles = []string{".env", "main.go", "Secrets/", "Secrets/token", "etc/", "etc/hmac.key", "empty/"}

// checkFolding asks about files of a file system that folds at dir.
func checkFolding(t *testing.T, dir string) {
	if _, err := os.Lstat(filepath.Join(dir, "SECRETS", "Token")); err != nil {
		t.Fatal("it does not fold: ", err)
	}
	s := withPolicy(t, foldingPolicy, pipeline.Env{Workspace: dir, Files: []pipeline.File{
		{Path: filepath.Join(dir, "etc", "hmac.key"), Secret: true}, {Path: filepath.Join(dir, "etc", "new", "log.jsonl")},
	}})
	for _, tt := range []struct{ action, target, want string }{
		{"read_file", ".env", "block"},
		{"read_file", ".ENV", "block"},
		{"read_file", dir + "/x/../.Env", "block"},
		{"read_file", "secrets/token", "block"},
		{"read_file", "SECRETS/none", "block"},
		{"read_file", "main.go", "allow"},
		{"read_file", "MAIN.GO", "allow"},
		{"write_file", "Secrets/.ENV", "block"},
		{"write_file", "new/new/.ENV", "block"},
		{"write_file", "MAIN.TF", "require_approval"},
		{"write_file", "empty/.ENV", "block"},
		{"write_file", "README.md", "allow"},
		{"execute_command", "cat .ENV", "block"},
		{"execute_command", "echo x > secrets/.Env", "block"},
		{"execute_command", "cp -r secrets x", "block"},
		{"execute_command", "cat MAIN.go", "allow"},
		{"read_file", "ETC/HMAC.KEY", "block"},
		{"write_file", "etc/New/LOG.jsonl", "block"},
		{"execute_command", "wc -c " + dir + "/etc/HMAC.key", "block"},
	} {
		t.Run(tt.action+" "+strings.ReplaceAll(tt.target, "/", " "), func(t *testing.T) {
			if d := ask(t, s, &request{ActionType: tt.action, Target: tt.target}); d.Decision != tt.want {
				t.Errorf("%s by %s, want %s: %s", d.Decision, d.RuleID, tt.want, d.Reason)
			}
		})
	}
}

// Here the kernel folds, and each directory says whether it does.
func TestADirectoryThatFolds(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "casefold"); err != nil {
		t.Skip("no tmpfs that folds can be mounted here, which takes root and a kernel with CONFIG_UNICODE: ", err)
	}
	defer func() { _ = unix.Unmount(dir, unix.MNT_DETACH) }()
	dir = filepath.Join(dir, "ws")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("chattr", "+F", dir).CombinedOutput(); err != nil {
		t.Skipf("chattr +F: %v: %s", err, out)
	}
	for _, name := range foldingFiles {
		if strings.HasSuffix(name, "/") {
			makeDir(t, dir, name)
		} else if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	checkFolding(t, dir)
}

// Here a program serves the file system, as it does for the disks of other systems,
// and no flag tells that it folds: only its names do.
func TestAServedFileSystemThatFolds(t *testing.T) {
	dir, end := mountServed(t, serveFolding)
	defer end()
	checkFolding(t, dir)
}

// What is no directory is not opened to be asked: a pipe would never be open.
func TestAPipeIsNotAsked(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := unix.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	if folds, err := foldsIn(pipe + "/.env"); folds || err != nil {
		t.Errorf("%v, %v", folds, err)
	}
}

// An empty directory whose file system has no flags tells nothing, and so nothing
// of it is allowed that a rule names in another case.
func TestADirectoryThatDoesNotTell(t *testing.T) {
	dir, end := mountServed(t, func(opcode uint32, node uint64, in []byte) ([]byte, bool) {
		if opcode == 28 { // to list it
			return make([]byte, 4), true
		}
		return serveFolding(opcode, node, in)
	})
	defer end()
	s := withPolicy(t, foldingPolicy, pipeline.Env{Workspace: dir})
	writeIsUnresolved.check(t, ask(t, s, &request{ActionType: "write_file", Target: "new/.ENV"}))
	writeIsBlocked.check(t, ask(t, s, &request{ActionType: "write_file", Target: "new/.env"}))
	writeIsAllowed.check(t, ask(t, s, &request{ActionType: "write_file", Target: "new/README.md"}))
	if folds, _ := foldsIn(dir + "/new"); folds {
		t.Error("it is told")
	}
}

// serveFolding answers for a file system that holds foldingFiles. A file is node
// 2 + its place among them, the root is node 1.
func serveFolding(opcode uint32, node uint64, in []byte) ([]byte, bool) {
	const (
		lookup, forget, getattr, opendir, readdir, releasedir, batchForget = 1, 2, 3, 27, 28, 29, 42

		headerSize = 4 // the error alone
	)
	var (
		u32 = binary.NativeEndian.AppendUint32
		u64 = binary.NativeEndian.AppendUint64
		ok  = make([]byte, headerSize)
	)
	fail := func(errno unix.Errno) ([]byte, bool) { return u32(nil, uint32(-int32(errno))), true }
	attributes := func(out []byte, node uint64) []byte {
		mode := uint32(unix.S_IFREG | 0o600)
		if node == 1 || strings.HasSuffix(foldingFiles[node-2], "/") {
			mode = unix.S_IFDIR | 0o700
		}
		out = append(u64(out, node), make([]byte, 5*8+3*4)...) // size, blocks and times
		return append(u32(u32(out, mode), 1), make([]byte, 5*4)...)
	}
	below := "" // the directory
	if node > 1 {
		below = foldingFiles[node-2]
	}
	// in gives the name that a file has in the directory.
	inDirectory := func(file string) (string, bool) {
		rest, found := strings.CutPrefix(strings.TrimSuffix(file, "/"), below)
		return rest, found && rest != "" && !strings.Contains(rest, "/")
	}
	switch opcode {
	case forget, batchForget:
		return nil, false
	case lookup:
		asked := string(bytes.TrimRight(in, "\x00"))
		for i, file := range foldingFiles {
			if name, here := inDirectory(file); here && strings.EqualFold(name, asked) {
				out := append(u64(ok, uint64(i+2)), make([]byte, 8+8+8+4+4)...) // nothing is kept
				return attributes(out, uint64(i+2)), true
			}
		}
		return fail(unix.ENOENT)
	case getattr:
		return attributes(append(ok, make([]byte, 16)...), node), true
	case opendir:
		return append(ok, make([]byte, 16)...), true
	case releasedir:
		return ok, true
	case readdir:
		from := binary.NativeEndian.Uint64(in[8:])
		out := ok
		for i, file := range foldingFiles {
			name, here := inDirectory(file)
			if !here || uint64(i) < from {
				continue
			}
			out = u32(u32(u64(u64(out, uint64(i+2)), uint64(i+1)), uint32(len(name))), 0)
			out = append(out, name...)
			out = append(out, make([]byte, (8-len(name)%8)%8)...)
		}
		return out, true
	}
	return fail(unix.ENOSYS)
}
