package evidence

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	enforcementv1 "github.com/Huzefaaa2/cavra/go/cavra-runtime/enforcement/v1"
)

// The golden files were written by another program in another language, from
// the words of the format alone.
func TestWriterWritesTheGoldenBytes(t *testing.T) {
	for _, c := range []struct {
		file string
		o    LogOptions
	}{
		{"testdata/signed.log", signed},
		{"testdata/unsigned.log", LogOptions{}},
	} {
		t.Run(c.file, func(t *testing.T) {
			golden := read(t, c.file)
			var records []Record
			var times []time.Time
			for line := range bytes.Lines(golden) {
				var r Record
				if err := json.Unmarshal(line, &r); err != nil {
					t.Fatal(err)
				}
				at, err := time.Parse(time.RFC3339Nano, r.Timestamp)
				if err != nil {
					t.Fatal(err)
				}
				records, times = append(records, r), append(times, at)
			}
			next := 0
			c.o.now = func() time.Time { next++; return times[next-1] }
			path := newPath(t)
			l := open(t, path, c.o)
			for _, r := range records {
				if err := l.Append(r.RecordID, &r.Request, &r.Response); err != nil {
					t.Fatal(err)
				}
			}
			mustClose(t, l)
			if got := read(t, path); !bytes.Equal(got, golden) {
				t.Errorf("wrote\n%s\nwant\n%s", got, golden)
			}
			wantValid(t, c.file, c.o.verify())
		})
	}
}

// plain is a record as encoding/json would write it, were it told nothing.
type plain struct {
	SchemaVersion string          `json:"schema_version"`
	Product       string          `json:"product"`
	EventType     string          `json:"event_type"`
	RecordID      string          `json:"record_id"`
	Sequence      int             `json:"sequence"`
	PreviousHash  string          `json:"previous_hash,omitempty"`
	RecordHash    string          `json:"record_hash,omitempty"`
	Timestamp     string          `json:"timestamp"`
	Request       json.RawMessage `json:"request"`
	Response      json.RawMessage `json:"response"`
	Signature     *Signature      `json:"signature,omitempty"`
}

// Law: for any strings, each line is what encoding/json writes, with the hash
// and the signature that a plain reading of the format gives, and verifies.
func TestRecordsAreWhatEncodingJSONWrites(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"<&>", "\u2028", "\x00", "a\xffb\xfe", `\ufffd`, "\ufffd"}))
		keyID := rapid.StringMatching(`[ -~é<]{0,10}`).Draw(t, "key id")
		key := rapid.SliceOfN(rapid.Byte(), 1, 80).Draw(t, "key")
		hasher, signer := newHasher(), newSigner(key)
		var log []byte
		previous := ""
		for i := range rapid.IntRange(1, 4).Draw(t, "records") {
			req := &enforcementv1.EvaluateRequest{Target: text.Draw(t, "target"), RunnerAuth: &enforcementv1.RunnerAuthentication{}}
			resp := &enforcementv1.DecisionResponse{Reason: text.Draw(t, "reason"), EvidenceRefs: []string{text.Draw(t, "ref")}}
			l := &Log{hasher: hasher, signer: signer, o: LogOptions{KeyID: keyID, now: time.Now}}
			at := head{sequence: uint64(i)}
			copy(at.hash[:], previous)
			start := len(log)
			e := &entry{eventType: EventDecision, recordID: nextID(), body: appendValidBody(nil, req, resp)}
			log = l.encode(log, &at, e)

			line := bytes.TrimSuffix(log[start:], []byte("\n"))
			var p plain
			if err := json.Unmarshal(line, &p); err != nil {
				t.Fatal(err)
			}
			hash, sig := p.RecordHash, p.Signature
			p.RecordHash, p.Signature = "", nil
			sum := sha256.Sum256(marshal(t, p))
			if want := hex.EncodeToString(sum[:]); hash != want {
				t.Fatalf("record_hash %s, want %s", hash, want)
			}
			mac := hmac.New(sha256.New, key)
			fmt.Fprintf(mac, "cavra.go-daemon.evidence.v1\n%s\n%s", previous, hash)
			if want := hex.EncodeToString(mac.Sum(nil)); sig.Value != want || sig.KeyID != keyID {
				t.Fatalf("signature %+v, want %s", sig, want)
			}
			p.RecordHash, p.Signature = hash, sig
			if again := marshal(t, p); !bytes.Equal(line, again) {
				t.Fatalf("wrote\n%s\nencoding/json writes\n%s", line, again)
			}
			previous = hash
		}
		if r := Verify(bytes.NewReader(log), VerifyOptions{Key: key, KeyID: keyID}); !r.Valid {
			t.Fatalf("%v\n%s", r.Errors, log)
		}
	})
}

func marshal(t *rapid.T, v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
