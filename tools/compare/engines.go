package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"

	"github.com/cedar-policy/cedar-go"
	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
	"github.com/open-policy-agent/opa/v1/topdown/cache"

	enforcementv1 "github.com/Huzefaaa2/cavra/go/cavra-runtime/enforcement/v1"
	"github.com/Huzefaaa2/cavra/go/cavra-runtime/pipeline"
	"github.com/Huzefaaa2/cavra/go/cavra-runtime/stages/evaluate"
)

// An engine judges commands by rules that it was prepared with: it says blocked,
// allowed or unknown. What can be prepared is, so that only judging is measured.
type engine struct {
	name  string
	judge func(command string) (string, error)
}

// engines are the three, ours first.
func engines(r rules) ([]engine, error) {
	var list []engine
	for _, prepare := range []func(rules) (engine, error){prepareOurs, prepareCedar, prepareOPA} {
		e, err := prepare(r)
		if err != nil {
			return nil, fmt.Errorf("preparing %s: %w", e.name, err)
		}
		list = append(list, e)
	}
	return list, nil
}

// prepareOurs makes the evaluate stage, as a daemon with --policy does. Beside the
// patterns it looks for what a shell would run and for the runtime's own files,
// which the others do not.
func prepareOurs(r rules) (engine, error) {
	e := engine{name: "cavra"}
	text, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"id": "compare"},
		"commands": map[string]any{"block": r.block, "allow": r.allow},
	})
	if err != nil {
		return e, err
	}
	dir, err := os.MkdirTemp("", "compare")
	if err != nil {
		return e, err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "policy.json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		return e, err
	}
	stage, err := evaluate.New(evaluate.Options{Policy: file}, pipeline.Env{Workspace: dir})
	if err != nil {
		return e, err
	}
	answers := map[string]string{"commands.block": blocked, "commands.allow": allowed, "commands.default.require_approval": unknown}
	e.judge = func(command string) (string, error) {
		v := stage.Judge(&enforcementv1.EvaluateRequest{ActionType: enforcementv1.ActionExecuteCommand, Target: command}, pipeline.Anonymous)
		answer, ok := answers[v.RuleID]
		if !ok {
			return "", errors.New(v.RuleID + ": " + v.Reason)
		}
		return answer, nil
	}
	return e, nil
}

// prepareCedar makes a policy of each pattern, so that an answer names the one that
// decided, as ours does.
func prepareCedar(r rules) (engine, error) {
	e := engine{name: "cedar"}
	var text strings.Builder
	write := func(effect string, patterns []string) {
		for _, pattern := range patterns {
			// The patterns hold nothing that is special to Cedar but the star.
			fmt.Fprintf(&text, "%s (principal, action == Action::\"execute_command\", resource) when { context.command like %q };\n", effect, pattern)
		}
	}
	write("forbid", r.block)
	write("permit", r.allow)
	policies, err := cedar.NewPolicySetFromBytes("compare.cedar", []byte(text.String()))
	if err != nil {
		return e, err
	}
	agent, run, host := cedar.NewEntityUID("Agent", "a"), cedar.NewEntityUID("Action", "execute_command"), cedar.NewEntityUID("Host", "h")
	e.judge = func(command string) (string, error) {
		decision, diagnostic := cedar.Authorize(policies, cedar.EntityMap{}, cedar.Request{
			Principal: agent, Action: run, Resource: host,
			Context: cedar.NewRecord(cedar.RecordMap{"command": cedar.String(command)}),
		})
		switch {
		case len(diagnostic.Errors) > 0:
			return "", errors.New(diagnostic.Errors[0].Message)
		case decision == cedar.Allow:
			return allowed, nil
		case len(diagnostic.Reasons) > 0:
			return blocked, nil
		}
		return unknown, nil
	}
	return e, nil
}

const policyOfOPA = `package compare

default decision := "unknown"

decision := "block" if {
	some pattern in data.block
	glob.match(pattern, null, input.command)
} else := "allow" if {
	some pattern in data.allow
	glob.match(pattern, null, input.command)
}
`

// prepareOPA makes a prepared query over the patterns as data, kept as the values
// that rego computes with, and with room for every compiled pattern: by default
// most would be compiled again for each question.
func prepareOPA(r rules) (engine, error) {
	e := engine{name: "opa"}
	ctx := context.Background()
	list := func(texts []string) []any {
		values := make([]any, len(texts))
		for i, text := range texts {
			values[i] = text
		}
		return values
	}
	entries, bytes := len(r.block)+len(r.allow)+1, int64(math.MaxInt64)
	query, err := rego.New(
		rego.Query("data.compare.decision"),
		rego.Module("compare.rego", policyOfOPA),
		rego.Store(inmem.NewFromObjectWithOpts(
			map[string]any{"block": list(r.block), "allow": list(r.allow)}, inmem.OptReturnASTValuesOnRead(true))),
		rego.InterQueryBuiltinValueCache(cache.NewInterQueryValueCache(ctx, &cache.Config{
			InterQueryBuiltinCache:      cache.InterQueryBuiltinCacheConfig{MaxSizeBytes: &bytes},
			InterQueryBuiltinValueCache: cache.InterQueryBuiltinValueCacheConfig{MaxNumEntries: &entries},
		})),
	).PrepareForEval(ctx)
	if err != nil {
		return e, err
	}
	name := ast.StringTerm("command")
	e.judge = func(command string) (string, error) {
		input := ast.NewObject([2]*ast.Term{name, ast.StringTerm(command)})
		results, err := query.Eval(ctx, rego.EvalParsedInput(input))
		if err != nil {
			return "", err
		}
		if len(results) != 1 || len(results[0].Expressions) != 1 {
			return "", fmt.Errorf("%d results", len(results))
		}
		answer, ok := results[0].Expressions[0].Value.(string)
		if !ok {
			return "", fmt.Errorf("the result is %v", results[0].Expressions[0].Value)
		}
		return answer, nil
	}
	return e, nil
}
