package release

import (
	"compress/gzip"
	"crypto/sha256"
	"io"
	"math/rand/v2"
	"os"
	"testing"
	"time"
)

// Verify reads an archive once: it takes about as long as unpacking and hashing do.
// The time of those two, in the same run, is what it is measured against.
func BenchmarkVerify(b *testing.B) {
	_, private := newKey(b)
	random := rand.NewChaCha8([32]byte{1})
	large := make([]byte, 16<<20)
	for i := 0; i < len(large); i += 2 { // compresses to half, as programs do
		large[i] = byte(random.Uint64())
	}
	p := build{more: []item{{path: "large", text: string(large), mode: 0o644}}}.make(b, private)
	at := write(b, "p.tgz", p.targz(b))
	plain := time.Duration(0)
	for b.Loop() {
		began := time.Now()
		unpackAndHash(b, at)
		plain += time.Since(began)
		if r := Verify(at, p.key); !r.Valid {
			b.Fatal(r.Errors)
		}
	}
	b.ReportMetric(float64(b.Elapsed()-plain)/float64(plain), "times-unpacking-and-hashing")
}

func unpackAndHash(b *testing.B, at string) {
	f, err := os.Open(at)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	r, err := gzip.NewReader(f)
	if err == nil {
		_, err = io.Copy(sha256.New(), r)
	}
	if err != nil {
		b.Fatal(err)
	}
}
