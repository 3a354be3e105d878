//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package evidence

import (
	"fmt"
	"os"
	"os/signal"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// childLimit fills a log up to a limit that ends inside a record, and goes on
// when the limit is gone.
func childLimit(path string) int {
	signal.Ignore(unix.SIGXFSZ) // so that the write fails instead
	var all unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_FSIZE, &all); err != nil {
		panic(err)
	}
	little := all
	little.Cur = 10_000
	limit := func(l unix.Rlimit) {
		if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &l); err != nil {
			panic(err)
		}
	}
	l, err := Open(path, signed)
	if err != nil {
		panic(err)
	}
	defer l.Close()
	appendOne := func() error {
		id := newRecordID()
		req, resp := exchange(strings.Repeat("x", 500))
		err := l.Append(id, req, resp)
		if err == nil {
			fmt.Println(id)
		}
		return err
	}
	limit(little)
	for range 30 {
		if err = appendOne(); err != nil {
			break
		}
	}
	if err == nil {
		panic("the limit was not met")
	}
	info, statErr := os.Stat(path)
	if statErr != nil || info.Size() >= 10_000 {
		panic("what was written of the record was not cut off")
	}
	limit(all)
	for range 3 {
		if err := appendOne(); err != nil {
			panic(err)
		}
	}
	return 0
}

// A full disk, played by a limit of the file's size: the record that does not
// fit is refused, nothing of it stays, and the log goes on when there is room.
func TestShortWrite(t *testing.T) {
	path := newPath(t)
	out, err := childCommand(t, roleLimit, path).Output()
	if err != nil {
		t.Fatal(err)
	}
	answered := map[string]bool{}
	for _, id := range strings.Fields(string(out)) {
		answered[id] = true
	}
	r := wantValid(t, path, signed.verify())
	if int(r.Records) != len(answered) || len(answered) < 6 {
		t.Errorf("%d records, %d answered", r.Records, len(answered))
	}
	wantRecords(t, path, answered)
}

func syncFile(f *os.File) error { return syncData(f) }
