package evidence

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// childStory opens a log, appends, rotates, and prints the id of what was
// answered. What fails on the way is for the parent to look at. strace counts
// the calls of each thread, so all are made by one: by write, which does for one
// record what the log's goroutine does for many.
func childStory(path string) int {
	runtime.LockOSThread()
	l, err := Open(path, signed)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	for i := range 3 {
		req, resp := exchange("x")
		e := &entry{eventType: EventDecision, recordID: newRecordID(), body: appendBody(nil, req, resp)}
		if l.write(e) == nil {
			fmt.Println(e.recordID)
		}
		if i == 1 {
			_ = l.Rotate()
		}
	}
	_ = l.Close()
	return 0
}

// Each system call of a writer that changes something fails in turn, and kills
// the writer in turn, with the kernel as the one who does it. Then the log is
// started and verified, and holds what was answered.
func TestEverySystemCallFails(t *testing.T) {
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Skip("strace is not installed")
	}
	if testing.Short() || raceEnabled {
		t.Skip("some hundred runs of a child: not with -short, nor under the race detector")
	}
	if out, err := exec.Command(strace, "-f", "-o", "/dev/null", "true").CombinedOutput(); err != nil {
		t.Skipf("strace may not trace here: %v: %s", err, out)
	}
	for _, call := range []string{"write", "fdatasync", "fsync", "ftruncate", "linkat", "renameat", "unlinkat", "mkdirat"} {
		for _, how := range []string{"error=EIO", "signal=KILL"} {
			t.Run(call+" "+how, func(t *testing.T) {
				t.Parallel()
				met := 0
				for n := 1; ; n++ {
					path := newPath(t)
					answered, injected := underStrace(t, strace, path, fmt.Sprintf("inject=%s:%s:when=%d", call, how, n))
					if !injected {
						break
					}
					met++
					l, err := Open(path, signed)
					if err != nil {
						t.Fatalf("after %s number %d: %v", call, n, err)
					}
					add(t, l, "after")
					must(t, l.Rotate())
					mustClose(t, l)
					wantValid(t, path, signed.verify())
					wantRecords(t, path, answered)
				}
				least := map[string]int{"write": 6, "fdatasync": 5, "fsync": 5, "linkat": 1, "renameat": 1, "mkdirat": 1, "ftruncate": 1, "unlinkat": 2}[call]
				if met < least {
					t.Errorf("%s was met %d times, want %d or more", call, met, least)
				}
			})
		}
	}
}

// underStrace runs the child's story over a log whose last line was cut short,
// and reports whether the call was met. Only calls that touch the log's files
// are counted.
func underStrace(t *testing.T, strace, path, inject string) (answered map[string]bool, injected bool) {
	t.Helper()
	files := []string{filepath.Dir(path), filepath.Dir(filepath.Dir(path)), path, nextName(path), rotatedName(path, 1)}
	if !strings.Contains(inject, "mkdirat") { // there the directory is to be made
		l := open(t, path, signed)
		add(t, l, "before")
		mustClose(t, l)
		files = append(files, fmt.Sprintf("%s.torn-2-%s", path, hashIn(read(t, path))[:8]))
		write(t, path, append(read(t, path), `{"torn`...))
	}
	trace := filepath.Join(t.TempDir(), "trace")
	args := []string{"-f", "-qq", "-o", trace, "-e", "trace=" + strings.SplitN(strings.TrimPrefix(inject, "inject="), ":", 2)[0], "-e", inject}
	for _, name := range files {
		args = append(args, "-P", name)
	}
	cmd := childCommand(t, roleStory, path)
	cmd.Args = append(append([]string{strace}, args...), cmd.Args...)
	cmd.Path = strace
	cmd.Stderr = nil // the child says why it could not go on, as it should
	out, err := cmd.Output()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	answered = map[string]bool{}
	for _, id := range strings.Fields(string(out)) {
		if len(id) == recordIDLength {
			answered[id] = true
		}
	}
	if strings.Contains(inject, "KILL") {
		return answered, !cmd.ProcessState.Success()
	}
	return answered, bytes.Contains(read(t, trace), []byte("(INJECTED)"))
}
