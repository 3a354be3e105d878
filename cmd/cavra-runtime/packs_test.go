package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/Huzefaaa2/cavra/go/cavra-runtime/stages/evaluate"
)

// The digest in an answer is over the pack's bytes, so that whoever saves a pack
// can tell that it is the one that decided.
func TestPacksArePrintedByteForByte(t *testing.T) {
	for _, name := range evaluate.PackNames() {
		want, _ := evaluate.Pack(name)
		var stdout, stderr bytes.Buffer
		code := run([]string{"--print-pack", name}, strings.NewReader(""), &stdout, &stderr)
		if code != exitOK || !bytes.Equal(stdout.Bytes(), want) || stderr.Len() > 0 {
			t.Errorf("%s: code %d, %d bytes of %d, %s", name, code, stdout.Len(), len(want), stderr.String())
		}
	}
}
