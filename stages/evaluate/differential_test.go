package evaluate

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// fragments are what random scripts are put together from. Their commands do not
// exist, so that a shell hands each to the handler for what it does not find.
var fragments = []string{
	"c0", "c1 a", "c2 b c", " ", " ", " ", "\t", "'", "'", `"`, `"`, `\`, "$", "{", "}", "(", ")", ";", ";", "&&", "||", "|", "&", "\n", "\n",
	"<<E\n", "<<'E'\n", "<<-E\n", "\nE\n", "<<<", "X=", "X=c3", "Y='c4 d'", "$X", "$Y", `"$Y"`, "${X:-c5}", "${X}", "$'", `\x63`, `\143`, "c6", "`", "$(", "[", "]", "[[", "]]", "#", "!",
	"if ", "then ", "else ", "fi", "for i in ", "; do ", "; done", "while ", "case ", " in ", ";;", "esac", "f() ", "function f ", "f", "{ ", "; }", "=", "~", "*", "?", ",", "..",
	"eval ", "command ", "builtin ", "exec ", "trap ", " EXIT", "export ", "unset ", "set -- ", "shift", "local ", "declare ", "-n", "read ", "printf ", "time ", "coproc ", "return", "exit",
	"> x", "< x", ">| x", "2>&1", "&> x", "%s", "--", "-", "$@", "$1", "$IFS", "{c7,c8}", "c{1,2}", "a{b", "c9=", "+=", "\\\n", "éü", "\u00a0",
}

// What a real bash runs of a line on which nothing is in doubt was found in it,
// word for word.
func TestABashRunsNothingElse(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("there is no bash here to compare with")
	}
	dir := t.TempDir()
	start := filepath.Join(dir, "start")
	handler := "command_not_found_handle() { printf '%s\\0' \"$*\" >> \"$RAN\"; }\nexport -f command_not_found_handle\n"
	if err := os.WriteFile(start, []byte(handler), 0o600); err != nil {
		t.Fatal(err)
	}
	compared, asked := 0, 0
	compare := func(t *rapid.T) {
		line := strings.Join(rapid.SliceOfN(rapid.SampledFrom(fragments), 1, 14).Draw(t, "line"), "")
		sh := readShell(line)
		if sh.unresolved != "" {
			return
		}
		found := []string{}
		for i := range sh.commands {
			found = append(found, texts(sh.commands[i].words))
		}
		ran := filepath.Join(dir, fmt.Sprintf("ran-%d", asked))
		asked++
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		cmd := exec.CommandContext(ctx, bash, "-c", line)
		cmd.Dir, cmd.Env = dir, []string{"PATH=/nonexistent", "BASH_ENV=" + start, "RAN=" + ran}
		cmd.Stdout, cmd.WaitDelay = io.Discard, 5*time.Second // waits for what goes on behind it, too
		_ = cmd.Run()
		log, _ := os.ReadFile(ran)
		for _, text := range strings.Split(strings.TrimSuffix(string(log), "\x00"), "\x00") {
			if text != "" && !slices.Contains(found, text) {
				t.Fatalf("%q: bash runs %q; found were %q", line, text, found)
			}
		}
		compared++
	}
	for range 4 {
		rapid.Check(t, compare)
	}
	if compared == 0 {
		t.Error("no line was compared")
	}
}
