package main

import (
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/Huzefaaa2/cavra/go/cavra-runtime/stages/auth"
	"github.com/Huzefaaa2/cavra/go/cavra-runtime/stages/decode"
	"github.com/Huzefaaa2/cavra/go/cavra-runtime/stages/evaluate"
	"github.com/Huzefaaa2/cavra/go/cavra-runtime/stages/evidence"
	"github.com/Huzefaaa2/cavra/go/cavra-runtime/stages/redact"
)

// TestEveryOptionIsDocumented compares the structs that the configuration is
// decoded into with the tables of docs/configuration.md.
func TestEveryOptionIsDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "\n## ")
	sections := map[string]string{}
	for _, section := range strings.Split(rest, "\n## ") {
		name, body, _ := strings.Cut(section, "\n")
		var first []string // the first column of its tables
		for _, line := range strings.Split(body, "\n") {
			if cells := strings.Split(line, "|"); len(cells) > 2 {
				first = append(first, strings.Split(strings.TrimSpace(cells[1]), ", ")...)
			}
		}
		sections[name] = " " + strings.Join(first, " ") + " "
	}
	for section, options := range map[string]any{
		"server":           serverConfig{},
		"stages: decode":   decode.Options{},
		"stages: auth":     auth.Options{},
		"stages: evaluate": evaluate.Options{},
		"stages: redact":   redact.Options{},
		"stages: evidence": evidence.Options{},
	} {
		if _, ok := sections[section]; !ok {
			t.Errorf("there is no section %q", section)
		}
		for field := range reflect.TypeOf(options).Fields() {
			name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			if !strings.Contains(sections[section], " "+name+" ") {
				t.Errorf("section %q does not list %s", section, name)
			}
		}
	}
}
