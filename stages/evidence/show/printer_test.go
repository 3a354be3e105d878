package show

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	enforcementv1 "github.com/Huzefaaa2/cavra/go/cavra-runtime/enforcement/v1"
	"github.com/Huzefaaa2/cavra/go/cavra-runtime/stages/evidence"
)

// printed is what a printer makes of a log.
func printed(t testing.TB, path string, o evidence.VerifyOptions, p PrinterOptions) (out, notes string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	p.Notes = &stderr
	printer := NewPrinter(&stdout, p)
	log := OpenLog(path, evidence.NewReader(o, printer.See))
	defer log.Close()
	if err := log.Read(context.Background()); err != nil {
		t.Fatal(err)
	}
	if err := printer.Flush(); err != nil {
		t.Fatal(err)
	}
	return stdout.String(), stderr.String()
}

// marks are those of the rows, without the rows that tell of faults.
func marks(table string) (marks []string) {
	for i, row := range strings.Split(strings.TrimSuffix(table, "\n"), "\n") {
		if i > 0 && !strings.HasPrefix(row, " ") {
			marks = append(marks, strings.TrimSpace(row[:maxMark]))
		}
	}
	return marks
}

// Every kind of damage is marked in its place, and what follows it is read.
func TestDamageIsSeenInPlace(t *testing.T) {
	key := evidence.LogOptions{Key: []byte("a key for tests, known to all of us"), KeyID: "k"}
	check := evidence.VerifyOptions{Key: key.Key}
	tests := []struct {
		name   string
		change func(lines []string) []string
		check  evidence.VerifyOptions
		want   []string
	}{
		{"none", func(l []string) []string { return l }, check, []string{"ok", "ok", "ok", "ok"}},
		{"changed", func(l []string) []string {
			l[1] = strings.Replace(l[1], "target-2", "target-9", 1)
			return l
		}, check, []string{"ok", "bad hash", "ok", "ok"}},
		{"removed", func(l []string) []string { return slices.Delete(l, 1, 2) }, check, []string{"ok", "broken link", "ok"}},
		{"exchanged", func(l []string) []string { l[1], l[2] = l[2], l[1]; return l }, check,
			[]string{"ok", "broken link", "broken link", "broken link"}},
		{"no record", func(l []string) []string { l[1] = "garbage\n"; return l }, check, []string{"ok", "no record", "ok", "ok"}},
		{"respelt", func(l []string) []string { l[1] = strings.Replace(l[1], ":", ": ", 1); return l }, check,
			[]string{"ok", "bad bytes", "ok", "ok"}},
		{"torn", func(l []string) []string { l[3] = l[3][:40]; return l }, check, []string{"ok", "ok", "ok", "torn"}},
		{"start cut off", func(l []string) []string { return l[1:] }, check, []string{"broken link", "ok", "ok"}},
		{"signature changed", func(l []string) []string {
			at := strings.Index(l[1], `"value":"`) + len(`"value":"`)
			l[1] = l[1][:at] + strings.Repeat("0", 64) + l[1][at+64:]
			return l
		}, check, []string{"ok", "bad signature", "ok", "ok"}},
		{"signature removed", func(l []string) []string {
			l[1] = l[1][:strings.Index(l[1], `,"signature"`)] + "}\n"
			return l
		}, check, []string{"ok", "unsigned", "ok", "ok"}},
		{"another key", func(l []string) []string { return l }, evidence.VerifyOptions{Key: []byte("another")},
			[]string{"bad signature", "bad signature", "bad signature", "bad signature"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			path := newPath(t)
			add(t, path, key, allowed("target-1"), allowed("target-2"), allowed("target-3"), allowed("target-4"))
			lines := slices.Collect(strings.Lines(readFile(t, path)))
			writeFile(t, path, strings.Join(test.change(lines), ""))
			all, _ := printed(t, path, test.check, PrinterOptions{})
			if got := marks(all); !slices.Equal(got, test.want) {
				t.Errorf("%q, want %q\n%s", got, test.want, all)
			}
			// A filter hides no damage, whoever did it.
			nothing, err := ParseFilter([]string{"decision=block"}, "", start)
			if err != nil {
				t.Fatal(err)
			}
			some, _ := printed(t, path, test.check, PrinterOptions{Filter: nothing})
			faulty := slices.DeleteFunc(slices.Clone(test.want), func(mark string) bool { return mark == markOK })
			if got := marks(some); !slices.Equal(got, faulty) {
				t.Errorf("with a filter: %q, want %q", got, faulty)
			}
		})
	}
}

func TestRows(t *testing.T) {
	tests := []struct {
		name string
		o    PrinterOptions
		line *evidence.Line
		want string
	}{
		{"into a file, nothing is cut", PrinterOptions{}, line(1, start, blocked(strings.Repeat("x", 200))),
			"ok                  1  2026-03-01 09:00:00.000  block            high     filesystem.read.block              ai-agent      read_file " + strings.Repeat("x", 200)},
		{"a terminal of 80 columns", PrinterOptions{Terminal: true, Width: 80}, line(1, start, blocked("config/production/server.pem")),
			"ok       1  03-01 09:00:00  block    filesystem.re… ai-agent read_file config/p…"},
		{"a terminal of 120 columns", PrinterOptions{Terminal: true, Width: 120}, line(1, start, blocked("config/production/server.pem")),
			"ok       1  03-01 09:00:00  block    filesystem.read.block    ai-agent   read_file config/production/server.pem"},
		{"approval is short where there is no room", PrinterOptions{Terminal: true, Width: 80},
			line(1, start, enforcementv1.DecisionResponse{Decision: "require_approval", RuleID: "r", Actor: "a", ActionType: "x"}),
			"ok       1  03-01 09:00:00  approval r              a        x "},
		{"hostile text", PrinterOptions{Terminal: true, Width: 140}, line(1, start, blocked("\x1b[2J\u202etxt.exe")),
			`ok                  1  2026-03-01 09:00:00.000  block            filesystem.read.block        ai-agent      read_file \x1b[2J\u202etxt.exe`},
		{"columns of wide letters", PrinterOptions{Terminal: true, Width: 80}, line(1, start, blocked("秘密鍵の一覧表を読む")),
			"ok       1  03-01 09:00:00  block    filesystem.re… ai-agent read_file 秘密鍵の…"},
		{"colour by severity", PrinterOptions{Terminal: true, Width: 80, Color: true}, line(1, start, blocked("x")),
			"\x1b[2mok\x1b[0m       1  03-01 09:00:00  \x1b[31mblock   \x1b[0m filesystem.re… ai-agent read_file x"},
		{"an event", PrinterOptions{}, func() *evidence.Line {
			l := line(7, start, enforcementv1.DecisionResponse{RuleID: "evidence.log.repaired", Actor: "cavra-runtime", Severity: "medium", Reason: "It was cut."})
			l.Record.EventType = evidence.EventLogRepaired
			return l
		}(), "ok                  7  2026-03-01 09:00:00.000  * log_repaired   medium   evidence.log.repaired              cavra-runtime It was cut."},
		{"a fault", PrinterOptions{Terminal: true, Width: 80}, line(1, start, blocked("x"), evidence.Fault{Kind: evidence.KindHash, Message: "it was changed"}),
			"!!       1  03-01 09:00:00  block    filesystem.re… ai-agent read_file x\n   └ bad hash: it was changed"},
		{"no record", PrinterOptions{}, &evidence.Line{File: "a/b\x1b.jsonl", Number: 3, Offset: 812, Faults: []evidence.Fault{{Kind: evidence.KindSchema, Message: "no JSON"}}},
			"no record           -  line 3 of b\\x1b.jsonl, from byte 812 on\n              └ no record: no JSON"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var out bytes.Buffer
			p := NewPrinter(&out, test.o)
			p.See(test.line)
			if err := p.Flush(); err != nil {
				t.Fatal(err)
			}
			_, row, _ := strings.Cut(out.String(), "\n") // after the header
			if row != test.want+"\n" {
				t.Errorf("\n%q, want\n%q", row, test.want)
			}
			if !test.o.Terminal || test.o.Color {
				return
			}
			for _, row := range strings.Split(out.String(), "\n") {
				if width(row) > test.o.Width {
					t.Errorf("%q is wider than the terminal", row)
				}
			}
		})
	}
}

func TestLimitPrintsTheLast(t *testing.T) {
	var out bytes.Buffer
	p := NewPrinter(&out, PrinterOptions{Limit: 2})
	for i := range uint64(5) {
		p.See(line(i+1, start, allowed("x")))
	}
	if p.Shown != 0 {
		t.Errorf("%d rows were printed before the end was known", p.Shown)
	}
	if err := p.Flush(); err != nil {
		t.Fatal(err)
	}
	p.See(line(6, start, allowed("x"))) // as with --follow
	if err := p.Flush(); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, row := range strings.Split(strings.TrimSpace(out.String()), "\n")[1:] {
		got = append(got, strings.Fields(row)[1])
	}
	if !slices.Equal(got, []string{"4", "5", "6"}) || p.Lines != 6 || p.Shown != 3 {
		t.Errorf("%q of %d lines, %d shown", got, p.Lines, p.Shown)
	}
}

// JSON is the log's own bytes. A changed line that the filter picks is printed,
// and told of.
func TestJSON(t *testing.T) {
	path := newPath(t)
	add(t, path, evidence.LogOptions{}, allowed("a"), blocked("b\u202e"), allowed("c"), blocked("d"))
	lines := slices.Collect(strings.Lines(readFile(t, path)))
	lines[2] = "garbage\n"
	lines[3] = strings.Replace(lines[3], `"d"`, `"e"`, 1)
	writeFile(t, path, strings.Join(lines, ""))
	blocks, err := ParseFilter([]string{"decision=block"}, "", start)
	if err != nil {
		t.Fatal(err)
	}
	out, notes := printed(t, path, evidence.VerifyOptions{}, PrinterOptions{JSON: true, Filter: blocks})
	if out != lines[1]+lines[3] {
		t.Errorf("%s", out)
	}
	if !strings.Contains(notes, "line 3") || !strings.Contains(notes, "line 4") {
		t.Errorf("the faults are not told of: %s", notes)
	}
	out, _ = printed(t, path, evidence.VerifyOptions{}, PrinterOptions{JSON: true, Filter: blocks, Terminal: true})
	if strings.Contains(out, "\u202e") || !strings.Contains(out, `b\u202e`) {
		t.Errorf("a terminal gets what it would obey: %q", out)
	}
}

// Where nobody reads, the printer says so once and does nothing more.
func TestPrinterStopsWhereNobodyReads(t *testing.T) {
	r, w := io.Pipe()
	gone := errors.New("gone")
	r.CloseWithError(gone)
	p := NewPrinter(w, PrinterOptions{})
	for i := range uint64(1000) {
		p.See(line(i+1, start, allowed("x")))
	}
	if !errors.Is(p.Err(), gone) || !errors.Is(p.Flush(), gone) {
		t.Errorf("%v", p.Err())
	}
}
