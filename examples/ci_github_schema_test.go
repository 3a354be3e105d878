package examples_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// githubDefinition is one type of GitHub's own schema language. Of the members that
// say what a value is, one is set.
type githubDefinition struct {
	Null     *struct{} `json:"null"`
	Boolean  *struct{} `json:"boolean"`
	Number   *struct{} `json:"number"`
	Sequence *struct {
		Item string `json:"item-type"`
	} `json:"sequence"`
	String *struct {
		Constant string `json:"constant"`
		NonEmpty bool   `json:"require-non-empty"`
	} `json:"string"`
	Mapping *struct {
		Properties map[string]githubProperty `json:"properties"`
		LooseKey   string                    `json:"loose-key-type"`
		LooseValue string                    `json:"loose-value-type"`
	} `json:"mapping"`
	OneOf   []string `json:"one-of"`
	Allowed []string `json:"allowed-values"`

	// Context names what an expression in the value's place may speak of.
	Context []string `json:"context"`

	Description string `json:"description"`
}

// githubProperty is a member of a mapping: the name of its type, or more.
type githubProperty struct {
	Type        string `json:"type"`
	Required    bool   `json:"required"`
	Description string `json:"description"`
}

func (p *githubProperty) UnmarshalJSON(text []byte) error {
	if text[0] == '"' {
		return json.Unmarshal(text, &p.Type)
	}
	type plain githubProperty
	return json.Unmarshal(text, (*plain)(p))
}

type object = map[string]any

// githubScalar is what GitHub takes for a string.
var githubScalar = []any{"string", "number", "boolean"}

// githubSchema turns the schema language of GitHub's workflow parser into JSON
// schema, and compiles it with root as what a file must be.
func githubSchema(root string) func(*testing.T, []byte) *jsonschema.Schema {
	return func(t *testing.T, text []byte) *jsonschema.Schema {
		t.Helper()
		var file struct {
			Version     string                      `json:"version"`
			Definitions map[string]githubDefinition `json:"definitions"`
		}
		decoder := json.NewDecoder(strings.NewReader(string(text)))
		decoder.DisallowUnknownFields() // a word that is not understood checks nothing
		if err := decoder.Decode(&file); err != nil {
			t.Fatal(err)
		}

		// What every schema of GitHub takes for granted.
		types := object{
			"any": object{}, "null": object{"type": "null"}, "boolean": object{"type": "boolean"}, "number": object{"type": "number"},
			"string": object{"type": githubScalar}, "sequence": object{"type": "array"}, "mapping": object{"type": "object"},
		}
		for name, d := range file.Definitions {
			types[name] = d.jsonSchema()
		}
		if types[root] == nil {
			t.Fatalf("the schema defines no %s", root)
		}
		return compile(t, object{
			"$schema": "https://json-schema.org/draft/2020-12/schema", "$ref": "#/$defs/" + root, "$defs": types,
		})
	}
}

// githubContexts are what an expression can speak of, somewhere.
var githubContexts = []string{"github", "env", "vars", "job", "jobs", "steps", "runner", "secrets", "strategy", "matrix", "needs", "inputs"}

// jsonSchema is the definition in JSON schema. What says in which context it is
// evaluated takes expressions, and none that speak of another context.
func (d githubDefinition) jsonSchema() object {
	schema := d.value()
	if d.Context == nil {
		return schema
	}
	foreign := slices.DeleteFunc(slices.Clone(githubContexts), func(c string) bool { return slices.Contains(d.Context, c) })
	own := object{"not": object{"type": "string", "pattern": `\$\{\{([^}]*[^A-Za-z0-9_.-])?(` + strings.Join(foreign, "|") + `)\.`}}
	switch {
	case d.Sequence != nil:
		schema["items"] = object{"allOf": []any{schema["items"], own}}
	case d.Mapping != nil:
		schema["additionalProperties"] = object{"allOf": []any{schema["additionalProperties"], own}}
	case d.String != nil:
		schema = object{"allOf": []any{schema, own}}
	default:
		schema = object{"allOf": []any{object{"anyOf": []any{schema, object{"type": "string", "pattern": `\$\{\{`}}}, own}}
	}
	return schema
}

func (d githubDefinition) value() object {
	ref := func(name string) any { return object{"$ref": "#/$defs/" + name} }
	switch {
	case d.Null != nil:
		return object{"type": "null"}
	case d.Boolean != nil:
		return object{"type": "boolean"}
	case d.Number != nil:
		return object{"type": "number"}
	case d.Sequence != nil:
		return object{"type": "array", "items": ref(d.Sequence.Item)}
	case d.String != nil && d.String.Constant != "":
		return object{"const": d.String.Constant}
	case d.String != nil && d.String.NonEmpty:
		return object{"type": githubScalar, "minLength": 1}
	case d.String != nil:
		return object{"type": githubScalar}
	case d.Mapping != nil:
		properties, required := object{}, []any{}
		for name, p := range d.Mapping.Properties {
			properties[name] = ref(p.Type)
			if p.Required {
				required = append(required, name)
			}
		}
		schema := object{"type": "object", "properties": properties, "required": required, "additionalProperties": false}
		if d.Mapping.LooseValue != "" {
			schema["propertyNames"], schema["additionalProperties"] = ref(d.Mapping.LooseKey), ref(d.Mapping.LooseValue)
		}
		return schema
	case d.Allowed != nil:
		values := []any{}
		for _, v := range d.Allowed {
			values = append(values, v)
		}
		return object{"enum": values}
	default:
		choices := []any{}
		for _, name := range d.OneOf {
			choices = append(choices, ref(name))
		}
		return object{"anyOf": choices}
	}
}
