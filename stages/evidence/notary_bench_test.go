//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package evidence

import (
	"testing"
	"time"
)

// BenchmarkAppendWitnessed appends signed records without a sync, with the
// Merkle tree and without it in turn. x-plain is the time with it over that
// without; at most 1.15.
func BenchmarkAppendWitnessed(b *testing.B) {
	_, private := newCheckpointKey(b)
	plainOptions, treeOptions := signed, witnessed(private)
	plainOptions.Sync, treeOptions.Sync = SyncOff, SyncOff
	plain, tree := open(b, newPath(b), plainOptions), open(b, newPath(b), treeOptions)
	notary := treeOptions.follow.(*notary)
	req, resp := typical()
	id := nextID()
	const turn = 10_000
	some := func(l *Log) func() {
		return func() {
			for range turn {
				must(b, l.Append(id, req, resp))
			}
		}
	}
	some(plain)()
	some(tree)()
	var without, with time.Duration
	b.ReportAllocs()
	for b.Loop() {
		without += per(turn, some(plain))
		with += per(turn, func() {
			some(tree)()
			notary.hash() // what is left must not fall to the other turn
		})
	}
	b.ReportMetric(float64(with)/float64(without), "x-plain")
}

func TestAppendWitnessedAllocatesLittle(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector empties pools")
	}
	_, private := newCheckpointKey(t)
	o := witnessed(private)
	o.Sync = SyncOff
	l := open(t, newPath(t), o)
	req, resp := typical()
	id := nextID()
	appendOne := func() { must(t, l.Append(id, req, resp)) }
	for range 5000 { // until the buffers that are handed over have grown
		appendOne()
	}
	if n := testing.AllocsPerRun(2000, appendOne); n > 1 {
		t.Errorf("%v allocations a record, want at most 1 and 3 by the contract", n)
	}
}

// BenchmarkVerifyWitnessed verifies a log with its root and without it in turn.
// x-plain is the time with it over that without.
func BenchmarkVerifyWitnessed(b *testing.B) {
	public, private := newCheckpointKey(b)
	path := newPath(b)
	o := witnessed(private)
	o.Sync = SyncOff
	l := open(b, path, o)
	req, resp := typical()
	for range 16 << 20 / 1300 {
		must(b, l.Append(nextID(), req, resp))
	}
	mustClose(b, l)
	var without, with time.Duration
	for b.Loop() {
		without += per(1, func() { wantValid(b, path, signed.verify()) })
		with += per(1, func() {
			if r := verifyWith(b, path, "", public); !r.Valid || !r.Checkpoints[0].Covered {
				b.Fatal(r)
			}
		})
	}
	b.ReportMetric(float64(with)/float64(without), "x-plain")
}
