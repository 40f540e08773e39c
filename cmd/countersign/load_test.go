package main

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"countersign/events"
	"countersign/internal/catcher"
	"countersign/internal/test/eventstest"
	"countersign/internal/test/proxytest"
	"countersign/workflow"
)

// load is how much the tests of this file do; make soak does more.
var load = struct {
	stall     time.Duration // how long the mail server says nothing
	documents int           // that come meanwhile
	failing   int           // documents whose mail fails again and again
	memory    float64       // bytes that a worker may take; the race detector's share is large
	deadline  string        // of a mail
	window    int           // how many documents a mail may overtake: what a claim or two hold
}{15 * time.Second, 400, 150, 1 << 30, "4s", 100}

// metric reads one sample of a worker's metrics.
func (k *killable) metric(name string) float64 {
	k.t.Helper()
	_, body := get(k.t, "http://"+k.address("admin")+"/metrics")
	m := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(name) + ` (\S+)$`).FindStringSubmatch(body)
	if m == nil {
		k.t.Fatalf("no %s among the metrics", name)
	}
	v, err := strconv.ParseFloat(m[1], 64)
	if err != nil {
		k.t.Fatal(err)
	}
	return v
}

// TestServe_StalledMailServerLosesNothing has the mail server fall silent while documents come.
// The metrics tell, memory stays within its bound, and in the end every mail
// leaves once, in the documents' order.
func TestServe_StalledMailServerLosesNothing(t *testing.T) {
	t.Parallel()
	x := newTown(t)
	p := proxytest.Start(t, x.box.Addr())
	dir := t.TempDir()
	a := x.process(x.quick(dir, "COUNTERSIGN_SMTP_URL=smtp://"+p.Addr()+"?tls=none", "COUNTERSIGN_MAIL_DEADLINE="+load.deadline))
	p.Set(proxytest.Down, proxytest.Fault{Silent: true})
	const oldest = `countersign_outbox_oldest_seconds{channel="mail"}`
	stalled, published := time.Now(), make(chan bool)
	go func() {
		x.create(1, load.documents, "signer-%d@example.com")
		close(published)
	}()
	most := 0.0
	eventstest.WaitEvery(t, 100*time.Millisecond, load.stall+3*patience, "the stall to be long enough", func() bool {
		most = max(most, a.metric("process_resident_memory_bytes"))
		return time.Since(stalled) > load.stall && a.metric(oldest) >= (load.stall/2).Seconds()
	})
	<-published
	eventstest.WaitFor(t, patience, "the lag to be gone", func() bool { return a.metric("countersign_follower_lag_entries") == 0 })
	t.Logf("after %s: oldest mail %.0f s, %.0f owed, at most %.0f MiB", time.Since(stalled), a.metric(oldest),
		a.metric(`countersign_outbox_depth{channel="mail"}`), most/(1<<20))
	if most > load.memory {
		t.Errorf("the worker took %.0f MiB", most/(1<<20))
	}
	if got := a.metric(`countersign_outbox_depth{channel="mail"}`); int(got) != load.documents {
		t.Errorf("%.0f mails are said to be owed, want %d", got, load.documents)
	}
	p.Heal()
	eventstest.WaitEvery(t, 100*time.Millisecond, load.stall+3*patience, "every document to be out", func() bool {
		return int(a.metric(`countersign_documents{status="signing"}`)) == load.documents
	})
	doubted := map[string]bool{}
	for _, m := range inDoubt(t, dir) {
		doubted["<"+string(m.ID)+"@countersign.example>"] = true
	}
	mails, repeats := x.caught()
	for id := range repeats {
		if !doubted[id] {
			t.Errorf("%s went out twice and was not in doubt", id)
		}
	}
	if len(mails) != load.documents {
		t.Errorf("%d mails for %d documents", len(mails), load.documents)
	}
	x.inOrder(dir)
	a.kill()
}

// inOrder holds the order of the mails caught to the order of the documents.
// Mails that were tried before wait for their next try; and a few may be held
// up by the connection that has to be made for them first.
func (x *town) inOrder(dir string) {
	x.t.Helper()
	retried := map[string]bool{}
	query(x.t, dir)(`SELECT id FROM mails WHERE attempts > 1`, func(scan func(...any)) {
		var id string
		scan(&id)
		retried[id] = true
	})
	last, kept, late := 0, 0, 0
	for _, m := range x.box.Mails() {
		id, _, _ := strings.Cut(strings.Trim(m.MessageID, "<>"), "@")
		if retried[id] {
			continue
		}
		n, err := strconv.ParseInt(strings.TrimPrefix(id[:34], "PX"), 16, 64)
		if err != nil {
			x.t.Fatal(err)
		}
		if int(n) < last-load.window {
			late++
		}
		last, kept = max(last, int(n)), kept+1
	}
	x.t.Logf("%d mails left in order but for %d; %d had been tried before", kept, late, len(retried))
	if late > load.documents/20 || kept < load.documents/2 {
		x.t.Errorf("%d of %d mails came late", late, kept)
	}
}

// TestServe_FailingEmailsDelayNoOthers has many documents whose mails fail again and
// again: the next documents' mails leave all the same.
func TestServe_FailingEmailsDelayNoOthers(t *testing.T) {
	t.Parallel()
	x := newTown(t)
	x.box.Script(func(s catcher.Step) error {
		if s.Phase == catcher.RcptTo && strings.HasPrefix(s.To, "failing") {
			return &smtp.SMTPError{Code: 450, EnhancedCode: smtp.EnhancedCode{4, 2, 1}, Message: "later"}
		}
		return nil
	})
	dir := t.TempDir()
	a := x.process(x.quick(dir, "COUNTERSIGN_MAIL_RETRY_FIRST=1s", "COUNTERSIGN_MAIL_RETRY_MAX=1s", "COUNTERSIGN_MAIL_DEADLINE="+load.deadline))
	x.create(1, load.failing, "failing-%d@example.com")
	tried, ask := 0, query(t, dir)
	eventstest.WaitEvery(t, 50*time.Millisecond, load.stall+3*patience, "each of them tried", func() bool {
		ask(`SELECT COUNT(*) FROM mails WHERE attempts > 0`, func(scan func(...any)) { scan(&tried) })
		return tried == load.failing
	})
	began := time.Now()
	x.create(load.failing+1, 20, "signer-%d@example.com")
	x.statuses(dir, workflow.Signing, 20)
	t.Logf("20 documents were out after %s, beside %d whose mails fail", time.Since(began), load.failing)
	if got := int(a.metric(`countersign_documents{status="opened"}`)); got != load.failing {
		t.Errorf("%d documents are still to be sent, want %d", got, load.failing)
	}
	if a.metric(`countersign_mails{kind="signature",state="rejected"}`) != 0 {
		t.Error("a deferred mail was rejected")
	}
	a.kill()
}

// TestServe_DeferredNoticeDelaysNoOtherRecipient has the mail server defer whatever
// goes to one cc, for as long as the test takes. The signer and the other cc get
// all their emails, also those of the next round; the deferred cc gets them in
// order, each once, when the mail server takes them.
func TestServe_DeferredNoticeDelaysNoOtherRecipient(t *testing.T) {
	t.Parallel()
	x, dir := newTown(t), t.TempDir()
	var taking atomic.Bool
	x.box.Script(func(s catcher.Step) error {
		if s.Phase == catcher.RcptTo && strings.HasPrefix(s.To, "grey@") && !taking.Load() {
			return &smtp.SMTPError{Code: 450, EnhancedCode: smtp.EnhancedCode{4, 7, 1}, Message: "Greylisted, try again later"}
		}
		return nil
	})
	x.up(dir, "COUNTERSIGN_MAIL_RETRY_FIRST=1s", "COUNTERSIGN_MAIL_RETRY_MAX=1s")
	doc := testPX(1)
	got := func(want int, who string) {
		t.Helper()
		eventstest.WaitFor(t, patience, fmt.Sprintf("%d emails to %s", want, who), func() bool { return len(x.kindsTo(who)) == want })
	}
	x.say(events.Created("/test", "created", testAccount, doc, workflow.Created{
		AddressSID: "AD00000000000000000000000000000001", Email: "owner@example.com",
		CCEmails: []string{"grey@example.com", "ops@example.com"}, HostedNumberOrders: numbered("HR00000000000000000000000000000001"),
	}))
	got(1, "ops@example.com")
	for i, s := range []workflow.Status{workflow.Opened, workflow.Signing} {
		x.say(events.StatusChanged("/test", fmt.Sprint("again-", i), testAccount, doc, workflow.StatusChanged{Status: s}))
	}
	got(2, "ops@example.com")
	x.say(events.StatusChanged("/test", "signed", testAccount, doc, workflow.StatusChanged{Status: workflow.Signed}))
	got(3, "ops@example.com")
	got(3, "owner@example.com")
	if kinds := x.kindsTo("grey@example.com"); len(kinds) != 0 {
		t.Errorf("the deferred cc has got %v", kinds)
	}
	taking.Store(true)
	got(3, "grey@example.com")
	for who, want := range map[string]string{
		"owner@example.com": "[1.signature 2.signature 2.signed]", "ops@example.com": "[1.sent 2.sent 2.signed]", "grey@example.com": "[1.sent 2.sent 2.signed]",
	} {
		if kinds := fmt.Sprint(x.kindsTo(who)); kinds != want {
			t.Errorf("%s got %s, want %s", who, kinds, want)
		}
	}
}

// kindsTo lists the emails to one address in the order of their arrival, as
// "round.kind".
func (x *town) kindsTo(address string) (kinds []string) {
	for _, m := range x.box.Mails() {
		id, _, _ := strings.Cut(strings.Trim(m.MessageID, "<>"), "@")
		if slices.Contains(m.To, address) {
			kinds = append(kinds, fmt.Sprintf("%d.%s", workflow.MailID(id).Round(), workflow.MailID(id).Kind()))
		}
	}
	return kinds
}
