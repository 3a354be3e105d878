//go:build linux

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// bareClient is the least that a Go program can ask with.
const bareClient = `package main

import (
	"io"
	"net"
	"os"
)

func main() {
	request, err := os.ReadFile(os.Args[2])
	if err != nil {
		panic(err)
	}
	c, err := net.Dial("unix", os.Args[1])
	if err != nil {
		panic(err)
	}
	if _, err := c.Write(request); err != nil {
		panic(err)
	}
	c.(*net.UnixConn).CloseWrite()
	answer, err := io.ReadAll(c)
	if err != nil {
		panic(err)
	}
	os.Stdout.Write(answer)
}
`

// BenchmarkClientProcess compares a whole client process, from its start to its
// end, with one of a program that does nothing but ask, in turns. Both are built
// without cgo for it. of-bare is the median of the pairs; 1.8 is what is aimed at.
func BenchmarkClientProcess(b *testing.B) {
	if testing.Short() {
		b.Skip("-short: nothing is built")
	}
	dir := b.TempDir()
	build := func(program, source string) string {
		out := filepath.Join(dir, program)
		cmd := exec.CommandContext(b.Context(), "go", "build", "-o", out, source)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if text, err := cmd.CombinedOutput(); err != nil {
			b.Fatalf("%v: %s", err, text)
		}
		return out
	}
	put := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			b.Fatal(err)
		}
		return path
	}
	bare, ours := build("bare", put("main.go", bareClient)), build("ours", ".")
	request := put("request.json", readRequest)
	p := startRuntime(b, nil)
	took := func(program string, args ...string) float64 {
		began := time.Now()
		if text, err := exec.Command(program, args...).CombinedOutput(); err != nil || len(text) < 100 {
			b.Fatalf("%v: %s", err, text)
		}
		return float64(time.Since(began).Microseconds()) / 1000
	}
	var ratios, ms []float64
	for b.Loop() {
		theirs := took(bare, p.socket, request)
		one := took(ours, "--daemon", "--socket", p.socket, "--input", request)
		ratios, ms = append(ratios, one/theirs), append(ms, one)
	}
	b.ReportMetric(median(ratios), "of-bare")
	b.ReportMetric(median(ms), "ms/process")
	b.ReportMetric(0, "ns/op")
}
