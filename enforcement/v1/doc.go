// Package enforcementv1 holds the messages that CAVRA clients and runtimes
// exchange, and the only bytes that stand for them.
//
// enforcement.proto is the source: the types in enforcement.gen.go are
// generated from it.
//
// The package promises:
//
//   - A message has one encoding. AppendJSON writes compact JSON, members in the
//     order of the field numbers, zero values left out, strings escaped as
//     encoding/json escapes them. Hashes and signatures rest on these bytes.
//   - Two readers cannot see two messages. Decoding refuses what JSON libraries
//     disagree about: unknown, repeated and case-variant members, null, invalid
//     UTF-8, half a surrogate pair, numbers with a fraction or an exponent, and
//     anything after the object. What it accepts, encoding/json reads alike.
//   - The memory of a message follows the size of its bytes: nothing is read
//     deeper than the contract goes, and a list holds at most 4096 strings.
//   - A refusal is a [*DecodeError]: where, which member, and what to write
//     instead, in ASCII and without the value that was sent.
package enforcementv1

//go:generate go run -C ../../tools ./contractgen ../enforcement/v1
