//go:build !windows

package main

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// completionFile holds the completions of a shell; the test is skipped where it is
// not installed.
func completionFile(t *testing.T, shell string) (program, file string) {
	t.Helper()
	var out, errs bytes.Buffer
	if code := run([]string{"--completion", shell}, nil, &out, &errs); code != exitOK {
		t.Fatalf("ended with %d: %s", code, &errs)
	}
	program, err := exec.LookPath(shell)
	if err != nil {
		t.Skipf("%s is not installed, so its completions are not tried", shell)
	}
	file = filepath.Join(t.TempDir(), "completion")
	if err := os.WriteFile(file, out.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return program, file
}

// Bash itself completes each line, in a directory that holds a file.
func TestBashCompletion(t *testing.T) {
	bash, file := completionFile(t, "bash")
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a policy.json"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name  string
		words []string // the last is under the cursor
		want  []string
	}{
		{"a flag", []string{"--verify-e"}, []string{"--verify-evidence"}},
		{"flags", []string{"--evidence-s"}, []string{"--evidence-signing-key", "--evidence-signing-key-id", "--evidence-sync"}},
		{"the flag after a switch", []string{"--quiet", "--js"}, []string{"--json"}},
		{"a value", []string{"--lifecycle", "sta"}, []string{"start", "status"}},
		{"a value behind =", []string{"--expect-decision", "=", "b"}, []string{"block"}},
		{"nothing behind = yet", []string{"--runner-auth-version", "="}, []string{"v1", "v2"}},
		{"a file", []string{"--policy", "a"}, []string{"a policy.json"}},
		{"a value that nobody can know", []string{"--runner-auth-key", ""}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			script := `source "$1"; shift; COMP_WORDS=(cavra-runtime "$@"); COMP_CWORD=$#; _cavra_runtime; printf '%s\n' "${COMPREPLY[@]}"`
			cmd := exec.Command(bash, append([]string{"--norc", "-c", script, "bash", file}, test.words...)...)
			cmd.Dir = dir
			out, err := cmd.CombinedOutput()
			got := slices.DeleteFunc(strings.Split(string(out), "\n"), func(s string) bool { return s == "" })
			slices.Sort(got)
			if err != nil || !slices.Equal(got, test.want) {
				t.Errorf("%q, %v; want %q", got, err, test.want)
			}
		})
	}
}

func TestZshCompletionIsRead(t *testing.T) {
	zsh, file := completionFile(t, "zsh")
	if out, err := exec.Command(zsh, "-f", "-n", file).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("%v: %s", err, out)
	}
}

func TestFishCompletion(t *testing.T) {
	fish, file := completionFile(t, "fish")
	out, err := exec.Command(fish, "--no-config", "-c", `source $argv[1]; complete -C "cavra-runtime --lifecycle sta"`, file).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "start") || !strings.Contains(string(out), "status") {
		t.Errorf("%v: %s", err, out)
	}
}

// Every flag is in what is made of them, and no quote in a help text ends another.
func TestEveryFlagIsCompletedAndInTheManual(t *testing.T) {
	flags := newParser(&cli{}).Model.Flags
	for _, args := range [][]string{{"--completion", "bash"}, {"--completion", "zsh"}, {"--completion", "fish"}, {"--man"}} {
		var out bytes.Buffer
		if code := run(args, nil, &out, io.Discard); code != exitOK {
			t.Fatalf("%q ends with %d", args, code)
		}
		text := strings.ReplaceAll(out.String(), `\-`, "-")
		for _, f := range flags {
			want := f.Name
			if args[len(args)-1] != "fish" {
				want = "--" + f.Name
			}
			if f.Name != "help" && !strings.Contains(text, want) {
				t.Errorf("%q does not hold %s", args, want)
			}
		}
	}
}

// What is offered as a value is accepted, and every flag that offers some exists.
func TestChoicesAreAccepted(t *testing.T) {
	offered := 0
	for _, f := range newParser(&cli{}).Model.Flags {
		for _, value := range choices(f.Name) {
			offered++
			var errs bytes.Buffer
			if _, _, done := parse([]string{"--" + f.Name, value}, io.Discard, &errs); done {
				t.Errorf("--%s %s is refused: %s", f.Name, value, &errs)
			}
		}
	}
	if offered < 20 {
		t.Errorf("%d values are offered: the test looks in the wrong place", offered)
	}
}

// A formatter reads the manual page without a complaint.
func TestManualPage(t *testing.T) {
	var page bytes.Buffer
	if code := run([]string{"--man"}, nil, &page, io.Discard); code != exitOK {
		t.Fatalf("ended with %d", code)
	}
	groff, err := exec.LookPath("groff")
	if err != nil {
		t.Skip("groff is not installed, so the page is not formatted")
	}
	cmd := exec.Command(groff, "-man", "-Tascii", "-ww", "-z")
	cmd.Stdin = &page
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("%v: %s", err, out)
	}
}
