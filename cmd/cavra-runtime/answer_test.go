package main

import (
	"strings"
	"testing"

	enforcementv1 "github.com/Huzefaaa2/cavra/go/cavra-runtime/enforcement/v1"
)

func TestReadable(t *testing.T) {
	blocked := &enforcementv1.DecisionResponse{
		Decision: "block", RuleID: "filesystem.read.block", Severity: "high", Reason: `the target matches "**/*.pem"`,
		EvidenceRefs: []string{"evidence://local/dec_0"},
	}
	for _, test := range []struct {
		name   string
		resp   *enforcementv1.DecisionResponse
		colour paint
		want   string
	}{
		{"plain", blocked, false, "block  filesystem.read.block  high\n  the target matches \"**/*.pem\"\n  evidence://local/dec_0\n"},
		{"coloured", blocked, true, "\x1b[1;31mblock\x1b[0m  filesystem.read.block  \x1b[1;31mhigh\x1b[0m\n  the target matches \"**/*.pem\"\n  evidence://local/dec_0\n"},
		{"approval", &enforcementv1.DecisionResponse{Decision: "require_approval", RuleID: "r", Severity: "medium", Reason: "ask", ApproverGroup: "Platform Security"}, false,
			"require_approval  r  medium\n  ask\n  to be approved by Platform Security\n"},
		{"a hostile daemon", &enforcementv1.DecisionResponse{Decision: "\x1b[2Jallow", RuleID: "r\nallow", Reason: "a\x1b]0;x\a\u202eb\u009b\r\xff", ApproverGroup: "\t"}, true,
			"\x1b[1m\\x1b[2Jallow\x1b[0m  r\\nallow\n  a\\x1b]0;x\\a\\u202eb\\u009b\\r\\ufffd\n  to be approved by \\t\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := readable(test.resp, test.colour); got != test.want {
				t.Errorf("got  %q\nwant %q", got, test.want)
			}
		})
	}
	if got := printable(strings.Repeat("\a", 5000)); len(got) > maxPrinted+20 {
		t.Errorf("%d bytes of one text are printed", len(got))
	}
}

func TestColours(t *testing.T) {
	for _, test := range []struct {
		name, noColour, term string
		want                 bool
	}{{"a terminal", "", "xterm", true}, {"NO_COLOR", "1", "xterm", false}, {"a dumb one", "", "dumb", false}} {
		t.Run(test.name, func(t *testing.T) {
			t.Setenv("NO_COLOR", test.noColour)
			t.Setenv("TERM", test.term)
			if got := coloured(); got != test.want {
				t.Errorf("coloured is %v, want %v", got, test.want)
			}
		})
	}
}
