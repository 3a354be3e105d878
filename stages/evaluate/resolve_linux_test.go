package evaluate

import (
	"encoding/binary"
	"fmt"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/Huzefaaa2/cavra/go/cavra-runtime/pipeline"
)

// mountSilent mounts a file system whose server greets and then never answers, as
// anyone may who can run fusermount. It gives the directory, and how to end it, after
// which whoever waits for an answer gets an error.
func mountSilent(t *testing.T) (dir string, end func()) {
	return mountServed(t, func(uint32, uint64, []byte) ([]byte, bool) { return nil, false })
}

// mountServed likewise mounts a file system whose server answers what answer says:
// to an operation on a node, with what it was sent, the answer with its header's
// length and number left out, if any.
func mountServed(t *testing.T, answer func(opcode uint32, node uint64, in []byte) (out []byte, ok bool)) (dir string, end func()) {
	t.Helper()
	fd, err := unix.Open("/dev/fuse", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Skip("no file system can be served here: ", err)
	}
	dir = t.TempDir()
	if err := unix.Mount("silent", dir, "fuse", unix.MS_NOSUID|unix.MS_NODEV, fmt.Sprintf("fd=%d,rootmode=40000,user_id=0,group_id=0", fd)); err != nil {
		_ = unix.Close(fd)
		t.Skip("not allowed to mount a file system: ", err)
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		const initOpcode, headerSize, initSize = 26, 16, 64
		for in := make([]byte, 1<<16); ; {
			n, err := unix.Read(fd, in)
			if err == unix.EINTR {
				continue
			}
			if err != nil || n < 40 {
				return // it is no longer mounted
			}
			if opcode := binary.NativeEndian.Uint32(in[4:]); opcode != initOpcode {
				if rest, ok := answer(opcode, binary.NativeEndian.Uint64(in[16:]), in[40:n]); ok {
					out := binary.NativeEndian.AppendUint32(nil, uint32(12+len(rest)))
					out = append(out, rest[:4]...) // the error
					out = append(out, in[8:16]...)
					_, _ = unix.Write(fd, append(out, rest[4:]...))
				}
				continue
			}
			out := make([]byte, headerSize+initSize)
			binary.NativeEndian.PutUint32(out, uint32(len(out)))
			copy(out[8:], in[8:16])                                  // which question is answered
			binary.NativeEndian.PutUint32(out[headerSize:], 7)       // the version of the protocol
			copy(out[headerSize+4:], in[40+4:40+8])                  // and its lesser part, as they are asked for
			binary.NativeEndian.PutUint32(out[headerSize+20:], 4096) // the longest write
			_, _ = unix.Write(fd, out)
		}
	}()
	end = func() {
		_ = unix.Unmount(dir, unix.MNT_FORCE|unix.MNT_DETACH)
		<-served
		_ = unix.Close(fd)
	}
	return dir, end
}

// A file system that somebody serves and that never answers holds no request up:
// what is asked at once is not asked of it.
func TestAServedFileSystemThatNeverAnswers(t *testing.T) {
	dir, end := mountSilent(t)
	s := withPolicy(t, `{"filesystem":{"block_read":["anchored/**","**/*.pem"]}}`, pipeline.Env{})
	d := s.place.disk
	d.limit = time.Millisecond

	done := make(chan struct{})
	go func() {
		defer close(done)
		if isPlainAtHand(dir+"/x", true) {
			t.Error("a file that nobody has told of is plain")
		}
		if _, err := holdsGitAtHand(dir); err == nil {
			t.Error("what nobody has told of is known")
		}
		for _, req := range []request{
			{ActionType: "read_file", Target: dir + "/x"},
			{ActionType: "read_file", Target: "x", Cwd: dir},
			{ActionType: "read_file", Target: "../x", Cwd: dir + "/a/b"},
		} {
			readIsUnresolved.check(t, ask(t, s, &req))
		}
		readIsBlocked.check(t, ask(t, s, &request{ActionType: "read_file", Target: dir + "/x.pem"}))
		d.limit = time.Minute // a busy machine may take longer over a file that is there
		readIsAllowed.check(t, ask(t, s, &request{ActionType: "read_file", Target: "x"}))
	}()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Error("the file system was waited for")
	}
	end()
	<-done
	for range mostLooks { // each that hung comes back
		<-d.free
	}
	if d.hung.Load() != 0 {
		t.Errorf("%d looks still hang", d.hung.Load())
	}
}
