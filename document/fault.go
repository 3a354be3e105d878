package document

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/go-multierror"
)

// Fault is one thing wrong with a document.
type Fault struct {
	Source  string // the file, or the flag or variable
	Line    int    // from 1; 0 where there is none
	Column  int    // in characters, from 1
	Path    string // the member, such as stages[1].options.burst; empty for the whole
	Problem string // what is wrong and what to write instead; never a value of the document that may be a secret
}

// Error returns `source:line:column: path: problem`, or `source: problem` for a
// fault without a line.
func (f *Fault) Error() string {
	switch {
	case f.Line == 0:
		return f.Source + ": " + f.Problem
	case f.Path == "":
		return fmt.Sprintf("%s:%d:%d: %s", f.Source, f.Line, f.Column, f.Problem)
	}
	return fmt.Sprintf("%s:%d:%d: %s: %s", f.Source, f.Line, f.Column, f.Path, f.Problem)
}

// Join gathers the faults of several errors into one *multierror.Error that
// prints one a line, or nil where there is none. Faults of one source stand
// together, in the order of the file; sources stand in the order in which they
// came, and errors that are no faults after them.
func Join(errs ...error) error {
	var all []error
	for _, err := range errs {
		if many, ok := errors.AsType[*multierror.Error](err); ok {
			all = append(all, many.Errors...)
		} else if err != nil {
			all = append(all, err)
		}
	}
	if len(all) == 0 {
		return nil
	}
	rank := map[string]int{}
	place := func(err error) (source, line, column int) {
		f, ok := errors.AsType[*Fault](err)
		if !ok {
			return math.MaxInt, 0, 0
		}
		if _, seen := rank[f.Source]; !seen {
			rank[f.Source] = len(rank)
		}
		return rank[f.Source], f.Line, f.Column
	}
	for _, err := range all {
		place(err) // ranks the sources as they came
	}
	slices.SortStableFunc(all, func(a, b error) int {
		as, al, ac := place(a)
		bs, bl, bc := place(b)
		return slices.Compare([]int{as, al, ac}, []int{bs, bl, bc})
	})
	return &multierror.Error{Errors: all, ErrorFormat: onePerLine}
}

func onePerLine(errs []error) string {
	lines := make([]string, len(errs))
	for i, err := range errs {
		lines[i] = err.Error()
	}
	return strings.Join(lines, "\n")
}

// maxFaults bounds what a hostile document can make us remember.
const maxFaults = 1000

// faults gathers what is wrong with one document.
type faults struct {
	list []error
	more int
	last Fault
}

func (l *faults) add(f *Fault) {
	if !l.full() {
		l.list = append(l.list, f)
		return
	}
	l.more++
	l.last = *f
}

// full reports whether further faults are only counted.
func (l *faults) full() bool { return len(l.list) >= maxFaults }

// err returns the faults as Join does.
func (l *faults) err() error {
	if l.more > 0 {
		end := l.last
		end.Path, end.Problem = "", fmt.Sprintf("and %d faults more; mend those above first", l.more)
		return Join(append(l.list, &end)...)
	}
	return Join(l.list...)
}

// quoteLimit cuts short what a message quotes of a document, in bytes.
const quoteLimit = 48

// quote makes a key safe to show: short, in quotes, ASCII.
func quote(key string) string {
	if len(key) > quoteLimit {
		return strings.TrimSuffix(strconv.QuoteToASCII(strings.ToValidUTF8(key[:quoteLimit], "")), `"`) + `..."`
	}
	return strconv.QuoteToASCII(key)
}

// plain is quote for a path, where a simple key needs no quotes.
func plain(key string) string {
	simple := func(r rune) bool {
		return r == '_' || r == '-' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z'
	}
	if key == "" || len(key) > quoteLimit || strings.ContainsFunc(key, func(r rune) bool { return !simple(r) }) {
		return quote(key)
	}
	return key
}
