package evidence

import (
	"errors"
	"sync"

	"github.com/Huzefaaa2/cavra/go/cavra-runtime/metrics"
)

// observed is what is told of a log while it is written, without waiting for its
// disk.
type observed struct {
	syncs metrics.Histogram

	mu    sync.Mutex
	head  head
	bytes uint64 // written by this process
	free  int64  // bytes; negative where it is not known
	ill   error  // why nothing can be recorded, until something was
}

// wrote notes a batch.
func (o *observed) wrote(h head, n int) {
	o.mu.Lock()
	o.head, o.bytes, o.ill = h, o.bytes+uint64(n), nil
	o.mu.Unlock()
}

// found notes the free space.
func (o *observed) found(free int64) {
	o.mu.Lock()
	o.free = free
	o.mu.Unlock()
}

// failed notes why a batch could not be written.
func (o *observed) failed(err error) {
	o.mu.Lock()
	o.ill = err
	o.mu.Unlock()
}

// A StageReport is what the stage tells whoever runs the daemon.
type StageReport struct {
	Log string `json:"log,omitempty"`
	// Sequence and HeadHash are those of the last record.
	Sequence uint64 `json:"sequence"`
	HeadHash string `json:"head_hash,omitempty"`
	// CheckpointSize is how many records the last checkpoint covers; nil without
	// checkpoints.
	CheckpointSize *int64 `json:"checkpoint_size,omitempty"`
}

// Report says how far the log has come.
func (s *Stage) Report() any {
	if s.log == nil {
		return StageReport{}
	}
	o := &s.log.seen
	o.mu.Lock()
	defer o.mu.Unlock()
	r := StageReport{Log: s.log.path, Sequence: o.head.sequence}
	if o.head.sequence > 0 {
		r.HeadHash = string(o.head.hash[:])
	}
	if n := s.log.notary; n != nil {
		size := n.covered.Load()
		r.CheckpointSize = &size
	}
	return r
}

// Health says why nothing can be recorded; nil where it can.
func (s *Stage) Health() error {
	if s.log == nil {
		return nil
	}
	o := &s.log.seen
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.ill != nil {
		return errors.New("nothing can be recorded, so every request is blocked: " + o.ill.Error())
	}
	return nil
}

// Collect writes the figures of the log.
func (s *Stage) Collect(w *metrics.Writer) {
	if s.log == nil {
		return
	}
	o := &s.log.seen
	o.mu.Lock()
	sequence, bytes, free := o.head.sequence, o.bytes, o.free
	o.mu.Unlock()
	w.Gauge("cavra_evidence_sequence", "Records in the chain: the sequence of the last one.", float64(sequence))
	w.Counter("cavra_evidence_bytes_total", "Bytes of records that this process wrote.", bytes)
	w.Gauge("cavra_evidence_queue", "Records that wait to be written.", float64(len(s.log.queue)))
	w.Histogram("cavra_evidence_sync_seconds", "How long the disk took to make records durable.", &o.syncs)
	if free >= 0 {
		w.Gauge("cavra_evidence_free_bytes", "Free space of the log's file system, as it was at the last record.", float64(free))
	}
	if n := s.log.notary; n != nil {
		w.Gauge("cavra_evidence_checkpoint_size", "Records that the last checkpoint covers.", float64(n.covered.Load()))
	}
}
