//go:build unix

package conn

import (
	"bufio"
	"bytes"
	"io"
	"os/exec"
	"strings"
	"testing"
	"time"

	enforcementv1 "github.com/Huzefaaa2/cavra/go/cavra-runtime/enforcement/v1"
)

// netcat finds the nc that speaks to Unix sockets, as OpenBSD's does.
func netcat(t *testing.T) string {
	t.Helper()
	nc, err := exec.LookPath("nc")
	if err != nil {
		t.Skip("nc is not installed")
	}
	help, _ := exec.Command(nc, "-h").CombinedOutput()
	if !bytes.Contains(help, []byte("U")) || !bytes.Contains(help, []byte("OpenBSD")) {
		t.Skip("this nc is not OpenBSD's, whose -U and -N the test uses")
	}
	return nc
}

func TestNetcat(t *testing.T) {
	nc := netcat(t)
	for _, tc := range []struct {
		name, send, rule string
		flags            []string
	}{
		{"a line", good + "\n", "filesystem.read.allow", nil},
		{"no newline", good, "filesystem.read.allow", nil},
		{"ends its half", good, "filesystem.read.allow", []string{"-N"}},
		{"empty, ends its half", "", "request.invalid", []string{"-N"}},
		{"trailing garbage", good + "garbage", "request.invalid", nil},
		{"not JSON", "hello\n", "request.invalid", nil},
		{"8 MiB of not JSON", strings.Repeat("hello\n", 8<<20/6), "request.invalid", nil},
		{"8 MiB in one object", object(8 << 20), "request.too_large", nil},
		{"8 MiB behind the object", good + strings.Repeat(" ", 8<<20), "filesystem.read.allow", nil},
		{"cut off, ends its half", good[:10], "request.invalid", []string{"-N"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := start(t, nil)
			cmd := exec.Command(nc, append(tc.flags, "-U", d.path)...)
			cmd.Stdin = strings.NewReader(tc.send)
			out, err := cmd.Output()
			if err != nil {
				t.Errorf("nc: %v", err)
			}
			resp, bad := enforcementv1.DecodeResponse(out)
			if bad != nil || resp.RuleID != tc.rule {
				t.Errorf("nc printed %q, want rule %s", out, tc.rule)
			}
		})
	}
}

// A person at a terminal: nc's input stays open.
func TestNetcatThatKeepsItsInputOpen(t *testing.T) {
	d := start(t, func(d *daemon) { d.DrainTimeout = time.Minute })
	cmd := exec.Command(netcat(t), "-U", d.path)
	in, err := cmd.StdinPipe()
	must(t, err)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	io.WriteString(in, good+"\n")
	line, err := bufio.NewReader(out).ReadBytes('\n')
	must(t, err)
	if resp, err := enforcementv1.DecodeResponse(line); err != nil || resp.Decision != "allow" {
		t.Errorf("nc printed %q: %v", line, err)
	}
	io.WriteString(in, "and something more\n")
	in.Close()
	if err := cmd.Wait(); err != nil {
		t.Errorf("nc: %v", err)
	}
}
