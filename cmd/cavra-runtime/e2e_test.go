//go:build !windows

package main

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// The scripts run the command as its users do: real processes, real sockets,
// the real nc where it is installed.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"cavra-runtime": main, "echo-daemon": echoDaemon})
}

func TestEndToEnd(t *testing.T) { runScripts(t, "../../testdata/e2e") }

// runScripts runs the scripts of a directory.
func runScripts(t *testing.T, dir string) {
	examples, err := filepath.Abs("../../examples")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 dir,
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			// Secrets that a script uses are drawn for it; $SECRET never reaches
			// any output, which the script checks with "nosecret".
			key := make([]byte, 32)
			rand.Read(key)
			env.Setenv("SECRET", hex.EncodeToString(key))
			env.Setenv("EXAMPLES", examples)
			return startIssuer(env)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"await":    await,
			"silent":   silent,
			"exits":    exits,
			"nosecret": noSecret,
			"issuer":   issuerCommand,
			"token":    tokenCommand,
		},
	})
}

// await SOCKET waits until somebody answers there. It connects and hangs up,
// which is no request and leaves no record.
func await(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: await SOCKET")
	}
	deadline := time.Now().Add(10 * time.Second)
	for {
		c, err := net.Dial("unix", ts.MkAbs(args[0]))
		if err == nil {
			c.Close()
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("nobody answers at %s: %v", args[0], err)
		}
		time.Sleep(5 * time.Millisecond) // between two looks at the condition
	}
}

// silent SOCKET listens there until the script ends, and answers nobody.
func silent(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: silent SOCKET")
	}
	l, err := net.Listen("unix", ts.MkAbs(args[0]))
	ts.Check(err)
	ts.Defer(func() { l.Close() })
}

// exits CODE COMMAND… runs a command that must end with the exit code.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND ARG…")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		got = exit.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if got != want {
		ts.Fatalf("%s ended with %d, want %d", args[1], got, want)
	}
}

// nosecret looks for $SECRET and every token that was issued in the files of the
// script's directory and in the output of the last command. Files whose names
// begin with "secret" are where they may be.
func noSecret(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: nosecret")
	}
	secrets := append(issuerOf(ts).secrets(), ts.Getenv("SECRET"))
	look := func(name, text string) {
		for _, secret := range secrets {
			if strings.Contains(text, secret) {
				ts.Fatalf("%s holds a secret", name)
			}
		}
	}
	for _, name := range []string{"stdout", "stderr"} {
		look(name, ts.ReadFile(name))
	}
	ts.Check(filepath.WalkDir(ts.Getenv("WORK"), func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || strings.HasPrefix(filepath.Base(path), "secret") {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		look(path, string(b))
		return nil
	}))
}

// echoDaemon is the main of startEcho's process.
func echoDaemon() {
	l, err := net.Listen("unix", os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	response := []byte(os.Args[2])
	for {
		c, err := l.Accept()
		if err != nil {
			os.Exit(1)
		}
		go func() {
			defer c.Close()
			buf := make([]byte, 4096)
			if _, err := c.Read(buf); err == nil {
				_, _ = c.Write(response)
			}
		}()
	}
}
