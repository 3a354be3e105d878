package auth

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-multierror"

	enforcementv1 "github.com/Huzefaaa2/cavra/go/cavra-runtime/enforcement/v1"
	"github.com/Huzefaaa2/cavra/go/cavra-runtime/keys"
	"github.com/Huzefaaa2/cavra/go/cavra-runtime/pipeline"
	"github.com/Huzefaaa2/cavra/go/cavra-runtime/pipeline/pipelinetest"
)

func TestEverybodyIsAnonymousWithoutAConfiguration(t *testing.T) {
	stage := newStage(t, Options{})
	for name, auth := range map[string]*enforcementv1.RunnerAuthentication{
		"no claims": nil, "signed claims": signed(t, newKey()), "the fresh form": {Nonce: "a"},
	} {
		t.Run(name, func(t *testing.T) {
			r := pipelinetest.Handle(t, stage, exchange(auth))
			if r.Err != nil || r.Identity != pipeline.Anonymous {
				t.Errorf("Handle gives %+v, %v; want Anonymous", r.Identity, r.Err)
			}
		})
	}
}

// writeKey writes a key file of the mode, whatever the umask.
func writeKey(t *testing.T, content string, mode os.FileMode) string {
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

func TestRefusesToStart(t *testing.T) {
	key := newKey()
	good := writeKey(t, key, 0o600)
	for _, tt := range []struct {
		name string
		o    Options
		says []string // one for each fault
	}{
		{"a key id without a key", Options{HMACKeyID: "a"}, []string{"hmac_key_id"}},
		{"a key and a key file", Options{HMACKey: key, HMACKeyFile: good}, []string{"hmac_key and hmac_key_file"}},
		{"no such file", Options{HMACKeyFile: good + ".none"}, []string{"hmac_key_file"}},
		{"a key id with a line break", Options{HMACKey: key, HMACKeyID: "a\nb"}, []string{"hmac_key_id"}},
		{"a key id that is no UTF-8", Options{HMACKey: key, HMACKeyID: "\xff"}, []string{"hmac_key_id"}},
		{"an issuer alone", Options{OIDCIssuer: "https://issuer.example"}, []string{"oidc_audience is missing", "oidc_jwks and jwks_url are both missing"}},
		{"OIDC beside a good key", Options{HMACKey: key, OIDCAudience: "b"}, []string{"oidc_issuer", "oidc_jwks"}},
		{"everything at once", Options{HMACKey: key, HMACKeyFile: good, HMACKeyID: "\n", OIDCJWKS: good + ".none"},
			[]string{"hmac_key and hmac_key_file", "hmac_key_id", "oidc_issuer", "oidc_audience", "oidc_jwks cannot be used"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			stage, err := New(tt.o, pipeline.Env{})
			var faults *multierror.Error
			if !errors.As(err, &faults) || stage != nil {
				t.Fatalf("New gives %v, %v; want faults", stage, err)
			}
			if len(faults.Errors) != len(tt.says) {
				t.Fatalf("New finds %v, want %d faults", faults.Errors, len(tt.says))
			}
			for i, say := range tt.says {
				if !strings.Contains(faults.Errors[i].Error(), say) {
					t.Errorf("the fault %q does not say %q", faults.Errors[i], say)
				}
			}
			if strings.Contains(err.Error(), key) {
				t.Error("the faults tell the key")
			}
		})
	}
}

func TestKeyFile(t *testing.T) {
	key := newKey()
	short := key[:keys.Recommended-1]
	for _, tt := range []struct {
		name, content string
		mode          os.FileMode
		key           string // what the file stands for
		warns         string
	}{
		{"as it is", key, 0o600, key, ""},
		{"a line break", key + "\n", 0o600, key, ""},
		{"short", short, 0o600, short, "can be guessed"},
		{"its group can read", key, 0o640, key, "group"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.warns == "group" && runtime.GOOS == "windows" {
				t.Skip("windows has no groups in a file's mode")
			}
			var out bytes.Buffer
			log := hclog.New(&hclog.LoggerOptions{Output: &out, Level: hclog.Trace})
			stage, err := New(Options{HMACKeyFile: writeKey(t, tt.content, tt.mode), HMACKeyID: testKeyID, HMACRequire: "v2"}, pipeline.Env{Log: log})
			if err != nil {
				t.Fatal(err)
			}
			x := exchange(nil)
			if x.Request.RunnerAuth, err = SignHMACv2([]byte(tt.key), testKeyID, runner(), x.Request, time.Now()); err != nil {
				t.Fatal(err)
			}
			if r := pipelinetest.Handle(t, stage, x); r.Err != nil {
				t.Errorf("what is signed with the key is refused: %v", r.Err)
			}
			if tt.warns == "" && out.Len() > 0 || !strings.Contains(out.String(), tt.warns) {
				t.Errorf("the log says %q, want %q", out.String(), tt.warns)
			}
			if strings.Contains(out.String(), short) {
				t.Error("the log tells the key")
			}
		})
	}
}

func TestFiles(t *testing.T) {
	if files := (Options{HMACKey: "a"}).Files(); files != nil {
		t.Errorf("Files gives %v where none is named", files)
	}
	got := Options{HMACKeyFile: "hmac.key", OIDCJWKS: "keys.json"}.Files()
	if want := []pipeline.File{{Path: "hmac.key", Secret: true}, {Path: "keys.json"}}; !reflect.DeepEqual(got, want) {
		t.Errorf("Files gives %v, want %v", got, want)
	}
}

func TestOptionsDoNotPrintTheKey(t *testing.T) {
	key := newKey()
	o := Options{HMACKey: key, HMACKeyID: "a"}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		for _, v := range []any{o, &o, []Options{o}} {
			if got := fmt.Sprintf(verb, v); strings.Contains(got, key) || strings.Contains(got, fmt.Sprintf("%x", key)) {
				t.Errorf("%s prints %s", verb, got)
			}
		}
	}
}
