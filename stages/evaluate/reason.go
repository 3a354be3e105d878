package evaluate

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/Huzefaaa2/cavra/go/cavra-runtime/jwt"
	"github.com/Huzefaaa2/cavra/go/cavra-runtime/pipeline"
)

// The groups that may approve.
const (
	platformSecurity  = "Platform Security"
	repositoryOwners  = "Repository Owners"
	aiGovernance      = "AI Governance"
	releaseGovernance = "Release Governance"
)

// A row is one line of the table of decisions: what is answered where its
// condition is the first that holds.
type row struct {
	decision, ruleID, severity, approver string
}

// because is the decision of the row, with the reason that its condition holds.
func (r *row) because(reason string) pipeline.Decision {
	return pipeline.Decision{
		Decision: r.decision, RuleID: r.ruleID, Severity: r.severity,
		ApproverGroup: r.approver, Reason: reason,
	}
}

// mostQuoted is how many bytes of somebody else's text a reason repeats.
const mostQuoted = 200

// quote makes text that somebody else wrote safe to show to whoever approves or
// reads a log: cut short, and everything but printable ASCII escaped, since
// characters that turn or hide text would change what is seen.
//
// Tokens are hidden first: escaped, or cut in two, they would not be found again
// when the answer is redacted.
func quote(s string) string {
	s = jwt.Hide(s)
	more := ""
	if len(s) > mostQuoted {
		cut := mostQuoted
		for cut > mostQuoted-utf8.UTFMax && !utf8.RuneStart(s[cut]) {
			cut--
		}
		s, more = s[:cut], "..."
	}
	for i := 0; i < len(s); i++ {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return strconv.QuoteToASCII(s) + more
		}
	}
	return `"` + s + `"` + more
}

// A ruleList is a list of patterns of a policy, under its name there.
type ruleList struct {
	name     string // as in "filesystem.block_read"
	advice   string // what to do when a pattern matches
	patterns patterns
	folded   foldedPatterns // of lists of files
	anchored bool           // the paths from repositories can match what no longer form does
	rec      *recorder      // as in policy
}

// match is the index of the first pattern that matches s, or -1.
func (l *ruleList) match(s string) int {
	i := l.patterns.match(s)
	if l.rec != nil {
		l.rec.tried(l, s, i)
	}
	return i
}

// reason says that pattern i matched subject, and what to do about it.
func (l *ruleList) reason(subject string, i int) string {
	return subject + " matches " + quote(l.patterns.texts[i]) + " in " + l.name + "; " + l.advice
}

// holdsFold reports whether list holds word, in any case.
func holdsFold(list []string, word string) bool {
	for _, w := range list {
		if strings.EqualFold(w, word) {
			return true
		}
	}
	return false
}
