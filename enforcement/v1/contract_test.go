package enforcementv1

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// The Go file holds the hash of the proto file that it came from. The generator's
// own test compares every byte, but needs the tools module.
func TestGeneratedFromThisProto(t *testing.T) {
	sum := sha256.Sum256(readProto(t))
	if got := hex.EncodeToString(sum[:]); got != protoSHA256 {
		t.Errorf("enforcement.proto has changed: run `go generate ./enforcement/v1`")
	}
}

// Each field of the proto file is a member of its name in the Go type, the
// members stand in the order of the numbers, and there are no others. The proto
// file is read here with less than a parser, so that a fault of the generator
// shows.
func TestMembersFollowFieldNumbers(t *testing.T) {
	inProto := protoFields(t)
	if len(inProto) != len(messages()) {
		t.Fatalf("the proto file holds %d messages, the tests know %d", len(inProto), len(messages()))
	}
	forEachMessage(t, func(t *testing.T, m wireMessage) {
		typ := reflect.TypeOf(m).Elem()
		fields := inProto[typ.Name()]
		slices.SortFunc(fields, func(a, b protoField) int { return a.number - b.number })
		if typ.NumField() != len(fields) {
			t.Fatalf("the Go type has %d members, the proto message %d", typ.NumField(), len(fields))
		}
		for i, want := range fields {
			member := typ.Field(i)
			name, omit, _ := strings.Cut(member.Tag.Get("json"), ",")
			if name != want.name || goKind(member.Type) != want.typ || (omit == "") != want.always {
				t.Errorf("member %d is %s %s, tag %q; the proto file says %+v", i+1, member.Name, member.Type, member.Tag, want)
			}
			if upper := strings.ReplaceAll(name, "_", ""); !strings.EqualFold(member.Name, upper) {
				t.Errorf("%s is called %s", name, member.Name)
			}
		}
	})
}

type protoField struct {
	typ    string // as the proto file spells it
	name   string
	number int
	always bool // marked always_written
}

var (
	messageLine = regexp.MustCompile(`^message (\w+) \{$`)
	fieldLine   = regexp.MustCompile(`^  ((?:repeated )?\w+) (\w+) = (\d+)( \[\(always_written\) = true\])?;$`)
)

// protoFields gives the fields of each message of the proto file.
func protoFields(t *testing.T) map[string][]protoField {
	t.Helper()
	found, message := map[string][]protoField{}, ""
	for line := range strings.Lines(string(readProto(t))) {
		line = strings.TrimRight(line, "\n")
		if m := messageLine.FindStringSubmatch(line); m != nil {
			message = m[1]
			found[message] = nil
		}
		if line == "}" {
			message = ""
		}
		if m := fieldLine.FindStringSubmatch(line); m != nil && message != "" {
			number, err := strconv.Atoi(m[3])
			if err != nil {
				t.Fatal(err)
			}
			found[message] = append(found[message], protoField{m[1], m[2], number, m[4] != ""})
		}
	}
	return found
}

// goKind spells a Go type as the proto file does.
func goKind(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Slice:
		return "repeated " + goKind(t.Elem())
	case reflect.Pointer:
		return goKind(t.Elem())
	}
	return t.Name()
}

func readProto(t *testing.T) []byte {
	t.Helper()
	source, err := os.ReadFile("enforcement.proto")
	if err != nil {
		t.Fatal(err)
	}
	return source
}
