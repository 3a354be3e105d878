package examples_test

import (
	"bytes"
	"cmp"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

// TestTemplatesFitTheirProvidersSchema holds each template to the JSON schema that
// its provider publishes, and sees that the schema refuses a spoilt one.
func TestTemplatesFitTheirProvidersSchema(t *testing.T) {
	for _, tt := range []struct{ template, schema, from, to string }{
		{workflowFile, "github-workflow.json", "runs-on:", "runs-in:"},
		{actionFile, "github-action.json", "using: composite", "using: composed"},
		{gitlabFile, "gitlab-ci.json", "when: always", "when: perhaps"},
		{azureFile, "azure-pipelines.json", "persistCredentials:", "persistCredential:"},
	} {
		t.Run(tt.schema, func(t *testing.T) {
			schema := providerSchema(t, tt.schema)
			text, err := os.ReadFile(tt.template)
			if err != nil {
				t.Fatal(err)
			}
			if err := schema.Validate(instance(t, text)); err != nil {
				t.Errorf("%s: %v", tt.template, err)
			}
			spoilt := bytes.ReplaceAll(text, []byte(tt.from), []byte(tt.to))
			if bytes.Equal(spoilt, text) {
				t.Fatalf("%s holds no %q", tt.template, tt.from)
			}
			if schema.Validate(instance(t, spoilt)) == nil {
				t.Errorf("%s with %q is taken too: the schema checks nothing", tt.template, tt.to)
			}
		})
	}
}

func providerSchema(t *testing.T, name string) *jsonschema.Schema {
	t.Helper()
	dir := cmp.Or(os.Getenv("CAVRA_CI_SCHEMAS"), filepath.Join("testdata", "ci-schemas"))
	text, err := os.ReadFile(filepath.Join(dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		t.Skipf("%s is not in %s; testdata/ci-schemas/README.md says where it is published", name, dir)
	}
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.UseLoader(nothingElse{})
	if err := c.AddResource(name, doc); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile(name)
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

// nothingElse keeps a schema from naming files or addresses of its own.
type nothingElse struct{}

func (nothingElse) Load(url string) (any, error) {
	return nil, errors.New("the schema refers to another, " + strings.ToValidUTF8(url, "?"))
}

// instance is a YAML text as the validator takes it.
func instance(t *testing.T, text []byte) any {
	t.Helper()
	asJSON, err := yaml.YAMLToJSON(text)
	if err != nil {
		t.Fatal(err)
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(asJSON))
	if err != nil {
		t.Fatal(err)
	}
	return v
}
