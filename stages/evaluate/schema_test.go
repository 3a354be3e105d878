package evaluate

import (
	"bytes"
	"encoding/json"
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

var update = flag.Bool("update", false, "write docs/policy.schema.json anew")

const schemaPath = "../../docs/policy.schema.json"

// object is a JSON object; its members are written in alphabetical order.
type object = map[string]any

// A schemaMaker makes the schema of policies from the Go types that they are read
// into and from what is said of their members.
type schemaMaker struct {
	structs map[string]*ast.StructType
	used    map[string]bool // what the table of types holds and a member has
}

// schemaOfTypes are the types whose form Go does not tell.
var schemaOfTypes = map[string]object{
	"string": {"type": "string"},
	"bool":   {"type": "boolean"},
	"wordNode": {
		"type": "string", "pattern": "^[!-~]+$", "maxLength": mostQuoted,
	},
	"patternNodes": {"type": "array", "items": object{
		"type": "string", "minLength": 1,
		"description": "A pattern matches a whole value. * and ** stand for any characters, / too; a leading **/ may stand for nothing.",
	}},
	"exampleNodes": {"type": "array", "items": object{"anyOf": []any{
		object{"type": "string", "minLength": 1, "description": "A command line that is run."},
		object{"$ref": "#/$defs/example"},
	}}},
}

// sectionsBySchema are the sections by the type that they are read into.
var sectionsBySchema = map[string]section{
	"policyMetadata": metadataSection, "policyFilesystem": filesystemSection, "policyCommands": commandsSection,
	"policyMCP": mcpSection, "policyGit": gitSection, "policyExamples": examplesSection,
}

func makeSchema(t *testing.T) []byte {
	t.Helper()
	m := &schemaMaker{structs: map[string]*ast.StructType{}, used: map[string]bool{}}
	for _, file := range []string{"policy.go", "examples.go"} {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			if spec, ok := n.(*ast.TypeSpec); ok {
				if s, ok := spec.Type.(*ast.StructType); ok {
					m.structs[spec.Name.Name] = s
				}
			}
			return true
		})
	}
	schema := m.object(t, "policyFile", earlierSections)
	schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	schema["title"] = "A policy of cavra-runtime"
	schema["required"] = []string{"metadata"}
	metadata := schema["properties"].(object)["metadata"].(object)
	metadata["required"] = []string{"id"}

	example := m.object(t, "exampleFile", nil)
	var one []any
	for _, name := range []string{"command", "read", "write", "push", "mcp"} {
		one = append(one, object{"required": []string{name}})
		example["properties"].(object)[name].(object)["minLength"] = 1
	}
	example["oneOf"] = one
	schema["$defs"] = object{"example": example}

	for name := range schemaOfTypes {
		if !m.used[name] {
			t.Errorf("no member has the type %s", name)
		}
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(schema); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// object is the schema of a struct. Members of earlier releases may have any
// value, since nothing reads them.
func (m *schemaMaker) object(t *testing.T, name string, earlier []string) object {
	t.Helper()
	properties := object{}
	for _, f := range m.structs[name].Fields.List {
		tag := reflect.StructTag(strings.Trim(f.Tag.Value, "`")).Get("json")
		if tag == ",unknown" {
			continue
		}
		typ := f.Type
		if star, ok := typ.(*ast.StarExpr); ok {
			typ = star.X
		}
		typeName := typ.(*ast.Ident).Name
		property := object{}
		if s, known := schemaOfTypes[typeName]; known {
			m.used[typeName] = true
			for key, value := range s {
				property[key] = value
			}
		} else {
			property = m.object(t, typeName, sectionsBySchema[typeName].earlier)
		}
		description := strings.Join(strings.Fields(f.Doc.Text()), " ")
		if description == "" {
			t.Errorf("%s of %s has no comment for the schema", tag, name)
		}
		property["description"] = description
		properties[tag] = property
	}
	for _, member := range earlier {
		properties[member] = object{"deprecated": true, "description": "Of earlier releases; accepted and not enforced."}
	}
	return object{"type": "object", "additionalProperties": false, "properties": properties}
}

func TestTheSchemaIsThatOfTheTypes(t *testing.T) {
	want := makeSchema(t)
	if *update {
		if err := os.WriteFile(schemaPath, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(schemaPath)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(have, want) {
		t.Error("docs/policy.schema.json is not what the types say; write it with: go test ./stages/evaluate -run Schema -update")
	}
}

// TestSectionsKnowTheirMembers holds the names that faults suggest to the types.
func TestSectionsKnowTheirMembers(t *testing.T) {
	for _, tt := range []struct {
		typ     reflect.Type
		section section
	}{
		{reflect.TypeFor[policyMetadata](), metadataSection}, {reflect.TypeFor[policyFilesystem](), filesystemSection},
		{reflect.TypeFor[policyCommands](), commandsSection}, {reflect.TypeFor[policyMCP](), mcpSection},
		{reflect.TypeFor[policyGit](), gitSection}, {reflect.TypeFor[policyExamples](), examplesSection},
		{reflect.TypeFor[policyFile](), section{"policy", append([]string{"$schema"}, knownSections...), nil}},
	} {
		var names []string
		for f := range tt.typ.Fields() {
			if tag := f.Tag.Get("json"); tag != ",unknown" {
				names = append(names, tag)
			}
		}
		if !slices.Equal(names, tt.section.known) {
			t.Errorf("%s: members %v, known %v", tt.section.name, names, tt.section.known)
		}
	}
}

func compileSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	text, err := os.ReadFile(schemaPath)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("policy.schema.json", doc); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile("policy.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

// instance is a YAML or JSON text as the validator takes it.
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

func TestWhatLoadsFitsTheSchema(t *testing.T) {
	schema := compileSchema(t)
	check := func(name string, text []byte) {
		if err := schema.Validate(instance(t, text)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		// One policy of the documents shows what an example that fails says.
		if err := parse(string(text)); (err == nil) == bytes.Contains(text, []byte("id: failing")) {
			t.Errorf("%s: loading it gives %v", name, err)
		}
	}
	for _, name := range PackNames() {
		text, _ := Pack(name)
		check(name, text)
	}
	documents, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, path := range append(documents, "../../README.md") {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, block := range regexp.MustCompile("(?ms)^```(?:yaml|json)[^\n]*\n(.*?)^```").FindAllSubmatch(text, -1) {
			if isPolicy := regexp.MustCompile(`(?m)^\s*"?metadata"?:`); isPolicy.Match(block[1]) {
				found++
				check(path, block[1])
			}
		}
	}
	if found < 6 {
		t.Errorf("%d policies found in the documents", found)
	}
	check("older", []byte(`{"$schema":"x","metadata":{"id":"x","inherits":null,"mode":"enforce"},"commands":{"block":["x"]},`+
		`"mcp":{"allowlist_enabled":true,"risk_scoring":{}},"git":{"require_pull_request":true},"compliance":{},"approvals":[],"evidence":null}`))
}

func TestWhatIsRefusedDoesNotFitTheSchema(t *testing.T) {
	schema := compileSchema(t)
	for name, text := range map[string]string{
		"misspelt member":     `{metadata: {id: x}, commands: {blocks: [x]}}`,
		"misspelt section":    `{metadata: {id: x}, commands: {block: [x]}, filesystems: {block_read: [x]}}`,
		"misspelt in example": `{metadata: {id: x}, commands: {block: [x]}, examples: {block: [{comand: x}]}}`,
		"misspelt decision":   `{metadata: {id: x}, commands: {block: [x]}, examples: {blocked: [x]}}`,
		"no id":               `{metadata: {title: x}, commands: {block: [x]}}`,
		"no metadata":         `{commands: {block: [x]}}`,
		"two words":           `{metadata: {id: "x y"}, commands: {block: [x]}}`,
		"empty pattern":       `{metadata: {id: x}, commands: {block: [""]}}`,
		"number":              `{metadata: {id: x}, commands: {block: [x, 7]}}`,
		"no list":             `{metadata: {id: x}, commands: {block: x}}`,
		"null section":        `{metadata: {id: x}, commands: null}`,
		"word for true":       `{metadata: {id: x}, mcp: {blocked_servers: [x], block_unknown_servers: "yes"}}`,
		"two things asked":    `{metadata: {id: x}, commands: {block: [x]}, examples: {block: [{command: x, read: x}]}}`,
		"nothing asked":       `{metadata: {id: x}, commands: {block: [x]}, examples: {block: [{rule: x}]}}`,
		"empty example":       `{metadata: {id: x}, commands: {block: [x]}, examples: {block: [{read: ""}]}}`,
		"number as schema":    `{$schema: 7, metadata: {id: x}, commands: {block: [x]}}`,
	} {
		t.Run(name, func(t *testing.T) {
			text := strings.Replace(text, "{", "\n{", 1)
			if schema.Validate(instance(t, []byte(text))) == nil {
				t.Error("fits the schema")
			}
			if parse("# YAML\n"+text) == nil {
				t.Error("loads")
			}
		})
	}
}
