package lifecycle

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/Huzefaaa2/cavra/go/cavra-runtime/conn"
)

// OpenLog opens a log to append to, and makes it where it is missing, with mode
// 0600, which one that is there gets too. It must be a plain file of our user, with
// one name, in a directory that nobody else may write to.
func OpenLog(path string) (*os.File, error) {
	if err := conn.PrivateDirectory(filepath.Dir(path), "log"); err != nil {
		return nil, err
	}
	f, err := openNoFollow(path, os.O_APPEND|os.O_CREATE|os.O_RDWR)
	if err != nil {
		return nil, fmt.Errorf("the log cannot be opened: %w; it must be a plain file, and no link", err)
	}
	if err := makePrivate(f); err != nil {
		f.Close()
		return nil, fmt.Errorf("the log %s cannot be used: %w; name another with --log-file", quote(path), err)
	}
	return f, nil
}

// lastLines are the last lines that were written to a log since it was so long.
func lastLines(path string, since int64) []string {
	const most, lines = 8 << 10, 20
	f, err := openNoFollow(path, os.O_RDONLY)
	if err != nil {
		return nil
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || info.Size() <= since {
		return nil
	}
	text := make([]byte, min(info.Size()-since, most))
	n, _ := f.ReadAt(text, info.Size()-int64(len(text))) // what could be read is shown
	text = bytes.TrimSpace(text[:n])
	if len(text) == 0 {
		return nil
	}
	all := strings.Split(strings.Map(visible, string(text)), "\n")
	return all[max(0, len(all)-lines):]
}
