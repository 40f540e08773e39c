package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"countersign/events"
	"countersign/internal/eventlog"
	"countersign/internal/test/eventstest"
	"countersign/workflow"
)

// TestDeployNATS_HostileUpstreamBesideHonestDocuments has portal run all its
// attacks at once while documents of loa-desk's are sent and signed: each is
// signed, registered and mailed once, and nothing is overheard. HOSTILE_SECONDS
// says for how long at least, with 200 documents; it is 3, with 30, if not set.
func TestDeployNATS_HostileUpstreamBesideHonestDocuments(t *testing.T) {
	for _, conf := range []string{accountsConf, usersConf} {
		t.Run(conf, func(t *testing.T) {
			s := newSiege(t, startSecured(t, conf, false))
			const first = 1000
			lasts, honest := hostileTime(t)
			stop := s.attack(first, honest)
			until := time.Now().Add(lasts)
			s.honest(first, honest)
			eventstest.WaitFor(t, 10*time.Minute, "the attacks to have lasted", func() bool { return time.Now().After(until) })
			stop()
			s.x.rest(s.dir)
			s.wantOnce(first, honest)
			// Its own replies come to its own account; somebody else's event must not.
			s.mu.Lock()
			defer s.mu.Unlock()
			if len(s.events) > 0 {
				t.Errorf("portal has overheard %d events of others, the first on %s", len(s.events), s.events[0])
			}
			s.x.must(s.dir, "verify")
		})
	}
}

// hostileTime is for how long portal attacks, and beside how many documents.
func hostileTime(t *testing.T) (lasts time.Duration, documents int) {
	s := os.Getenv("HOSTILE_SECONDS")
	if s == "" {
		return 3 * time.Second, 30
	}
	seconds, err := strconv.Atoi(s)
	if err != nil {
		t.Fatal(err)
	}
	return time.Duration(seconds) * time.Second, 200
}

// honest has loa-desk create documents, and their signers sign them, several at
// a time.
func (s *siege) honest(first, n int) {
	s.t.Helper()
	say := upstream(s.t, s.broker.connect(s.t, "loa-desk"))
	for i := first; i < first+n; i++ {
		say(events.Created("/orders", fmt.Sprint("created-", i), deskAccount, testPX(i), workflow.Created{
			AddressSID: "AD00000000000000000000000000000001", Email: fmt.Sprintf("signer-%d@example.com", i),
			CCEmails: []string{fmt.Sprintf("cc-%d@example.com", i)}, HostedNumberOrders: numbered(testHR(2*i), testHR(2*i+1)),
		}))
	}
	var signers sync.WaitGroup
	var next atomic.Int64
	for range 4 {
		signers.Go(func() {
			for {
				i := first + int(next.Add(1)) - 1
				if i >= first+n {
					return
				}
				signer := s.x.signer(s.w.address("public"), testPX(i), 1)
				signer.must("POST", "", signer.form("sign"), 200)
			}
		})
	}
	signers.Wait()
}

// attack runs portal's attacks against the documents until stop is called.
func (s *siege) attack(first, n int) (stop func()) {
	evil := s.broker.conn(s.t, "portal")
	done := make(chan struct{})
	var attacks sync.WaitGroup
	every := func(d time.Duration, do func(i int)) {
		attacks.Go(func() {
			tick := time.NewTicker(d)
			defer tick.Stop()
			for i := 0; ; i++ {
				select {
				case <-tick.C:
					do(i)
				case <-done:
					return
				}
			}
		})
	}
	put := func(m *nats.Msg) { _ = evil.PublishMsg(m) } // NATS reports a forbidden subject later, on the connection
	victim := func(i int) string { return events.Prefix + string(deskAccount) + "." + string(testPX(first+i%n)) + "." }
	own := func(i int) string {
		return events.Prefix + string(portalAccount) + "." + string(testPX(first+i%n)) + "."
	}
	every(4*time.Millisecond, func(i int) { // A1: replies on own subjects of the log
		places := []string{
			victim(i/9) + "order." + string(testHR(2*(first+i/9%n))) + ".register", victim(i/9) + "became.signing.1", victim(i/9) + "became.signed.1",
			victim(i/9) + "by.page.status", victim(i/9) + fmt.Sprintf("refused.%d", i), workflow.ClaimsSubject,
			events.Prefix + "_.mail.settled", events.Prefix + fmt.Sprintf("_.quarantined.%d", i), victim(i/9) + "due.expiry.1",
		}
		put(&nats.Msg{Subject: own(i) + "updated", Reply: places[i%len(places)], Header: nats.Header{"Nats-Expected-Stream": {[]string{events.StreamName, "X"}[i/9%2]}}, Data: []byte("{}")})
	})
	every(10*time.Millisecond, func(i int) { // A3: message ids that an event could have
		for _, id := range []string{
			fmt.Sprintf("%%2Fsign sign.%s.1", testPX(first+i%n)), fmt.Sprintf("countersign %d", i),
			fmt.Sprintf("%%2Forders created-%d", first+i%n), fmt.Sprintf("%s.%s.became.signed.1", deskAccount, testPX(first+i%n)),
		} {
			put(&nats.Msg{Subject: own(i) + "resend", Header: nats.Header{jetstream.MsgIDHeader: {id}}, Data: []byte("{}")})
		}
	})
	every(10*time.Millisecond, func(i int) { // A4: the identities of others, on the own subjects
		for source, id := range map[string]string{
			"/sign": fmt.Sprintf("sign.%s.1", testPX(first+i%n)), "/orders": fmt.Sprint("created-", first+i%n), "/api": fmt.Sprint("update.", i),
		} {
			put(&nats.Msg{Subject: own(i) + "status", Data: fmt.Appendf(nil,
				`{"specversion":"1.0","id":%q,"source":%q,"type":"authorization_document.status_changed","data":{"status":"canceled","round":1}}`, id, source)})
		}
	})
	every(5*time.Millisecond, func(i int) { // A5: 200 open batches a second
		put(&nats.Msg{Subject: own(i) + "updated", Header: nats.Header{"Nats-Batch-Id": {fmt.Sprint("h", i)}, "Nats-Batch-Sequence": {"1"}}, Data: []byte("{}")})
	})
	return func() { close(done); attacks.Wait() }
}

// wantOnce checks that each document is signed, each of its orders registered
// once, and each of its emails accepted once.
func (s *siege) wantOnce(first, n int) {
	s.t.Helper()
	registered, became := map[string]int{}, map[string]int{}
	err := eventlog.Read(s.t.Context(), s.x.nc, events.StreamName, eventlog.Range{}, func(m events.Message) error {
		switch e := events.Decode(m); b := e.Body.(type) {
		case workflow.Register:
			registered[string(b.OrderSID)]++
		case workflow.Became:
			became[fmt.Sprintf("%s %s", b.SID, b.Status)]++
		}
		return nil
	})
	if err != nil {
		s.t.Fatal(err)
	}
	mails := map[string]int{}
	for _, m := range s.x.box.Mails() {
		mails[strings.Trim(m.MessageID[:strings.IndexByte(m.MessageID, '@')], "<")]++
	}
	for i := first; i < first+n; i++ {
		sid := testPX(i)
		if d := s.x.document(s.dir, sid); d.Status != workflow.Signed || d.AskedBy.Writer != workflow.WriterPage {
			s.t.Errorf("%s is %s, asked for by %s", sid, d.Status, d.AskedBy)
		}
		for _, order := range []workflow.SID{testHR(2 * i), testHR(2*i + 1)} {
			if registered[string(order)] != 1 {
				s.t.Errorf("%s is registered %d times", order, registered[string(order)])
			}
		}
		for _, status := range []workflow.Status{workflow.Signing, workflow.Signed} {
			if k := fmt.Sprintf("%s %s", sid, status); became[k] != 1 {
				s.t.Errorf("%s is announced %d times", k, became[k])
			}
		}
		for _, id := range []string{".1.signature.0", ".1.sent.0", ".1.signed.0", ".1.signed.1"} {
			if mails[string(sid)+id] != 1 {
				s.t.Errorf("%s%s went out %d times", sid, id, mails[string(sid)+id])
			}
		}
	}
}
