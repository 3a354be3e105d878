package evidence

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
)

const mib = 1 << 20

// A row is what the file system has free at each look, and what then holds.
func TestFreeSpace(t *testing.T) {
	type look struct {
		free    int64
		err     error
		refused bool
		log     string // what is logged; empty for nothing
	}
	for name, c := range map[string]struct {
		warn, min, total int64
		looks            []look
	}{
		"defaults of a large file system": {0, 0, 1 << 40, []look{
			{257 * mib, nil, false, ""},
			{255 * mib, nil, false, "little space is left"},
			{254 * mib, nil, false, ""},
			{16 * mib, nil, false, ""},
			{16*mib - 1, nil, true, "every request is blocked"},
			{1 * mib, nil, true, ""},
			{17 * mib, nil, false, "there is space for the evidence log again"},
			{300 * mib, nil, false, ""},
			{200 * mib, nil, false, "little space is left"},
		}},
		"defaults of a small one": {0, 0, 50 * mib, []look{
			{6 * mib, nil, false, ""},
			{4 * mib, nil, false, "little space is left"},
			{1*mib - 1, nil, true, "every request is blocked"},
		}},
		"as configured": {3000, 2000, 1 << 40, []look{
			{3000, nil, false, ""}, {2999, nil, false, "little space"}, {1999, nil, true, "every request is blocked"},
		}},
		"the least is more than the warning": {1000, 2000, 1 << 40, []look{
			{2000, nil, false, ""}, {1999, nil, true, "every request is blocked"},
		}},
		"unknown": {0, 0, 1 << 40, []look{
			{0, errNoSpaceInfo, false, "is not watched"},
			{0, errNoSpaceInfo, false, ""},
			{1, nil, true, "every request is blocked"},
			{0, errNoSpaceInfo, false, "is not watched"},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			var at look
			asked := 0
			s := &freeSpace{
				tell: func(int64) {},
				log:  hclog.New(&hclog.LoggerOptions{Output: &out}), warn: c.warn, min: c.min,
				find: func() (int64, int64, error) { asked++; return at.free, c.total, at.err },
			}
			now := time.Unix(1e9, 0)
			for i, l := range c.looks {
				at = l
				out.Reset()
				for part := range 10 { // it is asked once a second, whatever the load
					if err := s.check(now.Add(time.Duration(part) * 99 * time.Millisecond)); (err != nil) != l.refused {
						t.Errorf("look %d: %v", i, err)
					}
				}
				if asked != i+1 {
					t.Errorf("look %d: asked %d times", i, asked)
				}
				if l.log == "" && out.Len() > 0 || !strings.Contains(out.String(), l.log) || strings.Count(out.String(), "\n") > 1 {
					t.Errorf("look %d logged %q, want %q", i, out.String(), l.log)
				}
				now = now.Add(time.Second)
			}
		})
	}
	if err := (*freeSpace)(nil).check(time.Now()); err != nil {
		t.Error(err)
	}
}

// With too little space nothing is written, and nobody has to restart anything
// once there is more.
func TestTooLittleSpaceBlocks(t *testing.T) {
	for _, mode := range []SyncMode{SyncAlways, SyncOff} {
		path := newPath(t)
		files := &fullFiles{free: 1 << 40}
		o := signed
		o.files, o.Sync, o.MinFree = files, mode, 1000
		l := open(t, path, o)
		add(t, l, "a")
		before := read(t, path)
		files.free = 999
		l.own.Lock()
		l.space.looked = time.Time{} // as a second later
		l.own.Unlock()
		for range 2 {
			if err := tryAdd(l); err == nil || !strings.Contains(err.Error(), "999 bytes free") {
				t.Errorf("%v", err)
			}
		}
		if !bytes.Equal(before, read(t, path)) {
			t.Error("something was written")
		}
		files.free = 1000
		l.own.Lock()
		l.space.looked = time.Time{}
		l.own.Unlock()
		add(t, l, "b")
		mustClose(t, l)
		if r := wantValid(t, path, o.verify()); r.Records != 2 {
			t.Errorf("%+v", r)
		}
	}
}

type fullFiles struct {
	osFiles
	free int64
}

func (f *fullFiles) Space(string) (free, total int64, err error) { return f.free, 1 << 40, nil }

func TestSpaceOfTheMachine(t *testing.T) {
	free, total, err := osFiles{}.Space(t.TempDir())
	if errors.Is(err, errNoSpaceInfo) {
		t.Skip(err)
	}
	if err != nil || free <= 0 || total < free {
		t.Errorf("%d of %d, %v", free, total, err)
	}
}
