package evidence

import (
	"errors"
	"io"
)

// A fileSystem is what the log asks of the operating system beyond reading.
// Tests put one in its place that fails.
type fileSystem interface {
	// OpenLog opens the log at path for reading and appending, and makes it and
	// its directory where they are missing. It refuses what is no safe place for
	// a log, and a log that another process has open. It takes back what a
	// rotation that was interrupted left behind.
	OpenLog(path string) (logFile, error)
	// CreateNext makes the file that is to follow the log at path, empty, locked
	// and under nextName(path). One that a crash left there is removed.
	CreateNext(path string) (logFile, error)
	// Link gives a file a second name. A name that is in use is refused.
	Link(path, name string) error
	// Rename gives a file another name, in the place of the one that has it.
	Rename(path, name string) error
	// Remove takes away a name, and the file if it was the last.
	Remove(path string) error
	// Space is how many bytes dir's file system has free, and in all.
	Space(dir string) (free, total int64, err error)
	// CreateAside makes a new file, only for us, for what is cut off a log.
	CreateAside(path string) (asideFile, error)
	// SyncDir makes the names in a directory durable.
	SyncDir(path string) error
}

// A logFile is an open, locked log.
type logFile interface {
	io.ReaderAt
	// Write appends. Where it fails some of the bytes may have been written.
	io.Writer
	// Size is the length in bytes.
	Size() (int64, error)
	// Sync makes what was written durable.
	Sync() error
	// Truncate cuts off what follows the first size bytes.
	Truncate(size int64) error
	// Unchanged fails unless the file still stands at its path and is size
	// bytes long.
	Unchanged(size int64) error
	// Close also gives up the lock.
	io.Closer
}

// An asideFile is a file that is written once.
type asideFile interface {
	io.Writer
	Sync() error
	io.Closer
}

var (
	errInUse   = errors.New("another process has the evidence log open: stop that one, or give this one a log of its own")
	errMoved   = errors.New("the evidence log was moved, removed or replaced while it was in use; nothing more is written to it: put it back or start a new one, and restart")
	errForeign = errors.New("something else wrote to the evidence log or cut it while it was in use; nothing more is written to it: verify it and restart")
)
