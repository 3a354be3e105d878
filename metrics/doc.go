// Package metrics writes figures in the Prometheus text format, version 0.0.4.
//
// There is no registry. Whoever has figures keeps them as it likes, as plain
// atomic numbers or a Histogram, and writes them when it is asked to by a method
// Collect(*Writer): the server, the stages, the daemon. So nothing of this is
// made before somebody asks, which a client of the daemon never does.
//
// The package promises that what a Writer holds can be read by every reader of
// the format, whatever text the labels have, and that a family whose labels come
// from outside stays bounded.
package metrics
