package evidence

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"

	"github.com/Huzefaaa2/cavra/go/cavra-runtime/document"
	enforcementv1 "github.com/Huzefaaa2/cavra/go/cavra-runtime/enforcement/v1"
	"github.com/Huzefaaa2/cavra/go/cavra-runtime/pipeline"
	"github.com/Huzefaaa2/cavra/go/cavra-runtime/pipeline/pipelinetest"
)

func newStage(t testing.TB, o Options) (s *Stage, log *bytes.Buffer) {
	t.Helper()
	log = &bytes.Buffer{}
	s, err := New(o, pipeline.Env{Log: hclog.New(&hclog.LoggerOptions{Output: log})})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s, log
}

func TestStageConforms(t *testing.T) {
	recording, _ := newStage(t, Options{Log: newPath(t), SigningKey: string(testKey)})
	idle, _ := newStage(t, Options{})
	for name, s := range map[string]*Stage{"recording": recording, "idle": idle} {
		t.Run(name, func(t *testing.T) { pipelinetest.Conform(t, s) })
	}
}

// The stored response is the one sent, byte for byte.
func TestStageStoresWhatIsSent(t *testing.T) {
	path := newPath(t)
	s, _ := newStage(t, Options{Log: path, SigningKey: string(testKey), SigningKeyID: "k"})
	r := pipelinetest.Handle(t, s, pipelinetest.NewExchange(`{"action_type":"read_file","target":"a<b"}`))
	if r.Err != nil {
		t.Fatal(r.Err)
	}
	var stored struct {
		RecordID string          `json:"record_id"`
		Request  json.RawMessage `json:"request"`
		Response json.RawMessage `json:"response"`
	}
	must(t, json.Unmarshal(linesOf(t, path)[0], &stored))
	if sent := r.Response.AppendJSON(nil); !bytes.Equal(stored.Response, sent) {
		t.Errorf("stored %s, sent %s", stored.Response, sent)
	}
	if want := `{"action_type":"read_file","target":"a\u003cb"}`; string(stored.Request) != want {
		t.Errorf("stored %s, want %s", stored.Request, want)
	}
	refs := r.Response.EvidenceRefs
	if refs[len(refs)-1] != "go-daemon-evidence://"+stored.RecordID {
		t.Errorf("the last of %q does not name record %s", refs, stored.RecordID)
	}
	wantValid(t, path, VerifyOptions{Key: testKey, KeyID: "k"})
}

func TestStageBlocksWhatItCannotRecord(t *testing.T) {
	path := newPath(t)
	s, _ := newStage(t, Options{Log: path})
	must(t, os.Remove(path))
	r := pipelinetest.Handle(t, s, pipelinetest.NewExchange(`{"action_type":"read_file","target":"a"}`))
	if r.Response.Decision != enforcementv1.DecisionBlock || r.Response.RuleID != "evidence.unavailable" || r.Response.Severity != enforcementv1.SeverityCritical {
		t.Errorf("answered %+v", r.Response)
	}
	if strings.Contains(strings.Join(r.Response.EvidenceRefs, " "), "go-daemon-evidence") {
		t.Errorf("the answer refers to a record that is not there: %q", r.Response.EvidenceRefs)
	}
	if strings.Contains(r.Response.Reason, path) {
		t.Errorf("the reason names the path: %q", r.Response.Reason)
	}
}

func TestStageWithoutALog(t *testing.T) {
	s, log := newStage(t, Options{})
	r := pipelinetest.Handle(t, s, pipelinetest.NewExchange(`{}`))
	if r.Err != nil || r.Response.Decision != enforcementv1.DecisionAllow {
		t.Errorf("%v, %+v", r.Err, r.Response)
	}
	if strings.Count(log.String(), "not recorded") != 1 {
		t.Errorf("the log says %q", log)
	}
	must(t, s.Close())
}

func TestOptionsThatAreRefused(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		write(t, path, []byte(text))
		must(t, os.Chmod(path, mode))
		return path
	}
	secret := strings.Repeat("secret", 10)
	good := file("good", secret, 0o600)
	for name, c := range map[string]struct {
		o     Options
		words []string
	}{
		"key and key file":   {Options{SigningKey: secret, SigningKeyFile: good}, []string{"signing_key and signing_key_file"}},
		"id without a key":   {Options{SigningKeyID: "k"}, []string{"signing_key_id", "there is no key"}},
		"id of control":      {Options{SigningKey: secret, SigningKeyID: "a\nb"}, []string{"signing_key_id", "cannot be seen"}},
		"several at a time":  {Options{SigningKeyID: "a\nb", Sync: "never"}, []string{"there is no key", "cannot be seen", "evidence sync"}},
		"a log not for logs": {Options{Log: dir}, []string{"is a directory"}},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := New(c.o, pipeline.Env{})
			if err == nil {
				s.Close()
				t.Fatal("accepted")
			}
			for _, word := range c.words {
				if !strings.Contains(err.Error(), word) {
					t.Errorf("the error %q does not say %q", err, word)
				}
			}
			if strings.Contains(err.Error(), secret) {
				t.Error("the error holds the key")
			}
		})
	}
}

func TestKeyFiles(t *testing.T) {
	key := strings.Repeat("k", 32)
	for name, c := range map[string]struct {
		text, want string
		mode       os.FileMode
		warning    string
	}{
		"plain":    {key, key, 0o600, ""},
		"line end": {key + "\n", key, 0o400, ""},
		"spaces":   {" " + key + " ", " " + key + " ", 0o600, ""},
		"group":    {key, key, 0o640, "the group of key file"},
		"short":    {"short", "short", 0o600, "has 5 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			file, path := filepath.Join(t.TempDir(), "key"), newPath(t)
			write(t, file, []byte(c.text))
			must(t, os.Chmod(file, c.mode))
			o := Options{Log: path, SigningKeyFile: file, SigningKeyID: "k"}
			s, log := newStage(t, o)
			pipelinetest.Handle(t, s, pipelinetest.NewExchange(`{}`))
			must(t, s.Close())
			if c.warning == "" && strings.Contains(log.String(), "WARN") || !strings.Contains(log.String(), c.warning) {
				t.Errorf("the log says %q, want %q", log, c.warning)
			}
			if strings.Contains(log.String(), key) {
				t.Error("the log holds the key")
			}
			v, err := o.VerifyOptions()
			if err != nil || string(v.Key) != c.want {
				t.Errorf("key %q, %v", v.Key, err)
			}
			wantValid(t, path, VerifyOptions{Key: []byte(c.want), KeyID: "k"})
		})
	}
}

func TestFilesNamesWhatMustBeProtected(t *testing.T) {
	got := Options{Log: "a", SigningKeyFile: "b", SigningKeys: []SigningKey{{"k", "c"}}, CheckpointKeyFile: "d", CheckpointPublicKeyFile: "e"}.Files()
	for path, secret := range map[string]bool{"a": false, "b": true, "c": true, "d": true, "e": false} {
		if !slices.Contains(got, pipeline.File{Path: path, Secret: secret, Written: path == "a"}) {
			t.Errorf("%s is not among %+v", path, got)
		}
	}
	if got := (Options{}).Files(); got != nil {
		t.Errorf("%+v", got)
	}
}

// A dry run checks the options and leaves the log to whoever has it open.
func TestADryRunOpensNothing(t *testing.T) {
	path := newPath(t)
	s, err := New(Options{Log: path, Sync: "never"}, pipeline.Env{DryRun: true})
	if err == nil {
		t.Error("a dry run accepts what a run refuses")
	}
	if s, err = New(Options{Log: path, Sync: SyncAlways}, pipeline.Env{DryRun: true}); err != nil {
		t.Fatal(err)
	}
	must(t, s.Close())
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("a dry run made the log: %v", err)
	}
}

// The options of a configuration reach the stage, and flags win over the file.
func TestOptionsFromADocument(t *testing.T) {
	path := newPath(t)
	layer := func(text string) *document.Node {
		n, err := document.Parse("test.json", []byte(text))
		must(t, err)
		return n
	}
	file := layer(`{"log": "elsewhere", "sync": "off", "signing_key": "` + string(testKey) + `", "signing_key_id": "k", "verify_all": true}`)
	flags := layer(`{"log": ` + string(enforcementv1.AppendString(nil, path)) + `}`)
	p, err := pipeline.FromEnv(New)(file, flags)
	must(t, err)
	if files := p.Files(); len(files) == 0 || files[0].Path != path {
		t.Errorf("files %+v", files)
	}
	s, err := p.Build(pipeline.Env{})
	must(t, err)
	pipelinetest.Handle(t, s, pipelinetest.NewExchange(`{}`))
	must(t, s.(*Stage).Close())
	if r := wantValid(t, path, VerifyOptions{Key: testKey, KeyID: "k"}); r.Records != 1 {
		t.Errorf("%+v", r)
	}
	if _, err := pipeline.FromEnv(New)(layer(`{"lgo": "x"}`)); err == nil || !strings.Contains(err.Error(), "log") {
		t.Errorf("a misspelt option: %v", err)
	}
	p, err = pipeline.FromEnv(New)()
	must(t, err)
	s, err = p.Build(pipeline.Env{})
	must(t, err)
	must(t, s.(*Stage).Close())
}
