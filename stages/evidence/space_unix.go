//go:build linux || darwin || freebsd || dragonfly

package evidence

import (
	"os"

	"golang.org/x/sys/unix"
)

// Space counts what is there for everybody: what is kept for root is no room to
// plan with.
func (osFiles) Space(dir string) (free, total int64, err error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, 0, os.NewSyscallError("statfs", err)
	}
	return int64(st.Bavail) * int64(st.Bsize), int64(st.Blocks) * int64(st.Bsize), nil
}
