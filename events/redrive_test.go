package events_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/nats-io/nats.go"

	"countersign/events"
	"countersign/workflow"
)

// TestMessageRedrive_KeepsIdentity redrives messages with other content: the new event's
// identity follows from the message that it replaces.
func TestMessageRedrive_KeepsIdentity(t *testing.T) {
	whole := string(message(workflow.TypeCreated, content()).Data)
	for name, test := range map[string]struct {
		old    events.Message
		how    events.Repair
		source string
		bad    bool
	}{
		"as it was":               {events.Message{Subject: mine + "created", Data: []byte(whole)}, events.Repair{}, "/orders", false},
		"one field":               {events.Message{Subject: mine + "created", Data: []byte(whole)}, events.Repair{Set: []string{"data.email=x@example.com"}}, "/orders", false},
		"a field that is no text": {events.Message{Subject: mine + "created", Data: []byte(whole)}, events.Repair{Set: []string{"data.hold=true", "data.cc_emails=[]"}}, "/orders", false},
		"whole":                   {events.Message{Subject: mine + "created", Data: []byte("?")}, events.Repair{Event: []byte(whole)}, "/redrive", false},
		"not whole":               {events.Message{Subject: mine + "created", Data: []byte("?")}, events.Repair{}, "", true},
		"into something else":     {events.Message{Subject: mine + "created", Data: []byte(whole)}, events.Repair{Set: []string{"data.email=5"}}, "", true},
		"on another subject":      {events.Message{Subject: "authdocs.v2", Data: []byte(whole)}, events.Repair{Subject: mine + "created"}, "/orders", false},
		"in binary mode": {events.Message{Subject: mine + "created", Data: []byte(content()), Header: nats.Header{
			"Ce-Specversion": {"1.0"}, "ce-id": {"1"}, "ce-source": {"/a%20b"}, "ce-type": {workflow.TypeCreated},
		}}, events.Repair{}, "/a b", false},
	} {
		t.Run(name, func(t *testing.T) {
			test.old.Sequence = 42
			m, err := test.old.Redrive(test.how)
			var p *workflow.Problem
			if test.bad {
				if !errors.As(err, &p) && !errors.Is(err, workflow.ErrInvalid) {
					t.Errorf("redriven: %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			e := events.Decode(events.Message{Subject: m.Subject, Header: m.Header, Data: m.Data})
			if e.ID != "redrive.42" || e.Source != test.source || e.Redrives != 42 {
				t.Errorf("sent as %s of %s, in place of %d", e.ID, e.Source, e.Redrives)
			}
		})
	}
}

// FuzzRedrive holds Redrive to what it promises of any message and any repair: what
// it makes is an event, and its identity follows from the message alone.
func FuzzRedrive(f *testing.F) {
	whole := message(workflow.TypeCreated, content()).Data
	f.Add(mine+"created", whole, "data.email=x@example.com", []byte(nil), "")
	f.Add(mine+"created", []byte("{}"), "data={}", whole, "e 1")
	f.Add(mine+"status", []byte(`{"data":[],"redrives":{}}`), "data.a.b=1", []byte("null"), "")
	f.Fuzz(func(t *testing.T, subject string, data []byte, set string, instead []byte, id string) {
		m := events.Message{Sequence: 7, Subject: subject, Data: data}
		if id != "" {
			m.Header = nats.Header{"ce-specversion": {"1.0"}, "ce-id": {id}, "ce-source": {"/fuzz"}, "ce-type": {workflow.TypeCreated}}
		}
		known := map[string]bool{}
		for _, how := range []events.Repair{{}, {Set: []string{set}}, {Event: instead}, {Event: instead, Set: []string{set}}, {Subject: mine + "created"}} {
			if how.Event != nil && len(how.Event) == 0 {
				how.Event = nil
			}
			redriven, err := m.Redrive(how)
			if err != nil {
				continue
			}
			e := events.Decode(events.Message{Subject: redriven.Subject, Header: redriven.Header, Data: redriven.Data})
			if bad, ok := e.Body.(workflow.Invalid); ok {
				t.Fatalf("it made what is no event: %s\n%s", bad.Message, redriven.Data)
			}
			if e.ID != "redrive.7" || e.Redrives != 7 {
				t.Errorf("sent as %s, in place of %d", e.ID, e.Redrives)
			}
			known[e.Source] = true
		}
		if len(known) > 1 {
			t.Errorf("one message is redriven under several sources: %s", fmt.Sprint(known))
		}
	})
}
