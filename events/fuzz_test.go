package events_test

import (
	"encoding/json"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"

	"countersign/events"
	"countersign/workflow"
)

// FuzzDecode holds Decode to what it promises of any bytes: it comes back, it
// says the same twice, what it finds fault with it names, and what it takes
// means the same once it is written again.
func FuzzDecode(f *testing.F) {
	for _, e := range whole() {
		msg, err := e.Message()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(msg.Subject, "", "", msg.Data)
	}
	for _, tt := range faults {
		m := message(tt.typ, tt.data)
		if len(m.Data) < 2000 {
			f.Add(m.Subject, "", "", m.Data)
		}
	}
	f.Add(mine+"created", "e%201", workflow.TypeCreated, []byte(content()))
	f.Add(mine+"created", "", "", []byte(`{"data_base64":1,"specversion":"1.0"}`))
	f.Add("", "", "", []byte(" {\"\\u0069d\" : [1, {\"a\":\"]\\\"\"}, -0.5e1 ] ,\"data\":{}} "))
	f.Fuzz(func(t *testing.T, subject, id, typ string, data []byte) {
		m := events.Message{Subject: subject, Data: data}
		if typ != "" {
			m.Header = nats.Header{"ce-specversion": {"1.0"}, "ce-id": {id}, "ce-source": {"/fuzz"}, "ce-type": {typ}}
		}
		e := events.Decode(m)
		if diff := cmp.Diff(e, events.Decode(m)); diff != "" {
			t.Fatalf("read twice (-first +second)\n%s", diff)
		}
		if b, ok := e.Body.(workflow.Invalid); ok {
			if b.Code == "" || b.Message == "" || len(b.Message) > 2000 || e.Source != "" {
				t.Errorf("a poor answer: %+v", b)
			}
			for _, s := range []string{b.Message, b.Field, b.EventID, b.Origin} {
				if !utf8.ValidString(s) {
					t.Errorf("%q is not UTF-8", s)
				}
			}
			return
		}
		checkWrittenAgain(t, e)
	})
}

func checkWrittenAgain(t *testing.T, e workflow.Entry) {
	body, err := json.Marshal(e.Body)
	if err != nil {
		t.Fatalf("%+v cannot be written: %v", e.Body, err)
	}
	data, err := json.Marshal(map[string]any{"specversion": "1.0", "id": e.ID, "source": e.Source, "type": e.Body.Type(), "data": json.RawMessage(body)})
	if err != nil {
		t.Fatal(err)
	}
	again := events.Decode(events.Message{Subject: e.Subject, Data: data})
	if b, ok := again.Body.(workflow.Invalid); ok && b.Code != workflow.CodeTooLarge {
		t.Fatalf("written again: %s\n%s", b.Message, data)
	}
	other, err := json.Marshal(again.Body)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(body), string(other)); diff != "" || again.ID != e.ID || again.Source != e.Source {
		t.Errorf("written again, it is %q of %q (-first +second)\n%s", again.ID, again.Source, diff)
	}
}

func BenchmarkDecode(b *testing.B) {
	e := events.Created("/orders", "5f0c7a1e-1111-4222-8333-444455556666", ac, px, workflow.Created{
		AddressSID: ad, Email: "owner@example.com", CCEmails: []string{"ops@example.com"}, ContactTitle: "Owner",
		ContactPhoneNumber: "+14155550100", HostedNumberOrderSIDs: []workflow.SID{hr1, hr2},
	})
	e.Time = at
	msg, err := e.Message()
	if err != nil {
		b.Fatal(err)
	}
	m := events.Message{Subject: msg.Subject, Header: msg.Header, Data: msg.Data}
	b.ReportAllocs()
	for b.Loop() {
		if e := events.Decode(m); e.Source == "" {
			b.Fatalf("%+v", e.Body)
		}
	}
}
