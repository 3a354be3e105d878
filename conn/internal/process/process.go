// Package process says of another process what the system knows: when it was
// started, which tells it from a later one of the same number, and whether it
// runs.
package process

// Info is what the system says of a process.
type Info struct {
	// Start is when the process was started, as one word of the system's own. It
	// means something only beside another Start of the same machine and boot.
	// Empty means that the system does not tell.
	Start string
	// Suspended means that the process was stopped, as by SIGSTOP, and answers
	// nothing until it is continued.
	Suspended bool
	// Ended means that the process has ended and only waits for its parent to take
	// notice.
	Ended bool
}
