// Package evidence is the stage that records every decision, and the verifier
// of what it recorded.
//
// A log is a file of JSON records, one a line. Each record holds the hash of
// the one before, and its own, which a key may sign. A file that was rotated
// keeps its records under a number, and the chain goes on in the next.
//
// The package promises:
//
//   - A decision whose record was not made durable is not answered: Handle
//     returns nil only after the record is on the disk (with sync always, the
//     default), and blocks otherwise.
//   - What was answered with a reference to a record is in the log, also after
//     a crash, a full disk or a failed sync.
//   - A log has one writer at a time. A log that was moved, replaced or written
//     to by somebody else is not written to again: the file is looked at before
//     each batch of records, or each millisecond where batches are not synced.
//   - A rotation loses nothing, whatever step it fails or is killed at, and no
//     other process can begin a log in the middle of it.
//   - A damaged log is never continued. Only a last line that was cut short, as
//     a crash leaves it, is repaired; what is cut off is kept beside the log, and
//     a record says so.
//   - The verifier finds every change of a byte inside a log that its hashes, or
//     with a key its signatures, cover; and it reports all it finds, not the
//     first only.
//   - With a checkpoint key, a signed checkpoint of the log stands beside it
//     within 100 ms of a sync. It never covers what is not synced, each extends
//     the one before, and a log that does not bear its checkpoint out is refused.
//
// What a log cannot show by itself is that its end, or all of it, was cut away:
// only a checkpoint that was kept elsewhere shows that. And who holds the signing
// key can forge.
package evidence
