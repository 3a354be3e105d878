package main

import (
	"os"
	"syscall"
)

// errNobodyReads is that of a write to a pipe that nobody reads any more.
var errNobodyReads error = syscall.EPIPE

// ignoreClosedOutput does nothing: there is no signal of a closed pipe.
func ignoreClosedOutput() {}

// terminalColumns knows no terminal: rows are not cut and have no colours.
func terminalColumns(*os.File) (columns int, is bool) { return 0, false }

// nobodyReads cannot be known before the next write.
func nobodyReads(*os.File) bool { return false }
