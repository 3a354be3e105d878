package main

import (
	"fmt"
	"io"
	"reflect"
	"strings"

	"github.com/alecthomas/kong"
)

// printMan prints the manual page, in the language of man(7).
func printMan(stdout, stderr io.Writer) int {
	return printed(stdout, stderr, func(w io.Writer) { manPage(w, newParser(&cli{}).Model.Flags) })
}

func manPage(w io.Writer, flags []*kong.Flag) {
	fmt.Fprint(w, `.TH CAVRA-RUNTIME 1 "" cavra-runtime "User Commands"
.SH NAME
cavra-runtime \- decides before an agent or a CI runner acts, and records the decision
.SH SYNOPSIS
.B cavra-runtime
.RI [ flags ]
.SH DESCRIPTION
`)
	for i, paragraph := range strings.Split(description, "\n") {
		if paragraph != "" && i > 0 {
			fmt.Fprintf(w, "%s\n.PP\n", roff(paragraph))
		}
	}
	fmt.Fprint(w, `Other clients than this one write one JSON object to the socket and read one.
No answer is a block.
`)
	for _, g := range flagGroups(flags) {
		fmt.Fprintf(w, ".SH %s\n", strings.ToUpper(roff(g.title)))
		for _, f := range g.flags {
			fmt.Fprintf(w, ".TP\n.B %s", roff("--"+f.Name))
			if takesValue(f) {
				fmt.Fprintf(w, "=%s", roff(f.PlaceHolder))
			}
			fmt.Fprintf(w, "\n%s\n", roff(strings.TrimSuffix(f.Help, ".")+"."))
			if f.HasDefault {
				fmt.Fprintf(w, "Default: %s\n", roff(f.Default))
			}
			for _, v := range f.Envs {
				fmt.Fprintf(w, ".br\nVariable: %s\n", roff(v))
			}
		}
	}
	fmt.Fprint(w, ".SH EXIT STATUS\n")
	for _, e := range exitCodes {
		fmt.Fprintf(w, ".TP\n.B %d\n%s\n", e.code, roff(e.meaning))
	}
	fmt.Fprint(w, `.SH SIGNALS
`)
	for _, s := range signals {
		fmt.Fprintf(w, ".TP\n.B %s\n%s\n", s.name, roff(s.meaning))
	}
	fmt.Fprint(w, `.SH FILES
.TP
.B .cavra/cavra\-runtime.sock
The socket, below the directory that the daemon is started in. Its lock, control socket, pid file and log stand beside it.
.SH SEE ALSO
docs/operations.md, docs/configuration.md
`)
}

// exitCodes say what the codes of the program mean.
var exitCodes = [...]struct {
	code    int
	meaning string
}{
	{exitOK, "Done; where a request is judged, whatever the decision, unless an expected one was named."},
	{exitFailed, "There is no decision, or another than was expected; the log or the package is not valid; the configuration is faulty; the daemon did not start or stop; a check of --readiness failed."},
	{exitUsage, "The command line is wrong."},
	{exitWriting, "--verify-evidence: the log is valid so far, and a writer is at work on its last line."},
}

// signals say what a daemon does when it is sent one.
var signals = [...]struct{ name, meaning string }{
	{"SIGTERM, SIGINT", "Accept nobody else, answer whom was accepted, make the evidence durable, remove the socket and the pid file, and end with 0. A client gives its question up."},
	{"SIGHUP", "Open the log file anew, and read the configuration, the policy, the registry and the keys again. Where anything of it is faulty all stays as it was."},
	{"SIGUSR1", "Close the evidence log under a number and begin another file. Not on Windows."},
	{"SIGPIPE", "Nothing: a daemon outlives the pipe that its log goes to."},
}

// A flagGroup is flags that belong together, in the order of the declaration.
type flagGroup struct {
	title string
	flags []*kong.Flag
}

// flagGroups are the flags without --help, those of no group last.
func flagGroups(flags []*kong.Flag) (groups []flagGroup) {
	rest := flagGroup{title: "Options"}
	for _, f := range flags {
		if f.Name == "help" {
			continue
		}
		if f.Group == nil {
			rest.flags = append(rest.flags, f)
			continue
		}
		i := 0
		for i < len(groups) && groups[i].title != f.Group.Title {
			i++
		}
		if i == len(groups) {
			groups = append(groups, flagGroup{title: f.Group.Title})
		}
		groups[i].flags = append(groups[i].flags, f)
	}
	return append(groups, rest)
}

// takesValue reports whether a value follows a flag.
func takesValue(f *kong.Flag) bool { return f.Target.Kind() != reflect.Bool }

// roff is text that man(7) takes for nothing but text.
func roff(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(text)
	if strings.HasPrefix(text, ".") || strings.HasPrefix(text, "'") {
		text = `\&` + text
	}
	return text
}
