//go:build !(linux || darwin || freebsd || netbsd || openbsd || dragonfly)

package evidence

import (
	"errors"
	"os"
)

var errNoLocks = errors.New("the evidence log needs file locks, which this runtime does not have on this operating system")

// osFiles keeps no log on a system whose files this package cannot lock.
type osFiles struct{}

func (osFiles) OpenLog(string) (logFile, error)       { return nil, errNoLocks }
func (osFiles) CreateNext(string) (logFile, error)    { return nil, errNoLocks }
func (osFiles) Link(string, string) error             { return errNoLocks }
func (osFiles) Rename(string, string) error           { return errNoLocks }
func (osFiles) Remove(string) error                   { return errNoLocks }
func (osFiles) CreateAside(string) (asideFile, error) { return nil, errNoLocks }
func (osFiles) SyncDir(string) error                  { return errNoLocks }

func beingWritten(*os.File) bool { return false }
