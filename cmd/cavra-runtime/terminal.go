package main

import (
	"context"
	"io"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	enforcementv1 "github.com/Huzefaaa2/cavra/go/cavra-runtime/enforcement/v1"
)

// A terminal is what is known of a stream.
type terminal struct {
	file    *os.File // nil where the stream is no file
	is      bool     // whether a person's terminal is there
	columns int
}

func terminalOf(stream any) terminal {
	f, ok := stream.(*os.File)
	if !ok {
		return terminal{}
	}
	columns, is := terminalColumns(f)
	return terminal{f, is, columns}
}

// waiter makes a function that waits for some time, and fails once nobody reads
// the output any more.
func (t terminal) waiter(ctx context.Context, every time.Duration) func() error {
	return func() error {
		select {
		case <-ctx.Done():
		case <-time.After(every):
		}
		if t.file != nil && nobodyReads(t.file) {
			return errNobodyReads
		}
		return nil
	}
}

// A paint colours text for a terminal; the zero value leaves it as it is.
type paint bool

// paintFor colours where w is a terminal that knows colours and nobody asked for
// none.
func paintFor(w io.Writer) paint { return paint(terminalOf(w).is && coloured()) }

// coloured reports whether the one at the terminal wants colours, and the
// terminal knows them.
func coloured() bool {
	return os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" && runtime.GOOS != "windows"
}

// verdict colours text as the decision or the severity is, and marks it with
// anything else.
func (p paint) verdict(of, text string) string {
	if !p {
		return text
	}
	code := "1"
	switch of {
	case enforcementv1.DecisionAllow, enforcementv1.SeverityLow:
		code = "1;32" // green
	case enforcementv1.DecisionRequireApproval, enforcementv1.SeverityMedium:
		code = "1;33" // yellow
	case enforcementv1.DecisionBlock, enforcementv1.SeverityHigh, enforcementv1.SeverityCritical:
		code = "1;31" // red
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

// maxPrinted is how much of one text a terminal gets, in bytes.
const maxPrinted = 1000

// printable is text that may be somebody else's as a terminal gets it: cut short,
// and in ASCII.
func printable(text string) string {
	plain := plainText(text[:min(len(text), maxPrinted)])
	if len(text) > maxPrinted || len(plain) > maxPrinted {
		return plain[:min(len(plain), maxPrinted)] + " (cut)"
	}
	return plain
}

// plainText escapes what is not printable ASCII, since a terminal may obey it or
// show something else.
func plainText(s string) string {
	if !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' }) {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if r < ' ' || r > '~' {
			b.WriteString(strings.Trim(strconv.QuoteRuneToASCII(r), "'"))
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}
