//go:build race

package enforcementv1

// raceEnabled says that sync.Pool drops values at random, so that allocations
// cannot be counted.
const raceEnabled = true
