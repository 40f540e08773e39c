package events_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/nats-io/nats.go"

	"countersign/events"
	"countersign/workflow"
)

// TestMendKeepsTheIdentity: what is sent in place of a message is known by the
// message it mends, whatever it says.
func TestMendKeepsTheIdentity(t *testing.T) {
	whole := string(message(workflow.TypeCreated, content()).Data)
	for name, test := range map[string]struct {
		old    events.Message
		how    events.Mending
		source string
		bad    bool
	}{
		"as it was":               {events.Message{Subject: mine + "created", Data: []byte(whole)}, events.Mending{}, "/orders", false},
		"one field":               {events.Message{Subject: mine + "created", Data: []byte(whole)}, events.Mending{Set: []string{"data.email=x@example.com"}}, "/orders", false},
		"a field that is no text": {events.Message{Subject: mine + "created", Data: []byte(whole)}, events.Mending{Set: []string{"data.hold=true", "data.cc_emails=[]"}}, "/orders", false},
		"anew":                    {events.Message{Subject: mine + "created", Data: []byte("?")}, events.Mending{Event: []byte(whole)}, "/redrive", false},
		"not anew":                {events.Message{Subject: mine + "created", Data: []byte("?")}, events.Mending{}, "", true},
		"into something else":     {events.Message{Subject: mine + "created", Data: []byte(whole)}, events.Mending{Set: []string{"data.email=5"}}, "", true},
		"on another subject":      {events.Message{Subject: "authdocs.v2", Data: []byte(whole)}, events.Mending{Subject: mine + "created"}, "/orders", false},
		"in binary mode": {events.Message{Subject: mine + "created", Data: []byte(content()), Header: nats.Header{
			"Ce-Specversion": {"1.0"}, "ce-id": {"1"}, "ce-source": {"/a%20b"}, "ce-type": {workflow.TypeCreated},
		}}, events.Mending{}, "/a b", false},
	} {
		t.Run(name, func(t *testing.T) {
			test.old.Sequence = 42
			m, err := test.old.Mend(test.how)
			var p *workflow.Problem
			if test.bad {
				if !errors.As(err, &p) && !errors.Is(err, workflow.ErrInvalid) {
					t.Errorf("mended: %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			e := events.Decode(events.Message{Subject: m.Subject, Header: m.Header, Data: m.Data})
			if e.ID != "redrive.42" || e.Source != test.source || e.Mends != 42 {
				t.Errorf("sent as %s of %s, in place of %d", e.ID, e.Source, e.Mends)
			}
		})
	}
}

// FuzzMend holds Mend to what it promises of any message and any mending: what
// it makes is an event, and its identity follows from the message alone.
func FuzzMend(f *testing.F) {
	whole := message(workflow.TypeCreated, content()).Data
	f.Add(mine+"created", whole, "data.email=x@example.com", []byte(nil), "")
	f.Add(mine+"created", []byte("{}"), "data={}", whole, "e 1")
	f.Add(mine+"status", []byte(`{"data":[],"mends":{}}`), "data.a.b=1", []byte("null"), "")
	f.Fuzz(func(t *testing.T, subject string, data []byte, set string, instead []byte, id string) {
		m := events.Message{Sequence: 7, Subject: subject, Data: data}
		if id != "" {
			m.Header = nats.Header{"ce-specversion": {"1.0"}, "ce-id": {id}, "ce-source": {"/fuzz"}, "ce-type": {workflow.TypeCreated}}
		}
		known := map[string]bool{}
		for _, how := range []events.Mending{{}, {Set: []string{set}}, {Event: instead}, {Event: instead, Set: []string{set}}, {Subject: mine + "created"}} {
			if how.Event != nil && len(how.Event) == 0 {
				how.Event = nil
			}
			mended, err := m.Mend(how)
			if err != nil {
				continue
			}
			e := events.Decode(events.Message{Subject: mended.Subject, Header: mended.Header, Data: mended.Data})
			if bad, ok := e.Body.(workflow.Invalid); ok {
				t.Fatalf("it made what is no event: %s\n%s", bad.Message, mended.Data)
			}
			if e.ID != "redrive.7" || e.Mends != 7 {
				t.Errorf("sent as %s, in place of %d", e.ID, e.Mends)
			}
			known[e.Source] = true
		}
		if len(known) > 1 {
			t.Errorf("one message is mended under several sources: %s", fmt.Sprint(known))
		}
	})
}
