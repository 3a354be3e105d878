package evaluate

import (
	"iter"
	"slices"
	"strings"
	"sync"
)

// Many a program takes several words for one command. Whoever blocks it by one of
// them means all, so a command is judged by the other spellings as well, to see
// what is blocked. None of them allows anything.

// synonyms are such commands, a group in a line. A row is put in where people block
// one spelling and allow the program by name and a star. A command of npm stands
// alone where it is but cut short.
var synonyms = sync.OnceValue(func() map[string][]*synonym {
	groups := map[string][]*synonym{}
	for line := range strings.Lines(`
		npm install = npm i = npm add = npm in = npm isntall
		npm ci = npm clean-install = npm ic
		npm uninstall = npm un = npm unlink = npm rm = npm r = npm remove
		npm run = npm run-script = npm rum = npm urn
		npm exec = npm x
		npm publish
		npm unpublish
		npm deprecate
		npm update = npm up = npm upgrade = npm udpate
		npm adduser = npm login = npm add-user
		npm dist-tag = npm dist-tags
		npm owner = npm author
		npm init = npm create = npm innit
		pnpm install = pnpm i
		pnpm remove = pnpm rm = pnpm uninstall = pnpm un
		pnpm run = pnpm run-script
		pnpm publish = pnpm recursive publish = pnpm multi publish = pnpm m publish
		yarn publish = yarn npm publish
		pip = pip3 = python -m pip = python3 -m pip
		pytest = python -m pytest = python3 -m pytest
		twine = python -m twine = python3 -m twine
		docker compose = docker-compose
		docker push = docker image push
		docker pull = docker image pull
		docker build = docker image build = docker buildx build = docker builder build
		docker rmi = docker image rm = docker image remove
		docker images = docker image ls = docker image list
		docker tag = docker image tag
		docker save = docker image save
		docker load = docker image load
		docker import = docker image import
		docker run = docker container run
		docker exec = docker container exec
		docker rm = docker container rm = docker container remove
		docker stop = docker container stop
		docker kill = docker container kill
		docker start = docker container start
		docker restart = docker container restart
		docker create = docker container create
		docker cp = docker container cp
		docker commit = docker container commit
		docker export = docker container export
		docker attach = docker container attach
		docker volume rm = docker volume remove
		docker network rm = docker network remove
		docker context rm = docker context remove
		podman push = podman image push
		podman run = podman container run
		podman exec = podman container exec
		podman rm = podman container rm
		podman rmi = podman image rm
		helm uninstall = helm delete = helm del = helm un
		helm list = helm ls
		helm dependency = helm dep = helm dependencies
		helm pull = helm fetch
		helm template = helm inflate
		helm plugin remove = helm plugin rm = helm plugin uninstall
		helm repo remove = helm repo rm
		gh pr create = gh pr new
		gh pr list = gh pr ls
		gh pr checkout = gh pr co
		gh release create = gh release new
		gh issue create = gh issue new
		gh repo create = gh repo new
		gh secret delete = gh secret remove
		gh variable delete = gh variable remove
		gh extension = gh ext = gh extensions
		gh codespace = gh cs
		gh gist create = gh gist new
		cargo build = cargo b
		cargo run = cargo r
		cargo test = cargo t
		cargo remove = cargo rm
		brew uninstall = brew remove = brew rm
		apt remove = apt-get remove
		apt purge = apt-get purge
		apt install = apt-get install
		gem uninstall = gem uninst
	` + resources()) {
		same := &synonym{}
		for spelling := range strings.SplitSeq(line, "=") {
			if words := strings.Fields(spelling); len(words) > 0 {
				same.spellings = append(same.spellings, words)
			}
		}
		for _, words := range same.spellings {
			if program := words[0]; !slices.Contains(groups[program], same) {
				groups[program] = append(groups[program], same)
			}
		}
	}
	return groups
})

// resourceNames are the kinds of things that a kubectl knows by several names.
const resourceNames = "namespace=namespaces=ns pod=pods=po secret=secrets deployment=deployments=deploy service=services=svc configmap=configmaps=cm node=nodes=no " +
	"statefulset=statefulsets=sts daemonset=daemonsets=ds serviceaccount=serviceaccounts=sa ingress=ingresses=ing persistentvolume=persistentvolumes=pv " +
	"persistentvolumeclaim=persistentvolumeclaims=pvc job=jobs cronjob=cronjobs=cj customresourcedefinition=customresourcedefinitions=crd=crds replicaset=replicasets=rs"

// isResource holds each of the names.
var isResource = setOf(strings.ReplaceAll(resourceNames, "=", " "))

// resources are the commands on these kinds.
func resources() string {
	var lines strings.Builder
	for verb := range strings.FieldsSeq("get delete describe edit patch scale create") {
		for kind := range strings.FieldsSeq(resourceNames) {
			lines.WriteString("kubectl " + verb + " " + strings.ReplaceAll(kind, "=", " = kubectl "+verb+" ") + "\n")
		}
	}
	return lines.String()
}

// kinds is a command of kubectl with one kind of things, by its name alone, where it
// names several, as in "get pods,secrets" and "delete pod/a ns/x", or one with more,
// as in "get secrets.v1".
func kinds(words []shellWord) iter.Seq[[]shellWord] {
	return func(yield func([]shellWord) bool) {
		var before []shellWord // but what names a thing with its kind
		for i, w := range words {
			if i < 2 || w.text == "--" || !strings.ContainsAny(w.text, ",/.") || strings.ContainsAny(w.text, "=:") || w.text[0] == '-' || takesValue("kubectl", words[i-1].text) {
				before = append(before, w)
				continue
			}
			for kind := range strings.SplitSeq(w.text, ",") {
				kind, name, _ := strings.Cut(kind, "/")
				if short, _, _ := strings.Cut(kind, "."); isResource[short] {
					kind = short // without its version and group
				}
				if kind == w.text {
					continue
				}
				one := []shellWord{known(kind)}
				if name != "" {
					one = append(one, known(name))
				}
				if !yield(slices.Concat(before, one, words[i+1:])) {
					return
				}
			}
			if !strings.Contains(w.text, "/") {
				before = append(before, w)
			}
		}
	}
}

// A synonym is a group of commands that are the same.
type synonym struct{ spellings [][]string }

const respeltHow = "another spelling of a command in the line"

// leastCutShort is how few letters npm takes for the command that begins so. A
// single one is an alias, which is listed.
const leastCutShort = 2

// hasSynonyms reports whether a line of plain words, which begins with program, may
// be spelled otherwise.
func hasSynonyms(program, line string) bool {
	if hasVersion(program) {
		return true
	}
	if program == "gcloud" {
		return holdsAny(line, " alpha", " beta")
	}
	if !beginnings()[program] || len(line) == len(program) {
		return false
	}
	rest := line[len(program)+1:]
	word, _, _ := strings.Cut(rest, " ")
	return word[0] == '-' || beginnings()[line[:len(program)+1]] || beginnings()[line[:len(program)+1+len(word)]]
}

// hasVersion reports whether a name is that of a program that is known, with a
// version behind: pip3.11, or npm@latest, as an npx takes it.
func hasVersion(name string) bool {
	if name == "" || name[len(name)-1]-'0' > 9 && strings.LastIndexByte(name, '@') <= 0 {
		return false
	}
	bare := withoutVersion(name)
	return bare != name && (beginnings()[bare] || specials[bare] || programs()[bare] != nil)
}

// beginnings are the programs of all spellings, each with its first word, too, and
// those of npm with all that it can be cut short to.
var beginnings = sync.OnceValue(func() map[string]bool {
	found := map[string]bool{}
	for program, groups := range synonyms() {
		found[program] = true
		for _, same := range groups {
			for _, words := range same.spellings {
				if words[0] != program {
					continue
				}
				if len(words) == 1 { // any word may follow
					found[program+" "] = true
					continue
				}
				found[program+" "+words[1]] = true
				for n := leastCutShort; program == "npm" && n < len(words[1]); n++ {
					found[program+" "+words[1][:n]] = true
				}
			}
		}
	}
	return found
})

// otherSpellings adds the commands that are the same as c to those that are looked
// at for what is blocked.
func (s scope) otherSpellings(c command) {
	if len(c.words) == 1 {
		return
	}
	words, name := c.words, c.words[0].base()
	p := programs()[name]
	if p == programs()["tar"] && !strings.HasPrefix(words[1].text, "-") { // the letters of its first word are options
		var options []shellWord
		for _, letter := range words[1].text {
			options = append(options, known("-"+string(letter)))
		}
		s.respelt(slices.Concat(words[:1], options, words[2:]))
		return
	}
	if !hasVersion(name) && !beginnings()[name] && (p == nil || !p.goals) && !strings.HasPrefix(words[1].text, "+") && !dashesFirst[name] {
		return
	}
	if name != words[0].text {
		words = append([]shellWord{known(name)}, words[1:]...)
	}
	if bare := withoutVersion(name); bare != name {
		words = append([]shellWord{known(bare)}, words[1:]...)
		s.respelt(words)
	}
	if words[1].text == "--" && dashesFirst[name] {
		words = slices.Concat(words[:1], words[2:])
		s.respelt(words)
	}
	if i := slices.IndexFunc(words[1:], func(w shellWord) bool {
		return strings.HasPrefix(w.text, "+") || words[0].text == "gcloud" && (w.text == "alpha" || w.text == "beta")
	}); i >= 0 { // the toolchain of a cargo, or the part of a gcloud
		words = slices.Concat(words[:i+1], words[i+2:])
		s.respelt(words)
	}
	if p != nil && p.goals {
		s.eachGoal(words)
	}
	if s.inAllWords(words) && words[0].text == "kubectl" {
		for other := range kinds(words) {
			if !s.respelt(other) || !s.inAllWords(other) {
				return
			}
		}
	}
}

// inAllWords adds the commands that are the same but for the words that name them.
// It reports whether there was room for all.
func (s scope) inAllWords(words []shellWord) bool {
	groups := synonyms()[words[0].text]
	if len(groups) == 0 {
		return true
	}
	held := make(map[string]bool, len(words))
	for _, w := range words {
		held[w.text] = true
	}
	for _, same := range groups {
		if found := same.in(words, held); found != nil {
			for _, spelling := range same.spellings {
				if !s.respelt(instead(spelling, words, found)) {
					return false
				}
			}
		}
	}
	return true
}

// respelt adds another spelling of a command, and reports whether there was room
// for it: where there is none the line is not allowed.
func (s scope) respelt(words []shellWord) bool {
	for _, w := range words {
		if !s.spend(len(w.text) + 1) {
			return false
		}
	}
	s.suspects = append(s.suspects, command{words: words, respelt: true})
	return true
}

// instead is a command with a spelling in place of the one that was found in it.
func instead(spelling []string, words []shellWord, found []int) []shellWord {
	other := make([]shellWord, 0, len(spelling)+len(words))
	for _, w := range spelling {
		other = append(other, known(w))
	}
	for i, w := range words {
		if !slices.Contains(found, i) {
			other = append(other, w)
		}
	}
	return other
}

// dashesFirst are programs that take a "--" before a subcommand.
var dashesFirst = setOf("npm pnpm pip aws az gcloud")

// withoutVersion is the name of a program without the version at its end.
func withoutVersion(name string) string {
	if i := strings.LastIndexByte(name, '@'); i > 0 {
		return name[:i]
	}
	bare := strings.TrimRight(name, "0123456789.")
	if bare = strings.TrimSuffix(bare, "-"); bare == "" {
		return name
	}
	return bare
}

// eachGoal adds the command with each of its goals alone, as make works them off
// one by one.
func (s scope) eachGoal(words []shellWord) {
	var goals []shellWord
	for i, w := range words[1:] {
		if !strings.HasPrefix(w.text, "-") && !strings.Contains(w.text, "=") {
			goals = append(goals, words[i+1])
		}
	}
	if len(goals) > mostSuspected {
		s.limit("more goals than are looked at")
		return
	}
	for _, goal := range goals {
		s.respelt([]shellWord{words[0], goal})
	}
}

// in finds one of the spellings among the words of a command, which are held, over
// the options that stand between, and returns where its words stand, or nil.
func (g *synonym) in(words []shellWord, held map[string]bool) []int {
	for _, spelling := range g.spellings {
		if slices.ContainsFunc(spelling, func(word string) bool { return !held[word] }) {
			continue
		}
		if found := find(spelling, words, false); found != nil {
			return found
		}
	}
	if words[0].text != "npm" || exactly(words) {
		return nil
	}
	for _, spelling := range g.spellings {
		if found := find(spelling, words, true); found != nil {
			return found
		}
	}
	return nil
}

// exactly reports whether the words are those of some spelling, in full: then
// they are not another one cut short. What follows an option may be its value.
func exactly(words []shellWord) bool {
	return slices.ContainsFunc(synonyms()[words[0].text], func(g *synonym) bool {
		return slices.ContainsFunc(g.spellings, func(spelling []string) bool {
			at := find(spelling, words, false)
			return len(at) > 1 && !strings.HasPrefix(words[at[1]-1].text, "-")
		})
	})
}

// find is where the words of a spelling stand among those of a command, over the
// options that stand between; nil where they do not. What follows an option may be
// its value, or a word.
func find(spelling []string, words []shellWord, cutShort bool) []int {
	if words[0].text != spelling[0] {
		return nil
	}
	if len(spelling) == 1 {
		return []int{0}
	}
	found := make([][]int, len(spelling)) // the words so far, at the latest places where they stand
	found[0] = []int{0}
	from := 0 // the latest word that cannot be passed over
	for i := 1; i < len(words); i++ {
		word, before := words[i].text, words[i-1].text
		if word == "--" {
			break
		}
		follows := i > 1 && strings.HasPrefix(before, "-") && !strings.Contains(before, "=")
		for n := len(spelling) - 1; n > 0; n-- {
			want, last := spelling[n], found[n-1]
			same := word == want || cutShort && len(word) >= leastCutShort && strings.HasPrefix(want, word)
			if same && last != nil && last[n-1] >= from && !(follows && takesValue(spelling[0], before)) {
				if found[n] = append(slices.Clone(last), i); n == len(spelling)-1 {
					return found[n]
				}
			}
		}
		if !follows && !(len(word) > 1 && word[0] == '-') {
			if from = i; !slices.ContainsFunc(found, func(at []int) bool { return len(at) > 0 && at[len(at)-1] == i }) {
				break // nothing goes on over this word
			}
		}
	}
	return nil
}
