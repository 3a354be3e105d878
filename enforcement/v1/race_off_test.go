//go:build !race

package enforcementv1

const raceEnabled = false
