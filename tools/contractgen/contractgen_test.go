package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// The directory of the contract in this repository.
const contractDir = "../../enforcement/v1"

func TestCheckedInFileIsGenerated(t *testing.T) {
	if err := run([]string{"-check", contractDir}, io.Discard); err != nil {
		t.Error(err)
	}
}

func TestGenerateIsDeterministic(t *testing.T) {
	source, err := os.ReadFile(filepath.Join(contractDir, protoName))
	if err != nil {
		t.Fatal(err)
	}
	first := mustGenerate(t, string(source))
	for range 5 {
		if !bytes.Equal(mustGenerate(t, string(source)), first) {
			t.Fatal("the same proto file gave two Go files")
		}
	}
}

func TestRun(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}

	if err := run([]string{dir}, io.Discard); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("without a proto file: %v", err)
	}
	write(protoName, proto("// Doc.\nmessage M {\n// Doc.\nstring a = 1;\n}"))
	if err := run([]string{"-check", dir}, io.Discard); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("check without a Go file: %v", err)
	}
	if err := run([]string{dir}, io.Discard); err != nil {
		t.Fatal(err)
	}
	if err := run([]string{"-check", dir}, io.Discard); err != nil {
		t.Errorf("check of what was just written: %v", err)
	}
	// A comment is enough: the hash of the source is in the Go file.
	write(protoName, proto("// Doc!\nmessage M {\n// Doc.\nstring a = 1;\n}"))
	if err := run([]string{"-check", dir}, io.Discard); err == nil || !strings.Contains(err.Error(), "go generate") {
		t.Errorf("check of a changed proto file: %v", err)
	}
}

func TestRunUsage(t *testing.T) {
	for _, args := range [][]string{{}, {"a", "b"}, {"-unknown", "a"}} {
		var stderr bytes.Buffer
		if err := run(args, &stderr); !errors.Is(err, errUsage) || !strings.Contains(stderr.String(), "usage: contractgen") {
			t.Errorf("%q: %v, %q", args, err, stderr.String())
		}
	}
	if err := run([]string{"-h"}, io.Discard); err != nil {
		t.Errorf("-h: %v", err)
	}
}

func TestGenerate(t *testing.T) {
	source := proto(`
// Speaker speaks.
service Speaker {
  // Speak speaks.
  rpc Speak(Word) returns (Word);
}

// Word is a word.
// It has two lines.
message Word {
  // The last.
  string run_id = 9;
  // The first.
  Part part = 1 [(always_written) = true];
  // The second.
  Part other_part = 2;
  // The third.
  repeated string refs = 3;
}

// Part is a part.
message Part {
  // How many.
  int32 head_sha = 1;
  // Whether.
  bool done = 2;
}`)
	got := string(mustGenerate(t, source))
	for _, want := range []string{
		"package pkg\n",
		"// Speaker speaks.\ntype Speaker interface {\n\t// Speak speaks.\n\tSpeak(context.Context, *Word) (*Word, error)\n}\n",
		"// Word is a word.\n// It has two lines.\ntype Word struct {\n" +
			"\t// The first.\n\tPart Part `json:\"part\"`\n" +
			"\t// The second.\n\tOtherPart *Part `json:\"other_part,omitempty\"`\n" +
			"\t// The third.\n\tRefs []string `json:\"refs,omitempty\"`\n" +
			"\t// The last.\n\tRunID string `json:\"run_id,omitempty\"`\n}\n",
		"HeadSHA int32 `json:\"head_sha,omitempty\"`",
		"Done bool `json:\"done,omitempty\"`",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("lacks\n%s", want)
		}
	}
	if strings.Contains(string(mustGenerate(t, proto("// Doc.\nmessage Empty {}"))), `"context"`) {
		t.Error("imports context without a service")
	}
}

func TestParseRefuses(t *testing.T) {
	tests := []struct {
		name string
		body string // from line 8 on
		want []string
	}{
		{"syntax", "message {", []string{":8:"}},
		{"no comment on a message", "message M {}", []string{":8: test.M has no comment"}},
		{"no comment on a field", "// Doc.\nmessage M {\n string a = 1;\n}", []string{":10: test.M.a has no comment"}},
		{"enum", "// Doc.\nenum E { ZERO = 0; }", []string{":9: test.E is an enum"}},
		{"enum inside", "// Doc.\nmessage M {\n enum E { ZERO = 0; }\n}", []string{":10: test.M.E is an enum"}},
		{"message inside", "// Doc.\nmessage M {\n message N {}\n}", []string{":10: test.M.N stands inside a message"}},
		{"map", oneField("map<string, string> a = 1;"), []string{":11: test.M.a is a map"}},
		{"oneof", oneField("oneof x { string a = 1; }"), []string{"test.M.a is optional or stands in a oneof"}},
		{"optional", oneField("optional string a = 1;"), []string{":11: test.M.a is optional"}},
		{"repeated number", oneField("repeated int32 a = 1;"), []string{":11: test.M.a repeats a int32"}},
		{"bytes", oneField("bytes a = 1;"), []string{":11: test.M.a is of type bytes"}},
		{"int64", oneField("int64 a = 1;"), []string{":11: test.M.a is of type int64"}},
		{"always written string", oneField("string a = 1 [(always_written) = true];"), []string{":11: test.M.a is marked always_written"}},
		{"another file's message", oneField("google.protobuf.FieldOptions a = 1;"), []string{":11: test.M.a is of another file's message"}},
		{"holds itself", oneField("M a = 1;"), []string{":9: test.M can hold itself"}},
		{"holds itself through another", oneField("N a = 1;") + "\n// Doc.\nmessage N {\n// Doc.\nM b = 1;\n}",
			[]string{"test.M can hold itself", "test.N can hold itself"}},
		{"stream", "// Doc.\nmessage M {}\n// Doc.\nservice S {\n// Doc.\nrpc R(stream M) returns (M);\n}", []string{":13: test.S.R streams"}},
		{"unknown option", "extend google.protobuf.FieldOptions {\n bool other = 50002;\n}", []string{":9: test.other is an option"}},
		{"all at once", oneField("bytes a = 1;") + "\nmessage N {}", []string{"test.M.a is of type bytes", "test.N has no comment"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := parse(protoName, []byte(proto(test.body)))
			if err == nil {
				t.Fatal("accepted")
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("got  %v\nwant %s", err, want)
				}
			}
		})
	}

	var many strings.Builder
	for i := range maxFields + 1 {
		many.WriteString("// Doc.\nstring a" + strings.Repeat("b", i) + " = " + strconv.Itoa(i+1) + ";\n")
	}
	if _, err := parse(protoName, []byte(proto("// Doc.\nmessage M {\n"+many.String()+"}"))); err == nil || !strings.Contains(err.Error(), "has 65 fields") {
		t.Errorf("65 fields: %v", err)
	}
	if _, err := parse(protoName, []byte("syntax = \"proto3\";\n")); err == nil || !strings.Contains(err.Error(), "names no Go package") {
		t.Errorf("no Go package: %v", err)
	}
	if _, err := parse(protoName, []byte("syntax = \"proto3\";\nimport \"other.proto\";\n")); err == nil {
		t.Error("imported a file that is none of ours")
	}
}

// proto puts declarations into a proto file. They start on line 8.
func proto(body string) string {
	return `syntax = "proto3";
package test;
import "google/protobuf/descriptor.proto";
option go_package = "example.com/pkg;pkg";
extend google.protobuf.FieldOptions {
  bool always_written = 50001;
}
` + body
}

// oneField is a message with one field, which stands on line 11.
func oneField(declaration string) string {
	return "// Doc.\nmessage M {\n// Doc.\n" + declaration + "\n}"
}

func mustGenerate(t *testing.T, source string) []byte {
	t.Helper()
	c, err := parse(protoName, []byte(source))
	if err != nil {
		t.Fatal(err)
	}
	out, err := generate(c)
	if err != nil {
		t.Fatal(err)
	}
	return out
}
