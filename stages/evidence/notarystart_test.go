//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package evidence

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/Huzefaaa2/cavra/go/cavra-runtime/stages/evidence/checkpoint"
)

// The end cut off, the log replaced, an older copy put back, with or without
// its checkpoint: each keeps the daemon from starting, or is named by a
// verifier that was given a checkpoint kept elsewhere.
func TestAttacksOnTheEnd(t *testing.T) {
	public, private := newCheckpointKey(t)
	otherPublic, otherPrivate := newCheckpointKey(t)
	for name, c := range map[string]struct {
		attack func(t *testing.T, path string, older map[string][]byte)
		starts []string // what the refusal says; nil where the start cannot know
		kind   string   // that the kept checkpoint finds
		own    string   // that the one beside the log finds
	}{
		"the end cut off": {func(t *testing.T, path string, _ map[string][]byte) {
			lines := linesOf(t, path)
			write(t, path, bytes.Join(lines[:len(lines)-1], nil))
		}, []string{"truncated or rolled back", "record 8", "covers 9", "move both away"}, KindCheckpointTruncated, KindCheckpointTruncated},
		"the end cut off inside a line": {func(t *testing.T, path string, _ map[string][]byte) {
			b := read(t, path)
			write(t, path, b[:len(b)-10])
		}, []string{"truncated or rolled back"}, KindCheckpointTruncated, KindCheckpointTruncated},
		"emptied": {func(t *testing.T, path string, _ map[string][]byte) {
			write(t, path, nil)
		}, []string{"truncated or rolled back", "record 0"}, KindCheckpointTruncated, KindCheckpointTruncated},
		"replaced by another log": {func(t *testing.T, path string, _ map[string][]byte) {
			other, _ := writeLog(t, 12, signed)
			write(t, path, read(t, other))
		}, []string{"was replaced", "another log"}, KindCheckpointReplaced, KindCheckpointReplaced},
		"replaced by another log with its checkpoint": {func(t *testing.T, path string, _ map[string][]byte) {
			other, _ := writeWitnessed(t, 12, private)
			for _, suffix := range []string{"", checkpoint.Suffix, checkpoint.HashesSuffix, checkpoint.IndexSuffix} {
				write(t, path+suffix, read(t, other+suffix))
			}
		}, nil, KindCheckpointReplaced, ""},
		"an older copy put back": {func(t *testing.T, path string, older map[string][]byte) {
			write(t, path, older[""])
		}, []string{"truncated or rolled back"}, KindCheckpointTruncated, KindCheckpointTruncated},
		"an older copy of all put back": {func(t *testing.T, path string, older map[string][]byte) {
			for suffix, b := range older {
				write(t, path+suffix, b)
			}
		}, nil, KindCheckpointRollback, ""},
		"an older copy that went on": {func(t *testing.T, path string, older map[string][]byte) {
			write(t, path, older[""])
			l := open(t, path, signed)
			for range 9 {
				add(t, l, "forged")
			}
			mustClose(t, l)
		}, []string{"was rewritten"}, KindCheckpointRewritten, KindCheckpointRewritten},
		"an older copy of all that went on": {func(t *testing.T, path string, older map[string][]byte) {
			for suffix, b := range older {
				write(t, path+suffix, b)
			}
			addWitnessed(t, path, 9, private)
		}, nil, KindCheckpointRewritten, ""},
		"the checkpoint of another key": {func(t *testing.T, path string, _ map[string][]byte) {
			c := wantCheckpoint(t, path, public)
			signed, err := c.Sign(otherPrivate)
			must(t, err)
			write(t, path+checkpoint.Suffix, signed)
		}, []string{"another key", "--evidence-checkpoint-public-key"}, "", KindCheckpointSignature},
		"the checkpoint of another log": {func(t *testing.T, path string, _ map[string][]byte) {
			other, _ := writeWitnessed(t, 3, private)
			write(t, path+checkpoint.Suffix, read(t, other+checkpoint.Suffix))
		}, []string{"was replaced"}, "", KindCheckpointReplaced},
		"the checkpoint renamed by who holds the key": {func(t *testing.T, path string, _ map[string][]byte) {
			c := wantCheckpoint(t, path, public)
			c.Origin = checkpoint.Origin(strings.Repeat("0", 64))
			signed, err := c.Sign(private)
			must(t, err)
			write(t, path+checkpoint.Suffix, signed)
		}, []string{"was replaced"}, "", KindCheckpointReplaced},
		"the checkpoint changed": {func(t *testing.T, path string, _ map[string][]byte) {
			write(t, path+checkpoint.Suffix, bytes.Replace(read(t, path+checkpoint.Suffix), []byte("\n9\n"), []byte("\n5\n"), 1))
		}, []string{"was changed after it was signed"}, "", KindCheckpointSignature},
		"the checkpoint torn": {func(t *testing.T, path string, _ map[string][]byte) {
			b := read(t, path+checkpoint.Suffix)
			write(t, path+checkpoint.Suffix, b[:len(b)/2])
		}, []string{"is damaged"}, "", KindCheckpointMalformed},
		"the checkpoint emptied": {func(t *testing.T, path string, _ map[string][]byte) {
			write(t, path+checkpoint.Suffix, nil)
		}, []string{"is damaged"}, "", KindCheckpointMalformed},
		"the checkpoint blown up": {func(t *testing.T, path string, _ map[string][]byte) {
			must(t, os.Truncate(path+checkpoint.Suffix, 1<<30))
		}, []string{"no checkpoint has more"}, "", KindCheckpointMalformed},
		"the checkpoint a directory": {func(t *testing.T, path string, _ map[string][]byte) {
			must(t, os.Remove(path+checkpoint.Suffix))
			must(t, os.Mkdir(path+checkpoint.Suffix, 0o700))
		}, []string{"not a regular file"}, "", KindCheckpointMalformed},
		"the checkpoint an older one": {func(t *testing.T, path string, older map[string][]byte) {
			write(t, path+checkpoint.Suffix, older[checkpoint.Suffix])
		}, nil, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			path, _ := writeWitnessed(t, 4, private)
			older := map[string][]byte{}
			for _, suffix := range []string{"", checkpoint.Suffix, checkpoint.HashesSuffix, checkpoint.IndexSuffix} {
				older[suffix] = read(t, path+suffix)
			}
			addWitnessed(t, path, 5, private)
			kept := filepath.Join(t.TempDir(), "kept")
			write(t, kept, read(t, path+checkpoint.Suffix))
			c.attack(t, path, older)

			var kinds []string
			for _, f := range verifyWith(t, path, kept, public).ErrorDetails {
				if strings.HasPrefix(f.Kind, "checkpoint.") {
					kinds = append(kinds, f.Kind)
				}
			}
			var want []string
			for _, kind := range []string{c.kind, c.own} {
				if kind != "" {
					want = append(want, kind)
				}
			}
			if strings.Join(kinds, " ") != strings.Join(want, " ") {
				t.Errorf("the verifier finds %q, want %q", kinds, want)
			}
			if r := verifyWith(t, path, kept, otherPublic); len(r.ErrorDetails) == 0 || r.Valid {
				t.Errorf("another key: %+v", r)
			}

			before := read(t, path)
			if c.starts != nil {
				wantRefused(t, path, witnessed(private), c.starts...)
				if !bytes.Equal(before, read(t, path)) {
					t.Error("the refused start wrote to the log")
				}
				return
			}
			mustClose(t, open(t, path, witnessed(private)))
			wantCheckpoint(t, path, public)
		})
	}
}

// A record changed and the chain mended after it, as who holds the HMAC key can.
func TestARewrittenLogIsRefused(t *testing.T) {
	public, private := newCheckpointKey(t)
	path, _ := writeWitnessed(t, 6, private)
	forged := newPath(t)
	o := signed
	o.now = func() time.Time { return time.Unix(1, 0) }
	l := open(t, forged, o)
	for range 6 {
		add(t, l, "forged")
	}
	mustClose(t, l)
	lines := linesOf(t, forged)
	// The first record stays, or the origin would tell.
	write(t, path, slicesJoin(linesOf(t, path)[:1], rechain(t, linesOf(t, path)[0], lines[1:])))
	if r, err := VerifyFile(path, signed.verify()); err != nil || !r.Valid {
		t.Fatalf("the forgery is none: %+v, %v", r, err)
	}
	wantKind(t, verifyWith(t, path, "", public), KindCheckpointRewritten)
	wantRefused(t, path, witnessed(private), "was rewritten", "up to 6")
	for _, suffix := range []string{checkpoint.HashesSuffix, checkpoint.IndexSuffix} {
		must(t, os.Remove(path+suffix))
	}
	wantRefused(t, path, witnessed(private), "was rewritten", "up to 6")
}

func slicesJoin(parts ...[][]byte) []byte {
	var all []byte
	for _, lines := range parts {
		all = append(all, bytes.Join(lines, nil)...)
	}
	return all
}

// rechain writes lines again so that they follow another one.
func rechain(t *testing.T, first []byte, lines [][]byte) (chained [][]byte) {
	t.Helper()
	l := &Log{hasher: newHasher(), signer: newSigner(testKey), o: LogOptions{KeyID: testKeyID, now: time.Now}}
	s := glance(first)
	at := head{sequence: uint64(s.sequence)}
	copy(at.hash[:], s.recordHash)
	for _, line := range lines {
		req, resp := exchange(fmt.Sprint(len(line)))
		chained = append(chained, l.encode(nil, &at, &entry{eventType: EventDecision, recordID: nextID(), body: appendBody(nil, req, resp)}))
	}
	return chained
}

// The hashes and the index are a cache: whatever happens to them, the next
// start has the right tree.
func TestDamagedHashesChangeNothing(t *testing.T) {
	public, private := newCheckpointKey(t)
	for _, suffix := range []string{checkpoint.HashesSuffix, checkpoint.IndexSuffix} {
		for name, damage := range damages {
			t.Run(suffix[1:]+" "+name, func(t *testing.T) {
				path, _ := writeWitnessed(t, 11, private)
				damage(t, path+suffix)
				addWitnessed(t, path, 3, private)
				wantCheckpoint(t, path, public)
			})
		}
	}
}

var damages = map[string]func(t *testing.T, path string){
	"deleted": func(t *testing.T, path string) { must(t, os.Remove(path)) },
	"emptied": func(t *testing.T, path string) { must(t, os.Truncate(path, 0)) },
	"cut short": func(t *testing.T, path string) {
		info, err := os.Stat(path)
		must(t, err)
		must(t, os.Truncate(path, info.Size()-1))
	},
	"halved": func(t *testing.T, path string) {
		info, err := os.Stat(path)
		must(t, err)
		must(t, os.Truncate(path, info.Size()/2))
	},
	"lengthened": func(t *testing.T, path string) { write(t, path, append(read(t, path), make([]byte, 1000)...)) },
	"zeroed":     func(t *testing.T, path string) { write(t, path, make([]byte, len(read(t, path)))) },
	"every byte changed": func(t *testing.T, path string) {
		b := read(t, path)
		for i := range b {
			b[i] ^= 0x55
		}
		write(t, path, b)
	},
	"its last bit flipped": func(t *testing.T, path string) {
		b := read(t, path)
		b[len(b)-1] ^= 1
		write(t, path, b)
	},
	"a directory": func(t *testing.T, path string) {
		must(t, os.Remove(path))
		must(t, os.Mkdir(path, 0o700))
	},
}

// Where old files were moved away, the hashes stand for them as far as the
// checkpoint proves them, and no further.
func TestOldFilesMovedAway(t *testing.T) {
	public, private := newCheckpointKey(t)
	make := func(t *testing.T) (path string, ids []string) {
		path = newPath(t)
		l := open(t, path, witnessed(private))
		for range 3 {
			for range 4 {
				ids = append(ids, add(t, l, "x"))
			}
			must(t, l.Rotate())
		}
		ids = append(ids, add(t, l, "last"))
		mustClose(t, l)
		return path, ids
	}
	t.Run("all is there", func(t *testing.T) {
		path, ids := make(t)
		if r := verifyWith(t, path, "", public); !r.Valid || !r.Checkpoints[0].Covered || len(r.Missing) > 0 {
			t.Fatalf("%+v", r)
		}
		for _, id := range ids {
			wantProof(t, path, id, public)
		}
	})
	t.Run("with the hashes", func(t *testing.T) {
		path, ids := make(t)
		early := filepath.Join(t.TempDir(), "early")
		full := linesOf(t, rotatedName(path, 1))
		c := checkpoint.Checkpoint{Origin: wantCheckpoint(t, path, public).Origin, Size: 3, Root: rootOf(t, full[:3])}
		signed, err := c.Sign(private)
		must(t, err)
		write(t, early, signed)
		must(t, os.Remove(rotatedName(path, 1)))
		must(t, os.Remove(rotatedName(path, 2)))
		r := verifyWith(t, path, early, public)
		if !r.Valid || len(r.Missing) == 0 || r.Root == "" || len(r.Checkpoints) != 2 || !r.Checkpoints[0].Covered || !r.Checkpoints[1].Covered {
			t.Fatalf("%+v", r)
		}
		if r := verifyWith(t, path, "", nil...); r.Valid {
			t.Errorf("a checkpoint that nobody verified covers: %+v", r)
		}
		wantProof(t, path, ids[len(ids)-1], public)
		if _, _, err := Prove(path, ids[0], "", nil); err == nil || !strings.Contains(err.Error(), "moved away") {
			t.Errorf("a record that is away: %v", err)
		}
		must(t, os.Remove(path+checkpoint.IndexSuffix)) // so that the start reads all there is
		addWitnessed(t, path, 2, private)
		if r := verifyWith(t, path, early, public); !r.Valid || !r.Checkpoints[1].Covered || r.Checkpoints[1].Size != 18 {
			t.Fatalf("%+v", r)
		}
	})
	t.Run("from the middle", func(t *testing.T) {
		path, _ := make(t)
		early := filepath.Join(t.TempDir(), "early")
		lines := linesOf(t, rotatedName(path, 1))
		c := checkpoint.Checkpoint{Origin: wantCheckpoint(t, path, public).Origin, Size: 3, Root: rootOf(t, lines[:3])}
		signed, err := c.Sign(private)
		must(t, err)
		write(t, early, signed)
		must(t, os.Remove(rotatedName(path, 2)))
		r := verifyWith(t, path, early, public)
		if r.Valid || !r.Checkpoints[0].Covered || r.Checkpoints[1].Covered {
			t.Fatalf("%+v", r)
		}
		must(t, os.Remove(path+checkpoint.Suffix)) // the early one alone covers no gap
		if r := verifyWith(t, path, early, public); r.Valid || !r.Checkpoints[0].Covered {
			t.Fatalf("%+v", r)
		}
	})
	t.Run("without the hashes", func(t *testing.T) {
		path, _ := make(t)
		must(t, os.Remove(rotatedName(path, 1)))
		must(t, os.Remove(path+checkpoint.HashesSuffix))
		if r := verifyWith(t, path, "", public); r.Valid || r.Root != "" {
			t.Fatalf("%+v", r)
		}
		wantRefused(t, path, witnessed(private), "moved away", "Put the older files back")
	})
	t.Run("with wrong hashes", func(t *testing.T) {
		path, _ := make(t)
		must(t, os.Remove(rotatedName(path, 1)))
		damages["every byte changed"](t, path+checkpoint.HashesSuffix)
		if r := verifyWith(t, path, "", public); r.Valid || r.Root != "" {
			t.Fatalf("%+v", r)
		}
		wantRefused(t, path, witnessed(private), "moved away", "Put the older files back")
	})
}

// After a change of keys the checkpoint is taken once under the key of before,
// and signed with the new one at once.
func TestChangeOfKeys(t *testing.T) {
	oldPublic, oldPrivate := newCheckpointKey(t)
	public, private := newCheckpointKey(t)
	path, _ := writeWitnessed(t, 3, oldPrivate)
	wantRefused(t, path, witnessed(private), "another key")
	mustClose(t, open(t, path, witnessed(private, oldPublic)))
	wantCheckpoint(t, path, public)
	addWitnessed(t, path, 1, private)
	wantCheckpoint(t, path, public)
}

// Checkpoints can be switched on over a log that has none.
func TestCheckpointsOverAnOldLog(t *testing.T) {
	public, private := newCheckpointKey(t)
	path, _ := writeLog(t, 20, signed)
	var logged bytes.Buffer
	o := witnessed(private)
	o.follow.(*notary).log = hclog.New(&hclog.LoggerOptions{Output: &logged})
	mustClose(t, open(t, path, o))
	wantCheckpoint(t, path, public)
	if !strings.Contains(logged.String(), "no checkpoint beside the evidence log") {
		t.Errorf("the log says\n%s", logged.String())
	}
}
