package release

import (
	"crypto/x509"
	"encoding/pem"
	"os/exec"
	"strings"
	"testing"
)

// Sign refuses what Verify would refuse.
func TestSignRefuses(t *testing.T) {
	_, private := newKey(t)
	good := func() Manifest {
		files := append(contents(), item{path: ChecksumsName, mode: 0o644}, item{path: BundlesName, mode: 0o644})
		return Manifest{Version: testVersion, Commit: strings.Repeat("0", 40), Repository: "https://example.com/x", Files: listOf(files)}
	}
	for name, c := range map[string]struct {
		change func(*Manifest)
		says   string
	}{
		"nothing wrong":              {func(*Manifest) {}, ""},
		"a version without v":        {func(m *Manifest) { m.Version = "0.1.0" }, "version"},
		"half a version":             {func(m *Manifest) { m.Version = "v0.1" }, "version"},
		"a short commit":             {func(m *Manifest) { m.Commit = "abc" }, "commit"},
		"a repository with a secret": {func(m *Manifest) { m.Repository = "https://u:p@example.com/x" }, "repository"},
		"no checksums":               {func(m *Manifest) { m.Files = m.Files[:len(m.Files)-2] }, "checksums.txt is not listed"},
		"a path twice":               {func(m *Manifest) { m.Files = append(m.Files, m.Files[0]) }, "listed before"},
		"a long path":                {func(m *Manifest) { m.Files[0].Path = strings.Repeat("a/", 100) + "a" }, "the most are 150"},
		"a space":                    {func(m *Manifest) { m.Files[0].Path = "a b" }, "other characters"},
		"an option of a command":     {func(m *Manifest) { m.Files[0].Path = "a/-rf" }, "begins with -"},
		"a dot at the end":           {func(m *Manifest) { m.Files[0].Path = "a./b" }, "ends with a dot"},
		"a huge file":                {func(m *Manifest) { m.Files[0].Size = maxFile + 1 }, "size must be"},
		"too much together": {func(m *Manifest) {
			for i := range 5 {
				m.Files[i].Size = maxFile
			}
		}, "together"},
		"too many": {func(m *Manifest) { m.Files = make([]File, maxFiles+1) }, "the most are 2000"},
	} {
		m := good()
		c.change(&m)
		_, _, err := Sign(m, private)
		if (c.says == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", name, err, c.says)
		}
		if err != nil && strings.Contains(err.Error(), "u:p") {
			t.Errorf("%s: the error quotes a secret", name)
		}
	}
}

// The name of a key is what openssl makes of it.
func TestKeyIDIsWhatOpenSSLSays(t *testing.T) {
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("there is no openssl here")
	}
	public, _ := newKey(t)
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(openssl, "pkey", "-pubin", "-outform", "DER")
	cmd.Stdin = strings.NewReader(string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})))
	out, err := cmd.Output()
	if err != nil || "sha256:"+sum(string(out)) != KeyID(public) {
		t.Errorf("openssl gives %x, %v; the name is %s", out, err, KeyID(public))
	}
}
