//go:build linux

package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// get asks the monitor of a daemon that serves it on a Unix socket.
func get(t testing.TB, socket, path string) (code int, body []byte) {
	t.Helper()
	client := http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socket)
		},
	}}
	resp, err := client.Get("http://runtime" + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, err = io.ReadAll(resp.Body); err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, body
}

// scrape reads the figures of a daemon as Prometheus does.
func scrape(t testing.TB, socket string) map[string]*dto.MetricFamily {
	t.Helper()
	_, body := get(t, socket, "/metrics")
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	return families
}

// total sums the counters or gauges of a family whose labels hold all of want.
func total(f *dto.MetricFamily, want map[string]string) (sum float64) {
	for _, m := range f.GetMetric() {
		held := 0
		for _, l := range m.Label {
			if v, ok := want[l.GetName()]; ok && v == l.GetValue() {
				held++
			}
		}
		if held == len(want) {
			sum += m.Counter.GetValue() + m.Gauge.GetValue()
		}
	}
	return sum
}

// monitored is a daemon with evidence and checkpoints of it, and the socket of its
// metrics.
func monitored(t testing.TB, more ...string) (p *process, socket string) {
	dir := t.TempDir()
	key := filepath.Join(dir, "checkpoint-key")
	if err := os.WriteFile(key, checkpointKey(t), 0o600); err != nil {
		t.Fatal(err)
	}
	more = append(more, "--evidence-checkpoint-key", key)
	socket = filepath.Join(dir, "monitor", "m.sock")
	return startRuntime(t, nil, append([]string{"--evidence-log", filepath.Join(dir, "evidence", "log.jsonl"), "--metrics-listen", "unix:" + socket}, more...)...), socket
}

func TestMetrics(t *testing.T) {
	p, socket := monitored(t)
	before := scrape(t, socket)
	for range 10 {
		if _, err := ask(p.socket, []byte(`{"action_type":"read_file","target":"x.pem"}`+"\n")); err != nil {
			t.Fatal(err)
		}
	}
	after := scrape(t, socket)
	grew := func(name string, labels map[string]string, want float64) {
		t.Helper()
		if got := total(after[name], labels) - total(before[name], labels); got != want {
			t.Errorf("%s%v grew by %v, want %v", name, labels, got, want)
		}
	}
	grew("cavra_decisions_total", map[string]string{"decision": "block", "rule_id": "filesystem.read.block"}, 10)
	grew("cavra_connections_accepted_total", nil, 10)
	grew("cavra_answers_total", map[string]string{"written": "true"}, 10)
	if total(after["process_resident_memory_bytes"], nil) < 1<<20 || total(after["process_open_fds"], nil) < 3 {
		t.Errorf("memory %v, descriptors %v", after["process_resident_memory_bytes"], after["process_open_fds"])
	}
	if code, body := get(t, socket, "/healthz"); code != 200 || !json.Valid(body) {
		t.Errorf("health: %d, %s", code, body)
	}
	if code, _ := get(t, socket, "/debug/pprof/"); code != 404 {
		t.Errorf("there is more than was asked for: %d", code)
	}
	if info, err := os.Lstat(socket); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the socket of the metrics is open to others: %v, %v", info, err)
	}
	p.stop()
	if _, err := os.Lstat(socket); err == nil {
		t.Error("the socket of the metrics was left behind")
	}
}

// Every figure that the dashboard shows is one that the daemon gives.
func TestDashboardShowsWhatThereIs(t *testing.T) {
	text, err := os.ReadFile("../../docs/grafana-dashboard.json")
	if err != nil {
		t.Fatal(err)
	}
	var dashboard struct {
		Panels []struct{ Targets []struct{ Expr string } }
	}
	if err := json.Unmarshal(text, &dashboard); err != nil {
		t.Fatal(err)
	}
	_, socket := monitored(t, "--runner-oidc-issuer", "https://ci.example", "--runner-oidc-audience", "cavra",
		"--runner-oidc-jwks", jwksFile(t), "--runner-oidc-require", "repository=octo/*")
	given := scrape(t, socket)
	names := regexp.MustCompile(`(cavra|process|go)_[a-z_]+`)
	shown := 0
	for _, p := range dashboard.Panels {
		for _, target := range p.Targets {
			for _, name := range names.FindAllString(target.Expr, -1) {
				shown++
				if given[name] == nil && given[regexp.MustCompile(`_(bucket|sum|count)$`).ReplaceAllString(name, "")] == nil {
					t.Errorf("the dashboard shows %s, which the daemon does not give", name)
				}
			}
		}
	}
	if shown < 15 {
		t.Errorf("the dashboard shows %d figures: the test looks in the wrong place", shown)
	}
}

// jwksFile holds the keys of an issuer.
func jwksFile(t *testing.T) string {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	b64 := base64.RawURLEncoding.EncodeToString
	path := filepath.Join(t.TempDir(), "jwks.json")
	text := fmt.Sprintf(`{"keys":[{"kty":"RSA","kid":"k0","n":"%s","e":"%s"}]}`, b64(key.N.Bytes()), b64([]byte{1, 0, 1}))
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// checkpointKey makes a key that signs checkpoints, in PEM.
func checkpointKey(t testing.TB) []byte {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}
