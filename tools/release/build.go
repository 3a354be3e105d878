package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// A target is what a binary is built for.
type target struct{ os, arch string }

// targets are all that a release holds, in the order of its files.
var targets = []target{
	{"linux", "amd64"}, {"linux", "arm64"},
	{"darwin", "amd64"}, {"darwin", "arm64"},
	{"windows", "amd64"}, {"windows", "arm64"},
}

// runner is the target that the bundles of CI runners hold: no release is without it.
var runner = targets[0]

// host is what this program runs on.
var host = target{runtime.GOOS, runtime.GOARCH}

func (t target) String() string { return t.os + "/" + t.arch }

// binary is the path of the target's binary in the package.
func (t target) binary() string { return "bin/" + t.os + "-" + t.arch + "/" + t.program() }

// program is the name of the target's binary.
func (t target) program() string {
	if t.os == "windows" {
		return "cavra-runtime.exe"
	}
	return "cavra-runtime"
}

// parseTargets reads a list such as linux/amd64,darwin/arm64; empty means all.
func parseTargets(list string) ([]target, error) {
	if list == "" {
		return targets, nil
	}
	wanted := strings.Split(list, ",")
	var found []target
	for _, t := range targets {
		if i := slices.Index(wanted, t.String()); i >= 0 {
			found, wanted = append(found, t), slices.Delete(wanted, i, i+1)
		}
	}
	if len(wanted) > 0 {
		return nil, fmt.Errorf("--targets holds %.40q, which is none of %v, or is there twice", wanted[0], targets)
	}
	if !slices.Contains(found, runner) {
		return nil, fmt.Errorf("--targets lacks %v, which the bundles of CI runners hold", runner)
	}
	return found, nil
}

// A build builds the runtime of one source tree.
type build struct {
	root    string // of the tree
	cache   string // Go's build cache; empty for the usual one
	version string
	commit  string
}

// ldflags are what the binaries are linked with.
func (b build) ldflags() string {
	return "-s -w -X main.version=" + b.version + " -X main.commit=" + b.commit
}

// finding are the settings of Go that find the toolchain and the modules, and change no
// byte of a binary.
var finding = []string{"GOTOOLCHAIN", "GOMODCACHE", "GOCACHE", "GOPROXY", "GONOPROXY", "GOPRIVATE", "GOSUMDB", "GONOSUMDB", "GOINSECURE", "GOVCS", "GOAUTH"}

// environment is the caller's, with the settings for finding that go env -w wrote to a
// file. The others of that file are left out, since an empty variable would not hide them.
func (b build) environment(ctx context.Context) ([]string, error) {
	cmd := exec.CommandContext(ctx, "go", append([]string{"env"}, finding...)...)
	cmd.Dir = b.root
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go env: %w%s", err, saidBy(err))
	}
	all := append(os.Environ(), "GOENV=off")
	for i, value := range strings.Split(strings.TrimSuffix(string(out), "\n"), "\n") {
		all = append(all, finding[i]+"="+value)
	}
	return all, nil
}

// goCommand is a go command in the tree. Nothing of the caller's environment that
// could change a binary's bytes gets through: what is left of it finds the toolchain
// and the modules.
func (b build) goCommand(ctx context.Context, args ...string) (*exec.Cmd, error) {
	environment, err := b.environment(ctx)
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = b.root
	cmd.Env = append(environment, "CGO_ENABLED=0", "GOAMD64=v1", "GOARM64=v8.0",
		"GOFLAGS=-mod=readonly", "GOEXPERIMENT=", "GODEBUG=", "GOFIPS140=off", "GOWORK=off")
	if b.cache != "" {
		cmd.Env = append(cmd.Env, "GOCACHE="+b.cache, "GOCACHEPROG=") // no other cache either
	}
	return cmd, nil
}

// binary builds the target's binary to the path to.
func (b build) binary(ctx context.Context, t target, to string) error {
	cmd, err := b.goCommand(ctx, "build", "-trimpath", "-buildvcs=false", "-ldflags", b.ldflags(), "-o", to, "./cmd/cavra-runtime")
	if err != nil {
		return err
	}
	cmd.Env = append(cmd.Env, "GOOS="+t.os, "GOARCH="+t.arch)
	var said bytes.Buffer
	cmd.Stderr = &said
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("go build for %v: %w\n%s", t, err, strings.TrimSpace(said.String()))
	}
	return nil
}

// reproduces builds the targets again and compares: from the tree at another path
// and with an empty cache, so that whatever the bytes owe to this machine's
// directories, to what was compiled before, or to files that git does not hold,
// shows. built names the first binary of a target.
func reproduces(ctx context.Context, s source, b build, again []target, built func(target) string) error {
	work, err := os.MkdirTemp("", "cavra-release-again-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	b.root, b.cache = filepath.Join(work, "a", "tree", "elsewhere"), filepath.Join(work, "cache")
	if err := os.MkdirAll(b.root, 0o755); err != nil {
		return err
	}
	if err := s.export(ctx, b.root); err != nil {
		return err
	}
	for _, t := range again {
		second := filepath.Join(work, t.program())
		if err := b.binary(ctx, t, second); err != nil {
			return err
		}
		if err := sameFile(built(t), second); err != nil {
			return fmt.Errorf("the binary for %v is not reproducible: %w", t, err)
		}
	}
	return nil
}

// sameFile says where two files differ; nil means that they do not.
func sameFile(first, second string) error {
	a, err := os.ReadFile(first)
	if err != nil {
		return err
	}
	b, err := os.ReadFile(second)
	if err != nil {
		return err
	}
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return fmt.Errorf("the second build differs from the first at byte %d", i)
		}
	}
	if len(a) != len(b) {
		return fmt.Errorf("the second build has %d bytes and the first %d", len(b), len(a))
	}
	return nil
}

// printedBy is what a binary prints with the arguments.
func printedBy(ctx context.Context, binary string, args ...string) ([]byte, error) {
	out, err := exec.CommandContext(ctx, binary, args...).Output()
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w%s", filepath.Base(binary), strings.Join(args, " "), err, saidBy(err))
	}
	return out, nil
}
