//go:build linux

package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// BenchmarkSoak is an hour of use in a short time: 64 clients, every tenth
// request hostile, the configuration read again every second, evidence signed and
// verified at the end. From a hundred thousand requests on it fails where memory,
// descriptors or goroutines grow, or where the daemon's slowest percent is five
// times that of a daemon that only echoes. "make soak" runs it with a million.
func BenchmarkSoak(b *testing.B) {
	const clients = 64
	dir := b.TempDir()
	policy, key := filepath.Join(dir, "policy.yaml"), filepath.Join(dir, "key")
	for path, text := range map[string]string{
		policy: "metadata: {id: soak}\nfilesystem: {block_read: ['**/*.pem']}\n",
		key:    strings.Repeat("0123456789abcdef", 4),
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			b.Fatal(err)
		}
	}
	config := filepath.Join(dir, "config.yaml")
	log := filepath.Join(dir, "evidence", "log.jsonl")
	if err := os.WriteFile(config, []byte("stages: [decode, auth, {evaluate: {policy: "+policy+"}}, redact, {evidence: {log: "+log+", sync: interval, signing_key_file: "+key+"}}]\n"), 0o600); err != nil {
		b.Fatal(err)
	}
	monitor := filepath.Join(dir, "monitor", "m")
	p := startRuntime(b, nil, "--config", config, "--log-level", "error", "--metrics-listen", "unix:"+monitor)
	response, err := ask(p.socket, []byte(readRequest))
	if err != nil {
		b.Fatal(err)
	}
	echo := startEcho(b, response)
	// The pools of goroutines and buffers fill up to what so many clients need.
	load(b, library, p.socket, []byte(readRequest), clients, 20_000)
	load(b, library, echo.socket, []byte(readRequest), clients, 20_000)
	before := scrape(b, monitor)

	done := make(chan struct{})
	var beside sync.WaitGroup
	var memory []int64
	beside.Go(func() { // reloads, and looks at the memory
		reload, look := time.NewTicker(time.Second), time.NewTicker(50*time.Millisecond)
		defer reload.Stop()
		defer look.Stop()
		for {
			select {
			case <-reload.C:
				_ = syscall.Kill(p.pid, syscall.SIGHUP)
			case <-look.C:
				memory = append(memory, resident(b, p.pid, "VmRSS"))
			case <-done:
				return
			}
		}
	})
	var next atomic.Int64
	took := make([][]time.Duration, clients)
	var asking sync.WaitGroup
	b.ResetTimer()
	for c := range clients {
		asking.Go(func() {
			for i := int(next.Add(1)); i <= b.N; i = int(next.Add(1)) {
				if i%10 == 0 {
					assault(p.socket, quickAssaults[i/10%len(quickAssaults)])
					continue
				}
				began := time.Now()
				if err := library(p.socket, []byte(readRequest)); err != nil {
					b.Errorf("request %d: %v", i, err)
				}
				if i%8 == 0 {
					took[c] = append(took[c], time.Since(began))
				}
			}
		})
	}
	asking.Wait()
	b.StopTimer()
	close(done)
	beside.Wait()

	// The echo daemon is asked by the same clients, as much as gives a percentile.
	echoed := make([][]time.Duration, clients)
	next.Store(0)
	for c := range clients {
		asking.Go(func() {
			for i := int(next.Add(1)); i <= min(b.N, 100_000); i = int(next.Add(1)) {
				began := time.Now()
				if err := library(echo.socket, []byte(readRequest)); err != nil {
					b.Errorf("echo %d: %v", i, err)
				}
				echoed[c] = append(echoed[c], time.Since(began))
			}
		})
	}
	asking.Wait()
	after := scrape(b, monitor)
	p.stop()
	if code := run([]string{"--verify-evidence", "--config", config}, nil, new(strings.Builder), os.Stderr); code != exitOK {
		b.Errorf("the evidence does not verify: %d", code)
	}

	growth := func(name string) float64 { return total(after[name], nil) - total(before[name], nil) }
	second, last := quarter(memory, 1), quarter(memory, 3)
	p99, echo99 := percentile99(took), percentile99(echoed)
	b.ReportMetric(float64(second)/(1<<20), "MiB-2nd-quarter")
	b.ReportMetric(float64(last)/(1<<20), "MiB-last-quarter")
	b.ReportMetric(growth("process_open_fds"), "descriptors-gained")
	b.ReportMetric(growth("go_goroutines"), "goroutines-gained")
	b.ReportMetric(growth("cavra_reloads_total"), "reloads")
	b.ReportMetric(float64(p99.Microseconds()), "p99-µs")
	b.ReportMetric(float64(p99)/float64(max(echo99, 1)), "p99-of-echo")
	if b.N < 100_000 {
		return
	}
	if float64(last) > 1.05*float64(second) {
		b.Errorf("memory grows: %d bytes in the second quarter, %d in the last", second, last)
	}
	if fds, routines := growth("process_open_fds"), growth("go_goroutines"); fds > 0 || routines > 0 {
		b.Errorf("%v descriptors and %v goroutines were gained", fds, routines)
	}
	if total(after["cavra_reloads_total"], map[string]string{"result": "failed"}) > 0 || growth("cavra_reloads_total") < 1 {
		b.Errorf("reloads: %v", after["cavra_reloads_total"])
	}
	if p99 > 5*echo99 {
		b.Errorf("the slowest percent takes over %v, that of the echo daemon %v", p99, echo99)
	}
}

// quickAssaults are those of assault that need no deadline to end.
var quickAssaults = []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}

// quarter is the median of the samples in one quarter of the time, from 0.
func quarter(samples []int64, n int) int64 {
	part := slices.Clone(samples[len(samples)*n/4 : len(samples)*(n+1)/4])
	if len(part) == 0 {
		return 0
	}
	slices.Sort(part)
	return part[len(part)/2]
}

func percentile99(took [][]time.Duration) time.Duration {
	all := slices.Concat(took...)
	if len(all) == 0 {
		return 0
	}
	slices.Sort(all)
	return all[len(all)*99/100]
}
