package main

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	enforcementv1 "github.com/Huzefaaa2/cavra/go/cavra-runtime/enforcement/v1"
	"github.com/Huzefaaa2/cavra/go/cavra-runtime/metrics"
)

// Two chains, one after the other, count into the same figures; a stage that did
// not run is not timed.
func TestObserverOutlivesAChain(t *testing.T) {
	o := newObserver()
	for _, stages := range [][]string{{"decode", "evaluate"}, {"decode", "ratelimit", "evaluate"}} {
		observe := o.of(stages)
		var asking sync.WaitGroup
		for range 4 {
			asking.Go(func() {
				took := make([]time.Duration, len(stages))
				took[0] = time.Microsecond
				for range 100 {
					observe(&enforcementv1.DecisionResponse{Decision: "block", RuleID: "request.invalid"}, took)
				}
			})
		}
		asking.Wait()
	}
	var w metrics.Writer
	o.Collect(&w)
	var b strings.Builder
	if _, err := w.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`cavra_decisions_total{decision="block",rule_id="request.invalid"} 800`,
		`cavra_stage_seconds_count{stage="decode"} 800`,
		`cavra_stage_seconds_count{stage="evaluate"} 0`,
		`cavra_stage_seconds_count{stage="ratelimit"} 0`,
	} {
		if !strings.Contains(b.String(), want+"\n") {
			t.Errorf("there is no line %s in\n%s", want, b.String())
		}
	}
	if got := o.totals()["block"]; got != 800 {
		t.Errorf("%d blocks", got)
	}
}

// Rules that a stage makes up do not make the figures grow without end.
func TestObserverIsBounded(t *testing.T) {
	o := newObserver()
	observe := o.of(nil)
	for i := range 10_000 {
		observe(&enforcementv1.DecisionResponse{Decision: "block", RuleID: fmt.Sprint("made.up.", i)}, nil)
	}
	if n := len(o.decisions); n != maxOutcomes+1 || o.decisions[otherOutcome].Load() != 10_000-maxOutcomes {
		t.Errorf("%d outcomes, %d of them others", n, o.decisions[otherOutcome].Load())
	}
}

func TestObserverAllocatesNothing(t *testing.T) {
	o := newObserver()
	observe := o.of([]string{"decode"})
	resp, took := &enforcementv1.DecisionResponse{Decision: "allow", RuleID: "git.allow"}, []time.Duration{1}
	if n := testing.AllocsPerRun(100, func() { observe(resp, took) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestCheckMonitorAddress(t *testing.T) {
	for address, ok := range map[string]bool{
		"127.0.0.1:9464": true, "localhost:0": true, "[::1]:9464": true, "127.8.9.10:1": true, "unix:run/metrics.sock": true,
		"0.0.0.0:9464": false, ":9464": false, "[::]:9464": false, "192.0.2.7:9464": false, "runtime.example:9464": false,
		"127.0.0.1": false, "9464": false, "unix:": false, "": false, "localhost.example:1": false,
	} {
		if err := checkMonitorAddress(address, false); (err == nil) != ok {
			t.Errorf("%q: %v", address, err)
		}
	}
	if err := checkMonitorAddress("0.0.0.0:9464", true); err != nil {
		t.Errorf("with --metrics-public: %v", err)
	}
}
