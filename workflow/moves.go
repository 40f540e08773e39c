package workflow

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// create opens a document that does not exist yet.
func (d *decider) create(e Entry, b Created) *Problem {
	doc := &d.state.Document
	if doc.Status != Unseen {
		return problem(CodeExists, "subject", "document %s was created before; send an updated event to change it", doc.SID)
	}
	next := Document{
		SID: e.Document, AccountSID: e.Account, Status: Opened, Round: 1, Hold: b.Hold,
		AddressSID: b.AddressSID, Email: b.Email, CCEmails: b.CCEmails,
		ContactTitle: b.ContactTitle, ContactPhoneNumber: b.ContactPhoneNumber,
		Locale: b.Locale, Subscriber: b.Subscriber, ServiceAddress: b.ServiceAddress,
		Orders: d.list(nil, b.Orders()), Timers: b.Timers.orNil(), DateCreated: d.now, DateUpdated: d.now,
	}
	if next.CCEmails == nil {
		next.CCEmails = []string{}
	}
	next = d.filled(next)
	if p := d.taken(e, next); p != nil {
		return p
	}
	*doc = next
	d.note(b.Type(), e.by())
	if !b.Hold {
		d.send()
	}
	return nil
}

// update changes an opened document. If the signature email is already pending
// or claimed, its link becomes invalid, and the new content begins a new round.
func (d *decider) update(e Entry, b Updated) *Problem {
	doc := &d.state.Document
	if doc.Status != Opened {
		return problem(CodeImmutable, "", "document %s is %s and cannot be changed%s", doc.SID, doc.Status, howToChange(doc.Status))
	}
	next := *doc
	set(&next.AddressSID, b.AddressSID)
	next.forgetAddress(b)
	set(&next.Email, b.Email)
	set(&next.CCEmails, b.CCEmails)
	set(&next.ContactTitle, b.ContactTitle)
	set(&next.ContactPhoneNumber, b.ContactPhoneNumber)
	set(&next.Locale, b.Locale)
	set(&next.Subscriber, b.Subscriber)
	set(&next.ServiceAddress, b.ServiceAddress)
	if refs, listed := b.Orders(); listed {
		next.Orders = d.list(doc.Orders, refs)
	}
	content := !next.equal(*doc)
	if content {
		next = d.filled(next)
	}
	if p := d.taken(e, next); p != nil {
		return p
	}
	if b.Timers != nil {
		next.Timers = b.Timers.orNil()
	}
	if !content && next.Timers.same(doc.Timers) {
		d.same = true
		return nil
	}
	out := doc.out()
	if content && out {
		if p := d.tooMany(true); p != nil {
			return p
		}
	}
	d.note(b.Type(), e.by())
	next.DateUpdated = d.now
	*doc = next
	if content && out {
		d.withdraw()
		doc.Round++
		d.send()
	}
	return nil
}

// howToChange says how an immutable document can be changed after all.
func howToChange(s Status) string {
	if s == Signing {
		return "; ask for status opened first"
	}
	return ""
}

func set[T any](field *T, value *T) {
	if value != nil {
		*field = *value
	}
}

// status carries out what the machine says about the status that is asked for.
// Events that the machine parks do not come here.
func (d *decider) status(e Entry, b StatusChanged) *Problem {
	doc := &d.state.Document
	switch asked(d.facts.Rules, doc.Status, b.Status) {
	case edit:
		d.hold(e, b)
	case send:
		if d.same = !doc.Hold; d.same {
			return nil
		}
		if p := d.tooMany(true); p != nil {
			return p
		}
		d.note(b.Type(), "to be sent, "+e.by())
		d.send()
	case recall:
		d.note(b.Type(), "recalled "+e.by())
		d.reopen()
	case move:
		d.end(e, b)
	case same:
		d.same = true
	default:
		return problem(CodeStatus, "data.status", "document %s is %s and cannot become %s", doc.SID, doc.Status, b.Status)
	}
	return nil
}

// hold keeps an opened document from being sent: this is a recall before the
// mail server has answered.
func (d *decider) hold(e Entry, b StatusChanged) {
	if d.state.Document.Hold {
		d.same = true
		return
	}
	d.note(b.Type(), "held "+e.by())
	d.reopen()
}

// reopen begins a new round, which is held until it is sent.
func (d *decider) reopen() {
	doc := &d.state.Document
	d.withdraw()
	d.freeze()
	d.stop(TimerReminder, TimerExpiry, TimerWaiting)
	doc.Status, doc.Hold, doc.WaitsFor, doc.DateUpdated, doc.ExpiresAt = Opened, true, nil, d.now, nil
	doc.Round++
	d.returnOrders()
}

// send makes the signature email of the round pending, unless the letter lacks
// something that it must name: then the document waits for it.
func (d *decider) send() {
	doc := &d.state.Document
	*doc = d.filled(*doc)
	doc.Hold, doc.DateUpdated = false, d.now
	if doc.WaitsFor = d.missing(*doc); doc.Waits() {
		d.note("waiting", doc.lacks())
		d.start(Timer{Kind: TimerWaiting, Due: d.now.Add(d.facts.ParkingLimit)})
		return
	}
	d.askAt(d.nextAsk(true))
}

// askAt makes the signature email of the round pending, due at the time if it is
// not zero.
func (d *decider) askAt(at time.Time) {
	d.mail(MailSignature, 0, d.state.Document.Email)
	if m := &d.state.Mails[len(d.state.Mails)-1]; at.After(m.Due) {
		m.Due = at
	}
}

// sent moves the document to signing, once the mail server has accepted the
// signature email.
func (d *decider) sent() {
	doc := &d.state.Document
	doc.Status, doc.DateUpdated = Signing, d.now
	doc.setOrders(OrderPendingLOA, OrderTwilioProcessing, OrderReceived, OrderPendingVerification, OrderVerified)
	d.note("signing", fmt.Sprintf("round %d", doc.Round))
	d.tellCC(MailSent)
	d.startRound()
}

// tellCC makes a notice to each cc pending.
func (d *decider) tellCC(kind MailKind) {
	for i, cc := range recipients(d.state.Document.CCEmails...) {
		d.mail(kind, i, cc)
	}
}

// end moves a document to signed, canceled or failed.
func (d *decider) end(e Entry, b StatusChanged) {
	doc := &d.state.Document
	doc.Status, doc.Hold, doc.DateUpdated = b.Status, false, d.now
	doc.Reason, doc.Evidence, doc.LetterDigest = b.Reason, compact(b.Evidence), b.LetterDigest
	doc.AskedBy = e.asked()
	doc.LetterKept = b.LetterKept && b.Status == Signed && b.LetterDigest != "" && doc.AskedBy.Writer == WriterPage
	if w := doc.AskedBy.Writer; w == WriterPage || w == WriterCountersign {
		doc.EndedBy = b.EndedBy
	}
	detail := e.by()
	switch b.Status {
	case Canceled:
		doc.CanceledBy = b.CanceledBy
	case Signed:
		doc.DateSigned = &e.Time
	}
	if b.Reason != "" {
		detail += ": " + b.Reason
	}
	d.note(string(b.Status), detail)
	d.withdraw()
	d.stop(TimerReminder, TimerExpiry, TimerWaiting)
	doc.WaitsFor = nil
	if b.Status != Signed {
		d.returnOrders()
		if slices.Contains(d.facts.NotifyCC, b.Status) {
			d.tellCC(MailKind(b.Status))
		}
		return
	}
	for i, to := range recipients(append([]string{doc.Email}, doc.CCEmails...)...) {
		d.mail(MailSigned, i, to)
	}
	for _, o := range doc.Orders {
		d.owe(fmt.Sprintf("order.%s.register", o.SID), Register{
			OrderSID: o.SID, PhoneNumber: o.PhoneNumber, DocumentSID: doc.SID, AccountSID: doc.AccountSID,
			AddressSID: doc.AddressSID, Email: doc.Email, ContactTitle: doc.ContactTitle,
			ContactPhoneNumber: doc.ContactPhoneNumber, DateSigned: *doc.DateSigned, LetterDigest: doc.LetterDigest,
		}, d.now)
	}
	d.signedNow()
}

// fail ends a document because of a decision of Countersign.
func (d *decider) fail(by Ending, reason string) {
	d.end(Entry{Sequence: d.cause.Sequence, Source: Source, Time: d.now}, StatusChanged{Status: Failed, EndedBy: by, Reason: sentence(reason)})
}

// Source is the CloudEvents source of the events that follow from the rules.
const Source = "countersign"

// compact writes JSON in the form that further decoding and encoding does not
// change.
func compact(raw json.RawMessage) json.RawMessage {
	if len(raw) == 0 {
		return nil
	}
	out, err := json.Marshal(raw)
	if err != nil {
		return nil // cannot happen: decoded events have valid JSON
	}
	return out
}
