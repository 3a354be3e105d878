package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/hashicorp/go-hclog"

	"github.com/Huzefaaa2/cavra/go/cavra-runtime/conn"
	"github.com/Huzefaaa2/cavra/go/cavra-runtime/pipeline"
	"github.com/Huzefaaa2/cavra/go/cavra-runtime/stages/auth"
	"github.com/Huzefaaa2/cavra/go/cavra-runtime/stages/evidence"
)

// A readinessReport is what --readiness prints.
type readinessReport struct {
	Schema string           `json:"schema"`
	Ready  bool             `json:"ready"` // no check failed
	Checks []readinessCheck `json:"checks"`
}

// A readinessCheck is one thing that was tried. Failed or not, Action says what to
// do where there is something to do.
type readinessCheck struct {
	Name    string      `json:"name"`
	Status  checkStatus `json:"status"`
	Message string      `json:"message"`
	Action  string      `json:"action,omitempty"`
}

type checkStatus string

const (
	checkPass    checkStatus = "pass"
	checkFail    checkStatus = "fail"
	checkSkipped checkStatus = "skipped"
)

func pass(format string, args ...any) readinessCheck {
	return readinessCheck{Status: checkPass, Message: fmt.Sprintf(format, args...)}
}

func skipped(format string, args ...any) readinessCheck {
	return readinessCheck{Status: checkSkipped, Message: fmt.Sprintf(format, args...)}
}

func failed(err error, action string) readinessCheck {
	return readinessCheck{Status: checkFail, Message: err.Error(), Action: action}
}

// readiness tries what a daemon of this configuration needs, and prints what it
// saw. A daemon of its own is started for that, with a socket, a pid file, a log
// and an evidence log in a directory that is removed in the end; those that the
// configuration names are looked at and left alone.
func readiness(ctx context.Context, c *cli, stdout, stderr io.Writer) int {
	r := readinessReport{Schema: "cavra.readiness.v1", Ready: true}
	add := func(name string, check readinessCheck) {
		check.Name = name
		r.Ready = r.Ready && check.Status != checkFail
		r.Checks = append(r.Checks, check)
	}

	cfg, chain, err := assemble(c, assembly{dryRun: true, log: func(logConfig) hclog.Logger { return hclog.NewNullLogger() }})
	unread := skipped("the configuration is faulty")
	authentication, directory, started, recorded := unread, unread, unread, unread
	var log string // of the evidence, as configured
	if err != nil {
		add("configuration", failed(err, "mend it; --check says the same with more around it"))
	} else {
		add("configuration", pass("%s", chain.String()))
		authentication = authMode(chain.Stages())
		_ = chain.Close()
		o, _ := c.evidenceOptions() // read without a fault just now
		log = o.Log
		directory = evidenceDirectory(log)
	}
	add("runner_authentication", authentication)
	add("daemon", c.configuredDaemon(ctx))
	add("evidence_directory", directory)
	add("disk_space", diskSpace(cmp.Or(log, cfg.file.Server.Socket)))
	add("clock", clock(time.Now(), log))
	switch {
	case err != nil:
	case os.Getpid() == 1:
		started = skipped("this process is the first of its container, where nothing can be left in the background; run --serve there")
		recorded = started
	default: // last: from here on c means the daemon of the trial
		started, recorded = c.trial(ctx, cfg)
	}
	add("lifecycle", started)
	add("signed_evidence", recorded)
	add("package", c.readyPackage())
	add("python_fallback", pythonFallback(ctx, os.Getenv("PATH")))

	text, err := json.Marshal(r)
	return printReport(text, err, r.Ready, stdout, stderr)
}

// authMode says what a runner has to prove. Nothing is a choice, and no fault, and
// is said with what it means.
func authMode(stages []pipeline.Described) readinessCheck {
	for _, s := range stages {
		if s.Name != "auth" {
			continue
		}
		check := pass("%s", s.Setting)
		if s.Setting == auth.NobodyProves {
			check.Action = "where others than you ask, set CAVRA_RUNNER_AUTH_HMAC_KEY or --runner-oidc-issuer: who asks is recorded as they say it"
		}
		return check
	}
	return pass("a stage of this build's own authenticates")
}

// configuredDaemon looks at the daemon that the configuration is of.
func (c *cli) configuredDaemon(ctx context.Context) readinessCheck {
	const action = "--lifecycle status says more; --socket names another"
	daemon, err := c.lifecycleDaemon()
	if err != nil {
		return failed(err, action)
	}
	if err := conn.CheckControlPath(daemon.Socket); err != nil {
		return failed(err, "choose a shorter path with --socket")
	}
	status := daemon.Status(ctx)
	// There is none, whatever a crash left behind, or all is well; else it is a fault.
	if !status.Running && !strings.HasPrefix(status.Message, "the runtime is not running") {
		return failed(errors.New(status.Message), action)
	}
	return pass("%s (socket %s)", status.Message, daemon.Socket)
}

// trial starts a daemon with everything that is configured but its files, asks it,
// looks at it, stops it, and verifies what it recorded.
func (c *cli) trial(ctx context.Context, cfg *configuration) (started, recorded readinessCheck) {
	recorded = skipped("nothing was recorded, since the daemon did not run well")
	dir, err := os.MkdirTemp("", "cavra-")
	if err != nil {
		return failed(err, "let TMPDIR name a directory that can be written to"), recorded
	}
	defer os.RemoveAll(dir)
	signed, err := c.moveTo(dir, cfg)
	if err != nil {
		return failed(err, ""), recorded
	}
	if started = c.tryLifecycle(ctx); started.Status == checkPass {
		recorded = c.verifyTrial(signed)
	}
	return started, recorded
}

// moveTo lets c mean a daemon whose files are all below dir. Where no key signs
// evidence, one is drawn that is kept nowhere. signed says what signs.
func (c *cli) moveTo(dir string, cfg *configuration) (signed string, err error) {
	c.Socket, c.PID, c.LogFile = filepath.Join(dir, "s"), filepath.Join(dir, "s.pid"), filepath.Join(dir, "s.log")
	if cfg.file.Server.MetricsListen != "" {
		c.MetricsListen = "unix:" + filepath.Join(dir, "m")
	}
	if !slices.Contains(cfg.stageNames(), "evidence") {
		return "", nil
	}
	o, err := c.evidenceOptions()
	if err != nil {
		return "", err
	}
	c.EvidenceLog = filepath.Join(dir, "evidence", "log.jsonl")
	if o.SigningKey == "" && o.SigningKeyFile == "" {
		c.EvidenceSigningKey = rand.Text() + rand.Text()
		return "a key drawn for it, since none is configured", nil
	}
	return "the configured key", nil
}

// tryLifecycle starts, asks, looks at and stops the daemon that c means.
func (c *cli) tryLifecycle(ctx context.Context) (check readinessCheck) {
	const action = "see the message; --serve shows the whole log of a daemon in the foreground, and TMPDIR says where this one was tried"
	daemon, err := c.lifecycleDaemon()
	if err != nil {
		return failed(err, action)
	}
	command, err := c.daemonCommand(io.Discard)
	if err != nil {
		return failed(err, action)
	}
	began := time.Now()
	report, err := daemon.Start(ctx, command)
	if err != nil {
		return failed(fmt.Errorf("start: %w", err), action)
	}
	up := time.Since(began)
	defer func() { // also where who asked gives up meanwhile
		began = time.Now()
		if _, err := daemon.Stop(context.WithoutCancel(ctx)); err != nil {
			if p, gone := os.FindProcess(report.PID); gone == nil {
				_ = p.Kill() // we started it, and nobody else knows of it
			}
			check = failed(fmt.Errorf("stop: %w", err), action)
		} else if check.Status == checkPass {
			check.Message += fmt.Sprintf(", stopped in %d ms", time.Since(began).Milliseconds())
		}
	}()
	client := conn.Client{Socket: daemon.Socket, Timeout: daemon.Timeout}
	resp, err := client.EvaluateBytes(ctx, []byte(`{"action_type":"read_file","target":"README.md"}`+"\n"))
	if err != nil {
		return failed(fmt.Errorf("a question: %w", err), action)
	}
	if resp.RuleID == "peer.denied" {
		return failed(fmt.Errorf("a question: %s", resp.Reason), "run this as root or as another user of allowed_uids: the daemon's own user may not ask")
	}
	if status := daemon.Status(ctx); !status.Running {
		return failed(fmt.Errorf("status: %s", status.Message), action)
	}
	return pass("started in %d ms, answered a question by %s, told its status", up.Milliseconds(), resp.RuleID)
}

// verifyTrial verifies what the daemon of the trial recorded.
func (c *cli) verifyTrial(signed string) readinessCheck {
	const action = "report it: a log that was written on this machine does not verify here"
	if signed == "" {
		return skipped("the chain holds no stage evidence")
	}
	o, err := c.evidenceOptions()
	if err != nil {
		return failed(err, action)
	}
	options, err := o.VerifyOptions()
	if err != nil {
		return failed(err, action)
	}
	report, err := evidence.VerifyFile(o.Log, options)
	switch {
	case err != nil:
		return failed(err, action)
	case !report.Valid:
		return failed(errors.New(strings.Join(report.Errors, "; ")), action)
	case report.Records == 0:
		return skipped("nothing was recorded; see lifecycle")
	case report.SignedRecords != report.Records:
		return failed(fmt.Errorf("%d of %d records are signed, and each should be", report.SignedRecords, report.Records), action)
	}
	return pass("%d of %d records written, signed by %s, and verified", report.SignedRecords, report.Records, signed)
}

// evidenceDirectory looks whether the evidence log can be written where it is
// configured, without writing.
func evidenceDirectory(log string) readinessCheck {
	if log == "" {
		return readinessCheck{Status: checkSkipped, Message: "no evidence log is configured", Action: "name one with --evidence-log, or nothing is recorded"}
	}
	dir := nearestDirectory(log)
	known, err := canWrite(dir)
	switch {
	case err != nil:
		return failed(fmt.Errorf("the directory %q: %w", dir, err), "let the daemon's user write there, or name another --evidence-log")
	case !known:
		return skipped("this system does not tell without writing")
	}
	return pass("%s can be written to", dir)
}

// minFree is how much disk is free where a daemon is ready: tens of thousands of
// records.
const minFree = 64 << 20

// diskSpace looks how much is free where path is or will be.
func diskSpace(path string) readinessCheck {
	dir := nearestDirectory(path)
	free, known, err := freeBytes(dir)
	switch {
	case err != nil:
		return failed(fmt.Errorf("the directory %q: %w", dir, err), "")
	case !known:
		return skipped("this system does not tell")
	case free < minFree:
		return failed(fmt.Errorf("%d MiB are free in %q, fewer than %d", free>>20, dir, minFree>>20), "free some, or every decision will be a block once the evidence cannot be written")
	}
	return pass("%d MiB are free in %s", free>>20, dir)
}

// nearestDirectory is the directory of path, or the nearest above it that is there.
func nearestDirectory(path string) string {
	dir, err := filepath.Abs(filepath.Dir(path))
	for err == nil {
		if info, err := os.Stat(dir); err == nil && info.IsDir() {
			break
		}
		above := filepath.Dir(dir)
		if above == dir {
			break
		}
		dir = above
	}
	return dir
}

// clock looks whether the time is before what cannot have been later: the making
// of this program, the last record of the log.
func clock(now time.Time, log string) readinessCheck {
	const tolerance = 5 * time.Minute
	files := []string{log}
	if program, err := os.Executable(); err == nil {
		files = append(files, program)
	}
	for _, f := range files {
		if info, err := os.Stat(f); err == nil && now.Add(tolerance).Before(info.ModTime()) {
			return failed(fmt.Errorf("it is %s here, and %q was written at %s", now.UTC().Format(time.RFC3339), f, info.ModTime().UTC().Format(time.RFC3339)),
				"set the clock; tokens, fresh signatures and evidence depend on it")
		}
	}
	return pass("it is %s", now.UTC().Format(time.RFC3339))
}
