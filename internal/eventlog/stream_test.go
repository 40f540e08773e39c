package eventlog_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"countersign/events"
	"countersign/internal/eventlog"
	"countersign/internal/test/eventstest"
	"countersign/workflow"
)

// TestMaxMessage_LargestBecameEventFits writes the largest event that the
// contract allows, and appends it to a server that takes MaxMessage.
func TestMaxMessage_LargestBecameEventFits(t *testing.T) {
	// U+2028 is one character, and six bytes in JSON.
	widest := func(n int) string { return strings.Repeat("\u2028", n) }
	at := time.Date(2026, 11, 23, 15, 4, 5, 123456789, time.UTC)
	doc := workflow.Document{
		SID: docSID(1), AccountSID: "AC00000000000000000000000000000001", Status: workflow.Signed, Round: 1, Reason: widest(events.MaxReason),
		ContactTitle: widest(events.MaxTitle), Subscriber: widest(events.MaxName), DateCreated: at, DateUpdated: at, DateSigned: &at, ExpiresAt: &at, FreshUntil: &at,
		ServiceAddress: workflow.ServiceAddress{
			Street: widest(events.MaxStreet), City: widest(events.MaxPlace), Region: widest(events.MaxPlace), PostalCode: widest(events.MaxPostal),
		},
		Evidence:     json.RawMessage(`{"e":"` + strings.Repeat("e", events.MaxPayload) + `"}`),
		LetterDigest: "sha256:" + strings.Repeat("0", 64), Email: strings.Repeat("e", events.MaxAddress),
	}
	for range events.MaxCC {
		doc.CCEmails = append(doc.CCEmails, strings.Repeat("c", events.MaxAddress))
	}
	for i := range events.MaxOrders {
		doc.Orders = append(doc.Orders, workflow.Order{
			SID: workflow.SID(fmt.Sprintf("HR%032x", i)), PhoneNumber: "+123456789012345", Status: workflow.OrderCompleted,
			FailureReason: widest(events.MaxReason), CurrentCarrier: widest(events.MaxName),
		})
	}
	e := eventlog.FromPending(workflow.PendingEvent{
		Account: doc.AccountSID, Document: doc.SID, What: "became.signed.1", Body: workflow.Became{Document: doc}, At: at,
	})
	m, err := e.Message()
	if err != nil {
		t.Fatal(err)
	}
	if m.Size() > eventlog.MaxMessage || m.Size() < eventlog.MaxMessage/2 {
		t.Errorf("the largest event has %d bytes, and the log takes %d", m.Size(), eventlog.MaxMessage)
	}
	nc := eventstest.Connect(t, eventstest.Server(t))
	if _, err := eventstest.Open(t, nc, 1).Append(t.Context(), e); err != nil {
		t.Error(err)
	}
	if nc.MaxPayload() != eventlog.MaxMessage {
		t.Errorf("the embedded server takes messages of %d bytes, and the log of %d", nc.MaxPayload(), eventlog.MaxMessage)
	}
}

// TestOpen_StreamRefusesMessageLargerThanAPull: on a server that takes larger
// messages, one that no worker could read does not get onto the log, and what
// comes after it is read.
func TestOpen_StreamRefusesMessageLargerThanAPull(t *testing.T) {
	srv, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: t.TempDir(), MaxPayload: 32 << 20, NoSigs: true, NoLog: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	srv.Start()
	t.Cleanup(func() { srv.Shutdown(); srv.WaitForShutdown() })
	if !srv.ReadyForConnections(10 * time.Second) {
		t.Fatal("the server does not answer")
	}
	nc := eventstest.Connect(t, place("nats://"+srv.Addr().String()))
	log := eventstest.Open(t, nc, 1)
	answer, err := nc.Request("authdocs.v1.large", make([]byte, 17<<20), 30*time.Second)
	if err != nil || !strings.Contains(string(answer.Data), `"err_code":10054`) { // message size exceeds maximum allowed
		t.Errorf("a message of 17 MiB is answered %s, %v", answer.Data, err)
	}
	appendAll(t, log, 0, 3)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	read := 0
	err = eventlog.Read(ctx, nc, events.StreamName, eventlog.Range{}, func(events.Message) error { read++; return nil })
	if err != nil || read != 3 {
		t.Errorf("%d messages are read, %v", read, err)
	}
}

// place is where a server is.
type place string

func (a place) URL() string { return string(a) }
