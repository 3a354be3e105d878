package examples_test

import (
	"bytes"
	"cmp"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

// TestTemplatesFitTheirProvidersSchema holds each template to the schema that its
// provider publishes, and sees that the schema refuses each way of spoiling it.
func TestTemplatesFitTheirProvidersSchema(t *testing.T) {
	type spoil struct{ from, to string }
	for _, tt := range []struct {
		template, schema string
		compile          func(*testing.T, []byte) *jsonschema.Schema
		spoils           []spoil
	}{
		{workflowFile, "github-workflow-v1.0.json", githubSchema("workflow-root-strict"), []spoil{
			{"runs-on:", "runs-in:"},
			{"permissions:", "permission:"},
			{"id-token: write", "id-token: read"},
			{"workflow_dispatch:", "workflow_dispatched:"},
			{"shell: bash", "shells: bash"},
			{"timeout-minutes: 10", "timeout-minutes: soon"},
			{"${{ env.CAVRA_REQUEST }}", "[release/request.json]"},
			{"if: always()", "when: always()"},
		}},
		{actionFile, "github-action-v1.0.json", githubSchema("action-root-strict"), []spoil{
			{"using: composite", "using: composed"},
			{"shell: bash", "shells: bash"},
			{"required: true", "required: perhaps"},
			{"${{ inputs.evidence-key }}", "${{ secrets.EVIDENCE_KEY }}"},
			{"outputs:", "output:"},
			{"${{ inputs.oidc }}", "${{ vars.OIDC }}"},
			{"description: Asks", "about: Asks"},
		}},
		{gitlabFile, "gitlab-ci.json", jsonSchema, []spoil{
			{"when: always", "when: perhaps"},
			{"id_tokens:", "id_token: 3\n  services:"},
			{"aud: cavra", "audience: cavra"},
			{"before_script:", "before_script: 7\n  tags:"},
		}},
		{azureFile, "azure-pipelines.json", jsonSchema, []spoil{
			{"persistCredentials:", "persistCredential:"},
			{"condition:", "conditions:"},
			{"timeoutInMinutes:", "timeout:"},
			{"PublishPipelineArtifact@1", "PublishPipelineArtefact@1"},
			{"targetPath:", "target:"},
		}},
	} {
		t.Run(tt.schema, func(t *testing.T) {
			schema := tt.compile(t, published(t, tt.schema))
			text, err := os.ReadFile(tt.template)
			if err != nil {
				t.Fatal(err)
			}
			if err := schema.Validate(shown(instance(t, text))); err != nil {
				t.Errorf("%s: %v", tt.template, err)
			}
			for _, s := range tt.spoils {
				spoilt := bytes.ReplaceAll(text, []byte(s.from), []byte(s.to))
				if bytes.Equal(spoilt, text) {
					t.Errorf("%s holds no %q", tt.template, s.from)
				} else if schema.Validate(shown(instance(t, spoilt))) == nil {
					t.Errorf("%s with %q for %q is taken too", tt.template, s.to, s.from)
				}
			}
		})
	}
}

// published reads a schema as its provider publishes it.
func published(t *testing.T, name string) []byte {
	t.Helper()
	vendored := filepath.Join("testdata", "ci-schemas")
	for _, dir := range []string{vendored, cmp.Or(os.Getenv("CAVRA_CI_SCHEMAS"), vendored)} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err == nil {
			return text
		}
		if !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
	}
	t.Skipf("%s is neither in %s nor in $CAVRA_CI_SCHEMAS; %s says where it is published", name, vendored, filepath.Join(vendored, "README.md"))
	return nil
}

// jsonSchema compiles what is a JSON schema already.
func jsonSchema(t *testing.T, text []byte) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return compile(t, doc)
}

func compile(t *testing.T, doc any) *jsonschema.Schema {
	t.Helper()
	const name = "schema.json"
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

// shown gives the jobs that GitLab hides, and whose content its schema leaves open,
// a name that does not begin with a dot. They are what the others extend.
func shown(file any) any {
	file = maps.Clone(file.(object))
	for name, job := range file.(object) {
		if hidden, ok := strings.CutPrefix(name, "."); ok {
			delete(file.(object), name)
			file.(object)["shown-"+hidden] = job
		}
	}
	return file
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
