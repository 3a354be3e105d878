//go:build !linux

package evaluate

// isPlain says nothing: each part of a path is looked at.
func isPlain(string, bool) bool { return false }

// Nothing is at hand: other systems have no way to ask without waiting.

func isPlainAtHand(string, bool) bool { return false }

func holdsGitAtHand(string) (bool, error) { return false, errNotAtHand }
