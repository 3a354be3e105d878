package main

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
)

// What a command comes to by the rules: a block wins over an allow.
const (
	blocked = "block"
	allowed = "allow"
	unknown = "unknown" // no pattern matches
)

// Rules are two lists of patterns of commands, in which "*" stands for any run of
// characters. Each engine gets the same ones in its own language. They hold lower
// case letters, digits, blanks and "-_=./" beside the star: what means itself in
// all three languages.
type rules struct{ block, allow []string }

// manyRules are n patterns of the kinds that people write, half of them to block.
func manyRules(n int) rules {
	var r rules
	for i := range n {
		var text string
		switch i / 2 % 5 {
		case 0:
			text = fmt.Sprintf("tool-%06d *", i)
		case 1:
			text = fmt.Sprintf("terraform apply -target=module.m%06d", i)
		case 2:
			text = fmt.Sprintf("deploy push *release-%06d", i)
		case 3:
			text = fmt.Sprintf("*token_%06d*", i)
		case 4:
			text = fmt.Sprintf("release drop * --channel=c-%06d*", i)
		}
		if i%2 == 0 {
			r.block = append(r.block, text)
		} else {
			r.allow = append(r.allow, text)
		}
	}
	return r
}

// A question is a command, and what the rules say of it.
type question struct{ name, command, want string }

// questions ask about the first pattern, the last one and none.
func (r rules) questions() []question {
	like := func(pattern string) string { return strings.ReplaceAll(pattern, "*", "x") }
	return []question{
		{"first blocks", like(r.block[0]), blocked},
		{"last blocks", like(r.block[len(r.block)-1]), blocked},
		{"last allows", like(r.allow[len(r.allow)-1]), allowed},
		{"none matches", "terraform plan", unknown},
	}
}

// randomRules are few rules of few letters, so that random commands match them.
func randomRules(random *rand.Rand) rules {
	list := func() (texts []string) {
		for range random.IntN(12) {
			texts = append(texts, randomText(random, "ab -*"))
		}
		// A policy needs a rule.
		return append(texts, "zz"+randomText(random, "ab*"))
	}
	return rules{block: list(), allow: list()}
}

// randomCommand is of plain words: what stands alone in it runs nothing else, so
// that the three are asked the same.
func randomCommand(random *rand.Rand, r rules) string {
	text := randomText(random, "aab -")
	if random.IntN(2) == 0 {
		list := slices.Concat(r.block, r.allow)
		text = strings.ReplaceAll(list[random.IntN(len(list))], "*", text)
	}
	return strings.Join(strings.Fields("a"+text), " ")
}

func randomText(random *rand.Rand, letters string) string {
	text := make([]byte, 1+random.IntN(8))
	for i := range text {
		text[i] = letters[random.IntN(len(letters))]
	}
	return string(text)
}
