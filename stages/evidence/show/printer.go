package show

import (
	"bufio"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	enforcementv1 "github.com/Huzefaaa2/cavra/go/cavra-runtime/enforcement/v1"
	"github.com/Huzefaaa2/cavra/go/cavra-runtime/stages/evidence"
)

// PrinterOptions are those of NewPrinter.
type PrinterOptions struct {
	// Filter picks the records; nil picks all. A line with a fault is shown
	// whatever it says: what was tampered with would otherwise hide from a filter.
	Filter *Filter
	// Limit holds lines back until Flush and prints the last ones only, as many as
	// this. 0 prints all.
	Limit int
	// JSON prints the lines of the records that the filter picks, as they stand in
	// the log, and faults to Notes.
	JSON  bool
	Notes io.Writer
	// Terminal says that a person's terminal is written to: rows are cut to its
	// width, and even a raw line holds nothing that a terminal would obey.
	Terminal bool
	Width    int  // of the terminal, in columns; 0 means 80
	Color    bool // by severity
}

// A Printer prints the lines of a log, one call of See each.
type Printer struct {
	o      PrinterOptions
	w      *bufio.Writer
	layout layout
	err    error
	row    []byte // the row at work

	began bool
	held  [][]byte // the last rows where Limit holds them back, as a ring
	next  int
	flows bool // Flush was called: rows are printed as they come

	// Lines counts the lines of the log, Shown those printed, Faulty those with a
	// fault.
	Lines, Shown, Faulty uint64
}

// NewPrinter makes a printer that writes to w.
func NewPrinter(w io.Writer, o PrinterOptions) *Printer {
	if o.Filter == nil {
		o.Filter = &Filter{}
	}
	if o.Width == 0 {
		o.Width = 80
	}
	p := &Printer{o: o, w: bufio.NewWriterSize(w, 64<<10), layout: wideLayout}
	if o.Terminal {
		p.layout = layoutFor(o.Width)
	}
	return p
}

// A layout is the widths of the columns.
type layout struct {
	cuts              bool // whether what is wider is cut
	words             bool // whether the mark is in words, which take maxMark columns
	severity          bool
	time              string
	decision          int
	rule, actor, what int
	total             int
}

const (
	fullTime  = "2006-01-02 15:04:05.000"
	shortTime = "01-02 15:04:05"
	sequence  = 7 // columns of a record's number
)

// uncut bounds a column that no terminal does: one target may have a megabyte.
const uncut = 4096

var wideLayout = layout{words: true, severity: true, time: fullTime, decision: 16, rule: 34, actor: 13, what: uncut, total: uncut}

// fit is s as it stands in a column of n.
func (l *layout) fit(s string, n int) string {
	if !l.cuts {
		n = uncut
	}
	return fit(s, n)
}

// layoutFor is the layout for a terminal of so many columns.
func layoutFor(total int) layout {
	switch {
	case total >= 180:
		l := wideLayout
		l.cuts, l.total = true, total
		l.what = total - (maxMark + 1 + sequence + 2 + len(l.time) + 2 + l.decision + 1 + 8 + 1 + l.rule + 1 + l.actor + 1)
		return l
	case total >= 140:
		l := layout{cuts: true, words: true, time: fullTime, decision: 16, rule: 28, actor: 13, total: total}
		l.what = total - (maxMark + 1 + sequence + 2 + len(l.time) + 2 + l.decision + 1 + l.rule + 1 + l.actor + 1)
		return l
	}
	l := layout{cuts: true, time: shortTime, decision: 8, rule: 14, actor: 8, total: total}
	if total >= 100 {
		l.rule, l.actor = 24, 10
	}
	l.what = max(10, total-(2+1+sequence+2+len(l.time)+2+l.decision+1+l.rule+1+l.actor+1))
	return l
}

// See prints a line, where it is to be shown.
func (p *Printer) See(l *evidence.Line) {
	p.Lines++
	matches := l.Record != nil && p.o.Filter.Match(l.Record)
	if len(l.Faults) > 0 {
		p.Faulty++
		if p.o.JSON {
			p.note(l)
		}
	}
	switch {
	case p.o.JSON && !matches, !p.o.JSON && !matches && len(l.Faults) == 0:
		return
	case p.o.JSON && p.o.Terminal:
		p.row = append(append(p.row[:0], escapeJSON(l.Text)...), '\n')
	case p.o.JSON:
		p.row = append(append(p.row[:0], l.Text...), '\n')
	default:
		p.row = p.appendRow(p.row[:0], l)
	}
	p.emit(p.row)
}

// emit prints a row, or holds it back.
func (p *Printer) emit(row []byte) {
	switch {
	case p.o.Limit == 0 || p.flows:
		p.print(row)
	case len(p.held) < p.o.Limit:
		p.held = append(p.held, append([]byte(nil), row...))
	default:
		p.held[p.next] = append(p.held[p.next][:0], row...)
		p.next = (p.next + 1) % p.o.Limit
	}
}

func (p *Printer) print(row []byte) {
	p.Shown++
	if !p.began {
		p.began = true
		p.writeHeader()
	}
	p.write(row)
}

func (p *Printer) write(b []byte) {
	if p.err == nil {
		_, p.err = p.w.Write(b)
	}
}

// Err is what kept the printer from writing, or nil.
func (p *Printer) Err() error { return p.err }

// Flush prints what was held back and lets what follows through.
func (p *Printer) Flush() error {
	for i := range p.held {
		p.print(p.held[(p.next+i)%len(p.held)])
	}
	p.held, p.flows = nil, true
	if p.err == nil {
		p.err = p.w.Flush()
	}
	return p.err
}

// maxNotes is how many faulty lines are told of beside JSON.
const maxNotes = 20

// note tells of the faults of a line where rows cannot.
func (p *Printer) note(l *evidence.Line) {
	switch {
	case p.Faulty <= maxNotes:
		for _, f := range l.Faults {
			fmt.Fprintln(p.o.Notes, Printable(f.String()))
		}
	case p.Faulty == maxNotes+1:
		fmt.Fprintln(p.o.Notes, "further faults are counted only")
	}
}

func (p *Printer) writeHeader() {
	if p.o.JSON {
		return
	}
	l := &p.layout
	b := p.paint(nil, bold)
	if l.words {
		b = pad(b, "chain", maxMark)
	} else {
		b = pad(b, "", 2)
	}
	b = fmt.Appendf(b, " %*s  ", sequence, "record")
	b = pad(b, "time (UTC)", len(l.time))
	b = append(b, "  "...)
	b = append(pad(b, "decision", l.decision), ' ')
	if l.severity {
		b = append(pad(b, "severity", 8), ' ')
	}
	b = append(pad(b, "rule", l.rule), ' ')
	b = append(pad(b, "actor", l.actor), ' ')
	b = append(b, "action and target"[:min(l.what, 17)]...)
	p.write(append(p.paint(b, reset), '\n'))
}

// appendRow appends a line of the log as a row, and a row for each fault.
func (p *Printer) appendRow(b []byte, line *evidence.Line) []byte {
	l := &p.layout
	word, shade := markOK, dim
	if len(line.Faults) > 0 {
		word, shade = mark(line.Faults[0].Kind), boldRed
	}
	at := 2
	if l.words {
		at = maxMark
	} else if word != markOK {
		word = "!!"
	}
	b = p.paint(b, shade)
	b = append(p.paint(pad(b, word, at), reset), ' ')
	if line.Record != nil {
		b = p.appendRecord(b, line.Record)
	} else {
		b = fmt.Appendf(b, "%*s  line %d of %s, from byte %d on", sequence, "-", line.Number, fit(filepath.Base(line.File), 40), line.Offset)
	}
	b = append(b, '\n')
	for _, f := range line.Faults {
		b = append(pad(b, "", at), ' ')
		b = p.paint(b, boldRed)
		b = append(b, cut("└ "+mark(f.Kind)+": "+Printable(f.Message), l.total-at-1)...)
		b = append(p.paint(b, reset), '\n')
	}
	return b
}

func (p *Printer) appendRecord(b []byte, r *evidence.Record) []byte {
	l, m := &p.layout, &r.Response
	b = fmt.Appendf(b, "%*d  ", sequence, r.Sequence)
	if t, err := time.Parse(time.RFC3339Nano, r.Timestamp); err == nil {
		b = t.UTC().AppendFormat(b, l.time)
	}
	b = append(b, "  "...)
	decision, what := m.Decision, m.ActionType+" "+fit(m.Target, l.what)
	if name := event(r); name != "" {
		decision, what = "* "+name, fit(m.Reason, l.what)
	}
	if decision == enforcementv1.DecisionRequireApproval && l.decision < len(decision) {
		decision = "approval"
	}
	b = p.paint(b, severityColor(m.Severity))
	b = append(p.paint(pad(b, l.fit(decision, l.decision), l.decision), reset), ' ')
	if l.severity {
		b = append(pad(b, l.fit(m.Severity, 8), 8), ' ')
	}
	b = append(pad(b, l.fit(m.RuleID, l.rule), l.rule), ' ')
	b = append(pad(b, l.fit(m.Actor, l.actor), l.actor), ' ')
	return append(b, fit(what, l.what)...)
}

// pad appends s and spaces up to n columns.
func pad(b []byte, s string, n int) []byte {
	b = append(b, s...)
	if missing := n - width(s); missing > 0 {
		b = append(b, strings.Repeat(" ", missing)...)
	}
	return b
}

// How a terminal is asked for colours.
const (
	reset   = "\x1b[0m"
	bold    = "\x1b[1m"
	dim     = "\x1b[2m"
	boldRed = "\x1b[1;31m"
	red     = "\x1b[31m"
	yellow  = "\x1b[33m"
	green   = "\x1b[32m"
)

func severityColor(severity string) string {
	switch severity {
	case enforcementv1.SeverityCritical:
		return boldRed
	case enforcementv1.SeverityHigh:
		return red
	case enforcementv1.SeverityMedium:
		return yellow
	}
	return green
}

func (p *Printer) paint(b []byte, color string) []byte {
	if !p.o.Color {
		return b
	}
	return append(b, color...)
}
