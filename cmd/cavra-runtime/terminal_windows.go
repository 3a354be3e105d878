package main

import (
	"os"
	"syscall"
)

// errNobodyReads is that of a write to a pipe that nobody reads any more.
var errNobodyReads error = syscall.EPIPE

// ignoreClosedOutput does nothing: there is no signal of a closed pipe.
func ignoreClosedOutput() {}

// terminalColumns takes every device of characters for a terminal, of a width that
// is not known.
func terminalColumns(f *os.File) (columns int, is bool) {
	info, err := f.Stat()
	return 0, err == nil && info.Mode()&os.ModeCharDevice != 0
}

// nobodyReads cannot be known before the next write.
func nobodyReads(*os.File) bool { return false }
