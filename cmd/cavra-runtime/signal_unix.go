//go:build unix

package main

import (
	"os"
	"syscall"
)

// rotateSignal asks the daemon to rotate its evidence log.
var rotateSignal os.Signal = syscall.SIGUSR1
