package evaluate

import (
	"sync"
	"testing"
	"time"

	"github.com/Huzefaaa2/cavra/go/cavra-runtime/pipeline"
	"github.com/Huzefaaa2/cavra/go/cavra-runtime/pipeline/pipelinetest"
)

// A file system that hangs takes no request with it, and once it answers all is
// as before.
func TestAFileSystemThatHangs(t *testing.T) {
	s := withPolicy(t, `{"filesystem":{"block_read":["anchored/**","**/*.pem"]}}`, pipeline.Env{Workspace: "/w"})
	var (
		d        = s.place.disk
		released = make(chan struct{})
		entered  = make(chan struct{}, mostLooks)
	)
	d.limit = time.Millisecond
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
