package checkpoint

import (
	"bytes"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
	"pgregory.net/rapid"
)

func newKey(t testing.TB) (ed25519.PublicKey, ed25519.PrivateKey) {
	t.Helper()
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	return public, private
}

var origin = Origin(strings.Repeat("0a", 32))

func sign(t testing.TB, c Checkpoint, key ed25519.PrivateKey) []byte {
	t.Helper()
	signed, err := c.Sign(key)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

func TestReadWhatWasSigned(t *testing.T) {
	public, private := newKey(t)
	other, _ := newKey(t)
	tree, _ := grow(7)
	c := Checkpoint{origin, 7, tree.Root()}
	signed := sign(t, c, private)
	for name, keys := range map[string][]ed25519.PublicKey{
		"the key": {public}, "one of two keys": {other, public}, "a key twice": {public, public}, "no key": nil,
	} {
		if got, err := Read(signed, keys...); err != nil || got != c {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	if got, err := Read(signed, other); !errors.Is(err, ErrUnknownKey) || got != c {
		t.Errorf("another key: %+v, %v", got, err)
	}

	// Others read it too.
	vkey, err := note.NewEd25519VerifierKey(origin, public)
	if err != nil {
		t.Fatal(err)
	}
	v, err := note.NewVerifier(vkey)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := note.Open(signed, note.VerifierList(v)); err != nil {
		t.Errorf("package note says %v", err)
	}
	if !strings.HasPrefix(string(signed), origin+"\n7\n"+tree.Root().String()+"\n\n— "+origin+" ") {
		t.Errorf("%s", signed)
	}
}

// A witness may add its signature; ours still counts.
func TestAWitnessMayCosign(t *testing.T) {
	public, private := newKey(t)
	_, witness := newKey(t)
	c := Checkpoint{Origin: origin, Size: 1}
	n, err := note.Open(sign(t, c, private), note.VerifierList(newVerifier(origin, public)))
	if err != nil {
		t.Fatal(err)
	}
	both, err := note.Sign(n, signer{newVerifier("witness.example", witness.Public().(ed25519.PublicKey)), witness})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := Read(both, public); err != nil || got != c {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestReadRefuses(t *testing.T) {
	public, private := newKey(t)
	raw := func(text string) []byte {
		signed, err := note.Sign(&note.Note{Text: text}, signer{newVerifier(origin, public), private})
		if err != nil {
			t.Fatal(err)
		}
		return signed
	}
	root := Hash{}.String()
	for name, signed := range map[string][]byte{
		"nothing":               nil,
		"no signature":          []byte(origin + "\n1\n" + root + "\n"),
		"a foreign origin":      raw("example.com/log\n1\n" + root + "\n"),
		"a short origin":        raw(origin[:len(origin)-1] + "\n1\n" + root + "\n"),
		"an origin that shouts": raw(strings.ToUpper(origin) + "\n1\n" + root + "\n"),
		"size 0":                raw(origin + "\n0\n" + root + "\n"),
		"a negative size":       raw(origin + "\n-1\n" + root + "\n"),
		"a size with a zero":    raw(origin + "\n01\n" + root + "\n"),
		"a size beyond reason":  raw(origin + "\n9223372036854775807\n" + root + "\n"),
		"a short root":          raw(origin + "\n1\n" + root[4:] + "\n"),
		"a root spelt oddly":    raw(origin + "\n1\n" + root[:len(root)-2] + "B=\n"),
		"an extension":          raw(origin + "\n1\n" + root + "\nmore\n"),
		"a large one":           append(raw(origin+"\n1\n"+root+"\n"), bytes.Repeat([]byte("— a YWFhYWE=\n"), MaxSize/10)...),
	} {
		if _, err := Read(signed, public); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// The name of the key with the signature of another text.
	swapped := bytes.Replace(raw(origin+"\n1\n"+root+"\n"), []byte("\n1\n"), []byte("\n2\n"), 1)
	if _, err := Read(swapped, public); !errors.Is(err, ErrSignature) {
		t.Errorf("another size: %v", err)
	}
}

// The law: no bit of a signed checkpoint can be changed.
func TestEveryBitOfACheckpointCounts(t *testing.T) {
	public, private := newKey(t)
	tree, _ := grow(13)
	signed := sign(t, Checkpoint{origin, 13, tree.Root()}, private)
	for i := range len(signed) * 8 {
		changed := bytes.Clone(signed)
		changed[i/8] ^= 1 << (i % 8)
		if _, err := Read(changed, public); err == nil {
			t.Fatalf("byte %d, bit %d: not found in\n%s", i/8, i%8, changed)
		}
	}
}

// The law: every proof verifies and survives its text, and no changed bit does.
func TestProofs(t *testing.T) {
	public, private := newKey(t)
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Int64Range(1, 300).Draw(t, "size")
		index := rapid.Int64Range(0, n-1).Draw(t, "index")
		tree, stored := grow(n)
		path, err := tlog.ProveRecord(n, index, stored)
		if err != nil {
			t.Fatal(err)
		}
		signed, err := Checkpoint{origin, n, tree.Root()}.Sign(private)
		if err != nil {
			t.Fatal(err)
		}
		p := &Proof{index, path, line(index), signed}
		text := p.Text()
		holds := func(text []byte) bool {
			p, err := ParseProof(text)
			if err != nil {
				return false
			}
			c, err := Read(p.Signed, public)
			return err == nil && p.Includes(c)
		}
		if !holds(text) {
			t.Fatalf("it does not verify:\n%s", text)
		}
		bit := rapid.IntRange(0, 8*len(text)-1).Draw(t, "bit")
		text[bit/8] ^= 1 << (bit % 8)
		if holds(text) {
			t.Fatalf("byte %d, bit %d: not found in\n%s", bit/8, bit%8, text)
		}
	})
}

func TestParseProofRefuses(t *testing.T) {
	_, private := newKey(t)
	signed := sign(t, Checkpoint{Origin: origin, Size: 1}, private)
	p := Proof{Line: line(0), Signed: signed}
	good := string(p.Text())
	if _, err := ParseProof([]byte(good)); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"nothing":            "",
		"another version":    strings.Replace(good, "@v1", "@v2", 1),
		"no record":          strings.Replace(good, "extra "+base64.StdEncoding.EncodeToString(line(0))+"\n", "", 1),
		"an index with zero": strings.Replace(good, "index 0", "index 00", 1),
		"no index":           strings.Replace(good, "index 0\n", "", 1),
		"a short hash":       strings.Replace(good, "index 0\n", "index 0\nAAAA\n", 1),
		"carriage returns":   strings.ReplaceAll(good, "\n", "\r\n"),
		"no checkpoint":      strings.TrimSuffix(good, "\n"+string(signed)),
		"a path too long":    strings.Replace(good, "index 0\n", "index 0\n"+strings.Repeat(Hash{}.String()+"\n", 64), 1),
	} {
		if _, err := ParseProof([]byte(text)); !errors.Is(err, ErrProof) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The law: what is accepted as a proof is written as it was read.
func FuzzParseProof(f *testing.F) {
	_, private := newKey(f)
	p := Proof{Index: 1, Path: tlog.RecordProof{Hash{1}}, Line: line(1), Signed: sign(f, Checkpoint{Origin: origin, Size: 2}, private)}
	f.Add(p.Text())
	f.Add([]byte(proofHeader + "\nextra \nindex 0\n\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := ParseProof(text)
		if err != nil {
			return
		}
		if !bytes.Equal(p.Text(), text) {
			t.Errorf("%q is written as %q", text, p.Text())
		}
		if c, err := Read(p.Signed); err == nil {
			p.Includes(c) // ends, whatever the size claims
		}
	})
}

func TestKeys(t *testing.T) {
	public, private := newKey(t)
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	if got, err := ParsePrivateKey(text); err != nil || !got.Equal(private) {
		t.Errorf("ParsePrivateKey: %v", err)
	}
	for _, ending := range []string{"", "\r", "\r\n", "\n\n"} {
		if _, err := ParsePrivateKey([]byte(strings.TrimSpace(string(text)) + ending)); err != nil {
			t.Errorf("with %q at its end: %v", ending, err)
		}
	}
	both := append(FormatPublicKey(public), FormatPublicKey(public)...)
	if got, err := ParsePublicKeys(both); err != nil || len(got) != 2 || !got[1].Equal(public) {
		t.Errorf("ParsePublicKeys: %d keys, %v", len(got), err)
	}
	for kind, want := range map[string]string{
		"ENCRYPTED PRIVATE KEY": "decrypt it", "PUBLIC KEY": "public one", "RSA PRIVATE KEY": "another kind", "PRIVATE KEY": "no Ed25519 private key in PEM",
	} {
		if _, err := ParsePrivateKey(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: []byte("bytes")})); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("a PEM of %s: %v", kind, err)
		}
	}
	for _, lost := range []string{`\n`, " "} {
		if _, err := ParsePrivateKey(bytes.ReplaceAll(text, []byte("\n"), []byte(lost))); err == nil || !strings.Contains(err.Error(), "line breaks") {
			t.Errorf("with %q for line breaks: %v", lost, err)
		}
	}
	for name, bad := range map[string][]byte{
		"nothing": nil, "no PEM": []byte("secret"), "a public key": FormatPublicKey(public),
		"two keys": append(bytes.Clone(text), text...), "another kind": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der[:20]}),
	} {
		if _, err := ParsePrivateKey(bad); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("private key, %s: %v", name, err)
		}
	}
	for name, bad := range map[string][]byte{
		"nothing": nil, "no PEM": []byte("secret"), "a private key": text, "more after it": append(FormatPublicKey(public), 'x'),
		"a certificate": pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
	} {
		if _, err := ParsePublicKeys(bad); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("public key, %s: %v", name, err)
		}
	}
	if _, err := ParsePublicKeys(text); !errors.Is(err, errNotPublic) {
		t.Errorf("a private key in the place of the public one: %v", err)
	}
}

// A text of line ends alone must not cost many times its length.
func TestParseProofOfManyLines(t *testing.T) {
	text := append([]byte(proofHeader), bytes.Repeat([]byte("\nA"), 8<<20)...)
	text = append(text, "\n\n"...)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := ParseProof(text); err != ErrProof {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if took := after.TotalAlloc - before.TotalAlloc; took > uint64(2*len(text)) {
		t.Errorf("%d bytes took %d", len(text), took)
	}
}
