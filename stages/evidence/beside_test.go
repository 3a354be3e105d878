//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package evidence

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/Huzefaaa2/cavra/go/cavra-runtime/stages/evidence/checkpoint"
)

// A log under a name that another log's writer takes for its own would be
// removed or written over.
func TestNamesOfFilesBesideALogAreRefused(t *testing.T) {
	path, _ := writeLog(t, 1, signed)
	for _, ending := range []string{".000001", ".next", ".checkpoint", ".hashes", ".index"} {
		t.Run(ending, func(t *testing.T) {
			wantRefused(t, path+ending, signed, "cannot be called", filepath.Base(path)+ending)
			if _, err := os.Lstat(path + ending); !os.IsNotExist(err) {
				t.Errorf("the refused start left a file: %v", err)
			}
		})
	}
	for _, name := range []string{"log.1", "log.0000001", "next", "log.nextday"} {
		if err := checkName(name); err != nil {
			t.Error(err)
		}
	}
}

// Nobody writes to these pipes: who opened them to read would wait for ever.
func TestPipesBesideALog(t *testing.T) {
	public, private := newCheckpointKey(t)
	for name, c := range map[string]struct {
		suffix  string
		refused bool
	}{
		"hashes":         {checkpoint.HashesSuffix, false},
		"index":          {checkpoint.IndexSuffix, false},
		"next":           {nextSuffix, false},
		"checkpoint":     {checkpoint.Suffix, true},
		"a rotated file": {".000001", true},
	} {
		t.Run(name, func(t *testing.T) {
			path, _ := writeWitnessed(t, 3, private)
			l := open(t, path, witnessed(private))
			must(t, l.Rotate())
			mustClose(t, l)
			if err := os.Remove(path + c.suffix); err != nil && !os.IsNotExist(err) {
				t.Fatal(err)
			}
			must(t, unix.Mkfifo(path+c.suffix, 0o600))
			if c.refused {
				wantRefused(t, path, witnessed(private), "is not a regular file", "put the right file back")
				return
			}
			addWitnessed(t, path, 2, private)
			wantCheckpoint(t, path, public)
		})
	}
	t.Run("a torn line", func(t *testing.T) {
		path, _ := writeLog(t, 1, signed)
		l := open(t, path, signed)
		_, free, err := l.asides()
		must(t, err)
		mustClose(t, l)
		must(t, unix.Mkfifo(free, 0o600))
		wantRefused(t, path, signed, "is not a regular file")
	})
}

// A backup of hard links shares the files beside the log. They are made anew and
// not written to.
func TestStoredHashesOfABackupAreLeftAlone(t *testing.T) {
	_, private := newCheckpointKey(t)
	path, _ := writeWitnessed(t, 3, private)
	before := map[string][]byte{}
	for _, suffix := range []string{checkpoint.HashesSuffix, checkpoint.IndexSuffix} {
		before[suffix] = read(t, path+suffix)
		must(t, os.Link(path+suffix, path+suffix+".backup"))
	}
	addWitnessed(t, path, 2, private)
	for suffix, want := range before {
		if !bytes.Equal(read(t, path+suffix+".backup"), want) {
			t.Errorf("the backup of %s was written to", suffix)
		}
		if len(read(t, path+suffix)) <= len(want) {
			t.Errorf("%s did not go on", suffix)
		}
	}
}

// Where the oldest records were moved away and the checkpoint with them, nothing
// proves the hashes that stand for them: to sign them would make forged ones
// true, under a name that is not the log's.
func TestNothingIsSignedForRecordsThatNothingProves(t *testing.T) {
	_, private := newCheckpointKey(t)
	path, _ := writeWitnessed(t, 3, private)
	l := open(t, path, witnessed(private))
	must(t, l.Rotate())
	add(t, l, "after")
	mustClose(t, l)
	must(t, os.Remove(rotatedName(path, 1)))
	kept := read(t, path+checkpoint.Suffix)
	must(t, os.Remove(path+checkpoint.Suffix))
	wantRefused(t, path, witnessed(private), "records before record 4", "checkpoint", "Put")
	if _, err := os.Lstat(path + checkpoint.Suffix); !os.IsNotExist(err) {
		t.Errorf("a checkpoint was signed: %v", err)
	}
	write(t, path+checkpoint.Suffix, kept)
	addWitnessed(t, path, 1, private)
}
