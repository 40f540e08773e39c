package workflow

import (
	"encoding/json"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The CloudEvents types of events about webhooks and deliveries.
const (
	TypeWebhookSet      = "webhook.set"
	TypeWebhookClaimed  = "webhook.claimed"
	TypeWebhookSettled  = "webhook.settled"
	TypeWebhookRedriven = "webhook.redriven"
)

// WebhookClaimsSubject is the subject of the claims of deliveries, which are
// appended by compare-and-set.
const WebhookClaimsSubject = SubjectPrefix + "_.webhook.claimed"

// WebhookStatus says whether a webhook is told what happens.
type WebhookStatus string

// The statuses of a webhook.
const (
	WebhookEnabled  WebhookStatus = "enabled"
	WebhookDisabled WebhookStatus = "disabled" // nothing new becomes pending, and what is pending becomes a dead letter
	WebhookDeleted  WebhookStatus = "deleted"  // its deliveries are removed, dead letters too
)

// WebhookStatuses lists every status of a webhook.
var WebhookStatuses = []WebhookStatus{WebhookEnabled, WebhookDisabled, WebhookDeleted}

// WebhookSet says what a webhook is from this entry on. The last one on its
// subject counts.
type WebhookSet struct {
	SID        SID           `json:"webhook_sid"`               // the webhook: WH and 32 hex digits
	AccountSID SID           `json:"account_sid"`               // whose documents it is told about
	URL        string        `json:"url,omitempty"`             // where deliveries are posted; left out if it is deleted
	Status     WebhookStatus `json:"status"`                    // enabled, disabled or deleted
	Reason     string        `json:"reason,omitempty"`          // why it is disabled
	Secrets    []int         `json:"secret_versions,omitempty"` // versions of the secret that sign, the newest first; the secrets are not on the log
}

// Webhook is a receiver of an account at one moment.
type Webhook struct {
	WebhookSet
	Sequence uint64    // of the last WebhookSet on its subject
	Created  time.Time // when the first one came to the log
	Updated  time.Time // when the last one did
}

// DeliveryID names one notice to one receiver: "WH…_PX…_signed_1". It follows
// from the cause and stays the same over all tries. It has no full stop, because
// Standard Webhooks signs "id.timestamp.body".
type DeliveryID string

// DeliveryState is the state of a delivery.
type DeliveryState string

// The states of a delivery. One that was delivered is removed.
const (
	DeliveryWaiting DeliveryState = "waiting" // an older one to the same receiver about the same thing is not done
	DeliveryPending DeliveryState = "pending" // it may be claimed once it is due
	DeliveryClaimed DeliveryState = "claimed"
	DeliveryDead    DeliveryState = "dead" // a dead letter: given up, until somebody redrives it
)

// Done reports whether nothing more happens to a delivery of this state by
// itself.
func (s DeliveryState) Done() bool { return s == DeliveryDead }

// Delivery is a notice that must be given to one receiver by HTTP, at least once.
// Of those to one receiver about one thing only the oldest unfinished one can be
// claimed.
type Delivery struct {
	ID       DeliveryID
	Account  SID
	Receiver string // the webhook's sid; for a callback the account's sid and the host, so that no slow host delays another
	About    SID    // the document or the order
	Document SID    // the document with which it is erased; empty if it is about none
	Type     string // of the event that it tells
	Method   string // POST or GET
	URL      string // of a callback; empty if the webhook says it
	Body     string // as it is posted: JSON, or the form of a callback

	State    DeliveryState
	CausedAt time.Time
	Due      time.Time // when it may be claimed, if it is pending
	Failures int       // since it became pending first or was redriven
	Claim    uint64    // sequence of the last claim, 0 before the first
	Code     int       // HTTP status of the last reply; 0 if there was none
	Reply    string    // why the last try failed, in our words
}

// DeliveriesClaimed reserves deliveries for a worker. The worker may carry them
// out if this event is appended directly after the last claim that it knew.
type DeliveriesClaimed struct {
	Worker     string       `json:"worker"`     // who carries them out
	Deliveries []DeliveryID `json:"deliveries"` // the deliveries that are reserved
}

// DeliveriesSettled carries the outcomes of deliveries that the claim at sequence
// Claim reserved. An outcome counts only if no later claim has reserved the
// delivery.
type DeliveriesSettled struct {
	Worker   string            `json:"worker"`   // who carried them out
	Claim    uint64            `json:"claim"`    // sequence of the claim
	Outcomes []DeliveryOutcome `json:"outcomes"` // one for each delivery
}

// DeliveriesRedriven makes dead letters among the deliveries pending again.
type DeliveriesRedriven struct {
	Deliveries []DeliveryID `json:"deliveries"` // those that are not dead letters stay as they are
}

// DeliveryResult is what happened at one try.
type DeliveryResult string

// The results of a try.
const (
	DeliveryDone     DeliveryResult = "delivered" // the receiver answered 2xx
	DeliveryFailed   DeliveryResult = "failed"    // anything else: it is tried again, until it is a dead letter
	DeliveryReleased DeliveryResult = "released"  // it was claimed and never begun
)

// DeliveryResults lists every result of a try.
var DeliveryResults = []DeliveryResult{DeliveryDone, DeliveryFailed, DeliveryReleased}

// DeliveryOutcome is the outcome of one try.
type DeliveryOutcome struct {
	Delivery     DeliveryID     `json:"delivery"`                 // which one
	Result       DeliveryResult `json:"result"`                   // delivered, failed or released
	Code         int            `json:"code,omitempty"`           // HTTP status of the reply; left out if there was none
	Reply        string         `json:"reply,omitempty"`          // why it failed, in Countersign's words; nothing of the reply's body
	RetryAfterMs int64          `json:"retry_after_ms,omitempty"` // how long the receiver asks to wait, at the most a day
}

// deliveryWaits are the waits after each failed try: the schedule that Standard
// Webhooks suggests, a little more than three days in all.
var deliveryWaits = []time.Duration{
	5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour, 10 * time.Hour,
	14 * time.Hour, 20 * time.Hour, 24 * time.Hour,
}

// Claimed returns the delivery after a claim of it at an entry, and false if it
// could not be claimed. A delivery that was claimed before and has no outcome may
// be claimed again: it may be carried out twice.
func (x Delivery) Claimed(sequence uint64) (Delivery, bool) {
	if x.State != DeliveryPending && x.State != DeliveryClaimed {
		return x, false
	}
	x.State, x.Claim = DeliveryClaimed, sequence
	return x, true
}

// Settled returns the delivery after the outcome of a claim, whether it is
// delivered, and whether the outcome counts. enabled says whether the receiver
// still wants deliveries: if it does not, one that failed is a dead letter.
func (x Delivery) Settled(claim uint64, o DeliveryOutcome, now time.Time, enabled bool) (_ Delivery, delivered, counts bool) {
	// One that became a dead letter in flight, because its webhook was disabled,
	// may still be delivered.
	if x.Claim != claim || x.State != DeliveryClaimed && (x.State != DeliveryDead || o.Result != DeliveryDone) {
		return x, false, false
	}
	x.Code, x.Reply = o.Code, o.Reply
	switch {
	case o.Result == DeliveryDone:
		return x, true, true
	case !enabled:
		x.State = DeliveryDead
	case o.Result == DeliveryReleased:
		x.State, x.Due = DeliveryPending, now
	case x.Failures == len(deliveryWaits):
		x.State, x.Failures = DeliveryDead, x.Failures+1
	default:
		wait := max(deliveryWaits[x.Failures], min(time.Duration(o.RetryAfterMs)*time.Millisecond, 24*time.Hour))
		x.State, x.Failures, x.Due = DeliveryPending, x.Failures+1, now.Add(wait)
	}
	return x, false, true
}

// notice is what a webhook is sent, in the form of Standard Webhooks 1.0.
type notice struct {
	Type      string    `json:"type"`
	Timestamp time.Time `json:"timestamp"`
	Data      any       `json:"data"`
}

// OrderNotice is the data of a notice about an order's status.
type OrderNotice struct {
	Order
	AccountSID  SID `json:"account_sid"`
	DocumentSID SID `json:"authorization_document_sid,omitempty"` // the document that lists it; left out if there is none
}

// notify makes a delivery to each webhook of the account pending. document is the one
// with which it is erased, empty for none. key says what it follows from: together
// with the webhook it is the delivery's id.
func (d *decider) notify(document, about SID, key, typ string, data any) {
	if len(d.facts.Webhooks) == 0 {
		return
	}
	body, err := json.Marshal(notice{typ, d.now, data})
	if err != nil {
		return // cannot happen: documents are written to the store as JSON, too
	}
	for _, w := range d.facts.Webhooks {
		d.out.Deliveries = append(d.out.Deliveries, Delivery{
			ID: DeliveryID(string(w.SID) + "_" + string(about) + "_" + key), Account: w.AccountSID, Receiver: string(w.SID),
			About: about, Document: document, Type: typ, Method: "POST", Body: string(body),
			State: DeliveryWaiting, CausedAt: d.now, Due: d.now,
		})
	}
}

// notifyOrders tells about the document's orders whose status is not the one that they
// had before the entry.
func (d *decider) notifyOrders(e Entry, before []Order) {
	doc := &d.state.Document
	if slices.Equal(before, doc.Orders) {
		return
	}
	for _, o := range doc.Orders {
		i := slices.IndexFunc(before, func(b Order) bool { return b.SID == o.SID })
		if i >= 0 && before[i].Status == o.Status && before[i].FailureReason == o.FailureReason {
			continue
		}
		if i < 0 && d.facts.Orders[o.SID].Status == o.Status {
			continue // it comes to the document as it is
		}
		h, _ := d.order(o.SID)
		d.notifyOrder(e, doc.SID, o, doc.AccountSID, h)
	}
}

// notifyOwn tells about an order whose own events have given it another status. It says
// nothing of a document: a document can be erased, and then a database that never
// saw it must tell the same.
func (d *decider) notifyOwn(e Entry, before HostedOrder) {
	h, known := d.order(e.Order)
	if !known || h.Deleted || h.Own == "" || h.Own == before.Own && h.OwnReason == before.OwnReason {
		return
	}
	o := Order{SID: h.SID, PhoneNumber: h.PhoneNumber, Status: h.Own, FailureReason: h.OwnReason, CurrentCarrier: h.CurrentCarrier}
	d.notifyOrder(e, "", o, h.AccountSID, h)
}

// notifyOrder tells the account's webhooks and the order's own callback URL about the
// status of an order.
func (d *decider) notifyOrder(e Entry, document SID, o Order, account SID, h HostedOrder) {
	d.notify(document, o.SID, deliveryKey(string(o.Status), e.Sequence), TypeOrderStatusChanged, OrderNotice{o, account, document})
	if h.StatusCallbackURL != "" && h.AccountSID == account {
		d.out.Deliveries = append(d.out.Deliveries, OrderCallback(account, document, o, h.StatusCallbackURL, h.StatusCallbackMethod, e.Sequence, d.now))
	}
}

// OrderCallback is the delivery of an order's status to the order's own callback URL,
// as Twilio makes it (Hosted Number Order resource, StatusCallbackUrl): a form with
// Status, HostedNumberOrderSid and PhoneNumber, by POST unless method is GET.
// document is the one that lists the order, empty if there is none; sequence and at
// are those of the entry that changed the status.
func OrderCallback(account, document SID, o Order, target, method string, sequence uint64, at time.Time) Delivery {
	if method != "GET" {
		method = "POST"
	}
	host := ""
	if u, err := url.Parse(target); err == nil {
		host = strings.ToLower(u.Host)
	}
	form := url.Values{"Status": {string(o.Status)}, "HostedNumberOrderSid": {string(o.SID)}, "PhoneNumber": {o.PhoneNumber}}
	return Delivery{
		ID: DeliveryID(string(o.SID) + "_" + deliveryKey(string(o.Status), sequence)), Account: account, Receiver: string(account) + " " + host,
		About: o.SID, Document: document, Type: TypeOrderStatusChanged, Method: method, URL: target, Body: form.Encode(),
		State: DeliveryWaiting, CausedAt: at, Due: at,
	}
}

// Type implements Body.
func (WebhookSet) Type() string         { return TypeWebhookSet }
func (DeliveriesClaimed) Type() string  { return TypeWebhookClaimed }
func (DeliveriesSettled) Type() string  { return TypeWebhookSettled }
func (DeliveriesRedriven) Type() string { return TypeWebhookRedriven }

// deliveryKey says what a delivery follows from, within what it is about.
func deliveryKey(status string, number uint64) string {
	return status + "_" + strconv.FormatUint(number, 10)
}
