package evaluate

import (
	"maps"
	"path"
	"slices"
	"strings"
	"time"
)

// A policy can be sound and still not mean what it says. The log is told of
//
//   - a pattern that never decides, since those that are tried before it match
//     all that it does: earlier ones of its list, or ones of a stricter list;
//   - a pattern in commands.allow that lets a shell, an interpreter or a command
//     like sudo run with whatever it is given.

const (
	// mostWarnings is how many patterns of a policy are warned of one by one.
	mostWarnings = 25
	// warningTime bounds the search of a policy made to make it long; one of
	// 100,000 patterns that people write needs less.
	warningTime = 250 * time.Millisecond
	// longestWarned is the length in bytes of the longest pattern that is looked at.
	longestWarned = 4096
)

// anything stands for a star of a pattern: a byte that no pattern holds, since a
// policy is UTF-8. A star of another pattern is all that can match it, and then
// matches whatever may stand there. So a pattern matches all that another one
// does exactly when it matches the other with its stars so filled.
const anything = "\xff"

// fill is the pattern with its stars filled. A leading "**/" may stand for nothing,
// so a pattern with one has two forms.
func fill(pattern string) []string {
	rest := pattern
	for strings.HasPrefix(rest, "**/") {
		rest = rest[len("**/"):]
	}
	filled := strings.ReplaceAll(rest, "*", anything)
	if rest == pattern {
		return []string{filled}
	}
	return []string{filled, anything + "/" + filled}
}

// A warner looks through one policy.
type warner struct {
	*policyCheck
	until time.Time
	said  int
}

// warn logs what the policy hardly means.
func (c *policyCheck) warn(p *policy) {
	w := &warner{policyCheck: c, until: time.Now().Add(warningTime)}
	w.runsAnything(&p.allowCommand)
	for _, l := range [...]struct {
		list     *ruleList
		stricter []*ruleList
	}{
		{&p.blockRead, nil},
		{&p.blockWrite, nil},
		{&p.approveWrite, []*ruleList{&p.blockWrite}},
		{&p.blockCommand, nil},
		{&p.approveCommand, []*ruleList{&p.blockCommand}},
		{&p.allowCommand, []*ruleList{&p.blockCommand, &p.approveCommand}},
		{&p.blockedServers, nil},
		{&p.allowedServers, []*ruleList{&p.blockedServers}},
		{&p.protectedBranches, nil},
	} {
		if !w.covered(l.list, l.stricter) {
			c.log.Warn("looking for patterns that never decide took too long; it ended here", "policy", c.source, "list", l.list.name)
			break
		}
	}
	if w.said > mostWarnings {
		c.log.Warn("there are more such patterns; mend those above first", "policy", c.source, "more", w.said-mostWarnings)
	}
}

func (w *warner) say(message string, list *ruleList, i int, more ...any) {
	if w.said++; w.said > mostWarnings {
		return
	}
	w.log.Warn(message, append([]any{"policy", w.source, "line", w.line(list, i), "list", list.name, "pattern", quote(list.patterns.texts[i])}, more...)...)
}

// line is the line of a pattern; 0 for one that the policy does not hold.
func (w *warner) line(list *ruleList, i int) int {
	if nodes := w.nodes[list.name]; i < len(nodes) {
		return nodes[i].Line()
	}
	return 0
}

// covered warns of the patterns of a list that never decide. It is exact: each
// form of a pattern is covered by one pattern or by none. It reports whether there
// was time for all of them.
func (w *warner) covered(list *ruleList, stricter []*ruleList) bool {
	for i := range list.patterns.texts {
		// A short list always gets through, however busy the machine is.
		if i%256 == 255 && time.Now().After(w.until) {
			return false
		}
		if len(list.patterns.texts[i]) > longestWarned {
			continue
		}
		var by *ruleList
		n := -1
		for _, form := range fill(list.patterns.texts[i]) {
			if by, n = firstOf(form, list, i, stricter); n < 0 {
				break
			}
		}
		if n >= 0 {
			w.say("a pattern never decides: one that is tried before it matches all that it does", list, i,
				"by", quote(by.patterns.texts[n]), "by_list", by.name, "by_line", w.line(by, n))
		}
	}
	return true
}

// firstOf is the pattern that matches form before pattern i of list is tried.
func firstOf(form string, list *ruleList, i int, stricter []*ruleList) (*ruleList, int) {
	for _, s := range stricter {
		if n := s.match(form); n >= 0 {
			return s, n
		}
	}
	if n := list.match(form); n < i {
		return list, n
	}
	return nil, -1
}

// runners are commands that run others in a way that hardly any policy means: as
// another user, on another host, over what they read.
var runners = []string{"env", "sudo", "doas", "su", "ssh", "xargs", "parallel", "busybox", "toybox", "eval"}

// openEnded are all commands that run what they are given.
var openEnded = slices.Concat(shells, interpreters, runners)

// runsAnything warns of patterns in commands.allow that let one of those run: by
// its name, with any argument, or with a program as its argument. Of patterns that
// let the same one run only the first is named.
func (w *warner) runsAnything(allow *ruleList) {
	names := slices.Clone(openEnded)
	for i := range allow.patterns.texts { // as /bin/sh and python3.12
		first, _, _ := strings.Cut(allow.patterns.texts[i], " ")
		bare := strings.TrimRight(path.Base(first), "0123456789.")
		if bare != first && len(first) <= longestWarned && slices.Contains(openEnded, bare) && len(names) < 2*len(openEnded) {
			names = append(names, first)
		}
	}
	found := map[int]string{} // what a pattern allows
	for _, name := range names {
		for _, with := range [...]string{"", " " + anything, " -c " + anything, " -e " + anything, " -m " + anything} {
			if i := allow.match(name + with); i >= 0 && found[i] == "" {
				found[i] = strings.ReplaceAll(name+with, anything, "...")
			}
		}
	}
	for _, i := range slices.Sorted(maps.Keys(found)) {
		w.say("a pattern allows what runs whatever it is given; write out what may be run", allow, i, "allows", quote(found[i]))
	}
}
