package process

import (
	"io/fs"
	"strconv"

	"golang.org/x/sys/unix"
)

// What p_stat of <sys/proc.h> says.
const (
	suspended = 4
	zombie    = 5
)

// Look asks for a process by its number. The error wraps fs.ErrNotExist where
// there is none that we may see.
func Look(pid int) (Info, error) {
	k, err := unix.SysctlKinfoProc("kern.proc.pid", pid)
	if err != nil {
		return Info{}, err
	}
	if int(k.Proc.P_pid) != pid {
		return Info{}, fs.ErrNotExist
	}
	t := k.Proc.P_starttime
	return Info{
		Start:     strconv.FormatInt(t.Sec, 10) + "." + strconv.FormatInt(int64(t.Usec), 10),
		Suspended: k.Proc.P_stat == suspended,
		Ended:     k.Proc.P_stat == zombie,
	}, nil
}
