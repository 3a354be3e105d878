package evaluate

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"pgregory.net/rapid"

	"github.com/Huzefaaa2/cavra/go/cavra-runtime/pipeline"
)

// symlink makes a link called name that says target.
func symlink(t testing.TB, target, name string) {
	t.Helper()
	if err := os.Symlink(target, name); err != nil {
		t.Skip("no symbolic links here: ", err)
	}
}

var (
	readIsUnresolved  = verdict{"require_approval", "filesystem.read.unresolved", "high", "Platform Security"}
	writeIsUnresolved = verdict{"require_approval", "filesystem.write.unresolved", "high", "Platform Security"}
)

func TestLinksAreFollowed(t *testing.T) {
	workspace, other := repository(t), repository(t)
	makeDir(t, workspace, "secrets", "deep")
	makeDir(t, workspace, "src")
	makeDir(t, other, "keys", "deep")
	keys := filepath.Join(other, "keys")
	for name, target := range map[string]string{
		"plain":       "secrets/token",             // to a file
		"again":       "plain",                     // to a link
		"src/up":      "../secrets",                // upwards
		"dir":         "secrets/deep",              // to a directory
		"away":        filepath.Join(keys, "deep"), // absolute, elsewhere
		"dangling":    "secrets/no/such",
		"loop":        "loop",
		"forbidden":   "src",
		"approved":    "src",
		"src/d":       "../secrets/deep",
		"secrets/out": "/",
		"harmless":    "src/main.go",
		"this":        ".",
		"daemonroot":  "/",
	} {
		symlink(t, target, filepath.Join(workspace, name))
	}
	if err := os.WriteFile(filepath.Join(workspace, "secrets", "token"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	linked := filepath.Join(t.TempDir(), "ws")
	symlink(t, workspace, linked)

	policy := `{"filesystem":{"block_read":["secrets/**","keys/**","forbidden/**"],"block_write":["secrets/**","keys/**"],"require_approval_write":["approved/**"]}}`
	s := withPolicy(t, policy, pipeline.Env{Workspace: workspace})
	tests := []struct {
		name, action, target, cwd string
		want                      verdict
	}{
		{"a link to a file", "read_file", "plain", "", readIsBlocked},
		{"a link to a link", "read_file", "again", "", readIsBlocked},
		{"a link upwards", "read_file", "src/up/token", "", readIsBlocked},
		{"a link that leads nowhere", "read_file", "dangling", "", readIsBlocked},
		{"a link of the target's own directory", "read_file", "this/this/secrets/token", "", readIsBlocked},
		{"a link with a trailing slash", "read_file", "src/up/", "", readIsAllowed}, // the directory itself
		{"a file below, with a trailing slash", "read_file", "src/up/token/", "", readIsBlocked},
		{"up from where a link led", "read_file", "dir/../token", "", readIsBlocked},
		{"up from where a link led, elsewhere", "read_file", "away/../x", "", readIsBlocked},
		{"cleaned first, as some tools do", "read_file", "away/../plain", "", readIsBlocked},
		{"up from what does not exist", "read_file", "none/../plain", "", readIsBlocked},
		{"absolute", "read_file", workspace + "/plain", "", readIsBlocked},
		{"absolute, from another cwd", "read_file", workspace + "/again", "/", readIsBlocked},
		{"from cwd", "read_file", "up/token", workspace + "/src", readIsBlocked},
		{"from a relative cwd", "read_file", "up/token", "src", readIsBlocked},
		{"from a cwd that is a link", "read_file", "token", workspace + "/src/up", readIsBlocked},
		{"from a cwd that goes up from a link", "read_file", "token", workspace + "/dir/..", readIsBlocked},
		{"from a cwd that is cleaned first, and a target that is not", "read_file", "d/../token", workspace + "/this/../src", readIsBlocked},
		{"from a cwd that is not cleaned, and a target that is", "read_file", "out/../token", workspace + "/dir/..", readIsBlocked},
		{"relative to the directory that cwd leads to", "read_file", workspace + "/secrets/token", linked, readIsBlocked},
		{"a root that is a link", "read_file", "daemonroot" + workspace + "/secrets/token", "", readIsBlocked},
		{"a new file behind a link", "write_file", "dir/new", "", writeIsBlocked},
		{"a new directory behind a link", "write_file", "away/new/new", "", writeIsBlocked},
		{"a rule on the link", "read_file", "forbidden/main.go", "", readIsBlocked},
		{"a rule on the link, not on what it leads to", "read_file", "src/main.go", "", readIsAllowed},
		{"a rule on a link that wants approval", "write_file", "approved/main.go", "", writeNeedsApprove},
		{"no rule on either", "read_file", "harmless", "", readIsAllowed},
		{"no link", "write_file", "src/new/main.go", "", writeIsAllowed},
		{"a link to itself", "read_file", "loop", "", readIsUnresolved},
		{"a write to a link to itself", "write_file", "loop/x", "", writeIsUnresolved},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.want.check(t, ask(t, s, &request{ActionType: tt.action, Target: tt.target, Cwd: tt.cwd}))
		})
	}

	t.Run("a workspace that is a link", func(t *testing.T) {
		s := withPolicy(t, policy, pipeline.Env{Workspace: linked})
		for _, target := range []string{"plain", linked + "/plain", workspace + "/secrets/token"} {
			readIsBlocked.check(t, ask(t, s, &request{ActionType: "read_file", Target: target}))
		}
	})
	t.Run("switched off", func(t *testing.T) {
		off := false
		s := newStage(t, Options{ResolveLinks: &off, Policy: write(t, "p.json", `{"metadata":{"id":"p"},`+policy[1:])}, pipeline.Env{Workspace: workspace})
		readIsAllowed.check(t, ask(t, s, &request{ActionType: "read_file", Target: "plain"}))
		readIsAllowed.check(t, ask(t, s, &request{ActionType: "read_file", Target: "loop"}))
		readIsBlocked.check(t, ask(t, s, &request{ActionType: "read_file", Target: "secrets/token"}))
	})
}

func TestOwnFilesAreFoundBehindLinks(t *testing.T) {
	workspace, etc := repository(t), repository(t)
	symlink(t, etc, filepath.Join(workspace, "l"))
	symlink(t, filepath.Join(etc, "hmac.key"), filepath.Join(workspace, "k"))
	s := withPolicy(t, `{"filesystem":{"block_read":["nothing"]}}`, pipeline.Env{Workspace: workspace, Files: []pipeline.File{
		{Path: filepath.Join(etc, "hmac.key"), Secret: true},
		{Path: filepath.Join(workspace, "l", "new", "log.jsonl")}, // no part of it exists beyond the link
	}})
	for _, tt := range []struct {
		action, target string
		want           verdict
	}{
		{"read_file", "k", readIsBlocked},
		{"read_file", "l/hmac.key", readIsBlocked},
		{"write_file", "l/hmac.key.lock", writeIsBlocked},
		{"write_file", "l", writeIsBlocked},
		{"write_file", etc + "/new/log.jsonl", writeIsBlocked},
		{"read_file", "l/new/log.jsonl", readIsAllowed},
		{"write_file", "l/x", writeIsAllowed},
	} {
		t.Run(tt.action+" "+filepath.Base(tt.target), func(t *testing.T) {
			tt.want.check(t, ask(t, s, &request{ActionType: tt.action, Target: tt.target}))
		})
	}
}

func TestPathsThroughProcesses(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("/proc is of Linux")
	}
	s := withPolicy(t, `{"filesystem":{"block_read":["/etc/shadow"]}}`, pipeline.Env{})
	for target, want := range map[string]verdict{
		"/proc/self/root/etc/shadow":             readIsBlocked,
		"/proc/self/root/etc/../etc/shadow":      readIsBlocked,
		"/proc/thread-self/root/etc/shadow":      readIsBlocked,
		"/proc/1/root/etc/shadow":                readIsBlocked,
		"/proc/self/root/proc/1/root/etc/shadow": readIsBlocked,
		"/proc/999999999/root/etc/shadow":        readIsBlocked,
		"/proc/self/cwd/x":                       readIsUnresolved,
		"/proc/self/task/1/cwd/x":                readIsUnresolved,
		"/proc/self/exe":                         readIsUnresolved,
		"/proc/self/fd/3":                        readIsUnresolved,
		"/dev/fd/3":                              readIsUnresolved,
		"/proc/self/status":                      readIsAllowed,
		"/proc/cpuinfo":                          readIsAllowed,
		"/dev/null":                              readIsAllowed,
	} {
		t.Run(target, func(t *testing.T) {
			want.check(t, ask(t, s, &request{ActionType: "read_file", Target: target}))
		})
	}
}

func TestWhatCannotBeLookedAtIsNotAllowed(t *testing.T) {
	s := withPolicy(t, `{"filesystem":{"block_read":["**/*.pem"]}}`, pipeline.Env{Workspace: "/w"})
	s.place.disk.atHand = blind
	s.place.disk.plain = func(string, bool) bool { return false }
	for name, err := range map[string]error{"denied": syscall.EACCES, "broken": syscall.EIO, "stale": syscall.ESTALE} {
		t.Run(name, func(t *testing.T) {
			s.place.disk.readlink = func(string) (string, error) { return "", err }
			readIsUnresolved.check(t, ask(t, s, &request{ActionType: "read_file", Target: "x"}))
			readIsBlocked.check(t, ask(t, s, &request{ActionType: "read_file", Target: "x.pem"}))
		})
	}
	t.Run("links without end", func(t *testing.T) {
		s.place.disk.readlink = func(name string) (string, error) { return name + "/" + path.Base(name) + "x", nil }
		readIsUnresolved.check(t, ask(t, s, &request{ActionType: "read_file", Target: "x"}))
	})
	t.Run("links that grow", func(t *testing.T) {
		s.place.disk.readlink = func(string) (string, error) { return strings.Repeat("y/", longestPath), nil }
		readIsUnresolved.check(t, ask(t, s, &request{ActionType: "read_file", Target: "x/z"}))
	})
	t.Run("a link into what is too deep to look at", func(t *testing.T) {
		s.place.disk.readlink = func(name string) (string, error) {
			if name == "/w/l" {
				return strings.Repeat("/deep", (longestPath-10)/5), nil
			}
			return os.Readlink("/")
		}
		readIsUnresolved.check(t, ask(t, s, &request{ActionType: "read_file", Target: "l/another/link"}))
	})
	t.Run("longer than a path", func(t *testing.T) {
		readIsUnresolved.check(t, ask(t, s, &request{ActionType: "read_file", Target: strings.Repeat("x/", longestPath)}))
	})
}

// A resolved path is clean and the same file to the system, and resolving it
// again changes nothing; the shortcut of the system and the walk agree.
func TestResolvingTellsTheFileThatTheSystemOpens(t *testing.T) {
	root := repository(t)
	for _, dir := range []string{"a/b/c", "b/a", "c"} {
		makeDir(t, root, dir)
	}
	for name, target := range map[string]string{
		"a/l": "../b", "a/b/l": "../../c", "b/l": root + "/a/b", "c/l": "l2", "c/l2": "../a/./b//l/", "b/a/l": "..", "l": "nowhere/a", "c/a": "../l",
	} {
		symlink(t, target, filepath.Join(root, name))
	}
	quick, slow := newDisk(true), newDisk(true)
	slow.plain = func(string, bool) bool { return false }
	rapid.Check(t, func(t *rapid.T) {
		part := rapid.SampledFrom([]string{"a", "b", "c", "l", "l2", "..", ".", "", "new"})
		name := root + "/" + strings.Join(rapid.SliceOfN(part, 0, 8).Draw(t, "parts"), "/")
		got, err := slow.resolve(name)
		if err != nil {
			t.Fatal(err)
		}
		if same, err := quick.resolve(name); err != nil || same != got {
			t.Fatalf("%s: the walk says %s, the shortcut %s, %v", name, got, same, err)
		}
		if again, err := slow.resolve(got); err != nil || again != got || path.Clean(got) != got {
			t.Fatalf("%s resolves to %s, and that to %s, %v", name, got, again, err)
		}
		if want, err := os.Stat(name); err == nil {
			if is, err := os.Lstat(got); err != nil || !os.SameFile(want, is) {
				t.Fatalf("%s resolves to %s, which is another file; %v", name, got, err)
			}
		}
	})
}

// BenchmarkReadAllowed is the read of a file that no pattern matches, which has
// the file system asked unless that is switched off.
func BenchmarkReadAllowed(b *testing.B) {
	workspace := repository(b)
	makeDir(b, workspace, "src", "main.go")
	symlink(b, "src", filepath.Join(workspace, "link"))
	for _, links := range []bool{false, true} {
		s := newStage(b, Options{ResolveLinks: &links}, pipeline.Env{Workspace: workspace})
		for name, target := range map[string]string{"that exists": "src/main.go", "that does not": "src/none.go", "behind a link": "link/main.go"} {
			b.Run(fmt.Sprintf("%s, resolve_links %v", name, links), func(b *testing.B) {
				req := &request{ActionType: "read_file", Target: target}
				b.ReportAllocs()
				for b.Loop() {
					if d := askQuick(s, req); d.Decision != "allow" {
						b.Fatal(d.Reason)
					}
				}
			})
		}
	}
}

// Behind a link ".." is not what it looks like, in cwd neither.
func TestADirectoryAboveWhereALinkLeads(t *testing.T) {
	dir := t.TempDir()
	makeDir(t, dir, "ws", "sub", "deep")
	makeDir(t, dir, "ws", "secrets", "in")
	symlink(t, "ws/sub/deep", filepath.Join(dir, "deep"))
	symlink(t, "secrets/in", filepath.Join(dir, "ws", "link"))
	ws := filepath.Join(dir, "ws")
	s := withPolicy(t, `{"filesystem":{"block_read":[".env","secrets/**"]},"commands":{"allow":["cat *","cd *"]}}`, pipeline.Env{Workspace: ws})
	for _, req := range []request{
		{ActionType: "read_file", Target: "../../.env", Cwd: filepath.Join(dir, "deep")},
		{ActionType: "execute_command", Target: "cat ../../.env", Cwd: filepath.Join(dir, "deep")},
		{ActionType: "execute_command", Target: "cd link && cat ../a", Cwd: ws},
		{ActionType: "execute_command", Target: "cd -P link/.. && cat a", Cwd: ws},
		{ActionType: "read_file", Target: "../a", Cwd: filepath.Join(ws, "link")},
	} {
		if r := ask(t, s, &req); r.Decision != "block" {
			t.Errorf("%s in %s: %s by %s", req.Target, req.Cwd, r.Decision, r.RuleID)
		}
	}
	for _, target := range []string{"../x", "a"} {
		if r := ask(t, s, &request{ActionType: "read_file", Target: target, Cwd: filepath.Join(ws, "sub", "deep")}); r.Decision != "allow" {
			t.Errorf("%s: %s by %s", target, r.Decision, r.RuleID)
		}
	}
}
