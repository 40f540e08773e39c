package bench

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"countersign/events"
	"countersign/internal/eventlog"
	"countersign/workflow"
)

// mark is in each SID and address of the document that lives are copied from. In
// a copy the number of the document is in its place, scattered, because real SIDs
// do not come in order.
const mark = "abcdabcd"

func scattered(n int) string { return fmt.Sprintf("%08x", uint32(n)*2654435761) }

// numbered is the SID of the document of a number, or of one of its two orders.
func numbered(letters, number string, which int) workflow.SID {
	return workflow.SID(fmt.Sprintf("%s%s%024x", letters, number, which))
}

// step is what happens in a life between two waits: events, then one email.
type step struct {
	events []*nats.Msg
	mail   string // kind and number; empty if no email is sent
}

// life is what the log of one document has, from created to registered: seven
// events of its own, and four emails that are claimed and settled with others'.
func life(b testing.TB) []step {
	document := numbered("PX", mark, 0)
	d := workflow.Document{
		SID: document, AccountSID: accountSID, Round: 1, Email: "s" + mark + "@example.com", CCEmails: []string{"cc@example.com"},
		AddressSID: "ADaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", DateCreated: began, DateUpdated: began,
	}
	orders := []workflow.SID{numbered("HR", mark, 0), numbered("HR", mark, 1)}
	for _, sid := range orders {
		d.Orders = append(d.Orders, workflow.Order{SID: sid, Status: workflow.OrderReceived})
	}
	became := func(s workflow.Status) *nats.Msg {
		d.Status = s
		return message(b, eventlog.FromPending(workflow.PendingEvent{
			Account: accountSID, Document: document, What: "became." + string(s) + ".1", Cause: 1, At: began, Body: workflow.Became{Document: d},
		}))
	}
	created := message(b, events.Created("/orders", "created-"+mark, accountSID, document, workflow.Created{
		AddressSID: d.AddressSID, Email: d.Email, CCEmails: d.CCEmails, HostedNumberOrderSIDs: orders,
	}))
	signed := message(b, events.StatusChanged("/orders", "signed-"+mark, accountSID, document, workflow.StatusChanged{Status: workflow.Signed}))
	end := []*nats.Msg{signed}
	for _, sid := range orders {
		end = append(end, message(b, eventlog.FromPending(workflow.PendingEvent{
			Account: accountSID, Document: document, What: "order." + string(sid) + ".register", Cause: 1, At: began,
			Body: workflow.Register{OrderSID: sid, DocumentSID: document, AccountSID: accountSID, AddressSID: d.AddressSID, Email: d.Email, DateSigned: began},
		})))
	}
	return []step{
		{[]*nats.Msg{created, became(workflow.Opened)}, "signature.0"},
		{[]*nats.Msg{became(workflow.Signing)}, "sent.0"},
		{append(end, became(workflow.Signed)), "signed.0"},
		{nil, "signed.1"},
	}
}

var began = time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)

func message(b testing.TB, e events.Event) *nats.Msg {
	m, err := e.Message()
	if err != nil {
		b.Fatal(err)
	}
	return m
}

// copied is a message of the document of a number.
func copied(m *nats.Msg, number string) *nats.Msg {
	return &nats.Msg{
		Subject: strings.ReplaceAll(m.Subject, mark, number), Header: m.Header, Data: bytes.ReplaceAll(m.Data, []byte(mark), []byte(number)),
	}
}

// perClaim is how many emails a claim takes.
const perClaim = 100

// publish puts the lives of n documents on an empty log, and returns how many
// entries that is. at documents live at the same time.
func publish(b testing.TB, nc *nats.Conn, n, at int) (entries int) {
	js, err := jetstream.New(nc, jetstream.WithPublishAsyncMaxPending(4096))
	if err != nil {
		b.Fatal(err)
	}
	send := func(m *nats.Msg) {
		if _, err := js.PublishMsgAsync(m, jetstream.WithStallWait(time.Minute)); err != nil {
			b.Fatal(err)
		}
		entries++
	}
	template := life(b)
	for from := 0; from < n; from += at {
		to := min(from+at, n)
		for _, s := range template {
			for i := from; i < to; i++ {
				for _, m := range s.events {
					send(copied(m, scattered(i)))
				}
			}
			for i := from; i < to; i += perClaim {
				sendMails(b, send, &entries, s.mail, i, min(i+perClaim, to))
			}
		}
	}
	select {
	case <-js.PublishAsyncComplete():
	case <-time.After(time.Minute):
		b.Fatal("the server did not acknowledge what was published")
	}
	return entries
}

// sendMails claims and settles an email of each of some documents.
func sendMails(b testing.TB, send func(*nats.Msg), entries *int, kind string, from, to int) {
	var ids []workflow.MailID
	var outcomes []workflow.MailOutcome
	for i := from; i < to; i++ {
		id := workflow.MailID(fmt.Sprintf("%s.1.%s", numbered("PX", scattered(i), 0), kind))
		ids = append(ids, id)
		outcomes = append(outcomes, workflow.MailOutcome{Mail: id, Outcome: workflow.Accepted, Code: 250, Reply: "250 ok"})
	}
	name := fmt.Sprintf("worker.%s.%d", kind, from)
	send(message(b, eventlog.Claimed(name+".claim", began, workflow.Claimed{Worker: "worker", Mails: ids})))
	send(message(b, eventlog.Settled(name, began, workflow.Settled{Worker: "worker", Claim: uint64(*entries), Outcomes: outcomes})))
}

// number is a number of the environment, such as how many documents there are.
func number(b testing.TB, name string, usual int) int {
	given := os.Getenv(name)
	if given == "" {
		return usual
	}
	n, err := strconv.Atoi(given)
	if err != nil || n < 1 {
		b.Fatalf("%s must be a number of 1 or more: %q", name, given)
	}
	return n
}
