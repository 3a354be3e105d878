package evaluate

import (
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// loaders are variables that make a command run something else than its words
// say. One that ends in "_" stands for all that begin so.
var loaders = strings.Fields("LD_ DYLD_ GIT_ SSH_ASKPASS PATH IFS ENV BASH_ENV SHELLOPTS BASHOPTS PS1 PS4 PROMPT_COMMAND HISTFILE INPUTRC SHELL " +
	"PAGER EDITOR VISUAL BROWSER MANPAGER MANOPT DELTA_ BAT_ LESS LESSOPEN LESSCLOSE LESSKEY LESSEDIT LESSHISTFILE VIMINIT EXINIT " +
	"NODE_OPTIONS NODE_PATH npm_config_ NPM_CONFIG_ YARN_ PYTHONPATH PYTHONHOME PYTHONSTARTUP PYTHONBREAKPOINT PYTHONUSERBASE PYTHONPYCACHEPREFIX PYTHONINSPECT PYTHONPLATLIBDIR PYTHONEXECUTABLE PYTEST_ PERL5OPT PERL5LIB PERLLIB RUBYOPT RUBYLIB GEM_ BUNDLE_ " +
	"JAVA_TOOL_OPTIONS _JAVA_OPTIONS JDK_JAVA_OPTIONS MAVEN_OPTS GRADLE_OPTS JAVA_OPTS CLASSPATH HOME XDG_CONFIG_HOME ZDOTDIR FPATH CDPATH " +
	"MAKEFLAGS GNUMAKEFLAGS MAKEFILES CC CXX PKG_CONFIG CGO_ GOFLAGS GOENV GOROOT GOTOOLDIR GOCACHEPROG GOAUTH GOWORK GOBIN " +
	"RUSTC RUSTC_ RUSTFLAGS RUSTUP_ CARGO_ TAR_OPTIONS TAR_RSH TAPE ZIPOPT RSYNC_ GREP_OPTIONS AWKPATH AWKLIBPATH RIPGREP_CONFIG_PATH " +
	"CURL_HOME WGETRC SSLKEYLOGFILE OPENSSL_ GCONV_PATH MALLOC_TRACE HOSTALIASES GNUPGHOME TF_CLI_ TF_LOG_PATH TF_DATA_DIR TF_PLUGIN_CACHE_DIR " +
	"TF_REATTACH_PROVIDERS KUBECONFIG KUBE_EDITOR KUBECTL_ KUBECACHEDIR HELM_ DOCKER_ COMPOSE_ BUILDKIT_HOST CLOUDSDK_ AWS_CONFIG_FILE AWS_SHARED_ AWS_PAGER " +
	"ANSIBLE_ GH_PAGER GH_EDITOR GH_BROWSER GH_CONFIG_DIR GH_PATH GH_HOST PSQLRC PSQL_ PGSERVICEFILE MYSQL_HOME")

// harmlessLoaders are variables that loaders would take in and that people set every day.
var harmlessLoaders = strings.Fields("GIT_AUTHOR_NAME GIT_AUTHOR_EMAIL GIT_AUTHOR_DATE GIT_COMMITTER_NAME GIT_COMMITTER_EMAIL GIT_COMMITTER_DATE " +
	"GIT_TERMINAL_PROMPT GIT_OPTIONAL_LOCKS GIT_LITERAL_PATHSPECS GIT_MERGE_AUTOEDIT DOCKER_BUILDKIT CGO_ENABLED CARGO_TERM_COLOR")

// harmlessVariables change how a command prints and for what it builds, not what
// runs nor which files it opens. People set them before a command every day.
var harmlessVariables = setOf("CI NO_COLOR FORCE_COLOR CLICOLOR COLUMNS LANG LC_ALL TZ PYTHONUNBUFFERED PYTHONDONTWRITEBYTECODE RUST_BACKTRACE RUST_LOG " +
	"CARGO_TERM_COLOR CGO_ENABLED GOOS GOARCH GIT_TERMINAL_PROMPT GIT_OPTIONAL_LOCKS DOCKER_BUILDKIT DEBIAN_FRONTEND TF_IN_AUTOMATION")

// setsHarmless reports whether a command has no variables set before it but such,
// so that an allow pattern need not name them.
func (c *command) setsHarmless() bool {
	return !slices.ContainsFunc(c.assignments, func(w shellWord) bool {
		name, value, _ := strings.Cut(w.text, "=")
		return !w.static || !harmlessVariables[name] || strings.ContainsAny(value, "/%$ \t\n")
	})
}

// A variable is one that the line assigns.
type variable struct {
	name, value string
	unsure      bool // it may have another value
	used        bool
}

// assignment resolves NAME=VALUE.
func (s scope) assignment(a *syntax.Assign) shellWord {
	s.loader(a.Name.Value)
	w := shellWord{static: true}
	if a.Index != nil || a.Array != nil {
		s.doubt("an array")
		s.passive(a)
		w.static = false
	}
	if a.Value != nil {
		w = s.single(a.Value)
	}
	if !a.Naked {
		w.text, w.bare = a.Name.Value+"="+w.text, a.Name.Value+"="+w.bare
	} else {
		w.text, w.bare = a.Name.Value, a.Name.Value
	}
	return w
}

// loader refuses variables that make a command run something else.
func (s scope) loader(name string) {
	if slices.Contains(harmlessLoaders, name) {
		return
	}
	for _, l := range loaders {
		if name == l || strings.HasSuffix(l, "_") && strings.HasPrefix(name, l) {
			s.doubt("an assignment to " + l + ", which can change what a command runs")
		}
	}
}

// declare visits export, declare and their like.
func (s scope) declare(c *syntax.DeclClause) {
	words := []shellWord{{text: c.Variant.Value, bare: c.Variant.Value, static: true}}
	for _, a := range c.Args {
		if a.Name == nil {
			words = append(words, s.fields([]*syntax.Word{a.Value})...)
			// A flag can make a value another one, and anything a name.
			s.tampered = c.Variant.Value
			if strings.ContainsAny(words[len(words)-1].text, "in") {
				s.doubt("a declaration that can run commands")
			}
			continue
		}
		w := s.assignment(a)
		words = append(words, w)
		if !a.Naked {
			s.assign(a.Name.Value, strings.TrimPrefix(w.text, a.Name.Value+"="), a.Append || a.Value == nil)
		}
	}
	s.run(command{words: words})
}

// assign sets a variable from here on. One that is set more than once, or not
// surely, can have several values; the last one is taken to look for what is
// blocked.
func (s scope) assign(name, value string, unsure bool) {
	s.loader(name)
	if setByTheShell(name) {
		s.doubt("an assignment to " + quote(name) + ", which is the shell's own")
	}
	s.set(name, value, unsure || !s.sure)
}

func (s scope) set(name, value string, unsure bool) {
	if v := s.variables[name]; v != nil {
		v.value, v.unsure = value, true
		return
	}
	v := &variable{name: name, value: value, unsure: unsure}
	s.variables[name] = v
	s.shell.variables = append(s.shell.variables, v)
}

// setByTheShell reports whether a shell gives the variable values of its own.
func setByTheShell(name string) bool {
	return strings.HasPrefix(name, "BASH") || slices.Contains([]string{
		"_", "RANDOM", "SRANDOM", "SECONDS", "LINENO", "UID", "EUID", "PPID", "PWD", "OLDPWD", "DIRSTACK", "FUNCNAME", "GROUPS",
		"HISTCMD", "HOSTNAME", "OPTARG", "OPTIND", "PIPESTATUS", "REPLY", "SHLVL", "EPOCHSECONDS", "EPOCHREALTIME", "COPROC", "MAPFILE",
	}, name)
}

// setters are the builtins that set the variables that their arguments name.
var setters = []string{"read", "readarray", "mapfile", "getopts", "printf", "unset", "export", "declare", "typeset", "local", "readonly", "let", "wait"}

// variablesOf refuses the variables among the arguments of a builtin that make a
// command run something else.
func (s scope) variablesOf(name string, args []shellWord) {
	for i, a := range args {
		text := a.text
		if name == "printf" {
			if i > 0 && args[i-1].text == "-v" {
				s.loader(variableOf(text))
			} else if value := afterOption(text); i == 0 && strings.HasPrefix(text, "-v") {
				s.loader(variableOf(value))
			}
			continue
		}
		s.loader(variableOf(text))
		s.loader(variableOf(afterOption(text)))
	}
}

// variableOf is the name at the beginning of an assignment or of an element.
func variableOf(text string) string {
	if i := strings.IndexAny(text, "=[+"); i >= 0 {
		return text[:i]
	}
	return text
}
