package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/Huzefaaa2/cavra/go/cavra-runtime/conn"
	"github.com/Huzefaaa2/cavra/go/cavra-runtime/document"
	"github.com/Huzefaaa2/cavra/go/cavra-runtime/pipeline"
)

// fileConfig is what the file of --config may hold. Flags and variables win over
// it.
type fileConfig struct {
	Server serverConfig `json:"server"`
	// Workspace is the directory that relative targets are taken against where a
	// request names no cwd. Default: the directory the runtime was started in.
	Workspace string    `json:"workspace"`
	Log       logConfig `json:"log"`
	// Stages lists the stages in order: a name, or a name with its options.
	// Default: decode, auth, evaluate, redact, evidence.
	Stages []*document.Node `json:"stages"`
}

// serverConfig bounds what clients can ask of the daemon.
type serverConfig struct {
	Socket string `json:"socket"`
	PID    string `json:"pid"`
	// MaxRequestBytes is the size of the largest request. Default: 1MiB.
	MaxRequestBytes document.Bytes `json:"max_request_bytes"`
	// MaxDepth is how deep a request may nest. Default: 64.
	MaxDepth int `json:"max_depth"`
	// ReadTimeout is the time for the whole of a request to arrive. Default: 5s.
	ReadTimeout time.Duration `json:"read_timeout"`
	// MaxConnections is how many connections are served at once. Default: 1024.
	MaxConnections int `json:"max_connections"`
	// MaxConnectionsPerUID is how many of them one user may hold. Default: 1024.
	MaxConnectionsPerUID int `json:"max_connections_per_uid"`
	// MaxBytesInFlight is how much memory requests may take at once. Default: 32MiB.
	MaxBytesInFlight document.Bytes `json:"max_bytes_in_flight"`
	// AllowedUIDs are the users who may ask. Default: the daemon's own and root.
	AllowedUIDs []uint32 `json:"allowed_uids"`
	// MetricsListen is where figures and a health answer can be had by HTTP:
	// HOST:PORT, or unix:PATH. Default: nowhere.
	MetricsListen string `json:"metrics_listen"`
	// MetricsPublic lets MetricsListen be an address that other hosts can reach.
	MetricsPublic bool `json:"metrics_public"`
	// NoConfinement leaves out Landlock, where a stage of a fork needs more than
	// reading files and writing beside its own.
	NoConfinement bool `json:"no_confinement"`
}

type logConfig struct {
	Level logLevel `json:"level"`
	JSON  bool     `json:"json"`
	// File is where the daemon logs to. Default: standard error; where --lifecycle
	// starts it, the socket's path and .log.
	File string `json:"file"`
}

// A logLevel is trace, debug, info, warn or error. Default: info for the daemon,
// warn for --check, error otherwise.
type logLevel string

// UnmarshalText reads a level.
func (l *logLevel) UnmarshalText(text []byte) error {
	*l = logLevel(text)
	if hclog.LevelFromString(string(text)) == hclog.NoLevel || *l == "off" {
		return errors.New("there is no such level")
	}
	return nil
}

// Wants says what to write.
func (*logLevel) Wants() string { return "one of trace, debug, info, warn, error" }

// A configuration is the file and the flags over it, read and checked, with
// every stage prepared and none built.
type configuration struct {
	file   fileConfig
	source string // the file's path, or empty
	stages []preparedStage

	holdsKey bool // a key stands in the file itself
	// restart means that the file says something that counts at a start only, and
	// that it differs from what the daemon started with.
	restart bool

	explainer explainer // the stage that can explain itself, once built; or nil
}

type preparedStage struct {
	name   string
	faulty bool // by its options or its files it cannot be built
	pipeline.Prepared
}

// configure reads the configuration. The error holds every fault of the file and
// of the flags at once; the configuration is usable as far as it could be read.
//
// running is what the daemon started with, nil at a start. What it is served by
// and logs to stays as it is: the files that the runtime keeps are those in use.
func configure(c *cli, running *configuration) (*configuration, error) {
	cfg := &configuration{source: c.Config}
	var faults []error
	var spent error // what can be read only once has been read
	if running != nil {
		spent = notPipe(c.Config)
	}
	switch {
	case spent != nil:
		faults = append(faults, spent)
	case c.Config != "":
		faults = append(faults, cfg.read(c.Config))
	}
	cfg.place(c)
	cfg.file.Workspace = cmp.Or(c.Workspace, cfg.file.Workspace)
	cfg.file.Server.MetricsListen = cmp.Or(c.MetricsListen, cfg.file.Server.MetricsListen)
	cfg.file.Server.MetricsPublic = cfg.file.Server.MetricsPublic || c.MetricsPublic
	cfg.file.Log.File = cmp.Or(c.LogFile, cfg.file.Log.File)
	if c.LogLevel != "" {
		faults = append(faults, document.Decode(document.Value("--log-level", map[string]any{"level": c.LogLevel}), &cfg.file.Log))
	}
	cfg.file.Log.JSON = cfg.file.Log.JSON || c.LogJSON
	if cfg.file.Log.Level == "" {
		switch {
		case c.Serve, c.Lifecycle != "":
			cfg.file.Log.Level = "info"
		case c.Check:
			cfg.file.Log.Level = "warn"
		default: // beside a decision, warnings about a daemon are noise
			cfg.file.Log.Level = "error"
		}
	}
	faults = append(faults, cfg.applyDefaults()...)
	if running != nil {
		cfg.restart = !reflect.DeepEqual(cfg.file.Server, running.file.Server) || cfg.file.Log != running.file.Log
		cfg.file.Server, cfg.file.Log = running.file.Server, running.file.Log
	}
	faults = append(faults, cfg.prepareStages(c.stageFlags())...)
	if running != nil {
		faults = append(faults, cfg.refusePipes()...)
	}
	return cfg, document.Join(faults...)
}

// refusePipes marks the stages that a pipe is named for, so that none is built and
// waits for it.
func (cfg *configuration) refusePipes() (faults []error) {
	for i, p := range cfg.stages {
		for _, f := range p.Files() {
			if err := notPipe(f.Path); err != nil {
				cfg.stages[i].faulty = true
				faults = append(faults, err)
			}
		}
	}
	return faults
}

// place says where the daemon is met: by the flags, the file or the defaults.
func (cfg *configuration) place(c *cli) {
	s := &cfg.file.Server
	s.Socket = cmp.Or(c.Socket, s.Socket, conn.DefaultSocket)
	s.PID = cmp.Or(c.PID, s.PID, s.Socket+".pid")
}

// read reads the file of --config. An empty value would be the default, silently;
// most often it is a variable that was not set where the file was written.
func (cfg *configuration) read(path string) error {
	text, err := document.ReadFile(path)
	if err != nil {
		return err
	}
	root, err := document.Parse(path, text)
	if root == nil {
		return err
	}
	faults := []error{err, document.Decode(root, &cfg.file)}
	var visit func(*document.Node)
	visit = func(n *document.Node) {
		if empty := n.Kind() == document.String && n.Text() == "" || n.Kind() == document.List && len(n.Items()) == 0; empty {
			faults = append(faults, n.Fault("is empty; write a value, or leave it out for the default"))
		}
		for i := range n.Items() {
			visit(&n.Items()[i])
		}
		for _, m := range n.Members() {
			cfg.holdsKey = cfg.holdsKey || strings.HasSuffix(m.Key, "_key")
			visit(m.Value())
		}
	}
	visit(root)
	return document.Join(faults...)
}

func readInto(path string, into any) error {
	text, err := document.ReadFile(path)
	if err != nil {
		return err
	}
	return document.Read(path, text, into)
}

// applyDefaults fills what neither the file nor a flag says, and checks what they
// do say.
func (cfg *configuration) applyDefaults() (faults []error) {
	s := &cfg.file.Server
	for _, bound := range []struct {
		name  string
		value int64
	}{
		{"max_request_bytes", int64(s.MaxRequestBytes)}, {"max_depth", int64(s.MaxDepth)}, {"read_timeout", int64(s.ReadTimeout)},
		{"max_connections", int64(s.MaxConnections)}, {"max_connections_per_uid", int64(s.MaxConnectionsPerUID)},
		{"max_bytes_in_flight", int64(s.MaxBytesInFlight)},
	} {
		if bound.value < 0 {
			faults = append(faults, fmt.Errorf("%s: server.%s is negative; write a number over 0, or leave it out for the default", cfg.source, bound.name))
		}
	}
	if s.MetricsListen != "" {
		if err := checkMonitorAddress(s.MetricsListen, s.MetricsPublic); err != nil {
			faults = append(faults, fmt.Errorf("--metrics-listen, or server.metrics_listen, %w", err))
		}
	}
	if cfg.file.Workspace == "" {
		cfg.file.Workspace = "."
	}
	workspace, err := filepath.Abs(cfg.file.Workspace)
	if err == nil {
		var info os.FileInfo
		if info, err = os.Stat(workspace); err == nil && !info.IsDir() {
			err = errors.New("it is not a directory")
		}
	}
	if err != nil {
		faults = append(faults, fmt.Errorf("the workspace cannot be used: %w; name an existing directory with --workspace", err))
	}
	cfg.file.Workspace = workspace
	return faults
}

// A stageFlag is one option of a stage that came from a flag or its variable.
type stageFlag struct {
	flag, stage, option string
	value               any
	instead             string // the option of the file that this one takes the place of
}

// layer is the flag as options of its stage.
func (f stageFlag) layer() *document.Node {
	options := map[string]any{f.option: f.value}
	if f.instead != "" {
		options[f.instead] = ""
	}
	return document.Value(f.flag, options)
}

// stageFlags are the options of stages that the command line sets.
func (c *cli) stageFlags() []stageFlag {
	all := []stageFlag{
		{"--policy", "evaluate", "policy", c.Policy, ""},
		{"--registry", "evaluate", "registry", c.Registry, ""},
		{"--evidence-log", "evidence", "log", c.EvidenceLog, ""},
		{"--evidence-sync", "evidence", "sync", c.EvidenceSync, ""},
		{"--evidence-signing-key", "evidence", "signing_key", c.EvidenceSigningKey, "signing_key_file"},
		{"--evidence-signing-key-id", "evidence", "signing_key_id", c.EvidenceSigningKeyID, ""},
		{"--evidence-rotate-size", "evidence", "rotate_size", c.EvidenceRotateSize, ""},
		{"CAVRA_DAEMON_EVIDENCE_CHECKPOINT_KEY", "evidence", "checkpoint_key", os.Getenv("CAVRA_DAEMON_EVIDENCE_CHECKPOINT_KEY"), "checkpoint_key_file"},
		{"--evidence-checkpoint-key", "evidence", "checkpoint_key_file", c.EvidenceCheckpointKey, "checkpoint_key"},
		{"--evidence-checkpoint-public-key", "evidence", "checkpoint_public_key_file", c.EvidenceCheckpointPublicKey, ""},
		{"--evidence-verify-on-start", "evidence", "verify_all", c.EvidenceVerifyOnStart, ""},
		{"--evidence-require-signature", "evidence", "require_signature", c.EvidenceRequireSignature, ""},
		{"--runner-auth-key", "auth", "hmac_key", c.RunnerAuthKey, "hmac_key_file"},
		{"--runner-auth-key-id", "auth", "hmac_key_id", c.RunnerAuthKeyID, ""},
		{"--runner-auth-require", "auth", "hmac_require", c.RunnerAuthRequire, ""},
		{"--runner-oidc-issuer", "auth", "oidc_issuer", c.RunnerOIDCIssuer, ""},
		{"--runner-oidc-audience", "auth", "oidc_audience", c.RunnerOIDCAudience, ""},
		{"--runner-oidc-jwks", "auth", "oidc_jwks", c.RunnerOIDCJWKS, ""},
		{"--runner-oidc-jwks-url", "auth", "oidc_jwks_url", c.RunnerOIDCJWKSURL, ""},
	}
	all = slices.DeleteFunc(all, func(f stageFlag) bool { return f.value == "" || f.value == false })
	if c.PolicyPacks != "" {
		var packs []string
		for _, name := range strings.Split(c.PolicyPacks, ",") {
			packs = append(packs, strings.TrimSpace(name))
		}
		all = append(all, stageFlag{"--policy-packs", "evaluate", "policy_packs", packs, ""})
	}
	if c.RunnerOIDCRequire != nil {
		all = append(all, stageFlag{"--runner-oidc-require", "auth", "oidc_require", c.RunnerOIDCRequire, ""})
	}
	return all
}

// prepareStages reads the options of every stage of the chain.
func (cfg *configuration) prepareStages(flags []stageFlag) (faults []error) {
	fault := func(err error) { faults = append(faults, err) }
	listed, errs := cfg.listed()
	faults = append(faults, errs...)

	limits := map[string]any{}
	if n := cfg.file.Server.MaxRequestBytes; n > 0 {
		limits["max_bytes"] = int64(n)
	}
	if n := cfg.file.Server.MaxDepth; n > 0 {
		limits["max_depth"] = n
	}
	for _, l := range listed {
		factory, known := stages[l.name]
		if !known {
			fault(l.fault(fmt.Sprintf("there is no stage of that name; %s", suggestStage(l.name))))
			continue
		}
		var layers []*document.Node
		if l.name == "decode" && len(limits) > 0 {
			layers = append(layers, document.Value("server", limits))
		}
		layers = append(layers, l.options)
		for _, f := range flags {
			if f.stage == l.name {
				layers = append(layers, f.layer())
			}
		}
		prepared, err := factory(layers...)
		fault(err)
		cfg.stages = append(cfg.stages, preparedStage{l.name, err != nil, prepared})
	}
	for _, f := range flags {
		if !slices.ContainsFunc(listed, func(l listedStage) bool { return l.name == f.stage }) {
			fault(fmt.Errorf("%s is set, and the chain holds no stage %s to use it; list %s under stages, or unset the flag and its variable", f.flag, f.stage, f.stage))
		}
	}
	return faults
}

// A listedStage is one entry of stages in the configuration.
type listedStage struct {
	name    string
	options *document.Node // nil where there are none
	fault   func(problem string) error
}

// listed reads the list of stages: each a name, or a map of one name to options.
func (cfg *configuration) listed() (listed []listedStage, faults []error) {
	if cfg.file.Stages == nil {
		for _, name := range defaultStages {
			listed = append(listed, listedStage{name: name})
		}
		return listed, nil
	}
	for _, node := range cfg.file.Stages {
		switch members := node.Members(); {
		case node.Kind() == document.String:
			listed = append(listed, listedStage{node.Text(), nil, func(p string) error { return node.Fault("%s", p) }})
		case node.Kind() == document.Map && len(members) == 1:
			m := members[0]
			entry := listedStage{m.Key, m.Value(), func(p string) error { return m.Fault("%s", p) }}
			if entry.options.Kind() == document.Null { // "- decode:" without options
				entry.options = nil
			}
			listed = append(listed, entry)
		default:
			faults = append(faults, node.Fault("a stage is written as its name, or as its name and a map of options, each in an entry of its own"))
		}
	}
	return listed, faults
}

func suggestStage(name string) string {
	var known []string
	for n := range stages {
		known = append(known, n)
	}
	slices.Sort(known)
	if near := document.Nearest(name, known); near != "" {
		return fmt.Sprintf("did you mean %q?", near)
	}
	return "there are " + strings.Join(known, ", ")
}

// ownFiles are the files that the runtime relies on, to be kept from those who
// ask: the socket's directory, the configuration, and what the stages name.
func (cfg *configuration) ownFiles(log hclog.Logger) []pipeline.File {
	var files []pipeline.File
	add := func(path string, secret bool) {
		if abs, err := filepath.Abs(path); err == nil && path != "" {
			files = append(files, pipeline.File{Path: abs, Secret: secret})
		}
	}
	socket := cfg.file.Server.Socket
	if dir, err := filepath.Abs(filepath.Dir(socket)); err == nil && !covers(dir, cfg.file.Workspace) {
		add(dir, false)
	} else {
		// Protecting the directory would protect the whole workspace.
		log.Warn("the socket stands in the workspace or above it, so only its own files are protected; a directory of its own, as .cavra/, is safer", "socket", socket)
		for _, suffix := range []string{"", ".lock", ".ctl", ".log"} {
			add(socket+suffix, false)
		}
	}
	add(cfg.file.Server.PID, false)
	add(cfg.file.Log.File, false)
	add(cfg.source, cfg.holdsKey)
	for _, p := range cfg.stages {
		for _, f := range p.Files() {
			add(f.Path, f.Secret)
		}
	}
	return files
}

// namedFiles are the files that the configuration names, as it spells them.
func (cfg *configuration) namedFiles() []string {
	var files []string
	for _, p := range cfg.stages {
		for _, f := range p.Files() {
			files = append(files, f.Path)
		}
	}
	return files
}

// covers reports whether the directory dir is path or an ancestor of it.
func covers(dir, path string) bool {
	rel, err := filepath.Rel(dir, path)
	return err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator))
}

// limits bound the reading of one request.
func (cfg *configuration) limits() conn.Limits {
	s := cfg.file.Server
	return conn.Limits{RequestBytes: int(s.MaxRequestBytes), Depth: s.MaxDepth, ReadTimeout: s.ReadTimeout}
}

// server is the daemon's server; what the configuration leaves out has the
// defaults of package conn.
func (cfg *configuration) server(chain conn.Chain, log hclog.Logger) *conn.Server {
	s := cfg.file.Server
	return &conn.Server{
		Chain: chain, Limits: cfg.limits(), Log: log.Named("conn"),
		MaxConnections: s.MaxConnections, MaxConnectionsPerUser: s.MaxConnectionsPerUID,
		MaxBytesInFlight: int64(s.MaxBytesInFlight), AllowedUsers: s.AllowedUIDs,
	}
}
