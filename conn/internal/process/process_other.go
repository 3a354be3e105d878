//go:build !linux && !darwin

package process

import "errors"

// Look cannot tell anything on this system.
func Look(int) (Info, error) { return Info{}, errors.ErrUnsupported }
