package evidence

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/hashicorp/go-hclog"

	"github.com/Huzefaaa2/cavra/go/cavra-runtime/metrics"
	"github.com/Huzefaaa2/cavra/go/cavra-runtime/pipeline"
	"github.com/Huzefaaa2/cavra/go/cavra-runtime/pipeline/pipelinetest"
)

// succeed makes the stage that takes the place of old.
func succeed(t testing.TB, old *Stage, o Options) (*Stage, error, string) {
	t.Helper()
	var log bytes.Buffer
	s, err := New(o, pipeline.Env{Predecessor: old, Log: hclog.New(&hclog.LoggerOptions{Output: &log})})
	if err == nil {
		t.Cleanup(func() { s.Close() })
	}
	return s, err, log.String()
}

// keyFile writes a key for the ring.
func keyFile(t testing.TB, k Key) SigningKey {
	t.Helper()
	path := filepath.Join(t.TempDir(), k.ID)
	write(t, path, k.Key)
	return SigningKey{ID: k.ID, File: path}
}

func record(t testing.TB, s *Stage, target string) {
	t.Helper()
	if r := pipelinetest.Handle(t, s, pipelinetest.NewExchange(`{"action_type":"read_file","target":"`+target+`"}`)); r.Err != nil {
		t.Fatal(r.Err)
	}
}

// One log goes on through both stages, and records are signed with the new key
// once the new stage is in use, not when it is made.
func TestSuccessorGoesOnWithTheLog(t *testing.T) {
	a, b := newKey("a"), newKey("b")
	fileA, fileB := keyFile(t, a), keyFile(t, b)
	path := newPath(t)
	old, _ := newStage(t, Options{Log: path, SigningKeys: []SigningKey{fileA}})
	record(t, old, "first")
	next, err, _ := succeed(t, old, Options{Log: path, SigningKeys: []SigningKey{fileB, fileA}})
	must(t, err)
	record(t, old, "second")
	record(t, next, "third")
	record(t, old, "fourth") // the last of those under way
	must(t, old.Close())
	record(t, next, "fifth")
	must(t, next.Close())
	req, resp := exchange("late")
	if err := next.log.Append(nextID(), req, resp); err == nil {
		t.Error("the log is open though both stages are closed")
	}
	lines := linesOf(t, path)
	for i, want := range []string{"a", "a", "b", "b", "b"} {
		if !bytes.Contains(lines[i], []byte(`"key_id":"`+want+`"`)) {
			t.Errorf("record %d is not signed with %s: %s", i+1, want, lines[i])
		}
	}
	wantValid(t, path, VerifyOptions{OldKeys: []Key{a, b}})
	// The daemon can be started again with what is configured now.
	again, _ := newStage(t, Options{Log: path, SigningKeys: []SigningKey{fileB, fileA}})
	record(t, again, "sixth")
}

// A stage whose first request ends after its successor's first does not give the
// old key back to the log.
func TestSuccessorKeepsItsKey(t *testing.T) {
	a, b := newKey("a"), newKey("b")
	fileA, fileB := keyFile(t, a), keyFile(t, b)
	path := newPath(t)
	old, _ := newStage(t, Options{Log: path, SigningKeys: []SigningKey{fileA}})
	second, err, _ := succeed(t, old, Options{Log: path, SigningKeys: []SigningKey{fileA}})
	must(t, err)
	third, err, _ := succeed(t, second, Options{Log: path, SigningKeys: []SigningKey{fileB, fileA}})
	must(t, err)
	record(t, third, "first")
	record(t, second, "late")
	record(t, old, "late")
	record(t, third, "last")
	for i, line := range linesOf(t, path) {
		if !bytes.Contains(line, []byte(`"key_id":"b"`)) {
			t.Errorf("record %d is not signed with b: %s", i+1, line)
		}
	}
}

// A reload that fails leaves the log with the stage that has it.
func TestSuccessorThatIsGivenUp(t *testing.T) {
	path := newPath(t)
	old, _ := newStage(t, Options{Log: path})
	next, err, _ := succeed(t, old, Options{Log: path})
	must(t, err)
	must(t, next.Close())
	must(t, next.Close())
	record(t, old, "still")
	must(t, old.Close())
	wantValid(t, path, VerifyOptions{})
}

func TestSuccessorRefuses(t *testing.T) {
	a, b := newKey("a"), newKey("b")
	fileA, fileB := keyFile(t, a), keyFile(t, b)
	fileB.ID = "a"
	path := newPath(t)
	signed, _ := newStage(t, Options{Log: path, SigningKeys: []SigningKey{fileA}})
	record(t, signed, "x")
	plainPath := newPath(t)
	plain, _ := newStage(t, Options{Log: plainPath})
	for name, row := range map[string]struct {
		old  *Stage
		o    Options
		says string
	}{
		"a key that signed is gone":    {signed, Options{Log: path, SigningKeys: []SigningKey{keyFile(t, b)}}, `"a"`},
		"another key under its id":     {signed, Options{Log: path, SigningKeys: []SigningKey{fileB}}, `"a"`},
		"signing is switched off":      {signed, Options{Log: path}, "switched on or off"},
		"signing is switched on":       {plain, Options{Log: plainPath, SigningKeys: []SigningKey{fileA}}, "switched on or off"},
		"an unreadable key":            {signed, Options{Log: path, SigningKeys: []SigningKey{{"a", path + ".none"}}}, "cannot be read"},
		"a log that another one holds": {plain, Options{Log: path, SigningKeys: []SigningKey{fileA}}, "another"},
	} {
		if _, err, _ := succeed(t, row.old, row.o); err == nil || !strings.Contains(err.Error(), row.says) {
			t.Errorf("%s: %v does not say %q", name, err, row.says)
		}
	}
	record(t, signed, "as before")
	record(t, plain, "as before")
}

// Another log is begun, and the old one is closed with the old stage.
func TestSuccessorWithAnotherLog(t *testing.T) {
	first, second := newPath(t), newPath(t)
	old, _ := newStage(t, Options{Log: first})
	next, err, _ := succeed(t, old, Options{Log: second})
	must(t, err)
	record(t, old, "a")
	record(t, next, "b")
	must(t, old.Close())
	wantValid(t, first, VerifyOptions{})
	again, _ := newStage(t, Options{Log: first}) // nobody holds it
	record(t, again, "c")
	none, err, _ := succeed(t, next, Options{})
	must(t, err)
	record(t, none, "nowhere")
}

// What cannot change while the log is open is told, not silently left.
func TestSuccessorTellsWhatNeedsARestart(t *testing.T) {
	path := newPath(t)
	old, _ := newStage(t, Options{Log: path})
	_, err, log := succeed(t, old, Options{Log: path, Sync: SyncOff, RotateSize: 1 << 20})
	must(t, err)
	if !strings.Contains(log, "restart only") || !strings.Contains(log, "rotate_size") || !strings.Contains(log, "sync") {
		t.Errorf("logged %s", log)
	}
}

// The chain stays whole while stages follow each other under load.
func TestSuccessorsUnderLoad(t *testing.T) {
	path := newPath(t)
	current, _ := newStage(t, Options{Log: path, Sync: SyncOff})
	var mu sync.RWMutex
	done := make(chan struct{})
	var asking sync.WaitGroup
	for range 4 {
		asking.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				mu.RLock()
				req, resp := exchange("x")
				if err := current.log.Append(nextID(), req, resp); err != nil {
					t.Error(err)
				}
				mu.RUnlock()
			}
		})
	}
	for range 50 {
		next, err, _ := succeed(t, current, Options{Log: path, Sync: SyncOff})
		must(t, err)
		mu.Lock()
		old := current
		current = next
		mu.Unlock()
		must(t, old.Close())
	}
	close(done)
	asking.Wait()
	must(t, current.Close())
	wantValid(t, path, VerifyOptions{})
}

func TestObserved(t *testing.T) {
	path := newPath(t)
	s, _ := newStage(t, Options{Log: path})
	record(t, s, "a")
	record(t, s, "b")
	r := s.Report().(StageReport)
	if report := wantValid(t, path, VerifyOptions{}); r.Sequence != 2 || r.HeadHash != report.HeadHash {
		t.Errorf("reported %+v, the log ends with %s", r, report.HeadHash)
	}
	if err := s.Health(); err != nil {
		t.Errorf("healthy and yet: %v", err)
	}
	var w metrics.Writer
	s.Collect(&w)
	var out strings.Builder
	if _, err := w.WriteTo(&out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"cavra_evidence_sequence 2", "cavra_evidence_sync_seconds_count 2", "cavra_evidence_queue 0"} {
		if !strings.Contains(out.String(), want+"\n") {
			t.Errorf("there is no line %s in\n%s", want, out.String())
		}
	}
	write(t, path+".other", nil)
	must(t, os.Rename(path+".other", path))
	pipelinetest.Handle(t, s, pipelinetest.NewExchange(`{"action_type":"read_file","target":"c"}`))
	if err := s.Health(); err == nil || !strings.Contains(err.Error(), "every request is blocked") {
		t.Errorf("the log was replaced and the stage says %v", err)
	}
}
