package auth

import (
	"crypto/hmac"
	"crypto/sha256"
	"testing"
	"time"

	"github.com/Huzefaaa2/cavra/go/cavra-runtime/pipeline/pipelinetest"
)

// BenchmarkVerify is held to twice the time of a bare HMAC of the same text,
// whose state is reused as ours is. It prints the ratio.
func BenchmarkVerify(b *testing.B) {
	key := newKey()
	auth := signed(b, key)
	text := appendSignedText(nil, &auth.Identity)
	stage := newStage(b, Options{HMACKey: key, HMACKeyID: testKeyID})

	pipelinetest.Within(b, stage, exchange(auth), func(handle func() error) {
		if err := handle(); err != nil {
			b.Error(err)
		}
		mac := hmac.New(sha256.New, []byte(key))
		var sum [sha256.Size]byte
		bare := func() {
			mac.Reset()
			mac.Write(text)
			mac.Sum(sum[:0])
		}
		b.ReportAllocs()
		ours, theirs := time.Hour, time.Hour
		for b.Loop() {
			ours = min(ours, timeBatch(func() { _ = handle() }))
			theirs = min(theirs, timeBatch(bare))
		}
		b.ReportMetric(float64(ours)/batch, "ns/op")
		b.ReportMetric(float64(ours)/float64(theirs), "ratio-to-bare-hmac")
	})
}

// batch is how many calls are timed at once: reading the clock costs as much
// as a part of one.
const batch = 64

// timeBatch times a batch of calls. The benchmark takes the fastest, which
// nothing else on the machine interrupted.
func timeBatch(f func()) time.Duration {
	start := time.Now()
	for range batch {
		f()
	}
	return time.Since(start)
}
