package main

import (
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
)

// A release sets both, since it is built without the version control's stamp, which
// differs from clone to clone: -ldflags "-X main.version=v1.2.3 -X main.commit=HASH".
var version, commit string

// printVersion prints what was built from what, and with what.
func printVersion(stdout io.Writer) int {
	fmt.Fprintf(stdout, "cavra-runtime %s %s %s/%s\n", buildVersion(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return exitOK
}

// buildVersion is the version that this program was built as and, where it is
// known, the revision it was built from.
func buildVersion() string {
	v, revision := version, commit
	if info, ok := debug.ReadBuildInfo(); ok {
		if v == "" {
			v = info.Main.Version
		}
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" && revision == "" {
				revision = s.Value
			}
		}
	}
	if v == "" {
		v = "(devel)"
	}
	if revision != "" {
		v += " " + revision
	}
	return v
}
