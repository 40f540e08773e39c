package events

import (
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/cloudevents/sdk-go/v2/types"
	"github.com/nats-io/nats.go"

	"countersign/workflow"
)

// envelope has the attributes of a CloudEvent that matter here, and its data as
// JSON. An absent attribute is "".
type envelope struct {
	specversion, id, source, typ, subject, time string
	datacontenttype, dataschema, schemaversion  string
	redrives, actor                             string
	data                                        value
}

const (
	attributePrefix = "ce-"
	modeHeader      = "ce-specversion" // present in binary mode
)

// readEnvelope reads a message in binary mode if its headers say so, else in
// structured mode. It does not use the reader of the SDK, which panics on some
// input.
func (r *reader) readEnvelope(m Message, limited bool) (e envelope) {
	binary := false
	for name, value := range r.attributes(m.Header) {
		e.set(name, value)
		binary = true
	}
	switch {
	case limited && len(m.Data) > MaxPayload:
		r.fail(workflow.CodeTooLarge, "data", "%d bytes are more than %d", len(m.Data), MaxPayload)
	case !utf8.Valid(m.Data):
		r.fail(workflow.CodeUnreadable, "", "the payload is not UTF-8")
	case !json.Valid(m.Data):
		var text any
		err := json.Unmarshal(m.Data, &text)
		r.fail(workflow.CodeUnreadable, "", "the payload is not JSON: %v", err)
	case binary:
		e.data = value{raw: trim(m.Data), name: []byte("data")}
	default:
		r.readStructured(value{raw: trim(m.Data)}, &e)
	}
	return e
}

// attributes returns the attributes that the headers give, none unless the
// message is in binary mode. Names count in any case; values are
// percent-encoded, as in the HTTP binding of CloudEvents 1.0, section 3.1.3.2.
func (r *reader) attributes(h nats.Header) map[string]string {
	if !isBinary(h) {
		return nil
	}
	out := make(map[string]string, 8)
	for _, header := range slices.Sorted(maps.Keys(h)) {
		name, ok := strings.CutPrefix(strings.ToLower(header), attributePrefix)
		if strings.EqualFold(header, "content-type") {
			name, ok = "datacontenttype", true
		}
		if !ok {
			continue
		}
		if _, twice := out[name]; twice && name != "datacontenttype" || len(h[header]) != 1 {
			r.fail(workflow.CodeUnreadable, name, "given twice")
			continue
		}
		text := h[header][0]
		if plain, err := url.PathUnescape(text); err == nil {
			text = plain
		}
		if !utf8.ValidString(text) {
			r.fail(workflow.CodeUnreadable, name, "must be UTF-8")
		}
		out[name] = text
	}
	return out
}

// isBinary reports whether a message is in binary mode. The content type
// decides: a media type that begins with application/cloudevents means
// structured mode, whatever ce- headers the message has (CloudEvents 1.0, HTTP
// binding, section 3).
func isBinary(h nats.Header) bool {
	binary := false
	for header, values := range h {
		switch {
		case strings.EqualFold(header, modeHeader):
			binary = true
		case strings.EqualFold(header, "content-type") && slices.ContainsFunc(values, isCloudEvent):
			return false
		}
	}
	return binary
}

func isCloudEvent(mediaType string) bool {
	return strings.HasPrefix(strings.ToLower(strings.TrimSpace(mediaType)), "application/cloudevents")
}

// readStructured reads the JSON format of CloudEvents 1.0, which lets an
// attribute that is not set be null.
func (r *reader) readStructured(root value, e *envelope) {
	if root.raw[0] != '{' {
		r.fail(workflow.CodeUnreadable, "", "the payload is %s, not a CloudEvent", root.kind())
		return
	}
	var encoded value
	for v := range r.members(root) {
		switch name := string(v.name); {
		case v.isNull():
		case name == "data":
			e.data = v
		case name == "data_base64":
			encoded = v
		case (name == "schemaversion" || name == "redrives") && v.kind() == "a number":
			e.set(name, string(v.raw))
		case isAttribute(name):
			e.set(name, r.str(v))
		}
	}
	if encoded.raw != nil {
		r.decodeData(encoded, e)
	}
}

// decodeData reads data that came as data_base64.
func (r *reader) decodeData(v value, e *envelope) {
	data, err := base64.StdEncoding.DecodeString(r.str(v))
	switch {
	case e.data.raw != nil:
		r.fail(workflow.CodeInvalid, "data_base64", "there is data too")
	case err != nil || !utf8.Valid(data) || !json.Valid(data):
		r.fail(workflow.CodeUnreadable, "data_base64", "must be JSON in base64")
	default:
		e.data = value{raw: trim(data), name: []byte("data")}
	}
}

func isAttribute(name string) bool { return new(envelope).attribute(name) != nil }

// attribute returns a pointer to the attribute with that name, or nil if there
// is none.
func (e *envelope) attribute(name string) *string {
	switch name {
	case "specversion":
		return &e.specversion
	case "id":
		return &e.id
	case "source":
		return &e.source
	case "type":
		return &e.typ
	case "subject":
		return &e.subject
	case "time":
		return &e.time
	case "datacontenttype":
		return &e.datacontenttype
	case "dataschema":
		return &e.dataschema
	case "schemaversion":
		return &e.schemaversion
	case "redrives":
		return &e.redrives
	case "actor":
		return &e.actor
	}
	return nil
}

func (e *envelope) set(name, value string) {
	if at := e.attribute(name); at != nil {
		*at = value
	}
}

// checkEnvelope checks the attributes by CloudEvents 1.0 and the contract.
func (r *reader) checkEnvelope(e *envelope) {
	if e.specversion != event.CloudEventsVersionV1 {
		r.fail(workflow.CodeUnknownVersion, "specversion", "want %q, got %s", event.CloudEventsVersionV1, quote(e.specversion))
	}
	r.identity("id", e.id)
	r.identity("source", e.source)
	r.identity("actor", e.actor)
	c := event.EventContextV1{ID: e.id, Type: e.typ}
	if source := types.ParseURIRef(e.source); source != nil {
		c.Source = *source
	} else if e.source != "" {
		r.fail(workflow.CodeInvalid, "source", "must be a URI reference, got %s", quote(e.source))
	}
	if e.time != "" {
		if !isTime(e.time) {
			r.fail(workflow.CodeInvalid, "time", "must be a time as in RFC 3339, got %s", quote(e.time))
		}
	}
	if e.dataschema != "" {
		if c.DataSchema = types.ParseURI(e.dataschema); c.DataSchema == nil {
			r.fail(workflow.CodeInvalid, "dataschema", "must be a URI, got %s", quote(e.dataschema))
		}
	}
	if e.datacontenttype != "" && e.datacontenttype != event.ApplicationJSON {
		c.DataContentType = &e.datacontenttype
		if !isJSON(e.datacontenttype) {
			r.fail(workflow.CodeInvalid, "datacontenttype", "want %q, got %s", event.ApplicationJSON, quote(e.datacontenttype))
		}
	}
	faults := c.Validate()
	for _, field := range slices.Sorted(maps.Keys(faults)) {
		r.fail(workflow.CodeInvalid, field, "%v", faults[field])
	}
	if e.schemaversion != "" && e.schemaversion != SchemaVersion {
		r.fail(workflow.CodeUnknownVersion, "schemaversion", "only version %s is known here, got %s", SchemaVersion, quote(e.schemaversion))
	}
}

// leapSecond matches a time whose second is 60, up to the second.
var leapSecond = regexp.MustCompile(`^(\d{4}-\d\d-\d\dT\d\d:\d\d:)60`)

// isTime reports whether s is a time by RFC 3339. The letters may be lower
// case (section 5.6). The second 60 is a time at the end of a day in UTC only
// (section 5.7 and appendix D).
func isTime(s string) bool {
	s = strings.ToUpper(s)
	leap := strings.Contains(s, ":60") && leapSecond.MatchString(s)
	if leap {
		s = leapSecond.ReplaceAllString(s, "${1}59")
	}
	at, err := types.ParseTimestamp(s)
	return err == nil && at != nil && (!leap || at.UTC().Hour() == 23 && at.UTC().Minute() == 59)
}

func (r *reader) identity(field, s string) {
	switch {
	case len(s) > MaxIdentity:
		r.fail(workflow.CodeInvalid, field, "%d bytes are more than %d", len(s), MaxIdentity)
	default:
		r.named(field, s)
	}
}

// isJSON reports whether a media type is JSON (RFC 6839, section 3.1).
func isJSON(mediaType string) bool {
	essence, _, _ := strings.Cut(strings.ToLower(mediaType), ";")
	essence = strings.TrimSpace(essence)
	return essence == event.ApplicationJSON || essence == event.TextJSON || strings.HasSuffix(essence, "+json")
}

// trim removes the white space around a JSON text.
func trim(data []byte) []byte {
	i := space(data, 0)
	return data[i:valueEnd(data, i)]
}
