#!/usr/bin/env bash
# Asks cavra-runtime whether a release may go on, in one step of a CI job: starts a
# daemon, sends it the request with a proof of who the runner is, stops the daemon
# and verifies the evidence. Ends with 0 only where the decision is the expected one
# and its record is in a valid log. It needs bash and coreutils; README.md beside it
# lists the variables.
[ -n "${BASH_VERSION:-}" ] || { echo "cavra-release-governance-runner: this shell is not bash; run it with bash" >&2 && exit 1; }
set -euo pipefail +C
export LC_ALL=C
umask 077

readonly title="CAVRA release governance"
runtime=${CAVRA_RUNTIME_PATH:-cavra-runtime}
request=${CAVRA_RELEASE_GOVERNANCE_REQUEST:-}
expected=${CAVRA_EXPECTED_DECISION:-allow}
expected_rule=${CAVRA_EXPECTED_RULE_ID:-}
allow_blocking=${CAVRA_ALLOW_BLOCKING_DECISION:-false}
evidence=${CAVRA_RELEASE_GOVERNANCE_EVIDENCE_DIR:-.cavra/go-daemon}
log=${CAVRA_RUNTIME_EVIDENCE_LOG:-$evidence/release-governance-evidence.jsonl}
response=${CAVRA_RELEASE_GOVERNANCE_RESPONSE:-$evidence/release-governance-response.json}
claims=${CAVRA_RUNNER_AUTH_CLAIMS:-$evidence/runner-auth-claims.json}
verification=$evidence/release-governance-evidence-verification.json

# What the steps leave for the report.
problem='' prepared='' serves='' started='' asked='' cancelled='' child='' scratch='' answer='' report='' value=''

# plain TEXT [LENGTH] prints a text that a request may have a say in, so that it can
# neither end the line, nor be taken for Markdown, HTML or a command to the CI
# provider (##vso[, ::error).
plain() {
	local text=${1:0:${2:-300}} quotes='[\\"`]' others="[^A-Za-z0-9 .,:;_/()'=+@-]"
	text=${text//\\\"/\'}
	text=${text//$quotes/\'}
	printf '%s' "${text//$others/?}"
}

# quoted TEXT prints a text as a JSON string.
quoted() {
	local text=${1//\\/\\\\}
	text=${text//\"/\\\"}
	printf '"%s"' "${text//[^ -~]/?}"
}

# fault TEXT keeps what is wrong; what comes first is the cause of what follows.
fault() { problem=${problem:-$1}; }

fail() {
	fault "$1"
	exit 1
}

# said prints what the last step wrote to its standard error, as one line that is
# never empty. Warnings, which the daemon's log holds too, would push the cause out.
said() {
	local line text=
	while IFS= read -r line || [ -n "$line" ]; do
		case $line in *' [WARN]  '*) continue ;; esac
		case $text in '') ;; *[:\;]) text+=' ' ;; *) text+='; ' ;; esac
		text+=${line#cavra-runtime: }
	done <"$scratch/stderr"
	printf '%s' "${text:-it ended with code $code, and said nothing}"
}

# find PATTERN TEXT sets value to what the pattern's first group finds in JSON that
# the runtime wrote, and fails where that is nothing. A quote inside of a string
# follows a backslash there, so that no string passes for a member.
find() {
	value=
	if [[ $2 =~ $1 ]]; then value=${BASH_REMATCH[1]}; fi
	[ -n "$value" ]
}

# member NAME TEXT sets value to the string that a member holds.
member() { find "[{,]\"$1\":\"(([^\"\\\\]|\\\\.)*)\"" "$2"; }

# plain_file PATH tells whether a file can be read without waiting for its end, and
# is the one that it is named for: a checkout may bring links, a former step more.
plain_file() { [ -f "$1" ] && [ ! -L "$1" ]; }

# A signal is only noted and handed to the step that runs: what was started is
# always known, and always stopped.
noted() {
	cancelled=$1 interrupted=1
	if [ -n "$child" ]; then kill -TERM "$child" 2>/dev/null || :; fi
}

# run OUT COMMAND… runs a step with its output in a file, and sets code to how it
# ended. Where a signal comes, bash may not know how it ended.
run() {
	local out=$1
	shift
	"$@" >"$out" 2>"$scratch/stderr" </dev/null &
	child=$!
	if [ -n "$cancelled" ]; then kill -TERM "$child" 2>/dev/null || :; fi
	interrupted=1
	while [ -n "$interrupted" ]; do
		interrupted=
		wait "$child" 2>/dev/null && code=0 || code=$?
	done
	child=
}

# uncancelled ends the run where a signal has come.
uncancelled() {
	[ -z "$cancelled" ] || fail "the job was cancelled (SIG$cancelled); run it again for a decision"
}

# The steps that run apart, each without the secrets that it has no use for.
daemon() {
	local named=${CAVRA_RUNNER_AUTH_OIDC_TOKEN_ENV:-}
	unset CAVRA_RUNNER_AUTH_OIDC_TOKEN CAVRA_RUNNER_AUTH_OIDC_TOKEN_FILE CAVRA_RUNNER_OIDC_AUTO ACTIONS_ID_TOKEN_REQUEST_TOKEN \
		CAVRA_GITLAB_OIDC_TOKEN GITLAB_OIDC_TOKEN CI_JOB_JWT_V2 SYSTEM_ACCESSTOKEN CAVRA_AZURE_OIDC_REQUEST_TOKEN CAVRA_AZURE_OIDC_TOKEN \
		CIRCLE_OIDC_TOKEN_V2 CIRCLE_OIDC_TOKEN BUILDKITE_AGENT_ACCESS_TOKEN
	exec env ${named:+-u "$named"} "$runtime" --lifecycle=start --lifecycle-timeout=10s "$@"
}
client() {
	unset CAVRA_DAEMON_EVIDENCE_HMAC_KEY CAVRA_DAEMON_EVIDENCE_CHECKPOINT_KEY
	exec "$runtime" --daemon --json "$@"
}

# place makes room for what is written, and leads no file of others astray.
place() {
	local file path
	scratch=$(mktemp -d "${TMPDIR:-/tmp}/cavra.XXXXXXXX" 2>/dev/null) || fail "there is no directory for temporary files; set TMPDIR to one that can be written"
	socket=${CAVRA_RUNTIME_SOCKET:-$scratch/runtime.sock}
	# Below the working directory the checkout says what is a link, and where to.
	for path in "$evidence/." "$response" "$claims"; do
		path=${path#"$PWD"/}
		while [[ $path == *//* ]]; do path=${path/\/\///}; done # a slash at the end hides a link
		while [[ $path == ?*/* ]]; do
			path=${path%/*}
			[ ! -L "$path" ] || fail "$path is a link, which would lead out of where the evidence belongs; remove it"
			case $path in /*) break ;; esac
		done
	done
	for file in "$log" "$response" "$claims" "$verification"; do
		if [ "$file" -ef "$request" ]; then fail "CAVRA_RELEASE_GOVERNANCE_REQUEST is a file that this step writes; keep the request outside of $evidence"; fi
	done
	for file in "$response" "$claims" "$verification"; do
		if [ "$file" -ef "$log" ]; then fail "$file is the log of the evidence, which this step would empty; set CAVRA_RUNTIME_EVIDENCE_LOG to a file of its own"; fi
	done
	if ! {
		mkdir -p -- "$evidence" "$(dirname -- "$response")" && rm -f -- "$response" "$verification" && : >"$verification" && [ ! -e "$response" ]
	} 2>/dev/null; then
		fail "there is no writing to $evidence, or to where the response belongs; set CAVRA_RELEASE_GOVERNANCE_EVIDENCE_DIR to a directory that can"
	fi
	prepared=1
	if ! { [ "$claims" != "$response" ] && [ ! "$claims" -ef "$verification" ] && mkdir -p -- "$(dirname -- "$claims")" && rm -f -- "$claims"; } 2>/dev/null; then
		fail "there is no writing to $claims; set CAVRA_RUNNER_AUTH_CLAIMS to a file of its own that can"
	fi
}

# prepare checks what is asked for, and writes down who the runner is.
prepare() {
	local name
	# What Azure Pipelines does not know stays $(name), and would make a key of it.
	for name in "${!CAVRA_@}"; do
		case ${!name} in
		*\$\(*[!A-Za-z0-9._]*\)*) ;;
		*\$\(?*\)*) fail "$name holds the name of a variable and not its value; define that variable for this job" ;;
		esac
	done
	case $expected in allow | require_approval | block) ;; *) fail "CAVRA_EXPECTED_DECISION is '$expected'; set it to allow, require_approval or block" ;; esac
	case $allow_blocking in true | false) ;; *) fail "CAVRA_ALLOW_BLOCKING_DECISION is '$allow_blocking'; set it to true or false" ;; esac
	[ -n "$request" ] || fail "CAVRA_RELEASE_GOVERNANCE_REQUEST is not set; set it to the file that holds the request"
	{ [ -f "$request" ] && [ -r "$request" ]; } || fail "the request $request is no file that can be read; set CAVRA_RELEASE_GOVERNANCE_REQUEST to the file that holds it"
	name=$(type -P -- "$runtime") || fail "the program $runtime is not there, or may not be run (chmod +x); install it, or set CAVRA_RUNTIME_PATH to its path"
	runtime=$name

	# A token made for CAVRA is there to be used.
	if [ -z "${CAVRA_RUNNER_OIDC_AUTO:+x}${CAVRA_RUNNER_AUTH_OIDC_TOKEN:+x}${CAVRA_RUNNER_AUTH_OIDC_TOKEN_FILE:+x}" ] &&
		[ -n "${CAVRA_GITLAB_OIDC_TOKEN:+x}${CAVRA_AZURE_OIDC_TOKEN:+x}${CAVRA_RUNNER_AUTH_OIDC_TOKEN_ENV:+x}" ]; then
		export CAVRA_RUNNER_OIDC_AUTO=true
	fi
	run "$claims" "$runtime" --print-runner-claims
	uncancelled
	[ "$code" = 0 ] || fail "$runtime does not tell who the runner is (exit code $code): $(said); is the program whole, and made for this system?"
}

start() {
	local options=("--socket=$socket" "--evidence-log=$log" "--log-file=$evidence/cavra-runtime.log") token=
	case ${CAVRA_RUNNER_OIDC_AUTO:-false} in [Ff]alse | FALSE | 0 | [Nn]o) ;; *) token=1 ;; esac
	token=$token${CAVRA_RUNNER_AUTH_OIDC_TOKEN:+1}${CAVRA_RUNNER_AUTH_OIDC_TOKEN_FILE:+1}
	if [ -n "$token" ] && [ -z "${CAVRA_RUNNER_OIDC_ISSUER:-}" ]; then
		fail "there is a token, and nothing to check it with; set CAVRA_RUNNER_OIDC_ISSUER, CAVRA_RUNNER_OIDC_AUDIENCE and CAVRA_RUNNER_OIDC_JWKS_URL"
	fi
	proven=$token${CAVRA_RUNNER_AUTH_HMAC_KEY:+1}${CAVRA_RUNNER_OIDC_ISSUER:+1}
	if [ -z "$proven" ] && [ -n "${CAVRA_RUNNER_AUTH_KEY_ID:-}" ]; then
		fail "CAVRA_RUNNER_AUTH_HMAC_KEY did not reach this job, and CAVRA_RUNNER_AUTH_KEY_ID did; give the job that secret, which may be kept for protected branches"
	fi
	if [ -n "$proven" ]; then
		printf '%s\n' 'stages:' '- decode' '- auth' '- evaluate: {require_proven_identity_for_release: true}' '- redact' '- evidence' >"$scratch/daemon.yaml"
		options+=("--config=$scratch/daemon.yaml")
	fi
	if [ -n "${CAVRA_RUNNER_OIDC_ISSUER:-}" ]; then # the tokens of other repositories are not for this daemon
		find '"repository": "(([^"\\]|\\.)*)"' "$(<"$claims")" || fail "$claims names no repository; set CAVRA_RUNNER_REPOSITORY"
		options+=("--runner-oidc-require=repository=$value")
	fi
	# Whatever serves a socket in a directory of our own is ours to stop, even where
	# the start does not live to tell.
	[ -n "${CAVRA_RUNTIME_SOCKET:-}" ] || serves=1
	run "$scratch/started" daemon "${options[@]}"
	case $(<"$scratch/started") in *'"message":"the runtime has started"'*) serves=1 started=1 ;; esac
	uncancelled
	[ "$code$started" = 01 ] || fail "the daemon did not start: $(said)"
}

ask() {
	local options=("--socket=$socket" "--input=$request" "--expect-decision=$expected")
	[ -z "$expected_rule" ] || options+=("--expect-rule=$expected_rule")
	[ -z "$proven" ] || options+=("--runner-auth-claims=$claims")
	run "$response" client "${options[@]}"
	uncancelled
	{ [ "$code" = 0 ] && [ -s "$response" ]; } || fault "$(said)"
	asked=1
}

# judge holds the answer to what was asked for: again, since the client has compared
# what came over the socket, and this is what is kept.
judge() {
	member decision "$answer"
	[ "$value" = "$expected" ] || fault "$response holds another decision than the expected one, $(plain "$value"); let nothing else write there"
	if [ "$value" = block ] && [ "$allow_blocking" = false ]; then
		fault "the block was expected, and blocks all the same; set CAVRA_ALLOW_BLOCKING_DECISION to true for it to pass"
	fi
	member rule_id "$answer"
	[ "$value" = "${expected_rule:-$value}" ] || fault "$response holds another rule than the expected one, $(plain "$value"); let nothing else write there"
	case $expected_rule:$value in
	?*:* | :release_governance.*) ;;
	*) fault "$(plain "$value") decided, which is no rule of release governance; send a release record, or set CAVRA_EXPECTED_RULE_ID" ;;
	esac
}

# verify checks the log, and that the last of its records holds the answer, byte for
# byte. An answer that nothing records is none, unless it is a block.
verify() {
	"$runtime" --verify-evidence "--evidence-log=$log" >"$verification" 2>"$scratch/stderr" </dev/null
	local code=$?
	report=$(<"$verification")
	[ -n "$report" ] || fault "the evidence cannot be verified: $(said)"
	[ "$code" = 0 ] || fault "the evidence is not valid (exit code $code); $verification says what is wrong with it"
	find '[{,]"records":([0-9]+)' "$report"
	[ "${value:-0}" != 0 ] || fault "the evidence holds no record; $evidence/cavra-runtime.log says more"
	case $(tail -n 1 -- "$log" 2>/dev/null) in
	*",\"response\":$answer}" | *",\"response\":$answer,\"signature\":{"*) ;;
	*)
		fault "the answer is not what $log recorded last; let nothing else use that log or the socket"
		member decision "$answer" && [ "$value" = block ] || answer=
		;;
	esac
}

# line NAME TEXT prints a line of the summary.
line() { printf '%-12s %s\n' "$1" "$(plain "$2" 900)"; }

# summary prints what there is to say.
summary() {
	local decision rule severity text none=
	if [ -n "$answer" ]; then
		member decision "$answer" && decision=$value
		member rule_id "$answer" && rule=$value
		member severity "$answer" && severity=$value
		line decision "$(plain "$decision") by $(plain "$rule"), $(plain "$severity")"
		member reason "$answer" && line reason "$value"
	else
		line decision 'none, which is a block'
	fi
	line expected "$expected${expected_rule:+ by $expected_rule}"
	if [ -n "$answer" ]; then
		case $answer in *'"runner-auth://none"'*) none=1 ;; esac
		find '[[,]"(runner-auth://[^"\\]*)"' "$answer" && line identity "$value${none:+, so anybody could have asked; give this step a token or a key}"
		member decision_id "$answer" && line 'decision id' "$value"
	fi
	if [ -n "$report" ]; then
		line evidence "$log"
		find '[{,]"valid":(true|false)' "$report" && line valid "$value"
		find '[{,]"records":([0-9]+)' "$report" && line size "$value"
		member root "$report" && line root "$value"
	fi
	if [ -n "$started" ] && plain_file "$log.checkpoint"; then # or it is not of this daemon
		printf 'checkpoint\n'
		while IFS= read -r text; do # its last line begins with a dash that is not ASCII
			case $text in '— '*) printf '  — %s\n' "$(plain "${text#— }")" ;; *) printf '  %s\n' "$(plain "$text")" ;; esac
		done <"$log.checkpoint"
	fi
	[ -z "$problem" ] || line problem "$problem"
}

# outputs prints the outputs of a step of GitHub Actions. Nobody foresees what ends a
# value, so that one with newlines stays one.
outputs() {
	local name text passed=true end=end-${scratch##*.}
	[ -z "$problem" ] || passed=false
	text=${answer:-'{"decision":"block","rule_id":"runner.no_answer"}'}
	for name in decision rule_id decision_id; do
		member "$name" "$text"
		printf '%s<<%s\n%s\n%s\n' "$name" "$end" "$(plain "$value")" "$end"
	done
	printf 'evidence<<%s\n%s\n%s\npassed<<%s\n%s\n%s\n' "$end" "$evidence" "$end" "$end" "$passed" "$end"
}

# finish runs whatever happens: it stops the daemon, completes the evidence, and
# says how it went.
finish() {
	local code=$? verdict=FAILED text
	trap - EXIT
	trap '' HUP INT TERM # what follows takes a moment, and must be done
	set +e
	[ -n "$asked" ] || fault "this step ended early (exit code $code); run it again with bash -x"
	if [ -n "$serves" ]; then
		"$runtime" --lifecycle=stop --lifecycle-timeout=10s "--socket=$socket" >"$scratch/started" 2>"$scratch/stderr" </dev/null
		code=$?
		[ "$code" = 0 ] || fault "the daemon was not stopped: $(said)"
	fi
	if [ -n "$prepared" ]; then
		if plain_file "$response"; then { answer=$(<"$response"); } 2>/dev/null; fi
		if [ -z "$problem" ]; then judge; fi
		if plain_file "$log"; then verify; else fault "there is no $log; $evidence/cavra-runtime.log says more"; fi
		if [ -z "$answer" ]; then
			printf '{"rule_id":"runner.no_answer","decision":"block","severity":"critical","reason":%s}\n' "$(quoted "$problem")" 2>/dev/null >"$response"
		fi
		if [ -z "$report" ]; then
			printf '{"path":%s,"valid":false,"records":0,"signed_records":0,"errors":[%s]}\n' "$(quoted "$log")" "$(quoted "$problem")" >"$verification"
		fi
	fi
	[ -n "$problem" ] || verdict=passed
	text=$(summary)
	if [ -n "${GITHUB_STEP_SUMMARY:-}" ]; then
		printf '### %s: %s\n\n%s\n%s\n%s\n' "$title" "$verdict" '```text' "$text" '```' 2>/dev/null >>"$GITHUB_STEP_SUMMARY"
	fi
	if [ -n "${GITHUB_OUTPUT:-}" ]; then outputs 2>/dev/null >>"$GITHUB_OUTPUT"; fi
	[ -z "$scratch" ] || rm -rf -- "$scratch"
	# Last, since whoever reads may be gone.
	printf '%s: %s\n%s\n' "$title" "$verdict" "$text"
	[ -n "$problem" ] || exit 0
	printf 'cavra-release-governance-runner: %s\n' "$(plain "$problem" 900)" >&2
	case $cancelled in HUP) exit 129 ;; INT) exit 130 ;; TERM) exit 143 ;; esac
	exit 1
}

trap finish EXIT
trap 'noted HUP' HUP
trap 'noted INT' INT
trap 'noted TERM' TERM
place
prepare
start
ask
