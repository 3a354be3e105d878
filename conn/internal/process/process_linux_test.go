package process

import (
	"errors"
	"io/fs"
	"math"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

func TestParse(t *testing.T) {
	const rest = " 1 2 3 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 4711 0 0"
	for _, tc := range []struct {
		name, line string
		want       Info
		faulty     bool
	}{
		{"asleep", "7 (cavra) S" + rest, Info{Start: "4711"}, false},
		{"suspended", "7 (cavra) T" + rest, Info{Start: "4711", Suspended: true}, false},
		{"suspended by a debugger", "7 (cavra) t" + rest, Info{Start: "4711", Suspended: true}, false},
		{"ended", "7 (cavra) Z" + rest, Info{Start: "4711", Ended: true}, false},
		{"ended but for a thread", "7 (cavra) Z" + strings.Replace(rest, " 20 0 1 ", " 20 0 2 ", 1), Info{Start: "4711"}, false},
		{"a name that looks like fields", "7 (a) Z 1 2) S" + rest, Info{Start: "4711"}, false},
		{"cut off", "7 (cavra) S 1 2", Info{}, true},
		{"empty", "", Info{}, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := parse([]byte(tc.line))
			if got != tc.want || (err != nil) != tc.faulty {
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}
}

func TestLook(t *testing.T) {
	us, err := Look(os.Getpid())
	if err != nil || us.Start == "" || us.Suspended || us.Ended {
		t.Errorf("of ourselves: %+v, %v", us, err)
	}
	if _, err := Look(math.MaxInt32); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("of nobody: %v", err)
	}
	cmd := exec.Command("sleep", "60")
	if err := cmd.Start(); err != nil {
		t.Skipf("sleep cannot be run: %v", err)
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()
	if err := cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	var status syscall.WaitStatus
	if _, err := syscall.Wait4(cmd.Process.Pid, &status, syscall.WUNTRACED, nil); err != nil || !status.Stopped() {
		t.Fatalf("the child did not stop: %v, %v", status, err)
	}
	if child, err := Look(cmd.Process.Pid); err != nil || !child.Suspended {
		t.Errorf("of a suspended child: %+v, %v", child, err)
	}
}
