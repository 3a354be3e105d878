// Command release makes the release package of cavra-runtime: binaries for every
// system, what a CI runner needs beside them, a bill of materials, the provenance,
// and one signature over all of it. docs/releasing.md is its guide, and package
// release the format.
//
// It promises:
//
//   - The same commit, version, key and version of Go give the same bytes, whoever
//     runs it, wherever and whenever.
//   - Binaries are built a second time and compared, from another path, with an
//     empty cache and from what the commit holds: one of them, or all on request.
//   - What it leaves behind was verified as its readers will; a run that fails
//     leaves nothing.
//   - The key is in no message and in no file, and no program that it starts gets it.
package main

import (
	"context"
	"crypto/ed25519"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/mod/semver"

	"github.com/Huzefaaa2/cavra/go/cavra-runtime/release"
	"github.com/Huzefaaa2/cavra/go/cavra-runtime/stages/evidence/checkpoint"
)

// Variables that stand for flags.
const (
	keyVariable   = "CAVRA_RELEASE_SIGNING_KEY"
	keyIDVariable = "CAVRA_RELEASE_KEY_ID"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	switch {
	case errors.Is(err, errUsage):
		os.Exit(2)
	case err != nil:
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

// errUsage says that the arguments were wrong; the usage is printed already.
var errUsage = errors.New("wrong arguments")

// options are the command line.
type options struct {
	version    string
	out        string
	root       string
	targets    string
	commit     string
	keyFile    string
	keyID      string
	unsigned   bool
	allowDirty bool
	once       bool // build nothing twice
	everything bool // build every target twice, not only the first
}

// run is main without the process around it.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var o options
	flags := flag.NewFlagSet("release", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&o.version, "version", "", "`VERSION` of the release, such as v1.2.3")
	flags.StringVar(&o.out, "out", "", "`DIR` that the package is written to, and its archive")
	flags.StringVar(&o.root, "source", "..", "`DIR` of the sources")
	flags.StringVar(&o.targets, "targets", "", "`LIST` such as linux/amd64,darwin/arm64 (default: all)")
	flags.StringVar(&o.commit, "commit", "", "`HASH` of the commit, for sources without git; SOURCE_DATE_EPOCH is then its time")
	flags.StringVar(&o.keyFile, "key", "", "`FILE` of the Ed25519 private key in PEM (default: the PEM in $"+keyVariable+")")
	flags.StringVar(&o.keyID, "key-id", os.Getenv(keyIDVariable), "`ID` that the key must have, so that no other one signs (default: $"+keyIDVariable+")")
	flags.BoolVar(&o.unsigned, "unsigned", false, "sign nothing; nobody can verify such a package")
	flags.BoolVar(&o.allowDirty, "allow-dirty", false, "take changes that are not committed; the version then ends in dirty")
	flags.BoolVar(&o.once, "once", false, "build nothing twice, to try something out quickly")
	flags.BoolVar(&o.everything, "verify-reproducible", false, "build every target twice, and not only the first")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return nil
	case err != nil:
		return errUsage
	case o.once && o.everything:
		fmt.Fprintln(stderr, "release: --once and --verify-reproducible exclude each other")
		return errUsage
	case flags.NArg() > 0 || o.version == "" || o.out == "":
		fmt.Fprintln(stderr, "release: --version and --out are needed, and nothing beside flags")
		flags.Usage()
		return errUsage
	}
	return o.release(ctx, stdout, stderr)
}

// release makes the package.
func (o options) release(ctx context.Context, stdout, stderr io.Writer) error {
	key, err := o.key()
	if err != nil {
		return err
	}
	wanted, err := parseTargets(o.targets)
	if err != nil {
		return err
	}
	root, err := filepath.Abs(o.root)
	if err != nil {
		return err
	}
	out, err := filepath.Abs(o.out)
	if err != nil {
		return err
	}
	s, err := readSource(ctx, root, o.commit, o.version)
	if err != nil {
		return err
	}
	version, err := o.name(s.dirty)
	if err != nil {
		return err
	}
	p := packager{
		source: s, build: build{root: root, version: version, commit: s.commit}, targets: wanted,
		key: key, out: out, progress: stderr,
	}
	switch {
	case o.everything:
		p.again = wanted
	case !o.once:
		p.again = wanted[:1]
	}
	made, err := p.run(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(stdout, "package  %s\narchive  %s.tar.gz\nversion  %s\ncommit   %s\n", made, made, version, s.commit)
	if key == nil {
		fmt.Fprintln(stderr, "release: NOT SIGNED: nobody can tell this package from a forged one; do not hand it out")
		return nil
	}
	fmt.Fprintf(stdout, "key      %s\n", release.KeyID(key.Public().(ed25519.PublicKey)))
	return nil
}

// name is the version that the release has. A version of changes that no commit
// holds sorts before the release that it would be taken for.
func (o options) name(dirty bool) (string, error) {
	if semver.Canonical(o.version) != o.version || len(o.version) > 40 {
		return "", errors.New("--version must be a whole semantic version without +, such as v1.2.3 or v1.2.3-rc.1")
	}
	switch {
	case !dirty:
		return o.version, nil
	case !o.allowDirty:
		return "", errors.New("the tree holds changes that are not committed (git status shows them); commit them, or try a package out with --allow-dirty")
	case strings.Contains(o.version, "-"): // a number sorts before a word
		return strings.Replace(o.version, "-", "-0.", 1) + ".dirty", nil
	}
	return o.version + "-dirty", nil
}

// key is the key that signs, nil for --unsigned. The variable is cleared: no program
// that is started from here needs it.
func (o options) key() (ed25519.PrivateKey, error) {
	text, from := []byte(os.Getenv(keyVariable)), keyVariable
	if err := os.Unsetenv(keyVariable); err != nil {
		return nil, err
	}
	if o.keyFile != "" {
		if len(text) > 0 {
			return nil, errors.New("--key and " + keyVariable + " are both set; leave one out")
		}
		var err error
		if text, err = os.ReadFile(o.keyFile); err != nil {
			return nil, fmt.Errorf("the key cannot be read: %w", err)
		}
		from = "--key"
	}
	switch {
	case o.unsigned && (len(text) > 0 || o.keyFile != "" || o.keyID != ""):
		return nil, errors.New("--unsigned is given beside a key or a key's id; leave one out")
	case o.unsigned:
		return nil, nil
	case len(text) == 0:
		return nil, errors.New("there is no key to sign with; name its file with --key, or put the PEM in " + keyVariable +
			" (make one with: openssl genpkey -algorithm ed25519); --unsigned makes a package that nobody can verify")
	}
	key, err := checkpoint.ParsePrivateKey(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", from, err)
	}
	if id := release.KeyID(key.Public().(ed25519.PublicKey)); o.keyID != "" && o.keyID != id {
		return nil, fmt.Errorf("the key of %s has the id %s, which is not the one named by --key-id or %s; nothing was signed", from, id, keyIDVariable)
	}
	return key, nil
}
