package conn

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/Huzefaaa2/cavra/go/cavra-runtime/conn/internal/process"
)

// An Owner is the process that serves a socket, which is the one that holds the
// lock beside it.
type Owner struct {
	// PID is the process's number; 0 where this system does not tell, as of a
	// process in another container.
	PID int
	// Proven means that the process that PID names was started when the holder of
	// the lock says that it was. Only then may it be sent a signal: a number alone
	// may have passed to another process.
	Proven bool
	// Suspended means that the process was stopped, as by SIGSTOP.
	Suspended bool
}

// OwnerOf tells who serves the socket at path, without taking the lock, so that
// nobody who starts at the same moment is kept out. held is false where nobody
// does. It must not be called by the owner itself: a process that closes a file
// gives up what F_GETLK shows of its locks.
func OwnerOf(path string) (o Owner, held bool, err error) {
	if err := checkPath(path); err != nil {
		return Owner{}, false, err
	}
	f, err := openToLook(path + ".lock")
	if err != nil {
		if os.IsNotExist(err) {
			return Owner{}, false, nil
		}
		return Owner{}, false, fmt.Errorf("opening the lock %s: %w; ask as the user that the runtime runs as", quote(path+".lock"), err)
	}
	defer f.Close()
	if fi, err := f.Stat(); err != nil || !fi.Mode().IsRegular() {
		return Owner{}, false, fmt.Errorf("the lock %s is not a plain file; remove it", quote(path+".lock"))
	}
	o.PID, held, err = holderOf(f)
	if err != nil || !held {
		return Owner{}, false, err
	}
	said, start := readSignature(f)
	if o.PID <= 0 {
		o.PID = 0
	} else if o.PID != said {
		return o, true, nil
	}
	// Where the system named nobody, the number in the file may count in another
	// container; the start tells.
	if info, err := process.Look(said); err == nil && start != "" && start == info.Start {
		o = Owner{PID: said, Proven: true, Suspended: info.Suspended}
	}
	return o, true, nil
}

// signature is what the holder of a lock writes into it: its number and its
// start.
func signature() string {
	word := strconv.Itoa(os.Getpid())
	if info, err := process.Look(os.Getpid()); err == nil && info.Start != "" {
		word += " " + info.Start
	}
	return word + "\n"
}

// readSignature reads what the holder wrote; pid is 0 where it cannot be read.
func readSignature(f *os.File) (pid int, start string) {
	b, _ := io.ReadAll(io.NewSectionReader(f, 0, 64))
	words := strings.Fields(string(b))
	if len(words) == 0 {
		return 0, ""
	}
	n, err := strconv.ParseUint(words[0], 10, 31)
	if err != nil || n == 0 {
		return 0, ""
	}
	if len(words) > 1 {
		start = words[1]
	}
	return int(n), start
}
