package main

import (
	"sync"
	"sync/atomic"
	"time"

	enforcementv1 "github.com/Huzefaaa2/cavra/go/cavra-runtime/enforcement/v1"
	"github.com/Huzefaaa2/cavra/go/cavra-runtime/metrics"
)

// An observer counts the answers of a daemon and times its stages, for as long
// as the process lives: a reload begins nothing anew.
type observer struct {
	mu        sync.RWMutex
	decisions map[outcome]*atomic.Uint64
	stages    map[string]*metrics.Histogram
	order     []string // of stages, as they were first seen
}

// An outcome is what answers are counted by.
type outcome struct{ decision, rule string }

// maxOutcomes is how many outcomes are counted apart; further ones are one. The
// built-in stages know some sixty, and a fork's stage might make up one for each
// request.
const maxOutcomes = 256

var otherOutcome = outcome{"other", "other"}

func newObserver() *observer {
	return &observer{decisions: map[outcome]*atomic.Uint64{}, stages: map[string]*metrics.Histogram{}}
}

// of gives the function that a chain of these stages calls after each run.
func (o *observer) of(stages []string) func(*enforcementv1.DecisionResponse, []time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	histograms := make([]*metrics.Histogram, len(stages))
	for i, name := range stages {
		if o.stages[name] == nil {
			o.stages[name] = new(metrics.Histogram)
			o.order = append(o.order, name)
		}
		histograms[i] = o.stages[name]
	}
	return func(resp *enforcementv1.DecisionResponse, took []time.Duration) {
		o.count(outcome{resp.Decision, resp.RuleID}).Add(1)
		for i, d := range took {
			if d > 0 { // it ran
				histograms[i].Observe(d)
			}
		}
	}
}

// count finds the counter of an outcome.
func (o *observer) count(of outcome) *atomic.Uint64 {
	o.mu.RLock()
	n := o.decisions[of]
	o.mu.RUnlock()
	if n != nil {
		return n
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.decisions[of] == nil && len(o.decisions) >= maxOutcomes {
		of = otherOutcome
	}
	if o.decisions[of] == nil {
		o.decisions[of] = new(atomic.Uint64)
	}
	return o.decisions[of]
}

// totals are the answers by decision.
func (o *observer) totals() map[string]uint64 {
	o.mu.RLock()
	defer o.mu.RUnlock()
	sums := map[string]uint64{}
	for of, n := range o.decisions {
		sums[of.decision] += n.Load()
	}
	return sums
}

// Collect writes what was counted.
func (o *observer) Collect(w *metrics.Writer) {
	o.mu.RLock()
	defer o.mu.RUnlock()
	for of, n := range o.decisions {
		w.Counter("cavra_decisions_total", "Answers of the chain, by decision and by the rule that decided.", n.Load(), "decision", of.decision, "rule_id", of.rule)
	}
	for _, name := range o.order {
		w.Histogram("cavra_stage_seconds", "How long a stage took for one request.", o.stages[name], "stage", name)
	}
}
