package conn

import (
	"errors"
	"fmt"
	"os"
)

func openToLook(path string) (*os.File, error) { return os.Open(path) }

// holderOf cannot tell on this system.
func holderOf(*os.File) (int, bool, error) {
	return 0, false, fmt.Errorf("who holds a lock cannot be told on Windows, so --lifecycle is not available there: %w", errors.ErrUnsupported)
}
