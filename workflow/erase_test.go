package workflow

import (
	"strings"
	"testing"
	"time"
)

func TestMayErase_OnlyFinishedDocuments(t *testing.T) {
	now := time.Date(2026, 11, 24, 15, 0, 0, 0, time.UTC)
	order := func(s OrderStatus) []Order { return []Order{{SID: "HR1", Status: s}} }
	due := func(at time.Time) []PendingEvent { return []PendingEvent{{What: "became.failed.1", Due: at}} }
	for name, c := range map[string]struct {
		doc     Document
		mails   []Mail
		pending []PendingEvent
		left    string // empty: it may be erased
	}{
		"canceled":               {doc: Document{Status: Canceled}},
		"failed, order released": {doc: Document{Status: Failed, Orders: order(OrderPendingLOA)}},
		"signed, order completed": {
			doc: Document{Status: Signed, Orders: order(OrderCompleted)}, mails: []Mail{{State: MailAccepted}, {State: MailRejected}},
		},
		"signed, order failed":       {doc: Document{Status: Signed, Orders: order(OrderFailed)}},
		"a timer that runs":          {doc: Document{Status: Signed}, pending: due(now.Add(time.Millisecond))},
		"opened":                     {doc: Document{Status: Opened}, left: "it is opened"},
		"signing":                    {doc: Document{Status: Signing}, left: "it is signing"},
		"signed, order at carrier":   {doc: Document{Status: Signed, Orders: order(OrderCarrierProcessing)}, left: "order HR1 is carrier-processing"},
		"a mail without an outcome":  {doc: Document{Status: Failed}, mails: []Mail{{ID: "m", State: MailPending}}, left: "email m is pending"},
		"a mail in flight":           {doc: Document{Status: Failed}, mails: []Mail{{ID: "m", State: MailClaimed}}, left: "email m is claimed"},
		"an event that is due":       {doc: Document{Status: Failed}, pending: due(now), left: "the event became.failed.1 is pending"},
		"an event that was due once": {doc: Document{Status: Failed}, pending: due(now.Add(-time.Hour)), left: "became.failed.1"},
	} {
		p := MayErase(c.doc, c.mails, c.pending, now)
		switch {
		case p == nil && c.left != "":
			t.Errorf("%s: it may be erased", name)
		case p != nil && (c.left == "" || p.Code != CodeStatus || !strings.Contains(p.Message, c.left)):
			t.Errorf("%s: %s, %s", name, p.Code, p.Message)
		}
	}
}
