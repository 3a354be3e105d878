package process

import (
	"bytes"
	"errors"
	"os"
	"strconv"
)

// Look asks for a process by its number. The error wraps fs.ErrNotExist where
// there is none that we may see.
func Look(pid int) (Info, error) {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return Info{}, err
	}
	return parse(stat)
}

// parse reads a line of /proc/PID/stat. The name, in parentheses, may itself hold
// parentheses and spaces, so what follows it is found from the end.
func parse(stat []byte) (Info, error) {
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	const state, threads, start = 0, 17, 19 // fields 3, 20 and 22 as proc(5) counts them
	if len(fields) <= start {
		return Info{}, errors.New("the line of /proc/PID/stat is cut off")
	}
	i := Info{Start: string(fields[start])}
	switch string(fields[state]) {
	case "T", "t":
		i.Suspended = true
	case "Z", "X", "x":
		// The first thread may end before the others, which still hold its files.
		n := string(fields[threads])
		i.Ended = n == "0" || n == "1"
	}
	return i, nil
}
