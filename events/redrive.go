package events

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/cloudevents/sdk-go/v2/types"
	"github.com/nats-io/nats.go"

	"countersign/workflow"
)

// redriveSource is the source of a redriven event if the original event has no
// valid source.
const redriveSource = "/redrive"

// Repair says what to change in an event before it is sent again.
type Repair struct {
	Event   []byte   // a CloudEvent in the JSON format that replaces the old one; nil keeps the old one
	Set     []string // "data.email=owner@example.com": a value that is JSON counts as JSON, any other as text
	Subject string   // empty keeps the old subject
}

// Redrive returns the message to send in place of m, which was refused or is a
// dead letter. Its identity follows from m alone, so that it counts once,
// however often it is sent and whatever was repaired. Its attribute redrives
// names m. Redrive fails with a *workflow.Problem if the result is not a valid
// event.
func (m Message) Redrive(how Repair) (*nats.Msg, error) {
	old := Decode(m)
	subject := m.Subject
	if how.Subject != "" {
		subject = how.Subject
	}
	if to, ok := parseSubject(subject); ok && !to.kind.Upstream() {
		return nil, fmt.Errorf("%w: only Countersign itself writes to %s; discard the entry", workflow.ErrConflict, subject)
	}
	attributes, err := m.repairable(how.Event)
	if err != nil {
		return nil, err
	}
	for _, set := range how.Set {
		if err := assign(attributes, set); err != nil {
			return nil, err
		}
	}
	source := old.Source
	if body, ok := old.Body.(workflow.Invalid); ok {
		source = sourceOr(body.Origin)
	}
	id := fmt.Sprintf("redrive.%d", m.Sequence)
	for name, value := range map[string]string{"id": id, "source": source, "redrives": strconv.FormatUint(m.Sequence, 10)} {
		attributes[name] = quoted(value)
	}
	data, err := json.Marshal(attributes)
	if err != nil {
		return nil, fmt.Errorf("write the repaired event: %w", err)
	}
	if bad, ok := Decode(Message{Subject: subject, Data: data}).Body.(workflow.Invalid); ok {
		return nil, &bad.Problem
	}
	msg := nats.NewMsg(subject)
	msg.Header.Set("Content-Type", event.ApplicationCloudEventsJSON)
	msg.Data = data
	return msg, nil
}

// Identity returns the identity that a message of Redrive will have on the log.
func Identity(m *nats.Msg) workflow.Identity {
	return Decode(Message{Subject: m.Subject, Header: m.Header, Data: m.Data}).Identity()
}

// repairable returns the event to repair as a JSON object: the given one, or
// the message's own, in either mode.
func (m Message) repairable(instead []byte) (map[string]json.RawMessage, error) {
	out := map[string]json.RawMessage{}
	if instead == nil && isBinary(m.Header) {
		var r reader
		for name, text := range r.attributes(m.Header) {
			out[name] = quoted(text)
		}
		if len(m.Data) > 0 && json.Valid(m.Data) {
			out["data"] = m.Data
		}
		return out, nil
	}
	data, what := m.Data, "the event on the log is no JSON object, so that no field of it can be set; give the whole event with --file"
	if instead != nil {
		data, what = instead, "the event of --file is no CloudEvent in the JSON format"
	}
	if err := json.Unmarshal(data, &out); err != nil || out == nil {
		return nil, fmt.Errorf("%w: %s", workflow.ErrInvalid, what)
	}
	return out, nil
}

// assign applies one "path=value".
func assign(object map[string]json.RawMessage, set string) error {
	path, value, ok := strings.Cut(set, "=")
	steps := strings.Split(path, ".")
	if !ok || slices.Contains(steps, "") {
		return fmt.Errorf("%w: want FIELD=VALUE, such as data.email=owner@example.com, got %s", workflow.ErrInvalid, quote(set))
	}
	if slices.Contains([]string{"id", "source", "redrives"}, path) {
		return fmt.Errorf("%w: %s follows from the entry that is sent again and cannot be set", workflow.ErrInvalid, path)
	}
	raw := json.RawMessage(value)
	if !json.Valid(raw) {
		raw = quoted(value)
	}
	return place(object, steps, raw)
}

// place puts a value at the path of the steps, and creates missing objects on
// the path.
func place(object map[string]json.RawMessage, steps []string, value json.RawMessage) error {
	if len(steps) == 1 {
		object[steps[0]] = value
		return nil
	}
	inner := map[string]json.RawMessage{}
	if raw, ok := object[steps[0]]; ok {
		if err := json.Unmarshal(raw, &inner); err != nil || inner == nil {
			return fmt.Errorf("%w: %s is not an object", workflow.ErrInvalid, steps[0])
		}
	}
	if err := place(inner, steps[1:], value); err != nil {
		return err
	}
	raw, err := json.Marshal(inner)
	object[steps[0]] = raw
	return err
}

// sourceOr returns the source of a refused event if it is valid, else
// redriveSource.
func sourceOr(origin string) string {
	var r reader
	r.identity("source", origin)
	ref := types.ParseURIRef(origin)
	if r.problem != nil || ref == nil || ref.String() != origin || origin == Source {
		return redriveSource
	}
	return origin
}

func quoted(s string) json.RawMessage {
	raw, err := json.Marshal(s)
	if err != nil {
		panic(err) // a string can always be encoded
	}
	return raw
}

// Attributes lists the attributes of a message in binary mode, sorted by name.
// It returns none for a message in structured mode.
func (m Message) Attributes() [][2]string {
	var r reader
	attributes := r.attributes(m.Header)
	var out [][2]string
	for _, name := range slices.Sorted(maps.Keys(attributes)) {
		out = append(out, [2]string{name, attributes[name]})
	}
	return out
}
