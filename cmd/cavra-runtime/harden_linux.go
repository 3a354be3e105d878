package main

import "golang.org/x/sys/unix"

// hardenProcess makes the process non-dumpable: no other process of the same
// user can read its memory, its environment or its core.
func hardenProcess() {
	// It cannot fail with these arguments, and a daemon that runs is worth more
	// than one that ends here.
	_ = unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0)
}
