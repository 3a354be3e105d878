package evidence

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// BenchmarkVerifyGiB verifies a signed log of a GiB in a process of its own.
// MiB is the most memory that it took; less than 64. x-sha256sum is its speed
// over that of the program of that name; at least 0.5.
func BenchmarkVerifyGiB(b *testing.B) {
	o := signed
	o.Sync = SyncOff
	path := newPath(b)
	l := open(b, path, o)
	req, resp := typical()
	for l.size < 1<<30 {
		must(b, l.Append(nextID(), req, resp))
	}
	mustClose(b, l)
	b.SetBytes(1 << 30)
	most := int64(0)
	for b.Loop() {
		cmd := childCommand(b, roleVerify, path)
		status, err := cmd.Output()
		must(b, err)
		// Its own mark: the one of wait4 begins with what this process had when it
		// forked.
		_, mark, _ := strings.Cut(string(status), "VmHWM:")
		var kiB int64
		_, err = fmt.Sscan(mark, &kiB)
		must(b, err)
		most = max(most, kiB<<10)
	}
	b.ReportMetric(float64(most)/(1<<20), "MiB")
	if most >= 64<<20 {
		b.Errorf("it took %d MiB", most>>20)
	}
	if program, err := exec.LookPath("sha256sum"); err == nil {
		took := b.Elapsed() / time.Duration(b.N)
		b.ReportMetric(float64(per(1, func() { must(b, exec.Command(program, path).Run()) }))/float64(took), "x-sha256sum")
	}
}
