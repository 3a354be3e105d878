//go:build unix

package conn

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestListenMakesAPrivateSocket(t *testing.T) {
	for _, umask := range []int{0, 0o022, 0o777} {
		t.Run(fmt.Sprintf("umask %04o", umask), func(t *testing.T) {
			path := filepath.Join(privateDir(t), "made", "s")
			before := unix.Umask(umask &^ 0o700) // the directory needs our own bits
			defer unix.Umask(before)
			l, err := Listen(path)
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			for name, want := range map[string]os.FileMode{
				filepath.Dir(path): os.ModeDir | 0o700,
				path:               os.ModeSocket | 0o600,
				path + ".lock":     0o600,
			} {
				fi, err := os.Lstat(name)
				if err != nil {
					t.Fatal(err)
				}
				if fi.Mode() != want {
					t.Errorf("%s has mode %v, want %v", filepath.Base(name), fi.Mode(), want)
				}
			}
			b, _ := os.ReadFile(path + ".lock")
			if string(b) != signature() || !strings.HasPrefix(signature(), fmt.Sprint(os.Getpid())) {
				t.Errorf("the lock holds %q", b)
			}
		})
	}
}

// The mode must hold from the socket's birth: a chmod afterwards leaves a
// moment in which others connect.
func TestSocketIsPrivateFromBirth(t *testing.T) {
	defer unix.Umask(unix.Umask(0))
	path := filepath.Join(privateDir(t), "s")
	config := net.ListenConfig{Control: private}
	l, err := config.Listen(context.Background(), "unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	fi, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	if fi.Mode().Perm() != 0o600 && runtime.GOOS == "linux" {
		t.Errorf("the socket was born with mode %v", fi.Mode())
	} else if fi.Mode().Perm() != 0o600 {
		t.Skipf("this system makes sockets with mode %v whatever the descriptor's mode; Listen changes it afterwards, inside a private directory", fi.Mode())
	}
}

func TestListenRefuses(t *testing.T) {
	for _, tc := range []struct {
		name  string
		path  func(t *testing.T, dir string) string
		wants string
		stays bool // what lies at the path is still there
	}{
		{"an empty path", func(*testing.T, string) string { return "" }, "is empty", false},
		{"an abstract socket", func(*testing.T, string) string { return "@cavra" }, "begins with @", false},
		{"a zero byte", func(_ *testing.T, dir string) string { return dir + "/a\x00b" }, "zero byte", false},
		{"a long path", func(_ *testing.T, dir string) string { return filepath.Join(dir, strings.Repeat("x", 120)) }, fmt.Sprintf("this system takes %d", maxPath), false},
		{"a plain file", func(t *testing.T, dir string) string {
			must(t, os.WriteFile(dir+"/s", []byte("keep me"), 0o600))
			return dir + "/s"
		}, "not a socket", true},
		{"an empty file", func(t *testing.T, dir string) string {
			must(t, os.WriteFile(dir+"/s", nil, 0o600))
			return dir + "/s"
		}, "not a socket", true},
		{"a directory", func(t *testing.T, dir string) string {
			must(t, os.Mkdir(dir+"/s", 0o700))
			return dir + "/s"
		}, "not a socket", true},
		{"a link to a socket", func(t *testing.T, dir string) string {
			leave(t, dir+"/other")
			must(t, os.Symlink("other", dir+"/s"))
			return dir + "/s"
		}, "not a socket", true},
		{"a directory that others may write to", func(t *testing.T, dir string) string {
			must(t, os.Chmod(dir, 0o720))
			return dir + "/s"
		}, "open to other users (mode 0720)", false},
		{"a link as directory", func(t *testing.T, dir string) string {
			must(t, os.Mkdir(dir+"/real", 0o700))
			must(t, os.Symlink("real", dir+"/link"))
			return dir + "/link/s"
		}, "is a link", false},
		{"a file as directory", func(t *testing.T, dir string) string {
			must(t, os.WriteFile(dir+"/file", nil, 0o600))
			return dir + "/file/s"
		}, "not a directory", false},
		{"a link as lock", func(t *testing.T, dir string) string {
			must(t, os.WriteFile(dir+"/precious", nil, 0o600))
			must(t, os.Symlink("precious", dir+"/s.lock"))
			return dir + "/s"
		}, "opening the lock", false},
		{"a fifo as lock", func(t *testing.T, dir string) string {
			must(t, unix.Mkfifo(dir+"/s.lock", 0o600))
			return dir + "/s"
		}, "not a plain file", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			path := tc.path(t, privateDir(t))
			l, err := Listen(path)
			if err == nil {
				l.Close()
				t.Fatal("Listen took it")
			}
			if !strings.Contains(err.Error(), tc.wants) {
				t.Errorf("the error says %q, want %q in it", err, tc.wants)
			}
			if _, err := os.Lstat(path); tc.stays && err != nil {
				t.Errorf("what lay there is gone: %v", err)
			}
		})
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// leave leaves a socket that nobody serves.
func leave(t *testing.T, path string) {
	t.Helper()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Net: "unix", Name: path})
	must(t, err)
	l.SetUnlinkOnClose(false)
	l.Close()
}

func TestListenTakesALeftoverSocket(t *testing.T) {
	path := privateDir(t) + "/s"
	leave(t, path)
	must(t, os.WriteFile(path+".lock", []byte("1\n"), 0o644)) // of a process that ended
	l, err := Listen(path)
	must(t, err)
	must(t, l.Close())
}

func TestListenNeverTakesALiveSocket(t *testing.T) {
	path := privateDir(t) + "/s"
	l, err := Listen(path)
	must(t, err)
	defer l.Close()
	_, err = Listen(path)
	if !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), fmt.Sprintf("process %d serves", os.Getpid())) {
		t.Errorf("a second Listen: %v", err)
	}
	// Even where somebody removed the lock.
	must(t, os.Remove(path+".lock"))
	_, err = Listen(path)
	if !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), "lock file was removed") {
		t.Errorf("without the lock file: %v", err)
	}
	if c, err := net.Dial("unix", path); err != nil {
		t.Errorf("the first socket is dead: %v", err)
	} else {
		c.Close()
	}
}

func TestListenerCloseRemovesOnlyItsOwnSocket(t *testing.T) {
	path := privateDir(t) + "/s"
	l, err := Listen(path)
	must(t, err)
	must(t, os.Remove(path))
	leave(t, path) // a successor's
	must(t, l.Close())
	must(t, l.Close())
	if _, err := os.Lstat(path); err != nil {
		t.Errorf("the successor's socket is gone: %v", err)
	}

	l, err = Listen(path)
	must(t, err)
	must(t, l.Close())
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("our own socket is still there: %v", err)
	}
}

func TestListenTakesTheLongestPath(t *testing.T) {
	dir := privateDir(t)
	path := filepath.Join(dir, strings.Repeat("x", maxPath-len(dir)-1))
	l, err := Listen(path)
	must(t, err)
	defer l.Close()
	c, err := net.Dial("unix", path)
	must(t, err)
	c.Close()
}
