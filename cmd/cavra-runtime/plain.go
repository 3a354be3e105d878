package main

import (
	"cmp"
	"os"
	"reflect"
	"slices"
	"strings"
	"unicode"
)

// parsePlain reads the command line of a client where it is plain: --daemon, and
// flags of one value each. It is nil for any other, which is the parser's business,
// as are all faults. A client is a process for each question, and the parser alone
// takes longer than the question.
//
// The tags of cli are the grammar here as they are there.
func parsePlain(args []string) *cli {
	if !slices.Contains(args, "--daemon") {
		return nil
	}
	c := &cli{}
	target := reflect.ValueOf(c).Elem()
	grammar := target.Type()
	fields := make(map[string]int, grammar.NumField()) // by flag
	for i := range grammar.NumField() {
		if f := grammar.Field(i); f.IsExported() {
			fields[flagName(f)] = i
		}
	}
	given := make([]bool, grammar.NumField())
	for len(args) > 0 {
		name, value, joined := strings.Cut(args[0], "=")
		args = args[1:]
		name, long := strings.CutPrefix(name, "--")
		i, known := fields[name]
		if !long || !known || given[i] {
			return nil
		}
		given[i] = true
		switch into := target.Field(i); into.Kind() {
		case reflect.Bool:
			if joined {
				return nil
			}
			into.SetBool(true)
		case reflect.String:
			if !joined && len(args) > 0 {
				value, args = args[0], args[1:]
				joined = !strings.HasPrefix(value, "-")
			}
			if !joined || value == "" {
				return nil
			}
			into.SetString(value)
		default:
			return nil
		}
	}
	modes := 0
	for _, i := range fields {
		tag, into := grammar.Field(i).Tag, target.Field(i)
		env := os.Getenv(tag.Get("env"))
		switch {
		case given[i] && tag.Get("xor") != "":
			modes++
		case given[i]:
		case into.Kind() == reflect.String:
			into.SetString(cmp.Or(env, tag.Get("default")))
		case env != "":
			return nil
		}
	}
	if modes != 1 || c.fault() != "" {
		return nil
	}
	return c
}

// flagName is the flag that a field of cli stands for: what its tag says, or the
// words of its name joined by hyphens.
func flagName(field reflect.StructField) string {
	if name := field.Tag.Get("name"); name != "" {
		return name
	}
	var b strings.Builder
	lower := false
	for _, r := range field.Name {
		if lower && unicode.IsUpper(r) {
			b.WriteByte('-')
		}
		lower = unicode.IsLower(r)
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}
