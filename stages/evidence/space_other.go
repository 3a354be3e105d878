//go:build !(linux || darwin || freebsd || dragonfly)

package evidence

func (osFiles) Space(string) (free, total int64, err error) { return 0, 0, errNoSpaceInfo }
