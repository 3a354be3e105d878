package evidence

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// rotated makes a closed log of several files with some records in each, beside
// the one that a rotation adds, and returns its path and files.
func rotated(t testing.TB, files, each int, o LogOptions) (path string, names []string) {
	t.Helper()
	path = newPath(t)
	l := open(t, path, o)
	for file := range files {
		if file > 0 {
			must(t, l.Rotate())
		}
		for i := range each {
			add(t, l, fmt.Sprintf("file-%d-%d", file, i))
		}
	}
	mustClose(t, l)
	names, err := Files(path)
	must(t, err)
	if len(names) != files {
		t.Fatalf("the files are %q", names)
	}
	return path, names
}

func TestRotateGoesOnWithTheChain(t *testing.T) {
	path, names := rotated(t, 3, 2, signed)
	r := wantValid(t, path, signed.verify())
	if r.Records != 8 || r.FirstSequence != 1 || r.LastSequence != 8 || len(r.Missing) != 0 {
		t.Errorf("%+v", r)
	}
	want := []FileReport{{names[0], 2, 1, 2, ""}, {names[1], 3, 3, 5, ""}, {names[2], 3, 6, 8, ""}}
	for i, f := range r.Files {
		lines := linesOf(t, names[i])
		want[i].HeadHash = hashIn(lines[len(lines)-1])
		if f != want[i] {
			t.Errorf("file %d is %+v, want %+v", i, f, want[i])
		}
	}
	// The first record of a file names the old one, its last sequence and hash.
	first := string(linesOf(t, names[1])[0])
	for _, part := range []string{EventLogRotated, `"rule_id":"evidence.log.rotated"`, `"target":"decisions.log.000001"`, `"sequence":3`, "number 2, with record_hash " + want[0].HeadHash, `"previous_hash":"` + want[0].HeadHash} {
		if !strings.Contains(first, part) {
			t.Errorf("the first record does not hold %s: %s", part, first)
		}
	}
	for _, name := range names {
		info, err := os.Stat(name)
		must(t, err)
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %04o", name, info.Mode().Perm())
		}
	}
	l := open(t, path, signed) // goes on, and counts on
	add(t, l, "after")
	must(t, l.Rotate())
	mustClose(t, l)
	if r := wantValid(t, path, signed.verify()); r.Records != 10 || len(r.Files) != 4 {
		t.Errorf("%+v", r)
	}
}

func hashIn(line []byte) string {
	_, after, _ := bytes.Cut(line, []byte(hashMember))
	return string(after[:64])
}

// The size is looked at after each batch, in every mode.
func TestRotateBySize(t *testing.T) {
	for _, mode := range []SyncMode{SyncAlways, SyncInterval, SyncOff} {
		t.Run(string(mode), func(t *testing.T) {
			path := newPath(t)
			o := signed
			o.Sync, o.RotateSize = mode, 2000
			l := open(t, path, o)
			for i := range 20 {
				add(t, l, fmt.Sprint(i))
			}
			mustClose(t, l)
			r := wantValid(t, path, o.verify())
			if len(r.Files) < 4 || r.Records != 20+uint64(len(r.Files))-1 {
				t.Errorf("%d records in %d files", r.Records, len(r.Files))
			}
			for _, f := range r.Files[:len(r.Files)-1] {
				info, err := os.Stat(f.Path)
				must(t, err)
				if info.Size() < 2000 || info.Size() > 3200 {
					t.Errorf("%s has %d bytes", f.Path, info.Size())
				}
			}
		})
	}
}

// A size that no record fits still leaves one decision in each file.
func TestRotateAtEachRecord(t *testing.T) {
	path := newPath(t)
	o := signed
	o.RotateSize = 1
	l := open(t, path, o)
	for range 3 {
		add(t, l, "x")
	}
	mustClose(t, l)
	if r := wantValid(t, path, o.verify()); len(r.Files) != 4 || r.Records != 6 {
		t.Errorf("%+v", r)
	}
}

func TestRotateOfAnEmptyLog(t *testing.T) {
	path := newPath(t)
	l := open(t, path, signed)
	must(t, l.Rotate())
	add(t, l, "x")
	mustClose(t, l)
	if r := wantValid(t, path, signed.verify()); len(r.Files) != 1 || r.Records != 1 {
		t.Errorf("%+v", r)
	}
	if err := l.Rotate(); !errors.Is(err, errClosed) {
		t.Errorf("after Close: %v", err)
	}
}

// Whoever asks while the log is rotated over and over is answered, and nothing
// that was answered is missing.
func TestRotateUnderLoad(t *testing.T) {
	path := newPath(t)
	l := open(t, path, signed)
	ids := make(chan string)
	for range 8 {
		go func() {
			for range 50 {
				id := nextID()
				req, resp := exchange("load")
				if err := l.Append(id, req, resp); err != nil {
					t.Error(err)
				}
				ids <- id
			}
		}()
	}
	answered := map[string]bool{}
	for len(answered) < 8*50 {
		answered[<-ids] = true
		if len(answered)%40 == 0 {
			must(t, l.Rotate())
			if r, err := VerifyFile(path, signed.verify()); err != nil || !r.Valid {
				t.Fatalf("%+v, %v", r, err)
			}
		}
	}
	mustClose(t, l)
	r := wantValid(t, path, signed.verify())
	if len(r.Files) != 11 || r.Records != 8*50+10 {
		t.Errorf("%d records in %d files", r.Records, len(r.Files))
	}
	wantRecords(t, path, answered)
}

// The number after the last is never one that was used, also where the files
// that had it were moved away, and a name that is in use is left alone.
func TestRotatedNumbersAreNotUsedAgain(t *testing.T) {
	path, names := rotated(t, 3, 1, signed)
	for _, name := range names[:2] {
		must(t, os.Rename(name, filepath.Join(t.TempDir(), "away")))
	}
	l := open(t, path, signed)
	write(t, rotatedName(path, 3), []byte("somebody's"))
	must(t, l.Rotate())
	mustClose(t, l)
	if string(read(t, rotatedName(path, 3))) != "somebody's" {
		t.Error("a file was overwritten")
	}
	for name, there := range map[string]bool{names[0]: false, names[1]: false, rotatedName(path, 4): true} {
		if _, err := os.Stat(name); (err == nil) != there {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A second writer finds the log in use before, during and after a rotation.
func TestOneWriterOverARotation(t *testing.T) {
	path := newPath(t)
	var inside func()
	files := &steppedFiles{step: func(string) { inside() }}
	o := signed
	o.files = files
	inside = func() {}
	l := open(t, path, o)
	add(t, l, "x")
	steps := 0
	inside = func() {
		steps++
		wantRefused(t, path, signed, "another process has the evidence log open")
	}
	must(t, l.Rotate())
	inside()
	inside = func() {}
	add(t, l, "y")
	mustClose(t, l)
	if steps < 5 {
		t.Errorf("%d steps were seen", steps)
	}
	if r := wantValid(t, path, signed.verify()); r.Records != 3 {
		t.Errorf("%+v", r)
	}
}

// steppedFiles calls step before each step of a rotation.
type steppedFiles struct {
	osFiles
	step func(string)
}

func (f *steppedFiles) Link(a, b string) error   { f.step("link"); return f.osFiles.Link(a, b) }
func (f *steppedFiles) Rename(a, b string) error { f.step("rename"); return f.osFiles.Rename(a, b) }
func (f *steppedFiles) SyncDir(p string) error   { f.step("sync"); return f.osFiles.SyncDir(p) }
func (f *steppedFiles) Remove(p string) error    { f.step("remove"); return f.osFiles.Remove(p) }

// A log that was moved or written to by others is not rotated.
func TestRotateOfAChangedLog(t *testing.T) {
	for name, change := range map[string]func(t *testing.T, path string){
		"removed": func(t *testing.T, path string) { must(t, os.Remove(path)) },
		"replaced": func(t *testing.T, path string) {
			must(t, os.Rename(path, path+".away"))
			write(t, path, nil)
		},
		"written to": func(t *testing.T, path string) { write(t, path, []byte("x")) },
	} {
		t.Run(name, func(t *testing.T) {
			path := newPath(t)
			l := open(t, path, signed)
			add(t, l, "x")
			change(t, path)
			if err := l.Rotate(); err == nil {
				t.Error("rotated")
			}
			if err := tryAdd(l); err == nil {
				t.Error("written to")
			}
			l.Close()
			if n, err := rotatedFiles(path); err != nil || len(n) > 0 {
				t.Errorf("%v, %v", n, err)
			}
		})
	}
}

// What a crash leaves of a rotation is taken back at the next start, whatever
// step it came after.
func TestLeftoversOfARotation(t *testing.T) {
	for name, leave := range map[string]func(t *testing.T, path string){
		"an empty file to follow": func(t *testing.T, path string) { write(t, nextName(path), nil) },
		"half a first record":     func(t *testing.T, path string) { write(t, nextName(path), []byte(`{"schema`)) },
		"a second name": func(t *testing.T, path string) {
			must(t, os.Link(path, rotatedName(path, 1)))
		},
		"both": func(t *testing.T, path string) {
			write(t, nextName(path), []byte("{}\n"))
			must(t, os.Link(path, rotatedName(path, 1)))
		},
	} {
		t.Run(name, func(t *testing.T) {
			path, _ := writeLog(t, 3, signed)
			leave(t, path)
			if r := wantValid(t, path, signed.verify()); r.Records != 3 || len(r.Files) != 1 {
				t.Errorf("a verifier before the start: %+v", r)
			}
			l := open(t, path, signed)
			if n, err := rotatedFiles(path); err != nil || len(n) > 0 {
				t.Errorf("left: %v, %v", n, err)
			}
			if _, err := os.Stat(nextName(path)); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("left: %v", err)
			}
			add(t, l, "x")
			must(t, l.Rotate())
			mustClose(t, l)
			if r := wantValid(t, path, signed.verify()); r.Records != 5 || len(r.Files) != 2 {
				t.Errorf("%+v", r)
			}
		})
	}
}

// A log that does not belong with the rotated files beside it is not continued.
func TestStartRefusesAnotherSet(t *testing.T) {
	for name, c := range map[string]struct {
		damage func(t *testing.T, path string, names []string)
		words  []string
	}{
		"the log is gone":  {func(t *testing.T, path string, _ []string) { must(t, os.Remove(path)) }, []string{"does not go on from its rotated files", "decisions.log.000002"}},
		"the log is empty": {func(t *testing.T, path string, _ []string) { write(t, path, nil) }, []string{"does not go on from its rotated files"}},
		"another log": {func(t *testing.T, path string, _ []string) {
			_, lines := writeLog(t, 2, signed)
			write(t, path, bytes.Join(lines, nil))
		}, []string{"does not go on from its rotated files"}},
		"an older file in its place": {func(t *testing.T, path string, names []string) { write(t, path, read(t, names[1])) }, []string{"there is a later one", "older copy"}},
		"the file of another set": {func(t *testing.T, path string, _ []string) {
			other, _ := rotated(t, 3, 2, signed)
			write(t, path, read(t, other))
		}, []string{"does not follow the end of decisions.log.000002"}},
		"the end of the file before": {func(t *testing.T, _ string, names []string) {
			lines := linesOf(t, names[1])
			write(t, names[1], bytes.Join(lines[:2], nil))
		}, []string{"does not follow the end of decisions.log.000002"}},
		"the file before, edited at its end": {func(t *testing.T, _ string, names []string) {
			b := read(t, names[1])
			at := bytes.LastIndex(b, []byte(`"allow"`))
			write(t, names[1], append(append(bytes.Clone(b[:at]), `"block"`...), b[at+7:]...))
		}, []string{"decisions.log.000002", "does not end with a whole record", "record.hash"}},
		"the file before, torn": {func(t *testing.T, _ string, names []string) {
			b := read(t, names[1])
			write(t, names[1], b[:len(b)-1])
		}, []string{"decisions.log.000002", "does not end with a whole record"}},
		"its first record gone": {func(t *testing.T, path string, _ []string) {
			write(t, path, bytes.Join(linesOf(t, path)[1:], nil))
		}, []string{"does not go on from its rotated files"}},
		"its first record gone, the rest moved away": {func(t *testing.T, path string, names []string) {
			write(t, path, bytes.Join(linesOf(t, path)[1:], nil))
			must(t, os.Remove(names[0]))
			must(t, os.Remove(names[1]))
		}, []string{"damaged", "chain.start"}},
	} {
		t.Run(name, func(t *testing.T) {
			path, names := rotated(t, 3, 2, signed)
			c.damage(t, path, names)
			wantRefused(t, path, signed, c.words...)
		})
	}
}

// Rotated files may be moved away, and the log goes on.
func TestStartWithoutTheRotatedFiles(t *testing.T) {
	for _, gone := range [][]int{{0}, {1}, {0, 1}} {
		path, names := rotated(t, 3, 2, signed)
		for _, i := range gone {
			must(t, os.Remove(names[i]))
		}
		l := open(t, path, signed)
		if l.head.sequence != 8 || l.number != 2 {
			t.Errorf("without %v it goes on from %d after file %d", gone, l.head.sequence, l.number)
		}
		add(t, l, "x")
		mustClose(t, l)
	}
}

// What a start verifies is bounded in a file that goes on from another as well.
func TestStartVerifiesTheEndOfARotatedLog(t *testing.T) {
	path, _ := rotated(t, 2, 10, signed)
	size := int64(len(read(t, path)))
	for end := int64(1); end < size+100; end += 301 {
		o := signed
		o.verifyEnd = end
		l := open(t, path, o)
		if l.head.sequence != 21 || l.size != size || l.number != 1 {
			t.Fatalf("with %d bytes it goes on from record %d at byte %d after file %d", end, l.head.sequence, l.size, l.number)
		}
		mustClose(t, l)
	}
}

// A torn last line is repaired in a file that goes on from another too.
func TestRepairAfterARotation(t *testing.T) {
	path, _ := rotated(t, 2, 1, signed)
	write(t, path, append(read(t, path), "torn"...))
	mustClose(t, open(t, path, signed))
	if r := wantValid(t, path, signed.verify()); r.Records != 4 {
		t.Errorf("%+v", r)
	}
}

func TestVerifyOfASet(t *testing.T) {
	edit := func(t *testing.T, name string) {
		write(t, name, bytes.Replace(read(t, name), []byte(`"allow"`), []byte(`"block"`), 1))
	}
	for name, c := range map[string]struct {
		damage  func(t *testing.T, path string, names []string)
		alone   int      // the number of the file to verify alone; 0 verifies the set
		want    []string // file, line and kind
		missing []string
	}{
		"whole":        {},
		"first alone":  {alone: 1},
		"second alone": {alone: 2, want: []string{"decisions.log.000002 1 chain.missing"}, missing: []string{"decisions.log.000001"}},
		"first gone": {damage: func(t *testing.T, _ string, n []string) { must(t, os.Remove(n[0])) },
			want: []string{"decisions.log.000002 1 chain.missing"}, missing: []string{"decisions.log.000001"}},
		"second gone": {damage: func(t *testing.T, _ string, n []string) { must(t, os.Remove(n[1])) },
			want: []string{"decisions.log 1 chain.missing"}, missing: []string{"decisions.log.000002"}},
		"both gone": {damage: func(t *testing.T, _ string, n []string) { must(t, os.Remove(n[0])); must(t, os.Remove(n[1])) },
			want: []string{"decisions.log 1 chain.missing"}, missing: []string{"decisions.log.000001", "decisions.log.000002"}},
		"edited in the first": {damage: func(t *testing.T, _ string, n []string) { edit(t, n[0]) }, want: []string{"decisions.log.000001 1 record.hash"}},
		"edited in the last":  {damage: func(t *testing.T, path string, _ []string) { edit(t, path) }, want: []string{"decisions.log 2 record.hash"}},
		"the end of the first cut": {damage: func(t *testing.T, _ string, n []string) { write(t, n[0], linesOf(t, n[0])[0]) },
			want: []string{"decisions.log.000002 1 chain.sequence", "decisions.log.000002 1 chain.previous_hash"}},
		"the first torn": {damage: func(t *testing.T, _ string, n []string) { b := read(t, n[0]); write(t, n[0], b[:len(b)-1]) },
			want: []string{"decisions.log.000001 2 torn", "decisions.log.000002 1 chain.sequence", "decisions.log.000002 1 chain.previous_hash"}},
		"the start of the second cut": {damage: func(t *testing.T, _ string, n []string) { write(t, n[1], bytes.Join(linesOf(t, n[1])[1:], nil)) },
			want: []string{"decisions.log.000002 1 chain.sequence", "decisions.log.000002 1 chain.previous_hash"}},
		"swapped": {damage: func(t *testing.T, _ string, n []string) {
			a, b := read(t, n[0]), read(t, n[1])
			write(t, n[0], b)
			write(t, n[1], a)
		}, want: []string{"decisions.log.000001 1 chain.missing", "decisions.log.000002 1 chain.sequence", "decisions.log.000002 1 chain.previous_hash", "decisions.log 1 chain.sequence", "decisions.log 1 chain.previous_hash"}, missing: []string{"decisions.log.000001"}},
		"names of other things": {damage: func(t *testing.T, path string, _ []string) {
			for _, other := range []string{".1", ".0000003", ".000000", ".00003x", ".torn-3"} {
				write(t, path+other, []byte("x"))
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			path, names := rotated(t, 3, 2, signed)
			if c.damage != nil {
				c.damage(t, path, names)
			}
			if c.alone > 0 {
				path = names[c.alone-1]
			}
			r, err := VerifyFile(path, signed.verify())
			must(t, err)
			var got []string
			for _, f := range r.ErrorDetails {
				got = append(got, fmt.Sprintf("%s %d %s", f.File, f.Line, f.Kind))
			}
			if !slices.Equal(got, c.want) || r.Valid != (len(c.want) == 0) {
				t.Errorf("found %q, valid %v, want %q", got, r.Valid, c.want)
			}
			if !slices.Equal(r.Missing, c.missing) {
				t.Errorf("missing %q, want %q", r.Missing, c.missing)
			}
		})
	}
}

// Through a pipe the set is one log.
func TestVerifyOfASetThroughAPipe(t *testing.T) {
	_, names := rotated(t, 3, 2, signed)
	var all []byte
	for _, name := range names {
		all = append(all, read(t, name)...)
	}
	if r := Verify(bytes.NewReader(all), signed.verify()); !r.Valid || r.Records != 8 {
		t.Errorf("%+v", r)
	}
}

// A log that is rotated between the look at it and the look for its files is
// verified as it was.
func TestVerifyWhileRotating(t *testing.T) {
	path, _ := rotated(t, 2, 2, signed)
	f, err := openToVerify(path, os.Open)
	must(t, err)
	defer f.Close()
	l := open(t, path, signed)
	for range 2 {
		add(t, l, "x")
		must(t, l.Rotate())
	}
	mustClose(t, l)
	s := newScan(signed.verify())
	must(t, s.rotated(path, f))
	s.readFile(f)
	if r := s.finish(); !r.Valid || r.Records != 5 || len(r.Files) != 2 {
		t.Errorf("%+v", r)
	}
}

// witness covers what the test says.
type witness struct {
	covers bool
	lines  []uint64
}

func (w *witness) Line(sequence uint64, _ string, _ [32]byte) { w.lines = append(w.lines, sequence) }
func (w *witness) Finish(*Report) ([]Fault, bool)             { return nil, w.covers }

// What a witness covers may have been moved away; what was cut away inside a
// file may not.
func TestMissingFilesUnderAWitness(t *testing.T) {
	for _, covers := range []bool{true, false} {
		path, names := rotated(t, 3, 2, signed)
		must(t, os.Remove(names[0]))
		o := signed.verify()
		w := &witness{covers: covers}
		o.Witness = w
		r, err := VerifyFile(path, o)
		must(t, err)
		if r.Valid != covers || !slices.Equal(r.Missing, []string{"decisions.log.000001"}) || (len(r.Warnings) > 0) != covers {
			t.Errorf("covered %v: %+v", covers, r)
		}
		if !slices.Equal(w.lines, []uint64{3, 4, 5, 6, 7, 8}) {
			t.Errorf("the witness was told of %v", w.lines)
		}
	}
	path, lines := writeLog(t, 3, signed)
	write(t, path, bytes.Join(lines[1:], nil))
	o := signed.verify()
	o.Witness = &witness{covers: true}
	if r, err := VerifyFile(path, o); err != nil || r.Valid {
		t.Errorf("%+v, %v", r, err)
	}
}

// Law: whatever is done to a log in whatever order, it verifies afterwards and
// holds all that was answered, and its numbers only grow.
func TestALogGoesOnWhateverHappens(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		dir, err := os.MkdirTemp("", "evidence")
		must(t, err)
		defer os.RemoveAll(dir)
		path := filepath.Join(dir, "decisions.log")
		o := signed
		o.RotateSize = rapid.SampledFrom([]int64{0, 1, 3000}).Draw(r, "rotate size")
		o.Sync = rapid.SampledFrom([]SyncMode{SyncAlways, SyncOff}).Draw(r, "sync")
		var l *Log
		start := func() {
			if l, err = Open(path, o); err != nil {
				r.Fatal(err)
			}
		}
		start()
		defer func() { l.Close() }()
		answered, last, torn := map[string]bool{}, uint64(0), 0
		for range rapid.IntRange(1, 25).Draw(r, "steps") {
			switch rapid.SampledFrom([]string{"add", "add", "rotate", "restart", "crash", "tear"}).Draw(r, "step") {
			case "add":
				answered[add(t, l, "x")] = true
			case "rotate":
				must(t, l.Rotate())
			case "restart":
				mustClose(t, l)
				start()
			case "crash": // of a rotation, before the new file took the log's place
				mustClose(t, l)
				write(t, nextName(path), []byte("{}"))
				must(t, os.Link(path, rotatedName(path, l.number+1)))
				start()
			case "tear":
				mustClose(t, l)
				write(t, path, append(read(t, path), "torn"...))
				torn++
				start()
			}
			l.own.Lock() // a rotation by size comes after the answer
			number := l.number
			l.own.Unlock()
			if number < last {
				r.Fatalf("number %d after %d", number, last)
			}
			last = number
		}
		mustClose(t, l)
		report := wantValid(t, path, signed.verify())
		wantRecords(t, path, answered)
		if want := uint64(len(answered)+torn) + l.number; report.Records != want || uint64(len(report.Files)) != l.number+1 {
			r.Fatalf("%d records in %d files, want %d in %d", report.Records, len(report.Files), want, l.number+1)
		}
	})
}
