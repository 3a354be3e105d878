package show

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"

	enforcementv1 "github.com/Huzefaaa2/cavra/go/cavra-runtime/enforcement/v1"
	"github.com/Huzefaaa2/cavra/go/cavra-runtime/stages/evidence"
)

// A watch follows a log step by step: each step changes it, and then looks at
// what was shown of the change.
type watch struct {
	t       *testing.T
	path    string
	cancel  context.CancelFunc
	idle    chan struct{} // the log was read
	again   chan struct{} // look again
	ended   chan error
	shown   []string // marks and targets
	notices []string
}

func follow(t *testing.T, path string) *watch {
	ctx, cancel := context.WithCancel(t.Context())
	w := &watch{t: t, path: path, cancel: cancel, idle: make(chan struct{}), again: make(chan struct{}), ended: make(chan error, 1)}
	log := OpenLog(path, evidence.NewReader(evidence.VerifyOptions{}, w.see))
	go func() {
		defer log.Close()
		w.ended <- log.Follow(ctx,
			func() error { w.idle <- struct{}{}; return nil },
			func() error {
				select {
				case <-w.again:
				case <-ctx.Done():
				}
				return nil
			},
			func(notice string) { w.notices = append(w.notices, notice) })
	}()
	return w
}

func (w *watch) see(l *evidence.Line) {
	text := markOK
	if len(l.Faults) > 0 {
		text = mark(l.Faults[0].Kind)
	}
	switch {
	case l.Record == nil:
	case event(l.Record) != "":
		text += " " + event(l.Record)
	default:
		text += " " + l.Record.Response.Target
	}
	w.shown = append(w.shown, text)
}

// want waits until the log is read and compares what was shown since.
func (w *watch) want(shown ...string) {
	w.t.Helper()
	select {
	case <-w.idle:
	case err := <-w.ended:
		w.t.Fatalf("it ended: %v", err)
	}
	if !slices.Equal(w.shown, shown) {
		w.t.Errorf("%q, want %q", w.shown, shown)
	}
	w.shown = nil
}

// look has the log looked at again.
func (w *watch) look() { w.again <- struct{}{} }

// stop ends the watch.
func (w *watch) stop() {
	w.t.Helper()
	w.cancel()
	if err := <-w.ended; err != nil {
		w.t.Errorf("it ended with %v", err)
	}
}

func TestFollowShowsWhatIsAdded(t *testing.T) {
	path := newPath(t)
	add(t, path, evidence.LogOptions{}, allowed("a"))
	w := follow(t, path)
	w.want("ok a")
	w.look()
	w.want()
	add(t, path, evidence.LogOptions{}, allowed("b"), allowed("c"))
	w.look()
	w.want("ok b", "ok c")
	w.stop()
}

// A line that is not whole waits, also where a repair puts another in its place.
func TestFollowWaitsForTheWholeLine(t *testing.T) {
	path := newPath(t)
	add(t, path, evidence.LogOptions{}, allowed("a"), allowed("b"))
	whole := readFile(t, path)
	lines := slices.Collect(strings.Lines(whole))
	writeFile(t, path, lines[0]+lines[1][:50])
	w := follow(t, path)
	w.want("ok a")
	writeFile(t, path, lines[0]+lines[1][:90])
	w.look()
	w.want()
	writeFile(t, path, whole)
	w.look()
	w.want("ok b")

	torn := `{"schema_version":"cavra`
	writeFile(t, path, whole+torn)
	w.look()
	w.want()
	add(t, path, evidence.LogOptions{}, allowed("c")) // repairs first
	w.look()
	w.want("ok log_repaired", "ok c")
	w.stop()
}

func TestFollowAcrossRotation(t *testing.T) {
	path := newPath(t)
	log, err := evidence.Open(path, evidence.LogOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	append := func(targets ...string) {
		for _, target := range targets {
			response := allowed(target)
			if err := log.Append(newID(), &enforcementv1.EvaluateRequest{}, &response); err != nil {
				t.Fatal(err)
			}
		}
	}
	rotate := func() {
		if err := log.Rotate(); err != nil {
			t.Fatal(err)
		}
	}
	append("a")
	rotate()
	append("b")
	w := follow(t, path)
	w.want("ok a", "ok log_rotated", "ok b")

	append("c")
	rotate()
	append("d")
	w.look()
	w.want("ok c", "ok log_rotated", "ok d")

	// More than one between two looks.
	rotate()
	append("e")
	rotate()
	append("f")
	w.look()
	w.want("ok log_rotated", "ok e", "ok log_rotated", "ok f")

	// Between the two names there is no live file.
	aside := path + ".aside"
	if err := os.Rename(path, aside); err != nil {
		t.Fatal(err)
	}
	w.look()
	w.want()
	if err := os.Rename(aside, path); err != nil {
		t.Fatal(err)
	}
	append("g")
	w.look()
	w.want("ok g")
	w.stop()
	if len(w.notices) > 0 {
		t.Errorf("%q", w.notices)
	}
}

// A log that is replaced or cut while it is followed is told of, and its lines
// do not follow those that were shown.
func TestFollowTellsOfReplacement(t *testing.T) {
	path := newPath(t)
	add(t, path, evidence.LogOptions{}, allowed("a"), allowed("b"))
	lines := slices.Collect(strings.Lines(readFile(t, path)))
	w := follow(t, path)
	w.want("ok a", "ok b")
	writeFile(t, path, lines[0]) // the same file, shorter
	w.look()
	w.want()
	if len(w.notices) != 1 || !strings.Contains(w.notices[0], "shorter") {
		t.Errorf("%q", w.notices)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	w.look()
	w.want()
	add(t, path, evidence.LogOptions{}, allowed("c"))
	w.look()
	w.want("broken link c")
	if len(w.notices) != 2 || !strings.Contains(w.notices[1], "replaced") {
		t.Errorf("%q", w.notices)
	}
	w.stop()
}

func TestFollowEndsWithTheWait(t *testing.T) {
	path := newPath(t)
	add(t, path, evidence.LogOptions{}, allowed("a"))
	gone := errors.New("nobody reads")
	log := OpenLog(path, evidence.NewReader(evidence.VerifyOptions{}, func(*evidence.Line) {}))
	defer log.Close()
	err := log.Follow(t.Context(), func() error { return nil }, func() error { return gone }, func(string) {})
	if !errors.Is(err, gone) {
		t.Errorf("%v", err)
	}
}

func TestReadRefusesWhatIsNoLog(t *testing.T) {
	for _, path := range []string{t.TempDir(), newPath(t)} {
		log := OpenLog(path, evidence.NewReader(evidence.VerifyOptions{}, func(*evidence.Line) {}))
		if err := log.Read(t.Context()); err == nil {
			t.Errorf("%s was read", path)
		}
		log.Close()
	}
}

// A writer at work on the last line is no fault.
func TestReadBesideAWriter(t *testing.T) {
	path := newPath(t)
	writer, err := evidence.Open(path, evidence.LogOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer writer.Close()
	response := allowed("a")
	if err := writer.Append(newID(), &enforcementv1.EvaluateRequest{}, &response); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := io.WriteString(f, `{"schema`); err != nil {
		t.Fatal(err)
	}
	reader := evidence.NewReader(evidence.VerifyOptions{}, func(*evidence.Line) {})
	log := OpenLog(path, reader)
	defer log.Close()
	if err := log.Read(t.Context()); err != nil {
		t.Fatal(err)
	}
	if r := reader.Report(); !r.Valid || !r.InProgress {
		t.Errorf("%+v", r)
	}
}

// A pipe is read to its end, also where it is followed, and its last line is
// torn where it has no end.
func TestFollowReadsAPipeOnce(t *testing.T) {
	path := newPath(t)
	add(t, path, evidence.LogOptions{}, allowed("a"), allowed("b"))
	text := readFile(t, path)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	go func() {
		_, _ = io.WriteString(w, text[:len(text)-1])
		w.Close()
	}()
	name := fmt.Sprintf("/dev/fd/%d", r.Fd())
	if _, err := os.Stat(name); err != nil {
		t.Skipf("a descriptor has no path here: %v", err)
	}
	shown := &watch{}
	log := OpenLog(name, evidence.NewReader(evidence.VerifyOptions{}, shown.see))
	defer log.Close()
	err = log.Follow(t.Context(), func() error { return nil }, func() error { return errors.New("waited for a pipe") }, func(string) {})
	if err != nil || !slices.Equal(shown.shown, []string{"ok a", "torn"}) {
		t.Errorf("%q, %v", shown.shown, err)
	}
}
