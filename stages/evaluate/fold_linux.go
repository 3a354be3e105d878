package evaluate

import (
	"os"

	"golang.org/x/sys/unix"
)

// openDirectory opens nothing but a directory: opening a device may set it going,
// and opening a pipe waits.
func openDirectory(dir string) (*os.File, error) {
	return os.OpenFile(dir, os.O_RDONLY|unix.O_DIRECTORY|unix.O_NONBLOCK, 0)
}

// foldFlag is FS_CASEFOLD_FL of ioctl_iflags(2).
const foldFlag = 0x40000000

// saysItFolds asks a directory for the flag that some file systems of Linux have
// for each, and reports whether it is set, and whether its file system never folds
// without the flag. Others do (vfat, cifs, what programs serve).
func saysItFolds(dir *os.File) (folds, told bool) {
	fd := int(dir.Fd())
	flags, err := unix.IoctlGetUint32(fd, unix.FS_IOC_GETFLAGS)
	var fs unix.Statfs_t
	if err != nil || unix.Fstatfs(fd, &fs) != nil {
		return false, false
	}
	switch uint32(fs.Type) {
	case unix.EXT4_SUPER_MAGIC, unix.F2FS_SUPER_MAGIC, unix.TMPFS_MAGIC, unix.BTRFS_SUPER_MAGIC, unix.XFS_SUPER_MAGIC, unix.OVERLAYFS_SUPER_MAGIC:
		told = true
	}
	return flags&foldFlag != 0, told
}
