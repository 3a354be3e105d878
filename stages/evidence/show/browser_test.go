package show

import (
	"context"
	"net"
	"net/url"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/Huzefaaa2/cavra/go/cavra-runtime/stages/evidence"
)

// browser is a headless browser that gives the page at path as it stands after
// loading.
func browser(t *testing.T, path string, flags ...string) (dom string) {
	t.Helper()
	if testing.Short() {
		t.Skip("-short: no browser is started")
	}
	program := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			program = found
			break
		}
	}
	if program == "" {
		t.Skip("neither chromium, chromium-browser nor google-chrome is installed: the page was not tried in a browser")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	page := url.URL{Scheme: "file", Path: path}
	args := append([]string{"--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--user-data-dir=" + filepath.Join(t.TempDir(), "profile")}, flags...)
	cmd := exec.CommandContext(ctx, program, append(args, "--dump-dom", page.String())...)
	cmd.WaitDelay = 10 * time.Second
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v", program, err)
	}
	return string(out)
}

// In a browser the page holds the numbers, runs nothing and asks for nothing.
func TestPageInABrowser(t *testing.T) {
	path := filepath.Join(t.TempDir(), "report.html")
	lines := []*evidence.Line{line(1, start, allowed("a"))}
	for i := range uint64(1234) {
		lines = append(lines, line(i+2, start.Add(time.Duration(i)*time.Minute), blocked("b")))
	}
	writeFile(t, path, pageOf(t, PageOptions{Path: "log", Made: start, Version: "v"}, evidence.Report{Valid: true, Records: 1235}, lines...))
	dom := strings.ReplaceAll(browser(t, path), "\u202f", "")
	for _, text := range []string{`<span class="figure">1235</span>`, `<span class="figure">1234</span>`, "The chain is whole", "<tbody>", `<rect class="block"`} {
		if !strings.Contains(dom, text) {
			t.Errorf("the browser does not show %q", text)
		}
	}
	if found := regexp.MustCompile(`(?i)(src|href|action|data)="(https?:)?//`).FindString(dom); found != "" {
		t.Errorf("the page refers to elsewhere: %s", found)
	}
}

// Hostile text neither runs nor loads. The same text, put into a page as it is,
// does both: so the test would see it.
func TestHostileTextInABrowser(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var asked atomic.Int64
	accepted := make(chan struct{})
	go func() {
		defer close(accepted)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			asked.Add(1)
			c.Close()
		}
	}()
	// Every name leads to our listener, and so does every request.
	proxy := "--host-resolver-rules=MAP elsewhere.example " + l.Addr().String()
	dir := t.TempDir()

	naive := filepath.Join(dir, "naive.html")
	writeFile(t, naive, "<!doctype html><title>quiet</title>"+hostile[0]+hostile[1])
	if dom := browser(t, naive, proxy); !strings.Contains(dom, "<title>ran</title>") || asked.Load() == 0 {
		t.Fatalf("in a page without escaping nothing ran (%d requests), so this test sees nothing", asked.Load())
	}
	asked.Store(0)

	path := filepath.Join(dir, "report.html")
	writeFile(t, path, hostilePage(t))
	dom := browser(t, path, proxy)
	title := regexp.MustCompile(`<title>(.*?)</title>`).FindStringSubmatch(dom)
	if title == nil || !strings.HasPrefix(title[1], "Evidence report: ") {
		t.Errorf("the title became %q", title)
	}
	if regexp.MustCompile(`<(script|img|iframe)\b`).MatchString(dom) {
		t.Error("text became an element")
	}
	if n := asked.Load(); n > 0 {
		t.Errorf("the page made %d requests", n)
	}
	if !strings.Contains(dom, "&lt;script&gt;document.title='ran'&lt;/script&gt;") {
		t.Error("the text is not shown")
	}
	l.Close()
	<-accepted
}
