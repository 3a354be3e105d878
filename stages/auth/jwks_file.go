package auth

import (
	"context"
	"crypto/rsa"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/Huzefaaa2/cavra/go/cavra-runtime/pipeline"
)

// fileLookEvery is how often the file is looked at, at most.
const fileLookEvery = time.Second

// fileKeys are the keys of a file. It is read again once it has changed; where
// it cannot be used any more, the keys that were read before stay.
type fileKeys struct {
	path string
	now  func() time.Time
	log  hclog.Logger

	mu      sync.Mutex
	set     *keySet
	read    fs.FileInfo // the file as it was when it was last read, well or not
	settled bool        // read is old enough that a change shows in its time
	looked  time.Time
	loaded  time.Time // when the file could last be used
	failing string    // why the file cannot be used now
}

// newFileKeys reads the file.
func newFileKeys(path string, log hclog.Logger, now func() time.Time) (*fileKeys, error) {
	f := &fileKeys{path: path, now: now, log: log, looked: now()}
	set, err := f.load()
	if err != nil {
		return nil, err
	}
	f.set, f.loaded = set, f.now()
	return f, nil
}

func (f *fileKeys) close() {}

func (f *fileKeys) lookup(ctx context.Context, kid string) (*rsa.PublicKey, *keySet, *pipeline.BlockError) {
	set, err := f.current(ctx)
	if err != nil {
		return nil, nil, err
	}
	if key := set.keys[kid]; key != nil {
		return key, set, nil
	}
	return nil, nil, errUnknownKey
}

func (f *fileKeys) current(context.Context) (*keySet, *pipeline.BlockError) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.now()
	if since := now.Sub(f.looked); since >= fileLookEvery || since < 0 {
		f.looked = now
		f.reload()
	}
	if now.Sub(f.loaded) >= usableFor {
		return nil, errKeysTooOld
	}
	return f.set, nil
}

// reload reads the file if it has changed.
func (f *fileKeys) reload() {
	info, err := os.Stat(f.path)
	if err == nil && f.settled && os.SameFile(info, f.read) && info.Size() == f.read.Size() && info.ModTime().Equal(f.read.ModTime()) {
		if f.failing == "" {
			f.loaded = f.now()
		}
		return
	}
	set, err := f.load()
	if err != nil {
		if kept := f.set.without(set); kept != nil {
			f.set = kept // what the file no longer holds is withdrawn, whatever else is wrong with it
			f.log.Warn("keys were withdrawn", "file", f.path, "keys", len(kept.keys))
		}
		if f.failing != err.Error() {
			f.failing = err.Error()
			f.log.Error("the file of keys cannot be used any more; the keys that were read before serve for 24 hours", "file", f.path, "error", err)
		}
		return
	}
	switch {
	case !set.sameKeys(f.set):
		f.set = set
		f.log.Info("new keys were read", "file", f.path, "keys", len(set.keys), "skipped", set.skipped)
	case f.failing != "":
		f.log.Info("the file of keys can be used again", "file", f.path)
	}
	f.failing, f.loaded = "", f.now()
}

// load reads the file, and remembers what it looked like.
func (f *fileKeys) load() (*keySet, error) {
	f.settled = false
	info, err := os.Stat(f.path) // opening a pipe would wait for its writer, so look first
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("it is no regular file")
	}
	file, err := os.Open(f.path)
	if err != nil {
		return nil, err
	}
	defer file.Close() // only read
	if info, err = file.Stat(); err != nil {
		return nil, err
	}
	if runtime.GOOS != "windows" && info.Mode()&0o002 != 0 {
		return nil, fmt.Errorf("everybody can write to it (mode %04o), and so put a key of their own in; chmod o-w it", info.Mode().Perm())
	}
	if runtime.GOOS != "windows" && info.Mode()&0o020 != 0 && f.set == nil {
		f.log.Warn("the group of the file of keys can put a key of its own in; chmod g-w it unless it should", "file", f.path)
	}
	text, err := io.ReadAll(io.LimitReader(file, maxJWKS+1))
	if err != nil {
		return nil, err
	}
	// File systems keep times coarsely: a change right after another may not show.
	f.read, f.settled = info, f.now().Sub(info.ModTime()) > 2*time.Second
	return parseJWKS(text)
}
