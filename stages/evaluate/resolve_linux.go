package evaluate

import "golang.org/x/sys/unix"

// isPlain asks Linux itself, in one call. A link on the way is another error than
// a part that does not exist, and the system stops at the first of them, so what
// it misses has no link before it, nor after it where the path is clean.
func isPlain(name string, clean bool) bool { return isNoLinkAway(openPath(name, 0, 0), clean) }

// isPlainAtHand is isPlain as far as Linux knows the answer by heart. What it would
// have to ask a disk, a server or another process for is an error, which is no
// answer here: so neither a network file system that hangs, nor one that somebody
// serves who never answers, nor a directory that is mounted when it is looked at
// can hold the caller up. Linux before 5.12 knows no such question.
//
// Nothing is remembered here, so a link that somebody makes is seen at once. One
// thing is left to the file system: to check the root of a mount that is itself the
// target, which 9p asks its server for, on virtual machines their host.
func isPlainAtHand(name string, clean bool) bool {
	return isNoLinkAway(openPath(name, resolveCached, 0), clean)
}

// holdsGitAtHand is holdsGit likewise. No link may be on the way.
func holdsGitAtHand(dir string) (bool, error) {
	switch openPath(gitIn(dir), resolveCached, unix.O_NOFOLLOW) {
	case nil, unix.EACCES:
		return true, nil
	case unix.ENOENT, unix.ENOTDIR:
		return false, nil
	}
	return false, errNotAtHand
}

// resolveCached is RESOLVE_CACHED of openat2(2): fail with EAGAIN rather than wait.
const resolveCached = 0x20

// openPath opens name and closes it again. Nothing is done with what it names, so a
// device or a pipe is as good as a file.
func openPath(name string, resolve, flags uint64) error {
	fd, err := unix.Openat2(unix.AT_FDCWD, name, &unix.OpenHow{
		Flags:   unix.O_PATH | unix.O_CLOEXEC | flags,
		Resolve: unix.RESOLVE_NO_SYMLINKS | resolve,
	})
	if err == nil {
		_ = unix.Close(fd) // nothing was written
	}
	return err
}

func isNoLinkAway(err error, clean bool) bool {
	return err == nil || clean && (err == unix.ENOENT || err == unix.ENOTDIR)
}
