package main

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/alecthomas/kong"
	"github.com/go-json-experiment/json"
	"github.com/hashicorp/go-hclog"

	"github.com/Huzefaaa2/cavra/go/cavra-runtime/conn/lifecycle"
)

// actions are what --lifecycle can do.
var actions = []string{"start", "status", "reload", "stop", "restart"}

// lifecycleFault finds what is wrong with the flags of --lifecycle.
func (c *cli) lifecycleFault() string {
	if d, err := time.ParseDuration(c.LifecycleTimeout); err != nil || d <= 0 {
		return "--lifecycle-timeout must be a duration over 0, such as 5s"
	}
	if c.Lifecycle != "" && !slices.Contains(actions, c.Lifecycle) {
		return "--lifecycle must be start, status, reload, stop or restart"
	}
	return ""
}

// manage does what --lifecycle asks for and prints what is then known of the
// daemon, as one line of JSON. Status ends with 0 whatever it finds.
func manage(ctx context.Context, c *cli, stdout, stderr io.Writer) int {
	report, err := c.act(ctx, stderr)
	line, fault := json.Marshal(report)
	if code := printReport(line, fault, true, stdout, stderr); code != exitOK {
		return code
	}
	switch {
	case c.Lifecycle == "status":
		return exitOK
	case err != nil:
		return fail(stderr, "--lifecycle "+c.Lifecycle+" failed", err)
	}
	return exitOK
}

// act does what is asked for.
func (c *cli) act(ctx context.Context, stderr io.Writer) (lifecycle.Report, error) {
	daemon, err := c.lifecycleDaemon()
	if err != nil {
		return lifecycle.Report{SocketPath: daemon.Socket, PIDPath: daemon.PIDFile, Message: "where the daemon listens cannot be told: " + err.Error()}, err
	}
	switch c.Lifecycle {
	case "status":
		return daemon.Status(ctx), nil
	case "reload":
		return daemon.Reload(ctx)
	case "stop":
		return daemon.Stop(ctx)
	}
	command, err := c.daemonCommand(stderr)
	if err != nil {
		return lifecycle.Report{SocketPath: daemon.Socket, PIDPath: daemon.PIDFile, Message: "the configuration is faulty; nothing was started or stopped"}, err
	}
	if c.Lifecycle == "restart" {
		return daemon.Restart(ctx, command)
	}
	return daemon.Start(ctx, command)
}

// lifecycleDaemon says which daemon is meant. It reads no more than that, so that
// one whose configuration has become faulty can still be looked at and stopped.
func (c *cli) lifecycleDaemon() (d lifecycle.Daemon, err error) {
	d.Timeout, _ = time.ParseDuration(c.LifecycleTimeout) // checked with the command line
	cfg := configuration{}
	if c.Config != "" {
		if err = notPipe(c.Config); err == nil { // which would be waited for the second time
			err = readInto(c.Config, &cfg.file)
		}
	}
	cfg.place(c)
	d.Socket, d.PIDFile = cfg.file.Server.Socket, cfg.file.Server.PID
	return d, err
}

// daemonCommand is the --serve that --lifecycle starts. The configuration is checked
// before: its faults are for the terminal, and a daemon that runs well is not
// stopped for one that cannot start.
func (c *cli) daemonCommand(stderr io.Writer) (command lifecycle.Command, err error) {
	cfg, chain, err := assemble(c, assembly{log: func(l logConfig) hclog.Logger {
		l.Level = "error" // the daemon itself will say the rest, in its log
		return newLogger(l, stderr)
	}, dryRun: true})
	if err != nil {
		return command, err
	}
	defer chain.Close()
	command.Args, command.Env = c.handOver()
	command.Log = cfg.file.Log.File
	if command.Log == "" {
		command.Log = cfg.file.Server.Socket + ".log"
		command.Args = append(command.Args, "--log-file="+command.Log)
	}
	for _, f := range append(cfg.namedFiles(), c.Config) {
		if err := notPipe(f); err != nil {
			return command, err
		}
		if m := descriptorPath().FindStringSubmatch(f); m != nil {
			fd, err := strconv.Atoi(m[1])
			if err != nil {
				return command, fmt.Errorf("%s names no descriptor", m[0])
			}
			command.Keep = append(command.Keep, fd)
		}
	}
	return command, nil
}

// notPipe refuses what can be read only once: the daemon reads it after us, and
// again whenever it reloads. There it would wait for a writer for ever.
func notPipe(path string) error {
	if info, err := os.Stat(path); err == nil && info.Mode()&fs.ModeNamedPipe != 0 {
		return fmt.Errorf("%q is a pipe, which can be read only once; the daemon needs a file", path)
	}
	return nil
}

// descriptorPath is a path that names a descriptor of the process that opens it.
var descriptorPath = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^/(?:dev/fd|proc/self/fd)/([0-9]{1,6})$`)
})

// handOver is the command line and the environment by which the daemon that is
// started gets what we got. What has a variable goes by it, so that no key stands
// on a command line.
func (c *cli) handOver() (args, env []string) {
	args = []string{"--serve"}
	for _, f := range c.flags {
		if !handedOver(f) {
			continue
		}
		switch {
		case f.Target.Kind() == reflect.Bool:
			if f.Target.Bool() {
				args = append(args, "--"+f.Name)
			}
		case f.Target.Kind() == reflect.Slice:
			for _, value := range f.Target.Seq2() {
				args = append(args, "--"+f.Name+"="+value.String())
			}
		case f.Target.String() == "":
		case len(f.Envs) > 0:
			env = append(env, f.Envs[0]+"="+f.Target.String())
		default:
			args = append(args, "--"+f.Name+"="+f.Target.String())
		}
	}
	return args, env
}

// handedOver reports whether the daemon has use for a flag. What is only for a
// client, such as the proof of who it is, is not the daemon's business.
func handedOver(f *kong.Flag) bool {
	switch f.Name {
	case "help", "input", "explain", "package", "package-key", "timeout", "quiet", "json", "expect-decision", "expect-rule", "lifecycle-timeout",
		"evidence-checkpoint", "runner-auth-claims", "runner-auth-version", "runner-auth-oidc-token", "runner-auth-oidc-token-file", "runner-oidc-auto":
		return false
	}
	return f.Group == nil || f.Group.Key != "Modes" && f.Group.Key != "Reading evidence"
}
