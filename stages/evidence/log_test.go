package evidence

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	enforcementv1 "github.com/Huzefaaa2/cavra/go/cavra-runtime/enforcement/v1"
)

func TestLogGoesOnAfterARestart(t *testing.T) {
	for name, o := range map[string]LogOptions{"unsigned": {}, "signed": signed, "key without an id": {Key: testKey}} {
		t.Run(name, func(t *testing.T) {
			path := newPath(t)
			for range 4 {
				l := open(t, path, o)
				add(t, l, "a")
				add(t, l, "b")
				mustClose(t, l)
			}
			if r := wantValid(t, path, o.verify()); r.Records != 8 || r.LastSequence != 8 {
				t.Errorf("%+v", r)
			}
		})
	}
}

func TestSyncModes(t *testing.T) {
	for _, c := range []struct {
		mode  SyncMode
		early bool // synced before Append returns
	}{{SyncAlways, true}, {"", true}, {SyncInterval, false}, {SyncOff, false}} {
		t.Run(string(c.mode), func(t *testing.T) {
			path, files := newPath(t), &faultyFiles{}
			o := signed
			o.files, o.Sync = files, c.mode
			l := open(t, path, o)
			add(t, l, "a")
			size := int64(len(read(t, path)))
			if size == 0 {
				t.Error("Append returned before the record was written")
			}
			if c.early && files.logs[0].synced != size {
				t.Errorf("%d of %d bytes are durable when Append returns", files.logs[0].synced, size)
			}
			mustClose(t, l)
			if files.logs[0].synced != size {
				t.Errorf("%d of %d bytes are durable after Close", files.logs[0].synced, size)
			}
		})
	}
	t.Run("unknown", func(t *testing.T) { wantRefused(t, newPath(t), LogOptions{Sync: "sometimes"}, "sync", "interval") })
}

func TestIntervalSyncs(t *testing.T) {
	path, synced := newPath(t), make(chan struct{}, 1)
	o := signed
	o.Sync = SyncInterval
	o.files = watchedFiles{synced: synced}
	l := open(t, path, o)
	add(t, l, "a")
	<-synced
	mustClose(t, l)
}

// watchedFiles tell of each sync of the log, and wait where gate is set until
// they may go on.
type watchedFiles struct {
	osFiles
	synced chan struct{}
	gate   chan struct{}
}

func (w watchedFiles) OpenLog(path string) (logFile, error) {
	l, err := w.osFiles.OpenLog(path)
	return watchedLog{l, w}, err
}

type watchedLog struct {
	logFile
	w watchedFiles
}

func (l watchedLog) Sync() error {
	select {
	case l.w.synced <- struct{}{}:
	default:
	}
	if l.w.gate != nil {
		<-l.w.gate
	}
	return l.logFile.Sync()
}

// While one sync is under way others wait, and share the next one.
func TestRecordsShareOneSync(t *testing.T) {
	const waiting = 50
	path := newPath(t)
	w := watchedFiles{synced: make(chan struct{}, 1), gate: make(chan struct{})}
	o := signed
	o.files = w
	l := open(t, path, o)
	var all sync.WaitGroup
	all.Go(func() { add(t, l, "first") })
	<-w.synced // the first is being synced
	for i := range waiting {
		all.Go(func() { add(t, l, fmt.Sprint(i)) })
	}
	for len(l.queue) < waiting {
		runtime.Gosched()
	}
	w.gate <- struct{}{}
	w.gate <- struct{}{} // one sync for all who waited
	all.Wait()
	close(w.gate)
	mustClose(t, l)
	if r := wantValid(t, path, signed.verify()); r.Records != waiting+1 {
		t.Errorf("%+v", r)
	}
}

func TestManyWritersOneChain(t *testing.T) {
	path := newPath(t)
	l := open(t, path, signed)
	var all sync.WaitGroup
	var mu sync.Mutex
	ids := map[string]bool{}
	for range 16 {
		all.Go(func() {
			for range 20 {
				id := add(t, l, "x")
				mu.Lock()
				ids[id] = true
				mu.Unlock()
			}
		})
	}
	all.Wait()
	mustClose(t, l)
	if r := wantValid(t, path, signed.verify()); r.Records != 320 {
		t.Errorf("%+v", r)
	}
	wantRecords(t, path, ids)
}

func TestAppendAfterClose(t *testing.T) {
	path := newPath(t)
	l := open(t, path, signed)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for tryAdd(l) == nil {
			}
		})
	}
	add(t, l, "x")
	mustClose(t, l)
	mustClose(t, l)
	all.Wait()
	if err := tryAdd(l); !errors.Is(err, errClosed) {
		t.Errorf("got %v", err)
	}
	wantValid(t, path, signed.verify())
}

func TestAppendRefuses(t *testing.T) {
	path := newPath(t)
	l := open(t, path, signed)
	req, resp := exchange("x")
	for _, id := range []string{"", "abc", strings.Repeat("g", 24), strings.Repeat("A", 24), `",` + strings.Repeat("0", 22)} {
		if l.Append(id, req, resp) == nil {
			t.Errorf("the record id %q was taken", id)
		}
	}
	req, resp = exchange(strings.Repeat("<", maxRecord/12))
	if err := l.Append(nextID(), req, resp); err == nil || !strings.Contains(err.Error(), "the most") {
		t.Errorf("a record that no verifier would read: %v", err)
	}
	add(t, l, "good")
	mustClose(t, l)
	if r := wantValid(t, path, signed.verify()); r.Records != 1 {
		t.Errorf("%+v", r)
	}
}

// Bytes that are no UTF-8 must not make a record that does not verify.
func TestAppendInvalidUTF8(t *testing.T) {
	path := newPath(t)
	l := open(t, path, signed)
	req := &enforcementv1.EvaluateRequest{Target: "a\xff\xfeb"}
	resp := &enforcementv1.DecisionResponse{Reason: "c\xc0d", EvidenceRefs: []string{"\x80"}}
	if err := l.Append(nextID(), req, resp); err != nil {
		t.Fatal(err)
	}
	if req.Target != "a\xff\xfeb" {
		t.Error("the request was changed")
	}
	mustClose(t, l)
	wantValid(t, path, signed.verify())
	if !bytes.Contains(read(t, path), []byte("a\ufffd\ufffdb")) {
		t.Error("the bytes were not replaced one by one")
	}
}

func TestOneWriterAtATime(t *testing.T) {
	path := newPath(t)
	l := open(t, path, signed)
	add(t, l, "a")
	err := wantRefused(t, path, signed, path, "another process")
	if !errors.Is(err, errInUse) {
		t.Errorf("got %v", err)
	}
	add(t, l, "b")
	mustClose(t, l)
	mustClose(t, open(t, path, signed))
}

// What happens to the file of an open log ends its life, and harms neither the
// file nor what took its place.
func TestChangedUnderTheWriter(t *testing.T) {
	for name, c := range map[string]struct {
		change func(t *testing.T, path string)
		want   error
	}{
		"removed": {func(t *testing.T, path string) { must(t, os.Remove(path)) }, errMoved},
		"moved":   {func(t *testing.T, path string) { must(t, os.Rename(path, path+".1")) }, errMoved},
		"replaced": {func(t *testing.T, path string) {
			copied := read(t, path)
			must(t, os.Remove(path))
			write(t, path, copied)
		}, errMoved},
		"replaced by a link to it": {func(t *testing.T, path string) {
			must(t, os.Rename(path, path+".1"))
			must(t, os.Symlink(path+".1", path))
		}, errMoved},
		"directory moved": {func(t *testing.T, path string) {
			must(t, os.Rename(filepath.Dir(path), filepath.Dir(path)+".1"))
		}, errMoved},
		"appended to": {func(t *testing.T, path string) {
			f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
			must(t, err)
			defer f.Close()
			_, err = f.WriteString("x")
			must(t, err)
		}, errForeign},
		"cut": {func(t *testing.T, path string) { must(t, os.Truncate(path, 10)) }, errForeign},
		"taken over by a second writer": {func(t *testing.T, path string) {
			must(t, os.Rename(path, path+".1"))
			second := open(t, path, signed)
			add(t, second, "second")
			mustClose(t, second)
		}, errMoved},
	} {
		t.Run(name, func(t *testing.T) {
			path := newPath(t)
			l := open(t, path, signed)
			add(t, l, "a")
			c.change(t, path)
			after, _ := os.ReadFile(path)
			for range 2 {
				if err := tryAdd(l); !errors.Is(err, c.want) {
					t.Fatalf("got %v, want %v", err, c.want)
				}
			}
			if now, _ := os.ReadFile(path); !bytes.Equal(now, after) {
				t.Error("something was written all the same")
			}
		})
	}
}

// Without syncs the file is looked at from time to time only.
func TestChangedUnderAnUnsyncedWriter(t *testing.T) {
	path := newPath(t)
	o := signed
	o.Sync = SyncOff
	l := open(t, path, o)
	add(t, l, "a")
	must(t, os.Remove(path))
	var err error
	for err == nil {
		err = tryAdd(l)
	}
	if !errors.Is(err, errMoved) {
		t.Errorf("got %v", err)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestPathsThatAreRefused(t *testing.T) {
	for name, c := range map[string]struct {
		prepare func(t *testing.T, path string) // the directory is there, 0700
		words   []string
	}{
		"symbolic link": {func(t *testing.T, path string) {
			write(t, path+".real", nil)
			must(t, os.Symlink(path+".real", path))
		}, []string{"symbolic link"}},
		"dangling link": {func(t *testing.T, path string) { must(t, os.Symlink(path+".real", path)) }, []string{"symbolic link"}},
		"directory":     {func(t *testing.T, path string) { must(t, os.Mkdir(path, 0o700)) }, []string{"is a directory"}},
		"hard link": {func(t *testing.T, path string) {
			write(t, path, nil)
			must(t, os.Link(path, path+".2"))
		}, []string{"hard links"}},
		"others read": {func(t *testing.T, path string) {
			write(t, path, nil)
			must(t, os.Chmod(path, 0o604))
		}, []string{"0604", "chmod 600"}},
		"group writes": {func(t *testing.T, path string) {
			write(t, path, nil)
			must(t, os.Chmod(path, 0o620))
		}, []string{"0620", "chmod 600"}},
		"directory of all": {func(t *testing.T, path string) {
			must(t, os.Chmod(filepath.Dir(path), 0o777))
		}, []string{"0777", "write to the directory"}},
		"directory of the group": {func(t *testing.T, path string) {
			must(t, os.Chmod(filepath.Dir(path), 0o770))
		}, []string{"0770", "write to the directory"}},
		"file as directory": {func(t *testing.T, path string) {
			must(t, os.Remove(filepath.Dir(path)))
			write(t, filepath.Dir(path), nil)
		}, []string{"no directory"}},
		"another's file": {func(t *testing.T, path string) {
			asRoot(t)
			write(t, path, nil)
			must(t, os.Chown(path, 65534, -1))
		}, []string{"belongs to user 65534"}},
		"another's directory": {func(t *testing.T, path string) {
			asRoot(t)
			must(t, os.Chown(filepath.Dir(path), 65534, -1))
		}, []string{"belongs to user 65534"}},
	} {
		t.Run(name, func(t *testing.T) {
			path := newPath(t)
			must(t, os.Mkdir(filepath.Dir(path), 0o700))
			c.prepare(t, path)
			wantRefused(t, path, signed, c.words...)
		})
	}
}

func asRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can give files away")
	}
}

func TestWhatIsMadeIsOurs(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a", "b", "log")
	mustClose(t, open(t, path, signed))
	for p, want := range map[string]os.FileMode{path: 0o600, filepath.Dir(path): 0o700, filepath.Dir(filepath.Dir(path)): 0o700} {
		info, err := os.Stat(p)
		must(t, err)
		if info.Mode().Perm() != want {
			t.Errorf("%s has mode %04o, want %04o", p, info.Mode().Perm(), want)
		}
	}
}

// The working directory may change under a relative path.
func TestRelativePath(t *testing.T) {
	t.Chdir(t.TempDir())
	l := open(t, "log", signed)
	add(t, l, "a")
	t.Chdir(t.TempDir())
	add(t, l, "b")
}

func TestKeysThatDoNotMatchTheLog(t *testing.T) {
	unsignedPath, _ := writeLog(t, 3, LogOptions{})
	signedPath, _ := writeLog(t, 3, signed)
	for name, c := range map[string]struct {
		path  string
		o     LogOptions
		words []string
	}{
		"signing switched on":  {unsignedPath, signed, []string{"is not signed", "move the log away"}},
		"signing switched off": {signedPath, LogOptions{}, []string{"is signed", "no signing key"}},
		"another key":          {signedPath, LogOptions{Key: []byte("another key"), KeyID: testKeyID}, []string{"no signature", "configure the key"}},
		"another key id":       {signedPath, LogOptions{Key: testKey, KeyID: "another"}, []string{"another key id"}},
	} {
		t.Run(name, func(t *testing.T) {
			before := read(t, c.path)
			wantRefused(t, c.path, c.o, append(c.words, c.path)...)
			if !bytes.Equal(before, read(t, c.path)) {
				t.Error("the refused log was changed")
			}
		})
	}
}

// The bound of what a start verifies: damage before it is for the verifier, or
// for a start that is told to look at all.
func TestStartVerifiesTheEnd(t *testing.T) {
	path, lines := writeLog(t, 20, signed)
	file := bytes.Join(lines, nil)
	bounded := signed
	for end := int64(1); end < int64(len(file)); end += 97 {
		bounded.verifyEnd = end
		l := open(t, path, bounded)
		if l.head.sequence != 20 || l.size != int64(len(file)) {
			t.Fatalf("with %d bytes it goes on from record %d at byte %d", end, l.head.sequence, l.size)
		}
		mustClose(t, l)
	}
	damaged := bytes.Replace(file, []byte("file-2"), []byte("file-X"), 1)
	write(t, path, damaged)
	bounded.verifyEnd = int64(len(file)) / 2
	mustClose(t, open(t, path, bounded))
	bounded.VerifyAll = true
	wantRefused(t, path, bounded, "damaged", "line 2", "record.hash")

	bounded.VerifyAll = false
	damaged = bytes.Replace(file, []byte("file-19"), []byte("file-XX"), 1)
	write(t, path, damaged)
	at := len(file) - len(lines[19]) - len(lines[18])
	err := wantRefused(t, path, bounded, "damaged", fmt.Sprintf("byte %d", at), "record.hash")
	if strings.Contains(err.Error(), "line ") {
		t.Errorf("%q counts lines from the middle of the file", err)
	}

	// An end without a whole line says nothing of where the chain stands.
	for torn := range 3 {
		write(t, path, append(bytes.Clone(file), bytes.Repeat([]byte("x"), 999+torn)...))
		bounded.verifyEnd = 1000
		l := open(t, path, bounded)
		add(t, l, "after")
		mustClose(t, l)
		if r := wantValid(t, path, signed.verify()); r.Records != 22 {
			t.Errorf("%+v", r)
		}
	}
}

func TestTornLastLine(t *testing.T) {
	_, lines := writeLog(t, 3, signed)
	file := bytes.Join(lines, nil)
	whole := len(file) - len(lines[2])
	for name, end := range map[string]int{
		"one byte":                    whole + 1,
		"half":                        whole + len(lines[2])/2,
		"whole JSON, no line end":     len(file) - 1,
		"only the first line, broken": 20,
	} {
		t.Run(name, func(t *testing.T) {
			path := newPath(t)
			must(t, os.Mkdir(filepath.Dir(path), 0o700))
			write(t, path, file[:end])
			kept := bytes.LastIndexByte(file[:end], '\n') + 1
			l := open(t, path, signed)
			add(t, l, "after")
			mustClose(t, l)
			wantValid(t, path, signed.verify())
			after := linesOf(t, path)
			if !bytes.HasPrefix(read(t, path), file[:kept]) {
				t.Error("whole records were changed")
			}
			repair := after[len(after)-2]
			asides, err := filepath.Glob(path + ".torn-*")
			if err != nil || len(asides) != 1 {
				t.Fatalf("kept beside the log: %q, %v", asides, err)
			}
			if !bytes.Equal(read(t, asides[0]), file[kept:end]) {
				t.Error("what was cut off was not kept")
			}
			info, err := os.Stat(asides[0])
			must(t, err)
			if info.Mode().Perm() != 0o600 {
				t.Errorf("mode %04o", info.Mode().Perm())
			}
			for _, want := range []string{EventLogRepaired, "evidence.log.repaired", filepath.Base(asides[0]), fmt.Sprintf("%d bytes", end-kept)} {
				if !bytes.Contains(repair, []byte(want)) {
					t.Errorf("the record of the repair does not say %q: %s", want, repair)
				}
			}
			mustClose(t, open(t, path, signed))
			if len(linesOf(t, path)) != len(after) {
				t.Error("a sound log was repaired")
			}
		})
	}
}

// What was kept of a log that was moved away is no business of the next one.
func TestRepairForgetsAnotherLog(t *testing.T) {
	path := newPath(t)
	for range 2 {
		must(t, os.MkdirAll(filepath.Dir(path), 0o700))
		write(t, path, []byte("torn"))
		mustClose(t, open(t, path, signed))
		must(t, os.Remove(path))
	}
	mustClose(t, open(t, path, signed))
	if n := len(linesOf(t, path)); n != 0 {
		t.Errorf("%d records in a new log", n)
	}
}

// A repair that was interrupted after the cut is completed by its record.
func TestRepairThatWasInterrupted(t *testing.T) {
	for op := 1; ; op++ {
		path, _ := writeLog(t, 2, signed)
		write(t, path, append(read(t, path), "torn"...))
		o := signed
		files := &faultyFiles{at: op, dead: true}
		o.files = files
		if l, err := Open(path, o); err == nil {
			l.Close()
		}
		if files.failed == "" || files.failed == "close" {
			break
		}
		mustClose(t, open(t, path, signed))
		wantValid(t, path, signed.verify())
		if !bytes.Contains(read(t, path), []byte(EventLogRepaired)) {
			t.Errorf("after a failed %s the repair has no record", files.failed)
		}
	}
}
