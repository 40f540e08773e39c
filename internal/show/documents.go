package show

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"countersign/db"
	"countersign/internal/operator"
	"countersign/internal/terminal"
	"countersign/workflow"
)

// Documents prints a table of documents.
func Documents(out *terminal.Printer, docs []workflow.Document) error {
	t := out.Table("DOCUMENT", "STATUS", "ROUND", "ORDERS", "SIGNER", "UPDATED")
	for _, d := range docs {
		t.Row(d.SID, Status(d), d.Round, len(d.Orders), d.Email, Stamp(d.DateUpdated))
	}
	return t.Flush()
}

// Status is a document's status, and whether it is held or what it waits for.
func Status(d workflow.Document) string {
	if d.Hold {
		return string(d.Status) + " (held)"
	}
	if d.Waits() {
		parts := make([]string, len(d.WaitsFor))
		for i, p := range d.WaitsFor {
			parts[i] = string(p)
		}
		return string(d.Status) + " (waits for " + strings.Join(parts, ", ") + ")"
	}
	return string(d.Status)
}

// Document prints all that is known of a document.
func Document(out *terminal.Printer, sid workflow.SID, l db.Life) error {
	t := out.Table()
	showState(t, sid, l)
	if l.Document != nil {
		t.Section("ORDER", "STATUS", "NUMBER", "CARRIER", "FAILURE")
		for _, o := range l.Document.Orders {
			t.Row(o.SID, o.Status, o.PhoneNumber, o.CurrentCarrier, o.FailureReason)
		}
	}
	if len(l.Mails) > 0 {
		last := lastReports(l.Bounces)
		t.Section("MAIL", "ROUND", "TO", "STATE", "TRIES", "IN DOUBT", "REPLY", "REPORTED SINCE")
		for _, m := range l.Mails {
			t.Row(m.Kind, m.Round, m.Recipient, mailState(m), m.Attempts, m.Doubts, m.Reply, last[m.ID])
		}
	}
	if len(l.Events) > 0 {
		t.Section("EVENT", "ON THE LOG AT")
		for _, e := range l.Events {
			t.Row(e.What, place(e))
		}
	}
	for _, p := range l.Parked {
		t.Section(fmt.Sprintf("parked: entry %d, %s, until %s", p.Entry.Sequence, p.Entry.Body.Type(), Stamp(p.Until)))
	}
	if len(l.History) > 0 {
		t.Section("TIME", "ENTRY", "WHAT", "DETAIL")
		for _, h := range l.History {
			t.Row(Stamp(h.Time), h.Sequence, h.What, h.Detail)
		}
	}
	return t.Flush()
}

func showState(t *terminal.Table, sid workflow.SID, l db.Life) {
	t.Row("document", sid)
	d := l.Document
	switch {
	case d == nil && operator.WasErased(l):
		t.Row("status", "erased")
		return
	case d == nil:
		t.Row("status", "not created yet")
		return
	}
	for _, row := range [][2]string{
		{"account", string(d.AccountSID)},
		{"status", Status(*d)},
		{"round", strconv.Itoa(d.Round)},
		{"signer", d.Email},
		{"cc", strings.Join(d.CCEmails, ", ")},
		{"address", string(d.AddressSID)},
		{"locale", d.Locale},
		{"subscriber", d.Subscriber},
		{"service address", strings.Join(d.ServiceAddress.Lines(), ", ")},
		{"contact", strings.Trim(d.ContactTitle+", "+d.ContactPhoneNumber, ", ")},
		{"reason", d.Reason},
		{"canceled by", d.CanceledBy},
		{"asked for by", askedBy(*d)},
		{"letter", d.LetterDigest},
		{"created", Stamp(d.DateCreated)},
		{"updated", Stamp(d.DateUpdated)},
	} {
		if row[1] != "" {
			t.Row(row[0], row[1])
		}
	}
	showTimes(t, *d, l.Timers)
}

// askedBy says who asked for the status that ended a document: the signing page
// with what it saw of the visit, the REST API with its key, or another.
func askedBy(d workflow.Document) string {
	if d.AskedBy.Writer == "" {
		return ""
	}
	by := fmt.Sprintf("%s, entry %d", d.AskedBy, d.AskedBy.Entry)
	var visit struct{ Name, IP string }
	if d.AskedBy.Writer != workflow.WriterPage || json.Unmarshal(d.Evidence, &visit) != nil {
		return by
	}
	if visit.Name != "" {
		by += ", name typed: " + visit.Name
	}
	return by + ", IP address " + visit.IP
}

// showTimes prints when the document was signed, and its timers.
func showTimes(t *terminal.Table, d workflow.Document, running []workflow.Timer) {
	if d.DateSigned != nil {
		t.Row("signed", Stamp(*d.DateSigned))
	}
	for _, r := range running {
		switch r.Kind {
		case workflow.TimerReminder:
			t.Row("next reminder", fmt.Sprintf("%s, and %d more", Stamp(r.Due), r.More))
		case workflow.TimerExpiry:
			t.Row("expires", Stamp(r.Due))
		case workflow.TimerFreshness:
			t.Row("letter fresh until", Stamp(r.Due))
		}
	}
	if d.LetterStale {
		t.Row("letter", "too old for orders that are not completed")
	}
}

func mailState(m workflow.Mail) string {
	if m.State == workflow.MailPending && m.Attempts > 0 {
		return "pending, next try " + Stamp(m.Due)
	}
	return string(m.State)
}

// lastReports has the last report on each email.
func lastReports(all []db.Bounce) map[workflow.MailID]string {
	last := map[workflow.MailID]string{}
	for _, b := range all {
		last[b.Mail] = strings.TrimSpace(fmt.Sprintf("%s %s %s", b.Action, b.Status, b.Diagnostic))
	}
	return last
}

// place says where an event is on the log, or what became of it.
func place(e db.OutboxEvent) string {
	switch e.State {
	case db.EventDone:
		return strconv.FormatUint(e.Sequence, 10)
	case db.EventDropped:
		return "no longer needed"
	}
	return "pending, due " + Stamp(e.Due)
}
