package workflow

import (
	"fmt"
	"reflect"
	"time"
)

// The CloudEvents types of the events of an order that name no document.
const (
	TypeOrderCreated = "hosted_number_order.created"
	TypeOrderUpdated = "hosted_number_order.updated"
	TypeOrderDeleted = "hosted_number_order.deleted"
)

// VerificationType is how the owner of a number proves that it is theirs. The
// words are Twilio's (HostedNumberOrder resource, "VerificationType").
type VerificationType string

// The ways of verification.
const (
	VerifyByCall VerificationType = "phone-call" // somebody at the number hears a code
	VerifyByBill VerificationType = "phone-bill" // a bill of the number's carrier is sent in
)

// VerificationTypes lists every way of verification.
var VerificationTypes = []VerificationType{VerifyByCall, VerifyByBill}

// Capabilities says what a hosted number is used for.
type Capabilities struct {
	Voice bool `json:"voice,omitempty"` // calls
	SMS   bool `json:"sms,omitempty"`   // text messages
	MMS   bool `json:"mms,omitempty"`   // messages with pictures
	Fax   bool `json:"fax,omitempty"`   // faxes
}

// OrderContent is what the events of a Hosted Number Order say about it.
type OrderContent struct {
	PhoneNumber             string           `json:"phone_number,omitempty"`              // the number to host, E.164
	CurrentCarrier          string           `json:"current_carrier,omitempty"`           // name of the carrier that carries the number's voice calls
	FriendlyName            string           `json:"friendly_name,omitempty"`             // a name for people
	UniqueName              string           `json:"unique_name,omitempty"`               // a name for programs
	AddressSID              SID              `json:"address_sid,omitempty"`               // where the number is used
	Email                   string           `json:"email,omitempty"`                     // of the number's owner
	CCEmails                []string         `json:"cc_emails,omitempty"`                 // who is told, too; at most 50
	ContactTitle            string           `json:"contact_title,omitempty"`             // of the contact at the owner
	ContactPhoneNumber      string           `json:"contact_phone_number,omitempty"`      // of the contact at the owner, E.164
	Capabilities            Capabilities     `json:"capabilities,omitzero"`               // what the number is used for
	IncomingPhoneNumberSID  SID              `json:"incoming_phone_number_sid,omitempty"` // the hosted number, "PN…", once there is one
	SMSApplicationSID       SID              `json:"sms_application_sid,omitempty"`       // the application, "AP…", that gets the messages
	SMSURL                  string           `json:"sms_url,omitempty"`                   // who is asked about a message
	SMSMethod               string           `json:"sms_method,omitempty"`                // how: GET or POST
	SMSFallbackURL          string           `json:"sms_fallback_url,omitempty"`          // who is asked if sms_url fails
	SMSFallbackMethod       string           `json:"sms_fallback_method,omitempty"`       // how: GET or POST
	StatusCallbackURL       string           `json:"status_callback_url,omitempty"`       // who is told about each status of the order
	StatusCallbackMethod    string           `json:"status_callback_method,omitempty"`    // how: GET or POST
	VerificationType        VerificationType `json:"verification_type,omitempty"`         // how the owner proves that the number is theirs
	VerificationDocumentSID SID              `json:"verification_document_sid,omitempty"` // the carrier's bill, "RI…"
	Extension               string           `json:"extension,omitempty"`                 // what is dialled after the number: digits, #, * and w
	CallDelay               int              `json:"call_delay,omitempty"`                // seconds before the call, 0 to 60
}

// OrderCreated is a new Hosted Number Order with its content. The subject names
// the order.
type OrderCreated struct{ OrderContent }

// OrderUpdated carries new values for the fields of an order that are present.
// "" clears a text. A list replaces the old list.
type OrderUpdated struct {
	PhoneNumber             *string           `json:"phone_number,omitempty"`              // the number to host, E.164
	CurrentCarrier          *string           `json:"current_carrier,omitempty"`           // name of the carrier that carries the number's voice calls
	FriendlyName            *string           `json:"friendly_name,omitempty"`             // a name for people
	UniqueName              *string           `json:"unique_name,omitempty"`               // a name for programs
	AddressSID              *SID              `json:"address_sid,omitempty"`               // where the number is used
	Email                   *string           `json:"email,omitempty"`                     // of the number's owner
	CCEmails                *[]string         `json:"cc_emails,omitempty"`                 // who is told, too; an empty list tells nobody
	ContactTitle            *string           `json:"contact_title,omitempty"`             // of the contact at the owner
	ContactPhoneNumber      *string           `json:"contact_phone_number,omitempty"`      // of the contact at the owner, E.164
	Capabilities            *Capabilities     `json:"capabilities,omitempty"`              // what the number is used for, in place of all that was said before
	IncomingPhoneNumberSID  *SID              `json:"incoming_phone_number_sid,omitempty"` // the hosted number, "PN…"
	SMSApplicationSID       *SID              `json:"sms_application_sid,omitempty"`       // the application, "AP…", that gets the messages
	SMSURL                  *string           `json:"sms_url,omitempty"`                   // who is asked about a message
	SMSMethod               *string           `json:"sms_method,omitempty"`                // how: GET or POST
	SMSFallbackURL          *string           `json:"sms_fallback_url,omitempty"`          // who is asked if sms_url fails
	SMSFallbackMethod       *string           `json:"sms_fallback_method,omitempty"`       // how: GET or POST
	StatusCallbackURL       *string           `json:"status_callback_url,omitempty"`       // who is told about each status of the order
	StatusCallbackMethod    *string           `json:"status_callback_method,omitempty"`    // how: GET or POST
	VerificationType        *VerificationType `json:"verification_type,omitempty"`         // how the owner proves that the number is theirs
	VerificationDocumentSID *SID              `json:"verification_document_sid,omitempty"` // the carrier's bill, "RI…"
	Extension               *string           `json:"extension,omitempty"`                 // what is dialled after the number: digits, #, * and w
	CallDelay               *int              `json:"call_delay,omitempty"`                // seconds before the call, 0 to 60
}

// OrderDeleted ends an order: nothing of it is kept but its sid, its account and
// that it was deleted. Documents that name it keep what they say of it.
type OrderDeleted struct {
	Reason string `json:"reason,omitempty"` // why, for whoever reads the log
}

// HostedOrder is a Hosted Number Order at one moment, as the log knows it from
// the order's own events, with its status on the live document that lists it.
//
// What its own events say (OrderContent, Own, OwnReason, DateUpdated) never
// depends on a document: a document can be erased, and then a database that
// never saw the document must hold the same.
type HostedOrder struct {
	SID        SID `json:"sid"`         // the order
	AccountSID SID `json:"account_sid"` // whose order it is
	OrderContent
	Own         OrderStatus `json:"own_status,omitempty"`         // what its own events last said
	OwnReason   string      `json:"own_failure_reason,omitempty"` // what its own events last said
	DateCreated time.Time   `json:"date_created,omitzero"`        // when the log took the created event; zero until then
	DateUpdated time.Time   `json:"date_updated,omitzero"`        // when its own events last changed it
	Deleted     bool        `json:"deleted,omitempty"`            // it was deleted; all content is gone

	Verification VerificationState `json:"verification,omitzero"` // how far the verification of its number has come

	Document  SID         `json:"signing_document_sid,omitempty"` // the live document of the account that lists it
	Status    OrderStatus `json:"status"`                         // its status: on Document if there is one, else Own
	Reason    string      `json:"failure_reason,omitempty"`       // of Status, in the order service's words
	DateMoved time.Time   `json:"date_moved,omitzero"`            // when Document last changed its status
}

// Listed reports whether the order exists for its account: it was created, and
// not deleted. An order of which only a status was reported does not.
func (o HostedOrder) Listed() bool { return !o.DateCreated.IsZero() && !o.Deleted }

// Updated returns when the order last changed, be it by its own events or by a
// document's.
func (o HostedOrder) Updated() time.Time {
	if o.DateMoved.After(o.DateUpdated) {
		return o.DateMoved
	}
	return o.DateUpdated
}

// Type implements Body.
func (OrderCreated) Type() string { return TypeOrderCreated }

// Type implements Body.
func (OrderUpdated) Type() string { return TypeOrderUpdated }

// Type implements Body.
func (OrderDeleted) Type() string { return TypeOrderDeleted }

// Apply returns the content with the values of an event that are present.
func (b OrderUpdated) Apply(c OrderContent) OrderContent {
	set(&c.PhoneNumber, b.PhoneNumber)
	set(&c.CurrentCarrier, b.CurrentCarrier)
	set(&c.FriendlyName, b.FriendlyName)
	set(&c.UniqueName, b.UniqueName)
	set(&c.AddressSID, b.AddressSID)
	set(&c.Email, b.Email)
	set(&c.CCEmails, b.CCEmails)
	set(&c.ContactTitle, b.ContactTitle)
	set(&c.ContactPhoneNumber, b.ContactPhoneNumber)
	set(&c.Capabilities, b.Capabilities)
	set(&c.IncomingPhoneNumberSID, b.IncomingPhoneNumberSID)
	set(&c.SMSApplicationSID, b.SMSApplicationSID)
	set(&c.SMSURL, b.SMSURL)
	set(&c.SMSMethod, b.SMSMethod)
	set(&c.SMSFallbackURL, b.SMSFallbackURL)
	set(&c.SMSFallbackMethod, b.SMSFallbackMethod)
	set(&c.StatusCallbackURL, b.StatusCallbackURL)
	set(&c.StatusCallbackMethod, b.StatusCallbackMethod)
	set(&c.VerificationType, b.VerificationType)
	set(&c.VerificationDocumentSID, b.VerificationDocumentSID)
	set(&c.Extension, b.Extension)
	set(&c.CallDelay, b.CallDelay)
	return c
}

// hosted returns the order that the entry's subject names, as far as the log
// knows it, and why the entry cannot change it.
func (d *decider) hosted(e Entry) (HostedOrder, *Problem) {
	o, known := d.order(e.Order)
	switch {
	case !known:
		return HostedOrder{SID: e.Order, AccountSID: e.Account}, nil
	case o.AccountSID != e.Account:
		return o, problem(CodeAccount, "subject", "order %s is not account %s's", e.Order, e.Account)
	case o.Deleted:
		return o, problem(CodeDeleted, "subject", "order %s was deleted; nothing can be done with it any more", e.Order)
	}
	return o, nil
}

// created returns the order that the entry's subject names, and why the entry
// cannot change it: if it was not created, it cannot either.
func (d *decider) created(e Entry) (HostedOrder, *Problem) {
	o, p := d.hosted(e)
	if p == nil && o.DateCreated.IsZero() {
		p = problem(CodeOrderUnknown, "subject", "order %s is not created; send a created event first", e.Order)
	}
	return o, p
}

// createOrder makes an order known. A status and a number that were reported
// before stay.
func (d *decider) createOrder(e Entry, b OrderCreated) *Problem {
	o, p := d.hosted(e)
	if p == nil && !o.DateCreated.IsZero() {
		p = problem(CodeExists, "subject", "order %s was created before; send an updated event to change it", e.Order)
	}
	if p != nil {
		return p
	}
	number := o.PhoneNumber
	o.OrderContent, o.DateCreated = b.OrderContent, d.now
	if number != "" {
		o.PhoneNumber = number
	}
	if o.Own == "" {
		o.Own = OrderReceived
	}
	return d.changeOrder(e, o)
}

// updateOrder changes the content of an order.
func (d *decider) updateOrder(e Entry, b OrderUpdated) *Problem {
	o, p := d.created(e)
	if p != nil {
		return p
	}
	before := o
	o.OrderContent = b.Apply(o.OrderContent)
	o.unverified(before)
	return d.changeOrder(e, o)
}

// deleteOrder forgets an order's content.
func (d *decider) deleteOrder(e Entry, _ OrderDeleted) *Problem {
	o, p := d.created(e)
	if p != nil {
		return p
	}
	return d.changeOrder(e, HostedOrder{
		SID: o.SID, AccountSID: o.AccountSID, DateCreated: o.DateCreated, Deleted: true, Own: o.Own,
		Document: o.Document, Status: o.Status, DateMoved: o.DateMoved,
	})
}

// reportOrder applies the order service's report about an order, on the order's
// own subject.
func (d *decider) reportOrder(e Entry, b OrderStatusChanged) *Problem {
	o, p := d.hosted(e)
	if p != nil {
		return p
	}
	o.Own, o.OwnReason = b.Status, b.FailureReason
	if b.PhoneNumber != "" {
		o.PhoneNumber = b.PhoneNumber
	}
	return d.changeOrder(e, o)
}

// changeOrder keeps the order as its own event leaves it, and tells the document
// that lists it. Whether the event is refused or changes nothing depends on the
// order alone, and never on the document that lists it: see HostedOrder.
func (d *decider) changeOrder(e Entry, o HostedOrder) *Problem {
	before, _ := d.order(o.SID)
	if p := d.numberTaken(e, before, o); p != nil {
		return p
	}
	if d.same = before.same(o); !d.same {
		o.DateUpdated = d.now
	}
	d.keepOrder(o)
	d.tell(e, before, o)
	o.lie(d.state.Document)
	d.keepOrder(o)
	return nil
}

// numberTaken returns the problem of an order whose number is on a live document
// that does not list the order, or nil.
func (d *decider) numberTaken(e Entry, before, o HostedOrder) *Problem {
	revived := before.Own == OrderFailed && o.Own != OrderFailed
	if o.PhoneNumber == "" || o.Own == OrderFailed || o.PhoneNumber == before.PhoneNumber && !revived {
		return nil
	}
	h := d.holderOf(e, CodeNumberTaken, o.SID, o.PhoneNumber)
	if own := d.facts.Holders[string(o.SID)]; h.Document == "" || h.Document == own.Document && h.Account == e.Account {
		return nil
	}
	of := Document{AccountSID: e.Account}
	p := problem(CodeNumberTaken, "data.phone_number",
		"the telephone number of order %s is on %s; cancel that one first, or give the order another number", o.SID, otherDocument(of, h))
	return d.refuseFor(p, o.SID, of, h)
}

// tell tells the live document that lists the order what the order's event says.
func (d *decider) tell(e Entry, before, o HostedOrder) {
	doc := &d.state.Document
	i := doc.order(o.SID)
	if i < 0 || doc.Status.Released() {
		return
	}
	listed := doc.Orders[i]
	b, report := e.Body.(OrderStatusChanged)
	if (report || before.Own != "" && before.Own != o.Own) && (doc.Status == Opened || !o.Own.before(listed.Status)) {
		listed.Status, listed.FailureReason = o.Own, o.OwnReason
	}
	if report && b.PhoneNumber != "" {
		listed.PhoneNumber, listed.NumberFromOrder = b.PhoneNumber, true
	}
	if doc.Status != Signed {
		listed = listed.filled(o)
	}
	if doc.out() && !report { // what the letter says is fixed, but for its numbers
		listed.CurrentCarrier, listed.CarrierFromOrder = doc.Orders[i].CurrentCarrier, doc.Orders[i].CarrierFromOrder
	}
	changed, p := d.report(e, i, listed, b)
	d.changed = d.changed || changed
	if p != nil {
		d.note(e.Body.Type(), fmt.Sprintf("%s has a number that another document has", o.SID))
		d.changed, d.holder = true, ""
	}
}

// order returns what the log knows of an order, with the changes of this
// decision.
func (d *decider) order(sid SID) (HostedOrder, bool) {
	if i, ok := d.ordersAt[sid]; ok {
		return d.out.Orders[i], true
	}
	o, known := d.facts.Orders[sid]
	return o, known
}

// keepOrder puts an order into the decision.
func (d *decider) keepOrder(o HostedOrder) {
	if i, ok := d.ordersAt[o.SID]; ok {
		d.out.Orders[i] = o
		return
	}
	if d.ordersAt == nil {
		d.ordersAt = make(map[SID]int)
	}
	d.ordersAt[o.SID] = len(d.out.Orders)
	d.out.Orders = append(d.out.Orders, o)
}

// same reports whether two states of an order are the same in every field. An
// empty list is the same as none, because the store does not tell them apart.
func (o HostedOrder) same(other HostedOrder) bool {
	if len(o.CCEmails)+len(other.CCEmails) == 0 {
		o.CCEmails, other.CCEmails = nil, nil
	}
	return reflect.DeepEqual(o, other)
}

// apart reports whether the entry is about an order or an address beside the
// documents: its subject names no document.
func (e Entry) apart() bool {
	return e.Account != "" && e.Document == "" && (e.Order != "" || e.Address != "")
}
