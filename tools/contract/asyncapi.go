package main

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"countersign/events"
	"countersign/workflow"
)

// object is an object of the AsyncAPI document; yaml sorts its names.
type object map[string]any

func ref(path string) object { return object{"$ref": "#/" + path} }

const about = `Upstream services publish events about Authorization Documents to NATS JetStream, on the stream ` + events.StreamName + `.
Countersign asks the signer to sign by mail, tells the cc recipients, moves the document through its statuses,
and, once it is signed, publishes one register event for each of its Hosted Number Orders.

Every message is a CloudEvent 1.0, in structured mode; in binary mode (ce- headers) it is read too. Its id and source
are its identity within the account: a second event with the same identity changes nothing, however late it comes. The tokens of the subject say whom it is about.
Fields that are not in these schemas are ignored. A message that does not keep to them changes nothing and
holds nothing up: Countersign answers it with a refused event that names the field.

A message of an upstream service has at most %d bytes.`

// asyncAPI is the AsyncAPI 3.0 document of the contract, complete in one file.
func asyncAPI(all []schema) ([]byte, error) {
	channels, operations, messages, schemas := object{}, object{}, object{}, object{}
	for _, s := range all {
		node, err := schemaNode(s.json)
		if err != nil {
			return nil, err
		}
		schemas[s.name] = node
		if s.kind == nil {
			continue
		}
		k := s.kind
		if messages[k.name], err = messageOf(s); err != nil {
			return nil, err
		}
		channels[k.name] = channelOf(k, k.Subjects[0])
		operations[k.name] = operationOf(k, s.root.Description)
		if len(k.doors) > 0 {
			own := k.name + "ByCountersign"
			channels[own] = channelOf(k, byDoor(k.Subjects[0]))
			operations[own] = doorsOf(k, own, s.root.Description)
		}
	}
	doc := struct {
		AsyncAPI           string `yaml:"asyncapi"`
		Info               object
		DefaultContentType string `yaml:"defaultContentType"`
		Servers            object
		Channels           object
		Operations         object
		Components         object
	}{
		"3.0.0",
		object{"title": "Countersign", "version": events.SchemaVersion + ".0.0", "description": fmt.Sprintf(about, events.MaxPayload)},
		"application/cloudevents+json",
		object{"embedded": object{"host": "127.0.0.1:4222", "protocol": "nats", "description": "The server that Countersign brings along, where it is left to listen. Any NATS server with JetStream does."}},
		channels, operations,
		object{"messages": messages, "schemas": schemas, "parameters": parameters()},
	}
	var b strings.Builder
	b.WriteString("# Made by tools/contract from the types of package workflow; do not edit.\n")
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	if err := e.Encode(doc); err != nil {
		return nil, fmt.Errorf("write AsyncAPI document: %w", err)
	}
	return []byte(b.String()), e.Close()
}

var placeholder = regexp.MustCompile(`\{(\w+)\}`)

func channelOf(k *kind, address string) object {
	c := object{
		"address":  events.Prefix + address,
		"summary":  k.Type,
		"messages": object{k.name: ref("components/messages/" + k.name)},
	}
	if names := placeholder.FindAllStringSubmatch(address, -1); names != nil {
		parameters := object{}
		for _, name := range names {
			parameters[name[1]] = ref("components/parameters/" + name[1])
		}
		c["parameters"] = parameters
	}
	return c
}

// byDoor is the subject on which a door says what others say on address.
func byDoor(address string) string {
	tokens := strings.Split(address, ".")
	return strings.Join(slices.Insert(tokens, 2, "by", "{writer}"), ".")
}

// operationOf says what Countersign does with the kind: it receives what
// others write too, and sends the rest.
func operationOf(k *kind, description string) object {
	action := "send"
	if k.Upstream() {
		action = "receive"
	}
	return object{
		"action":      action,
		"channel":     ref("channels/" + k.name),
		"messages":    []object{ref("channels/" + k.name + "/messages/" + k.name)},
		"summary":     "Written by " + k.writers + ".",
		"description": description,
	}
}

// doorsOf says who of Countersign's own says the same, on which channel.
func doorsOf(k *kind, channel, description string) object {
	writers := make([]string, len(k.doors))
	for i, w := range k.doors {
		writers[i] = fmt.Sprintf("%s (source %q)", w, w.Source())
	}
	return object{
		"action":      "send",
		"channel":     ref("channels/" + channel),
		"messages":    []object{ref("channels/" + channel + "/messages/" + k.name)},
		"summary":     "Written by Countersign alone, for " + strings.Join(writers, ", ") + ".",
		"description": description,
	}
}

func messageOf(s schema) (object, error) {
	examples := make([]object, 0, len(s.kind.examples))
	for i, e := range s.kind.examples {
		subject, err := e.Subject()
		if err != nil {
			return nil, err
		}
		payload, err := wire(e)
		if err != nil {
			return nil, err
		}
		examples = append(examples, object{"name": fmt.Sprintf("%s%d", s.kind.name, i+1), "summary": "On " + subject, "payload": payload})
	}
	return object{
		"name": s.name, "title": s.name, "contentType": "application/cloudevents+json", "summary": s.root.Description,
		"payload": object{"allOf": []object{
			ref("components/schemas/" + envelopeName),
			{"properties": object{"type": object{"const": s.name}, "data": ref("components/schemas/" + s.name)}},
		}},
		"examples": examples,
	}, nil
}

func parameters() object {
	statuses := make([]string, len(workflow.Statuses))
	for i, s := range workflow.Statuses {
		statuses[i] = string(s)
	}
	doors := make([]string, len(workflow.Doors))
	for i, w := range workflow.Doors {
		doors[i] = string(w)
	}
	return object{
		"account":  object{"description": `The account, "AC" and 32 hex digits. In a refused or discarded event "_", as the document, where the subject of the message it is about names none. In a bounced event "_" where its publisher does not know whose mail it is.`, "examples": []string{account}},
		"document": object{"description": `The Authorization Document, "PX" and 32 hex digits. In an order's status "_" where its publisher names no document.`, "examples": []string{document}},
		"address":  object{"description": `The address, "AD" and 32 hex digits.`, "examples": []string{address}},
		"order":    object{"description": `The Hosted Number Order, "HR" and 32 hex digits.`, "examples": []string{order1}},
		"writer":   object{"description": "On whose behalf Countersign says it: the signing page, the REST API, an operator's command, or countersign bounce. Nobody else may publish here.", "enum": doors},
		"status":   object{"description": "Where the document stands.", "enum": statuses},
		"round":    object{"description": "The document's round, from 1 on: each recall begins another. Of a parked event the try.", "examples": []string{"1"}},
		"sequence": object{"description": "The sequence on the log of the message that it is about.", "examples": []string{"42"}},
		"webhook":  object{"description": `The webhook, "WH" and 32 hex digits.`, "examples": []string{webhook}},
		"timer":    object{"description": "What came due: expiry, freshness, waiting, reminder-N, or parked-N for the parked event at sequence N.", "examples": []string{"expiry", "reminder-1"}},
	}
}

// schemaNode is a schema as the AsyncAPI document has it: in the order of its
// file, without what makes it a document of its own, and without its examples,
// which the messages have.
func schemaNode(text []byte) (*yaml.Node, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil { // JSON is YAML
		return nil, fmt.Errorf("schema as YAML: %w", err)
	}
	root := doc.Content[0]
	var kept []*yaml.Node
	for i := 0; i < len(root.Content); i += 2 {
		switch root.Content[i].Value {
		case "$schema", "$id", "examples":
		default:
			kept = append(kept, root.Content[i], root.Content[i+1])
		}
	}
	root.Content = kept
	plain(root)
	return root, nil
}

// plain takes JSON's braces and quotes off.
func plain(n *yaml.Node) {
	n.Style = 0
	for _, c := range n.Content {
		plain(c)
	}
}
