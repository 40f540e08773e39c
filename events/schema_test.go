package events_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"

	"countersign/events"
	"countersign/workflow"
)

// schemas reads the JSON Schemas, by what they are named for.
func schemas(t *testing.T) map[string]*jsonschema.Schema {
	t.Helper()
	files, err := filepath.Glob("../docs/schemas/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d schemas, %v", len(files), err)
	}
	out := map[string]*jsonschema.Schema{}
	for _, file := range files {
		c := jsonschema.NewCompiler()
		c.AssertFormat()
		s, err := c.Compile(file)
		if err != nil {
			t.Fatal(err)
		}
		out[strings.TrimSuffix(filepath.Base(file), ".json")] = s
	}
	return out
}

// instance is a JSON text as the schemas take it.
func instance(t *testing.T, text []byte) any {
	t.Helper()
	v, err := jsonschema.UnmarshalJSON(strings.NewReader(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestEvents_EveryTypeHasASchema(t *testing.T) {
	all := schemas(t)
	kinds := workflow.Kinds()
	for _, k := range kinds {
		if all[k.Type] == nil {
			t.Errorf("%s has none", k.Type)
		}
	}
	if len(all) != len(kinds)+1 {
		t.Errorf("%d schemas for %d types and the envelope", len(all), len(kinds))
	}
}

func TestEventMessage_FitsSchemas(t *testing.T) {
	all := schemas(t)
	for _, e := range whole() {
		msg, err := e.Message()
		if err != nil {
			t.Fatal(err)
		}
		if err := all["envelope"].Validate(instance(t, msg.Data)); err != nil {
			t.Errorf("%s: %v", e.What, err)
		}
		data := instance(t, msg.Data).(map[string]any)["data"]
		if err := all[e.Body.Type()].Validate(data); err != nil {
			t.Errorf("%s: %v", e.What, err)
		}
	}
}

func TestDecode_AgreesWithSchemasOnFaults(t *testing.T) {
	all := schemas(t)
	for _, tt := range faults {
		if strings.Contains(tt.message, "agree with the subject") {
			continue // a schema sees no subject
		}
		t.Run(tt.name, func(t *testing.T) {
			err := all[tt.typ].Validate(instance(t, []byte(tt.data)))
			if refused := err != nil; refused != tt.schema {
				t.Errorf("the schema says %v", err)
			}
		})
	}
}

func TestAsyncAPI_ExamplesFitSchemasAndDecode(t *testing.T) {
	all := schemas(t)
	told := examples(t)
	for typ, s := range all {
		t.Run(typ, func(t *testing.T) {
			if len(s.Examples) == 0 {
				t.Error("no examples")
			}
			for _, example := range s.Examples {
				if err := s.Validate(example); err != nil {
					t.Error(err)
				}
			}
			if typ == "envelope" {
				return
			}
			if len(told[typ]) != len(s.Examples) {
				t.Fatalf("%d examples in the schema, %d in the AsyncAPI document", len(s.Examples), len(told[typ]))
			}
			for i, e := range told[typ] {
				if err := all["envelope"].Validate(instance(t, e.Data)); err != nil {
					t.Error(err)
				}
				data := instance(t, e.Data).(map[string]any)["data"]
				if diff := cmp.Diff(s.Examples[i], data); diff != "" {
					t.Errorf("schema and AsyncAPI document differ (-schema +document)\n%s", diff)
				}
				entry := events.Decode(e)
				if b, ok := entry.Body.(workflow.Invalid); ok || entry.Body.Type() != typ {
					t.Errorf("on %s: %s", e.Subject, b.Message)
				}
			}
		})
	}
}

// examples reads the AsyncAPI document's examples as messages, by their type,
// and holds their subjects to the addresses of its channels.
func examples(t *testing.T) map[string][]events.Message {
	t.Helper()
	text, err := os.ReadFile("../docs/asyncapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Channels   map[string]struct{ Address string }
		Components struct {
			Messages map[string]struct {
				Name     string
				Examples []struct {
					Summary string
					Payload map[string]any
				}
			}
		}
	}
	if err := yaml.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	out := map[string][]events.Message{}
	for name, m := range doc.Components.Messages {
		for _, e := range m.Examples {
			subject := strings.TrimPrefix(e.Summary, "On ")
			if strings.Contains(subject, ".by.") {
				name += "ByCountersign"
			}
			address := strings.Split(doc.Channels[name].Address, ".")
			tokens := strings.Split(subject, ".")
			if len(tokens) != len(address) {
				t.Fatalf("%s does not fit the address %s", subject, doc.Channels[name].Address)
			}
			for i, token := range tokens {
				if address[i] != token && !strings.HasPrefix(address[i], "{") {
					t.Errorf("%s does not fit the address %s", subject, doc.Channels[name].Address)
				}
			}
			data, err := json.Marshal(e.Payload)
			if err != nil {
				t.Fatal(err)
			}
			out[m.Name] = append(out[m.Name], events.Message{Subject: subject, Data: data})
		}
	}
	return out
}
