package evaluate

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/Huzefaaa2/cavra/go/cavra-runtime/pipeline"
)

var (
	pushIsProtected  = verdict{"block", "git.protected_branch.block_direct_push", "high", ""}
	pushIsUnresolved = verdict{"block", "git.push.unresolved", "high", ""}
	gitIsAllowed     = verdict{"allow", "git.allow", "low", ""}
)

func TestGitRows(t *testing.T) {
	s := newStage(t, Options{}, pipeline.Env{})
	tests := []struct {
		operation, target string
		want              verdict
	}{
		// A push to a protected branch.
		{"push", "main", pushIsProtected},
		{"push", "master", pushIsProtected},
		{"push", "origin/main", pushIsProtected},
		{"push", "origin/main ", pushIsProtected},
		{"push", "origin main", pushIsProtected},
		{"push", "refs/heads/main", pushIsProtected},
		{"push", "heads/main", pushIsProtected},
		{"push", "refs/remotes/origin/main", pushIsProtected},
		{"push", "remotes/fork/main", pushIsProtected},
		{"push", "HEAD:main", pushIsProtected},
		{"push", "HEAD:refs/heads/main", pushIsProtected},
		{"push", "feature:main", pushIsProtected},
		{"push", "+main", pushIsProtected},
		{"push", "+HEAD:main", pushIsProtected},
		{"push", ":main", pushIsProtected},
		{"push", ":refs/heads/main", pushIsProtected},
		{"push", "fork fork/main", pushIsProtected},
		{"Push", "main", pushIsProtected},
		{" push ", "main", pushIsProtected},
		{"PUSH\t", "main", pushIsProtected},
		{"push --force", "main", pushIsProtected},
		{"push --force origin main", "", pushIsProtected},
		{"push main", "", pushIsProtected},
		{"push origin", "main", pushIsProtected},
		{"git push origin main", "", pushIsProtected},
		{"git push", "origin HEAD:main", pushIsProtected},
		{"git -C /x -c a=b push", "origin main", pushIsProtected},
		{"git --git-dir=/x push", "origin main", pushIsProtected},
		{"git-push", "main", pushIsProtected},
		{"", "git push origin main", pushIsProtected},
		{"push", "git push origin main", pushIsProtected},
		{"push", "push origin main", pushIsProtected},
		{"push", "-f origin main", pushIsProtected},
		{"push", "-fu origin main", pushIsProtected},
		{"push", "--force-with-lease origin main", pushIsProtected},
		{"push", "--delete origin main", pushIsProtected},
		{"push", "origin --delete main", pushIsProtected},
		{"push -u", "origin main", pushIsProtected},
		{"push", "--tags origin main", pushIsProtected},
		{"push", "--all origin main", pushIsProtected},
		{"push", "-o ci.skip origin main", pushIsProtected},
		{"push", "origin -- main", pushIsProtected},
		{"push", "origin feature main", pushIsProtected},
		{"push", "origin feature :main", pushIsProtected},
		{"push", `origin "main"`, pushIsProtected},
		{"push", `origin ma\in`, pushIsProtected},
		{"status; git push origin main", "", pushIsProtected},
		{"fetch && push", "origin main", pushIsProtected},

		// A push whose destination is not one plain branch.
		{"push", "", pushIsUnresolved},
		{"push", "HEAD", pushIsUnresolved},
		{"push", "head", pushIsUnresolved},
		{"push", "@", pushIsUnresolved},
		{"push", ":", pushIsUnresolved},
		{"push", "+:", pushIsUnresolved},
		{"push", "main:", pushIsUnresolved},
		{"push", "origin", pushIsUnresolved},
		{"push origin", "", pushIsUnresolved},
		{"push", "origin HEAD", pushIsUnresolved},
		{"push", "--all", pushIsUnresolved},
		{"push", "--al", pushIsUnresolved},
		{"push --all", "feature", pushIsUnresolved},
		{"push", "--mirror", pushIsUnresolved},
		{"push", "--branches origin", pushIsUnresolved},
		{"push", "--prune origin feature", pushIsUnresolved},
		{"push", "--repo=x feature", pushIsUnresolved},
		{"push --tags", "", pushIsUnresolved},
		{"push", "*", pushIsUnresolved},
		{"push", "refs/heads/*", pushIsUnresolved},
		{"push", "refs/heads/*:refs/heads/*", pushIsUnresolved},
		{"push", "ma?n", pushIsUnresolved},
		{"push", "[m]ain", pushIsUnresolved},
		{"push", "main~0", pushIsUnresolved},
		{"push", "a:b:c", pushIsUnresolved},
		{"push", "origin a b", pushIsUnresolved},
		{"push", "refs/tags/v1", pushIsUnresolved},
		{"push", "refs/meta/config", pushIsUnresolved},
		{"push", "origin $BRANCH", pushIsUnresolved},
		{"push", "https://example.com/a.git", pushIsUnresolved},
		{"push", "git@example.com:a.git", pushIsUnresolved},
		{"push", "../elsewhere", pushIsUnresolved},
		{"status; git push", "", pushIsUnresolved},

		// Anything else.
		{"push", "feature-main", gitIsAllowed},
		{"push", "main:feature", gitIsAllowed},
		{"push", "feature/main", gitIsAllowed},
		{"push", "origin/feature-domain", gitIsAllowed},
		{"push", "origin main-2", gitIsAllowed},
		{"push", "-u origin HEAD:feature", gitIsAllowed},
		{"push --force origin feature", "", gitIsAllowed},
		{"push", "refs/heads/feature", gitIsAllowed},
		{"push", "MAIN", gitIsAllowed},
		{"pull", "main", gitIsAllowed},
		{"stash push", "main", gitIsAllowed},
		{"commit", "main", gitIsAllowed},
		{"pushd", "main", gitIsAllowed},
		{"", "main", gitIsAllowed},
		{"", "", gitIsAllowed},
	}
	for _, tt := range tests {
		t.Run(tt.operation+"|"+tt.target, func(t *testing.T) {
			tt.want.check(t, ask(t, s, &request{ActionType: "git_operation", Operation: tt.operation, Target: tt.target}))
			tt.want.check(t, ask(t, s, &request{ActionType: "git_operation", RequestedOperation: tt.operation, Target: tt.target}))
			tt.want.check(t, ask(t, s, &request{ActionType: "git_operation", Capability: tt.operation, Target: tt.target}))
		})
	}
}

func TestProtectedBranchesOfThePolicy(t *testing.T) {
	tests := []struct {
		name, git, target string
		want              verdict
	}{
		{"named", `{"protected_branches":["prod"]}`, "prod", pushIsProtected},
		{"named replace the default", `{"protected_branches":["prod"]}`, "main", gitIsAllowed},
		{"pattern", `{"protected_branches":["release/*"]}`, "HEAD:release/1", pushIsProtected},
		{"empty list means the default", `{"protected_branches":[]}`, "master", pushIsProtected},
		{"switched off", `{"block_direct_push_to_protected_branch":false}`, "main", gitIsAllowed},
		{"switched off, unresolved still holds", `{"block_direct_push_to_protected_branch":false}`, "--all", pushIsUnresolved},
		{"switched on", `{"block_direct_push_to_protected_branch":true}`, "main", pushIsProtected},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := withPolicy(t, `{"commands":{"block":["x"]},"git":`+tt.git+`}`, pipeline.Env{})
			tt.want.check(t, ask(t, s, &request{ActionType: "git_operation", Operation: "push", Target: tt.target}))
		})
	}
}

// TestAPushNeverReachesMainByAnotherSpelling puts the destination into the
// spellings that git takes, in any company.
func TestAPushNeverReachesMainByAnotherSpelling(t *testing.T) {
	s := newStage(t, Options{}, pipeline.Env{})
	rapid.Check(t, func(t *rapid.T) {
		refspec := rapid.SampledFrom([]string{"", "+"}).Draw(t, "plus") +
			rapid.SampledFrom([]string{"", ":", "HEAD:", "feature:", "refs/heads/x:"}).Draw(t, "source") +
			rapid.SampledFrom([]string{"", "refs/heads/", "heads/", "refs/remotes/origin/", "origin/"}).Draw(t, "prefix") +
			rapid.SampledFrom([]string{"main", "master"}).Draw(t, "branch")
		flag := rapid.SampledFrom([]string{"", "-f", "--force", "--force-with-lease=x:y", "-u", "--tags", "--delete", "--mirror"})
		words := []string{"push", flag.Draw(t, "flag"), "origin", flag.Draw(t, "another flag"), refspec}
		cut := rapid.IntRange(1, len(words)).Draw(t, "words in the operation")
		req := &request{ActionType: "git_operation", Operation: strings.Join(words[:cut], " "), Target: strings.Join(words[cut:], "  ")}
		if d := askQuick(s, req); d.RuleID != "git.protected_branch.block_direct_push" {
			t.Fatalf("operation %q, target %q: %s", req.Operation, req.Target, d.RuleID)
		}
	})
}

func TestHostileGitOperationsEnd(t *testing.T) {
	s := newStage(t, Options{}, pipeline.Env{})
	start := time.Now()
	for _, target := range []string{
		strings.Repeat("origin/", 1<<17) + "x", strings.Repeat("a ", 1<<19), strings.Repeat("r", 1<<19) + strings.Repeat(" a", 1<<18),
		strings.Repeat("remotes/x/", 1<<16), strings.Repeat(":", 1<<20), strings.Repeat("-", 1<<20), strings.Repeat("-o ", 1<<18),
	} {
		if r := ask(t, s, &request{ActionType: "git_operation", Operation: "push", Target: target}); r.Reason == "" {
			t.Errorf("%.20s has no reason", target)
		}
	}
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("took %v", took)
	}
}

func FuzzGit(f *testing.F) {
	s := newStage(f, Options{}, pipeline.Env{})
	f.Add("push", "origin HEAD:main")
	f.Add("git -C x push --force", "+refs/heads/*:")
	f.Fuzz(func(t *testing.T, operation, target string) {
		askQuick(s, &request{ActionType: "git_operation", Operation: operation, Target: target})
	})
}
