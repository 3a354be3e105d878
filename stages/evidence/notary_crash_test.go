//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package evidence

import (
	"bufio"
	"crypto/ed25519"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/hashicorp/go-hclog"

	"github.com/Huzefaaa2/cavra/go/cavra-runtime/stages/evidence/checkpoint"
)

func seedFile(path string) string { return path + ".seed" }

// childNotary appends to a log with checkpoints that is rotated often. The seed
// of its key stands beside the log.
func childNotary(path string) int {
	seed, err := os.ReadFile(seedFile(path))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	o := signed
	n := newNotary(ed25519.NewKeyFromSeed(seed), nil, hclog.NewNullLogger())
	n.delay /= 50 // so that many kills meet one at work
	o.follow = n
	o.RotateSize = 20_000
	l, err := Open(path, o)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	for {
		id := newRecordID()
		req, resp := exchange("load")
		if err := l.Append(id, req, resp); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		fmt.Println(id)
	}
}

// Killed at any moment, the log bears out every checkpoint that ever stood
// beside it, and the next start makes up for what was not signed.
func TestKilledNotary(t *testing.T) {
	public, private := newCheckpointKey(t)
	path := newPath(t)
	addWitnessed(t, path, 1, private) // so that there is a checkpoint, however soon the first kill comes
	write(t, seedFile(path), private.Seed())
	kept := map[string][]byte{}
	rounds := 12
	if testing.Short() {
		rounds = 3
	}
	for round := range rounds {
		cmd := childCommand(t, roleNotary, path)
		out, err := cmd.StdoutPipe()
		must(t, err)
		must(t, cmd.Start())
		lines := bufio.NewScanner(out)
		for n := 0; lines.Scan(); n++ {
			if n == 20+13*round {
				must(t, cmd.Process.Kill())
			}
		}
		if err := cmd.Wait(); cmd.ProcessState.ExitCode() != -1 {
			t.Fatalf("the child was not killed: %v", err)
		}
		kept[fmt.Sprintf("%s.kept-%d", path, round)] = read(t, path+checkpoint.Suffix)
		mustClose(t, open(t, path, witnessed(private)))
		wantCheckpoint(t, path, public)
	}
	for name, signed := range kept {
		write(t, name, signed)
		if r := verifyWith(t, path, name, public); !r.Valid || !r.Checkpoints[0].Covered || !r.Checkpoints[0].Verified {
			t.Errorf("%s: %+v", name, r)
		}
	}
	files, err := os.ReadDir(filepath.Dir(path))
	must(t, err)
	for _, f := range files {
		if f.Name()[0] == '.' {
			t.Errorf("%s was left", f.Name())
		}
	}
}
