package evaluate

import (
	"path"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/Huzefaaa2/cavra/go/cavra-runtime/pipeline"
	"github.com/Huzefaaa2/cavra/go/cavra-runtime/pipeline/pipelinetest"
)

// blind are eyes that never see anything at once, for tests that put a file system
// of their own in the place of the system's.
var blind = eyes{
	readlink: func(string) (string, error) { return "", errNotAtHand },
	plain:    func(string, bool) bool { return false },
	holdsGit: func(string) (bool, error) { return false, errNotAtHand },
	folds:    foldsAtHand,
}

// A file system that hangs takes no request with it, and once it answers all is
// as before.
func TestAFileSystemThatHangs(t *testing.T) {
	s := withPolicy(t, `{"filesystem":{"block_read":["anchored/**","**/*.pem"]}}`, pipeline.Env{Workspace: "/w"})
	var (
		d        = s.place.disk
		released = make(chan struct{})
		entered  = make(chan struct{}, mostLooks)
	)
	d.limit, d.atHand = time.Millisecond, blind
	d.plain = func(string, bool) bool { return false }
	readlink := d.readlink
	d.readlink = func(name string) (string, error) {
		select {
		case entered <- struct{}{}:
		default:
		}
		<-released
		return readlink(name)
	}
	// More than can be under way, at once.
	var all sync.WaitGroup
	for range 2 * mostLooks {
		all.Go(func() {
			readIsUnresolved.check(t, ask(t, s, &request{ActionType: "read_file", Target: "x"}))
		})
	}
	all.Wait()
	readIsBlocked.check(t, ask(t, s, &request{ActionType: "read_file", Target: "x.pem"}))
	writeIsUnresolved.check(t, ask(t, s, &request{ActionType: "write_file", Target: "x"}))
	if len(entered) == 0 {
		t.Error("nothing hung")
	}
	d.limit = time.Hour // now that all hang, nobody waits
	readIsUnresolved.check(t, ask(t, s, &request{ActionType: "read_file", Target: "x"}))
	if d.hung.Load() != mostLooks {
		t.Errorf("%d looks hang, want %d", d.hung.Load(), mostLooks)
	}

	close(released)
	// Every one that hung comes back.
	var sights []*sight
	for range mostLooks {
		sights = append(sights, <-d.free)
	}
	for _, v := range sights {
		d.free <- v
	}
	if d.hung.Load() != 0 {
		t.Errorf("%d looks still hang", d.hung.Load())
	}
	readIsAllowed.check(t, ask(t, s, &request{ActionType: "read_file", Target: "x"}))
}

// The file system is left alone where an earlier form has decided, and where there
// is no telling which file is meant.
func TestTheFileSystemIsAskedLast(t *testing.T) {
	s := withPolicy(t, `{"filesystem":{"block_read":["/w/keys/**","**/*.pem"]}}`, pipeline.Env{Workspace: "/w"})
	asked := 0
	s.place.disk.atHand = blind
	s.place.disk.plain = func(string, bool) bool { asked++; return true }
	for _, target := range []string{"x.pem", "a/../x.pem", "keys/a"} {
		readIsBlocked.check(t, ask(t, s, &request{ActionType: "read_file", Target: target}))
	}
	s.place.workspace = ""
	readIsAllowed.check(t, ask(t, s, &request{ActionType: "read_file", Target: "x"}))
	if asked != 0 {
		t.Errorf("asked %d times", asked)
	}
	readIsAllowed.check(t, ask(t, s, &request{ActionType: "read_file", Target: "/x"}))
	if asked != 1 {
		t.Errorf("asked %d times about an absolute file, want once", asked)
	}
}

// A fault in a look ends one request, as in any stage, and not the daemon.
func TestAPanicInALookIsOfTheRequest(t *testing.T) {
	s := withPolicy(t, `{"filesystem":{"block_read":["x"]}}`, pipeline.Env{Workspace: "/w"})
	s.place.disk.atHand = blind
	s.place.disk.plain = func(string, bool) bool { panic("no such luck") }
	x := pipelinetest.NewExchange("{}")
	x.Request = &request{ActionType: "read_file", Target: "y"}
	if r := pipelinetest.Handle(t, s, x); r.Panic == nil || r.Response.Decision != "block" {
		t.Errorf("panic %v, decision %s", r.Panic, r.Response.Decision)
	}
	if len(s.place.disk.free) != mostLooks {
		t.Error("the look is lost")
	}
}

// What is said at once is what is said by looking, and the shortcut for cwd says
// what following it says.
func TestWhatIsAtHandIsWhatIsSeen(t *testing.T) {
	root := repository(t)
	for _, dir := range []string{"a/b/c", "a/.git", "b/a", "c"} {
		makeDir(t, root, dir)
	}
	for name, target := range map[string]string{
		"a/l": "../b", "a/b/l": "../../c", "b/l": root + "/a/b", "l": root, "c/l": "nowhere", "c/.git": "nowhere",
	} {
		symlink(t, target, filepath.Join(root, name))
	}
	answered := 0
	rapid.Check(t, func(t *rapid.T) {
		part := rapid.SampledFrom([]string{"a", "b", "c", "l", "..", ".", "", "new"})
		name := func(label string) string {
			return strings.Join(rapid.SliceOfN(part, 0, 5).Draw(t, label), "/")
		}
		p := newPlace(root+"/"+path.Clean("/"+name("workspace")), true)
		f := p.formsOf(name("target"), root+"/"+name("cwd"))
		if rapid.Bool().Draw(t, "absolute") {
			f.target = root + "/" + f.target
		}
		f.at(0)
		f.addLexical()
		q := question{place: p, cwd: f.sent, files: f.absolutes, written: f.written, repositories: rapid.Bool().Draw(t, "repositories")}
		want := q.see(&p.disk.eyes, true)
		if cwd, err := p.disk.resolve(f.sent); err != nil || want.cwdItself != cwd {
			t.Fatalf("cwd %s leads to %s, want %s, %v", f.sent, want.cwdItself, cwd, err)
		}
		got := q.see(&p.disk.atHand, true)
		if got.fault != nil {
			return // nothing is said
		}
		answered++
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("%+v:\nat once  %+v\nby looking %+v", q, got, want)
		}
	})
	if runtime.GOOS == "linux" && answered == 0 {
		t.Skip("this Linux answers nothing at once; it is older than 5.12, or the temporary directory is on a file system that has to ask")
	}
}
