package document_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-multierror"

	"github.com/Huzefaaa2/cavra/go/cavra-runtime/document"
)

type config struct {
	Listen  string         `json:"listen"`
	Limit   document.Bytes `json:"limit"`
	Timeout time.Duration  `json:"timeout"`
	Sync    bool           `json:"sync"`
	Conns   int16          `json:"conns"`
	Peers   []uint32       `json:"peers"`
	Ratio   float64        `json:"ratio"`
	Labels  map[string]int `json:"labels"`
	Log     *logging       `json:"log"`
	Stages  []stage        `json:"stages"`
	Path    string         `json:"-"`
}

type logging struct {
	Level string `json:"level"`
	JSON  bool   `json:"json"`
}

type stage struct {
	Name    string         `json:"name"`
	Options *document.Node `json:"options"`
}

// checkFaults compares a whole error text, one fault a line.
func checkFaults(t *testing.T, err error, want string) {
	t.Helper()
	got := ""
	if err != nil {
		got = err.Error()
	}
	if want = strings.TrimSpace(want); got != want {
		t.Errorf("faults:\n%s\nwant:\n%s", got, want)
	}
}

func TestReadFillsEveryType(t *testing.T) {
	want := config{Listen: "a.sock", Limit: 1 << 20, Timeout: 90 * time.Second, Sync: true, Conns: -3, Peers: []uint32{0, 1000},
		Ratio: 0.75, Labels: map[string]int{"x y": 1}, Log: &logging{Level: "on", JSON: true}}
	for name, text := range map[string]string{
		"config.json": `{"listen": "a.sock", "limit": "1MiB", "timeout": "1m30s", "sync": true, "conns": -3, "peers": [0, 1000],
			"ratio": 0.75, "labels": {"x y": 1}, "log": {"level": "on", "json": true}}`,
		"config.yaml": `
# how the daemon runs
listen: a.sock
limit: 1048576
timeout: 1m30s   # long
sync: true
conns: -3
peers: [0, 1000]
ratio: 0.75
labels: {"x y": 1}
log:
  level: on
  json: true
`,
	} {
		var got config
		if err := document.Read(name, []byte(text), &got); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v, want %+v", name, got, want)
		}
	}
}

func TestEveryFaultIsReportedWithItsPlace(t *testing.T) {
	const json = `{
  "listne": "a.sock",
  "limit": "1MB",
  "timeout": 5,
  "sync": "yes",
  "conns": 40000,
  "peers": [1, -1, "é", 2.0],
  "log": null,
  "ratio": "half", "Listen": 5,
  "labels": {"a": true,
    "a": 1},
  "stages": [
    {"name": 1},
    {"options": {}, "nmae": "auth", "zzz": 0}
  ]
}`
	const yaml = `# several mistakes
listne: a.sock
limit: 1MB
timeout: 5
sync: yes
conns: 40000
peers: [1, -1, "é", 2.0]
log:
ratio: half
listen: 5
labels:
  a: true
  a: 1
stages:
- name: 1
- options: {}
  nmae: auth
  zzz: 0
`
	t.Run("json", func(t *testing.T) {
		checkFaults(t, document.Read("c.json", []byte(json), new(config)), `
c.json:2:3: listne: unknown option; did you mean "listen"?
c.json:3:12: limit: wants a size such as 64KiB, 1MiB or 1048576
c.json:4:14: timeout: wants a duration such as "5s", found a whole number; add a unit: ns, us, ms, s, m or h
c.json:5:11: sync: wants true or false, found a string; write true or false, without quotes
c.json:6:12: conns: out of range; write a whole number from -32768 to 32767
c.json:7:16: peers[1]: out of range; write a whole number from 0 to 4294967295
c.json:7:20: peers[2]: wants a whole number, found a string; write it in decimal, without quotes
c.json:7:25: peers[3]: wants a whole number, found a number with a fraction
c.json:8:10: log: has no value; write one, or remove it
c.json:9:12: ratio: wants a number, found a string; write it in decimal, without quotes
c.json:9:20: Listen: unknown option; did you mean "listen"?
c.json:10:19: labels.a: wants a whole number, found true or false
c.json:11:5: labels.a: given twice; it stands on line 10 already, keep one of the two
c.json:13:14: stages[0].name: wants a string, found a whole number; put it in quotes
c.json:14:21: stages[1].nmae: unknown option; did you mean "name"?
c.json:14:37: stages[1].zzz: unknown option; the options here are name, options`)
	})
	t.Run("yaml", func(t *testing.T) {
		checkFaults(t, document.Read("c.yaml", []byte(yaml), new(config)), `
c.yaml:2:1: listne: unknown option; did you mean "listen"?
c.yaml:3:8: limit: wants a size such as 64KiB, 1MiB or 1048576
c.yaml:4:10: timeout: wants a duration such as "5s", found a whole number; add a unit: ns, us, ms, s, m or h
c.yaml:5:7: sync: wants true or false, found a string; write true or false, without quotes
c.yaml:6:8: conns: out of range; write a whole number from -32768 to 32767
c.yaml:7:12: peers[1]: out of range; write a whole number from 0 to 4294967295
c.yaml:7:16: peers[2]: wants a whole number, found a string; write it in decimal, without quotes
c.yaml:7:21: peers[3]: wants a whole number, found a number with a fraction
c.yaml:8:5: log: has no value; write one, or remove it
c.yaml:9:8: ratio: wants a number, found a string; write it in decimal, without quotes
c.yaml:10:9: listen: wants a string, found a whole number; put it in quotes
c.yaml:12:6: labels.a: wants a whole number, found true or false
c.yaml:13:3: labels.a: given twice; it stands on line 12 already, keep one of the two
c.yaml:15:9: stages[0].name: wants a string, found a whole number; put it in quotes
c.yaml:17:3: stages[1].nmae: unknown option; did you mean "name"?
c.yaml:18:3: stages[1].zzz: unknown option; the options here are name, options`)
	})
}

func TestAMapIsWanted(t *testing.T) {
	checkFaults(t, document.Read("f", []byte("sync:true\n"), new(config)),
		"f:1:1: wants a map, found a string; write its members as name: value, with a space after the colon")
	checkFaults(t, document.Read("f", []byte("[]"), new(config)), "f:1:1: wants a map, found a list")
	checkFaults(t, document.Read("f", []byte("null"), new(config)), "f:1:1: has no value; write one, or remove it")
}

func TestUnreadableText(t *testing.T) {
	deep := strings.Repeat("[", document.MaxDepth+1)
	for _, c := range []struct{ name, text, want string }{
		{"JSON cut short", "{\"a\": [1,", "f:1:10: ends too early; a closing quote or bracket is missing"},
		{"JSON cut in a string", "{\"a\": \"b", "f:1:9: ends too early; a closing quote or bracket is missing"},
		{"JSON trailing comma", "[1,\n]", "f:1:3: a comma stands before the closing bracket; remove it"},
		{"JSON trailing comma in a map", "{\"a\": 1,\n}", "f:1:8: a comma stands before the closing bracket; remove it"},
		{"JSON comment", "{\n// why\n}", "f:2:1: JSON has no comments; remove it, or write the file as YAML"},
		{"JSON more than one value", "{} {}", "f:1:1: one value is wanted, and another follows it; remove what follows"},
		{"JSON missing comma", "{\"a\": 1\n \"b\": 2}", "f:2:2: not valid JSON; ',' or '}' is wanted here"},
		{"JSON lone surrogate", `{"a": "\ud800"}`, `f:1:8: an escape in a string that JSON does not have; write \\ for a backslash`},
		{"JSON line break in a string", "{\"a\": \"x\ny\"}", `f:1:9: a line break, tab or other control character in a string; write \n, \t or \u00XX`},
		{"JSON single quotes", "{\"a\": 'x'}", "f:1:7: not valid JSON; strings and names stand in double quotes, other words are true, false and null"},
		{"JSON bracket too many", "{}}", "f:1:3: a closing bracket that closes nothing; remove it, or open it before"},
		{"JSON too deep", deep, "f:1:65: more than 64 maps and lists inside each other"},
		{"JSON too many values", "[\n" + strings.Repeat("0,", document.MaxValues) + "0]", "f:2:2097149: more than 1048576 values, the most that are read"},
		{"not UTF-8", "{\"a\": \"é\xff\"}", "f:1:9: not UTF-8; save it as plain UTF-8"},
		{"byte order mark", "\ufeff{}", "f:1:1: starts with a byte order mark; save it as plain UTF-8"},
		{"YAML anchors and the like", "a: &x 1\nb: *x\nc: !!str 2\nd:\n  <<: {}\n", `
f:1:4: an anchor (&) is not allowed; repeat the value
f:2:4: an alias (*) is not allowed; repeat the value, or put text that starts with * in quotes
f:3:4: a tag (!) is not allowed; remove it, or put text that starts with ! in quotes
f:5:3: a merge key (<<) is not allowed; repeat the members`},
		{"YAML two documents", "a: 1\n---\nb: 2\n", "f:2:1: one document is wanted; remove the --- and what follows"},
		{"YAML document end", "a: 1\n...\n", "f:2:1: one document is wanted; remove the ..."},
		{"YAML complex key", "? a\n: b\n", "f:1:1: a key after ? is not allowed; write key: value"},
		{"YAML directive", "%YAML 1.2\n---\na: 1\n", "f:1:1: a directive (%) is not allowed; remove it"},
		{"YAML keys that are no strings", "1: a\ntrue: b\n\"2\": c\n", "f:1:1: the key is no string; put it in quotes\nf:2:1: the key is no string; put it in quotes"},
		{"YAML tab", "a:\n\tb: 1\n", "f:2:1: not valid YAML: found character '\\t' that cannot start any token; indent with spaces"},
		{"YAML control character", "a: \x01\n", "f:1:4: a control character; remove it"},
		{"YAML brackets too deep", "a: " + deep, "f:1:68: more than 64 maps and lists inside each other"},
		{"YAML dashes too deep", strings.Repeat("- ", 20000), "f:1:129: more than 64 maps and lists inside each other"},
		{"YAML colons too deep", "a: [" + strings.Repeat("a: ", 20000), "f:1:195: more than 64 maps and lists inside each other"},
		{"YAML too many lines", strings.Repeat("\n", document.MaxYAMLLines+1), "f: more than 5000 lines of YAML; write so large a file as JSON"},
		{"YAML too large", strings.Repeat("#", document.MaxYAMLSize+1), "f: larger than 256KiB, the most that is read"},
		{"YAML too many words", "a: [" + strings.Repeat("x, ", 30000), "f:1:75000: more than 50000 words and signs of YAML; write so large a file as JSON"},
		{"YAML missing colon", "a: 1\nb\n", "f:2:1: not valid YAML: non-map value is specified"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := document.Parse("f", []byte(c.text))
			checkFaults(t, err, c.want)
		})
	}
	t.Run("YAML indented too deep", func(t *testing.T) {
		var b strings.Builder
		for i := range 600 {
			b.WriteString(strings.Repeat(" ", i) + "a:\n")
		}
		_, err := document.Parse("f", []byte(b.String()))
		checkFaults(t, err, "f:65:65: more than 64 maps and lists inside each other")
	})
}

func TestEmptyDocuments(t *testing.T) {
	for _, text := range []string{"", " \n", "# only a comment\n", "---\n", "# c\n---\n", "{}"} {
		n, err := document.Parse("f", []byte(text))
		if err != nil || n.Kind() != document.Map || len(n.Members()) != 0 {
			t.Errorf("%q: kind %v, error %v; want an empty map", text, n.Kind(), err)
		}
	}
	_, err := document.ParseJSON("f.json", nil)
	checkFaults(t, err, "f.json:1:1: empty; write at least {}")
}

func TestYAMLNumbersAndWordsMeanWhatTheyMeanInJSON(t *testing.T) {
	for text, want := range map[string]document.Kind{
		"12": document.Int, "-1": document.Int, "0": document.Int, "1.5": document.Float, "1e3": document.Float,
		"true": document.Bool, "False": document.Bool, "null": document.Null, "~": document.Null, "": document.Null,
		"0600": document.String, "0x10": document.String, "1_000": document.String, ".5": document.String, ".inf": document.String,
		".nan": document.String, "yes": document.String, "on": document.String, "2024-01-01": document.String, `"12"`: document.String,
		"12:30": document.String, "|\n  x": document.String, "[]": document.List, "{}": document.Map,
	} {
		n, err := document.ParseYAML("f", []byte("a: "+text+"\n"))
		if err != nil {
			t.Errorf("%q: %v", text, err)
		} else if got := n.Get("a").Kind(); got != want {
			t.Errorf("%q is %v, want %v", text, got, want)
		}
	}
}

func TestFaultsHoldNoValue(t *testing.T) {
	const secret = "hunter2hunter2"
	for _, text := range []string{
		`{"sync": "S", "conns": "S", "timeout": "S", "limit": "S", "labels": "S", "peers": "S", "log": "S", "listen": ["S"]}`,
		`{"(expecting S)": x`, `{"listen": "S` + "\n", `{"listen": "S\q"}`, `{"listen": S}`, `{"listen": "\uS"}`, "listen: 'S\nsync: 'S", "listen: \"S\\q\"", "listen: @S", "S",
		"listen: S: S", "listen: {S", "listen: [S", "listen: |S", "listen: %S", "listen: &S", "listen: *S", "listen: !S", "listen: `S",
	} {
		err := document.Read("f", []byte(strings.ReplaceAll(text, "S", secret)), new(config))
		if err == nil {
			t.Errorf("%q is accepted", text)
		} else if strings.Contains(err.Error(), secret[:4]) {
			t.Errorf("%q: the fault holds the value: %v", text, err)
		}
	}
}

func TestHostileKeysAreCutShortAndEscaped(t *testing.T) {
	err := document.Read("f", []byte(`{"\u202e\n": 1, "`+strings.Repeat("é", 1000)+`": 2}`), new(logging))
	for line := range strings.Lines(err.Error()) {
		if len(line) > 400 || strings.ContainsFunc(line, func(r rune) bool { return r > 0x7e }) {
			t.Errorf("fault %q", line)
		}
	}
}

// YAML that is cheap to write and dear to read: time follows allocation in each.
func TestHostileYAMLIsBounded(t *testing.T) {
	repeat := func(s string, n int) string { return strings.Repeat(s, n) }
	many := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, "k%d: v\n", i)
		}
		return b.String()
	}
	const size, lines = document.MaxYAMLSize - 10, document.MaxYAMLLines - 10
	for name, text := range map[string]string{
		"blank lines in a block": "a: |\n  " + repeat("\n", lines),
		"keys":                   many(lines),
		"keys without a value":   "a: {" + repeat("x, ", 5*lines-10),
		"documents":              repeat("---\na: b\n", lines/2),
		"open brackets":          "a: " + repeat("[", size),
		"empty lists":            "a: [" + repeat("[],", 3*lines),
		"anchors":                repeat("&a ", size/3),
	} {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, _ = document.ParseYAML("f", []byte(text))
			runtime.ReadMemStats(&after)
			if got := document.Bytes(after.TotalAlloc - before.TotalAlloc); got > 200<<20 {
				t.Errorf("allocated %d MiB for %d bytes", got>>20, len(text))
			}
		})
	}
}

func TestFaultsAreBounded(t *testing.T) {
	err := document.Read("f", []byte("["+strings.Repeat("1,", 5000)+"1]"), new([]string))
	many, ok := errors.AsType[*multierror.Error](err)
	if !ok || len(many.Errors) != 1001 || !strings.HasSuffix(err.Error(), "f:1:10002: and 4001 faults more; mend those above first") {
		t.Errorf("got %d faults", len(many.Errors))
	}
}

func TestALaterLayerChangesOnlyWhatItHolds(t *testing.T) {
	defaults := logging{Level: "info"}
	got := config{Listen: "a", Conns: 1, Peers: []uint32{1, 2}, Labels: map[string]int{"a": 1}, Log: &defaults}
	labels := got.Labels
	if err := document.Read("c.yaml", []byte("conns: 2\npeers: [3]\nlabels: {b: 2}\nlog: {json: true}"), &got); err != nil {
		t.Fatal(err)
	}
	flag := document.Value("--timeout", map[string]any{"timeout": 5 * time.Second})
	if err := document.Decode(flag, &got); err != nil {
		t.Fatal(err)
	}
	want := config{Listen: "a", Conns: 2, Peers: []uint32{3}, Labels: map[string]int{"a": 1, "b": 2},
		Log: &logging{Level: "info", JSON: true}, Timeout: 5 * time.Second}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if defaults.JSON || len(labels) != 1 {
		t.Error("a layer wrote into the defaults")
	}
}

func TestFaultOfAFlagNamesTheFlag(t *testing.T) {
	n := document.Value("--peers", map[string]any{"peers": []any{1, "x", 1.5}, "conns": int64(1), "sync": true, "log": nil})
	checkFaults(t, document.Decode(n, new(config)), `
--peers: has no value; write one, or remove it
--peers: wants a whole number, found a string; write it in decimal, without quotes
--peers: wants a whole number, found a number with a fraction`)
}

func TestStageOptionsAreDecodedLater(t *testing.T) {
	var c config
	if err := document.Read("c.yaml", []byte("stages:\n- name: ratelimit\n  options:\n    burts: 3\n    rate: 1\n"), &c); err != nil {
		t.Fatal(err)
	}
	var options struct {
		Burst int `json:"burst"`
		Rate  int `json:"rate"`
	}
	checkFaults(t, document.Decode(c.Stages[0].Options, &options), `c.yaml:4:5: stages[0].options.burts: unknown option; did you mean "burst"?`)
	checkFaults(t, document.Join(c.Stages[0].Options.Get("rate").Fault("must be at least %d", 10)), "c.yaml:5:11: stages[0].options.rate: must be at least 10")
	if c.Stages[0].Options.Source() != "c.yaml" {
		t.Errorf("source %q", c.Stages[0].Options.Source())
	}
	if c.Stages[0].Options.Get("rate", "none") != nil || document.Decode(c.Stages[0].Options.Get("none"), &options) != nil {
		t.Error("a missing member is no nil node")
	}
}

func TestUnknownMembersCanBeTaken(t *testing.T) {
	var policy struct {
		Git     map[string]bool   `json:"git"`
		Unknown []document.Member `json:",unknown"`
	}
	if err := document.Read("p.json", []byte("{\"git\": {},\n \"filesystems\": {},\n \"approvals\": []}"), &policy); err != nil {
		t.Fatal(err)
	}
	if len(policy.Unknown) != 2 || policy.Unknown[1].Value().Kind() != document.List {
		t.Fatalf("got %d members", len(policy.Unknown))
	}
	checkFaults(t, policy.Unknown[0].Fault("no such section"), "p.json:2:2: filesystems: no such section")
}

func TestMistakesOfTheProgramAreNoFaults(t *testing.T) {
	n := document.Value("v", map[string]any{"a": 1})
	for name, into := range map[string]any{
		"no pointer": config{},
		"no tag":     new(struct{ A int }),
		"channel": new(struct {
			A chan int `json:"a"`
		}),
		"map keys": new(map[int]int),
	} {
		err := document.Decode(n, into)
		if _, isFault := errors.AsType[*document.Fault](err); err == nil || isFault {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestJoinKeepsSourcesTogether(t *testing.T) {
	fault := func(source string, line int) error {
		return &document.Fault{Source: source, Line: line, Column: 1, Problem: "x"}
	}
	err := document.Join(nil, document.Join(fault("b", 9), fault("b", 2)), fault("a", 5), errors.New("no file"), fault("b", 3))
	checkFaults(t, err, "b:2:1: x\nb:3:1: x\nb:9:1: x\na:5:1: x\nno file")
	if document.Join(nil, nil) != nil {
		t.Error("Join of nothing is an error")
	}
}

func TestNearest(t *testing.T) {
	known := []string{"burst", "rate", "block_read", "block_write", "git", "filesystem"}
	for word, want := range map[string]string{
		"burts": "burst", "BURST": "burst", "burs": "burst", "block-read": "block_read", "blockread": "block_read", "filesystems": "filesystem",
		"gti": "git", "approvals": "", "": "", "x": "", "commands": "", "blocks": "", "FileSystem": "filesystem", strings.Repeat("a", 1<<20): "",
	} {
		if got := document.Nearest(word, known); got != want {
			t.Errorf("Nearest(%.20q) = %q, want %q", word, got, want)
		}
	}
}

func TestBytes(t *testing.T) {
	for text, want := range map[string]string{
		"0": "0B", "512": "512B", "1024": "1KiB", "1KiB": "1KiB", "1536KiB": "1536KiB", "2048MiB": "2GiB", "7B": "7B",
		"-1": "", "1MB": "", "1.5MiB": "", "": "", "MiB": "", "1 MiB": "", "9223372036854775807": "9223372036854775807B", "8589934592GiB": "",
	} {
		var b document.Bytes
		err := b.UnmarshalText([]byte(text))
		if (err != nil) != (want == "") || err == nil && b.String() != want {
			t.Errorf("%q: %v, %v; want %q", text, b, err, want)
		}
	}
}

func TestReadFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.yaml")
	if _, err := document.ReadFile(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
	if err := os.WriteFile(path, []byte("a: 1"), 0o600); err != nil {
		t.Fatal(err)
	}
	if text, err := document.ReadFile(path); err != nil || string(text) != "a: 1" {
		t.Errorf("got %q, %v", text, err)
	}
	if err := os.Truncate(path, document.MaxSize+1); err != nil {
		t.Fatal(err)
	}
	if _, err := document.ReadFile(path); err == nil || !strings.Contains(err.Error(), "larger than 32MiB") {
		t.Errorf("large file: %v", err)
	}
	if _, err := document.ReadFile(t.TempDir()); err == nil {
		t.Error("a directory is read")
	}
}
