package evaluate

import (
	"slices"
	"strings"
)

// Patterns are the patterns of one list of a policy. In a pattern "*" and "**"
// stand for any run of characters, "/" and newline included; a leading "**/" stands
// for nothing as well, so that "**/*.pem" matches "server.pem"; everything else is
// literal. A pattern matches a whole value.
type patterns struct {
	texts   []string // as the policy spells them
	matcher *matcher // of all of them; nil where there are none
}

// A glob is literal text with any run of characters between its parts.
type glob struct {
	pattern    int      // which one of its list it stands for
	head, tail string   // what the value begins and ends with
	middle     []string // what stands between them, in this order
	open       bool     // there is a star; without one the value is head
	least      int      // bytes that a value needs
}

// compilePatterns prepares a list for matching.
func compilePatterns(texts []string) patterns {
	if len(texts) == 0 {
		return patterns{}
	}
	globs := make([]glob, 0, len(texts))
	for i, text := range texts {
		globs = appendGlobs(globs, i, text)
	}
	return patterns{texts, newMatcher(globs)}
}

// match is the index of the first pattern that matches s, or -1.
func (p patterns) match(s string) int {
	if p.matcher == nil {
		return -1
	}
	return p.matcher.match(s)
}

// anchored reports whether a path taken relative to some directory can match one
// of the patterns where the absolute path matches none. A pattern that begins
// with a star matches the absolute path as well, since the star takes what was
// cut off; and so does "x" where "**/x" stands beside it.
func anchored(texts []string) bool {
	deep := map[string]bool{}
	for _, text := range texts {
		if rest, ok := strings.CutPrefix(text, "**/"); ok {
			deep[rest] = true
		}
	}
	return slices.ContainsFunc(texts, func(text string) bool {
		return !strings.HasPrefix(text, "*") && !deep[text]
	})
}

// appendGlobs adds the globs of pattern i, one of which must match.
func appendGlobs(globs []glob, i int, text string) []glob {
	rest, deep := text, false
	for strings.HasPrefix(rest, "**/") {
		rest, deep = rest[len("**/"):], true
	}
	globs = append(globs, compileGlob(i, rest))
	if deep {
		globs = append(globs, compileGlob(i, "*/"+rest))
	}
	return globs
}

func compileGlob(i int, text string) glob {
	head, rest, open := strings.Cut(text, "*")
	g := glob{pattern: i, head: head, open: open, least: len(head)}
	for open {
		var part string
		part, rest, open = strings.Cut(rest, "*")
		g.least += len(part)
		switch {
		case !open:
			g.tail = part
		case part != "":
			g.middle = append(g.middle, part)
		}
	}
	return g
}

// match takes each part at the first place where it fits. No later place could
// do better, since what follows a part is any run of characters, so nothing is
// ever tried twice.
func (g *glob) match(s string) bool {
	if !g.open {
		return s == g.head
	}
	if len(s) < g.least || !strings.HasPrefix(s, g.head) || !strings.HasSuffix(s, g.tail) {
		return false
	}
	s = s[len(g.head) : len(s)-len(g.tail)]
	for _, part := range g.middle {
		i := strings.Index(s, part)
		if i < 0 {
			return false
		}
		s = s[i+len(part):]
	}
	return true
}
