package main

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"countersign/internal/eventlog"
	"countersign/internal/test/eventstest"
	"countersign/workflow"
)

// TestServe_ReplayedStreamSendsNothingTwice appends all that stands on
// the log again, claims and outcomes too, without what JetStream knows repeats
// by, while new documents arrive: nothing of the old is sent or said again.
func TestServe_ReplayedStreamSendsNothingTwice(t *testing.T) {
	x, dir := newTown(t), t.TempDir()
	w := start(t, x.env(dir))
	w.says("read to its end")
	x.create(1, 20, "signer-%d@example.com")
	x.statuses(dir, workflow.Signing, 20)
	x.sign(1, 6)
	x.statuses(dir, workflow.Signed, 5)
	x.rest(dir)
	old, before := x.messages(), lives(t, dir)
	replayed := make(chan error, 1)
	go func() { replayed <- x.replay(old, 3) }()
	x.create(21, 20, "signer-%d@example.com")
	if err := <-replayed; err != nil {
		t.Fatal(err)
	}
	x.statuses(dir, workflow.Signing, 35)
	x.rest(dir)
	mails, repeats := x.caught()
	if len(mails) != 45 || len(repeats) > 0 { // 40 to sign, 5 that it is signed
		t.Errorf("%d mails, want 45; sent again: %v", len(mails), repeats)
	}
	for sid, doc := range before {
		if after := lives(t, dir)[sid]; after != doc {
			t.Errorf("%s became\n%s and was\n%s", sid, after, doc)
		}
	}
	w.end()
	x.wantRebuilt(dir)
}

// lives are the documents of a store as they stand.
func lives(t *testing.T, dir string) map[workflow.SID]string {
	t.Helper()
	out := map[workflow.SID]string{}
	for _, row := range state(t, dir) {
		if strings.HasPrefix(row, `["documents"`) {
			out[workflow.SID(strings.Split(row, `"`)[3])] = row[strings.Index(row, "PX"):]
		}
	}
	return out
}

// messages reads what stands on the log.
func (x *town) messages() (out []*nats.Msg) {
	x.t.Helper()
	for seq := uint64(1); seq <= x.tail(); seq++ {
		m, err := eventlog.ReadEntry(x.t.Context(), x.nc, seq)
		if err != nil {
			x.t.Fatal(err)
		}
		out = append(out, &nats.Msg{Subject: m.Subject, Data: m.Data})
	}
	return out
}

func (x *town) replay(messages []*nats.Msg, times int) error {
	js, err := jetstream.New(x.nc)
	if err != nil {
		return err
	}
	for range times {
		for _, m := range messages {
			if _, err := js.PublishMsg(context.Background(), &nats.Msg{Subject: m.Subject, Data: m.Data}); err != nil {
				return err
			}
		}
	}
	return nil
}

// TestServe_MalformedMessagesAreDeadLetters publishes what strangers and
// mistakes send, and a document behind it.
func TestServe_MalformedMessagesAreDeadLetters(t *testing.T) {
	x, dir := newTown(t), t.TempDir()
	w := start(t, x.env(dir))
	w.says("read to its end")
	long := nats.Header{}
	for i := range 60 {
		long.Set(fmt.Sprintf("ce-bomb%d", i), strings.Repeat("x", 1000))
	}
	long.Set("ce-specversion", "1.0")
	bad := []nats.Msg{
		{Subject: on(1, "created"), Data: []byte("")},
		{Subject: on(1, "created"), Data: []byte("[]")},
		{Subject: on(1, "created"), Data: []byte(strings.Repeat("[", 100_000))},
		{Subject: on(1, "created"), Data: []byte(`{"specversion":1,"id":[],"source":{},"type":null,"data":"x"}`)},
		{Subject: on(1, "created"), Data: []byte(event("a", "created", `{"email":5}`))},
		{Subject: on(1, "created"), Data: []byte(event("b", "erected", `{}`))},
		{Subject: on(1, "created"), Data: []byte(strings.Replace(event("c", "created", "{}"), `{"`, `{"schemaversion":"99","`, 1))},
		{Subject: on(1, "created"), Data: []byte("\xff\xfe\xfd")},
		{Subject: on(1, "created"), Data: make([]byte, 1<<20-1000)},
		{Subject: on(1, "created"), Data: []byte(event("d", "created", "{}")), Header: long},
		{Subject: string(testAccount) + ".created", Data: []byte(event("e", "created", "{}"))},
		{Subject: strings.Repeat("x.", 16) + "x", Data: []byte(event("f", "created", "{}"))},
		{Subject: on(1, "became.signed.1"), Data: []byte(event("g", "became", "{}"))},
	}
	for _, m := range bad {
		x.send(m.Subject, string(m.Data), m.Header)
	}
	x.create(2, 1, "signer-%d@example.com")
	x.statuses(dir, workflow.Signing, 1)
	eventstest.WaitFor(t, time.Minute, "all of them to be dead letters", func() bool {
		out, _ := x.call(dir, exitOK, "dead", "list", "--dead")
		return strings.Count(out, "\n") == len(bad)+1
	})
	x.rest(dir)
	w.end()
	x.wantRebuilt(dir)
}
