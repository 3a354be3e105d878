package conn

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

func TestTheOwnerOfASocket(t *testing.T) {
	client, _, pid := child(t)
	for range 3 { // a look changes nothing
		owner, held, err := OwnerOf(client.Socket)
		if want := (Owner{PID: pid, Proven: true}); err != nil || !held || owner != want {
			t.Fatalf("got %+v, %v, %v, want %+v", owner, held, err, want)
		}
	}
	must(t, syscall.Kill(pid, syscall.SIGSTOP))
	defer syscall.Kill(pid, syscall.SIGCONT)
	var status syscall.WaitStatus
	if _, err := syscall.Wait4(pid, &status, syscall.WUNTRACED, nil); err != nil || !status.Stopped() {
		t.Fatalf("the daemon did not stop: %v, %v", status, err)
	}
	if owner, held, err := OwnerOf(client.Socket); err != nil || !held || !owner.Suspended {
		t.Errorf("suspended: %+v, %v, %v", owner, held, err)
	}
	must(t, syscall.Kill(pid, syscall.SIGCONT))

	for name, said := range map[string]string{
		"another process's number":    fmt.Sprintf("%d 1\n", os.Getpid()),
		"another process's start":     fmt.Sprintf("%d 1\n", pid),
		"no start":                    fmt.Sprintf("%d\n", pid),
		"nothing":                     "",
		"no number":                   "root\n",
		"a number that is none":       "-1 1\n",
		"a number that is no process": strconv.Itoa(1<<30) + " 1\n",
	} {
		t.Run("the lock file says "+name, func(t *testing.T) {
			must(t, os.WriteFile(client.Socket+".lock", []byte(said), 0o600))
			if owner, held, err := OwnerOf(client.Socket); err != nil || !held || owner.Proven || owner.PID != pid {
				t.Errorf("got %+v, %v, %v", owner, held, err)
			}
		})
	}
}

// A file that names a process is nothing where no process holds the lock.
func TestNobodyOwnsASocketWithoutALock(t *testing.T) {
	path := privateDir(t) + "/s"
	if owner, held, err := OwnerOf(path); held || err != nil {
		t.Errorf("of nothing: %+v, %v, %v", owner, held, err)
	}
	must(t, os.WriteFile(path+".lock", []byte(signature()), 0o600))
	if owner, held, err := OwnerOf(path); held || err != nil {
		t.Errorf("of a leftover: %+v, %v, %v", owner, held, err)
	}
	must(t, os.Remove(path+".lock"))
	must(t, syscall.Mkfifo(path+".lock", 0o600))
	if _, _, err := OwnerOf(path); err == nil || !strings.Contains(err.Error(), "not a plain file") {
		t.Errorf("of a pipe: %v", err)
	}
	must(t, os.Remove(path+".lock"))
	must(t, os.Symlink("/dev/null", path+".lock"))
	if _, _, err := OwnerOf(path); err == nil {
		t.Error("a link was followed")
	}
}

// The start of another runtime is not disturbed by those who look.
func TestLookingKeepsNobodyOut(t *testing.T) {
	path := privateDir(t) + "/s"
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 2000 {
			f, err := openToLook(path + ".lock")
			if err != nil {
				continue
			}
			holderOf(f)
			f.Close()
		}
	}()
	for range 200 {
		l, err := Listen(path)
		must(t, err)
		must(t, l.Close())
	}
	<-done
}
