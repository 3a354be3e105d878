package pipeline_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/hashicorp/go-multierror"

	"github.com/Huzefaaa2/cavra/go/cavra-runtime/pipeline"
)

func TestOfThe120OrdersOneIsAccepted(t *testing.T) {
	var accepted []string
	orders := 0
	permute(newFive().stages(), func(stages []pipeline.Stage) {
		orders++
		chain, err := pipeline.New(stages, pipeline.Options{})
		if err == nil {
			accepted = append(accepted, chain.String())
			return
		}
		var all *multierror.Error
		if !errors.As(err, &all) || len(all.Errors) == 0 {
			t.Errorf("the error is a %T: %v", err, err)
		}
	})
	if orders != 120 || len(accepted) != 1 || accepted[0] != "decode > auth > evaluate | redact > evidence" {
		t.Errorf("of %d orders New accepts %q", orders, accepted)
	}
}

func permute(stages []pipeline.Stage, visit func([]pipeline.Stage)) {
	var from func(int)
	from = func(i int) {
		if i == len(stages) {
			visit(append([]pipeline.Stage(nil), stages...))
			return
		}
		for j := i; j < len(stages); j++ {
			stages[i], stages[j] = stages[j], stages[i]
			from(i + 1)
			stages[i], stages[j] = stages[j], stages[i]
		}
	}
	from(0)
}

func TestEveryOrderFaultIsNamed(t *testing.T) {
	stage := func(name string, phase pipeline.Phase, needs, gives pipeline.Fact) pipeline.Stage {
		return &fake{spec: pipeline.Spec{Name: name, Phase: phase, Needs: needs, Gives: gives}}
	}
	five := func() []pipeline.Stage { return newFive().stages() }
	with := func(at int, s pipeline.Stage) []pipeline.Stage {
		stages := five()
		return append(stages[:at:at], append([]pipeline.Stage{s}, stages[at:]...)...)
	}
	without := func(at int) []pipeline.Stage {
		stages := five()
		return append(stages[:at:at], stages[at+1:]...)
	}
	swap := func(i, j int) []pipeline.Stage {
		stages := five()
		stages[i], stages[j] = stages[j], stages[i]
		return stages
	}
	const d, r = pipeline.Decide, pipeline.Record

	for _, c := range []struct {
		name   string
		stages []pipeline.Stage
		want   []string
	}{
		{"no stages", nil, []string{
			"no stage gives a decision, so nothing could ever be allowed; list evaluate",
			"no stage redacts, so nothing could be sent; list redact"}},
		{"a nil stage", with(1, nil), []string{"stage 2 of the chain is nil"}},
		{"no name", with(0, stage("", d, 0, 0)), []string{`stage 1: the name "" is not a stage name; use up to 40 of a-z, 0-9, "-" and "_", a letter first`}},
		{"a bad name", with(0, stage("Rate Limit", d, 0, 0)), []string{`stage 1: the name "Rate Limit" is not a stage name; use up to 40 of a-z, 0-9, "-" and "_", a letter first`}},
		{"a name twice", with(1, stage("decode", d, 0, 0)), []string{"stage decode is listed twice; list each stage once"}},
		{"no phase", with(0, stage("odd", 0, 0, 0)), []string{"stage odd: its Spec names no phase; set it to Decide or Record"}},
		{"a Decide stage that redacts", with(0, stage("odd", d, 0, pipeline.FactRedacted)), []string{
			"stage odd decides and gives redacted, which only a Record stage can give",
			"stages odd and redact both give redacted; list one of them",
			"stage evidence records and needs redacted of odd, which decides; a Record stage also runs where no request was read, so it may need only what Record stages give"}},
		{"a Record stage that decides", with(3, stage("odd", r, 0, pipeline.FactDecision)), []string{
			"stage odd records and gives decision, which only a Decide stage can give",
			"stages evaluate and odd both give decision; list one of them"}},
		{"two that decide", with(2, stage("other", d, 0, pipeline.FactDecision)), []string{"stages other and evaluate both give decision; list one of them"}},
		{"auth before decode", swap(0, 1), []string{"stage auth needs request, which decode gives later; list decode before auth"}},
		{"evidence before redact", swap(3, 4), []string{
			"stage evidence needs redacted, which redact gives later; list redact before evidence",
			"stage evidence makes the record and is followed by redact, which could still change the answer; list evidence last"}},
		{"Decide after Record", swap(2, 3), []string{"stage evaluate decides and stands after redact, which records; list it before redact"}},
		{"no auth", without(1), []string{"stage evaluate needs identity, which no stage gives; list the stage that gives it"}},
		{"no evaluate", without(2), []string{"no stage gives a decision, so nothing could ever be allowed; list evaluate"}},
		{"no redact", without(3), []string{
			"stage evidence needs redacted, which no stage gives; list the stage that gives it",
			"no stage redacts, so nothing could be sent; list redact"}},
		{"a Record stage that needs the request", with(4, stage("audit", r, pipeline.FactRequest, 0)), []string{
			"stage audit records and needs request of decode, which decides; a Record stage also runs where no request was read, so it may need only what Record stages give"}},
		{"a stage that needs itself", with(1, stage("loop", d, ticket.Fact(), ticket.Fact())), []string{"stage loop needs test ticket, which it gives itself"}},
		{"a stage after evidence", with(5, stage("after", r, 0, 0)), []string{"stage evidence makes the record and is followed by after, which could still change the answer; list evidence last"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := pipeline.New(c.stages, pipeline.Options{})
			var all *multierror.Error
			if !errors.As(err, &all) {
				t.Fatalf("the error is a %T: %v", err, err)
			}
			var got []string
			for _, e := range all.Errors {
				got = append(got, e.Error())
			}
			if strings.Join(got, "\n") != strings.Join(c.want, "\n") {
				t.Errorf("got\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(c.want, "\n\t"))
			}
		})
	}

	t.Run("a chain may do without evidence", func(t *testing.T) {
		if _, err := pipeline.New(without(4), pipeline.Options{}); err != nil {
			t.Error(err)
		}
	})
}
