package evaluate

import (
	"slices"
	"strings"
)

// A pattern is one pattern of a policy. "*" and "**" stand for any run of
// characters, "/" and newline included; a leading "**/" stands for nothing as
// well, so that "**/*.pem" matches "server.pem"; everything else is literal. A
// pattern matches a whole value.
type pattern struct {
	text  string // as the policy spells it
	globs []glob // one of them must match
}

// A glob is literal text with any run of characters between its parts.
type glob struct {
	head, tail string   // what the value begins and ends with
	middle     []string // what stands between them, in this order
	open       bool     // there is a star; without one the value is head
	least      int      // bytes that a value needs
}

// patterns are the patterns of one list. They are only ever asked as a list, so
// that one automaton could take their place.
type patterns []pattern

// compilePatterns prepares a list for matching.
func compilePatterns(texts []string) patterns {
	if len(texts) == 0 {
		return nil
	}
	list := make(patterns, len(texts))
	for i, text := range texts {
		list[i] = compilePattern(text)
	}
	return list
}

// match is the index of the first pattern that matches s, or -1. Its time is
// linear in the length of s for each pattern.
func (list patterns) match(s string) int {
	for i := range list {
		for j := range list[i].globs {
			if list[i].globs[j].match(s) {
				return i
			}
		}
	}
	return -1
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

func compilePattern(text string) pattern {
	rest, deep := text, false
	for strings.HasPrefix(rest, "**/") {
		rest, deep = rest[len("**/"):], true
	}
	if !deep {
		return pattern{text, []glob{compileGlob(text)}}
	}
	return pattern{text, []glob{compileGlob(rest), compileGlob("*/" + rest)}}
}

func compileGlob(text string) glob {
	parts := strings.Split(text, "*")
	last := len(parts) - 1
	g := glob{head: parts[0], least: len(parts[0])}
	if last == 0 {
		return g
	}
	g.open, g.tail = true, parts[last]
	g.least += len(g.tail)
	for _, part := range parts[1:last] {
		if part != "" {
			g.middle = append(g.middle, part)
			g.least += len(part)
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
