//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package evidence

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/mod/sumdb/tlog"
	"pgregory.net/rapid"

	"github.com/Huzefaaa2/cavra/go/cavra-runtime/stages/evidence/checkpoint"
)

func newCheckpointKey(t testing.TB) (ed25519.PublicKey, ed25519.PrivateKey) {
	t.Helper()
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	return public, private
}

// witnessed are the options of a signed log with checkpoints.
func witnessed(key ed25519.PrivateKey, old ...ed25519.PublicKey) LogOptions {
	o := signed
	o.follow = newNotary(key, old, hclog.NewNullLogger())
	return o
}

// writeWitnessed makes a closed log of n records with its checkpoint.
func writeWitnessed(t testing.TB, n int, key ed25519.PrivateKey) (path string, ids []string) {
	t.Helper()
	path = newPath(t)
	return path, addWitnessed(t, path, n, key)
}

func addWitnessed(t testing.TB, path string, n int, key ed25519.PrivateKey) (ids []string) {
	t.Helper()
	l := open(t, path, witnessed(key))
	for i := range n {
		ids = append(ids, add(t, l, fmt.Sprintf("file-%d", i+1)))
	}
	mustClose(t, l)
	return ids
}

// rootOf is the root of a log's lines as package tlog computes it.
func rootOf(t testing.TB, lines [][]byte) checkpoint.Hash {
	t.Helper()
	var all []tlog.Hash
	read := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		var some []tlog.Hash
		for _, i := range indexes {
			some = append(some, all[i])
		}
		return some, nil
	})
	for i, line := range lines {
		hashes, err := tlog.StoredHashes(int64(i), bytes.TrimSuffix(line, []byte("\n")), read)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, hashes...)
	}
	root, err := tlog.TreeHash(int64(len(lines)), read)
	if err != nil {
		t.Fatal(err)
	}
	return root
}

// wantCheckpoint reads the checkpoint beside a log, which must cover the log.
func wantCheckpoint(t testing.TB, path string, key ed25519.PublicKey) checkpoint.Checkpoint {
	t.Helper()
	c, err := checkpoint.Read(read(t, path+checkpoint.Suffix), key)
	if err != nil {
		t.Fatal(err)
	}
	lines := allLines(t, path)
	if c.Size != int64(len(lines)) || c.Root != rootOf(t, lines) {
		t.Fatalf("the checkpoint has size %d, the log %d records; or another root", c.Size, len(lines))
	}
	if first := glance(bytes.TrimSuffix(lines[0], []byte("\n"))); c.Origin != checkpoint.Origin(string(first.recordHash)) {
		t.Fatalf("the origin is %s", c.Origin)
	}
	return c
}

// allLines are those of all files of a log.
func allLines(t testing.TB, path string) (lines [][]byte) {
	t.Helper()
	files, err := Files(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		lines = append(lines, linesOf(t, file)...)
	}
	return lines
}

// verifyWith verifies a log with its checkpoint and one that was kept, if any.
func verifyWith(t testing.TB, path, kept string, keys ...ed25519.PublicKey) Report {
	t.Helper()
	w, err := NewCheckpoints(path, kept, keys)
	if err != nil {
		t.Fatal(err)
	}
	o := signed.verify()
	o.Witness = w
	r, err := VerifyFile(path, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// wantKind fails unless the only fault is of a kind.
func wantKind(t testing.TB, r Report, kind string) {
	t.Helper()
	if len(r.ErrorDetails) != 1 || r.ErrorDetails[0].Kind != kind || r.Valid {
		t.Fatalf("want the fault %s: %+v", kind, r)
	}
}

func TestCheckpointCoversTheLog(t *testing.T) {
	public, private := newCheckpointKey(t)
	path := newPath(t)
	for n := range 5 { // 0 records too: then there is none
		addWitnessed(t, path, n, private)
		if n == 0 {
			if _, err := os.Stat(path + checkpoint.Suffix); !errors.Is(err, os.ErrNotExist) {
				t.Fatalf("a log without records has a checkpoint: %v", err)
			}
			continue
		}
		c := wantCheckpoint(t, path, public)
		r := verifyWith(t, path, "", public)
		if len(r.Warnings) > 0 || !r.Valid || r.Root != c.Root.String() || len(r.Checkpoints) != 1 || !r.Checkpoints[0].Covered || !r.Checkpoints[0].Verified {
			t.Fatalf("%+v", r)
		}
	}
	for _, suffix := range []string{checkpoint.Suffix, checkpoint.HashesSuffix, checkpoint.IndexSuffix} {
		if info, err := os.Stat(path + suffix); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", suffix, info, err)
		}
	}
}

// The law: however a log is written, in batches, over starts, with any mode of
// syncing and any rotation, its checkpoint at stop is that of package tlog.
func TestCheckpointIsThatOfTlog(t *testing.T) {
	public, private := newCheckpointKey(t)
	dir := t.TempDir()
	runs := 0
	rapid.Check(t, func(rt *rapid.T) {
		runs++
		path := filepath.Join(dir, fmt.Sprint(runs), "log")
		total := 0
		for range rapid.IntRange(1, 3).Draw(rt, "starts") {
			o := witnessed(private)
			o.Sync = rapid.SampledFrom([]SyncMode{SyncAlways, SyncInterval, SyncOff}).Draw(rt, "sync")
			l, err := Open(path, o)
			if err != nil {
				rt.Fatal(err)
			}
			for range rapid.IntRange(0, 40).Draw(rt, "records") {
				add(t, l, strings.Repeat("x", rapid.IntRange(0, 200).Draw(rt, "length")))
				total++
				if rapid.IntRange(0, 9).Draw(rt, "hash") == 0 {
					o.follow.(*notary).hash() // as at a size or a time
				}
				if rapid.IntRange(0, 9).Draw(rt, "rotate") == 0 {
					if err := l.Rotate(); err != nil {
						rt.Fatal(err)
					}
					total++
				}
			}
			if err := l.Close(); err != nil {
				rt.Fatal(err)
			}
		}
		if total == 0 {
			return
		}
		if c := wantCheckpoint(t, path, public); c.Size != int64(total) {
			rt.Fatalf("the checkpoint covers %d of %d records", c.Size, total)
		}
		wantIndex(rt, path)
	})
}

// wantIndex fails unless the index beside a log leads to each of its lines.
func wantIndex(t rapid.TB, path string) {
	t.Helper()
	hashes, index, err := openStored(path)
	if err != nil {
		t.Fatal(err)
	}
	defer hashes.Close()
	defer index.Close()
	files, err := Files(path)
	if err != nil {
		t.Fatal(err)
	}
	err = heldLog{files: files, size: -1}.lines(0, 0, func(_ []byte, s seen, offset int64) error {
		at, err := checkpoint.Offset(index, s.sequence)
		if err == nil && at != offset {
			err = fmt.Errorf("record %d stands at %d, and the index says %d", s.sequence, offset, at)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// watched has the notary tell of each checkpoint it has written.
func watched(n *notary) <-chan checkpoint.Checkpoint {
	written := make(chan checkpoint.Checkpoint, 1000)
	n.replace = func(path string, signed []byte) error {
		err := checkpoint.Replace(path, signed)
		if c, readErr := checkpoint.Read(signed); err == nil && readErr == nil {
			written <- c
		}
		return err
	}
	return written
}

// A checkpoint is written while the log is open, also where records never
// cease to come, and never covers more than was synced.
func TestCheckpointFollowsTheLog(t *testing.T) {
	_, private := newCheckpointKey(t)
	o := witnessed(private)
	files := &faultyFiles{}
	o.files = files
	written := watched(o.follow.(*notary))
	path := newPath(t)
	l := open(t, path, o)
	begin := time.Now()
	add(t, l, "a")
	if c := <-written; c.Size != 1 {
		t.Fatalf("%+v", c)
	}
	if took := time.Since(begin); took < checkpointDelay/2 || checkpointDelay > 80*time.Millisecond {
		t.Errorf("the first checkpoint took %v: it is meant to wait for more, and not for long", took)
	}
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			default:
				add(t, l, "b")
			}
		}
	}()
	last := checkpoint.Checkpoint{Size: 1}
	for range 4 {
		c := <-written
		if c.Size <= last.Size {
			t.Errorf("from %d to %d", last.Size, c.Size)
		}
		last = c
	}
	close(stop)
	<-done
	mustClose(t, l)
}

func TestNoCheckpointOfWhatIsNotSynced(t *testing.T) {
	public, private := newCheckpointKey(t)
	for _, mode := range []SyncMode{SyncOff, SyncInterval} {
		path := newPath(t)
		o := witnessed(private)
		o.Sync = mode
		n := o.follow.(*notary)
		l := open(t, path, o)
		l.own.Lock() // so that no tick syncs
		for range 3 {
			id := nextID()
			req, resp := exchange("x")
			must(t, l.commit([]*entry{{eventType: EventDecision, recordID: id, body: appendValidBody(nil, req, resp)}}))
		}
		n.hash()
		n.work.Lock()
		if n.tree.Size() != 3 || n.durable.Size != 0 {
			t.Errorf("%s: the tree has %d lines, of which %d count as durable", mode, n.tree.Size(), n.durable.Size)
		}
		n.work.Unlock()
		must(t, l.settle())
		l.own.Unlock()
		mustClose(t, l)
		wantCheckpoint(t, path, public)
	}
}

// A failing disk keeps no record from being written, and the checkpoint is made
// up for.
func TestAFailedCheckpointIsTriedAgain(t *testing.T) {
	public, private := newCheckpointKey(t)
	path := newPath(t)
	o := witnessed(private)
	n := o.follow.(*notary)
	var logged bytes.Buffer
	n.log = hclog.New(&hclog.LoggerOptions{Output: &logged})
	n.delay = time.Millisecond
	written := make(chan struct{}, 100)
	failures := 3
	n.replace = func(path string, signed []byte) error {
		if failures--; failures >= 0 {
			return errInjected
		}
		err := checkpoint.Replace(path, signed)
		written <- struct{}{}
		return err
	}
	l := open(t, path, o)
	add(t, l, "a")
	<-written
	add(t, l, "b")
	<-written
	mustClose(t, l)
	wantCheckpoint(t, path, public)
	if s := logged.String(); strings.Count(s, "cannot be written") != 1 || !strings.Contains(s, "failures=3") {
		t.Errorf("the log says\n%s", s)
	}

	// What cannot be written at stop is said, and made up for at the next start.
	o = witnessed(private)
	n = o.follow.(*notary)
	n.replace = func(string, []byte) error { return errInjected }
	l = open(t, path, o)
	add(t, l, "c")
	if err := l.Close(); !errors.Is(err, errInjected) || !strings.Contains(err.Error(), "next start") {
		t.Errorf("Close says %v", err)
	}
	mustClose(t, open(t, path, witnessed(private)))
	wantCheckpoint(t, path, public)
}

// While it runs the notary mends its checkpoint, but signs nothing beside
// another notary of the same key.
func TestTheCheckpointIsWatched(t *testing.T) {
	public, private := newCheckpointKey(t)
	path := newPath(t)
	o := witnessed(private)
	n := o.follow.(*notary)
	n.delay = time.Millisecond
	written := watched(n)
	l := open(t, path, o)
	add(t, l, "a")
	<-written
	must(t, os.Remove(path+checkpoint.Suffix))
	add(t, l, "b")
	<-written
	write(t, path+checkpoint.Suffix, []byte("garbage"))
	add(t, l, "c")
	<-written

	c, err := checkpoint.Read(read(t, path+checkpoint.Suffix), public)
	must(t, err)
	c.Size += 10
	foreign, err := c.Sign(private)
	must(t, err)
	write(t, path+checkpoint.Suffix, foreign)
	add(t, l, "d")
	if err := l.Close(); !errors.Is(err, errOtherNotary) {
		t.Errorf("Close says %v", err)
	}
	if !bytes.Equal(read(t, path+checkpoint.Suffix), foreign) {
		t.Error("it was written over")
	}
}

// A start that fails after the notary's leaves no goroutine, and what a killed
// process left is swept away.
func TestNotaryOfAFailedStart(t *testing.T) {
	public, private := newCheckpointKey(t)
	path, _ := writeWitnessed(t, 2, private)
	left := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+checkpoint.Suffix+"4711")
	write(t, left, nil)
	for at := 1; ; at++ {
		f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
		must(t, err)
		_, err = f.WriteString("{")
		must(t, err)
		must(t, f.Close())
		o := witnessed(private)
		files := &faultyFiles{at: at}
		o.files = files
		l, err := Open(path, o)
		if err == nil {
			_ = l.Close() // which may be what fails
			if files.failed == "" {
				break
			}
		}
	}
	wantCheckpoint(t, path, public)
	if _, err := os.Stat(left); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s was left: %v", left, err)
	}
}

// A crash between a log's sync and its checkpoint leaves the log ahead, and the
// next start makes up for it. The hashes and the index are never synced, so a
// crash of the machine may leave them old or new, whatever the checkpoint is.
func TestACrashBeforeTheCheckpoint(t *testing.T) {
	public, private := newCheckpointKey(t)
	path, _ := writeWitnessed(t, 5, private)
	suffixes := []string{checkpoint.Suffix, checkpoint.HashesSuffix, checkpoint.IndexSuffix}
	states := [2]map[string][]byte{{}, {}}
	for i := range states {
		for _, suffix := range suffixes {
			states[i][suffix] = read(t, path+suffix)
		}
		if i == 0 {
			addWitnessed(t, path, 4, private)
		}
	}
	log := read(t, path)
	for state := range 1 << len(suffixes) {
		write(t, path, log)
		for i, suffix := range suffixes {
			write(t, path+suffix, states[state>>i&1][suffix])
		}
		mustClose(t, open(t, path, witnessed(private)))
		if c := wantCheckpoint(t, path, public); c.Size != 9 {
			t.Errorf("%+v", c)
		}
	}
}

// What a killed process had written and not synced is synced before it is
// signed, or a loss of power would leave the log below its checkpoint.
func TestAStartSyncsWhatItSigns(t *testing.T) {
	public, private := newCheckpointKey(t)
	path, _ := writeWitnessed(t, 5, private)
	l := open(t, path, signed)
	add(t, l, "not covered")
	mustClose(t, l)
	met := false
	for at := 1; ; at++ {
		before := read(t, path+checkpoint.Suffix)
		o := witnessed(private)
		files := &faultyFiles{at: at}
		o.files = files
		l, err := Open(path, o)
		if err == nil {
			_ = l.Close()
		}
		if files.failed == "sync" {
			met = true
			if err == nil || !bytes.Equal(before, read(t, path+checkpoint.Suffix)) {
				t.Fatalf("it was signed without a sync: %v", err)
			}
		}
		if files.failed == "" || err == nil {
			break
		}
	}
	if !met {
		t.Error("nothing was synced")
	}
	wantCheckpoint(t, path, public)
}

// Many appenders, rotations and checkpoints at the same time, with records that
// may outrun the hashing: for the race detector.
func TestNotaryUnderLoad(t *testing.T) {
	public, private := newCheckpointKey(t)
	path := newPath(t)
	o := witnessed(private)
	o.Sync = SyncOff
	o.follow.(*notary).delay = time.Millisecond
	l := open(t, path, o)
	large := strings.Repeat("x", 200<<10)
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() {
			for j := range 30 {
				add(t, l, large[:1+i*j*1700])
				if j%10 == 9 {
					must(t, l.Rotate())
				}
			}
		})
	}
	all.Wait()
	mustClose(t, l)
	if c := wantCheckpoint(t, path, public); c.Size != 4*30+12 {
		t.Errorf("%+v", c)
	}
}
