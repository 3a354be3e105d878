package conn

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/Huzefaaa2/cavra/go/cavra-runtime/conn/internal/asuser"
)

// Root looks after the daemons of other users, and believes what only that user
// can have put where the daemon's socket is.
func TestRootBelievesWhoOwnsTheDirectory(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can listen as another user")
	}
	const other, stranger = 65534, 65533
	for _, tc := range []struct {
		name  string
		owner int
		mode  os.FileMode
		is    error
	}{
		{"its own directory", other, 0o755, nil},
		{"a stranger's directory", stranger, 0o777, ErrUntrustedServer},
		{"root's directory, open to all", 0, 0o777, ErrUntrustedServer},
		{"its own directory, open to all", other, 0o777, ErrUntrustedServer},
		{"its own directory, open to a group", other, 0o775, ErrUntrustedServer},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := filepath.Join(privateDir(t), "run")
			must(t, os.Mkdir(dir, tc.mode))
			must(t, os.Chmod(filepath.Dir(dir), 0o755))
			must(t, os.Chmod(dir, tc.mode))
			must(t, os.Chown(dir, tc.owner, tc.owner))
			path := filepath.Join(dir, "s")
			l := asuser.Listen(t, other, ControlPath(path))
			go func() {
				if c, err := l.Accept(); err == nil {
					io.WriteString(c, `{"ok":true}`+"\n")
					c.Close()
				}
			}()
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			answer, peer, err := AskControl(ctx, path, CommandStatus)
			if !errors.Is(err, tc.is) || answer.OK != (tc.is == nil) || peer.UID != other {
				t.Errorf("answered %v by user %d: %v, want %v", answer.OK, peer.UID, err, tc.is)
			}
		})
	}
}
