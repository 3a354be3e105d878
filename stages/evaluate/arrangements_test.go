package evaluate

import (
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/Huzefaaa2/cavra/go/cavra-runtime/pipeline"
)

// A block on options holds however they are spelt: in any order, together or apart,
// short or long.
func TestOptionsAreFoundHoweverTheyAreSpelt(t *testing.T) {
	s := withPolicy(t, `{"commands":{
		"block": ["rm -rf *", "git push -f*", "git push *--force*", "git push *--delete*", "git reset --hard*", "git clean -f*", "git commit *--no-verify*", "git branch -D*", "curl *-X DELETE*",
			"gh api *--method PATCH*", "npm install -g*", "kubectl --context prod*", "kubectl get *-n prod*", "docker run *--privileged*", "docker rm -f*", "docker system prune *-a*", "docker compose down -v*", "terraform plan -destroy*",
			"helm *--kube-context=prod*", "find * -delete*", "curl -XPUT*", "tool -long -x y*", "chmod -R 777 *"],
		"allow": ["rm *", "git *", "curl *", "gh *", "npm *", "kubectl *", "docker *", "terraform *", "helm *", "tool *", "sudo *", "chmod *", "sort *"]}}`, pipeline.Env{})
	decideEach(t, s, map[string]string{
		"rm -fr x":                                      "block",
		"rm -r -f x":                                    "block",
		"rm -f -r x":                                    "block",
		"rm -R -f x":                                    "block",
		"rm -Rf x":                                      "block",
		"rm -rfv x":                                     "block",
		"rm -vfr x":                                     "block",
		"rm --recursive --force x":                      "block",
		"rm --force --recurs x":                         "block",
		"rm -r --force x":                               "block",
		"rm -=x -fr y":                                  "block",
		"rm - -fr -- y":                                 "block",
		"rm -é -fr y":                                   "block",
		"rm -= x":                                       "allow",
		"rm --r --f x":                                  "block",
		"rm x -rf":                                      "block",
		"rm x -r y -f":                                  "block",
		"/bin/rm -fr x":                                 "block",
		"sudo rm -fr x":                                 "block",
		"sh -c 'rm -f -r x'":                            "block",
		"git push origin feature -f":                    "block",
		"git push -uf origin feature":                   "block",
		"git -C sub push origin x -fu":                  "block",
		"git push origin feature --force":               "block",
		"git push origin +feature":                      "block",
		"git -C sub push origin +a:b":                   "block",
		"git push origin :feature":                      "block",
		"git reset HEAD~1 --hard":                       "block",
		"git reset -q --hard":                           "block",
		"git clean -xdf":                                "block",
		"git clean -d --force":                          "block",
		"git commit -n -m x":                            "block",
		"git commit -anm x":                             "block",
		"git branch -d -f x":                            "block",
		"git branch --delete --force x":                 "block",
		"git branch x -fd":                              "block",
		"curl -XDELETE http://a":                        "block",
		"curl --request DELETE http://a":                "block",
		"curl --request=DELETE http://a":                "block",
		"curl http://a -sX DELETE":                      "block",
		"curl -sXDELETE http://a":                       "block",
		"curl -X PUT http://a":                          "block",
		"curl --request PUT http://a":                   "block",
		"curl -X GET --request DELETE http://a":         "block",
		"curl -XGET -XPUT http://a":                     "block",
		"kubectl get pods --context dev --context prod": "block",
		"gh api repos/a -X PATCH":                       "block",
		"gh api -XPATCH repos/a":                        "block",
		"gh api --method=PATCH repos/a":                 "block",
		"npm install x --global":                        "block",
		"npm install x -g":                              "block",
		"npm i x -g":                                    "block",
		"npm install --location=global x":               "block",
		"kubectl get pods --context prod-eu":            "block",
		"kubectl get pods --context=prod-eu":            "block",
		"kubectl get pods --namespace=prod":             "block",
		"kubectl get pods -nprod":                       "block",
		"kubectl -nprod get pods":                       "block",
		"docker run -it --privileged x":                 "block",
		"docker rm -vf x":                               "block",
		"docker system prune -fa":                       "block",
		"docker compose -f x down --volumes":            "block",
		"docker rm -v x":                                "allow",
		"docker container run --privileged x":           "block",
		"terraform plan --destroy":                      "block",
		"terraform plan -no-color --destroy":            "block",
		"helm list --kube-context prod":                 "block",
		"tool a --long -x y":                            "allow",
		"tool a -x y -long":                             "block",
		"chmod 777 -R x":                                "block",
		"chmod --recursive 777 x":                       "block",
		"rm -r x":                                       "allow",
		"rm -f x":                                       "allow",
		"rm -r -- -f":                                   "allow",
		"rm --force x":                                  "allow",
		"git push -u origin feature":                    "allow",
		"git push origin feature":                       "allow",
		"git push --follow-tags origin x":               "allow",
		"git reset --soft HEAD~1":                       "allow",
		"git clean -nd":                                 "allow",
		"git commit -am x":                              "allow",
		"git commit -m no":                              "allow",
		"git commit -mnone":                             "allow",
		"git commit --no-edit --amend":                  "allow",
		"git branch -d x":                               "allow",
		"git branch -f x HEAD":                          "allow",
		"git log -n 5":                                  "allow",
		"curl -X POST http://a/DELETE":                  "allow",
		"curl http://a":                                 "allow",
		"gh api repos/a":                                "allow",
		"npm install x":                                 "allow",
		"kubectl get pods --context dev":                "allow",
		"kubectl get pods -n dev -l app=prod":           "allow",
		"kubectl get pods -o name -n dev":               "allow",
		"docker run -it x":                              "allow",
		"terraform plan -no-color":                      "allow",
		"helm list --kube-context dev":                  "allow",
		"chmod 644 x":                                   "allow",
		"sort -rf x":                                    "allow",
		"terraform plan -out=destroy -no-colo":          "allow",
	})
}

// However the letters are written, a blocked pair of them stays blocked.
func TestLettersNeverUnblock(t *testing.T) {
	s := withPolicy(t, `{"commands":{"block":["rm -rf *"],"allow":["rm *"]}}`, pipeline.Env{})
	letters := rapid.SampledFrom([]string{"-r", "-R", "--recursive", "-f", "--force", "-rf", "-fr", "-v", "-vr", "-fi", "--verbose", "a", "b/c"})
	rapid.Check(t, func(t *rapid.T) {
		words := rapid.SliceOfN(letters, 1, 7).Draw(t, "words")
		holds := func(options ...string) bool {
			return slices.ContainsFunc(words, func(w string) bool {
				return slices.Contains(options, w) || w[0] == '-' && w[1] != '-' && strings.ContainsAny(w, strings.Trim(options[0], "-"))
			})
		}
		blocked := holds("-rR", "--recursive") && holds("-f", "--force")
		line := "rm " + strings.Join(words, " ") + " x"
		if d := askQuick(s, &request{ActionType: "execute_command", Target: line}); (d.Decision == "block") != blocked {
			t.Fatalf("%s: %s by %s: %s", line, d.Decision, d.RuleID, d.Reason)
		}
	})
}

// Whatever stands before them, and however odd it is, blocked options are found.
func TestOddWordsHideNoOption(t *testing.T) {
	s := withPolicy(t, `{"commands":{"block":["rm -rf *","curl *-X DELETE*","tool sub -ab*","tool *--long=x*"],"allow":["*"]}}`, pipeline.Env{})
	odd := rapid.StringOfN(rapid.SampledFrom([]rune("-=abrfX/é.,+")), 1, 6, -1)
	rapid.Check(t, func(t *rapid.T) {
		words := strings.Join(rapid.SliceOfN(odd, 0, 4).Draw(t, "words"), " ")
		if slices.Contains(strings.Fields(words), "--") {
			t.Skip("what follows is no option")
		}
		for _, line := range []string{"rm " + words + " -fr x", "curl " + words + " --request=DELETE x", "tool sub " + words + " -b -a", "tool " + words + " --long x"} {
			if d := askQuick(s, &request{ActionType: "execute_command", Target: line}); d.Decision != "block" {
				t.Fatalf("%s: %s by %s: %s", line, d.Decision, d.RuleID, d.Reason)
			}
		}
	})
}

// Options without end cost little, and are not allowed where they are not all
// looked through.
func TestManyOptionsAreSoonAnswered(t *testing.T) {
	var many strings.Builder
	for i := range 2000 {
		many.WriteString(`"tool *-x --opt` + strings.Repeat("x", i%50) + `*","tool -abc` + string(rune('a'+i%26)) + ` v*",`)
	}
	s := withPolicy(t, `{"commands":{"block":[`+many.String()+`"rm -rf *"],"allow":["tool *"]}}`, pipeline.Env{})
	for name, line := range map[string]string{
		"letters": "tool" + strings.Repeat(" -xabc", 9_000),
		"names":   "tool" + strings.Repeat(" -x --optxxx", 5_000),
	} {
		start := time.Now()
		d := askQuick(s, &request{ActionType: "execute_command", Target: line})
		if took := time.Since(start); took > time.Second {
			t.Errorf("%s took %v", name, took)
		}
		if d.Decision == "allow" {
			t.Errorf("%s: %s by %s", name, d.Decision, d.RuleID)
		}
	}
}

// A line of plain words is judged the same whether it is read by its text or by the
// shell's words, which quotes around its first one make it.
func TestOptionsInPlainWordsAreJudgedAsInQuotes(t *testing.T) {
	s := withPolicy(t, `{"commands":{
		"block": ["tool one two*", "tool -rf *", "tool push *--force*", "rm -rf *", "helm uninstall*"],
		"require_approval": ["tool ask -x *"],
		"allow": ["tool *", "rm *", "helm *"]}}`, pipeline.Env{})
	rapid.Check(t, func(t *rapid.T) {
		program := rapid.SampledFrom([]string{"tool", "rm", "helm", "tool2"}).Draw(t, "program")
		words := rapid.SliceOfN(rapid.SampledFrom([]string{
			"one", "two", "push", "ask", "del", "x", "-r", "-f", "-rf", "-fr", "-x", "--force", "--force=yes", "-n", "--", "-",
		}), 1, 5).Draw(t, "words")
		rest := " " + strings.Join(words, " ")
		plain := askQuick(s, &request{ActionType: "execute_command", Target: program + rest})
		read := askQuick(s, &request{ActionType: "execute_command", Target: "'" + program + "'" + rest})
		if plain.Decision != read.Decision || plain.RuleID != read.RuleID {
			t.Fatalf("%s: %s by %s, and read by a shell %s by %s: %s", program+rest, plain.Decision, plain.RuleID, read.Decision, read.RuleID, read.Reason)
		}
	})
}
