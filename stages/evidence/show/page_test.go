package show

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	enforcementv1 "github.com/Huzefaaa2/cavra/go/cavra-runtime/enforcement/v1"
	"github.com/Huzefaaa2/cavra/go/cavra-runtime/stages/evidence"
)

// hostile is text that a page must not obey.
var hostile = []string{
	`<script>document.title='ran'</script>`,
	`"><img src=https://elsewhere.example/x onerror="document.title='ran'">`,
	`' onmouseover='document.title=1`,
	`javascript:document.title='ran'`,
	`</style><style>@import "https://elsewhere.example/x"`,
	`</title></svg><iframe srcdoc="<script>parent.document.title='ran'</script>">`,
	`<!-- ]]> {{.Path}} ${x}`,
	"a\u202egnp.exe\u2066\u200b\x00\x1b[31m",
}

// pageOf writes the page of lines.
func pageOf(t testing.TB, o PageOptions, report evidence.Report, lines ...*evidence.Line) string {
	t.Helper()
	p := NewPage(o)
	for _, l := range lines {
		p.See(l)
	}
	var out bytes.Buffer
	if err := p.WritePage(&out, report); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// hostilePage is a page in which every field is hostile.
func hostilePage(t testing.TB) string {
	var lines []*evidence.Line
	for i, s := range hostile {
		for _, decision := range []string{"block", "require_approval", "allow", s} {
			l := line(uint64(i+1), start, enforcementv1.DecisionResponse{
				Decision: decision, Severity: s, RuleID: s, Actor: s, ActionType: s, Target: s, Reason: s, ApproverGroup: s,
			}, evidence.Fault{Kind: s, Message: s})
			l.Record.RecordID = s
			lines = append(lines, l)
		}
		event := line(uint64(i+1), start, enforcementv1.DecisionResponse{Reason: s})
		event.Record.EventType = s
		lines = append(lines, event)
	}
	filter, err := ParseFilter([]string{"actor!=<script>alert(1)</script>"}, "", start)
	if err != nil {
		t.Fatal(err)
	}
	all := strings.Join(hostile, " ")
	report := evidence.Report{Path: all, Errors: hostile, Warnings: hostile, HeadHash: all, Records: 1}
	return pageOf(t, PageOptions{Path: all, Made: start, Version: all, Filter: filter}, report, lines...)
}

func TestPageKeepsTextText(t *testing.T) {
	page := hostilePage(t)
	outside := regexp.MustCompile(`(?s)<style>.*?</style>`).ReplaceAllString(page, "")
	for _, tag := range regexp.MustCompile(`<[^>]*>`).FindAllString(outside, -1) {
		if strings.Contains(tag, "elsewhere") || regexp.MustCompile(`(?i)^<(script|img|iframe|link|object|embed|form|base)\b|\s(on\w+|style|src|srcdoc)=`).MatchString(tag) {
			t.Errorf("the page holds %q", tag)
		}
	}
	for _, r := range page {
		if r != '\n' && r != '\u202f' && !visible(r) {
			t.Fatalf("the page holds %U", r)
		}
	}
	if strings.Count(page, "<style>") != 1 || strings.Contains(page, "ZgotmplZ") {
		t.Error("text of the log came where it cannot be text")
	}
}

// The policy allows the page's own style and nothing else.
func TestPagePolicyKnowsItsStyle(t *testing.T) {
	page := pageOf(t, PageOptions{Made: start}, evidence.Report{Valid: true})
	style := regexp.MustCompile(`(?s)<style>(.*?)</style>`).FindStringSubmatch(page)[1]
	sum := sha256.Sum256([]byte(style))
	policy := regexp.MustCompile(`http-equiv="Content-Security-Policy" content="([^"]*)"`).FindStringSubmatch(page)[1]
	policy = strings.NewReplacer("&#39;", "'", "&#43;", "+").Replace(policy)
	want := "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; base-uri 'none'; form-action 'none'"
	if policy != want {
		t.Errorf("%q, want %q", policy, want)
	}
	if !strings.Contains(page[:512], Generator) {
		t.Error("a later run cannot tell the page from another file")
	}
}

func TestPageSaysWhatTheLogSays(t *testing.T) {
	asks := enforcementv1.DecisionResponse{Decision: "require_approval", Severity: "medium", RuleID: "commands.unresolved", Actor: "maria", ActionType: "execute_command", Target: "make $X", ApproverGroup: "Repository Owners"}
	repair := line(6, start, enforcementv1.DecisionResponse{Reason: "The end was cut off."})
	repair.Record.EventType = evidence.EventLogRepaired
	lines := []*evidence.Line{
		line(1, start, allowed("README.md")), line(2, start.Add(time.Hour), blocked("server.pem")), line(3, start.Add(2*time.Hour), asks),
		line(4, start, blocked("changed.pem"), evidence.Fault{Kind: evidence.KindHash}), {Number: 5, Faults: []evidence.Fault{{Kind: evidence.KindSchema}}}, repair,
	}
	valid := evidence.Report{Valid: true, Records: 6, SignedRecords: 6, FirstSequence: 1, LastSequence: 6, HeadHash: strings.Repeat("a", 64)}
	broken := valid
	broken.Valid, broken.Errors, broken.Warnings = false, []string{"line 4: it was changed"}, []string{"the clock went back"}
	writing := valid
	writing.InProgress = true
	checked := valid
	checked.Root, checked.Missing = "the-root", []string{"log.000001"}
	checked.Files = []evidence.FileReport{{Path: "log.000002", Records: 2, FirstSequence: 4, LastSequence: 5}, {Path: "log"}}
	checked.Checkpoints = []evidence.CheckpointStatus{{Path: "kept", Size: 1, Verified: true, Covered: true}, {Path: "log.checkpoint", Size: 9}}
	blocks, err := ParseFilter([]string{"decision=block"}, "", start)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name     string
		o        PageOptions
		report   evidence.Report
		want, no []string
	}{
		{"whole, signed", PageOptions{Signed: true}, valid,
			[]string{"The chain is whole<", "signed by the key", valid.HeadHash, "server.pem", "make $X", "Approval: Repository Owners", "log_repaired", "The end was cut off.", "bad hash", "all records", "What this page does not prove"},
			[]string{"no signature was checked", "README.md"}},
		{"whole, no key", PageOptions{}, valid, []string{"so no signature was checked"}, []string{"signed by the key"}},
		{"broken", PageOptions{}, broken, []string{"The chain is broken", "line 4: it was changed", "the clock went back", "may be false"}, []string{"The chain is whole"}},
		{"a writer at work", PageOptions{}, writing, []string{"The chain is whole so far", "A writer was at work"}, nil},
		{"held to checkpoints", PageOptions{}, checked, []string{"the-root", "log.000001", "records 4 to 5", "no record",
			"<code>kept</code>, over the first 1 record: the log holds what it covers; its signature is good",
			"the log does not hold what it covers</strong>; its signature was not verified"}, nil},
		{"filtered", PageOptions{Filter: blocks}, valid, []string{"only what meets <code>decision=block</code>", "server.pem"}, []string{"make $X", "all records"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			page := pageOf(t, test.o, test.report, lines...)
			for _, text := range test.want {
				if !strings.Contains(page, text) {
					t.Errorf("the page does not say %q", text)
				}
			}
			for _, text := range test.no {
				if strings.Contains(page, text) {
					t.Errorf("the page says %q", text)
				}
			}
		})
	}
}

// Long lists are cut, and say so.
func TestPageIsBounded(t *testing.T) {
	p := NewPage(PageOptions{Made: start})
	const n = 3 * maxNames
	long := strings.Repeat("x", 10*maxText)
	for i := range uint64(n) {
		response := blocked(fmt.Sprint("target-", i, "-", long))
		response.Actor = fmt.Sprint("actor-", i)
		p.See(line(i+1, start.Add(time.Duration(i)*time.Minute), response))
	}
	var out bytes.Buffer
	if err := p.WritePage(&out, evidence.Report{}); err != nil {
		t.Fatal(err)
	}
	if out.Len() > 4<<20 {
		t.Errorf("the page has %d bytes", out.Len())
	}
	page := strings.ReplaceAll(out.String(), "\u202f", "")
	for _, text := range []string{
		fmt.Sprintf("%d more came before them", n-maxActions), fmt.Sprintf("target-%d-", n-1), "(further names)",
		fmt.Sprintf("and %d more with fewer decisions", maxNames+1-maxRows),
	} {
		if !strings.Contains(page, text) {
			t.Errorf("the page does not say %q", text)
		}
	}
	if strings.Contains(page, fmt.Sprintf("target-%d-", n-maxActions-1)) {
		t.Error("the list is longer than it says")
	}
}
