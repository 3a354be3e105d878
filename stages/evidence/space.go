package evidence

import (
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/hashicorp/go-hclog"
)

// freeSpace watches the space of the log's file system, so that recording stops,
// and says so, before writes fail half way, and so that what else lives there
// has room to be mended. nil watches nothing.
type freeSpace struct {
	log  hclog.Logger
	path string
	find func() (free, total int64, err error)
	tell func(free int64) // what was found, each time

	warn, min int64 // bytes; 0 means the default
	looked    time.Time
	low       bool  // free was below warn
	full      error // free was below min
	blind     bool  // finding out failed
}

const (
	spaceEvery = time.Second // at most this often the file system is asked

	// The defaults, or that part of the file system where it is less: a small one
	// would else never have enough.
	defaultWarnFree, warnPart = 256 << 20, 10
	defaultMinFree, minPart   = 16 << 20, 50
)

// errNoSpaceInfo says that this operating system is not asked.
var errNoSpaceInfo = errors.New("the free space of a file system is not known on this operating system")

func newFreeSpace(l *Log) *freeSpace {
	dir := filepath.Dir(l.path)
	return &freeSpace{
		log: l.o.Log, path: l.path, warn: l.o.WarnFree, min: l.o.MinFree,
		find: func() (int64, int64, error) { return l.o.files.Space(dir) },
		tell: l.seen.found,
	}
}

// check gives the reason not to write, or nil. It asks the file system once in a
// while, so space that came back is noticed within that time.
func (s *freeSpace) check(now time.Time) error {
	if s == nil {
		return nil
	}
	if now.Sub(s.looked) < spaceEvery {
		return s.full
	}
	s.looked = now
	free, total, err := s.find()
	if err != nil {
		// Writing finds out too; only later.
		if !s.blind {
			s.log.Warn("the free space for the evidence log is not watched", "path", s.path, "error", err)
		}
		s.blind, s.full = true, nil
		s.tell(-1)
		return nil
	}
	s.blind = false
	least := orDefault(s.min, min(defaultMinFree, total/minPart))
	warn := max(least, orDefault(s.warn, min(defaultWarnFree, total/warnPart)))
	wasFull, wasLow := s.full != nil, s.low
	s.full, s.low = nil, free < warn
	if free < least {
		s.full = fmt.Errorf("the file system of the evidence log has %d bytes free, and %d is the least to write with: make room there, and recording goes on by itself", free, least)
	}
	s.tell(free)
	switch {
	case s.full != nil && !wasFull:
		s.log.Error("too little space is left for the evidence log; every request is blocked until there is more", "path", s.path, "free", free, "least", least)
	case s.full == nil && wasFull:
		s.log.Warn("there is space for the evidence log again; recording goes on", "path", s.path, "free", free, "warn_below", warn)
	case s.low && !wasLow:
		s.log.Warn("little space is left for the evidence log; below the least every request is blocked", "path", s.path, "free", free, "least", least)
	}
	return s.full
}

func orDefault(n, standard int64) int64 {
	if n > 0 {
		return n
	}
	return standard
}
