//go:build unix

package conn

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"testing"

	enforcementv1 "github.com/Huzefaaa2/cavra/go/cavra-runtime/enforcement/v1"
	"github.com/Huzefaaa2/cavra/go/cavra-runtime/pipeline"
)

// manager binds a socket as a service manager does, and gives what it hands
// over.
func manager(t *testing.T) (path string, handOver func() *os.File) {
	t.Helper()
	path = filepath.Join(privateDir(t), "s")
	bound, err := net.ListenUnix("unix", &net.UnixAddr{Net: "unix", Name: path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { bound.Close() })
	if err := os.Chmod(path, 0o660); err != nil {
		t.Fatal(err)
	}
	return path, func() *os.File {
		f, err := bound.File()
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
}

// A client that connects between two runtimes is answered by the second.
func TestListenOn(t *testing.T) {
	path, handOver := manager(t)
	for range 2 {
		answer := make(chan error, 1)
		go func() {
			_, err := (&Client{Socket: path}).Evaluate(context.WithoutCancel(t.Context()), &enforcementv1.EvaluateRequest{})
			answer <- err
		}()
		l, err := ListenOn(handOver())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ListenOn(handOver()); !errors.Is(err, ErrLocked) {
			t.Errorf("a second runtime serves the socket too: %v", err)
		}
		chain, err := pipeline.New([]pipeline.Stage{fakeDecode{}, &fakeEvaluate{}, &fakeRedact{}}, pipeline.Options{})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		served := make(chan error, 1)
		go func() { served <- (&Server{Chain: chain}).Serve(ctx, l) }()
		if err := <-answer; err != nil {
			t.Error(err)
		}
		cancel()
		if err := errors.Join(<-served, l.Close()); err != nil {
			t.Error(err)
		}
		if info, err := os.Lstat(path); err != nil || info.Mode().Perm() != 0o660 {
			t.Errorf("the manager's socket was touched: %v, %v", info, err)
		}
	}
}

func TestListenOnRefuses(t *testing.T) {
	for _, network := range []string{"tcp", "@"} {
		var l net.Listener
		var err error
		if network == "tcp" {
			l, err = net.Listen("tcp", "127.0.0.1:0")
		} else {
			l, err = net.Listen("unix", "@cavra-test-"+filepath.Base(t.TempDir()))
		}
		if err != nil {
			t.Skipf("%s: %v", network, err)
		}
		f, err := l.(interface{ File() (*os.File, error) }).File()
		if err != nil {
			t.Fatal(err)
		}
		l.Close()
		if _, err := ListenOn(f); err == nil {
			t.Errorf("%s is taken", network)
		}
		if err := f.Close(); !errors.Is(err, fs.ErrClosed) {
			t.Errorf("%s: the descriptor was left open: %v", network, err)
		}
	}
	f, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ListenOn(f); err == nil {
		t.Error("a plain file is taken")
	}
}
