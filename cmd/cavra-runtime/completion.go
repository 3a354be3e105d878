package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/alecthomas/kong"

	enforcementv1 "github.com/Huzefaaa2/cavra/go/cavra-runtime/enforcement/v1"
)

// completion is what makes the completions of a shell from the flags; nil for one
// that we do not know.
func completion(shell string) func(io.Writer, []*kong.Flag) {
	switch shell {
	case "bash":
		return bashCompletion
	case "zsh":
		return zshCompletion
	case "fish":
		return fishCompletion
	}
	return nil
}

// printCompletion prints the completions of a shell, to be put where it looks for
// them.
func printCompletion(shell string, stdout, stderr io.Writer) int {
	return printed(stdout, stderr, func(w io.Writer) { completion(shell)(w, newParser(&cli{}).Model.Flags) })
}

// printed gathers what f writes and prints it at once.
func printed(stdout, stderr io.Writer, f func(io.Writer)) int {
	var b strings.Builder
	f(&b)
	if _, err := io.WriteString(stdout, b.String()); err != nil {
		return fail(stderr, "it cannot be printed", err)
	}
	return exitOK
}

// choices are the values of a flag that takes one of a few.
func choices(flag string) []string {
	switch flag {
	case "lifecycle":
		return actions
	case "completion":
		return []string{"bash", "fish", "zsh"}
	case "expect-decision":
		return []string{enforcementv1.DecisionAllow, enforcementv1.DecisionRequireApproval, enforcementv1.DecisionBlock}
	case "log-level":
		return []string{"trace", "debug", "info", "warn", "error"}
	case "evidence-sync":
		return []string{"always", "interval", "off"}
	case "runner-auth-version":
		return []string{"v1", "v2"}
	case "runner-auth-require":
		return []string{"v2"}
	}
	return nil
}

// takesFile reports whether a flag's value is a path.
func takesFile(f *kong.Flag) bool {
	return slices.ContainsFunc(strings.Split(f.PlaceHolder, "|"), func(p string) bool {
		return p == "FILE" || p == "PATH" || p == "DIR"
	})
}

func bashCompletion(w io.Writer, flags []*kong.Flag) {
	var all, files, others []string
	var chosen strings.Builder
	for _, f := range flags {
		name := "--" + f.Name
		all = append(all, name)
		switch {
		case !takesValue(f):
		case choices(f.Name) != nil:
			fmt.Fprintf(&chosen, "    %s) COMPREPLY=($(compgen -W '%s' -- \"$cur\")) ;;\n", name, strings.Join(choices(f.Name), " "))
		case takesFile(f):
			files = append(files, name)
		default:
			others = append(others, name)
		}
	}
	// Where = belongs to what separates words, it comes as a word of its own.
	fmt.Fprintf(w, `# bash completion of cavra-runtime: made by --completion bash
_cavra_runtime() {
  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}
  if [[ $cur == = ]]; then
    cur=
  elif [[ $prev == = ]]; then
    prev=${COMP_WORDS[COMP_CWORD-2]}
  fi
  COMPREPLY=()
  case $prev in
%s    %s) compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$cur") ;;
    %s) ;;
    *) COMPREPLY=($(compgen -W '%s' -- "$cur")) ;;
  esac
}
complete -F _cavra_runtime cavra-runtime
`, chosen.String(), strings.Join(files, "|"), strings.Join(others, "|"), strings.Join(all, " "))
}

func zshCompletion(w io.Writer, flags []*kong.Flag) {
	fmt.Fprint(w, "#compdef cavra-runtime\n# zsh completion of cavra-runtime: made by --completion zsh\n_arguments -s \\\n")
	for i, f := range flags {
		spec := "--" + f.Name
		if takesValue(f) {
			spec += "="
		}
		spec += "[" + strings.NewReplacer("[", "(", "]", ")", ":", " -").Replace(firstSentence(f.Help)) + "]"
		if takesValue(f) {
			spec += ":" + strings.ToLower(strings.ReplaceAll(f.PlaceHolder, ":", " ")) + ":"
			switch {
			case choices(f.Name) != nil:
				spec += "(" + strings.Join(choices(f.Name), " ") + ")"
			case takesFile(f):
				spec += "_files"
			}
		}
		end := " \\\n"
		if i == len(flags)-1 {
			end = "\n"
		}
		fmt.Fprintf(w, "  %s%s", quoted(spec), end)
	}
}

func fishCompletion(w io.Writer, flags []*kong.Flag) {
	fmt.Fprint(w, "# fish completion of cavra-runtime: made by --completion fish\ncomplete -c cavra-runtime -f\n")
	for _, f := range flags {
		fmt.Fprintf(w, "complete -c cavra-runtime -l %s", f.Name)
		switch {
		case !takesValue(f):
		case choices(f.Name) != nil:
			fmt.Fprintf(w, " -x -a '%s'", strings.Join(choices(f.Name), " "))
		case takesFile(f):
			fmt.Fprint(w, " -r -F")
		default:
			fmt.Fprint(w, " -x")
		}
		fmt.Fprintf(w, " -d '%s'\n", strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(firstSentence(f.Help)))
	}
}

// quoted is text in the single quotes of a shell.
func quoted(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

// firstSentence is as much of a help text as fits beside a flag.
func firstSentence(help string) string {
	sentence, _, _ := strings.Cut(help, ". ")
	return strings.TrimSuffix(sentence, ".")
}
