package evidence

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"testing"
)

// faultyFiles are the files of the machine with one operation that fails. It
// counts operations, so that a test can fail each in turn.
type faultyFiles struct {
	osFiles
	mu     sync.Mutex
	at     int    // the operation to fail, from 1; 0 fails none
	dead   bool   // every operation after that fails too, as if the process were gone
	ops    int    // so far
	failed string // the operation that failed
	late   bool   // a failing rename has done its work: a file system that lost its connection says so too

	logs  []*faultyLog
	names []func() // take back what was done to the directory and is not durable
	old   string   // the last name that was linked
}

var errInjected = errors.New("injected")

// fail counts an operation and reports whether it is to fail.
func (f *faultyFiles) fail(op string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ops++
	if f.ops == f.at {
		f.failed = op
		return true
	}
	return f.dead && f.at > 0 && f.ops > f.at
}

func (f *faultyFiles) OpenLog(path string) (logFile, error) {
	if f.fail("open") {
		return nil, errInjected
	}
	l, err := f.osFiles.OpenLog(path)
	if err != nil {
		return nil, err
	}
	size, err := l.Size()
	return f.watch(l, size), err
}

// watch remembers a file of which size bytes are durable.
func (f *faultyFiles) watch(l logFile, size int64) logFile {
	w := &faultyLog{logFile: l, files: f, synced: size}
	w.info, _ = l.(interface{ Stat() (os.FileInfo, error) }).Stat()
	f.logs = append(f.logs, w)
	return w
}

func (f *faultyFiles) CreateNext(path string) (logFile, error) {
	if f.fail("create next") {
		return nil, errInjected
	}
	l, err := f.osFiles.CreateNext(path)
	if err != nil {
		return nil, err
	}
	f.names = append(f.names, func() { os.Remove(nextName(path)) })
	return f.watch(l, 0), nil
}

func (f *faultyFiles) Link(path, name string) error {
	if f.fail("link") {
		return errInjected
	}
	err := f.osFiles.Link(path, name)
	if err == nil {
		f.old = name
		f.names = append(f.names, func() { os.Remove(name) })
	}
	return err
}

func (f *faultyFiles) Rename(path, name string) error {
	failed := f.fail("rename")
	if failed && !f.late {
		return errInjected
	}
	err := f.osFiles.Rename(path, name)
	if old := f.old; err == nil {
		f.names = append(f.names, func() { os.Rename(name, path); os.Link(old, name) })
	}
	if failed {
		return errInjected
	}
	return err
}

func (f *faultyFiles) Remove(path string) error {
	if f.fail("remove") {
		return errInjected
	}
	return f.osFiles.Remove(path)
}

func (f *faultyFiles) CreateAside(path string) (asideFile, error) {
	if f.fail("create aside") {
		return nil, errInjected
	}
	a, err := f.osFiles.CreateAside(path)
	return &faultyAside{a, f}, err
}

func (f *faultyFiles) SyncDir(path string) error {
	if f.fail("sync directory") {
		return errInjected
	}
	err := f.osFiles.SyncDir(path)
	if err == nil {
		f.names = nil
	}
	return err
}

type faultyLog struct {
	logFile
	files  *faultyFiles
	info   os.FileInfo
	synced int64 // how much of it is durable
}

// Write writes half of what it is given before it fails.
func (l *faultyLog) Write(b []byte) (int, error) {
	if l.files.fail("write") {
		n, _ := l.logFile.Write(b[:len(b)/2])
		return n, errInjected
	}
	return l.logFile.Write(b)
}

func (l *faultyLog) Size() (int64, error) {
	if l.files.fail("size") {
		return 0, errInjected
	}
	return l.logFile.Size()
}

func (l *faultyLog) ReadAt(b []byte, at int64) (int, error) {
	if l.files.fail("read") {
		return 0, errInjected
	}
	return l.logFile.ReadAt(b, at)
}

func (l *faultyLog) Sync() error {
	if l.files.fail("sync") {
		return errInjected
	}
	size, err := l.logFile.Size()
	if err == nil {
		l.synced = size
	}
	return errors.Join(err, l.logFile.Sync())
}

func (l *faultyLog) Truncate(size int64) error {
	if l.files.fail("truncate") {
		return errInjected
	}
	return l.logFile.Truncate(size)
}

func (l *faultyLog) Unchanged(size int64) error {
	if l.files.fail("look") {
		return errInjected
	}
	return l.logFile.Unchanged(size)
}

// Close closes the file, or the lock would outlive the test.
func (l *faultyLog) Close() error {
	err := l.logFile.Close()
	if l.files.fail("close") {
		return errInjected
	}
	return err
}

type faultyAside struct {
	asideFile
	files *faultyFiles
}

func (a *faultyAside) Write(b []byte) (int, error) {
	if a.files.fail("write aside") {
		n, _ := a.asideFile.Write(b[:len(b)/2])
		return n, errInjected
	}
	return a.asideFile.Write(b)
}

func (a *faultyAside) Sync() error {
	if a.files.fail("sync aside") {
		return errInjected
	}
	return a.asideFile.Sync()
}

func (a *faultyAside) Close() error {
	err := a.asideFile.Close()
	if a.files.fail("close aside") {
		return errInjected
	}
	return err
}

// Every operation fails in turn: alone, with all that follow, and with a crash
// that loses what was not synced. What was answered is never missing from the
// log, and the log verifies after the next start.
func TestEveryOperationFails(t *testing.T) {
	for _, how := range []string{"once", "once, late", "for good", "with a crash"} {
		t.Run(how, func(t *testing.T) {
			met := map[string]bool{}
			for at := 1; ; at++ {
				files := &faultyFiles{at: at, dead: how == "for good" || how == "with a crash", late: how == "once, late"}
				path, answered := newPath(t), map[string]bool{}
				story(t, path, files, answered)
				if files.failed == "" {
					break // the story has fewer operations
				}
				met[files.failed] = true
				if how == "with a crash" {
					crash(t, path, files, at)
				}
				l, err := Open(path, signed)
				if err != nil {
					t.Fatalf("after operation %d, %s: %v", at, files.failed, err)
				}
				add(t, l, "after")
				must(t, l.Rotate())
				mustClose(t, l)
				wantValid(t, path, signed.verify())
				wantRecords(t, path, answered)
			}
			for _, op := range []string{"open", "create aside", "sync directory", "write", "size", "read", "sync", "truncate", "look", "close", "write aside", "sync aside", "close aside", "create next", "link", "rename"} {
				if !met[op] {
					t.Errorf("%s never failed", op)
				}
			}
		})
	}
}

// story starts a log, appends, rotates, is cut short in the middle of a record,
// starts again and does the same. It puts the ids of what was answered into answered.
func story(t *testing.T, path string, files *faultyFiles, answered map[string]bool) {
	t.Helper()
	o := signed
	o.files = files
	for range 2 {
		if l, err := Open(path, o); err == nil {
			for i := range 3 {
				id := nextID()
				req, resp := exchange(fmt.Sprint(i))
				if l.Append(id, req, resp) == nil {
					answered[id] = true
				}
				if i == 1 {
					_ = l.Rotate() // the log goes on in one file or the other
				}
			}
			l.Close()
		}
		if f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0); err == nil {
			if _, err := f.WriteString(`{"schema_version":"cavra`); err != nil {
				t.Fatal(err)
			}
			f.Close()
		}
	}
}

// crash takes back some of what was not synced, of the files and of their
// names.
func crash(t *testing.T, path string, files *faultyFiles, salt int) {
	t.Helper()
	if salt%2 == 0 {
		for _, back := range slices.Backward(files.names) {
			back()
		}
	}
	names, err := Files(path)
	must(t, err)
	for _, name := range append(names, nextName(path)) {
		info, err := os.Stat(name)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		must(t, err)
		for _, l := range slices.Backward(files.logs) {
			if !os.SameFile(info, l.info) {
				continue
			}
			if lost := info.Size() - l.synced; lost > 0 {
				must(t, os.Truncate(name, l.synced+lost*int64(salt%3)/2))
			}
			break
		}
	}
}

// failing opens a log whose n-th operation from now on fails.
func failing(t *testing.T, path string, sync SyncMode) (*Log, func(n int)) {
	t.Helper()
	files := &faultyFiles{}
	o := signed
	o.files, o.Sync = files, sync
	l := open(t, path, o)
	return l, func(n int) {
		files.mu.Lock()
		defer files.mu.Unlock()
		files.at = files.ops + n
	}
}

func tryAdd(l *Log) error {
	req, resp := exchange("x")
	return l.Append(nextID(), req, resp)
}

func TestAFailedSyncIsNeverTriedAgain(t *testing.T) {
	path := newPath(t)
	l, failNth := failing(t, path, SyncAlways)
	add(t, l, "a")
	failNth(3) // look, write, sync
	for range 3 {
		if err := tryAdd(l); !errors.Is(err, errInjected) {
			t.Fatalf("got %v", err)
		}
	}
	if err := l.Close(); !errors.Is(err, errInjected) {
		t.Errorf("Close says %v", err)
	}
	l = open(t, path, signed) // verified again, it goes on
	add(t, l, "b")
	mustClose(t, l)
	wantValid(t, path, signed.verify())
}

func TestAFailedWriteIsCutOff(t *testing.T) {
	path := newPath(t)
	l, failNth := failing(t, path, SyncAlways)
	add(t, l, "a")
	before := read(t, path)
	failNth(2) // look, write
	if err := tryAdd(l); !errors.Is(err, errInjected) {
		t.Fatalf("got %v", err)
	}
	if string(read(t, path)) != string(before) {
		t.Error("part of the record stayed")
	}
	add(t, l, "b")
	mustClose(t, l)
	if r := wantValid(t, path, signed.verify()); r.Records != 2 {
		t.Errorf("%+v", r)
	}
}

func TestAWriteThatCannotBeCutOffPoisons(t *testing.T) {
	path := newPath(t)
	files := &faultyFiles{}
	o := signed
	o.files = files
	l := open(t, path, o)
	add(t, l, "a")
	files.at, files.dead = files.ops+2, true // look, write and all that follow
	if err := tryAdd(l); !errors.Is(err, errInjected) {
		t.Fatalf("got %v", err)
	}
	files.at = 0 // the disk is well again, the log is not
	if err := tryAdd(l); !errors.Is(err, errInjected) {
		t.Fatalf("got %v", err)
	}
	l.Close()
	mustClose(t, open(t, path, signed))
	if r := wantValid(t, path, signed.verify()); r.Records != 2 {
		t.Errorf("want the record and that of the repair: %+v", r)
	}
}

func recordIDOf(line []byte) string {
	var r struct {
		RecordID string `json:"record_id"`
	}
	if json.Unmarshal(line, &r) != nil {
		return ""
	}
	return r.RecordID
}
