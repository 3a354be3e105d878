//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package evidence

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/Huzefaaa2/cavra/go/cavra-runtime/stages/evidence/checkpoint"
)

// wantProof proves a record and verifies the proof.
func wantProof(t testing.TB, path, id string, key ed25519.PublicKey) (proof []byte, warning string) {
	t.Helper()
	proof, warning, err := Prove(path, id, "", []ed25519.PublicKey{key})
	if err != nil {
		t.Fatal(err)
	}
	r := VerifyProof(proof, []ed25519.PublicKey{key}, "")
	if !r.Valid || r.RecordID != id || len(r.Errors) > 0 {
		t.Fatalf("%+v", r)
	}
	return proof, warning
}

func TestEveryRecordIsProven(t *testing.T) {
	public, private := newCheckpointKey(t)
	path, ids := writeWitnessed(t, 21, private)
	lines := linesOf(t, path)
	for i, id := range ids {
		proof, warning := wantProof(t, path, id, public)
		if warning != "" {
			t.Errorf("record %d: %s", i+1, warning)
		}
		r := VerifyProof(proof, []ed25519.PublicKey{public}, "")
		if string(r.Record)+"\n" != string(lines[i]) || r.Sequence != uint64(i)+1 || r.Decision != "allow" || r.Size != 21 {
			t.Errorf("%+v", r)
		}
		if _, err := json.Marshal(r); err != nil {
			t.Error(err)
		}
	}
}

// Whatever is wrong with the files that make it quick, a proof is right.
func TestProofsWithDamagedHashes(t *testing.T) {
	public, private := newCheckpointKey(t)
	for _, suffix := range []string{checkpoint.HashesSuffix, checkpoint.IndexSuffix} {
		for name, damage := range damages {
			t.Run(suffix[1:]+" "+name, func(t *testing.T) {
				path, ids := writeWitnessed(t, 13, private)
				damage(t, path+suffix)
				slow := 0
				for _, id := range ids {
					if _, warning := wantProof(t, path, id, public); warning != "" {
						slow++
					}
				}
				if slow == 0 && name != "lengthened" && name != "cut short" && name != "its last bit flipped" {
					t.Error("nothing says that the hashes are of no use")
				}
			})
		}
	}
}

// An index that leads to another record is not believed.
func TestProofWithALyingIndex(t *testing.T) {
	public, private := newCheckpointKey(t)
	path, ids := writeWitnessed(t, 4, private)
	good := read(t, path+checkpoint.IndexSuffix)
	for name, length := range map[string]int{"entries swapped": 20, "ids swapped": 12} {
		index := bytes.Clone(good)
		copy(index, good[20:20+length])
		copy(index[20:], good[:length])
		write(t, path+checkpoint.IndexSuffix, index)
		for i, id := range ids {
			if _, warning := wantProof(t, path, id, public); (warning != "") != (i < 2) {
				t.Errorf("%s: record %d: %q", name, i+1, warning)
			}
		}
	}
}

func TestProveRefuses(t *testing.T) {
	public, private := newCheckpointKey(t)
	otherPublic, _ := newCheckpointKey(t)
	path, ids := writeWitnessed(t, 3, private)
	kept := filepath.Join(t.TempDir(), "kept")
	write(t, kept, read(t, path+checkpoint.Suffix))
	newer := addWitnessed(t, path, 1, private)[0]
	other, _ := writeWitnessed(t, 3, private)
	for name, c := range map[string]struct {
		id, kept string
		key      ed25519.PublicKey
		says     string
	}{
		"no id":                         {"dec_12", "", public, "24 hex digits"},
		"an unknown record":             {strings.Repeat("f", 24), "", public, "the log holds no record"},
		"a record after the checkpoint": {newer, kept, public, "it is newer"},
		"another key":                   {ids[0], kept, otherPublic, "signed with the key given"},
		"no such checkpoint":            {ids[0], kept + "x", public, "there is no checkpoint"},
		"another log's checkpoint":      {ids[0], other + checkpoint.Suffix, public, "does not lead to the checkpoint"},
		"a log as the checkpoint":       {ids[0], path, public, "no checkpoint of an evidence log"},
	} {
		_, _, err := Prove(path, c.id, c.kept, []ed25519.PublicKey{c.key})
		if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	must(t, os.Remove(path+checkpoint.Suffix))
	if _, _, err := Prove(path, ids[0], "", nil); err == nil || !strings.Contains(err.Error(), "--evidence-checkpoint") {
		t.Errorf("without a checkpoint: %v", err)
	}
	if _, _, err := Prove(path, ids[0], kept, nil); err != nil {
		t.Errorf("with the one that was kept, and no key: %v", err)
	}
}

func TestVerifyProofNamesWhatIsWrong(t *testing.T) {
	public, private := newCheckpointKey(t)
	otherPublic, otherPrivate := newCheckpointKey(t)
	path, ids := writeWitnessed(t, 9, private)
	text, _ := wantProof(t, path, ids[3], public)
	good, err := checkpoint.ParseProof(text)
	must(t, err)
	c, err := checkpoint.Read(good.Signed)
	must(t, err)
	otherLog, otherIDs := writeWitnessed(t, 9, private)
	otherText, _ := wantProof(t, otherLog, otherIDs[0], public)
	otherGood, err := checkpoint.ParseProof(otherText)
	must(t, err)
	lines := linesOf(t, path)
	bare := func(line []byte) []byte { return bytes.TrimSuffix(line, []byte("\n")) }
	changed := func(change func(p *checkpoint.Proof)) []byte {
		p := *good
		p.Path = append([]checkpoint.Hash(nil), p.Path...)
		change(&p)
		return p.Text()
	}
	resigned := func(c checkpoint.Checkpoint, key ed25519.PrivateKey) []byte {
		signed, err := c.Sign(key)
		must(t, err)
		return signed
	}
	for name, tc := range map[string]struct {
		text   []byte
		key    ed25519.PublicKey
		origin string
		kinds  string
	}{
		"nothing":                            {nil, public, "", KindProofMalformed},
		"another key":                        {text, otherPublic, "", KindCheckpointSignature},
		"no key":                             {text, nil, "", KindCheckpointSignature},
		"signed by another":                  {changed(func(p *checkpoint.Proof) { p.Signed = resigned(c, otherPrivate) }), public, "", KindCheckpointSignature},
		"the checkpoint changed":             {changed(func(p *checkpoint.Proof) { p.Signed = bytes.Replace(p.Signed, []byte("\n9\n"), []byte("\n8\n"), 1) }), public, "", KindCheckpointSignature + " " + KindProofInclusion},
		"the checkpoint of the other":        {changed(func(p *checkpoint.Proof) { p.Signed = otherGood.Signed }), public, "", KindProofInclusion},
		"no checkpoint":                      {changed(func(p *checkpoint.Proof) { p.Signed = []byte("none") }), public, "", KindCheckpointMalformed},
		"the record changed":                 {changed(func(p *checkpoint.Proof) { p.Line = bytes.Replace(p.Line, []byte("allow"), []byte("block"), 1) }), public, "", KindHash + " " + KindProofInclusion},
		"the record forged":                  {changed(func(p *checkpoint.Proof) { p.Line = bare(rechain(t, lines[2], lines[:1])[0]) }), public, "", KindProofInclusion},
		"another record":                     {changed(func(p *checkpoint.Proof) { p.Line = bare(lines[4]) }), public, "", KindProofIndex + " " + KindProofInclusion},
		"no record":                          {changed(func(p *checkpoint.Proof) { p.Line = []byte("{}") }), public, "", KindSchema + " " + KindProofInclusion},
		"the place changed":                  {changed(func(p *checkpoint.Proof) { p.Index = 4 }), public, "", KindProofIndex + " " + KindProofInclusion},
		"the path changed":                   {changed(func(p *checkpoint.Proof) { p.Path[1][0] ^= 1 }), public, "", KindProofInclusion},
		"the path cut":                       {changed(func(p *checkpoint.Proof) { p.Path = p.Path[1:] }), public, "", KindProofInclusion},
		"another log than the one asked for": {text, public, otherGoodOrigin(t, otherGood), KindProofOrigin},
		"the origin asked for":               {text, public, c.Origin, ""},
		"an origin that does not fit": {changed(func(p *checkpoint.Proof) {
			// Only who holds the key can do this.
			p.Index, p.Path, p.Line = otherGood.Index, otherGood.Path, otherGood.Line
			o, err := checkpoint.Read(otherGood.Signed)
			must(t, err)
			o.Origin = c.Origin
			p.Signed = resigned(o, private)
		}), public, "", KindProofOrigin},
	} {
		var keys []ed25519.PublicKey
		if tc.key != nil {
			keys = append(keys, tc.key)
		}
		r := VerifyProof(tc.text, keys, tc.origin)
		var kinds []string
		for _, f := range r.ErrorDetails {
			kinds = append(kinds, f.Kind)
		}
		if strings.Join(kinds, " ") != tc.kinds || r.Valid != (tc.kinds == "") || (r.Record != nil) != r.Valid {
			t.Errorf("%s: found %q, want %q", name, kinds, tc.kinds)
		}
	}
}

func otherGoodOrigin(t *testing.T, p *checkpoint.Proof) string {
	t.Helper()
	c, err := checkpoint.Read(p.Signed)
	must(t, err)
	return c.Origin
}

// A proof from a log of a million records takes under 100 ms.
func TestAProofFromAMillionRecords(t *testing.T) {
	if raceEnabled || testing.Short() {
		t.Skip("a million records take too long with -short or the race detector")
	}
	public, private := newCheckpointKey(t)
	path := newPath(t)
	o := witnessed(private)
	o.Sync = SyncOff
	l := open(t, path, o)
	const records = 1_000_000
	ids := map[int]string{}
	req, resp := exchange("x")
	for i := range records {
		id := nextID()
		must(t, l.Append(id, req, resp))
		if i%99_999 == 0 || i == records-1 {
			ids[i] = id
		}
	}
	mustClose(t, l)
	var most time.Duration
	for _, id := range ids {
		begin := time.Now()
		proof, warning, err := Prove(path, id, "", []ed25519.PublicKey{public})
		took := time.Since(begin)
		if err != nil || warning != "" {
			t.Fatal(err, warning)
		}
		most = max(most, took)
		if r := VerifyProof(proof, []ed25519.PublicKey{public}, ""); !r.Valid {
			t.Fatalf("%+v", r)
		}
	}
	t.Logf("the slowest of %d proofs took %v", len(ids), most)
	if most > 100*time.Millisecond {
		t.Errorf("a proof took %v, want at most 100 ms", most)
	}

	// A start does not read such a log again.
	begin := time.Now()
	n := newNotary(private, nil, o.Log)
	n.path = path
	var err error
	if n.signed, err = readCheckpoint(path + checkpoint.Suffix); err != nil {
		t.Fatal(err)
	}
	n.last, err = checkpoint.Read(n.signed, public)
	must(t, err)
	info, err := os.Stat(path)
	must(t, err)
	last := glance(bare(t, path, info.Size()))
	must(t, n.resumeQuickly(heldLog{[]string{path}, info.Size(), records, string(last.recordHash)}))
	n.closeStore()
	t.Logf("the tree of a start took %v", time.Since(begin))
}

// bare is the last line of a file.
func bare(t *testing.T, path string, size int64) []byte {
	t.Helper()
	f, err := os.Open(path)
	must(t, err)
	defer f.Close()
	b := make([]byte, min(size, 4096))
	_, err = f.ReadAt(b, size-int64(len(b)))
	must(t, err)
	b = bytes.TrimSuffix(b, []byte("\n"))
	return b[bytes.LastIndexByte(b, '\n')+1:]
}
