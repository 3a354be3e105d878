package evidence

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// mountSmall mounts a file system of a MiB that is in memory.
func mountSmall(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("evidence", dir, "tmpfs", 0, "size=1m,mode=0700"); err != nil {
		t.Skipf("a file system cannot be mounted here: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// On a file system that fills up, each record is refused that does not fit,
// nothing of it stays, and the log goes on when there is room; so does a log
// that is to be rotated when there is none.
func TestFullFileSystem(t *testing.T) {
	path := filepath.Join(mountSmall(t), "decisions.log")
	o := signed
	o.MinFree, o.WarnFree = 1, 1 // the mark is not to keep us from the end
	l := open(t, path, o)
	answered := map[string]bool{}
	large := strings.Repeat("x", 10_000)
	full := func() (err error) {
		for err == nil {
			id := nextID()
			req, resp := exchange(large)
			if err = l.Append(id, req, resp); err == nil {
				answered[id] = true
			}
		}
		return err
	}
	filler := path + ".filler"
	write(t, filler, make([]byte, 300<<10))
	if err := full(); !errors.Is(err, syscall.ENOSPC) && !strings.Contains(err.Error(), "bytes free") {
		t.Fatal(err)
	}
	stage := &Stage{log: share(l, Options{}, nil)}
	if err := stage.Health(); err == nil || !strings.Contains(err.Error(), "every request is blocked") {
		t.Errorf("nothing can be recorded, and the stage says %v", err)
	}
	if err := l.Rotate(); err == nil { // a page may be left for its one record
		t.Log("there was room for a rotation")
	}
	must(t, os.Remove(filler))
	l.own.Lock()
	l.space.looked = l.space.looked.Add(-spaceEvery)
	l.own.Unlock()
	add(t, l, "after")
	if err := stage.Health(); err != nil {
		t.Errorf("there is room again, and the stage says %v", err)
	}
	must(t, l.Rotate())
	_ = full()
	mustClose(t, l)
	wantValid(t, path, signed.verify())
	wantRecords(t, path, answered)
	if len(answered) < 30 {
		t.Errorf("only %d records fitted", len(answered))
	}
}

// The mark stops recording before the file system is full.
func TestLowWaterMark(t *testing.T) {
	dir := mountSmall(t)
	path := filepath.Join(dir, "decisions.log")
	o := signed
	o.MinFree = 200 << 10
	l := open(t, path, o)
	add(t, l, "a")
	write(t, path+".filler", make([]byte, 900<<10))
	l.own.Lock()
	l.space.looked = l.space.looked.Add(-spaceEvery)
	l.own.Unlock()
	if err := tryAdd(l); err == nil || !strings.Contains(err.Error(), "bytes free") {
		t.Errorf("%v", err)
	}
	mustClose(t, l)
	if r := wantValid(t, path, signed.verify()); r.Records != 1 {
		t.Errorf("%+v", r)
	}
}
