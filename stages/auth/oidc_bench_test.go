package auth

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"strings"
	"testing"
	"time"

	"github.com/Huzefaaa2/cavra/go/cavra-runtime/pipeline/pipelinetest"
)

// BenchmarkOIDCFirst is held to 1.4 times the time of a bare RSA-2048
// verification of the same bytes. It prints the ratio. Another token of the same
// key was verified before, so its header is known.
func BenchmarkOIDCFirst(b *testing.B) {
	token := tokenOf(githubClaims())
	stage := stageAt(b, testOIDC(b), atTestTime)
	verifier := stage.oidc.(*oidcVerifier)
	end := strings.LastIndexByte(token, '.')
	text := []byte(token[:end])
	sig, err := strictBase64.DecodeString(token[end+1:])
	if err != nil {
		b.Fatal(err)
	}
	key := &rsaKeys()[0].PublicKey
	bare := func() {
		sum := sha256.Sum256(text)
		if err := rsa.VerifyPKCS1v15(key, crypto.SHA256, sum[:], sig); err != nil {
			b.Error(err)
		}
	}
	pipelinetest.Within(b, stage, exchange(oidcAuth(token)), func(handle func() error) {
		first := func() {
			clear(verifier.remembered.tokens)
			if err := handle(); err != nil {
				b.Error(err)
			}
		}
		b.ReportAllocs()
		ours, theirs := time.Hour, time.Hour
		for b.Loop() {
			ours = min(ours, timeBatch(first))
			theirs = min(theirs, timeBatch(bare))
		}
		b.ReportMetric(float64(ours)/batch, "ns/op")
		b.ReportMetric(float64(ours)/float64(theirs), "ratio-to-bare-rsa")
	})
}

// BenchmarkOIDCAgain is held to 3 µs. It includes the comparison of the
// identity.
func BenchmarkOIDCAgain(b *testing.B) {
	auth := oidcAuth(tokenOf(githubClaims()))
	stage := stageAt(b, testOIDC(b), atTestTime)
	text := []byte(auth.Signature)
	var sum [sha256.Size]byte
	bare := func() { sum = sha256.Sum256(text) }
	pipelinetest.Within(b, stage, exchange(auth), func(handle func() error) {
		b.ReportAllocs()
		ours, theirs := time.Hour, time.Hour
		for b.Loop() {
			ours = min(ours, timeBatch(func() {
				if err := handle(); err != nil {
					b.Error(err)
				}
			}))
			theirs = min(theirs, timeBatch(bare))
		}
		_ = sum
		b.ReportMetric(float64(ours)/batch, "ns/op")
		b.ReportMetric(float64(ours)/float64(theirs), "ratio-to-bare-sha256")
	})
}
