package evidence

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"testing"
)

// The roles that the test binary plays when it runs itself.
const (
	roleLoad   = "load"   // appends until it is killed, and prints the id of what was recorded
	roleNotary = "notary" // is roleLoad with checkpoints: see notary_crash_test.go
	roleVerify = "verify" // verifies a log: see memory_linux_test.go
	roleStory  = "story"  // appends and rotates: see strace_linux_test.go
	roleLimit  = "limit"  // appends beyond the limit of a file's size: see crash_unix_test.go
)

func child(role string) int {
	switch role {
	case roleLoad:
		return childLoad(os.Args[1])
	case roleVerify:
		return childVerify(os.Args[1])
	case roleStory:
		return childStory(os.Args[1])
	case roleLimit:
		return childLimit(os.Args[1])
	case roleNotary:
		return childNotary(os.Args[1])
	}
	return 2
}

func childLoad(path string) int {
	o := signed
	o.RotateSize = 20 << 10 // about every 35 records
	l, err := Open(path, o)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	var mu sync.Mutex
	for range 8 {
		go func() {
			for {
				id := newRecordID()
				req, resp := exchange("load")
				if err := l.Append(id, req, resp); err != nil {
					fmt.Fprintln(os.Stderr, err)
					os.Exit(1)
				}
				mu.Lock()
				fmt.Println(id)
				mu.Unlock()
			}
		}()
	}
	select {}
}

func childVerify(path string) int {
	if r, err := VerifyFile(path, signed.verify()); err != nil || !r.Valid {
		fmt.Fprintln(os.Stderr, r, err)
		return 1
	}
	status, _ := os.ReadFile("/proc/self/status") // on Linux; nobody else reads it
	os.Stdout.Write(status)
	return 0
}

// childCommand runs the test binary in a role.
func childCommand(t testing.TB, role, path string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], path)
	cmd.Env = append(os.Environ(), childRole+"="+role)
	cmd.Stderr = os.Stderr
	return cmd
}

// Killed at any moment, the log holds all that was answered, and goes on.
func TestKilledUnderLoad(t *testing.T) {
	path := newPath(t)
	answered := map[string]bool{}
	rounds := 8
	if testing.Short() {
		rounds = 2
	}
	for round := range rounds {
		cmd := childCommand(t, roleLoad, path)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for n := 0; lines.Scan(); n++ {
			if n == 50+37*round {
				if err := cmd.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
			if len(lines.Text()) == recordIDLength {
				answered[lines.Text()] = true
			}
		}
		if err := cmd.Wait(); cmd.ProcessState.ExitCode() != -1 {
			t.Fatalf("the child was not killed: %v", err)
		}
		mustClose(t, open(t, path, signed))
		r := wantValid(t, path, signed.verify())
		if want := len(answered) / 50; len(r.Files) < want {
			t.Errorf("%d files for %d records, want %d or more", len(r.Files), r.Records, want)
		}
		wantRecords(t, path, answered)
	}
}

// wantRecords fails unless each id has a record in the log.
func wantRecords(t testing.TB, path string, ids map[string]bool) {
	t.Helper()
	found := map[string]bool{}
	files, err := Files(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		for _, line := range linesOf(t, file) {
			found[recordIDOf(line)] = true
		}
	}
	for id := range ids {
		if !found[id] {
			t.Fatalf("record %s was answered and is not in the log", id)
		}
	}
}
