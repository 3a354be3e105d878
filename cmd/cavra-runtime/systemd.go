package main

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/coreos/go-systemd/v22/activation"
	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/hashicorp/go-hclog"

	"github.com/Huzefaaa2/cavra/go/cavra-runtime/conn"
)

// listen takes the socket of the configuration, or the one that a service
// manager hands over, which must be the same.
func listen(path string) (*conn.Listener, error) {
	files := activation.Files(true)
	if len(files) == 0 {
		return conn.Listen(path)
	}
	for _, more := range files[1:] {
		_ = more.Close()
	}
	if len(files) > 1 {
		_ = files[0].Close()
		return nil, fmt.Errorf("the service manager hands over %d sockets, and one is served; leave one ListenStream= in the socket unit", len(files))
	}
	listener, err := conn.ListenOn(files[0])
	if err != nil {
		return nil, err
	}
	if !samePath(listener.Path(), path) {
		return nil, errors.Join(fmt.Errorf("the service manager hands over the socket %s, and the configuration names %s; name the same one in both, so that clients and policy know it", listener.Path(), path), listener.Close())
	}
	return listener, nil
}

// A serviceManager is told how the daemon fares, where one asks for it as
// systemd does: by NOTIFY_SOCKET. The zero value tells a log nothing.
type serviceManager struct {
	log  hclog.Logger
	once sync.Once // the log says once that telling fails
}

func (m *serviceManager) ready()    { m.tell(daemon.SdNotifyReady) }
func (m *serviceManager) stopping() { m.tell(daemon.SdNotifyStopping) }
func (m *serviceManager) reloading() {
	m.tell(daemon.SdNotifyReloading + "\n" + daemon.SdNotifyMonotonicUsec())
}

func (m *serviceManager) tell(state string) {
	if _, err := daemon.SdNotify(false, state); err != nil && m.log != nil {
		m.once.Do(func() { m.log.Warn("the service manager could not be told how the daemon fares", "error", err) })
	}
}

// watch tells the manager that the daemon is alive, twice in each span after
// which it would be killed, until the function it returns is called.
func (m *serviceManager) watch() (stop func()) {
	span, err := daemon.SdWatchdogEnabled(false)
	if err != nil || span <= 0 {
		return func() {}
	}
	ticker, done := time.NewTicker(span/2), make(chan struct{})
	go func() {
		for {
			m.tell(daemon.SdNotifyWatchdog)
			select {
			case <-ticker.C:
			case <-done:
				return
			}
		}
	}()
	return func() {
		ticker.Stop()
		close(done)
	}
}

// samePath reports whether both paths name one file.
func samePath(a, b string) bool {
	first, err := os.Stat(a)
	if err != nil {
		return false
	}
	second, err := os.Stat(b)
	return err == nil && os.SameFile(first, second)
}
