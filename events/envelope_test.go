package events_test

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"

	"countersign/events"
	"countersign/workflow"
)

func TestEnvelope(t *testing.T) {
	good := map[string]string{"specversion": `"1.0"`, "id": `"e1"`, "source": `"/orders"`, "type": `"` + workflow.TypeCreated + `"`, "data": content()}
	for _, tt := range []struct {
		name, attribute, value string
		code                   workflow.Code // "" where it is fine
		field                  string
	}{
		{"as it should be", "x", `1`, "", ""},
		{"no id", "id", "", workflow.CodeInvalid, "id"},
		{"id of white space", "id", `" "`, workflow.CodeInvalid, "id"},
		{"id of another kind", "id", `7`, workflow.CodeInvalid, "id"},
		{"id too long", "id", `"` + strings.Repeat("x", 257) + `"`, workflow.CodeInvalid, "id"},
		{"longest id", "id", `"` + strings.Repeat("x", 256) + `"`, "", ""},
		{"id with a control character", "id", `"a\u0007"`, workflow.CodeInvalid, "id"},
		{"no source", "source", "", workflow.CodeInvalid, "source"},
		{"source too long", "source", `"/` + strings.Repeat("x", 256) + `"`, workflow.CodeInvalid, "source"},
		{"source that is no URI reference", "source", `"http://[::1"`, workflow.CodeInvalid, "source"},
		{"source of our own", "source", `"countersign"`, workflow.CodeInvalid, "source"},
		{"no type", "type", "", workflow.CodeInvalid, "type"},
		{"unknown type", "type", `"authorization_document.burnt"`, workflow.CodeUnknownType, "type"},
		{"type of another subject", "type", `"` + workflow.TypeUpdated + `"`, workflow.CodeInvalid, "type"},
		{"no specversion", "specversion", "", workflow.CodeUnknownVersion, "specversion"},
		{"specversion 0.3", "specversion", `"0.3"`, workflow.CodeUnknownVersion, "specversion"},
		{"time", "time", `"2026-11-23T15:04:05.5+01:00"`, "", ""},
		{"time in lower case, case c3", "time", `"2026-11-23t15:04:05z"`, "", ""},
		{"leap second, case c3", "time", `"2016-12-31T23:59:60Z"`, "", ""},
		{"leap second in Pacific time", "time", `"1990-12-31T15:59:60-08:00"`, "", ""},
		{"leap second in lower case, with a fraction", "time", `"2016-12-31t23:59:60.25z"`, "", ""},
		{"second 60 at noon", "time", `"2016-12-31T12:00:60Z"`, workflow.CodeInvalid, "time"},
		{"second 61", "time", `"2016-12-31T23:59:61Z"`, workflow.CodeInvalid, "time"},
		{"bad time", "time", `"yesterday"`, workflow.CodeInvalid, "time"},
		{"null time", "time", `null`, "", ""},
		{"bad dataschema", "dataschema", `"x"`, workflow.CodeInvalid, "dataschema"},
		{"JSON by another name", "datacontenttype", `"application/vnd.x+json; charset=utf-8"`, "", ""},
		{"XML", "datacontenttype", `"application/xml"`, workflow.CodeInvalid, "datacontenttype"},
		{"schema version as a string", "schemaversion", `"1"`, "", ""},
		{"schema version as a number", "schemaversion", `1`, "", ""},
		{"another schema version", "schemaversion", `2`, workflow.CodeUnknownVersion, "schemaversion"},
		{"another schema version as a string", "schemaversion", `"1.1"`, workflow.CodeUnknownVersion, "schemaversion"},
		{"schema version of another kind", "schemaversion", `true`, workflow.CodeInvalid, "schemaversion"},
		{"no data", "data", "", workflow.CodeInvalid, "data"},
		{"data twice", "data_base64", `"e30="`, workflow.CodeInvalid, "data_base64"},
		{"subject of the event", "subject", `"x"`, "", ""},
		{"attribute twice", "id", `"e1","id":"e2"`, workflow.CodeUnreadable, "id"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := events.Decode(events.Message{Subject: subjects[workflow.TypeCreated], Data: object(good, tt.attribute, tt.value)})
			b, invalid := e.Body.(workflow.Invalid)
			if b.Code != tt.code || b.Field != tt.field || invalid != (tt.code != "") {
				t.Errorf("got %q %q %q, want %q %q", b.Code, b.Field, b.Message, tt.code, tt.field)
			}
		})
	}
}

// object is a JSON object of the members with one more, or one left out.
func object(members map[string]string, name, value string) []byte {
	var b strings.Builder
	b.WriteString("{")
	for n, v := range members {
		if n != name {
			fmt.Fprintf(&b, "%q:%s,", n, v)
		}
	}
	if value != "" {
		fmt.Fprintf(&b, "%q:%s,", name, value)
	}
	return []byte(strings.TrimSuffix(b.String(), ",") + "}")
}

func TestDecode_Unreadable(t *testing.T) {
	whole := string(message(workflow.TypeCreated, content()).Data)
	for name, data := range map[string]string{
		"nothing":           "",
		"white space":       " \n",
		"not JSON":          "hello",
		"a list":            "[" + whole + "]",
		"half an event":     whole[:len(whole)-1],
		"two events":        whole + whole,
		"trailing garbage":  whole + "x",
		"not UTF-8":         strings.Replace(whole, "owner", "\xff", 1),
		"a byte order mark": "\ufeff" + whole,
		"deep nesting":      strings.Repeat(`{"data":`, 20_000) + "1" + strings.Repeat("}", 20_000),
		"deep lists":        strings.Repeat("[", 200_000),
		"base64 of number":  `{"data_base64":1,"specversion":"1.0"}`,
		"bad base64":        `{"specversion":"1.0","data_base64":"e30"}`,
	} {
		t.Run(name, func(t *testing.T) {
			e := events.Decode(events.Message{Subject: subjects[workflow.TypeCreated], Data: []byte(data)})
			b, ok := e.Body.(workflow.Invalid)
			if !ok || b.Message == "" {
				t.Fatalf("decoded as %#v", e.Body)
			}
			if b.Code != workflow.CodeUnreadable && name != "base64 of number" {
				t.Errorf("got %q, %s", b.Code, b.Message)
			}
		})
	}
}

func TestDecode_RefusesSecondFieldOfOneName(t *testing.T) {
	var data strings.Builder
	for i := range 5000 {
		fmt.Fprintf(&data, `"field%d":1,`, i)
	}
	many := "{" + data.String() + content()[1:]
	if e := events.Decode(message(workflow.TypeCreated, many)); e.ID != "e1" {
		t.Errorf("none twice: %#v", e.Body)
	}
	twice := "{" + data.String() + `"field4000":2,` + content()[1:]
	if b, _ := events.Decode(message(workflow.TypeCreated, twice)).Body.(workflow.Invalid); b.Field != "data.field4000" {
		t.Errorf("got %q", b.Message)
	}
}

func TestMaxPayload_HoldsForUpstreamEvents(t *testing.T) {
	m := message(workflow.TypeCreated, content())
	pad := events.MaxPayload - len(m.Data)
	m.Data = append(m.Data, strings.Repeat(" ", pad)...)
	if e := events.Decode(m); e.ID != "e1" {
		t.Errorf("%d bytes: %#v", len(m.Data), e.Body)
	}
	m.Data = append(m.Data, ' ')
	if b, _ := events.Decode(m).Body.(workflow.Invalid); b.Code != workflow.CodeTooLarge || b.Field != "data" {
		t.Errorf("%d bytes: got %q", len(m.Data), b.Message)
	}
	own := message(workflow.TypeMailClaimed, `{"worker":"w","mails":[`+strings.Repeat(" ", events.MaxPayload)+`]}`)
	if e := events.Decode(own); e.Source != events.Source {
		t.Errorf("own event: %#v", e.Body)
	}
}

func TestDecode_BinaryMode(t *testing.T) {
	m := events.Message{
		Subject: subjects[workflow.TypeCreated], Data: []byte(content("email", `"exämple@example.com"`)),
		Header: nats.Header{
			"Ce-SpecVersion": {"1.0"}, "ce-id": {"e%201"}, "CE-SOURCE": {"/orders"}, "ce-type": {workflow.TypeCreated},
			"content-type": {"application/json"}, "ce-schemaversion": {"1"}, "ce-time": {"2026-11-23T15:04:05Z"}, "Nats-Msg-Id": {"x"}, "ce-region": {"eu"},
		},
	}
	want := workflow.Invalid{
		Problem: workflow.Problem{Code: workflow.CodeInvalid, Field: "data.email", Message: `data.email: must be an email address, got "exämple@example.com"`},
		EventID: "e 1", Origin: "/orders",
	}
	if diff := cmp.Diff(workflow.Body(want), events.Decode(m).Body); diff != "" {
		t.Errorf("a fault (-want +got)\n%s", diff)
	}

	m.Data = []byte(content())
	structured := events.Decode(message(workflow.TypeCreated, content()))
	if e := events.Decode(m); e.ID != "e 1" || e.Source != "/orders" || !cmp.Equal(e.Body, structured.Body) {
		t.Errorf("got %#v", e)
	}
	for header, field := range map[string]string{"ce-ID": "id", "cE-id": "id", "Content-type": ""} {
		h := maps(m.Header)
		h[header] = []string{"application/json"}
		if b, _ := events.Decode(events.Message{Subject: m.Subject, Header: h, Data: m.Data}).Body.(workflow.Invalid); b.Field != field {
			t.Errorf("with %s too: got %q", header, b.Message)
		}
	}
	for header, value := range map[string]string{"ce-schemaversion": "2", "content-type": "text/plain", "ce-type": "x", "ce-id": "\xff"} {
		h := maps(m.Header)
		h[header] = []string{value}
		if _, ok := events.Decode(events.Message{Subject: m.Subject, Header: h, Data: m.Data}).Body.(workflow.Invalid); !ok {
			t.Errorf("%s %q was taken", header, value)
		}
	}
}

func maps(h nats.Header) nats.Header {
	out := nats.Header{}
	for k, v := range h {
		out[k] = v
	}
	return out
}

func TestDecode_DataInBase64(t *testing.T) {
	data := base64.StdEncoding.EncodeToString([]byte(content()))
	m := message(workflow.TypeCreated, `0`)
	m.Data = []byte(strings.Replace(string(m.Data), `"data":0`, `"data_base64":"`+data+`"`, 1))
	if diff := cmp.Diff(events.Decode(message(workflow.TypeCreated, content())).Body, events.Decode(m).Body); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestDecode_UnreadableEventIsIdentifiedByDigest(t *testing.T) {
	bad := message(workflow.TypeCreated, content("email", `"x"`))
	first, again := events.Decode(bad), events.Decode(bad)
	repaired := events.Decode(message(workflow.TypeCreated, content()))
	if first.ID != again.ID || !strings.HasPrefix(first.ID, "sha256:") || first.Source != "" {
		t.Errorf("the same bytes are %q and %q of %q", first.ID, again.ID, first.Source)
	}
	if repaired.ID != "e1" || repaired.Source != "/orders" {
		t.Errorf("repaired: got %q of %q", repaired.ID, repaired.Source)
	}
	for name, change := range map[string]func(*events.Message){
		"subject":    func(m *events.Message) { m.Subject = mine + "updated" },
		"ce- header": func(m *events.Message) { m.Header = nats.Header{"Ce-Id": {"x"}} },
		"data":       func(m *events.Message) { m.Data = append([]byte(" "), m.Data...) },
	} {
		other := bad
		change(&other)
		if events.Decode(other).ID == first.ID {
			t.Errorf("another %s, the same identity", name)
		}
	}
	one, two := bad, bad
	one.Header, two.Header = nats.Header{"Ce-Id": {"1"}}, nats.Header{"Ce-Id": {"2"}}
	if events.Decode(one).ID == events.Decode(two).ID {
		t.Error("another value of a ce- header, the same identity")
	}
	other := bad
	other.Header, other.Sequence, other.Time = nats.Header{"Nats-Msg-Id": {"x"}}, 99, time.Now()
	if events.Decode(other).ID != first.ID {
		t.Error("other headers, another identity")
	}
}

func TestDecode_BoundsIdentityOfInvalidEvent(t *testing.T) {
	m := message(workflow.TypeCreated, content())
	m.Data = []byte(strings.Replace(string(m.Data), `"e1"`, `"`+strings.Repeat("é", 200)+`"`, 1))
	if b := events.Decode(m).Body.(workflow.Invalid); b.EventID != strings.Repeat("é", 128) {
		t.Errorf("got %d bytes: %q", len(b.EventID), b.EventID)
	}
}

// TestDecode_StructuredModeWithCEHeaders reads events in structured mode that
// have ce- headers beside: case c1, and more of its kind.
func TestDecode_StructuredModeWithCEHeaders(t *testing.T) {
	for _, tt := range []struct{ name, value string }{
		{"Content-Type", "application/cloudevents+json; charset=utf-8"},
		{"content-type", "application/cloudevents"},
		{"CONTENT-TYPE", " Application/CloudEvents+JSON;charset=UTF-8"},
	} {
		m := message(workflow.TypeCreated, content())
		m.Header = nats.Header{
			tt.name: {tt.value}, "ce-specversion": {"1.0"}, "ce-id": {"another"}, "ce-source": {"/try"}, "ce-type": {workflow.TypeCreated},
		}
		e := events.Decode(m)
		if _, ok := e.Body.(workflow.Created); !ok || e.ID == "another" {
			t.Errorf("%s: %s: id %s, %+v", tt.name, tt.value, e.ID, e.Body)
		}
	}
}
