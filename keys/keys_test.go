package keys

import (
	"crypto/rand"
	"encoding/hex"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

func newKey() string {
	b := make([]byte, 32)
	rand.Read(b)
	return hex.EncodeToString(b)
}

func file(t *testing.T, content string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestLoad(t *testing.T) {
	key := newKey()
	short := key[:Recommended-1]
	for _, c := range []struct {
		name   string
		source Source
		want   string
		warns  string // part of the only warning; empty for none
	}{
		{"nothing", Source{}, "", ""},
		{"an option", Source{Key: key, ID: "k-1"}, key, ""},
		{"a short one", Source{Key: short}, short, "can be guessed"},
		{"as long as the hash", Source{Key: key[:Recommended]}, key[:Recommended], ""},
		{"a file", Source{File: file(t, key, 0o600)}, key, ""},
		{"a file with a line break", Source{File: file(t, key+"\n", 0o400)}, key, ""},
		{"a file from another system", Source{File: file(t, key+"\r\n", 0o600)}, key, ""},
		{"a line break of the key's own", Source{File: file(t, key+"\n\n", 0o600)}, key + "\n", ""},
		{"a file that its group can read", Source{File: file(t, key, 0o640)}, key, "group"},
		{"a short file", Source{File: file(t, short+"\n", 0o600)}, short, "can be guessed"},
		{"an entry", Source{Entry: true, ID: "k-1", File: file(t, key, 0o600)}, key, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.source.Option = "hmac_key"
			got, warnings, err := c.source.Load()
			if err != nil || string(got) != c.want {
				t.Errorf("Load returns %d bytes, %v; want %d", len(got), err, len(c.want))
			}
			if runtime.GOOS == "windows" {
				return
			}
			if all := strings.Join(warnings, "\n"); (c.warns == "") != (all == "") || !strings.Contains(all, c.warns) || len(warnings) > 1 {
				t.Errorf("the warnings are %q, want one of %q", warnings, c.warns)
			}
		})
	}
}

func TestLoadRefusesWithAllFaults(t *testing.T) {
	key := newKey()
	for _, c := range []struct {
		name   string
		source Source
		says   []string
	}{
		{"two keys", Source{Key: key, File: file(t, key, 0o600)}, []string{"hmac_key and hmac_key_file are both set"}},
		{"an id alone", Source{ID: "k-1"}, []string{"hmac_key_id is set and there is no key"}},
		{"an id that hides something", Source{ID: "k\u202e1", Key: key}, []string{"hmac_key_id holds"}},
		{"an id that is not UTF-8", Source{ID: "k\xff", Key: key}, []string{"hmac_key_id holds"}},
		{"a long id", Source{ID: strings.Repeat("k", maxID+1), Key: key}, []string{"hmac_key_id has"}},
		{"two faults", Source{ID: "\n"}, []string{"there is no key", "hmac_key_id holds"}},
		{"no file", Source{File: filepath.Join(t.TempDir(), "none")}, []string{"hmac_key_file: ", "cannot be read"}},
		{"the key in its file's place", Source{File: key}, []string{"hmac_key_file: the file cannot be read"}},
		{"a directory", Source{File: t.TempDir()}, []string{"no regular file"}},
		{"an empty file", Source{File: file(t, "", 0o600)}, []string{"empty"}},
		{"a file with a line break only", Source{File: file(t, "\n", 0o600)}, []string{"empty"}},
		{"a large file", Source{File: file(t, strings.Repeat("a", maxFile+1), 0o600)}, []string{"no key"}},
		{"a file that all can read", Source{File: file(t, key, 0o604)}, []string{"mode 0604"}},
		{"a file that all can write", Source{File: file(t, key, 0o602)}, []string{"mode 0602"}},
		{"an empty entry", Source{Entry: true}, []string{"hmac_key.file is missing", "hmac_key.id is missing"}},
		{"an entry that hides something", Source{Entry: true, ID: "\n", File: file(t, "", 0o600)}, []string{"hmac_key.file: ", "hmac_key.id holds"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if runtime.GOOS == "windows" && strings.Contains(c.name, "all can") {
				t.Skip("Windows has no such mode")
			}
			c.source.Option = "hmac_key"
			got, _, err := c.source.Load()
			if err == nil || got != nil {
				t.Fatal("accepted")
			}
			for _, want := range c.says {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q is not in: %v", want, err)
				}
			}
			if strings.Contains(err.Error(), key) {
				t.Error("the error holds the key")
			}
		})
	}
}
