package lifecycle

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

var errWindows = fmt.Errorf("this is not available on Windows: %w", errors.ErrUnsupported)

func openNoFollow(path string, flags int) (*os.File, error) { return os.OpenFile(path, flags, 0o600) }

// makePrivate can do nothing here: access control lists decide who reads a file.
func makePrivate(*os.File) error { return nil }

func ownSession() *syscall.SysProcAttr { return nil }

func resume(*os.Process) error { return nil }

func keepOnly([]int) error { return errWindows }

// Redirect is not available on this system.
func Redirect(*os.File) error { return errWindows }
