package main

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"

	"github.com/invopop/jsonschema"

	"countersign/events"
	"countersign/workflow"
)

// schema is one JSON Schema, as it is written to a file of its name.
type schema struct {
	name string
	kind *kind // nil for the envelope
	root *jsonschema.Schema
	json []byte
}

const envelopeName = "envelope"

// makeSchemas makes the envelope's schema and one for the data of each kind.
func makeSchemas() ([]schema, error) {
	r := &jsonschema.Reflector{Anonymous: true, DoNotReference: true, AllowAdditionalProperties: true, Mapper: words}
	// The first argument and the folder together are the import path.
	if err := r.AddGoComments("countersign/tools", "../workflow", jsonschema.WithFullComment()); err != nil {
		return nil, fmt.Errorf("read comments: %w", err)
	}
	all, err := kinds()
	if err != nil {
		return nil, err
	}
	out := []schema{{name: envelopeName, root: envelope()}}
	for _, k := range all {
		s := r.Reflect(k.Body)
		constrain(s, "")
		whole(k.Body, s)
		for _, e := range k.examples {
			event, err := wire(e)
			if err != nil {
				return nil, fmt.Errorf("example of %s: %w", k.name, err)
			}
			s.Examples = append(s.Examples, event["data"])
		}
		out = append(out, schema{name: k.Type, kind: &k, root: s})
	}
	first, err := wire(out[1].kind.examples[0])
	if err != nil {
		return nil, err
	}
	out[0].root.Examples = []any{first}
	for i := range out {
		s := &out[i]
		s.root.ID = jsonschema.ID("urn:countersign:schema:" + events.SchemaVersion + ":" + s.name)
		s.root.Title = s.name
		if s.json, err = indented(s.root); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// wire is an event as its subscribers see it.
func wire(e events.Event) (map[string]any, error) {
	msg, err := e.Message()
	if err != nil {
		return nil, err
	}
	var out map[string]any
	return out, json.Unmarshal(msg.Data, &out)
}

// words gives the types that are a choice of words their words.
func words(t reflect.Type) *jsonschema.Schema {
	switch t {
	case reflect.TypeFor[workflow.Status]():
		return &jsonschema.Schema{Type: "string", Enum: list(workflow.Statuses)}
	case reflect.TypeFor[workflow.OrderStatus]():
		return &jsonschema.Schema{Type: "string", Enum: list(workflow.OrderStatuses)}
	case reflect.TypeFor[workflow.Action]():
		return &jsonschema.Schema{Type: "string", Enum: list(workflow.Actions)}
	case reflect.TypeFor[workflow.Outcome]():
		return &jsonschema.Schema{Type: "string", Enum: list(workflow.Outcomes)}
	case reflect.TypeFor[workflow.WebhookStatus]():
		return &jsonschema.Schema{Type: "string", Enum: list(workflow.WebhookStatuses)}
	case reflect.TypeFor[workflow.DeliveryResult]():
		return &jsonschema.Schema{Type: "string", Enum: list(workflow.DeliveryResults)}
	case reflect.TypeFor[json.RawMessage]():
		return &jsonschema.Schema{Type: "object"}
	}
	return nil
}

func list[T any](words []T) []any {
	out := make([]any, len(words))
	for i, w := range words {
		out[i] = w
	}
	return out
}

// constrain puts the limits of package events on the properties, by their
// names, and makes their comments sentences.
func constrain(s *jsonschema.Schema, path string) {
	s.Description = sentence(s.Description)
	if set, ok := limits[path]; ok {
		set(s)
	} else if set, ok := limits[path[strings.LastIndexByte(path, '.')+1:]]; ok {
		set(s)
	}
	if s.Items != nil {
		constrain(s.Items, path+"[]")
	}
	if s.Properties == nil {
		return
	}
	for p := s.Properties.Oldest(); p != nil; p = p.Next() {
		constrain(p.Value, strings.TrimPrefix(path+"."+p.Key, "."))
	}
}

func sentence(comment string) string {
	s := strings.Join(strings.Fields(comment), " ")
	if s == "" {
		return ""
	}
	s = strings.ToUpper(s[:1]) + s[1:]
	return strings.TrimSuffix(s, ".") + "."
}

// envelope is the schema of what is around every event's data.
func envelope() *jsonschema.Schema {
	s := &jsonschema.Schema{
		Version: jsonschema.Version, Type: "object", Properties: jsonschema.NewProperties(),
		Description: "A CloudEvent 1.0 in the JSON format. Other attributes are allowed and ignored.",
		Required:    []string{"specversion", "id", "source", "type", "data"},
	}
	var types []any
	for _, k := range workflow.Kinds() {
		types = append(types, k.Type)
	}
	identity := func(description string) *jsonschema.Schema {
		return &jsonschema.Schema{Type: "string", MinLength: new(uint64(1)), MaxLength: new(uint64(events.MaxIdentity)), Pattern: onOneLine, Description: description}
	}
	source := identity("Who publishes it. \"" + events.Source + "\" is Countersign's own, and nobody else's.")
	source.Format = "uri-reference"
	s.Properties.Set("specversion", &jsonschema.Schema{Type: "string", Const: "1.0"})
	s.Properties.Set("id", identity("With the source the event's identity: the same two met again change nothing."))
	s.Properties.Set("source", source)
	s.Properties.Set("type", &jsonschema.Schema{Type: "string", Enum: types, Description: "Must be the type that belongs on the subject."})
	s.Properties.Set("time", &jsonschema.Schema{Type: "string", Format: "date-time", Description: "When it happened, by the publisher's clock. It decides nothing; the log's own time does."})
	s.Properties.Set("datacontenttype", &jsonschema.Schema{Type: "string", Pattern: `^(application|text)/([^;]*\+)?json *(;.*)?$`, Description: "application/json, which is assumed if it is left out."})
	s.Properties.Set("schemaversion", &jsonschema.Schema{
		Enum: []any{events.SchemaVersion, json.Number(events.SchemaVersion)}, Description: "The version of this contract, which is assumed if it is left out.",
	})
	s.Properties.Set("redrives", &jsonschema.Schema{
		Type: "string", Pattern: "^[1-9][0-9]*$", Description: "The sequence of a refused event or dead letter of the same account that this event is sent in place of. It closes that one and decides nothing else.",
	})
	s.Properties.Set("data", &jsonschema.Schema{Type: "object", Description: "What the event says; each type has a schema for it."})
	return s
}
