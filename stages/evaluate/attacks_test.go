package evaluate

import (
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/Huzefaaa2/cavra/go/cavra-runtime/pipeline"
	"github.com/Huzefaaa2/cavra/go/cavra-runtime/pipeline/pipelinetest"
)

// What somebody who tried to talk a way past the stage came up with. None of it
// may be allowed; WS stands for the workspace, and beside it lies hmac.key.
var attacks = map[string]request{
	"a doubled slash before a key":       {ActionType: "execute_command", Target: "cat WS/..//hmac.key"},
	"a dot before a key":                 {ActionType: "execute_command", Target: "cat WS/./../hmac.key"},
	"a relative way to a key":            {ActionType: "execute_command", Target: "cat ../hmac.key"},
	"a key behind an option":             {ActionType: "execute_command", Target: "cat --file=../hmac.key -f../hmac.key"},
	"our policy, spelt otherwise":        {ActionType: "execute_command", Target: "cat conf/./policy.json"},
	"our policy, from its directory":     {ActionType: "execute_command", Target: "cat policy.json", Cwd: "conf"},
	"our policy, by a glob":              {ActionType: "execute_command", Target: "cat c*/p*"},
	"a home directory":                   {ActionType: "execute_command", Target: "cat ~/.ssh/id_rsa"},
	"a glob that becomes a word":         {ActionType: "execute_command", Target: "git pus[h] origin main"},
	"another":                            {ActionType: "execute_command", Target: "git pus? origin main"},
	"braces with a quoted one inside":    {ActionType: "execute_command", Target: "git {-c'a.b=}',push,origin,main}"},
	"braces in braces":                   {ActionType: "execute_command", Target: "git {{x},push} o"},
	"braces with an escaped one":         {ActionType: "execute_command", Target: `git {a\},b}`},
	"a command that is a path":           {ActionType: "execute_command", Target: "cat/../evil.sh"},
	"another command that is a path":     {ActionType: "execute_command", Target: "git/../bin/sh -c 'rm -rf x'"},
	"a relative cwd":                     {ActionType: "read_file", Target: "../.env", Cwd: "sub"},
	"a file from its directory":          {ActionType: "read_file", Target: "a", Cwd: "secrets"},
	"a key from above":                   {ActionType: "read_file", Target: "hmac.key", Cwd: ".."},
	"a write from its directory":         {ActionType: "write_file", Target: "policy.json", Cwd: "conf"},
	"a directory of ours":                {ActionType: "write_file", Target: "conf"},
	"a torn log":                         {ActionType: "write_file", Target: "log.jsonl.torn-3"},
	"a rotated log":                      {ActionType: "write_file", Target: "log.jsonl.000001"},
	"a log to follow":                    {ActionType: "write_file", Target: "log.jsonl.next"},
	"a checkpoint":                       {ActionType: "write_file", Target: "log.jsonl.checkpoint"},
	"a name cut by a NUL":                {ActionType: "read_file", Target: ".env\x00.txt"},
	"a key cut by a NUL":                 {ActionType: "read_file", Target: "../hmac.key\x00"},
	"a cwd cut by a NUL":                 {ActionType: "read_file", Target: "a", Cwd: "WS/secrets\x00"},
	"a push cut by a NUL":                {ActionType: "git_operation", Operation: "push\x00", Target: "main"},
	"a push by its path":                 {ActionType: "git_operation", Operation: "/usr/bin/git push", Target: "origin main"},
	"a push by sudo":                     {ActionType: "git_operation", Operation: "sudo git push", Target: "origin main"},
	"a push with a variable":             {ActionType: "git_operation", Operation: "GIT_DIR=. git push", Target: "origin main"},
	"a push with an unknown flag":        {ActionType: "git_operation", Operation: "git --attr-source HEAD push", Target: "origin main"},
	"a push of a subtree":                {ActionType: "git_operation", Operation: "git subtree push", Target: "origin main"},
	"a push of another kind":             {ActionType: "git_operation", Operation: "git send-pack", Target: "origin main"},
	"a forced push in one word":          {ActionType: "git_operation", Operation: "force-push", Target: "origin main"},
	"a push with what is not seen":       {ActionType: "git_operation", Operation: "push\u200b", Target: "origin main"},
	"a push in quotes behind another":    {ActionType: "git_operation", Operation: "fetch;pu''sh", Target: "origin main"},
	"a push in two lines":                {ActionType: "git_operation", Operation: "pu\\\nsh", Target: "origin main"},
	"a push of a subtree, in its target": {ActionType: "git_operation", Operation: "subtree", Target: "push origin main"},
	"a push behind another operation":    {ActionType: "git_operation", Operation: "pull", Target: "; git push origin main"},
	"a file by its address":              {ActionType: "write_file", Target: "file://WS/conf/policy.json"},
	"a file by a short address":          {ActionType: "read_file", Target: "FILE:.env"},
	"a cwd by its address":               {ActionType: "execute_command", Target: "cat a", Cwd: "file://WS/secrets"},
	"a home directory as cwd":            {ActionType: "execute_command", Target: "cat a", Cwd: "~"},
	"a file of a home directory":         {ActionType: "read_file", Target: "~/a"},
	"a push behind blanks":               {ActionType: "git_operation", Operation: " ", RequestedOperation: "push", Target: "main"},
	"a push of very many words":          {ActionType: "git_operation", Operation: "push", Target: strings.Repeat("a ", 100000)},
	"a target that says another tool":    {ActionType: "mcp_tool_call", Server: "github", Target: "evil"},
	"a blocked server in another case":   {ActionType: "mcp_tool_call", Server: "Evil", Tool: "t"},
	"an approval that is not seen":       {ActionType: "release_governance_record", ReleaseGovernance: &release{ApprovalState: "approved", ApprovalID: "\u200b"}},
	"a tampered artifact, not seen":      {ActionType: "release_governance_record", ReleaseGovernance: &release{ApprovalState: "approved", ApprovalID: "1", IntegrityStatus: "tam\u200bpered"}},
}

func TestNoAttackIsAllowed(t *testing.T) {
	dir := t.TempDir()
	ws := filepath.Join(dir, "ws")
	for _, sub := range []string{"conf", "secrets", "sub"} {
		if err := os.MkdirAll(filepath.Join(ws, sub), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	policy := filepath.Join(ws, "conf", "policy.json")
	if err := os.WriteFile(policy, []byte(`{"metadata": {"id": "p"},
		"filesystem": {"block_read": [".env", "secrets/**"]},
		"commands": {"block": ["git push*"], "allow": ["git*", "cat*"]},
		"mcp": {"allowed_servers": ["github"], "blocked_servers": ["evil"], "block_unknown_servers": false}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	s := newStage(t, Options{Policy: policy}, pipeline.Env{Workspace: ws, Files: []pipeline.File{
		{Path: policy}, {Path: filepath.Join(dir, "hmac.key"), Secret: true}, {Path: filepath.Join(ws, "log.jsonl")},
	}})
	ask := func(req request) pipelinetest.Result {
		for _, text := range []*string{&req.Target, &req.Cwd} {
			*text = strings.ReplaceAll(*text, "WS", ws)
		}
		x := pipelinetest.NewExchange("{}")
		x.Request = &req
		return pipelinetest.Handle(t, s, x)
	}
	for name, req := range attacks {
		if r := ask(req); r.Response.Decision == "allow" {
			t.Errorf("%s: %q %q is allowed: %s", name, req.Operation, req.Target, r.Response.Reason)
		}
	}
	// What looks alike and is harmless stays allowed.
	for _, req := range []request{
		{ActionType: "execute_command", Target: "cat README.md"},
		{ActionType: "execute_command", Target: `git commit -m "a * b"`},
		{ActionType: "execute_command", Target: "git show HEAD~1"},
		{ActionType: "execute_command", Target: "git show HEAD@{1}"},
		{ActionType: "read_file", Target: "sub/a", Cwd: "WS"},
		{ActionType: "read_file", Target: "conf/policy.json"},
		{ActionType: "write_file", Target: "conf/notes.md"},
		{ActionType: "git_operation", Operation: "stash push"},
		{ActionType: "git_operation", Operation: "pushd"},
		{ActionType: "git_operation", Operation: "commit", Target: "push"},
		{ActionType: "write_file", Target: "~$notes.docx"},
		{ActionType: "read_file", Target: "file.txt"},
		{ActionType: "mcp_tool_call", Target: "github:list_issues"},
	} {
		if r := ask(req); r.Response.Decision != "allow" {
			t.Errorf("%s %q: %s by %s: %s", req.Operation, req.Target, r.Response.Decision, r.Response.RuleID, r.Response.Reason)
		}
	}
}

// A token in what a reason quotes is hidden before it is escaped or cut, since
// redaction would not find it again.
func TestReasonsQuoteNoToken(t *testing.T) {
	b64 := func(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }
	header, payload, signature := b64(`{"alg":"RS256","typ":"JWT"}`), b64(`{"sub":"`+strings.Repeat("nobody", 60)+`"}`), b64("no signature at all")
	s := newStage(t, Options{}, pipeline.Env{Workspace: t.TempDir()})
	for _, token := range []string{
		header + "." + payload + "." + signature,
		header[:10] + "\n" + header[10:] + "." + payload + "." + signature,
		header + "." + payload[:8] + "\r\n" + payload[8:] + "." + signature,
	} {
		for _, req := range []request{
			{ActionType: token},
			{ActionType: "read_file", Target: "/x/" + token + "/server.pem"},
			{ActionType: "git_operation", Operation: "push --" + token, Target: "a"},
			{PolicyPack: token},
		} {
			x := pipelinetest.NewExchange("{}")
			x.Request = &req
			reason := pipelinetest.Handle(t, s, x).Response.Reason
			text, _ := json.Marshal(reason)
			if strings.Contains(reason, header[12:]) || strings.Contains(reason, payload[20:40]) || strings.Contains(reason, signature) {
				t.Errorf("the reason holds part of the token: %s", text)
			}
		}
	}
}

// Options of git that run or open something else, and a comment that an
// interactive shell may not skip.
func TestNoAttackByGitOrCommentIsAllowed(t *testing.T) {
	policy := filepath.Join(t.TempDir(), "policy.json")
	if err := os.WriteFile(policy, []byte(`{"metadata": {"id": "p"},
		"filesystem": {"block_read": [".env"], "block_write": ["*.tf"]},
		"commands": {"block": ["rm -rf*", "git reset *--hard*"], "allow": ["git*", "echo*"]}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	s := newStage(t, Options{Policy: policy}, pipeline.Env{Workspace: t.TempDir()})
	for line, want := range map[string]string{
		"echo a #; rm -rf x":                    "block",
		"echo a # b":                            "require_approval",
		"git --exec-path=/x status":             "require_approval",
		"git -c core.pager='sh -c evil' log":    "require_approval",
		"git -C sub -c core.fsmonitor=x status": "require_approval",
		"git log --output=main.tf":              "block",
		"git log --output main.tf":              "block",
		"git reset HEAD~1 --har":                "block",
		"git diff --no-index /dev/null .env":    "block",
		"git switch -c agent/x":                 "allow",
		"git commit -c HEAD":                    "allow",
		"git --exec-path":                       "allow",
		"git log --grep='#1'":                   "allow",
		"git status":                            "allow",
	} {
		x := pipelinetest.NewExchange("{}")
		x.Request = &request{ActionType: "execute_command", Target: line}
		if r := pipelinetest.Handle(t, s, x); r.Response.Decision != want {
			t.Errorf("%s: %s by %s (%s), want %s", line, r.Response.Decision, r.Response.RuleID, r.Response.Reason, want)
		}
	}
}
