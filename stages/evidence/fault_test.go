package evidence

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
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
	synced int64  // how much of the log is durable
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
	f.synced, err = l.Size()
	return &faultyLog{logFile: l, files: f}, err
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
	return f.osFiles.SyncDir(path)
}

type faultyLog struct {
	logFile
	files *faultyFiles
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
		l.files.synced = size
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
	for _, how := range []string{"once", "for good", "with a crash"} {
		t.Run(how, func(t *testing.T) {
			met := map[string]bool{}
			for at := 1; ; at++ {
				files := &faultyFiles{at: at, dead: how != "once"}
				path, answered := newPath(t), map[string]bool{}
				story(t, path, files, answered)
				if files.failed == "" {
					break // the story has fewer operations
				}
				met[files.failed] = true
				if how == "with a crash" {
					crash(t, path, files, at)
				}
				mustClose(t, open(t, path, signed))
				wantValid(t, path, signed.verify())
				wantRecords(t, path, answered)
			}
			for _, op := range []string{"open", "create aside", "sync directory", "write", "size", "read", "sync", "truncate", "look", "close", "write aside", "sync aside", "close aside"} {
				if !met[op] {
					t.Errorf("%s never failed", op)
				}
			}
		})
	}
}

// story starts a log, appends, is cut short in the middle of a record, starts
// again and appends. It puts the ids of what was answered into answered.
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

// crash takes back some of what was not synced.
func crash(t *testing.T, path string, files *faultyFiles, salt int) {
	t.Helper()
	info, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) {
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	if lost := info.Size() - files.synced; lost > 0 {
		if err := os.Truncate(path, files.synced+lost*int64(salt%3)/2); err != nil {
			t.Fatal(err)
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
