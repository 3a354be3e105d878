package evidence

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/hashicorp/go-hclog"

	"github.com/Huzefaaa2/cavra/go/cavra-runtime/pipeline"
)

// A sharedLog is a log and how many stages write to it: one, and for a moment two
// where one takes the place of the other. It is closed with the last of them.
type sharedLog struct {
	*Log
	options Options // that it was opened with
	notary  *notary // nil where there are no checkpoints
	holders atomic.Int32

	turns   atomic.Int64 // stages that were made for it
	signing struct {
		sync.Mutex
		turn int64 // of the stage whose key signs
	}
}

func share(l *Log, o Options, n *notary) *sharedLog {
	s := &sharedLog{Log: l, options: o, notary: n}
	s.holders.Add(1)
	return s
}

// release closes the log where nobody else writes to it.
func (s *sharedLog) release() error {
	if s.holders.Add(-1) > 0 {
		return nil
	}
	return s.Log.Close()
}

// before is the stage whose place one with these options takes and whose log it
// goes on with; nil where there is none.
func before(o Options, env pipeline.Env) *Stage {
	old, ok := env.Predecessor.(*Stage)
	if !ok || old.log == nil {
		return nil
	}
	if path, err := filepath.Abs(o.Log); err != nil || path != old.log.path {
		return nil
	}
	return old
}

// checkKeys refuses keys with which the next start would refuse the log: it
// verifies every record, also those that the old keys signed.
func (s *Stage) checkKeys(ring []Key) error {
	if (len(ring) == 0) != (len(s.ring) == 0) {
		return errors.New("signing cannot be switched on or off while the daemon runs, since a log is signed from its first record to its last or not at all; stop the daemon, move the log away, and start it again")
	}
	for _, old := range s.ring {
		if !slices.ContainsFunc(ring, func(k Key) bool { return k.ID == old.ID && bytes.Equal(k.Key, old.Key) }) {
			return fmt.Errorf("records of the log are signed with the key %q, which is not configured any more: keep it under signing_keys, or the next start refuses the log", old.ID)
		}
	}
	return nil
}

// warnOfChanges says which options changed that count at a start only.
func (s *sharedLog) warnOfChanges(now Options, log hclog.Logger) {
	var changed []string
	was, is := reflect.ValueOf(s.options), reflect.ValueOf(now)
	for i := range is.NumField() {
		name := is.Type().Field(i).Tag.Get("json")
		if strings.HasPrefix(name, "signing_") || name == "log" || name == "require_signature" {
			continue
		}
		if !reflect.DeepEqual(was.Field(i).Interface(), is.Field(i).Interface()) {
			changed = append(changed, name)
		}
	}
	if changed != nil {
		log.Warn("these options of the evidence stage change at a restart only", "options", strings.Join(changed, ", "))
	}
}

// adopt has the log sign with the key of a stage, but for one whose successor's
// key signs already: its last requests may come after the successor's first.
func (s *sharedLog) adopt(turn int64, k Key) {
	s.signing.Lock()
	defer s.signing.Unlock()
	if turn > s.signing.turn {
		s.signing.turn = turn
		s.signWith(k)
	}
}

// signWith has the records from now on signed with the key.
func (l *Log) signWith(k Key) {
	l.own.Lock()
	defer l.own.Unlock()
	l.signer, l.o.KeyID = newSigner(k.Key), k.ID
}
