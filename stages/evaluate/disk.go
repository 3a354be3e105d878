package evaluate

import (
	"errors"
	"os"
	"path"
	"slices"
	"sync/atomic"
	"time"
)

const (
	// lookLimit is how long a request waits for its turn at the file system, and
	// then for the answer.
	lookLimit = 250 * time.Millisecond
	// mostLooks is how many looks at the file system can be under way. One that
	// hangs keeps its turn until the system lets go of it.
	mostLooks = 32
)

// A disk is the file system, asked in a bounded time by a bounded number of
// goroutines: a network file system that hangs takes no request with it. What the
// system knows without asking anyone is had at once, which is most of what there
// is to ask on a file system of this machine.
type disk struct {
	eyes
	atHand eyes // never wait
	links  bool // links are followed
	limit  time.Duration
	free   chan *sight  // those with nothing to do
	hung   atomic.Int32 // looks that nobody waits for any more
}

// Eyes are how the file system is looked at.
type eyes struct {
	// readlink is what the link name says. The error for what is no link is
	// EINVAL.
	readlink func(name string) (string, error)
	// plain reports whether no part of an absolute path is a link, as far as it
	// exists. It is a shortcut: false says nothing.
	plain func(name string, clean bool) bool
	// holdsGit reports whether .git stands in dir. Where that cannot be seen it is
	// taken to be so: a form too many is judged, not one too few.
	holdsGit func(dir string) (bool, error)
	// folds reports whether names fold in one of the directories of an absolute path.
	folds func(name string) (bool, error)
}

// errNotAtHand is what eyes that never wait say where they would have to.
var errNotAtHand = errors.New("cannot be told at once")

func newDisk(links bool) *disk {
	d := &disk{
		eyes:   eyes{os.Readlink, isPlain, holdsGit, foldsIn},
		atHand: eyes{func(string) (string, error) { return "", errNotAtHand }, isPlainAtHand, holdsGitAtHand, foldsAtHand},
		links:  links, limit: lookLimit, free: make(chan *sight, mostLooks),
	}
	for range mostLooks {
		v := &sight{disk: d, timer: time.NewTimer(0), done: make(chan struct{}, 1)}
		v.run = v.look // made once, since it takes memory
		d.free <- v
	}
	return d
}

// patience is how long to wait now: the less, the more looks hang already, so that
// a request about many files waits not much longer than one about a single file.
func (d *disk) patience() time.Duration {
	hung := d.hung.Load()
	if hung == mostLooks {
		return 0
	}
	return d.limit / time.Duration(1+hung)
}

// sight is one that is free, or nil where none gets free in time.
func (d *disk) sight() *sight {
	select {
	case v := <-d.free:
		return v
	default:
	}
	timer := time.NewTimer(d.patience())
	defer timer.Stop()
	select {
	case v := <-d.free:
		return v
	case <-timer.C:
		return nil
	}
}

// A sight looks at the file system for one target at a time. It outlives a
// request whose answer hangs, so it shares nothing with one that changes.
type sight struct {
	question
	answer
	disk  *disk
	run   func()
	timer *time.Timer
	done  chan struct{} // holds one when the answer is there
	state atomic.Int32
}

// What becomes of a look: it ends in time, or nobody waits for it any more.
const (
	underWay = iota
	ended
	left
)

// A question is which file a target means.
type question struct {
	place        *place
	cwd          string    // as it was sent
	files        [2]string // the files that the target may mean, cleaned
	written      []string  // the same not cleaned, where that makes a difference
	repositories bool      // they are looked for
	folding      []string  // the files of which it is asked whether names fold there, and nothing else
}

// An answer is what the file system says.
type answer struct {
	folds     bool        // names fold where one of the files lies
	cwdItself string      // cwd with links resolved
	itself    []string    // the files with links resolved, where those are others
	rooted    [][2]string // a repository's root, and a file in it
	fault     error       // why not all was seen
	panicked  any
}

// ask is the answer to q, and whether it came in time.
func (d *disk) ask(q question) (answer, bool) {
	if a := q.see(&d.atHand, d.links); a.fault == nil {
		return a, true
	}
	v := d.sight()
	if v == nil {
		return answer{}, false
	}
	v.question, v.answer = q, answer{}
	v.state.Store(underWay)
	v.timer.Reset(d.patience())
	go v.run()
	select {
	case <-v.done:
	case <-v.timer.C:
		d.hung.Add(1)
		if v.state.CompareAndSwap(underWay, left) {
			return answer{}, false
		}
		d.hung.Add(-1)
		<-v.done
	}
	v.timer.Stop()
	a := v.answer
	d.free <- v
	if a.panicked != nil {
		panic(a.panicked) // where it is handled, as in any stage
	}
	return a, true
}

// look ends with the answer handed over, or with the sight free where nobody waits.
func (v *sight) look() {
	func() {
		defer func() { v.panicked = recover() }()
		v.answer = v.see(&v.disk.eyes, v.disk.links)
	}()
	if v.state.CompareAndSwap(underWay, ended) {
		v.done <- struct{}{}
	} else {
		v.disk.hung.Add(-1)
		v.disk.free <- v
	}
}

// see is the answer as the eyes have it.
func (q *question) see(e *eyes, links bool) (a answer) {
	if q.folding != nil {
		for _, abs := range q.folding {
			folds, err := e.folds(abs)
			if folds {
				return answer{folds: true}
			}
			if err != nil {
				a.fault = err
			}
		}
		return a
	}
	if q.repositories {
		for _, abs := range q.files {
			a.addRoots(q.place, e, abs)
		}
	}
	if !links {
		return a
	}
	plain := q.addItself(&a, e, q.files[0])
	q.addItself(&a, e, q.files[1])
	for _, abs := range q.written {
		q.addItself(&a, e, abs)
	}
	switch {
	case q.cwd == "":
	case plain && within(q.cwd, q.files[0]) && path.Clean(q.cwd) == q.cwd:
		a.cwdItself = q.cwd // no link is on the way to what lies under it
	default:
		itself, err := e.resolve(q.cwd)
		if a.cwdItself = itself; err != nil {
			a.fault = err
		}
	}
	return a
}

// addItself follows the links of abs, and adds the file where it is another than
// is known. It reports whether it is abs.
func (q *question) addItself(a *answer, e *eyes, abs string) bool {
	if abs == "" {
		return false
	}
	itself, err := e.resolve(abs)
	switch {
	case err != nil:
		a.fault = err
	case !slices.Contains(q.files[:], itself) && !slices.Contains(a.itself, itself):
		a.itself = append(a.itself, itself)
		if q.repositories {
			a.addRoots(q.place, e, itself)
		}
	}
	return itself == abs
}

// addRoots looks for each repository that holds the file abs, the nearest first.
func (a *answer) addRoots(p *place, e *eyes, abs string) {
	if abs == "" {
		return
	}
	roots, err := p.rootsOf(abs, e)
	if err != nil {
		a.fault = err
	}
	for _, root := range roots {
		a.rooted = append(a.rooted, [2]string{root, abs})
	}
}
