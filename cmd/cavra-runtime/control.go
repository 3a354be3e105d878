package main

import (
	"context"

	"github.com/Huzefaaa2/cavra/go/cavra-runtime/conn"
	"github.com/Huzefaaa2/cavra/go/cavra-runtime/conn/lifecycle"
)

// serveControl lets the daemon be looked at, reloaded and stopped beside the socket
// that it serves, until the function it returns is called. A daemon whose socket's
// path leaves no room for that works without.
func (s *service) serveControl(l *conn.Listener, stop func()) (end func(), err error) {
	if err := conn.CheckControlPath(l.Path()); err != nil {
		s.log.Warn("there is no control socket, so --lifecycle cannot be used; choose a shorter path for the socket", "error", err)
		return func() {}, nil
	}
	socket, err := l.Control()
	if err != nil {
		return nil, err
	}
	control := &conn.Control{
		Status: s.status,
		Reload: s.reload,
		Stop:   stop,
		Log:    s.log.Named("control"),
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := control.Serve(ctx, socket); err != nil {
			s.log.Error("the control socket is served no more", "error", err)
		}
	}()
	return func() {
		cancel()
		<-ended
	}, nil
}

// openLog lets what the daemon prints from now on, the end of a panic too, go to
// the log that the configuration names. It is opened anew each time, so that it
// can be moved away first.
func (s *service) openLog() error {
	path := s.cfg.file.Log.File
	if path == "" {
		return nil
	}
	f, err := lifecycle.OpenLog(path)
	if err != nil {
		return err
	}
	defer f.Close() // its copies stay
	return lifecycle.Redirect(f)
}

// hangUp is what SIGHUP asks for.
func (s *service) hangUp(ctx context.Context) {
	if err := s.openLog(); err != nil {
		s.log.Error("the log cannot be opened anew; it goes on where it went", "error", err)
	}
	_ = s.reload(ctx) // says in the log what came of it
}
