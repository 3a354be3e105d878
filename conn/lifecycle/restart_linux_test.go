package lifecycle

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/Huzefaaa2/cavra/go/cavra-runtime/conn"
	"github.com/Huzefaaa2/cavra/go/cavra-runtime/conn/internal/asuser"
)

// Root stops no daemon of another user that it would start as its own.
func TestRootRestartsNoDaemonOfAnother(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can listen as another user")
	}
	const other = 65534
	dir, err := os.MkdirTemp("", "l")
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	must(t, os.Chmod(dir, 0o755))
	must(t, os.Chown(dir, other, other))
	d := Daemon{Socket: filepath.Join(dir, "s")}
	l := asuser.Listen(t, other, conn.ControlPath(d.Socket))
	told := make(chan string, 8)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			line := make([]byte, 256)
			n, _ := c.Read(line)
			told <- string(line[:n])
			_, _ = c.Write([]byte("{\"ok\":true}\n"))
			c.Close()
		}
	}()
	r, err := d.Restart(t.Context(), Command{Program: "/bin/false"})
	if err == nil || !strings.Contains(err.Error(), "runs as user 65534") || r.Message != err.Error() {
		t.Errorf("it is restarted: %+v, %v", r, err)
	}
	for len(told) > 0 {
		if command := <-told; !strings.Contains(command, "status") {
			t.Errorf("it was told %s", command)
		}
	}
}
