//go:build linux

package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/Huzefaaa2/cavra/go/cavra-runtime/conn"
	enforcementv1 "github.com/Huzefaaa2/cavra/go/cavra-runtime/enforcement/v1"
)

// twoPolicies differ in what they say of key.pem.
var twoPolicies = [2]struct{ text, decision string }{
	{"metadata: {id: zero}\nfilesystem: {block_read: ['**/*.pem']}\n", "block"},
	{"metadata: {id: one}\nfilesystem: {block_read: ['**/*.key']}\n", "allow"},
}

// putPolicy puts one of the policies in the place of the other at once.
func putPolicy(t testing.TB, path string, which int) {
	t.Helper()
	if err := os.WriteFile(path+".new", []byte(twoPolicies[which].text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// judgedBy says which policy an answer names, and fails where that one says
// something else or the answer names neither.
func judgedBy(t testing.TB, resp *enforcementv1.DecisionResponse) int {
	t.Helper()
	for i, p := range twoPolicies {
		ref := fmt.Sprintf("@sha256:%x", sha256.Sum256([]byte(p.text)))
		if strings.Contains(strings.Join(resp.EvidenceRefs, " "), ref) && resp.Decision == p.decision {
			return i
		}
	}
	t.Errorf("an answer of no policy: %+v", resp)
	return -1
}

// Each answer is by one policy from its first word to its last, and once a reload
// has returned only by the new one. Every request is answered and recorded.
func TestReloadsUnderLoad(t *testing.T) {
	const askers, reloads = 8, 40
	dir := t.TempDir()
	policy, log := filepath.Join(dir, "policy.yaml"), filepath.Join(dir, "evidence", "log.jsonl")
	putPolicy(t, policy, 0)
	p := startRuntime(t, nil, "--policy", policy, "--evidence-log", log, "--evidence-sync", "interval", "--log-level", "error")
	request := &enforcementv1.EvaluateRequest{ActionType: "read_file", Target: "key.pem"}
	client := conn.Client{Socket: p.socket}

	done := make(chan struct{})
	var asking sync.WaitGroup
	var met [askers][2]int
	for a := range askers {
		asking.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				resp, err := client.Evaluate(context.Background(), request)
				if err != nil {
					t.Errorf("a request was not answered: %v", err)
					return
				}
				if which := judgedBy(t, resp); which >= 0 {
					met[a][which]++
				}
			}
		})
	}
	for i := range reloads {
		putPolicy(t, policy, (i+1)%2)
		_ = syscall.Kill(p.pid, syscall.SIGHUP) // at the same time
		if answer, _, err := conn.AskControl(t.Context(), p.socket, conn.CommandReload); err != nil || !answer.OK {
			t.Fatalf("reload %d: %+v, %v", i, answer, err)
		}
		if resp, err := client.Evaluate(t.Context(), request); err != nil || judgedBy(t, resp) != (i+1)%2 {
			t.Errorf("after reload %d the old policy judges: %+v, %v", i, resp, err)
		}
	}
	close(done)
	asking.Wait()
	p.stop()
	answered := reloads + 1 // the one that waited for the start
	for _, m := range met {
		answered += m[0] + m[1]
	}
	var report strings.Builder
	if code := run([]string{"--verify-evidence", "--evidence-log", log}, nil, &report, os.Stderr); code != exitOK || !strings.Contains(report.String(), fmt.Sprintf(`"records":%d,`, answered)) {
		t.Errorf("%d were answered, and the evidence ends with %d: %s", answered, code, &report)
	}
}

// A daemon that is told to end while it reloads ends.
func TestStopDuringReloads(t *testing.T) {
	policy := filepath.Join(t.TempDir(), "policy.yaml")
	for range 5 {
		putPolicy(t, policy, 0)
		p := startRuntime(t, nil, "--policy", policy, "--log-level", "error")
		var reloading sync.WaitGroup
		begun := make(chan struct{})
		for range 4 {
			reloading.Go(func() {
				for i := 0; ; i++ {
					if _, _, err := conn.AskControl(context.Background(), p.socket, conn.CommandReload); err != nil {
						return // it has ended
					}
					if i == 1 {
						begun <- struct{}{}
					}
				}
			})
		}
		for range 4 {
			<-begun
		}
		_ = syscall.Kill(p.pid, syscall.SIGHUP)
		p.stop() // fails where the daemon does not end with 0
		reloading.Wait()
	}
}

// A signal that comes while the daemon begins ends nothing, and is heeded once it
// serves.
func TestSignalsBeforeItServes(t *testing.T) {
	dir := t.TempDir()
	policy, socket := filepath.Join(dir, "policy.yaml"), filepath.Join(dir, "run", "s")
	if err := syscall.Mkfifo(policy, 0o600); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	daemon := exec.Command("cavra-runtime", "--serve", "--socket", socket, "--workspace", dir, "--policy", policy)
	daemon.Stderr = &log
	if err := daemon.Start(); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(policy, os.O_WRONLY, 0) // returns when the daemon has opened it, too
	if err != nil {
		t.Fatal(err)
	}
	for _, sig := range []syscall.Signal{syscall.SIGUSR1, syscall.SIGHUP} {
		if err := daemon.Process.Signal(sig); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := f.WriteString(twoPolicies[0].text); err != nil {
		t.Fatal(err)
	}
	f.Close()
	ended := make(chan error, 1)
	go func() { ended <- daemon.Wait() }()
	for { // until it has reloaded, which fails since the policy is a pipe
		if answer, _, err := conn.AskControl(t.Context(), socket, conn.CommandStatus); err == nil && strings.Contains(string(answer.Status), `"failed":1`) {
			break
		}
		select {
		case err := <-ended:
			t.Fatalf("it ended with %v:\n%s", err, &log)
		case <-time.After(time.Millisecond): // between two looks at the condition
		}
	}
	_ = daemon.Process.Signal(syscall.SIGTERM)
	if err := <-ended; err != nil {
		t.Errorf("it ended with %v:\n%s", err, &log)
	}
}
