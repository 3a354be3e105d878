// Compare measures a decision of the runtime beside the same decision of Cedar
// (cedar-go) and of Open Policy Agent (rego), by the same patterns, in one run, and
// prints how many times longer they take.
//
// It is a module of its own, so that neither of them reaches the runtime's go.mod.
// Nothing is measured before all three have given the right answer. Times differ
// from machine to machine and from run to run; the ratios are what to look at.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"text/tabwriter"
	"time"
)

func main() {
	took := flag.Duration("time", 300*time.Millisecond, "how long to measure each engine for each question")
	flag.Parse()
	if flag.NArg() > 0 {
		fmt.Fprintf(os.Stderr, "compare: unexpected argument %q; it takes none\n", flag.Arg(0))
		os.Exit(2)
	}
	if err := run(os.Stdout, *took, sizes); err != nil {
		fmt.Fprintln(os.Stderr, "compare:", err)
		os.Exit(1)
	}
}

// A size is a number of patterns, and how many times longer than ours a decision of
// each of the others has to take with as many.
type size struct {
	patterns int
	asked    float64
}

var sizes = []size{{12, 2}, {1_000, 50}, {10_000, 500}}

var errTooSlow = errors.New("a ratio is below what is asked")

// run measures and prints a table for policies of these sizes. The error says that
// a decision was wrong or a ratio of the means too small.
func run(out io.Writer, took time.Duration, sizes []size) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "patterns\tquestion\tcavra\tcedar\topa\tcedar/cavra\topa/cavra\tasked\t")
	slow := false
	for _, s := range sizes {
		r := manyRules(s.patterns)
		list, err := engines(r)
		if err != nil {
			return err
		}
		questions := r.questions()
		if err := agree(list, questions); err != nil {
			return fmt.Errorf("with %d patterns: %w", s.patterns, err)
		}
		means := make([]time.Duration, len(list))
		for _, q := range questions {
			times, err := measure(list, q.command, took)
			if err != nil {
				return err
			}
			for i, t := range times {
				means[i] += t / time.Duration(len(questions))
			}
			row(table, s, q.name, times, "")
		}
		row(table, s, "mean", means, fmt.Sprintf("%.0f", s.asked))
		slow = slow || ratio(means[1], means[0]) < s.asked || ratio(means[2], means[0]) < s.asked
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if slow {
		return errTooSlow
	}
	return nil
}

func row(w io.Writer, s size, name string, times []time.Duration, asked string) {
	fmt.Fprintf(w, "%d\t%s\t%v\t%v\t%v\t%.1f\t%.1f\t%s\t\n", s.patterns, name, times[0], times[1], times[2],
		ratio(times[1], times[0]), ratio(times[2], times[0]), asked)
}

func ratio(a, b time.Duration) float64 { return float64(a) / float64(b) }

// agree reports a question that an engine answers wrongly.
func agree(list []engine, questions []question) error {
	for _, q := range questions {
		for _, e := range list {
			answer, err := e.judge(q.command)
			if err != nil {
				return fmt.Errorf("%s on %q: %w", e.name, q.command, err)
			}
			if answer != q.want {
				return fmt.Errorf("%s on %q: %s, want %s", e.name, q.command, answer, q.want)
			}
		}
	}
	return nil
}

// rounds is how often the engines take turns. The quickest round counts, so that
// what else the machine does is left out alike for all.
const rounds = 5

// measure is how long each engine takes for a decision.
func measure(list []engine, command string, took time.Duration) ([]time.Duration, error) {
	best := make([]time.Duration, len(list))
	for range rounds {
		for i, e := range list {
			n, start := 0, time.Now()
			for batch := 1; time.Since(start) < took/rounds; batch = min(2*batch, 1024) {
				for range batch {
					if _, err := e.judge(command); err != nil {
						return nil, fmt.Errorf("%s on %q: %w", e.name, command, err)
					}
				}
				n += batch
			}
			if t := time.Since(start) / time.Duration(n); best[i] == 0 || t < best[i] {
				best[i] = t
			}
		}
	}
	return best, nil
}
