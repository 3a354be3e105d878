package main

import (
	"slices"

	"github.com/landlock-lsm/go-landlock/landlock"
	ll "github.com/landlock-lsm/go-landlock/landlock/syscall"
)

// confine keeps this process, for good, from writing anywhere but below the
// directories, and from running any program. Reading stays free, since links are
// looked at wherever a request points. It says what holds, for people; where the
// kernel has no Landlock that is nothing.
func confine(directories []string) (string, error) {
	const (
		read  = ll.AccessFSReadFile | ll.AccessFSReadDir
		write = ll.AccessFSWriteFile | ll.AccessFSTruncate | ll.AccessFSMakeReg | ll.AccessFSMakeSock | ll.AccessFSMakeDir | ll.AccessFSRemoveFile
	)
	version, err := ll.LandlockGetABIVersion()
	if err != nil || version < 1 {
		return "not confined: this kernel has no Landlock, or it is switched off", nil
	}
	directories = slices.Compact(slices.Sorted(slices.Values(directories)))
	rules := []landlock.Rule{
		landlock.PathAccess(read, "/"),
		landlock.PathAccess(read|write, directories...),
		landlock.PathAccess(ll.AccessFSWriteFile, "/dev/null").IgnoreIfMissing(),
	}
	if err := landlock.V7.BestEffort().RestrictPaths(rules...); err != nil {
		return "not confined", err
	}
	return "confined by Landlock: writes nowhere but where it keeps its files, runs nothing", nil
}
