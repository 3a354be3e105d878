package pipeline

import (
	"fmt"
	"strings"

	"github.com/hashicorp/go-multierror"
)

// isStageName reports whether name is up to 40 of a-z, 0-9, "-" and "_", a letter
// first. It is no regexp, which every start of a client would compile.
func isStageName(name string) bool {
	return name != "" && len(name) <= 40 && name[0] >= 'a' && name[0] <= 'z' &&
		strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789_-") == ""
}

// checkOrder finds every fault of an order of stages. Each message names the
// stage, what is wrong with its place, and where it belongs.
func checkOrder(specs []Spec) error {
	var faults *multierror.Error
	fault := func(format string, args ...any) {
		faults = multierror.Append(faults, fmt.Errorf(format, args...))
	}

	giver := map[Fact]int{} // by single fact
	named := map[string]bool{}
	for i, s := range specs {
		switch {
		case !isStageName(s.Name):
			fault("stage %d: the name %q is not a stage name; use up to 40 of a-z, 0-9, \"-\" and \"_\", a letter first", i+1, s.Name)
		case named[s.Name]:
			fault("stage %s is listed twice; list each stage once", s.Name)
		}
		named[s.Name] = true
		if s.Phase != Decide && s.Phase != Record {
			fault("stage %s: its Spec names no phase; set it to Decide or Record", s.Name)
		}
		if s.Phase == Decide && s.Gives&recordFacts != 0 {
			fault("stage %s decides and gives %v, which only a Record stage can give", s.Name, s.Gives&recordFacts)
		}
		if s.Phase == Record && s.Gives&decideFacts != 0 {
			fault("stage %s records and gives %v, which only a Decide stage can give", s.Name, s.Gives&decideFacts)
		}
		for f := range s.Gives.each {
			if first, taken := giver[f]; taken {
				fault("stages %s and %s both give %v; list one of them", specs[first].Name, s.Name, f)
			} else {
				giver[f] = i
			}
		}
	}

	recording := -1 // the first Record stage
	for i, s := range specs {
		if s.Phase == Record && recording < 0 {
			recording = i
		}
		if s.Phase == Decide && recording >= 0 {
			fault("stage %s decides and stands after %s, which records; list it before %s", s.Name, specs[recording].Name, specs[recording].Name)
		}
		for f := range s.Needs.each {
			g, given := giver[f]
			switch {
			case !given:
				fault("stage %s needs %v, which no stage gives; list the stage that gives it", s.Name, f)
			case s.Phase == Record && specs[g].Phase == Decide:
				fault("stage %s records and needs %v of %s, which decides; a Record stage also runs where no request was read, so it may need only what Record stages give", s.Name, f, specs[g].Name)
			case g == i:
				fault("stage %s needs %v, which it gives itself", s.Name, f)
			case g > i:
				fault("stage %s needs %v, which %s gives later; list %s before %s", s.Name, f, specs[g].Name, specs[g].Name, s.Name)
			}
		}
	}

	if _, ok := giver[FactDecision]; !ok {
		fault("no stage gives a decision, so nothing could ever be allowed; list evaluate")
	}
	if _, ok := giver[FactRedacted]; !ok {
		fault("no stage redacts, so nothing could be sent; list redact")
	}
	if g, ok := giver[FactEvidence]; ok && g != len(specs)-1 {
		fault("stage %s makes the record and is followed by %s, which could still change the answer; list %s last", specs[g].Name, specs[g+1].Name, specs[g].Name)
	}
	return faults.ErrorOrNil()
}

// each iterates over the single facts of f.
func (f Fact) each(yield func(Fact) bool) {
	for ; f != 0; f &= f - 1 {
		if !yield(f & -f) {
			return
		}
	}
}
