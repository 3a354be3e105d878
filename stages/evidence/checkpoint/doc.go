// Package checkpoint proves things about a log of lines to people who do not
// trust the host that holds it.
//
// The lines are the leaves of a Merkle tree (RFC 6962; a leaf is a line without
// its line end). A checkpoint is the tree's size and root, signed with Ed25519,
// as C2SP tlog-checkpoint in a signed note. A proof is one line with its path to
// the root of a checkpoint, as C2SP tlog-proof.
//
// The package promises:
//
//   - A checkpoint that Read calls verified was signed by one of the keys given,
//     over every byte of its text, for the log that its origin names.
//   - A proof that Verify takes holds a line that stands at its place in the log
//     of the checkpoint; one changed bit anywhere in it that matters is found.
//   - The files that make proofs quick (Store) are a cache. Whatever is read from
//     them is worth nothing until it leads to a root that was signed, so a missing
//     or changed one costs time and never truth.
//
// Who holds the private key can sign whatever they like: keep the checkpoints
// that you rely on where the log's host cannot reach them.
package checkpoint
