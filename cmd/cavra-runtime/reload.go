package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/Huzefaaa2/cavra/go/cavra-runtime/conn"
	"github.com/Huzefaaa2/cavra/go/cavra-runtime/metrics"
	"github.com/Huzefaaa2/cavra/go/cavra-runtime/pipeline"
)

// A service is a running daemon: the chain in force, what serves it, and how to
// put another in its place.
type service struct {
	cli      *cli
	log      hclog.Logger
	cfg      *configuration // as the daemon started; what cannot be reloaded counts
	live     *pipeline.Live
	server   *conn.Server
	observer *observer
	manager  serviceManager
	began    time.Time
	// confinement says what keeps the process from doing more than it should.
	confinement string
	// hangUps ask for a reload, rotations for another file of evidence.
	hangUps, rotations <-chan os.Signal

	reloading sync.Mutex // one at a time
	mu        sync.Mutex
	reloads   reloads
}

// reloads is what came of reading the configuration again.
type reloads struct {
	Done   uint64    `json:"done"`
	Failed uint64    `json:"failed"`
	Last   time.Time `json:"last,omitzero"`
	// Error is why the last one failed; empty where it did not.
	Error string `json:"error,omitempty"`
}

// newService makes the chain and what serves it.
func newService(c *cli, log func(logConfig) hclog.Logger) (*service, error) {
	s := &service{cli: c, observer: newObserver(), began: time.Now()}
	cfg, chain, err := assemble(c, assembly{observer: s.observer, log: func(l logConfig) hclog.Logger {
		s.log = log(l)
		return s.log
	}})
	if err != nil {
		return nil, err
	}
	s.cfg, s.live, s.manager.log = cfg, pipeline.NewLive(chain), s.log
	s.server = cfg.server(s.live, s.log)
	return s, nil
}

// reload reads the configuration, the policy, the registry and the keys again,
// and puts what they make in force at once. Where anything of it is faulty all
// stays as it was. Requests under way end under what they began with; reload
// returns when they have.
func (s *service) reload(context.Context) error {
	s.reloading.Lock()
	defer s.reloading.Unlock()
	s.manager.reloading()
	defer s.manager.ready()
	cfg, chain, err := assemble(s.cli, assembly{
		log:      func(logConfig) hclog.Logger { return s.log },
		running:  s.cfg,
		before:   s.live.Chain(),
		observer: s.observer,
	})
	if errors.Is(err, fs.ErrPermission) && strings.HasPrefix(s.confinement, "confined") {
		err = fmt.Errorf("%w\nthe process is confined: it writes only in the directories that held its files when it started, and needs a restart to write in others", err)
	}
	s.noteReload(err)
	if err != nil {
		s.log.Error("the configuration cannot be reloaded; everything stays as it was", "error", err)
		return err
	}
	if cfg.restart {
		s.log.Warn("what stands under server and log in the configuration changes at a restart only")
	}
	if err := s.live.Swap(chain); err != nil {
		s.log.Warn("what was in force before did not close cleanly", "error", err)
	}
	for _, stage := range chain.Stages() {
		s.log.Info("reloaded", "stage", stage.Name, "setting", stage.Setting)
	}
	return nil
}

func (s *service) noteReload(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reloads.Last, s.reloads.Error = time.Now(), ""
	if err == nil {
		s.reloads.Done++
		return
	}
	s.reloads.Failed++
	s.reloads.Error = err.Error()
}

func (s *service) reloadsSoFar() reloads {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reloads
}

// Collect writes all that is known of the daemon.
func (s *service) Collect(w *metrics.Writer) {
	s.observer.Collect(w)
	s.server.Collect(w)
	for _, stage := range s.live.Chain().All() {
		if c, ok := stage.(metrics.Collector); ok {
			c.Collect(w)
		}
	}
	r := s.reloadsSoFar()
	const help = "Times the configuration was read again, by what came of it."
	w.Counter("cavra_reloads_total", help, r.Done, "result", "done")
	w.Counter("cavra_reloads_total", help, r.Failed, "result", "failed")
	collectProcess(w, s.began)
}
