package main

import (
	"fmt"
	"io"
	"os"
	"reflect"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	enforcementv1 "github.com/Huzefaaa2/cavra/go/cavra-runtime/enforcement/v1"
)

const description = `Decides before an agent or a CI runner acts, and records the decision.

Without a mode it reads one request from --input, judges it in process and prints the decision.
An empty variable counts as unset. Prefer a variable or a key file to a key flag: a command line can be read by others on the host.`

// cli is the command line. Every value is read as text and checked later, so
// that no message of the parser can print a key.
type cli struct {
	Serve             bool   `group:"Modes" xor:"mode" help:"Run the daemon on --socket."`
	Daemon            bool   `group:"Modes" xor:"mode" help:"Send the request of --input to the daemon on --socket and print its decision."`
	VerifyEvidence    bool   `group:"Modes" xor:"mode" help:"Verify the log of --evidence-log, with all of its rotated files, and print a report. A rotated file that is named is verified alone; - is standard input. Exit codes: 0 valid, 1 not valid, 2 wrong command line, 3 valid so far while a writer is at work on the last line."`
	ShowEvidence      bool   `group:"Modes" xor:"mode" help:"Print the log of --evidence-log for people, each line with what is wrong with it. Ends with 1 where the log is not valid."`
	Report            string `group:"Modes" xor:"mode" placeholder:"FILE" help:"Write what the log of --evidence-log holds to one HTML page. Ends with 1 where the log is not valid."`
	Prove             string `group:"Modes" xor:"mode" placeholder:"RECORD_ID" help:"Print a proof that the record stands in the log of --evidence-log, against the checkpoint beside it or that of --evidence-checkpoint."`
	VerifyProof       string `group:"Modes" xor:"mode" placeholder:"FILE" help:"Verify a proof with --evidence-checkpoint-public-key, without the log, and print a report with the decision; - is standard input. Exit codes: 0 valid, 1 not valid."`
	EvidencePublicKey bool   `group:"Modes" xor:"mode" help:"Print the public key of --evidence-checkpoint-key in PEM, for those who verify checkpoints and proofs."`
	Check             bool   `group:"Modes" xor:"mode" help:"Print the effective chain and every fault of configuration and policy."`
	Lifecycle         string `group:"Modes" xor:"mode" placeholder:"ACTION" help:"start, status, reload, stop or restart a daemon in the background, and print what is then known of it as JSON."`
	PolicyTest        string `group:"Modes" xor:"mode" placeholder:"FILE" help:"Judge the cases of FILE and print where the decisions are not the expected ones. Exit codes: 0 none differs, 1 some do, 2 the file or the policy is faulty."`
	Backtest          string `group:"Modes" xor:"mode" placeholder:"LOG" help:"Judge the requests of an evidence log by another policy and print what would change. Exit codes: 0 nothing would newly be allowed, 1 something would, or a line is no record, 2 it cannot be tried."`
	ListPacks         bool   `group:"Modes" xor:"mode" help:"List the built-in policy packs."`
	PrintPack         string `group:"Modes" xor:"mode" placeholder:"NAME" help:"Print a built-in pack as it stands in the program, to be edited and used with --policy."`
	Readiness         bool   `group:"Modes" xor:"mode" help:"Try on this machine what a daemon needs, beside the one that may run, and print what was seen and what to do as JSON."`
	VerifyPackage     string `group:"Modes" xor:"mode" placeholder:"PATH" help:"Verify a release package, a directory or an archive, with --package-key, and print a report. Nothing is unpacked. Exit codes: 0 it is what was signed, 1 it is not, 2 wrong command line."`
	Completion        string `group:"Modes" xor:"mode" placeholder:"SHELL" help:"Print the completions for bash, zsh or fish."`
	Man               bool   `group:"Modes" xor:"mode" help:"Print the manual page."`
	Version           bool   `group:"Modes" xor:"mode" help:"Print the version."`

	Input            string `default:"-" placeholder:"FILE" help:"Where the request is read from; - is standard input."`
	Timeout          string `default:"10s" placeholder:"DURATION" help:"How long --daemon waits for the whole of an answer."`
	ExpectDecision   string `placeholder:"DECISION" help:"End with 1 unless the decision is this one: allow, require_approval or block. Without it the exit code says only whether there is a decision."`
	ExpectRule       string `placeholder:"RULE" help:"End with 1 unless the rule that decided is this one."`
	Quiet            bool   `help:"Print errors only; the exit code tells what --expect-decision and --expect-rule ask."`
	Explain          bool   `help:"Print how the decision comes about instead of the decision alone. With --daemon the daemon decides, and the policy named here explains."`
	JSON             bool   `name:"json" help:"Print JSON for programs where text for people is the default; --show-evidence prints the records as they stand in the log."`
	Socket           string `placeholder:"PATH" help:"The daemon's socket. Default: .cavra/cavra-runtime.sock"`
	PID              string `name:"pid" placeholder:"FILE" help:"The daemon's pid file. Default: the socket's path and .pid"`
	MetricsListen    string `name:"metrics-listen" placeholder:"ADDRESS" help:"Daemon: where Prometheus metrics and GET /healthz are served: HOST:PORT of this host, or unix:PATH. Default: nowhere"`
	MetricsPublic    bool   `name:"metrics-public" help:"Daemon: let --metrics-listen be an address that other hosts can reach."`
	Package          string `placeholder:"PATH" help:"The release package that --readiness verifies with --package-key. Default: none"`
	PackageKey       string `placeholder:"FILE" help:"The public keys, in PEM, of those who may sign a release package. Get it from elsewhere than the package."`
	LifecycleTimeout string `default:"5s" placeholder:"DURATION" help:"How long --lifecycle waits for each step."`

	Config    string `group:"Configuration" placeholder:"FILE" help:"YAML or JSON: the stages in order with their options, and the server's limits. Flags and variables win."`
	Workspace string `group:"Configuration" placeholder:"DIR" help:"What relative targets are taken against where a request names no cwd. Default: the directory the runtime was started in"`
	LogLevel  string `group:"Configuration" placeholder:"LEVEL" help:"trace, debug (every answer), info (blocks), warn or error. Default: info for the daemon, warn for --check, error otherwise"`
	LogJSON   bool   `group:"Configuration" name:"log-json" help:"Log in JSON."`
	LogFile   string `group:"Configuration" placeholder:"FILE" help:"Where the daemon logs to; SIGHUP opens it anew. Default: the socket's path and .log for --lifecycle start, otherwise standard error"`

	Policy      string `group:"Policy" placeholder:"FILE" help:"A policy, YAML or JSON, that judges every request. Default: the built-in packs"`
	PolicyPacks string `group:"Policy" placeholder:"A,B" help:"The built-in packs that a request may pick; the first is the default. Default: all of them"`
	Registry    string `group:"Policy" placeholder:"FILE" help:"The trust registry of MCP servers."`

	EvidenceLog                 string `group:"Evidence" placeholder:"FILE" help:"Where decisions are recorded."`
	EvidenceSync                string `group:"Evidence" placeholder:"MODE" help:"always (a decision is durable before it is answered), interval or off. Default: always"`
	EvidenceSigningKey          string `group:"Evidence" env:"CAVRA_DAEMON_EVIDENCE_HMAC_KEY" placeholder:"KEY" help:"The HMAC key that signs records."`
	EvidenceSigningKeyID        string `group:"Evidence" env:"CAVRA_DAEMON_EVIDENCE_KEY_ID" name:"evidence-signing-key-id" placeholder:"ID" help:"Names that key."`
	EvidenceRequireSignature    bool   `group:"Evidence" help:"Refuse to record, or to verify, without a signing key."`
	EvidenceRotateSize          string `group:"Evidence" placeholder:"SIZE" help:"Daemon: close the log under a number, as FILE.000001, once it has this size, such as 256MiB, and begin another. Default: only at SIGUSR1"`
	EvidenceCheckpointKey       string `group:"Evidence" env:"CAVRA_DAEMON_EVIDENCE_CHECKPOINT_KEY_FILE" placeholder:"FILE" help:"The Ed25519 private key, in PEM, that signs checkpoints of the log; CAVRA_DAEMON_EVIDENCE_CHECKPOINT_KEY may hold the PEM itself. Make one with: openssl genpkey -algorithm ed25519"`
	EvidenceCheckpoint          string `group:"Evidence" placeholder:"FILE" help:"A checkpoint that was kept elsewhere: what --verify-evidence, --show-evidence and --report hold the log to, --prove proves against, and --verify-proof takes the log's name from."`
	EvidenceCheckpointPublicKey string `group:"Evidence" placeholder:"FILE" help:"The public keys, in PEM, that checkpoints and proofs are verified with. Daemon: after a change of keys, those of before."`
	EvidenceVerifyOnStart       bool   `group:"Evidence" help:"Verify the whole log at start and not only its last 64 MiB."`

	Follow bool     `group:"Reading evidence" help:"Go on with what is added to the log, also where it is rotated."`
	Filter []string `group:"Reading evidence" sep:"none" placeholder:"KEY=PATTERN" help:"Only records like this, such as decision=block or target!=docs/*; * stands for any run of characters. Keys: decision, severity, rule, actor, action, target, agent, session, policy. May be repeated: all must hold. A line with a fault is shown all the same."`
	Since  string   `group:"Reading evidence" placeholder:"TIME" help:"Only records from then on: a time in RFC 3339, a date (UTC), or how long ago, such as 2h or 7d."`
	Limit  string   `group:"Reading evidence" placeholder:"N" help:"Only the last N lines of those that would be shown."`

	PrintRunnerClaims       bool     `group:"Modes" xor:"mode" help:"Print the identity that --runner-auth-claims auto makes of the CI provider's variables."`
	RunnerAuthKey           string   `group:"Runner authentication" env:"CAVRA_RUNNER_AUTH_HMAC_KEY" placeholder:"KEY" help:"The HMAC key of runners: the daemon checks with it, a client signs with it."`
	RunnerAuthKeyID         string   `group:"Runner authentication" env:"CAVRA_RUNNER_AUTH_KEY_ID" name:"runner-auth-key-id" placeholder:"ID" help:"Names that key."`
	RunnerAuthClaims        string   `group:"Runner authentication" placeholder:"FILE|auto" help:"Who the runner says it is: a RunnerIdentity as JSON, or auto for what the CI provider's variables say. Default: auto with a token, otherwise nothing is claimed"`
	RunnerAuthVersion       string   `group:"Runner authentication" name:"runner-auth-version" default:"v2" placeholder:"v1|v2" help:"What a client signs with the HMAC key: v2 holds for one request and a short time; v1, for older daemons, for ever."`
	RunnerAuthRequire       string   `group:"Runner authentication" placeholder:"v2" help:"Daemon: refuse HMAC signatures of v1, which can be replayed."`
	RunnerAuthOIDCToken     string   `group:"Runner authentication" env:"CAVRA_RUNNER_AUTH_OIDC_TOKEN" name:"runner-auth-oidc-token" placeholder:"JWT" help:"Client: the OIDC token that proves who the runner is. It goes before an HMAC key."`
	RunnerAuthOIDCTokenFile string   `group:"Runner authentication" env:"CAVRA_RUNNER_AUTH_OIDC_TOKEN_FILE" name:"runner-auth-oidc-token-file" placeholder:"FILE" help:"Client: the file that holds that token."`
	RunnerOIDCAuto          bool     `group:"Runner authentication" env:"CAVRA_RUNNER_OIDC_AUTO" name:"runner-oidc-auto" help:"Client: get that token from the CI provider: GitHub Actions, GitLab CI, Azure Pipelines, Buildkite or CircleCI."`
	RunnerOIDCIssuer        string   `group:"Runner authentication" env:"CAVRA_RUNNER_OIDC_ISSUER" name:"runner-oidc-issuer" placeholder:"URL" help:"Daemon: the issuer of tokens, as their claim iss has it."`
	RunnerOIDCAudience      string   `group:"Runner authentication" env:"CAVRA_RUNNER_OIDC_AUDIENCE" name:"runner-oidc-audience" placeholder:"NAME" help:"Daemon: the audience that a token must be made for. Client: the one to ask for."`
	RunnerOIDCJWKS          string   `group:"Runner authentication" env:"CAVRA_RUNNER_OIDC_JWKS" name:"runner-oidc-jwks" placeholder:"FILE" help:"Daemon: the issuer's keys."`
	RunnerOIDCJWKSURL       string   `group:"Runner authentication" env:"CAVRA_RUNNER_OIDC_JWKS_URL" name:"runner-oidc-jwks-url" placeholder:"URL" help:"Daemon: where the issuer's keys are fetched from."`
	RunnerOIDCRequire       []string `group:"Runner authentication" name:"runner-oidc-require" sep:"none" placeholder:"NAME=VALUE" help:"Daemon: who gets in, such as repository=octo/*; * stands for any run of characters. May be repeated."`

	flags []*kong.Flag `kong:"-"` // as they were parsed, for who hands them on
}

// parse reads the command line and the environment. done means that the program
// ends with code: after --help, or after a usage error.
func parse(args []string, stdout, stderr io.Writer) (c *cli, code int, done bool) {
	if c := parsePlain(args); c != nil {
		return c, exitOK, false
	}
	return parseFully(args, stdout, stderr)
}

// parseFully is parse for any command line.
func parseFully(args []string, stdout, stderr io.Writer) (c *cli, code int, done bool) {
	type exit int
	c = &cli{}
	parser := newParser(c, kong.Writers(stdout, stderr), kong.Exit(func(code int) { panic(exit(code)) }))
	unsetEmpty(parser.Model.Flags)
	defer func() {
		if p := recover(); p != nil {
			e, ok := p.(exit)
			if !ok {
				panic(p)
			}
			code, done = int(e), true
		}
	}()
	if _, err := parser.Parse(args); err != nil {
		fmt.Fprintf(stderr, "cavra-runtime: %s\ncavra-runtime --help lists the flags.\n", usageFault(err))
		return nil, exitUsage, true
	}
	// An empty variable counts as unset; an empty flag is a variable of the shell
	// that was not set, and would silently mean the default.
	for _, f := range parser.Model.Flags {
		if f.Set && f.Target.Kind() == reflect.String && f.Target.String() == "" {
			fmt.Fprintf(stderr, "cavra-runtime: --%s is empty; give it a value, or leave it out for the default\n", f.Name)
			return nil, exitUsage, true
		}
	}
	c.flags = parser.Model.Flags
	if fault := c.fault(); fault != "" {
		fmt.Fprintf(stderr, "cavra-runtime: %s\n", fault)
		return nil, exitUsage, true
	}
	return c, exitOK, false
}

// newParser is the grammar of the command line, which fills c.
func newParser(c *cli, options ...kong.Option) *kong.Kong {
	parser, err := kong.New(c, append(options,
		kong.Name("cavra-runtime"),
		kong.Description(description),
		kong.ConfigureHelp(kong.HelpOptions{WrapUpperBound: 100}),
	)...)
	if err != nil {
		panic(err) // the struct above is wrong
	}
	return parser
}

// unsetEmpty removes the flags' variables that are set to nothing, since kong
// takes them for values.
func unsetEmpty(flags []*kong.Flag) {
	for _, f := range flags {
		for _, name := range f.Envs {
			if v, set := os.LookupEnv(name); set && v == "" {
				_ = os.Unsetenv(name)
			}
		}
	}
}

// usageFault words an error of the parser. Whatever kong says of a value is left
// out: the value could be a key.
func usageFault(err error) string {
	msg := err.Error()
	switch flag, _, found := strings.Cut(msg, ":"); {
	case strings.HasPrefix(msg, "unknown flag "), strings.Contains(msg, "can't be used together"):
		return msg
	case strings.HasPrefix(msg, "unexpected argument"):
		return "there is an argument that belongs to no flag; every value follows its flag, as in --input FILE"
	case found && strings.HasPrefix(flag, "--") && !strings.ContainsAny(flag, " ="):
		return flag + " needs a value, as in " + flag + "=VALUE"
	}
	return "the command line cannot be read"
}

// fault finds what is wrong with the flags together.
func (c *cli) fault() string {
	if fault := c.lifecycleFault(); fault != "" {
		return fault
	}
	switch {
	case c.VerifyEvidence && c.EvidenceLog == "" && c.Config == "":
		return "--verify-evidence needs --evidence-log FILE, or --config FILE that names one"
	case c.Prove != "" && c.EvidenceLog == "" && c.Config == "":
		return "--prove needs --evidence-log FILE, or --config FILE that names one"
	case c.EvidenceCheckpoint != "" && !c.VerifyEvidence && !c.ShowEvidence && c.Report == "" && c.Prove == "" && c.VerifyProof == "":
		return "--evidence-checkpoint goes with --verify-evidence, --show-evidence, --report, --prove or --verify-proof"
	}
	if c.EvidenceLog == stdinName && !c.VerifyEvidence {
		return "only --verify-evidence reads a log from standard input; name a file"
	}
	if fault := c.packageFault(); fault != "" {
		return fault
	}
	if fault := c.tryFault(); fault != "" {
		return fault
	}
	if d, err := time.ParseDuration(c.Timeout); err != nil || d <= 0 {
		return "--timeout must be a duration over 0, such as 10s"
	}
	if c.Completion != "" && completion(c.Completion) == nil {
		return "--completion must be bash, zsh or fish"
	}
	switch c.ExpectDecision {
	case "", enforcementv1.DecisionAllow, enforcementv1.DecisionRequireApproval, enforcementv1.DecisionBlock:
	default:
		return "--expect-decision must be allow, require_approval or block"
	}
	if fault := c.showFault(); fault != "" {
		return fault
	}
	return c.runnerFault()
}

// asks reports whether the mode sends a request of --input.
func (c *cli) asks() bool {
	for _, f := range c.flags {
		if f.Set && f.Group != nil && f.Group.Key == "Modes" && f.Name != "daemon" {
			return false
		}
	}
	return true
}
