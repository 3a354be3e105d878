package evaluate

import (
	"os"
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
// goroutines: a network file system that hangs takes no request with it.
type disk struct {
	links bool // links are followed
	limit time.Duration
	free  chan *sight  // those with nothing to do
	hung  atomic.Int32 // looks that nobody waits for any more

	// readlink is what the link name says. The error for what is no link is
	// EINVAL.
	readlink func(name string) (string, error)
	// plain reports whether no part of an absolute path is a link, as far as it
	// exists. It is a shortcut: false says nothing.
	plain func(name string, clean bool) bool
}

func newDisk(links bool) *disk {
	d := &disk{links: links, limit: lookLimit, free: make(chan *sight, mostLooks), readlink: os.Readlink, plain: isPlain}
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
}

// An answer is what the file system says.
type answer struct {
	cwdItself string      // cwd with links resolved
	itself    []string    // the files with links resolved, where those are others
	rooted    [][2]string // a repository's root, and a file in it
	fault     error       // why not all was seen
	panicked  any
}

// ask is the answer to q, and whether it came in time.
func (d *disk) ask(q question) (answer, bool) {
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
		v.see()
	}()
	if v.state.CompareAndSwap(underWay, ended) {
		v.done <- struct{}{}
	} else {
		v.disk.hung.Add(-1)
		v.disk.free <- v
	}
}

// see fills in the answer.
func (v *sight) see() {
	if v.repositories {
		for _, abs := range v.files {
			v.addRoots(abs)
		}
	}
	if !v.disk.links {
		return
	}
	if v.cwd != "" {
		v.cwdItself, v.fault = v.disk.resolve(v.cwd)
	}
	for _, abs := range v.files {
		v.addItself(abs)
	}
	for _, abs := range v.written {
		v.addItself(abs)
	}
}

// addItself follows the links of abs, and adds the file where it is another.
func (v *sight) addItself(abs string) {
	if abs == "" {
		return
	}
	itself, err := v.disk.resolve(abs)
	switch {
	case err != nil:
		v.fault = err
	case !slices.Contains(v.files[:], itself) && !slices.Contains(v.itself, itself):
		v.itself = append(v.itself, itself)
		if v.repositories {
			v.addRoots(itself)
		}
	}
}

// addRoots looks for each repository that holds the file abs, the nearest first.
func (v *sight) addRoots(abs string) {
	if abs == "" {
		return
	}
	for _, root := range v.place.rootsOf(abs) {
		v.rooted = append(v.rooted, [2]string{root, abs})
	}
}
