package show

import (
	"cmp"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	enforcementv1 "github.com/Huzefaaa2/cavra/go/cavra-runtime/enforcement/v1"
	"github.com/Huzefaaa2/cavra/go/cavra-runtime/stages/evidence"
)

// PageOptions are those of NewPage.
type PageOptions struct {
	Filter  *Filter // nil picks all
	Path    string  // of the log, as it was named
	Made    time.Time
	Version string // of the program that makes the page
	// Signed says that a key was given, so that signatures were checked.
	Signed bool
}

// What a page holds at most, so that it can still be opened.
const (
	maxActions = 1000  // in each list of actions: the latest
	maxRows    = 50    // in each table of counts: the highest
	maxNames   = 10000 // names that are counted apart
	maxName    = 200   // columns of a name
	maxText    = 400   // columns of a target or a reason
	maxFaults  = 100   // in each list of the verifier's
)

// A Page gathers what a log holds, one call of See for each line, and writes it
// as one HTML document.
type Page struct {
	o            PageOptions
	all          counts
	rules        table
	actors       table
	over         *timeline
	first, last  time.Time
	blocks, asks actions
	events       actions
	faulty       uint64 // lines
}

// NewPage makes a page without any content.
func NewPage(o PageOptions) *Page {
	if o.Filter == nil {
		o.Filter = &Filter{}
	}
	return &Page{o: o, rules: table{}, actors: table{}, over: newTimeline()}
}

// See adds a line of the log.
func (p *Page) See(l *evidence.Line) {
	if len(l.Faults) > 0 {
		p.faulty++
	}
	r := l.Record
	if r == nil || !p.o.Filter.Match(r) {
		return
	}
	if event(r) != "" {
		p.events.add(l)
		return
	}
	c := one(r.Response.Decision)
	p.all.add(c)
	p.rules.add(r.Response.RuleID, c)
	p.actors.add(r.Response.Actor, c)
	if t, err := time.Parse(time.RFC3339Nano, r.Timestamp); err == nil {
		p.over.add(t, c)
		if p.first.IsZero() || t.Before(p.first) {
			p.first = t
		}
		if t.After(p.last) {
			p.last = t
		}
	}
	switch r.Response.Decision {
	case enforcementv1.DecisionBlock:
		p.blocks.add(l)
	case enforcementv1.DecisionRequireApproval:
		p.asks.add(l)
	}
}

// A table counts decisions by a name.
type table map[string]*counts

// others is the name of all that come after maxNames. No name is printed so.
const others = "\x00"

func (t table) add(name string, c counts) {
	sum := t[name]
	if sum == nil {
		// A name is kept as it is printed, so that a long one costs no more.
		if name = fit(name, maxName); t[name] == nil {
			if len(t) >= maxNames {
				name = others
			}
			if t[name] == nil {
				t[strings.Clone(name)] = &counts{}
			}
		}
		sum = t[name]
	}
	sum.add(c)
}

// A countRow is a row of a table as it is written.
type countRow struct {
	Name string
	counts
	Of uint64 // the highest total of the table
}

// A part is a piece of a row's bar, in percent of the longest.
type part struct{ Class, X, Width string }

// Parts are the pieces of the row's bar.
func (r countRow) Parts() (parts []part) {
	at := uint64(0)
	for _, p := range []struct {
		class string
		n     uint64
	}{{"block", r.Block}, {"approval", r.Approval}, {"allow", r.Allow}, {"other", r.Other}} {
		if p.n > 0 {
			parts = append(parts, part{p.class, share(at, r.Of), share(p.n, r.Of)})
			at += p.n
		}
	}
	return parts
}

// A countTable and an actionTable are what the templates of these names take.
type (
	countTable struct {
		Label, What string
		Rows        []countRow
		More        int
	}
	actionTable struct {
		*actions
		Filter string
	}
)

// rows are the highest rows, and how many more there are.
func (t table) rows() (rows []countRow, more int) {
	for name, c := range t {
		switch name {
		case others:
			name = "(further names)"
		case "":
			name = "(none)"
		}
		rows = append(rows, countRow{Name: name, counts: *c})
	}
	slices.SortFunc(rows, func(a, b countRow) int {
		return cmp.Or(cmp.Compare(b.Total(), a.Total()), cmp.Compare(a.Name, b.Name))
	})
	if len(rows) > maxRows {
		more = len(rows) - maxRows
		rows = rows[:maxRows]
	}
	for i := range rows {
		rows[i].Of = rows[0].Total()
	}
	return rows, more
}

// actions are the latest actions of a kind, as a ring, and the number of all.
type actions struct {
	Count uint64
	ring  []action
}

// An action is a record as a row of the page.
type action struct {
	Sequence                                    uint64
	Time                                        time.Time
	Decision, Severity, Rule, Actor, Do, Target string
	Reason, RecordID, Mark, Approver            string
}

func (a *actions) add(l *evidence.Line) {
	r, m := l.Record, &l.Record.Response
	t, _ := time.Parse(time.RFC3339Nano, r.Timestamp)
	row := action{
		Sequence: r.Sequence, Time: t.UTC(), RecordID: r.RecordID,
		Decision: fit(cmp.Or(event(r), m.Decision), maxName), Severity: fit(m.Severity, 20),
		Rule: fit(m.RuleID, maxName), Actor: fit(m.Actor, maxName), Do: fit(m.ActionType, maxName),
		Target: fit(m.Target, maxText), Reason: fit(m.Reason, maxText), Approver: fit(m.ApproverGroup, maxName),
	}
	if len(l.Faults) > 0 {
		row.Mark = mark(l.Faults[0].Kind)
	}
	if len(a.ring) < maxActions {
		a.ring = append(a.ring, row)
	} else {
		a.ring[a.Count%maxActions] = row
	}
	a.Count++
}

// Rows are the latest, oldest first.
func (a *actions) Rows() []action {
	if a.Count <= maxActions {
		return a.ring
	}
	at := a.Count % maxActions
	return slices.Concat(a.ring[at:], a.ring[:at])
}

// More is how many are not among Rows.
func (a *actions) More() uint64 { return a.Count - uint64(len(a.ring)) }

var (
	//go:embed page.html
	pageText string
	//go:embed page.css
	pageStyle string
)

// pageTemplate is made when it is first needed: most who run this program write no
// page.
var pageTemplate = sync.OnceValue(func() *template.Template {
	return template.Must(template.New("page").Funcs(template.FuncMap{
		"n": number, "when": when, "stamp": stamp, "plural": plural[int64], "percent": percent,
		"severity": knownSeverity,
		"counts": func(label, what string, rows []countRow, more int) countTable {
			return countTable{label, what, rows, more}
		},
		"actions": func(a *actions, filter string) actionTable { return actionTable{a, filter} },
	}).Parse(pageText))
})

// Generator is what every page says of itself near its start.
const Generator = `<meta name="generator" content="cavra-runtime evidence report">`

// WritePage writes the document. report is what the verifier says of the log.
func (p *Page) WritePage(w io.Writer, report evidence.Report) error {
	style := sha256.Sum256([]byte(pageStyle))
	rules, moreRules := p.rules.rows()
	actors, moreActors := p.actors.rows()
	report, moreErrors, moreFiles, moreMissing := printableReport(report)
	return pageTemplate().Execute(w, map[string]any{
		"Generator": template.HTML(Generator),
		"Style":     template.CSS(pageStyle),
		"StyleHash": "sha256-" + base64.StdEncoding.EncodeToString(style[:]),
		"Path":      fit(p.o.Path, maxText), "Name": fit(filepath.Base(p.o.Path), maxName),
		"Made": p.o.Made.UTC(), "Version": fit(p.o.Version, maxName), "Signed": p.o.Signed,
		"Filter": fit(p.o.Filter.String(), maxText),
		"First":  p.first.UTC(), "Last": p.last.UTC(),
		"Report": report, "MoreErrors": moreErrors, "MoreFiles": moreFiles, "MoreMissing": moreMissing,
		"Faulty": p.faulty,
		"All":    p.all, "Chart": p.over.chart(),
		"Rules": rules, "MoreRules": moreRules, "Actors": actors, "MoreActors": moreActors,
		"Blocks": &p.blocks, "Asks": &p.asks, "Events": &p.events,
	})
}

// printableReport is the report with what it repeats of names and of the log made
// printable, and its lists cut. What was cut off is counted.
func printableReport(r evidence.Report) (printable evidence.Report, moreErrors, moreFiles, moreMissing int) {
	r.HeadHash, r.Root = fit(r.HeadHash, maxName), fit(r.Root, maxName)
	r.Errors, moreErrors = firsts(r.Errors)
	r.Warnings, _ = firsts(r.Warnings)
	r.Missing, moreMissing = firsts(r.Missing)
	if len(r.Files) > maxFaults {
		moreFiles = len(r.Files) - maxFaults
		r.Files = r.Files[moreFiles:] // the latest
	}
	r.Files, r.Checkpoints = slices.Clone(r.Files), slices.Clone(r.Checkpoints)
	for i := range r.Files {
		r.Files[i].Path = fit(r.Files[i].Path, maxText)
	}
	for i := range r.Checkpoints {
		c := &r.Checkpoints[i]
		c.Path, c.Origin, c.Root = fit(c.Path, maxText), fit(c.Origin, maxText), fit(c.Root, maxName)
	}
	return r, moreErrors, moreFiles, moreMissing
}

// firsts are the first texts, and how many more there are.
func firsts(texts []string) (printable []string, more int) {
	if len(texts) > maxFaults {
		more = len(texts) - maxFaults
		texts = texts[:maxFaults]
	}
	for _, s := range texts {
		printable = append(printable, fit(s, maxText))
	}
	return printable, more
}

// number groups the digits of n by thousands.
func number(n any) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "\u202f" + s[i:] // a narrow space that does not break
	}
	return s
}

func when(t time.Time) string {
	if t.IsZero() {
		return "unknown"
	}
	return t.Format("2006-01-02 15:04:05")
}

func stamp(t time.Time) string { return t.Format(time.RFC3339Nano) }

func plural[N int64 | uint64](n N, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return number(n) + " " + what + "s"
}

// knownSeverity is the class of a severity: none for a word that is no severity.
func knownSeverity(s string) string {
	switch s {
	case enforcementv1.SeverityLow, enforcementv1.SeverityMedium, enforcementv1.SeverityHigh, enforcementv1.SeverityCritical:
		return s
	}
	return ""
}

// share is n of all in percent of a bar.
func share(n, all uint64) string {
	if all == 0 {
		return "0"
	}
	return strconv.FormatFloat(float64(n)/float64(all)*100, 'f', 2, 64)
}

// percent is n of all in words.
func percent(n, all uint64) string {
	switch {
	case all == 0 || n == 0:
		return "none"
	case n*1000 < all:
		return "under 0.1 %"
	}
	return strconv.FormatFloat(float64(n)/float64(all)*100, 'f', 1, 64) + " %"
}
