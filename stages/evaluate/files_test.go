package evaluate

import (
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/Huzefaaa2/cavra/go/cavra-runtime/pipeline"
)

var (
	readIsBlocked     = verdict{"block", "filesystem.read.block", "high", ""}
	readIsAllowed     = verdict{"allow", "filesystem.read.allow", "low", ""}
	writeIsBlocked    = verdict{"block", "filesystem.write.block", "high", ""}
	writeNeedsApprove = verdict{"require_approval", "filesystem.write.require_approval", "high", "Platform Security"}
	writeIsAllowed    = verdict{"allow", "filesystem.write.allow", "low", ""}
)

func TestFileRows(t *testing.T) {
	s := withPolicy(t, `{"filesystem":{
		"block_read":[".env","**/*.pem"],
		"block_write":["gen/**"],
		"require_approval_write":["iam/**","gen/**"]}}`, pipeline.Env{})
	tests := []struct {
		name, action, target string
		want                 verdict
	}{
		{"read matches block_read", "read_file", "server.pem", readIsBlocked},
		{"read otherwise", "read_file", "gen/x", readIsAllowed},
		{"write matches block_write", "write_file", "gen/x", writeIsBlocked},
		{"write matches require_approval_write", "write_file", "iam/x", writeNeedsApprove},
		{"write otherwise", "write_file", ".env", writeIsAllowed},
		{"empty target of a read", "read_file", "", invalidRequest},
		{"empty target of a write", "write_file", "", invalidRequest},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.want.check(t, ask(t, s, &request{ActionType: tt.action, Target: tt.target}))
		})
	}
}

// repository makes a directory that holds a repository, and returns its path
// with links resolved.
func repository(t testing.TB) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	makeDir(t, dir, ".git")
	return dir
}

func makeDir(t testing.TB, elem ...string) string {
	t.Helper()
	dir := filepath.Join(elem...)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestEveryFormOfAFile(t *testing.T) {
	repo := repository(t)
	sub := makeDir(t, repo, "app", "deep")
	nested := makeDir(t, repo, "vendored")
	makeDir(t, nested, ".git")
	workspace := makeDir(t, repository(t), "ws")
	above := path.Dir(workspace)

	// Each policy holds one pattern, so each row needs the one form that its name tells.
	tests := []struct {
		name, pattern, target, cwd string
		want                       verdict
	}{
		{"as written", "a/../.env", "a/../.env", "", readIsBlocked},
		{"as written with a trailing slash", "secret/", "secret/", "", readIsBlocked},
		{"cleaned of a dot", ".env", "./.env", "", readIsBlocked},
		{"cleaned of dots", ".env", "a/../.env", "", readIsBlocked},
		{"cleaned of doubled slashes", "a/.env", "a//.env", "", readIsBlocked},
		{"cleaned of a trailing slash", ".env", ".env/", "", readIsBlocked},
		{"cleaned at the root", "/etc/shadow", "/../etc/./shadow", "", readIsBlocked},
		{"absolute by cwd", "/srv/app/.env", ".env", "/srv/app", readIsBlocked},
		{"absolute by an unclean cwd", "/srv/app/.env", ".env", "/srv//x/../app/", readIsBlocked},
		{"relative to cwd", ".env", "/srv/app/.env", "/srv/app", readIsBlocked},
		{"relative to cwd at the root", "etc/shadow", "/etc/shadow", "/", readIsBlocked},
		{"relative to the repository above cwd", "app/deep/key", "key", sub, readIsBlocked},
		{"relative to the repository above cwd, upwards", "app/key", "../key", sub, readIsBlocked},
		{"absolute target, repository above cwd", "app/key", repo + "/app/key", sub, readIsBlocked},
		{"absolute target, repository above itself", "app/deep/key", sub + "/key", "", readIsBlocked},
		{"absolute target, repository above itself, other cwd", "app/deep/key", sub + "/key", "/srv", readIsBlocked},
		{"absolute target that does not exist yet", "no/such/dir/key", repo + "/no/such/dir/key", "", readIsBlocked},
		{"nearest repository", "key", nested + "/key", "", readIsBlocked},
		{"outer repository, around one that anyone can make", "vendored/key", nested + "/key", "", readIsBlocked},
		{"workspace, relative without cwd", workspace + "/key", "key", "", readIsBlocked},
		{"workspace, relative with a cwd that is not absolute", workspace + "/key", "key", "srv", readIsBlocked},
		{"workspace, relative with another cwd", workspace + "/key", "key", "/srv", readIsBlocked},
		{"workspace, absolute and under it", "key", workspace + "/key", "", readIsBlocked},
		{"workspace, absolute and under it, other cwd", "key", workspace + "/key", "/srv", readIsBlocked},
		{"repository above the workspace", "ws/key", "key", "", readIsBlocked},
		{"repository above the workspace, upwards", "key", "../key", "", readIsBlocked},
		{"repository above the workspace, absolute", "ws/key", workspace + "/key", "", readIsBlocked},

		{"a cwd that is not absolute is in the workspace", "srv/key", "key", "srv", readIsBlocked},
		{"a directory is not its neighbour", "x", workspace + "er/x", "", readIsAllowed},
		{"a directory is not beneath itself", "", sub, sub, readIsAllowed},
		{"above a repository is not in it", "above/key", above + "/../above/key", "", readIsAllowed},
		{"case counts", ".ENV", ".env", "", readIsAllowed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			pattern := tt.pattern
			if pattern == "" {
				pattern = "nothing"
			}
			s := withPolicy(t, `{"filesystem":{"block_read":["`+pattern+`"]}}`, pipeline.Env{Workspace: workspace})
			tt.want.check(t, ask(t, s, &request{ActionType: "read_file", Target: tt.target, Cwd: tt.cwd}))
		})
	}
}

func TestTheStrictestFormOfAFileWins(t *testing.T) {
	s := withPolicy(t, `{"filesystem":{"block_write":["/srv/**"],"require_approval_write":["x","/opt/**","./x"]}}`, pipeline.Env{})
	tests := []struct {
		name, target, cwd string
		want              verdict
		reason            string
	}{
		{"block of a later form before approval of the first", "x", "/srv", writeIsBlocked, `made absolute as "/srv/x"`},
		{"approval of a later form before allow", "y", "/opt", writeNeedsApprove, `made absolute as "/opt/y"`},
		{"the first form among equals", "./x", "", writeNeedsApprove, `the target matches "./x"`},
		{"allow", "y", "", writeIsAllowed, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := ask(t, s, &request{ActionType: "write_file", Target: tt.target, Cwd: tt.cwd})
			tt.want.check(t, r)
			if !strings.Contains(r.Reason, tt.reason) {
				t.Errorf("reason %q does not hold %q", r.Reason, tt.reason)
			}
		})
	}
}

func TestAReasonNamesListAndPattern(t *testing.T) {
	s := newStage(t, Options{}, pipeline.Env{})
	r := ask(t, s, &request{ActionType: "read_file", Target: "config/prod.pem"})
	want := `the target matches "**/*.pem" in filesystem.block_read; do without it, or have the policy changed`
	if r.Reason != want {
		t.Errorf("got  %s\nwant %s", r.Reason, want)
	}
}

// strictness orders decisions by how strict they are.
var strictness = map[string]int{"allow": 0, "require_approval": 1, "block": 2}

func TestCleaningNeverWidens(t *testing.T) {
	s := withPolicy(t, `{"filesystem":{"block_write":["a/b","/a/**","**/c"],"require_approval_write":["b/**","./a"]}}`, pipeline.Env{Workspace: "/a/b"})
	rapid.Check(t, func(t *rapid.T) {
		target := rapid.StringMatching(`[abc./]{1,10}`).Draw(t, "target")
		cwd := rapid.SampledFrom([]string{"", "/", "/a", "/b/c/", "b"}).Draw(t, "cwd")
		clean := path.Clean(target)
		if path.Clean(clean) != clean {
			t.Fatalf("cleaning %q twice gives another path", target)
		}
		written := askQuick(s, &request{ActionType: "write_file", Target: target, Cwd: cwd})
		cleaned := askQuick(s, &request{ActionType: "write_file", Target: clean, Cwd: cwd})
		if strictness[written.Decision] < strictness[cleaned.Decision] {
			t.Fatalf("%q is judged %s and cleaned as %q %s", target, written.Decision, clean, cleaned.Decision)
		}
	})
}

func TestMoreFormsAreNeverWeaker(t *testing.T) {
	s := withPolicy(t, `{"filesystem":{"block_write":["a/b","/a/**","c"],"require_approval_write":["b/**","/b/**"]}}`, pipeline.Env{Workspace: "/w"})
	rapid.Check(t, func(t *rapid.T) {
		target := rapid.StringMatching(`[abc./]{1,10}`).Draw(t, "target")
		cwd := rapid.StringMatching(`/[abc/.]{0,6}`).Draw(t, "cwd")
		without := askQuick(s, &request{ActionType: "write_file", Target: target})
		with := askQuick(s, &request{ActionType: "write_file", Target: target, Cwd: cwd})
		if strictness[with.Decision] < strictness[without.Decision] {
			t.Fatalf("%q is judged %s, and with cwd %q %s", target, without.Decision, cwd, with.Decision)
		}
	})
}

// askQuick judges without a chain, for properties.
func askQuick(s *Stage, req *request) pipeline.Decision {
	p, err := s.choice.policyFor(req.PolicyPack)
	if err != nil {
		return pipeline.Decision{Decision: "block"}
	}
	d, err := s.judge(p, req, nil)
	if err != nil {
		return pipeline.Decision{Decision: "block"}
	}
	return d
}

// decideEach asks about commands, and wants the decision that stands beside each.
func decideEach(t *testing.T, s *Stage, wants map[string]string) {
	t.Helper()
	for line, want := range wants {
		d := askQuick(s, &request{ActionType: "execute_command", Target: line})
		if d.Decision != want {
			t.Errorf("%s: %s by %s, want %s: %s", line, d.Decision, d.RuleID, want, d.Reason)
		}
	}
}

func TestNoFormIsListedTwice(t *testing.T) {
	place := newPlace(t.TempDir(), true)
	forms := place.formsOf("/a/./b", "/a")
	seen := map[string]bool{}
	for i := 0; ; i++ {
		f, ok := forms.at(i)
		if !ok {
			break
		}
		if seen[f.text] {
			t.Errorf("%q is listed twice", f.text)
		}
		seen[f.text] = true
	}
	if len(seen) != 3 { // as written, cleaned, relative to cwd
		t.Errorf("forms: %v", seen)
	}
}

func TestARequestOfOnlySlashesAndDirectoriesEnds(t *testing.T) {
	s := newStage(t, Options{}, pipeline.Env{})
	for _, target := range []string{
		strings.Repeat("/a", 1<<19), strings.Repeat("a/", 1<<19), strings.Repeat("../", 1<<18), strings.Repeat("/", 1<<20), "/", ".", "..", "\x00", "/\x00/x",
	} {
		ask(t, s, &request{ActionType: "write_file", Target: target, Cwd: "/" + strings.Repeat("b/", 1<<10)})
	}
}

func TestAWorkspaceThatIsNotAbsoluteIsRefused(t *testing.T) {
	if _, err := New(Options{}, pipeline.Env{Workspace: "here"}); err == nil || !strings.Contains(err.Error(), "not absolute") {
		t.Errorf("got %v", err)
	}
}

func TestOwnFiles(t *testing.T) {
	workspace := repository(t)
	elsewhere := makeDir(t, repository(t), "etc")
	link := filepath.Join(workspace, "link")
	if err := os.Symlink(elsewhere, link); err != nil {
		t.Skip("no symbolic links here: ", err)
	}
	s := withPolicy(t, `{"commands":{"allow":["cat*","ls*"]}}`, pipeline.Env{Workspace: workspace, Files: []pipeline.File{
		{Path: filepath.Join(workspace, ".cavra")},
		{Path: filepath.Join(workspace, "conf", "policy.json")},
		{Path: filepath.Join(elsewhere, "hmac.key"), Secret: true},
		{Path: filepath.Join(link, "later.jsonl")},
	}})
	commandIsBlocked := verdict{"block", "commands.block", "high", ""}
	commandIsAllowed := verdict{"allow", "commands.allow", "low", ""}
	tests := []struct {
		name, action, target, cwd string
		want                      verdict
	}{
		{"write by relative path", "write_file", "conf/policy.json", "", writeIsBlocked},
		{"write by unclean path", "write_file", "x/../conf//policy.json", "", writeIsBlocked},
		{"write by absolute path", "write_file", workspace + "/conf/policy.json", "/", writeIsBlocked},
		{"write by path from cwd", "write_file", "policy.json", workspace + "/conf", writeIsBlocked},
		{"write under a directory", "write_file", ".cavra/run/x", "", writeIsBlocked},
		{"write of the directory", "write_file", ".cavra", "", writeIsBlocked},
		{"write beside the directory", "write_file", ".cavra2/x", "", writeIsAllowed},
		{"write of a neighbour", "write_file", "conf/policy.json.md", "", writeIsAllowed},
		{"write to where the link leads", "write_file", elsewhere + "/later.jsonl", "", writeIsBlocked},
		{"write through the link", "write_file", link + "/later.jsonl", "", writeIsBlocked},
		{"read of the policy", "read_file", "conf/policy.json", "", readIsAllowed},
		{"read of a key", "read_file", elsewhere + "/hmac.key", "", readIsBlocked},
		{"read of a key from cwd", "read_file", "../etc/hmac.key", elsewhere, readIsBlocked},
		{"command with absolute path", "execute_command", "cat " + elsewhere + "/hmac.key", "", commandIsBlocked},
		{"command with relative path", "execute_command", "cat conf/policy.json", "", commandIsBlocked},
		{"command with dotted path", "execute_command", "cat ./conf/policy.json", "", commandIsBlocked},
		{"command with quoted path", "execute_command", `cat con"f/policy.json"`, "", commandIsBlocked},
		{"command with a file of the directory", "execute_command", "ls .cavra/x", "", commandIsBlocked},
		{"command with the path in an argument", "execute_command", "ls --file=.cavra/x", "", commandIsBlocked},
		{"command in the directory of a file", "execute_command", "cat policy.json", workspace + "/conf/", commandIsBlocked},
		{"command inside the directory", "execute_command", "ls", workspace + "/.cavra/run", commandIsBlocked},
		{"command in another directory", "execute_command", "cat policy.json", workspace + "/docs", commandIsAllowed},
		{"command with a neighbour", "execute_command", "ls .cavra2", "", commandIsAllowed},
		{"command with a longer name", "execute_command", "ls my.cavra", "", commandIsAllowed},
		{"command with another file", "execute_command", "cat README.md", "", commandIsAllowed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.want.check(t, ask(t, s, &request{ActionType: tt.action, Target: tt.target, Cwd: tt.cwd}))
		})
	}
}

func TestOptionsNameTheirFiles(t *testing.T) {
	got := Options{Policy: "p", Registry: "r"}.Files()
	if len(got) != 2 || got[0].Path != "p" || got[1].Path != "r" || got[0].Secret || got[1].Secret {
		t.Errorf("got %v", got)
	}
	if got := (Options{}).Files(); got != nil {
		t.Errorf("without options: %v", got)
	}
}
