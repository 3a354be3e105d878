package show

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/Huzefaaa2/cavra/go/cavra-runtime/stages/evidence"
)

// A Log is a log on the disk: the files that rotation has numbered, and the live
// one.
type Log struct {
	path   string
	reader *evidence.Reader

	file *os.File // the live one, or a pipe
	at   int64    // where in it the next line begins
	torn int64    // bytes of it that are there already
	last uint64   // the number of the last numbered file that was read
	pipe bool     // it is no regular file: it ends once
	read bool     // a file was read
}

// OpenLog opens the log at path, which may be a pipe, and has reader read it.
func OpenLog(path string, reader *evidence.Reader) *Log { return &Log{path: path, reader: reader} }

// Close closes the log.
func (l *Log) Close() {
	if l.file != nil {
		l.file.Close()
	}
}

// Read reads all that the log holds now. A last line that is not whole is shown
// as torn, unless a writer is at work on it.
func (l *Log) Read(ctx context.Context) error {
	err := l.open(ctx)
	l.end()
	return err
}

// end ends the live file.
func (l *Log) end() {
	if l.file != nil {
		l.reader.End(l.torn > 0 && evidence.BeingWritten(l.file))
	}
}

// Follow reads what the log holds and then what is added to it, also where it
// is rotated, until the context ends or, of a pipe, the other end. It calls idle whenever it has read all
// that there is; wait, which returns when it is time to look again, comes next.
// notice is told where the log was cut or replaced.
func (l *Log) Follow(ctx context.Context, idle, wait func() error, notice func(string)) error {
	err := l.open(ctx)
	for err == nil {
		if err = idle(); err == nil && !l.pipe {
			err = wait()
		}
		if l.pipe || ctx.Err() != nil {
			l.end() // all that was read was read whole
			return err
		}
		if err == nil {
			err = l.more(ctx, notice)
		}
	}
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// open reads the numbered files that were not read yet, and opens and reads the
// live one.
func (l *Log) open(ctx context.Context) error {
	for {
		files, err := l.numbered()
		if err != nil {
			return err
		}
		for _, name := range files {
			if err := l.readNumbered(ctx, name); err != nil {
				return err
			}
		}
		f, err := os.Open(l.path)
		if errors.Is(err, fs.ErrNotExist) && l.read {
			return nil // it comes with the next record
		}
		if err != nil {
			return err
		}
		// Between the two, the live file may have become a numbered one.
		if files, err = l.numbered(); err != nil || len(files) > 0 {
			f.Close()
			if err != nil {
				return err
			}
			continue
		}
		l.file, l.at, l.torn, l.read = f, 0, 0, true
		before := l.last
		if n := evidence.FileNumber(l.path); n > 0 {
			before = n - 1 // a rotated file that was named stands for itself
		}
		l.reader.File(l.path, before)
		return l.readOn(ctx, nil)
	}
}

// numbered are the numbered files after the last one that was read.
func (l *Log) numbered() ([]string, error) {
	if info, err := os.Stat(l.path); err == nil && !info.Mode().IsRegular() {
		return nil, nil
	}
	files, err := evidence.Files(l.path)
	if err != nil {
		return nil, err
	}
	files = files[:len(files)-1]
	for len(files) > 0 && evidence.FileNumber(files[0]) <= l.last {
		files = files[1:]
	}
	return files, nil
}

func (l *Log) readNumbered(ctx context.Context, name string) error {
	f, err := evidence.OpenRegular(name)
	if err != nil {
		return err
	}
	defer f.Close()
	l.reader.File(name, l.last)
	_, err = l.reader.Read(readFor(ctx, f))
	l.reader.End(false)
	l.last, l.read = evidence.FileNumber(name), true
	return err
}

// readOn reads the live file from the next line on.
func (l *Log) readOn(ctx context.Context, notice func(string)) error {
	info, err := l.file.Stat()
	switch {
	case err != nil:
		return err
	case info.IsDir():
		return fmt.Errorf("%s is a directory: name an evidence log", l.path)
	case !info.Mode().IsRegular():
		l.pipe = true
		l.torn, err = l.reader.Read(readFor(ctx, l.file))
		return err
	}
	size := info.Size()
	if size < l.at && notice != nil {
		notice("the log became shorter: lines that were shown here are no longer in it")
		l.at = size
	}
	if size == l.at+l.torn {
		return nil
	}
	// A line that is not whole is read again from its start: a repair may have
	// cut it off and something else put in its place.
	l.torn, err = l.reader.Read(readFor(ctx, io.NewSectionReader(l.file, l.at, size-l.at)))
	l.at = size - l.torn
	return err
}

// more reads what was added, and goes on to the next file where there is one.
func (l *Log) more(ctx context.Context, notice func(string)) error {
	if l.file == nil {
		return l.open(ctx)
	}
	// Look first and read then: nothing is written to a file that was rotated.
	number, replaced, err := l.whereabouts()
	if err == nil {
		err = l.readOn(ctx, notice)
	}
	if err != nil || number == 0 && !replaced {
		return err
	}
	if number == 0 {
		notice("the log was replaced by another file, which is shown from here on")
	}
	l.reader.End(false)
	l.last = max(l.last, number)
	l.Close()
	l.file = nil
	return l.open(ctx)
}

// whereabouts looks for the file that was the live one: number is what rotation
// gave it, and replaced says that another file stands in its place.
func (l *Log) whereabouts() (number uint64, replaced bool, err error) {
	ours, err := l.file.Stat()
	if err != nil || !ours.Mode().IsRegular() {
		return 0, false, err
	}
	live, err := os.Stat(l.path)
	if err == nil && os.SameFile(ours, live) {
		return 0, false, nil
	}
	replaced = err == nil
	files, err := l.numbered()
	for _, name := range files {
		if info, err := os.Stat(name); err == nil && os.SameFile(ours, info) {
			return evidence.FileNumber(name), true, nil
		}
	}
	return 0, replaced, err
}

// readFor is r until the context ends.
func readFor(ctx context.Context, r io.Reader) io.Reader {
	return readFunc(func(b []byte) (int, error) {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		return r.Read(b)
	})
}

type readFunc func([]byte) (int, error)

func (f readFunc) Read(b []byte) (int, error) { return f(b) }
