//go:build linux

package main

import (
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"testing"
)

// A client is a process for each question, so what our packages make before main
// is little: no expression is compiled and no page written that nobody asked for.
func TestLittleIsMadeBeforeMain(t *testing.T) {
	cmd := exec.Command("cavra-runtime", "--version")
	cmd.Env = append(os.Environ(), "GODEBUG=inittrace=1")
	trace, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, trace)
	}
	line := regexp.MustCompile(`(?m)^init github\.com/Huzefaaa2/cavra/go/cavra-runtime/(stages/\S+|pipeline|document|conn\S*|enforcement/v1|jwt|keys|metrics) .* (\d+) allocs$`)
	packages, allocs := 0, 0
	for _, m := range line.FindAllSubmatch(trace, -1) {
		n, _ := strconv.Atoi(string(m[2]))
		packages, allocs = packages+1, allocs+n
		if n > 250 { // one expression takes more
			t.Errorf("package %s allocates %d times before main; make it when it is first needed", m[1], n)
		}
	}
	if packages < 3 {
		t.Fatalf("%d packages of ours were found: the test looks in the wrong place\n%s", packages, trace)
	}
	t.Logf("%d packages, %d allocations", packages, allocs)
}
