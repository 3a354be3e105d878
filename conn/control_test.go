//go:build unix

package conn

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// controlled serves a control socket; change may set it up first. calls receives
// the name of each function that is called.
func controlled(t testing.TB, change func(*Control)) (path string, calls chan string) {
	t.Helper()
	path = filepath.Join(privateDir(t), "s")
	l, err := Listen(path)
	must(t, err)
	t.Cleanup(func() { must(t, l.Close()) })
	calls = make(chan string, 100)
	c := &Control{
		Status: func() any { calls <- "status"; return map[string]int{"answers": 42} },
		Reload: func(context.Context) error { calls <- "reload"; return nil },
		Stop:   func() { calls <- "stop" },
	}
	if change != nil {
		change(c)
	}
	socket, err := l.Control()
	must(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- c.Serve(ctx, socket) }()
	t.Cleanup(func() {
		cancel()
		must(t, <-served)
		if _, err := os.Lstat(ControlPath(path)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("the control socket is still there: %v", err)
		}
	})
	return path, calls
}

// say sends bytes to the control socket and reads all that comes back.
func say(t testing.TB, path, text string) string {
	t.Helper()
	c, err := net.Dial("unix", ControlPath(path))
	must(t, err)
	defer c.Close()
	c.SetDeadline(time.Now().Add(30 * time.Second))
	go io.WriteString(c, text) // what is refused may not be read to its end
	b, err := io.ReadAll(c)
	must(t, err)
	return string(b)
}

func TestControlDoesWhatItIsTold(t *testing.T) {
	path, calls := controlled(t, nil)
	if fi, err := os.Lstat(ControlPath(path)); err != nil || modesHold && fi.Mode() != os.ModeSocket|0o600 {
		t.Errorf("the control socket has mode %v, %v", fi.Mode(), err)
	}
	for _, command := range commands {
		answer, peer, err := AskControl(t.Context(), path, command)
		if err != nil || !answer.OK || answer.Error != "" {
			t.Errorf("%s: %+v, %v", command, answer, err)
		}
		if peersKnown && int(peer.PID) != os.Getpid() {
			t.Errorf("%s: answered by process %d", command, peer.PID)
		}
		if got := <-calls; got != command {
			t.Errorf("%s called %s", command, got)
		}
		if want := command == CommandStatus; (string(answer.Status) == `{"answers":42}`) != want {
			t.Errorf("%s: status %s", command, answer.Status)
		}
	}
}

// A person with nc needs neither a newline nor to end their half.
func TestControlAnswersWhatIsWrittenByHand(t *testing.T) {
	path, _ := controlled(t, nil)
	for _, text := range []string{`{"command":"status"}`, `{"command":"status"}` + "\n", ` { "command" : "status" } `} {
		if got := say(t, path, text); got != `{"ok":true,"status":{"answers":42}}`+"\n" {
			t.Errorf("%q is answered with %q", text, got)
		}
	}
}

func TestControlRefuses(t *testing.T) {
	path, calls := controlled(t, nil)
	for _, tc := range []struct{ name, send, wants string }{
		{"a command that there is not", `{"command":"kill"}`, `no command \"kill\"; there are status, reload, stop`},
		{"none", `{}`, `no command \"\"`},
		{"another case", `{"Command":"stop"}`, "cannot be read"},
		{"an unknown member", `{"command":"stop","now":true}`, "cannot be read"},
		{"a repeated member", `{"command":"stop","command":"stop"}`, "cannot be read"},
		{"a wrong type", `{"command":["stop"]}`, "cannot be read"},
		{"no object", `stop`, "not a JSON object"},
		{"a long one", `{"command":"` + strings.Repeat("x", maxCommand), "longer than the limit of 4096 bytes"},
		{"a long name", `{"command":"` + strings.Repeat("x", 3000) + `"}`, "…"},
		{"letters that hide", `{"command":"` + "\u202e" + `"}`, `\\u202e`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := say(t, path, tc.send)
			var answer ControlAnswer
			if err := json.Unmarshal([]byte(got), &answer); err != nil || answer.OK || !strings.Contains(got, tc.wants) {
				t.Errorf("answered %q, want %q", got, tc.wants)
			}
			if len(got) > 300 {
				t.Errorf("the answer has %d bytes", len(got))
			}
		})
	}
	if len(calls) > 0 {
		t.Errorf("%s was called", <-calls)
	}
}

func TestControlRefusesAUserWhoMayNot(t *testing.T) {
	if !peersKnown {
		t.Skip("this system does not tell which user connects")
	}
	path, calls := controlled(t, func(c *Control) { c.AllowedUsers = []uint32{4_000_000_000} })
	answer, _, err := AskControl(t.Context(), path, CommandStop)
	if err != nil || answer.OK || !strings.Contains(answer.Error, "may not control") || len(calls) > 0 {
		t.Errorf("answered %+v, %v", answer, err)
	}
}

func TestControlSurvivesItsOwner(t *testing.T) {
	for _, tc := range []struct {
		name    string
		change  func(*Control)
		command string
		wants   string // empty: the connection is closed without an answer
	}{
		{"a status that panics", func(c *Control) { c.Status = func() any { panic("bug") } }, CommandStatus, ""},
		{"a status that is no JSON", func(c *Control) { c.Status = func() any { return func() {} } }, CommandStatus, "log says why"},
		{"a reload that fails", func(c *Control) { c.Reload = func(context.Context) error { return errors.New("policy.json: line 3") } }, CommandReload, "policy.json: line 3"},
		{"no reload", func(c *Control) { c.Reload = nil }, CommandReload, "cannot reload"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			path, _ := controlled(t, tc.change)
			answer, _, err := AskControl(t.Context(), path, tc.command)
			if answer.OK || !strings.Contains(answer.Error, tc.wants) || (err != nil) != (tc.wants == "") {
				t.Errorf("answered %+v, %v", answer, err)
			}
			if answer, _, err := AskControl(t.Context(), path, CommandStop); err != nil || !answer.OK {
				t.Errorf("afterwards %+v, %v", answer, err)
			}
		})
	}
}

// Whoever holds all the places without a word loses them after a while, and does
// not keep the runtime from ending.
func TestIdleControlConnectionsLoseTheirPlace(t *testing.T) {
	path, _ := controlled(t, nil)
	for range 2 * maxControls {
		c, err := net.Dial("unix", ControlPath(path))
		must(t, err)
		defer c.Close()
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if answer, _, err := AskControl(ctx, path, CommandStatus); err != nil || !answer.OK {
		t.Errorf("answered %+v, %v", answer, err)
	}
}

func TestControlOneReloadAtATime(t *testing.T) {
	var mu sync.Mutex
	var path string
	path, _ = controlled(t, func(c *Control) {
		c.Reload = func(ctx context.Context) error {
			if !mu.TryLock() {
				return errors.New("two at once")
			}
			defer mu.Unlock()
			_, _, err := AskControl(ctx, path, CommandStatus) // takes long enough for others to collide
			return err
		}
	})
	var wg sync.WaitGroup
	for range maxControls / 2 {
		wg.Go(func() {
			if answer, _, err := AskControl(t.Context(), path, CommandReload); err != nil || !answer.OK {
				t.Errorf("%+v, %v", answer, err)
			}
		})
	}
	wg.Wait()
}

func TestAskControlFails(t *testing.T) {
	long := "/" + strings.Repeat("d", maxPath-4)
	for _, tc := range []struct {
		name string
		path func(t *testing.T) string
		is   error
	}{
		{"nobody", func(t *testing.T) string { return filepath.Join(privateDir(t), "s") }, ErrNoDaemon},
		{"a path with no room for .ctl", func(t *testing.T) string { return long }, ErrNoDaemon},
		{"somebody who says nothing", func(t *testing.T) string { return fakeControl(t, func(net.Conn) {}) }, ErrTimeout},
		{"somebody who hangs up", func(t *testing.T) string { return fakeControl(t, func(c net.Conn) { c.Close() }) }, ErrNoAnswer},
		{"half an answer", func(t *testing.T) string {
			return fakeControl(t, func(c net.Conn) { io.WriteString(c, `{"ok":tr`); c.Close() })
		}, ErrNoAnswer},
		{"no answer to a command", func(t *testing.T) string {
			return fakeControl(t, func(c net.Conn) { io.WriteString(c, `{"ok":"yes"}`); c.Close() })
		}, ErrNoAnswer},
	} {
		t.Run(tc.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer cancel()
			if _, _, err := AskControl(ctx, tc.path(t), CommandStatus); !errors.Is(err, tc.is) {
				t.Errorf("got %v, want %v", err, tc.is)
			}
		})
	}
}

// fakeControl listens as a runtime would and does as it likes.
func fakeControl(t *testing.T, do func(net.Conn)) (path string) {
	t.Helper()
	path = filepath.Join(privateDir(t), "s")
	l, err := net.Listen("unix", ControlPath(path))
	must(t, err)
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			do(c)
		}
	}()
	return path
}

func TestTheControlSocketNeedsRoom(t *testing.T) {
	if err := CheckControlPath("/" + strings.Repeat("d", maxPath-5)); err != nil {
		t.Errorf("the longest path: %v", err)
	}
	if err := CheckControlPath("/" + strings.Repeat("d", maxPath-4)); err == nil || !strings.Contains(err.Error(), "control socket") {
		t.Errorf("one byte more: %v", err)
	}
}

// FuzzControl states the law that whatever is sent, one JSON object comes back,
// and that nothing is done unless the text spells out a command.
func FuzzControl(f *testing.F) {
	for _, seed := range []string{`{"command":"status"}`, `{"command":"stop"}`, `{"command":"reload"}x`, `{`, `[]`, "\x00", `{"command":"stop"`} {
		f.Add(seed)
	}
	path, calls := controlled(f, nil)
	done := make(chan struct{})
	go func() { // nobody waits for what was called
		for {
			select {
			case <-calls:
			case <-done:
				return
			}
		}
	}()
	f.Cleanup(func() { close(done) })
	spelt := regexp.MustCompile(`^\s*{\s*"command"\s*:\s*"(status|reload|stop)"\s*}`)
	f.Fuzz(func(t *testing.T, text string) {
		c, err := net.Dial("unix", ControlPath(path))
		must(t, err)
		defer c.Close()
		c.SetDeadline(time.Now().Add(30 * time.Second))
		go func() {
			io.WriteString(c, text)
			c.(*net.UnixConn).CloseWrite()
		}()
		line, err := io.ReadAll(c)
		must(t, err)
		var answer ControlAnswer
		if err := json.Unmarshal(line, &answer); err != nil || line[len(line)-1] != '\n' {
			t.Fatalf("%q is answered with %q: %v", text, line, err)
		}
		if answer.OK && !spelt.MatchString(text) && !strings.Contains(text, `\u`) {
			t.Fatalf("%q is done: %q", text, line)
		}
	})
}
