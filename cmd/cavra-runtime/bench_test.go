//go:build linux

package main

import (
	"path/filepath"
	"slices"
	"testing"
	"time"

	enforcementv1 "github.com/Huzefaaa2/cavra/go/cavra-runtime/enforcement/v1"
	"github.com/Huzefaaa2/cavra/go/cavra-runtime/stages/auth"
)

const readRequest = `{"action_type":"read_file","target":"README.md"}` + "\n"

// BenchmarkAgainstEcho compares the daemon with one that only echoes: the same
// client, the same bytes out and back, in turns, a process each. of-echo is the
// median of the runtime's requests per second as a part of the echo daemon's.
// The client is that of package conn, which says when it has sent all, and then
// one that, like nc, does not, so that the daemon has to wait for it to hang up.
func BenchmarkAgainstEcho(b *testing.B) {
	key := make([]byte, 32)
	for i := range key {
		key[i] = "0123456789abcdef"[i%16]
	}
	identity := enforcementv1.RunnerIdentity{Provider: "github-actions", Repository: "octo/app", Workflow: "release", RunID: "7"}
	proof, err := auth.SignHMAC(key, "ci-1", identity)
	if err != nil {
		b.Fatal(err)
	}
	signed := (&enforcementv1.EvaluateRequest{ActionType: "read_file", Target: "README.md", RunnerAuth: proof}).AppendJSON(nil)
	env := []string{
		"CAVRA_RUNNER_AUTH_HMAC_KEY=" + string(key), "CAVRA_RUNNER_AUTH_KEY_ID=ci-1",
		"CAVRA_DAEMON_EVIDENCE_HMAC_KEY=" + string(key), "CAVRA_DAEMON_EVIDENCE_KEY_ID=e-1",
	}
	log := func(b *testing.B) string { return filepath.Join(b.TempDir(), "evidence", "log.jsonl") }

	for _, c := range []struct {
		name string
		ask  client
	}{{"library", library}, {"nc", bare}} {
		b.Run("plain/8-clients/"+c.name, func(b *testing.B) {
			compare(b, startRuntime(b, nil), c.ask, []byte(readRequest), 8)
		})
		b.Run("hmac-signed-evidence-sync-off/8-clients/"+c.name, func(b *testing.B) {
			compare(b, startRuntime(b, env, "--evidence-log", log(b), "--evidence-sync", "off"), c.ask, append(signed, '\n'), 8)
		})
		b.Run("hmac-signed-evidence-synced/64-clients/"+c.name, func(b *testing.B) {
			compare(b, startRuntime(b, env, "--evidence-log", log(b)), c.ask, append(signed, '\n'), 64)
		})
	}
}

func compare(b *testing.B, runtime *process, c client, request []byte, clients int) {
	response, err := ask(runtime.socket, request)
	if err != nil {
		b.Fatal(err)
	}
	echo := startEcho(b, response)
	const batch = 2000
	load(b, c, echo.socket, request, clients, batch)
	load(b, c, runtime.socket, request, clients, batch)
	var ratios, ours, theirs []float64
	ourCPU, theirCPU := cpu(b, runtime.pid), cpu(b, echo.pid)
	for b.Loop() {
		e := load(b, c, echo.socket, request, clients, batch).Seconds()
		r := load(b, c, runtime.socket, request, clients, batch).Seconds()
		ratios, ours, theirs = append(ratios, e/r), append(ours, batch/r), append(theirs, batch/e)
	}
	perRequest := func(p *process, before time.Duration) float64 {
		return float64((cpu(b, p.pid) - before).Microseconds()) / float64(batch*len(ratios))
	}
	b.ReportMetric(perRequest(runtime, ourCPU), "cpu-µs/request")
	b.ReportMetric(perRequest(echo, theirCPU), "echo-cpu-µs/request")
	b.ReportMetric(median(ratios), "of-echo")
	b.ReportMetric(median(ours), "requests/s")
	b.ReportMetric(median(theirs), "echo-requests/s")
	b.ReportMetric(0, "ns/op")
}

func median(v []float64) float64 {
	slices.Sort(v)
	return v[len(v)/2]
}

// BenchmarkStart prints the time from starting the daemon to its first answer.
func BenchmarkStart(b *testing.B) {
	var took []float64
	for b.Loop() {
		p := startRuntime(b, nil)
		took = append(took, float64(p.took.Microseconds())/1000)
		p.stop()
	}
	b.ReportMetric(median(took), "ms-to-first-answer")
	b.ReportMetric(0, "ns/op")
}
