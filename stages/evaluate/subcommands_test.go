package evaluate

import (
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/Huzefaaa2/cavra/go/cavra-runtime/pipeline"
)

const subcommandPolicy = `{"commands":{
	"block": ["terraform apply*", "terraform state push*", "kubectl delete*", "kubectl apply*--context*prod*", "git push origin main", "aws iam create-*", "rm -rf *", "docker push*"],
	"require_approval": ["npm publish*", "gh pr merge *"],
	"allow": ["terraform *", "kubectl *", "git *", "aws *", "rm *", "docker *", "npm *", "gh *", "sudo *", "echo *", "timeout *"]
}}`

// An option before a subcommand hides it from a pattern that is read as text only.
func TestOptionsHideNoSubcommand(t *testing.T) {
	s := withPolicy(t, subcommandPolicy, pipeline.Env{})
	decideEach(t, s, map[string]string{
		"terraform -chdir=prod apply":                                "block",
		"terraform -chdir=prod -no-color apply -auto-approve":        "block",
		"terraform -chdir prod apply":                                "block",
		"terraform -chdir=prod state -lock=false push x":             "block",
		"terraform state -lock-timeout 3s -lock push x":              "block",
		"/usr/bin/terraform -chdir=prod apply":                       "block",
		"sudo -u ci terraform -chdir=prod apply":                     "block",
		"sh -c 'terraform -chdir=prod apply'":                        "block",
		`terraform "-chdir=prod" app""ly`:                            "block",
		"echo a; terraform -chdir=prod apply":                        "block",
		"timeout 5 terraform -chdir=prod apply":                      "block",
		"kubectl -n prod delete pod x":                               "block",
		"kubectl -nprod delete pod x":                                "block",
		"kubectl -v 3 --foo bar delete pod x":                        "block",
		"kubectl --context prod apply -f x":                          "block",
		"kubectl --context=eu-prod apply -f x":                       "block",
		"kubectl --namespace delete delete x":                        "block",
		"aws --profile p --debug iam --no-paginate create-user":      "block",
		"aws --debug iam --output json create-access-key --user a":   "block",
		"rm -v -rf build":                                            "block",
		"docker --debug -H tcp://x push image":                       "block",
		"npm --prefix web publish":                                   "require_approval",
		"gh -R a/b pr -R a/b merge 3":                                "require_approval",
		"terraform -chdir=prod plan":                                 "allow",
		"terraform -chdir=apply plan":                                "allow",
		"terraform state -lock=false list":                           "allow",
		"terraform output -json apply":                               "allow",
		"kubectl -n delete get pods":                                 "allow",
		"kubectl get pods -n delete":                                 "allow",
		"kubectl --context dev apply -f x":                           "allow",
		"kubectl exec x -- delete":                                   "allow",
		"kubectl -- delete x":                                        "allow",
		"aws --profile iam s3 ls":                                    "allow",
		"aws iam list-users --query create-x":                        "allow",
		"npm --loglevel silent test":                                 "allow",
		"docker run -v a:/b -e c -p 1:2 --name n image push":         "allow",
		"docker build --tag push --file x --label a --label b image": "allow",
	})
}

// Whatever options stand among the words of a blocked command, it stays blocked.
func TestOptionsNeverUnblock(t *testing.T) {
	s := withPolicy(t, `{"commands":{"block":["tool one two*"],"allow":["tool *"]}}`, pipeline.Env{})
	rapid.Check(t, func(t *rapid.T) {
		word := rapid.SampledFrom([]string{"a", "one", "two", "3", "x/y", "twofold"})
		option := rapid.Custom(func(t *rapid.T) []string {
			name := rapid.SampledFrom([]string{"-a", "-long", "--long", "-ab", "--one"}).Draw(t, "name")
			switch rapid.IntRange(0, 2).Draw(t, "kind") {
			case 0:
				return []string{name}
			case 1:
				return []string{name + "=" + word.Draw(t, "value")}
			}
			return []string{name, word.Draw(t, "value")}
		})
		words := []string{"tool"}
		for _, next := range []string{"one", "two"} {
			words = append(words, slices.Concat(rapid.SliceOfN(option, 0, 3).Draw(t, "options")...)...)
			words = append(words, next)
		}
		line := strings.Join(append(words, rapid.SliceOfN(word, 0, 2).Draw(t, "rest")...), " ")
		if d := askQuick(s, &request{ActionType: "execute_command", Target: line}); d.Decision != "block" {
			t.Fatalf("%s: %s by %s: %s", line, d.Decision, d.RuleID, d.Reason)
		}
	})
}

// A command with more ways to be read than are looked at is not allowed, and soon so.
func TestTooManyOptionsAreNotAllowed(t *testing.T) {
	s := withPolicy(t, `{"commands":{"block":["tool a b c*"],"allow":["tool *"]}}`, pipeline.Env{})
	for name, line := range map[string]string{
		"words of patterns": "tool" + strings.Repeat(" -o a", 30_000) + strings.Repeat(" -o b", 30_000),
		"options alone":     "tool" + strings.Repeat(" -o", 100_000) + " a",
		"values":            "tool" + strings.Repeat(" -o v", 100_000),
		"a long word":       "tool -o " + strings.Repeat("a", 1<<19) + " -o a -o b",
	} {
		start := time.Now()
		d := askQuick(s, &request{ActionType: "execute_command", Target: line})
		if took := time.Since(start); took > time.Second {
			t.Errorf("%s took %v", name, took)
		}
		if d.Decision == "allow" && name != "a long word" {
			t.Errorf("%s: %s by %s", name, d.Decision, d.RuleID)
		}
	}
}
