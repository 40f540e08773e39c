package events_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/cloudevents/sdk-go/v2/types"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/nats-io/nats.go/jetstream"

	"countersign/events"
	"countersign/internal/eventlog"
	"countersign/internal/test/eventstest"
	"countersign/workflow"
)

// equateBodies compares bodies as JSON has them: raw JSON by its text.
var equateBodies = cmp.Options{
	cmp.Comparer(func(a, b json.RawMessage) bool { return bytes.Equal(a, b) }),
	cmpopts.EquateEmpty(),
}

var at = time.Date(2026, 11, 23, 15, 4, 5, 600_000_000, time.UTC)

const digest = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

var serviceAddress = workflow.ServiceAddress{Street: "1 Market Street, Suite 5", City: "San Francisco", Region: "CA", PostalCode: "94105", Country: "US"}

// whole has an event of every type, with every field set.
func whole() []events.Event {
	own := &workflow.OwnTimers{
		RemindAfter: new(int64(3600)), RemindEvery: new(int64(0)), RemindMost: new(1), ExpireAfter: new(int64(86400)), FreshFor: new(int64(172800)),
	}
	doc := workflow.Document{
		WaitsFor: workflow.LetterParts, SubscriberFrom: ad, ServiceAddressFrom: ad,
		SID: px, AccountSID: ac, Status: workflow.Canceled, Round: 2, Hold: true, AddressSID: ad,
		Email: "owner@example.com", CCEmails: []string{"ops@example.com"}, ContactTitle: "Owner", ContactPhoneNumber: "+14155550100",
		Locale: "es-MX", Subscriber: "Bayview Law", ServiceAddress: serviceAddress,
		Orders: []workflow.Order{{SID: hr1, PhoneNumber: "+14155550101", Status: workflow.OrderFailed, FailureReason: "no such number", CurrentCarrier: "Pacific Voice"}},
		Reason: "moved", CanceledBy: "signer", EndedBy: workflow.EndedDeclined, Evidence: json.RawMessage(`{"name":"O"}`), LetterDigest: digest, LetterKept: true, LetterStale: true,
		AskedBy: workflow.Asked{Writer: workflow.WriterAPI, Source: "/api", Actor: ac, Entry: 7},
		Timers:  own, ExpiresAt: &at, FreshUntil: &at, DateCreated: at, DateUpdated: at, DateSigned: &at,
	}
	sids := []workflow.SID{hr1, hr2}
	refs := []workflow.OrderRef{{SID: hr1, PhoneNumber: "+14155550101", CurrentCarrier: "Pacific Voice"}}
	owed := func(doc, what string, b workflow.Body) events.Event {
		acc := workflow.SID(ac)
		if doc == "_" {
			acc = "_"
		}
		return eventlog.FromPending(workflow.PendingEvent{Account: acc, Document: workflow.SID(doc), What: what, Body: b, At: at})
	}
	refused := workflow.Refused{Sequence: 7, EventID: "e1", Source: "/orders", Problem: workflow.Problem{Code: workflow.CodeInvalid, Message: "data.email: missing", Field: "data.email", Order: hr1, Document: px, Until: at}}
	return append(besides(), []events.Event{
		events.Created("/orders", "e1", ac, px, workflow.Created{
			AddressSID: ad, Email: "owner@example.com", CCEmails: []string{"ops@example.com"}, ContactTitle: "Owner",
			ContactPhoneNumber: "+14155550100", HostedNumberOrderSIDs: sids, HostedNumberOrders: refs, Hold: true, Timers: own,
			Locale: "es-MX", Subscriber: "Bayview Law", ServiceAddress: serviceAddress,
		}),
		events.Updated("urn:x:orders", "é/2", ac, px, workflow.Updated{
			AddressSID: new(workflow.SID(ad)), Email: new("owner@example.com"), CCEmails: new([]string{}), ContactTitle: new(""),
			ContactPhoneNumber: new(""), HostedNumberOrderSIDs: &sids, HostedNumberOrders: &refs, Timers: own,
			Locale: new(""), Subscriber: new(""), ServiceAddress: new(serviceAddress),
		}),
		events.StatusChanged("https://orders.example.com/a?b=c", "e3", ac, px, workflow.StatusChanged{
			Status: workflow.Canceled, Reason: "moved\nhouse", CanceledBy: "signer", EndedBy: workflow.EndedWrongPerson, Evidence: json.RawMessage(`{"name":"O","html":"<b>&"}`), LetterDigest: digest, LetterKept: true, Round: 2,
		}),
		events.OrderStatusChanged("/carrier", "e4", ac, px, hr1, workflow.OrderStatusChanged{Status: workflow.OrderFailed, PhoneNumber: "+442079460000", FailureReason: "no such number", LetterTooOld: true}),
		events.Resend("/ops", "e5", ac, px, workflow.Resend{Round: 2}),
		events.Bounced("/mx", "e6", ac, workflow.Bounced{Mail: px + ".1.signature.0", Action: workflow.ActionFailed, Status: "5.1.1", Diagnostic: "550 <…>\nunknown", Candidates: []workflow.MailID{px + ".1.signature.7"}}),
		events.Bounced("/mx", "e7", "", workflow.Bounced{Mail: px + ".1.sent.3", Action: workflow.ActionDelayed, Status: "4.4.1", Diagnostic: "x", Candidates: []workflow.MailID{px + ".1.sent.2", px + ".1.signature.0"}}),
		owed(px, "order."+hr1+".register", workflow.Register{
			OrderSID: hr1, PhoneNumber: "+14155550101", DocumentSID: px, AccountSID: ac, AddressSID: ad, Email: "owner@example.com",
			ContactTitle: "Owner", ContactPhoneNumber: "+14155550100", DateSigned: at, LetterDigest: digest,
		}),
		owed(px, "became.canceled.2", workflow.Became{Document: doc}),
		owed(px, "refused.7", refused),
		owed("_", "refused.7", refused),
		owed(px, "due.parked-17.3", workflow.TimerDue{Timer: "parked-17", Round: 3, DueAt: at}),
		owed(px, "due.expiry.1", workflow.TimerDue{Timer: "expiry", Round: 1, DueAt: at}),
		owed(px, "due.expiry-17.1", workflow.TimerDue{Timer: "expiry-17", Round: 1, DueAt: at}),
		owed(px, "stale.2", workflow.LetterStale{Reason: "age", Round: 2, DateSigned: at, OrderSIDs: sids}),
		owed(px, "incomplete.2", workflow.Incomplete{Round: 2, WaitsFor: workflow.LetterParts, Since: at}),
		eventlog.Claimed("c1", at, workflow.Claimed{Worker: "w1", Mails: []workflow.MailID{px + ".1.signature.1"}}),
		eventlog.Settled("s1", at, workflow.Settled{Worker: "w1", Claim: 9, Outcomes: []workflow.MailOutcome{
			{Mail: px + ".1.signature.1", Outcome: workflow.Deferred, Code: 451, Reply: "4.7.1 try again <later>", RetryAfterMs: 1000},
		}}),
		eventlog.Erased(at, workflow.Erased{
			DocumentSID: px, AccountSID: ac, Status: workflow.Signed, Round: 2, OrderSIDs: []workflow.SID{hr1}, Completed: []workflow.SID{hr1},
			Entries: []workflow.ErasedEntry{{Sequence: 3, Type: workflow.TypeCreated, SHA256: strings.Repeat("0", 64)}, {Sequence: 4, SHA256: strings.Repeat("1", 64)}},
			Blocked: []workflow.Blocked{{Sequence: 5, OrderSID: hr1, Code: workflow.CodeNumberTaken}},
		}),
		eventlog.WebhookSet("wh1", at, workflow.WebhookSet{
			SID: wh, AccountSID: ac, URL: "https://example.com/hook", Status: workflow.WebhookDisabled, Reason: "410", Secrets: []int{2, 1},
		}),
		eventlog.DeliveriesClaimed("dc1", at, workflow.DeliveriesClaimed{Worker: "w1", Deliveries: []workflow.DeliveryID{wh + "_" + px + "_signed_1"}}),
		eventlog.DeliveriesSettled("ds1", at, workflow.DeliveriesSettled{Worker: "w1", Claim: 7, Outcomes: []workflow.DeliveryOutcome{
			{Delivery: wh + "_" + px + "_signed_1", Result: workflow.DeliveryFailed, Code: 503, Reply: "503", RetryAfterMs: 1000},
		}}),
		eventlog.DeliveriesRedriven("dr1", at, workflow.DeliveriesRedriven{Deliveries: []workflow.DeliveryID{wh + "_" + px + "_signed_1"}}),
		eventlog.RulesActivated("r1", at, workflow.RulesActivated{
			Version: 1, ParkingLimitSeconds: 86400, LetterRequires: workflow.LetterParts, NotifyCC: []workflow.Status{workflow.Failed},
			Timers:     &workflow.Timers{RemindAfter: 1, RemindEvery: 2, RemindMost: 3, ExpireAfter: 4, FreshFor: 5},
			MailLimits: &workflow.MailLimits{Interval: 6, PerDay: 7},
		}),
		eventlog.Discarded(ac, px, at, workflow.Discarded{Sequence: 7, Reason: "not needed"}),
		eventlog.Discarded("", "", at, workflow.Discarded{Sequence: 7, Reason: "not needed"}),
		eventlog.Quarantined(at, workflow.Quarantined{Sequence: 7, Crashes: 2, Worker: "w1"}),
	}...)
}

func TestEventMessage_DecodesToSameEvent(t *testing.T) {
	seen := map[string]bool{}
	for _, e := range whole() {
		t.Run(e.What, func(t *testing.T) {
			seen[e.Body.Type()] = true
			noZeroField(t, reflect.ValueOf(e.Body))
			msg, err := e.Message()
			if err != nil {
				t.Fatal(err)
			}
			again, err := e.Message()
			if err != nil || !bytes.Equal(msg.Data, again.Data) || !cmp.Equal(msg.Header, again.Header) {
				t.Errorf("made twice, the message differs: %v\n%s\n%s", err, msg.Data, again.Data)
			}
			got := events.Decode(events.Message{Sequence: 3, Time: at, Subject: msg.Subject, Header: msg.Header, Data: msg.Data})
			want := workflow.Entry{Sequence: 3, Time: at, Subject: msg.Subject, Account: e.Account, Document: e.Document, ID: e.ID, Source: e.Source, Body: e.Body}
			if tokens := strings.Split(e.What, "."); tokens[0] == "order" {
				want.Order = workflow.SID(tokens[1])
			} else if tokens[0] == "address" {
				want.Address = workflow.SID(tokens[1])
			}
			if want.Account == "_" {
				want.Account = ""
			}
			if want.Document == "_" {
				want.Document = ""
			}
			if diff := cmp.Diff(want, got, equateBodies); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
	for _, k := range workflow.Kinds() {
		if !seen[k.Type] {
			t.Errorf("no event of type %s was tried", k.Type)
		}
	}
}

// noZeroField makes sure that the round trip leaves no field untried.
func noZeroField(t *testing.T, v reflect.Value) {
	for i := range v.NumField() {
		f := v.Type().Field(i)
		switch {
		case f.Anonymous:
			noZeroField(t, v.Field(i))
		case v.Field(i).IsZero():
			t.Errorf("%s is not set", f.Name)
		}
	}
}

func TestEventMessage_OnTheWire(t *testing.T) {
	e := events.Created("/orders", "5f/0c", ac, px, workflow.Created{AddressSID: ad, Email: "owner@example.com", HostedNumberOrderSIDs: []workflow.SID{hr1}})
	e.Time = at
	msg, err := e.Message()
	if err != nil {
		t.Fatal(err)
	}
	want := `{"specversion":"1.0","id":"5f/0c","source":"/orders","type":"authorization_document.created","datacontenttype":"application/json","time":"2026-11-23T15:04:05.6Z",` +
		`"data":{"address_sid":"` + ad + `","email":"owner@example.com","hosted_number_order_sids":["` + hr1 + `"]}}`
	if diff := cmp.Diff(want, string(msg.Data)); diff != "" {
		t.Errorf("payload (-want +got)\n%s", diff)
	}
	if got := msg.Subject; got != mine+"created" {
		t.Errorf("subject %q", got)
	}
	if got := msg.Header.Get("Content-Type"); got != "application/cloudevents+json" {
		t.Errorf("Content-Type %q", got)
	}
}

// TestEventMessage_AsSDKWritesIt compares every event with what the SDK of
// CloudEvents makes of it.
func TestEventMessage_AsSDKWritesIt(t *testing.T) {
	hostile := events.Resend("/a%20b?<c>&d='e'", "<i>&\"\\\u00e9 \u65e5", ac, px, workflow.Resend{Round: 1})
	hostile.Actor, hostile.Redrives = "AC<&>", 18446744073709551615
	for _, e := range append(whole(), hostile) {
		t.Run(e.What, func(t *testing.T) {
			msg, err := e.Message()
			if err != nil {
				t.Fatal(err)
			}
			want := event.New()
			want.SetID(e.ID)
			want.SetSource(e.Source)
			want.SetType(e.Body.Type())
			if !e.Time.IsZero() {
				want.SetTime(e.Time)
			}
			if e.Actor != "" {
				want.SetExtension("actor", e.Actor)
			}
			if e.Redrives > 0 {
				want.SetExtension("redrives", strconv.FormatUint(e.Redrives, 10))
			}
			var body bytes.Buffer
			text := json.NewEncoder(&body)
			text.SetEscapeHTML(false)
			if err := text.Encode(e.Body); err != nil {
				t.Fatal(err)
			}
			want.SetDataContentType(event.ApplicationJSON)
			want.DataEncoded = bytes.TrimSpace(body.Bytes())
			data, err := want.MarshalJSON()
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(data), string(msg.Data)); diff != "" {
				t.Errorf("(-SDK +ours)\n%s", diff)
			}
		})
	}
}

func TestEventMessage_RefusesInvalidEvents(t *testing.T) {
	good := workflow.Created{AddressSID: ad, Email: "owner@example.com", HostedNumberOrderSIDs: []workflow.SID{hr1}}
	nobody := good
	nobody.ContactPhoneNumber = "+19995550100"
	national := good
	national.ContactPhoneNumber = "+44 0 20 7946 0000"
	ordered := good
	ordered.HostedNumberOrders = []workflow.OrderRef{{SID: hr1, PhoneNumber: "+14155550100"}, {SID: hr2, PhoneNumber: "+99912345678"}}
	for _, tt := range []struct {
		name  string
		event events.Event
		field string
	}{
		{"what Decode would not take", events.Created("/orders", "e1", ac, px, workflow.Created{}), "data.address_sid"},
		{"a wrong account", events.Created("/orders", "e1", "AC1", px, good), "subject"},
		{"no document", events.Created("/orders", "e1", ac, "", good), "subject"},
		{"a wrong order", events.OrderStatusChanged("/orders", "e1", ac, px, "x", workflow.OrderStatusChanged{Status: workflow.OrderFailed}), "subject"},
		{"no id", events.Created("/orders", "", ac, px, good), "id"},
		{"no source", events.Created("", "e1", ac, px, good), "source"},
		{"a source that is no URI reference", events.Created("http://[", "e1", ac, px, good), "source"},
		{"a source that a URI reference would write otherwise", events.Created("/a b", "e1", ac, px, good), "source"},
		{"our own source", events.Created(events.Source, "e1", ac, px, good), "source"},
		{"a phone number that is nobody's", events.Created("/orders", "e1", ac, px, nobody), "data.contact_phone_number"},
		{"a phone number with its national prefix", events.Created("/orders", "e1", ac, px, national), "data.contact_phone_number"},
		{"an order's number that is nobody's", events.Created("/orders", "e1", ac, px, ordered), "data.hosted_number_orders[1].phone_number"},
		{"an update to a number that is nobody's", events.Updated("/orders", "e1", ac, px, workflow.Updated{ContactPhoneNumber: new("+99912345678")}), "data.contact_phone_number"},
		{"an order status with a number that is nobody's", events.OrderStatusChanged("/orders", "e1", ac, px, hr1, workflow.OrderStatusChanged{Status: workflow.OrderFailed, PhoneNumber: "+99912345678"}), "data.phone_number"},
		{"an owed event of another subject", eventlog.FromPending(workflow.PendingEvent{Account: ac, Document: px, What: "due.expiry.2", Body: workflow.TimerDue{Timer: "expiry", Round: 1}}), "data.round"},
		{"what never travels", events.Event{ID: "x", Source: "/x", Account: ac, Document: px, What: "created", Body: workflow.Invalid{}}, "type"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := tt.event.Message()
			var p *workflow.Problem
			if !errors.As(err, &p) || p.Field != tt.field || !strings.HasPrefix(p.Message, p.Field+": ") {
				t.Errorf("got %v, want a problem with %q", err, tt.field)
			}
			if !errors.Is(err, workflow.ErrInvalid) {
				t.Errorf("%v is not ErrInvalid", err)
			}
			if diff := cmp.Diff(err, tt.event.Validate()); diff != "" {
				t.Errorf("Validate says something else:\n%s", diff)
			}
		})
	}
	if _, err := (events.Event{ID: "x", Source: "/x", Account: ac, Document: px, What: "created"}).Message(); err == nil {
		t.Error("an event without a body was written")
	}
	if err := events.Created("/orders", "e1", ac, px, good).Validate(); err != nil {
		t.Errorf("a good event: %v", err)
	}
}

// TestEventValidate_OwnEventsAsDecodeJudges breaks each event of Countersign's own in
// several ways: Validate, which does not read what it has written, must find what
// Decode finds.
func TestEventValidate_OwnEventsAsDecodeJudges(t *testing.T) {
	for _, good := range whole() {
		if good.Source != events.Source {
			continue
		}
		for name, spoil := range map[string]func(*events.Event){
			"nothing":               func(*events.Event) {},
			"no id":                 func(e *events.Event) { e.ID = "" },
			"another id":            func(e *events.Event) { e.ID += "0" },
			"an id too long":        func(e *events.Event) { e.ID = strings.Repeat("x", 2000) },
			"an upstream source":    func(e *events.Event) { e.Source = "/orders" },
			"a door's source":       func(e *events.Event) { e.Source = workflow.WriterPage.Source() },
			"a year of five digits": func(e *events.Event) { e.Time = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC) },
			"another number":        func(e *events.Event) { e.What += "1" },
			"another document":      func(e *events.Event) { e.Document = workflow.SID("PX" + strings.Repeat("9", 32)) },
			"no document":           func(e *events.Event) { e.Document = "" },
			"an empty body":         func(e *events.Event) { e.Body = reflect.Zero(reflect.TypeOf(e.Body)).Interface().(workflow.Body) },
			"a body of another kind": func(e *events.Event) {
				e.Body = workflow.TimerDue{Timer: "expiry", Round: 1}
			},
		} {
			t.Run(good.What+"/"+name, func(t *testing.T) {
				e := good
				spoil(&e)
				subject, err := e.Subject()
				if err != nil {
					return // there is nothing to decode
				}
				payload, err := json.Marshal(map[string]any{
					"specversion": "1.0", "id": e.ID, "source": e.Source, "type": e.Body.Type(), "time": types.FormatTime(e.Time), "data": e.Body,
				})
				if err != nil {
					t.Fatal(err)
				}
				var want error
				if bad, ok := events.Decode(events.Message{Subject: subject, Data: payload}).Body.(workflow.Invalid); ok {
					want = &bad.Problem
				}
				if diff := cmp.Diff(want, e.Validate()); diff != "" {
					t.Errorf("(-Decode +Validate)\n%s", diff)
				}
			})
		}
	}
}

// TestFromMsg_ReadsWhatAConsumerReceives: a service waits for what became of its
// event, and finds it behind the event itself.
func TestFromMsg_ReadsWhatAConsumerReceives(t *testing.T) {
	nc := eventstest.Connect(t, eventstest.Server(t))
	log := eventstest.Open(t, nc, 1)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	e := events.Created("/orders", "e1", ac, px, workflow.Created{AddressSID: ad, Email: "owner@example.com", HostedNumberOrderSIDs: []workflow.SID{hr1}})
	sequence, err := events.Publish(t.Context(), js, e)
	if err != nil {
		t.Fatal(err)
	}
	refused := workflow.Refused{Sequence: sequence, EventID: "e1", Source: "/orders", Problem: workflow.Problem{Code: workflow.CodeInvalid, Field: "data", Message: "data: no"}}
	if _, err := log.Append(t.Context(), eventlog.FromPending(workflow.PendingEvent{Account: ac, Document: px, What: fmt.Sprintf("refused.%d", sequence), Body: refused, At: at})); err != nil {
		t.Fatal(err)
	}
	consumer, err := js.CreateConsumer(t.Context(), events.StreamName, jetstream.ConsumerConfig{FilterSubject: events.Prefix + ac + ".*.refused.>"})
	if err != nil {
		t.Fatal(err)
	}
	msg, err := consumer.Next()
	if err != nil {
		t.Fatal(err)
	}
	m, err := events.FromMsg(msg)
	if err != nil {
		t.Fatal(err)
	}
	got := events.Decode(m)
	if diff := cmp.Diff(workflow.Body(refused), got.Body); diff != "" || got.Sequence != sequence+1 || got.Time.IsZero() {
		t.Errorf("entry %d at %v:\n%s", got.Sequence, got.Time, diff)
	}
}

func TestPublish_ReturnsSequenceOrError(t *testing.T) {
	nc := eventstest.Connect(t, eventstest.Server(t))
	eventstest.Open(t, nc, 1)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	e := events.Created("/orders", "e1", ac, px, workflow.Created{AddressSID: ad, Email: "owner@example.com", HostedNumberOrderSIDs: []workflow.SID{hr1}})
	first, err := events.Publish(t.Context(), js, e)
	if err != nil || first == 0 {
		t.Fatalf("got sequence %d, %v", first, err)
	}
	if again, err := events.Publish(t.Context(), js, e); err != nil || again != first+1 {
		t.Errorf("published again: got sequence %d, %v; want %d: its identity makes it count once, not its message id", again, err, first+1)
	}
	e.Account = "AC1"
	if _, err := events.Publish(t.Context(), js, e); !errors.Is(err, workflow.ErrInvalid) {
		t.Errorf("an invalid event: got %v", err)
	}
	nc.Close()
	e.Account = ac
	if _, err := events.Publish(t.Context(), js, e); err == nil || errors.Is(err, workflow.ErrInvalid) {
		t.Errorf("on a closed connection: got %v", err)
	}
}
