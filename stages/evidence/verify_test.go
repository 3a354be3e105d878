package evidence

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

// Each row damages a signed log of four records in one way and says all that
// must be found. A fault is written as its line and kind.
func TestVerifyFindsDamage(t *testing.T) {
	_, lines := writeLog(t, 4, signed)
	_, other := writeLog(t, 4, signed)
	_, unsigned := writeLog(t, 4, LogOptions{})
	edit := func(n int, old, new string) func([][]byte) [][]byte {
		return func(l [][]byte) [][]byte {
			if !bytes.Contains(l[n-1], []byte(old)) {
				t.Fatalf("line %d does not hold %q", n, old)
			}
			l[n-1] = bytes.Replace(l[n-1], []byte(old), []byte(new), 1)
			return l
		}
	}
	hashOf := func(line []byte) string {
		_, after, _ := strings.Cut(string(line), hashMember)
		return after[:64]
	}
	for name, c := range map[string]struct {
		damage func([][]byte) [][]byte
		want   []string
	}{
		"none":            {func(l [][]byte) [][]byte { return l }, nil},
		"a value edited":  {edit(2, `"decision":"allow"`, `"decision":"block"`), []string{"2 record.hash"}},
		"a time edited":   {edit(2, `"timestamp":"2`, `"timestamp":"1`), []string{"2 record.hash"}},
		"record id":       {edit(2, `"record_id":"0`, `"record_id":"1`), []string{"2 record.hash"}},
		"event type":      {edit(2, EventDecision, EventLogRepaired), []string{"2 record.hash"}},
		"sequence edited": {edit(2, `"sequence":2`, `"sequence":9`), []string{"2 record.hash", "2 chain.sequence", "3 chain.sequence"}},
		"previous hash edited": {func(l [][]byte) [][]byte {
			return edit(3, hashOf(l[1]), hashOf(l[0]))(l)
		}, []string{"3 record.hash", "3 signature.invalid", "3 chain.previous_hash"}},
		"record hash edited": {func(l [][]byte) [][]byte {
			return edit(2, hashOf(l[1]), hashOf(l[0]))(l)
		}, []string{"2 record.hash", "2 signature.invalid", "3 chain.previous_hash"}},
		"edited and hashed again": {func(l [][]byte) [][]byte {
			l = edit(2, `"decision":"allow"`, `"decision":"block"`)(l)
			return edit(2, hashOf(l[1]), rehash(t, l[1]))(l)
		}, []string{"2 signature.invalid", "3 chain.previous_hash"}},
		"removed inside":    {func(l [][]byte) [][]byte { return slices.Delete(l, 1, 2) }, []string{"2 chain.sequence", "2 chain.previous_hash"}},
		"repeated":          {func(l [][]byte) [][]byte { return slices.Insert(l, 2, l[1]) }, []string{"3 chain.sequence", "3 chain.previous_hash"}},
		"reordered":         {func(l [][]byte) [][]byte { l[1], l[2] = l[2], l[1]; return l }, []string{"2 chain.sequence", "2 chain.previous_hash", "3 chain.sequence", "3 chain.previous_hash", "4 chain.sequence", "4 chain.previous_hash"}},
		"start removed":     {func(l [][]byte) [][]byte { return l[1:] }, []string{"1 chain.start"}},
		"from another log":  {func(l [][]byte) [][]byte { l[2] = other[2]; return l }, []string{"3 chain.previous_hash", "4 chain.previous_hash"}},
		"begins anew":       {func(l [][]byte) [][]byte { return append(l, other...) }, []string{"5 chain.sequence", "5 chain.previous_hash"}},
		"member added":      {edit(2, `"request":{`, `"request":{"note":"x",`), []string{"2 record.schema"}},
		"outer member":      {edit(2, `{"schema_version"`, `{"note":"x","schema_version"`), []string{"2 record.schema"}},
		"empty member":      {edit(2, `"request":{`, `"request":{"session_id":"",`), []string{"2 record.bytes"}},
		"member repeated":   {edit(2, `"product":"CAVRA"`, `"product":"CAVRA","product":"CAVRA"`), []string{"2 record.schema"}},
		"case changed":      {edit(2, `"product"`, `"Product"`), []string{"2 record.schema"}},
		"null request":      {edit(2, `"request":{"action_type":"read_file","target":"file-2"}`, `"request":null`), []string{"2 record.schema"}},
		"space":             {edit(2, `{"schema`, `{ "schema`), []string{"2 record.bytes"}},
		"space at the end":  {edit(2, "}\n", "} \n"), []string{"2 record.bytes"}},
		"carriage return":   {edit(2, "}\n", "}\r\n"), []string{"2 record.bytes"}},
		"other spelling":    {edit(2, `"CAVRA"`, `"\u0043AVRA"`), []string{"2 record.bytes"}},
		"other number":      {edit(2, `"sequence":2`, `"sequence":2e0`), []string{"2 record.schema"}},
		"members swapped":   {edit(2, `"product":"CAVRA","event_type":"cavra.go_daemon.decision"`, `"event_type":"cavra.go_daemon.decision","product":"CAVRA"`), []string{"2 record.bytes"}},
		"two values":        {edit(2, "}\n", "}{}\n"), []string{"2 record.schema"}},
		"other schema":      {edit(2, "evidence.v1", "evidence.v2"), []string{"2 record.schema"}},
		"not JSON":          {edit(2, `{`, `[`), []string{"2 record.schema"}},
		"an empty line":     {func(l [][]byte) [][]byte { return slices.Insert(l, 2, []byte("\n")) }, []string{"3 record.schema", "4 chain.sequence"}},
		"lines joined":      {edit(2, "\n", ""), []string{"2 record.schema", "3 chain.sequence"}},
		"zeros":             {func(l [][]byte) [][]byte { clear(l[1][:len(l[1])-1]); return l }, []string{"2 record.schema"}},
		"signature removed": {func(l [][]byte) [][]byte { l[1] = unsign(l[1]); return l }, []string{"2 signature.missing"}},
		"all signatures removed": {func(l [][]byte) [][]byte {
			for i := range l {
				l[i] = unsign(l[i])
			}
			return l
		}, []string{"1 signature.missing", "2 signature.missing", "3 signature.missing", "4 signature.missing"}},
		"unsigned":             {func([][]byte) [][]byte { return unsigned }, []string{"1 signature.missing", "2 signature.missing", "3 signature.missing", "4 signature.missing"}},
		"key id swapped":       {edit(2, `"key_id":"2026`, `"key_id":"2027`), []string{"2 signature.key_id"}},
		"key id removed":       {edit(2, `"key_id":"2026 \u0026 \u003con\u003e",`, ``), []string{"2 signature.key_id"}},
		"key id spelt":         {edit(2, `\u0026`, `&`), []string{"2 record.bytes"}},
		"algorithm":            {edit(2, `HMAC-SHA256`, `none`), []string{"2 signature.invalid"}},
		"signature value":      {edit(2, `"value":"`, `"value":"0`), []string{"2 signature.invalid"}},
		"signature of another": {func(l [][]byte) [][]byte { l[1] = append(unsignOpen(l[1]), signatureOf(l[2])...); return l }, []string{"2 signature.invalid"}},
		"torn":                 {func(l [][]byte) [][]byte { l[3] = l[3][:len(l[3])/2]; return l }, []string{"4 torn"}},
		"torn but whole JSON":  {func(l [][]byte) [][]byte { l[3] = bytes.TrimSuffix(l[3], []byte("\n")); return l }, []string{"4 torn"}},
		"two edits":            {func(l [][]byte) [][]byte { return edit(4, "allow", "block")(edit(1, "allow", "block")(l)) }, []string{"1 record.hash", "4 record.hash"}},
	} {
		t.Run(name, func(t *testing.T) {
			damaged := make([][]byte, len(lines))
			for i := range lines {
				damaged[i] = bytes.Clone(lines[i])
			}
			file := bytes.Join(c.damage(damaged), nil)
			for how, r := range map[string]io.Reader{"whole": bytes.NewReader(file), "byte by byte": iotest.OneByteReader(bytes.NewReader(file))} {
				report := Verify(r, signed.verify())
				if got := kindsOf(report); !slices.Equal(got, c.want) {
					t.Errorf("%s: found %q, want %q", how, got, c.want)
				}
				if report.Valid != (len(c.want) == 0) || len(report.Errors) != len(c.want) {
					t.Errorf("%s: valid %v with %d errors", how, report.Valid, len(report.Errors))
				}
			}
			if len(c.want) == 0 || slices.Contains(c.want, "4 torn") {
				return
			}
			path := newPath(t)
			mustClose(t, open(t, path, LogOptions{}))
			write(t, path, file)
			wantRefused(t, path, signed, path)
			if !bytes.Equal(read(t, path), file) {
				t.Error("the refused log was changed")
			}
		})
	}
}

func kindsOf(r Report) []string {
	var kinds []string
	for _, f := range r.ErrorDetails {
		kinds = append(kinds, fmt.Sprintf("%d %s", f.Line, f.Kind))
	}
	return kinds
}

const signatureMember = `,"signature":`

func unsignOpen(line []byte) []byte {
	return bytes.Clone(line[:bytes.Index(line, []byte(signatureMember))])
}

func unsign(line []byte) []byte { return append(unsignOpen(line), "}\n"...) }

func signatureOf(line []byte) []byte { return line[bytes.Index(line, []byte(signatureMember)):] }

// rehash computes the hash of a line as somebody without the key would.
func rehash(t *testing.T, line []byte) string {
	t.Helper()
	bare := unsign(line)
	at := bytes.Index(bare, []byte(hashMember))
	bare = slices.Delete(bare, at, at+len(hashMember)+64+1)
	return fmt.Sprintf("%x", sha256.Sum256(bytes.TrimSuffix(bare, []byte("\n"))))
}

// Every bit of a small log, with the record of a rotation in it, is flipped in
// turn, and each flip is found.
func TestVerifyFindsEveryFlippedBit(t *testing.T) {
	for name, o := range map[string]LogOptions{"signed": signed, "unsigned": {}} {
		t.Run(name, func(t *testing.T) {
			_, names := rotated(t, 2, 1, o)
			file := append(read(t, names[0]), read(t, names[1])...)
			if !Verify(bytes.NewReader(file), o.verify()).Valid {
				t.Fatal("the log is not valid")
			}
			step := 1
			if raceEnabled || testing.Short() {
				step = 7 // odd: all bits of a byte are met over the file
			}
			for bit := 0; bit < 8*len(file); bit += step {
				file[bit/8] ^= 1 << (bit % 8)
				if Verify(bytes.NewReader(file), o.verify()).Valid {
					t.Errorf("bit %d of byte %d can be flipped unseen", bit%8, bit/8)
				}
				file[bit/8] ^= 1 << (bit % 8)
			}
		})
	}
}

// Law: a log that verifies does not with any one byte changed.
func FuzzVerifyOneByteChange(f *testing.F) {
	golden, err := os.ReadFile("testdata/signed.log")
	if err != nil {
		f.Fatal(err)
	}
	for i := 0; i < len(golden); i += 61 {
		f.Add(uint(i), byte('0'))
	}
	f.Fuzz(func(t *testing.T, at uint, to byte) {
		file := bytes.Clone(golden)
		i := at % uint(len(file))
		if file[i] == to {
			return
		}
		file[i] = to
		if r := Verify(bytes.NewReader(file), signed.verify()); r.Valid || len(r.Errors) == 0 {
			t.Fatalf("byte %d can become %q unseen", i, to)
		}
	})
}

// Law: the quick reading of a line finds what the slow one finds. Verify never
// panics, and what it calls valid is lines that encode to
// themselves, so that no other bytes mean the same log.
func FuzzVerify(f *testing.F) {
	for _, name := range []string{"testdata/signed.log", "testdata/unsigned.log"} {
		golden, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(golden)
		f.Add(golden[:len(golden)/2])
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		for _, o := range []VerifyOptions{{}, signed.verify()} {
			quick, slow := newChecker(o), newChecker(o)
			for line := range bytes.SplitSeq(file, []byte("\n")) {
				var a, b checked
				quick.check(line, &a)
				slow.checkSlowly(line, &b)
				if !reflect.DeepEqual(a, b) {
					t.Fatalf("quick %+v, slow %+v: %s", a, b, line)
				}
			}
		}
		r := Verify(bytes.NewReader(file), VerifyOptions{})
		if r.Valid != (len(r.Errors) == 0) {
			t.Fatalf("%+v", r)
		}
		if r.Valid && r.Records != uint64(bytes.Count(file, []byte("\n"))) {
			t.Fatalf("valid with %d records in %d lines", r.Records, bytes.Count(file, []byte("\n")))
		}
		for _, e := range r.Errors {
			for i := range len(e) {
				if e[i] < ' ' || e[i] > '~' {
					t.Fatalf("the error %q holds what is not ASCII", e)
				}
			}
		}
	})
}

func TestADeviceIsNoLog(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("there is no /dev")
	}
	if _, err := VerifyFile("/dev/zero", VerifyOptions{}); err == nil || !strings.Contains(err.Error(), "is a device") {
		t.Errorf("got %v", err)
	}
}

func TestVerifyReport(t *testing.T) {
	path, lines := writeLog(t, 3, signed)
	r := wantValid(t, path, signed.verify())
	if r.Path != path || r.Records != 3 || r.SignedRecords != 3 || r.FirstSequence != 1 || r.LastSequence != 3 || len(r.Warnings) != 0 {
		t.Errorf("%+v", r)
	}
	_, hash, _ := strings.Cut(string(lines[2]), hashMember)
	if r.HeadHash != hash[:64] {
		t.Errorf("head hash %s, want %s", r.HeadHash, hash[:64])
	}
	r = wantValid(t, path, VerifyOptions{})
	if len(r.Warnings) != 1 || !strings.Contains(r.Warnings[0], "signatures were not checked") {
		t.Errorf("without a key it warns %q", r.Warnings)
	}
	if r := wantValid(t, path, VerifyOptions{Key: testKey}); r.SignedRecords != 3 {
		t.Errorf("without a key id: %+v", r)
	}
	if r, _ := VerifyFile(path, VerifyOptions{Key: []byte("another"), KeyID: testKeyID}); r.Valid || len(r.Errors) != 3 {
		t.Errorf("with another key: %+v", r)
	}
	if r, _ := VerifyFile(path, VerifyOptions{Key: testKey, KeyID: "another"}); r.Valid || len(r.Errors) != 3 {
		t.Errorf("with another key id: %+v", r)
	}
	if r := Verify(strings.NewReader(""), VerifyOptions{}); !r.Valid || len(r.Warnings) != 1 {
		t.Errorf("an empty log: %+v", r)
	}
}

func TestVerifyWarnsOfAClockSetBack(t *testing.T) {
	o := signed
	times := []int{5, 6, 2, 3, 1}
	o.now = func() time.Time {
		at := time.Unix(int64(times[0]), 0)
		times = times[1:]
		return at
	}
	path, _ := writeLog(t, 5, o)
	r := wantValid(t, path, o.verify())
	if len(r.Warnings) != 1 || !strings.Contains(r.Warnings[0], "before 2 of the records, first before decisions.log, line 3") {
		t.Errorf("%q", r.Warnings)
	}
}

// A report of a log that is all wrong stays bounded and counts the rest.
func TestVerifyCountsFaultsBeyondTheList(t *testing.T) {
	r := Verify(strings.NewReader(strings.Repeat("x\n", 2500)), VerifyOptions{})
	if len(r.ErrorDetails) != maxFaults || len(r.Errors) != maxFaults+1 || r.Errors[maxFaults] != "and 1500 more" {
		t.Errorf("%d details, %d errors, the last %q", len(r.ErrorDetails), len(r.Errors), r.Errors[len(r.Errors)-1])
	}
}

func TestVerifyReadsLongLines(t *testing.T) {
	for name, n := range map[string]int{"200 KB": 200 << 10, "3 MiB": 3 << 20} {
		t.Run(name, func(t *testing.T) {
			path := newPath(t)
			l := open(t, path, signed)
			for range 3 {
				add(t, l, "short")
				add(t, l, strings.Repeat("<", n/12))
			}
			mustClose(t, l)
			if r := wantValid(t, path, signed.verify()); r.Records != 6 {
				t.Errorf("%+v", r)
			}
			l = open(t, path, signed) // reads it too
			add(t, l, "after")
			mustClose(t, l)
			if r := wantValid(t, path, signed.verify()); r.Records != 7 {
				t.Errorf("%+v", r)
			}
		})
	}
}

// A line that no writer writes is one fault, and reading goes on after it.
func TestVerifySkipsALineThatIsTooLong(t *testing.T) {
	_, lines := writeLog(t, 2, signed)
	for name, c := range map[string]struct {
		file []io.Reader
		want []string
	}{
		"inside":      {[]io.Reader{bytes.NewReader(lines[0]), endless(3 * maxRecord), strings.NewReader("\n"), bytes.NewReader(lines[1])}, []string{"2 record.too_long", "3 chain.sequence"}},
		"by one byte": {[]io.Reader{bytes.NewReader(lines[0]), endless(maxRecord + 1), strings.NewReader("\n")}, []string{"2 record.too_long"}},
		"torn":        {[]io.Reader{bytes.NewReader(lines[0]), endless(2 * maxRecord)}, []string{"2 torn"}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := kindsOf(Verify(io.MultiReader(c.file...), signed.verify())); !slices.Equal(got, c.want) {
				t.Errorf("found %q, want %q", got, c.want)
			}
		})
	}
}

func endless(n int64) io.Reader { return io.LimitReader(letters{}, n) }

type letters struct{}

func (letters) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = 'x'
	}
	return len(b), nil
}

func TestVerifyReportsAReadError(t *testing.T) {
	_, lines := writeLog(t, 1, signed)
	broken := io.MultiReader(bytes.NewReader(lines[0]), iotest.ErrReader(errors.New("the disk is gone")))
	r := Verify(broken, signed.verify())
	if got := kindsOf(r); !slices.Equal(got, []string{"2 read"}) || r.Records != 1 {
		t.Errorf("%+v", r)
	}
}

// While a writer has the log open a last line without its end is work in
// progress, and an error as soon as it has not.
func TestVerifyOfALogInUse(t *testing.T) {
	path := newPath(t)
	l := open(t, path, signed)
	add(t, l, "a")
	wantValid(t, path, signed.verify())
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(`{"schema`); err != nil {
		t.Fatal(err)
	}
	r, err := VerifyFile(path, signed.verify())
	if err != nil || !r.Valid || !r.InProgress || r.Records != 1 {
		t.Errorf("in use: %+v, %v", r, err)
	}
	mustClose(t, l)
	r, err = VerifyFile(path, signed.verify())
	if err != nil || r.Valid || r.InProgress {
		t.Errorf("after close: %+v, %v", r, err)
	}
}

// A log that grows while it is verified is judged by the size it had.
func TestVerifyWhileWriting(t *testing.T) {
	path := newPath(t)
	o := signed
	o.Sync = SyncOff
	l := open(t, path, o)
	written := make(chan struct{})
	go func() {
		defer close(written)
		for range 3000 {
			req, resp := exchange("x")
			if err := l.Append(nextID(), req, resp); err != nil {
				t.Error(err)
				return
			}
		}
	}()
	for done := false; !done; {
		select {
		case <-written:
			done = true
		default:
		}
		if r, err := VerifyFile(path, signed.verify()); err != nil || !r.Valid {
			t.Errorf("%+v, %v", r, err)
			break
		}
	}
	<-written
}
