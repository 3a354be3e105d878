// Contractgen writes the Go types, codecs and service interface of the wire
// contract from its proto file, without protoc.
//
//	contractgen DIR          read DIR/enforcement.proto, write DIR/enforcement.gen.go
//	contractgen -check DIR   fail where the two differ, write nothing
//
// The same proto file gives the same bytes on every machine. What the
// generator does not know (a map, an enum, a message that holds itself) is an
// error with its line, so nothing is ever left out in silence.
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

const (
	protoName = "enforcement.proto"
	goName    = "enforcement.gen.go"
)

func main() {
	switch err := run(os.Args[1:], os.Stderr); {
	case errors.Is(err, errUsage):
		os.Exit(2)
	case err != nil:
		fmt.Fprintln(os.Stderr, "contractgen:", err)
		os.Exit(1)
	}
}

// errUsage says that the arguments were wrong; the usage is printed already.
var errUsage = errors.New("wrong arguments")

// run is main without the process around it.
func run(args []string, stderr io.Writer) error {
	flags := flag.NewFlagSet("contractgen", flag.ContinueOnError)
	flags.SetOutput(stderr)
	check := flags.Bool("check", false, "compare "+goName+" with the proto file, write nothing")
	flags.Usage = func() {
		fmt.Fprintln(stderr, "usage: contractgen [-check] DIR")
		flags.PrintDefaults()
	}
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return nil
	} else if err != nil {
		return errUsage
	}
	if flags.NArg() != 1 {
		flags.Usage()
		return errUsage
	}
	dir := flags.Arg(0)

	source, err := os.ReadFile(filepath.Join(dir, protoName))
	if err != nil {
		return err
	}
	c, err := parse(protoName, source)
	if err != nil {
		return err
	}
	want, err := generate(c)
	if err != nil {
		return err
	}
	out := filepath.Join(dir, goName)
	if !*check {
		return os.WriteFile(out, want, 0o644)
	}
	have, err := os.ReadFile(out)
	if err != nil {
		return err
	}
	if !bytes.Equal(have, want) {
		return fmt.Errorf("%s is not what %s gives: run `go generate` in its directory", out, protoName)
	}
	return nil
}
