package main

import (
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
)

// version is set by a release: -ldflags "-X main.version=v1.2.3".
var version string

// printVersion prints what was built from what, and with what.
func printVersion(stdout io.Writer) int {
	revision := ""
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				revision = " " + s.Value
			}
		}
	}
	fmt.Fprintf(stdout, "cavra-runtime %s%s %s %s/%s\n", versionName(), revision, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return exitOK
}

// versionName is the version, also where no release set it.
func versionName() string {
	if info, ok := debug.ReadBuildInfo(); ok && version == "" && info.Main.Version != "" {
		return info.Main.Version
	}
	if version == "" {
		return "(devel)"
	}
	return version
}
