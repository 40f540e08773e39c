package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"countersign/events"
	"countersign/internal/test/eventstest"
	"countersign/workflow"
)

// publishNow publishes an event, waits until the worker of the store in dir has
// applied it, and returns why it was refused, if it was.
func (x *town) publishNow(dir string, e events.Event) *workflow.Problem {
	x.t.Helper()
	js, err := jetstream.New(x.nc)
	if err != nil {
		x.t.Fatal(err)
	}
	seq, err := events.Publish(x.t.Context(), js, e)
	if err != nil {
		x.t.Fatal(err)
	}
	eventstest.Wait(x.t, "the worker to apply the event", func() bool {
		s := openStore(x.t, dir)
		defer s.Close()
		return s.Position().Sequence >= seq
	})
	s := openStore(x.t, dir)
	defer s.Close()
	p, err := s.Refusal(x.t.Context(), workflow.Identity{Account: e.Account, Source: e.Source, ID: e.ID})
	if err != nil {
		x.t.Fatal(err)
	}
	return p
}

// TestServe_UpstreamEventsAreNoMailCannon has an upstream service recall and
// send one document again and again, with the limits of a worker without
// settings: each event over a limit is refused with the limit's name, on the log too.
func TestServe_UpstreamEventsAreNoMailCannon(t *testing.T) {
	x, dir := newTown(t), t.TempDir()
	w := start(t, x.env(dir))
	w.says("read to its end")
	x.create(1, 1, "victim-%d@example.com")
	x.statuses(dir, workflow.Signing, 1)
	sent, refused := 1, 0
	for i := range 40 {
		for _, status := range []workflow.Status{workflow.Opened, workflow.Signing} {
			e := events.StatusChanged("/test", fmt.Sprint(status, i), testAccount, testPX(1), workflow.StatusChanged{Status: status})
			p := x.publishNow(dir, e)
			switch {
			case status == workflow.Opened && p != nil:
				t.Fatalf("a recall was refused: %v", p)
			case status == workflow.Opened:
			case p == nil:
				sent++
				x.statuses(dir, workflow.Signing, 1)
			case p.Code != workflow.CodeTooManyEmails:
				t.Fatalf("refused as %s: %v", p.Code, p)
			default:
				refused++
			}
		}
	}
	if n := x.box.Count(); n != sent || refused == 0 || sent > 30 {
		t.Errorf("%d emails for %d sends, %d refused", n, sent, refused)
	}
	x.rest(dir)
	said := 0
	for subject, n := range x.subjects() {
		if strings.Contains(subject, ".refused.") {
			said += n
		}
	}
	if said != refused {
		t.Errorf("%d refusals stand on the log, want %d", said, refused)
	}
	w.end()
}

// TestServe_ManyDocumentsForOnePersonWait has an upstream service create 500
// documents for one person, and then some for others: that person gets as many
// emails as the setting says, the others wait, and nobody else has to.
func TestServe_ManyDocumentsForOnePersonWait(t *testing.T) {
	x, dir := newTown(t), t.TempDir()
	w := start(t, append(x.env(dir), "COUNTERSIGN_MAIL_RECIPIENT_DAY=20"))
	w.says("read to its end")
	x.create(1, 500, "Victim+%d@example.com")
	x.create(501, 30, "signer-%d@example.com")
	x.statuses(dir, workflow.Signing, 20+30)
	w.says("emails that ask one person to sign wait")
	if strings.Contains(strings.ToLower(w.log.String()), "victim") {
		t.Error("the log names the address")
	}
	x.statuses(dir, workflow.Opened, 500-20)
	if n := x.box.Count(); n != 50 {
		t.Errorf("%d emails, want 50", n)
	}
	w.end()
}
