package main

import (
	"fmt"
	"os"
	"time"

	"github.com/Huzefaaa2/cavra/go/cavra-runtime/conn"
	"github.com/Huzefaaa2/cavra/go/cavra-runtime/pipeline"
)

// A status is what a running daemon says of itself to the one who runs it. It
// holds no secret and nothing of a request.
type status struct {
	Version   string    `json:"version"`
	PID       int       `json:"pid"`
	StartedAt time.Time `json:"started_at"`
	// UptimeSeconds is how long the daemon has run.
	UptimeSeconds float64 `json:"uptime_seconds"`
	health
	// Chain names the stages in order.
	Chain  string        `json:"chain"`
	Stages []stageStatus `json:"stages"`
	// Decisions counts the answers of the chain, by decision.
	Decisions map[string]uint64 `json:"decisions"`
	// Connections counts what connected; a status asked for is not among them.
	Connections conn.Stats `json:"connections"`
	// Reloads are the times the configuration was read again.
	Reloads reloads `json:"reloads"`
	// Confinement says what keeps the daemon from doing more than it should.
	Confinement string `json:"confinement"`
}

type stageStatus struct {
	Name    string `json:"name"`
	Setting string `json:"setting,omitempty"`
	// Report is what the stage tells of its state.
	Report any `json:"report,omitempty"`
}

// health says whether the daemon can do its work.
type health struct {
	Healthy bool `json:"healthy"`
	// Faults say what is wrong and what to do.
	Faults []string `json:"faults,omitempty"`
}

// health asks every stage that can tell.
func (s *service) health() health {
	h := health{Healthy: true}
	for _, stage := range s.live.Chain().All() {
		if c, ok := stage.(pipeline.Checker); ok {
			if err := c.Health(); err != nil {
				h.Healthy = false
				h.Faults = append(h.Faults, fmt.Sprintf("stage %s: %v", stage.Spec().Name, err))
			}
		}
	}
	return h
}

// status describes the daemon as it is now.
func (s *service) status() any {
	chain := s.live.Chain()
	st := status{
		Version: buildVersion(), PID: os.Getpid(), StartedAt: s.began.UTC(), UptimeSeconds: time.Since(s.began).Seconds(),
		health: s.health(), Chain: chain.String(),
		Decisions: s.observer.totals(), Connections: s.server.Stats(), Reloads: s.reloadsSoFar(), Confinement: s.confinement,
	}
	described := chain.Stages()
	for i, stage := range chain.All() {
		one := stageStatus{Name: described[i].Name, Setting: described[i].Setting}
		if r, ok := stage.(pipeline.Reporter); ok {
			one.Report = r.Report()
		}
		st.Stages = append(st.Stages, one)
	}
	return st
}
