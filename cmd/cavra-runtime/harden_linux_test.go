package main

import (
	"testing"

	"golang.org/x/sys/unix"
)

func TestTheProcessCannotBeDumped(t *testing.T) {
	hardenProcess()
	if dumpable, err := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0); err != nil || dumpable != 0 {
		t.Errorf("PR_GET_DUMPABLE says %d, %v", dumpable, err)
	}
}
