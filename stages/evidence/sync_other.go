//go:build darwin || freebsd || netbsd || openbsd || dragonfly

package evidence

import "os"

// syncData makes the bytes of f durable.
func syncData(f *os.File) error { return f.Sync() }
