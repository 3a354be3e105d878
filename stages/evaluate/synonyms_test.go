package evaluate

import (
	"strings"
	"testing"

	"github.com/Huzefaaa2/cavra/go/cavra-runtime/pipeline"
)

// A block on one word for a command holds for the others that its program takes.
func TestSynonymsHideNothing(t *testing.T) {
	s := withPolicy(t, `{"commands":{
		"block": ["helm uninstall*", "npm publish*", "npm unpublish*", "npm install -g*", "npm uninstall*", "npm exec*", "docker push*", "docker rm *", "docker-compose down*",
			"pip install*", "gh release create*", "cargo publish*", "make deploy*", "go run*", "docker image rm *", "npm r *", "python3 -m twine upload*", "brew uninstall*", "kubectl delete namespace*", "kubectl get secret*", "gcloud projects delete*", "tar *-P*"],
		"require_approval": ["npm run-script deploy*"],
		"allow": ["helm *", "npm *", "docker *", "pip*", "python3 *", "python *", "gh *", "cargo *", "make *", "go*", "echo *", "twine *", "brew *", "sudo *", "kubectl *", "gcloud *", "npx *", "env *", "tar *"]}}`, pipeline.Env{})
	decideEach(t, s, map[string]string{
		"helm delete web":                    "block",
		"helm del web":                       "block",
		"helm -n prod un web":                "block",
		"helm --debug -n prod un web":        "block",
		"sudo helm un web":                   "block",
		"echo a; helm 'un' web":              "block",
		"npm pub":                            "block",
		"npm publ --tag x":                   "block",
		"npm --loglevel silent pu":           "block",
		"npm unp a@1":                        "block",
		"npm i -g x":                         "block",
		"npm add -g x":                       "block",
		"npm isntall -g x":                   "block",
		"npm rm x":                           "block",
		"npm un x":                           "block",
		"npm uninstall x":                    "block",
		"npm x evil":                         "block",
		"npm run deploy":                     "require_approval",
		"npm rum deploy":                     "require_approval",
		"docker image push a":                "block",
		"docker --context x image push a":    "block",
		"docker --tlskey image image push a": "block",
		"docker --tlskey image --tlscert image -D image push a": "block",
		"docker container rm a":                                 "block",
		"docker rmi a":                                          "block",
		"docker compose down -v":                                "block",
		"docker compose -f x down":                              "block",
		"pip3 install x":                                        "block",
		"pip3.11 install x":                                     "block",
		"python3 -m pip install x":                              "block",
		"python3.12 -I -m pip install x":                        "block",
		"python3 -mpip install x":                               "block",
		"python3 -Impip install x":                              "block",
		"pip -- install x":                                      "block",
		"npm -- publish":                                        "block",
		"python -m pip -q install x":                            "block",
		"/usr/bin/pip3 install x":                               "block",
		"twine upload dist/x":                                   "block",
		"twine upload x":                                        "block",
		"twine check x":                                         "allow",
		"gh release new v1":                                     "block",
		"gh -R a/b release new v1":                              "block",
		"cargo +nightly publish":                                "block",
		"cargo +nightly -q publish":                             "block",
		"make clean deploy":                                     "block",
		"make V=1 deploy":                                       "block",
		"make -j4 -- deploy":                                    "block",
		"go1.22 run x":                                          "block",
		"brew rm x":                                             "block",
		"kubectl delete ns x":                                   "block",
		"kubectl -n a delete ns x":                              "block",
		"kubectl delete ns/x":                                   "block",
		"kubectl delete pod/a,ns/x":                             "block",
		"kubectl get pods,secrets":                              "block",
		"kubectl get -A po,secret -o yaml":                      "block",
		"kubectl get secrets.v1. x":                             "block",
		"kubectl delete namespaces.v1 x":                        "block",
		"kubectl delete " + strings.Repeat("po/a,", 99) + "ns/x": "block",
		"kubectl get pod a.b":                    "allow",
		"gcloud beta projects delete x":          "block",
		"gcloud --quiet alpha projects delete x": "block",
		"gcloud beta projects list":              "allow",
		"kubectl delete pod/a ns/x":              "block",
		"kubectl delete pod/a svc/ns -n ns":      "allow",
		"tar xfP a":                              "block",
		"tar xPf a":                              "block",
		"tar xf P":                               "allow",
		"npx npm@latest publish":                 "block",
		"env -i npm --tag x pub":                 "block",
		"npm --prefix web un x":                  "block",
		"kubectl get secret/x":                   "block",
		"kubectl get pods,svc -n x":              "allow",
		"kubectl get ns":                         "allow",
		"kubectl delete pod x":                   "allow",
		"kubectl delete -f a/ns":                 "allow",
		"kubectl logs deploy/web":                "allow",
		"helm list -n un":                        "allow",
		"helm -n un list":                        "allow",
		"helm template del":                      "allow",
		"npm i x":                                "allow",
		"npm test pub":                           "allow",
		"npm run build":                          "allow",
		"npm run un":                             "allow",
		"npm up":                                 "allow",
		"npm test":                               "allow",
		"docker images":                          "allow",
		"docker image ls":                        "allow",
		"docker compose up -d":                   "allow",
		"pip3 list":                              "allow",
		"python3 -m pip list":                    "allow",
		"python3 -m pytest -k install":           "allow",
		"gh release view v1":                     "allow",
		"cargo +nightly build":                   "allow",
		"make build test":                        "allow",
		"make NAME=deploy build":                 "allow",
		"go1.22 test":                            "allow",
	})
}

// Another spelling blocks; it never allows.
func TestSynonymsAllowNothing(t *testing.T) {
	s := withPolicy(t, `{"commands":{"block":["x"],"allow":["pip install*","npm publish*","make a"]}}`, pipeline.Env{})
	for _, line := range []string{"pip3 install x", "python3 -m pip install x", "npm pub", "make a b"} {
		if d := askQuick(s, &request{ActionType: "execute_command", Target: line}); d.Decision != "require_approval" {
			t.Errorf("%s: %s by %s: %s", line, d.Decision, d.RuleID, d.Reason)
		}
	}
}
