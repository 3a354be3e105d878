package main

import "os"

// rotateSignal is none: there is no signal to spare on Windows.
var rotateSignal os.Signal
