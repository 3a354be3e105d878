package auth

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"testing"
	"time"

	enforcementv1 "github.com/Huzefaaa2/cavra/go/cavra-runtime/enforcement/v1"
	"github.com/Huzefaaa2/cavra/go/cavra-runtime/pipeline/pipelinetest"
)

// BenchmarkVerify is held to twice the time of a bare HMAC of the same text,
// whose state is reused as ours is. It prints the ratio.
func BenchmarkVerify(b *testing.B) {
	key := newKey()
	auth := signed(b, key)
	text := appendSignedText(nil, auth)
	stage := newStage(b, Options{HMACKey: key, HMACKeyID: testKeyID})

	pipelinetest.Within(b, stage, exchange(auth), func(handle func() error) {
		if err := handle(); err != nil {
			b.Error(err)
		}
		bare := bareHMAC(key, text)
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

// BenchmarkVerifyV2 prints the ratio to the two sums that v2 cannot do without:
// an HMAC of the text and a hash of the request. It is held to the allocations
// that remembering the nonce takes.
func BenchmarkVerifyV2(b *testing.B) {
	key := newKey()
	clock := newTestClock(testStart)
	v := newVerifier(b, Options{HMACKey: key, HMACKeyID: testKeyID}, clock.now)
	var reqs []*enforcementv1.EvaluateRequest // each is taken once
	refill := func() {
		clock.advance(defaultMaxAge) // the memory stays small
		reqs = reqs[:0]
		for range batch + 1 {
			reqs = append(reqs, signFresh(b, key, action(), clock.now()))
		}
	}
	next := func() {
		if _, err := v.verify(context.Background(), reqs[len(reqs)-1]); err != nil {
			b.Error(err)
		}
		reqs = reqs[:len(reqs)-1]
	}
	refill()
	allocs := testing.AllocsPerRun(batch, next)
	if allocs > 2 {
		b.Errorf("a verification allocates %v times, want at most 2", allocs)
	}

	bareText := bareHMAC(key, appendSignedText(nil, signFresh(b, key, action(), testStart).RunnerAuth))
	body := appendUnauthenticated(nil, action())
	bare := func() {
		bareText()
		_ = sha256.Sum256(body)
	}
	ours, theirs := time.Hour, time.Hour
	for b.Loop() {
		refill()
		ours = min(ours, timeBatch(next))
		theirs = min(theirs, timeBatch(bare))
	}
	b.ReportMetric(allocs, "allocs/verification")
	b.ReportMetric(float64(ours)/batch, "ns/op")
	b.ReportMetric(float64(ours)/float64(theirs), "ratio-to-bare-sums")
}

// bareHMAC gives the sum of a text, to be called again and again.
func bareHMAC(key string, text []byte) func() {
	mac := hmac.New(sha256.New, []byte(key))
	var sum [sha256.Size]byte
	return func() {
		mac.Reset()
		mac.Write(text)
		mac.Sum(sum[:0])
	}
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
