package main

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	enforcementv1 "github.com/Huzefaaa2/cavra/go/cavra-runtime/enforcement/v1"
)

// At a real terminal a decision is for reading, unless JSON is asked for.
func TestAtATerminal(t *testing.T) {
	ours, theirs := openTerminal(t)
	t.Setenv("NO_COLOR", "1")
	for _, test := range []struct {
		name string
		cli  cli
		want string
	}{
		{"text", cli{}, "allow  a.rule"},
		{"json", cli{JSON: true}, `"decision":"allow"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			if err := test.cli.print(&enforcementv1.DecisionResponse{Decision: "allow", RuleID: "a.rule"}, theirs); err != nil {
				t.Fatal(err)
			}
			b := make([]byte, 4096)
			n, err := ours.Read(b)
			if err != nil || !strings.Contains(string(b[:n]), test.want) {
				t.Errorf("the terminal shows %q (%v), want %q", b[:n], err, test.want)
			}
		})
	}
}

// openTerminal makes a pseudo-terminal and gives both its ends.
func openTerminal(t *testing.T) (ours, theirs *os.File) {
	t.Helper()
	ours, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skipf("this system has no pseudo-terminals: %v", err)
	}
	t.Cleanup(func() { ours.Close() })
	number, err := unix.IoctlGetInt(int(ours.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetPointerInt(int(ours.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	theirs, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { theirs.Close() })
	return ours, theirs
}
