package pipeline_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/Huzefaaa2/cavra/go/cavra-runtime/document"
	"github.com/Huzefaaa2/cavra/go/cavra-runtime/pipeline"
)

type options struct {
	Burst int    `json:"burst"`
	Key   string `json:"key"`
}

func (o *options) SetDefaults() { o.Burst = 10 }

func (o options) Files() []pipeline.File { return []pipeline.File{{Path: o.Key, Secret: true}} }

type optioned struct {
	options
	env pipeline.Env
}

func (*optioned) Spec() pipeline.Spec { return pipeline.Spec{Name: "optioned", Phase: pipeline.Decide} }

func (*optioned) Handle(context.Context, *pipeline.Exchange) error { return nil }

func parse(t *testing.T, text string) *document.Node {
	t.Helper()
	n, err := document.Parse("config.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestFromDecodesLayersOverDefaults(t *testing.T) {
	factory := pipeline.FromEnv(func(o options, env pipeline.Env) (*optioned, error) { return &optioned{o, env}, nil })
	for _, c := range []struct {
		name   string
		layers []*document.Node
		want   options
	}{
		{"nothing", nil, options{Burst: 10}},
		{"a missing layer", []*document.Node{nil}, options{Burst: 10}},
		{"a file", []*document.Node{parse(t, "burst: 3")}, options{Burst: 3}},
		{"a flag over a file", []*document.Node{parse(t, "burst: 3\nkey: a"), document.Value("--key", map[string]any{"key": "b"})}, options{Burst: 3, Key: "b"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			prepared, err := factory(c.layers...)
			if err != nil {
				t.Fatal(err)
			}
			stage, err := prepared.Build(pipeline.Env{Workspace: "/w"})
			if err != nil {
				t.Fatal(err)
			}
			got := stage.(*optioned)
			if got.options != c.want || got.env.Workspace != "/w" {
				t.Errorf("built from %+v in %+v, want %+v", got.options, got.env, c.want)
			}
			if files := prepared.Files(); len(files) != 1 || files[0] != (pipeline.File{Path: c.want.Key, Secret: true}) {
				t.Errorf("the files are %v", files)
			}
		})
	}
}

func TestFromReportsEveryFaultOfEveryLayer(t *testing.T) {
	factory := pipeline.From(func(o options) (*optioned, error) { return &optioned{options: o}, nil })
	_, err := factory(parse(t, "burts: 3\nkey: 4"), document.Value("--burst", map[string]any{"burst": "x"}))
	if err == nil {
		t.Fatal("accepted")
	}
	for _, want := range []string{"config.yaml:1:1: burts", `did you mean "burst"?`, "config.yaml:2:6: key", "--burst: "} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in:\n%v", want, err)
		}
	}
}

func TestFromPassesTheConstructorsErrorOn(t *testing.T) {
	wrong := errors.New("wrong")
	prepared, err := pipeline.From(func(options) (*optioned, error) { return nil, wrong })()
	if err != nil {
		t.Fatal(err)
	}
	if stage, err := prepared.Build(pipeline.Env{}); !errors.Is(err, wrong) || stage != nil {
		t.Errorf("Build returns %v, %v", stage, err)
	}
	plain, err := pipeline.From(func(struct{}) (*optioned, error) { return &optioned{}, nil })()
	if err != nil || plain.Files() != nil {
		t.Errorf("options without files: %v, %v", plain.Files(), err)
	}
}
