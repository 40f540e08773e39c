package web_test

import (
	"bytes"
	"context"
	"fmt"
	"html"
	"image"
	"image/png"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"countersign/db"
	"countersign/events"
	"countersign/internal/delivery"
	"countersign/internal/eventlog"
	"countersign/internal/loa"
	"countersign/internal/relay"
	"countersign/internal/test/eventstest"
	"countersign/internal/web"
	"countersign/workflow"
)

// letters is where letters end up; the PDF and its store have tests of their
// own.
type letters struct {
	mu     sync.Mutex
	signed []web.Signature
	err    error  // of the next
	while  func() // a letter is being signed; may be nil
}

const pdfDigest = "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

func (l *letters) PDF(_ context.Context, doc workflow.Document, words loa.Words) ([]byte, error) {
	return fmt.Appendf(nil, "%%PDF %s %s %s", doc.SID, doc.Status, words.Language), l.err
}

func (l *letters) Kept(doc workflow.Document) bool { return doc.LetterDigest == pdfDigest }

func (l *letters) Sign(_ context.Context, _ workflow.Document, s web.Signature) (digest, name string, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.signed = append(l.signed, s)
	if l.while != nil {
		l.while()
	}
	return pdfDigest, "name of the letter", l.err
}

// office is a site on a log of its own, with a document that is signing in
// round 2.
type office struct {
	*site
	t     *testing.T
	nats  *eventstest.Broker
	eager *eventlog.Log
	store *db.Store
}

type pliant struct{}

func (pliant) Size() int { return 1 }

func (pliant) Send(context.Context, workflow.Mail) delivery.Result {
	return delivery.Result{Outcome: workflow.Accepted, Code: 250}
}

func (pliant) Allow(string, string, time.Time) (string, time.Duration) { return "", 0 }

func newOffice(t *testing.T, edit ...func(*web.Config)) *office {
	t.Helper()
	o := &office{t: t, nats: eventstest.Server(t)}
	o.eager = eventstest.Open(t, eventstest.Connect(t, o.nats), 1)
	var err error
	if o.store, err = db.Open(t.Context(), t.TempDir()); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var group sync.WaitGroup
	group.Go(func() {
		if err := o.eager.Follow(ctx, relay.Fold{Store: o.store}); err != nil {
			t.Error(err)
		}
	})
	mails := &relay.Mails{Store: o.store, Log: o.eager, Sender: pliant{}, Limits: pliant{}, Deadline: 4 * time.Second, Logger: eventstest.Logger()}
	group.Go(func() { _ = mails.Run(ctx) })
	t.Cleanup(func() {
		stop()
		group.Wait()
		o.store.Close()
	})
	l := letter()
	o.append(events.Created("/orders", "c", l.AccountSID, sid, workflow.Created{
		AddressSID: "AD000102030405060708090a0b0c0d0e0f", Email: l.Email, CCEmails: l.CCEmails, ContactTitle: "Owner", Hold: true,
		HostedNumberOrders: []workflow.OrderRef{{SID: l.Orders[0].SID, PhoneNumber: l.Orders[0].PhoneNumber}, {SID: order}},
	}))
	o.append(o.status("hold", workflow.StatusChanged{Status: workflow.Signing}))
	o.stands(workflow.Signing)
	o.recall("1")
	o.site = newSite(t, o.store, append([]func(*web.Config){func(c *web.Config) { c.Log = o.eager }}, edit...)...)
	return o
}

func (o *office) status(id string, b workflow.StatusChanged) events.Event {
	return events.StatusChanged("/orders", id, letter().AccountSID, sid, b)
}

// recall takes the document back and sends it again.
func (o *office) recall(id string) {
	o.t.Helper()
	o.append(o.status("recall"+id, workflow.StatusChanged{Status: workflow.Opened}))
	o.append(o.status("again"+id, workflow.StatusChanged{Status: workflow.Signing}))
	o.stands(workflow.Signing)
}

func (o *office) append(e events.Event) {
	o.t.Helper()
	seq, err := o.eager.Append(o.t.Context(), e)
	if err != nil {
		o.t.Fatal(err)
	}
	if err := o.store.WaitApplied(o.t.Context(), seq); err != nil {
		o.t.Fatal(err)
	}
}

func (o *office) stands(want workflow.Status) workflow.Document {
	o.t.Helper()
	var doc workflow.Document
	eventstest.Wait(o.t, "the document to be "+string(want), func() bool {
		var err error
		doc, err = o.store.Document(o.t.Context(), sid)
		return err == nil && doc.Status == want
	})
	return doc
}

// form reads the form that the page shows, filled in so that it can be sent.
func (o *office) form() url.Values {
	o.t.Helper()
	_, body := o.get(o.t, "/sign/"+o.token(o.t, 2))
	form := answers()
	form.Set("version", field(o.t, body, "version"))
	return form
}

// answers are what is typed and ticked in a form that can be sent.
func answers() url.Values {
	return url.Values{
		"action": {"sign"}, "name": {" Zoë <b>Owner</b> "}, "title": {"Owner"},
		"authority": {"yes"}, "statements": {"yes"}, "consent": {"yes"}, "zone": {"America/Chicago"},
		"declines": {"yes"}, "wrong-person": {"yes"},
	}
}

// action is where the page sends the form to.
func action(t *testing.T, body string) string {
	t.Helper()
	return html.UnescapeString(between(between(body, `<form id="sign"`, ">"), ` action="`, `"`))
}

func field(t *testing.T, body, name string) string {
	t.Helper()
	m := regexp.MustCompile(`name="` + name + `" value="([^"]*)"`).FindStringSubmatch(body)
	if m == nil {
		t.Fatalf("no field %s in\n%s", name, body)
	}
	return m[1]
}

// post sends a form; headers are pairs.
func (o *office) post(form url.Values, headers ...string) (int, string) {
	o.t.Helper()
	return o.postTo("/sign/"+o.token(o.t, 2), form, headers...)
}

func (o *office) postTo(path string, form url.Values, headers ...string) (int, string) {
	o.t.Helper()
	req, err := http.NewRequestWithContext(o.t.Context(), http.MethodPost, o.url+path, strings.NewReader(form.Encode()))
	if err != nil {
		o.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("User-Agent", "Browser/1.0")
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, body := do(o.t, req)
	return resp.StatusCode, body
}

func (o *office) wants(code, want int, body string, says ...string) {
	o.t.Helper()
	text := words(o.t, body)
	if code != want {
		o.t.Errorf("status %d, want %d:\n%s", code, want, text)
	}
	for _, s := range says {
		if !strings.Contains(text, s) {
			o.t.Errorf("does not say %q:\n%s", s, text)
		}
	}
}

// line is a PNG with a line in it.
func line(t *testing.T, wide, high int) []byte {
	t.Helper()
	picture := image.NewNRGBA(image.Rect(0, 0, wide, high))
	for x := range wide {
		picture.Pix[picture.PixOffset(x, x%high)+3] = 255
	}
	var b bytes.Buffer
	if err := png.Encode(&b, picture); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
