//go:build !linux

package main

// hardenProcess does nothing where the system knows no non-dumpable process.
func hardenProcess() {}
