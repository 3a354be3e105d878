package document

import (
	"errors"
	"math"
	"strconv"
	"strings"
)

// Bytes is a size in bytes. In a document it is a whole number, or a string with
// a unit: "512B", "64KiB", "1MiB", "2GiB".
type Bytes int64

var units = []struct {
	name string
	size int64
}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}}

// UnmarshalText reads a size. It refuses a negative one, a fraction and a unit
// that it does not know.
func (b *Bytes) UnmarshalText(text []byte) error {
	digits, size := string(text), int64(1)
	for _, u := range units {
		if rest, ok := strings.CutSuffix(digits, u.name); ok {
			digits, size = rest, u.size
			break
		}
	}
	n, err := strconv.ParseUint(digits, 10, 63)
	if err != nil || int64(n) > math.MaxInt64/size {
		return errors.New("wants " + b.Wants())
	}
	*b = Bytes(int64(n) * size)
	return nil
}

// Wants says what to write; see Decode.
func (*Bytes) Wants() string { return "a size such as 64KiB, 1MiB or 1048576" }

// String returns the size in the largest unit that holds it without a fraction.
func (b Bytes) String() string {
	for _, u := range units {
		if b != 0 && int64(b)%u.size == 0 {
			return strconv.FormatInt(int64(b)/u.size, 10) + u.name
		}
	}
	return "0B"
}
