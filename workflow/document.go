package workflow

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"time"
)

// SID names a resource of the API: a two-letter prefix (AC account, PX
// document, HR order, AD address) and 32 hex digits.
type SID string

// Status is the status of a document. The words are the API's own.
type Status string

// The statuses of a document. Only an opened one can be changed.
const (
	Unseen   Status = ""         // no event has created it yet
	Opened   Status = "opened"   // its content may still change
	Signing  Status = "signing"  // the mail server has accepted the signature mail
	Signed   Status = "signed"   // its orders get register events
	Canceled Status = "canceled" // declined by the signer, or withdrawn by the account
	Failed   Status = "failed"   // undeliverable, expired, or given up upstream
)

// Statuses lists every status of a document that exists.
var Statuses = []Status{Opened, Signing, Signed, Canceled, Failed}

// Ended reports whether the status is final.
func (s Status) Ended() bool { return s == Signed || s == Canceled || s == Failed }

// Released reports whether a document of this status has given up its
// orders, so that another document may take them.
func (s Status) Released() bool { return s == Canceled || s == Failed }

// Ending is how a document ended that was not signed. Only Countersign and its
// signing page say so: the reason beside it is free text, which others write too.
type Ending string

// The endings.
const (
	EndedExpired       Ending = "expired"       // nobody signed in time
	EndedUndeliverable Ending = "undeliverable" // the signature email was rejected, or came back
	EndedDeclined      Ending = "declined"      // the signer declined on the page
	EndedWrongPerson   Ending = "wrong_person"  // the signer said on the page that somebody else has to sign
)

// Endings lists every ending.
var Endings = []Ending{EndedExpired, EndedUndeliverable, EndedDeclined, EndedWrongPerson}

// OrderStatus is the status of a Hosted Number Order. The words are Twilio's
// (HostedNumberOrder resource, "Status values").
type OrderStatus string

// The statuses of an order, in the usual sequence. OrderFailed and
// OrderActionRequired can come at any time.
const (
	OrderTwilioProcessing    OrderStatus = "twilio-processing"
	OrderReceived            OrderStatus = "received"
	OrderPendingVerification OrderStatus = "pending-verification"
	OrderVerified            OrderStatus = "verified"
	OrderPendingLOA          OrderStatus = "pending-loa"        // the document is out for signature
	OrderCarrierProcessing   OrderStatus = "carrier-processing" // its register event is on the log
	OrderTesting             OrderStatus = "testing"
	OrderCompleted           OrderStatus = "completed"
	OrderFailed              OrderStatus = "failed"
	OrderActionRequired      OrderStatus = "action-required"
)

// OrderStatuses lists every status an order can have.
var OrderStatuses = []OrderStatus{
	OrderTwilioProcessing, OrderReceived, OrderPendingVerification, OrderVerified, OrderPendingLOA,
	OrderCarrierProcessing, OrderTesting, OrderCompleted, OrderFailed, OrderActionRequired,
}

// Order is a Hosted Number Order as a document lists it.
type Order struct {
	SID           SID         `json:"sid"`                      // the Hosted Number Order
	PhoneNumber   string      `json:"phone_number,omitempty"`   // E.164; empty until an event gives it
	Status        OrderStatus `json:"status"`                   // the order's status
	FailureReason string      `json:"failure_reason,omitempty"` // in the order service's words

	CurrentCarrier string `json:"current_carrier,omitempty"` // the carrier of the number's voice calls; empty until an event names it

	NumberFromOrder  bool `json:"number_from_order,omitempty"`  // the number is the one of the order's own events; the document names none
	CarrierFromOrder bool `json:"carrier_from_order,omitempty"` // the same of the carrier
}

// ServiceAddress is a postal address at which telephone service is provided.
// Each part may be left out.
type ServiceAddress struct {
	Street     string `json:"street,omitempty"`      // with house, suite and floor
	City       string `json:"city,omitempty"`        // city or town
	Region     string `json:"region,omitempty"`      // state, province or the like, as it is written in addresses there
	PostalCode string `json:"postal_code,omitempty"` // ZIP or postal code
	Country    string `json:"country,omitempty"`     // ISO 3166-1 alpha-2: two capital letters
}

// Lines writes the address as an envelope has it, without empty lines.
func (a ServiceAddress) Lines() []string {
	place := strings.Join(filled(a.City, strings.Join(filled(a.Region, a.PostalCode), " ")), ", ")
	return filled(a.Street, place, a.Country)
}

// filled leaves out what is empty.
func filled(parts ...string) []string {
	return slices.DeleteFunc(parts, func(s string) bool { return s == "" })
}

// Document is an Authorization Document at one moment. Its JSON is the payload
// of a became event.
type Document struct {
	SID                SID             `json:"sid"`                            // the Authorization Document
	AccountSID         SID             `json:"account_sid"`                    // whose document it is
	Status             Status          `json:"status"`                         // its status
	Round              int             `json:"round"`                          // starts at 1; each recall, and each edit while the signature email is pending, begins the next
	Hold               bool            `json:"hold"`                           // opened, and not sent until a status event asks for signing
	WaitsFor           []LetterPart    `json:"waits_for,omitempty"`            // opened, and not sent until these are known: number, subscriber, address, title, phone
	AddressSID         SID             `json:"address_sid"`                    // where the numbers are used
	Email              string          `json:"email"`                          // the signer
	CCEmails           []string        `json:"cc_emails"`                      // who is told when it is sent and signed
	ContactTitle       string          `json:"contact_title,omitempty"`        // of the contact at the signer
	ContactPhoneNumber string          `json:"contact_phone_number,omitempty"` // of the contact at the signer, E.164
	Locale             string          `json:"locale,omitempty"`               // language of page, letter and mails, a BCP 47 tag; empty for the reader's choice
	Subscriber         string          `json:"subscriber,omitempty"`           // the customer of the carrier, whose numbers they are
	ServiceAddress     ServiceAddress  `json:"service_address,omitzero"`       // the subscriber's, where the numbers' service is
	SubscriberFrom     SID             `json:"subscriber_from,omitempty"`      // the address whose customer is the subscriber; left out if the document names one itself
	ServiceAddressFrom SID             `json:"service_address_from,omitempty"` // the address that is the service address; left out if the document has one itself
	Orders             []Order         `json:"hosted_number_orders"`           // the orders that it authorizes
	Reason             string          `json:"reason,omitempty"`               // why it was canceled or failed
	CanceledBy         string          `json:"canceled_by,omitempty"`          // "signer" or "account"
	EndedBy            Ending          `json:"ended_by,omitempty"`             // how it ended unsigned, if Countersign or the signing page ended it
	AskedBy            Asked           `json:"asked_by,omitzero"`              // who asked for the status that ended it
	Evidence           json.RawMessage `json:"evidence,omitempty"`             // what came with the status that ended it
	LetterDigest       string          `json:"letter_digest,omitempty"`        // "sha256:" and 64 hex digits, of the letter that was signed
	LetterKept         bool            `json:"letter_kept,omitempty"`          // it was signed on the signing page, and its letter is in the object store of signed letters
	LetterStale        bool            `json:"letter_stale,omitempty"`         // signed too long ago for orders that are not completed
	Timers             *OwnTimers      `json:"timers,omitempty"`               // its own timers, which replace the settings
	ExpiresAt          *time.Time      `json:"expires_at,omitempty"`           // when the round expires unless it is signed; left out until it is sent, and if it never expires
	FreshUntil         *time.Time      `json:"fresh_until,omitempty"`          // when the signed letter gets too old for orders that are not completed; left out if it never does
	DateCreated        time.Time       `json:"date_created"`                   // when the log took its first event
	DateUpdated        time.Time       `json:"date_updated"`                   // when it last changed
	DateSigned         *time.Time      `json:"date_signed,omitempty"`          // when the signature came to the log; left out until then
}

// Order returns the index of the order in the document, or -1.
func (d *Document) order(sid SID) int {
	return slices.IndexFunc(d.Orders, func(o Order) bool { return o.SID == sid })
}

// setOrders moves every order that has one of the statuses from to the status to.
func (d *Document) setOrders(to OrderStatus, from ...OrderStatus) {
	orders := slices.Clone(d.Orders)
	for i := range orders {
		if slices.Contains(from, orders[i].Status) {
			orders[i].Status = to
		}
	}
	d.Orders = orders
}

// recipients lists addresses without duplicates, ignoring case.
func recipients(addresses ...string) []string {
	seen := make(map[string]bool, len(addresses))
	var out []string
	for _, a := range addresses {
		if key := recipientKey(a); !seen[key] {
			seen[key] = true
			out = append(out, a)
		}
	}
	return out
}

// Same reports whether two states of a document are the same in every field.
// What fields point to is never changed, only replaced, so pointers tell.
func (d Document) Same(o Document) bool {
	return d.equal(o) && d.SID == o.SID && d.AccountSID == o.AccountSID && d.Status == o.Status && d.Round == o.Round && d.Hold == o.Hold &&
		slices.Equal(d.WaitsFor, o.WaitsFor) && d.SubscriberFrom == o.SubscriberFrom && d.ServiceAddressFrom == o.ServiceAddressFrom &&
		d.Reason == o.Reason && d.CanceledBy == o.CanceledBy && d.EndedBy == o.EndedBy && d.AskedBy == o.AskedBy &&
		bytes.Equal(d.Evidence, o.Evidence) && d.LetterDigest == o.LetterDigest && d.LetterKept == o.LetterKept &&
		d.LetterStale == o.LetterStale && d.Timers == o.Timers && d.ExpiresAt == o.ExpiresAt &&
		d.FreshUntil == o.FreshUntil && d.DateSigned == o.DateSigned &&
		d.DateCreated.Equal(o.DateCreated) && d.DateUpdated.Equal(o.DateUpdated)
}

// recipientKey tells recipients apart: an address in another case is the same one.
func recipientKey(address string) string { return strings.ToLower(address) }

// equal reports whether two states of a document have the same content.
func (d Document) equal(o Document) bool {
	return d.AddressSID == o.AddressSID && d.Email == o.Email && slices.Equal(d.CCEmails, o.CCEmails) &&
		d.ContactTitle == o.ContactTitle && d.ContactPhoneNumber == o.ContactPhoneNumber && d.Locale == o.Locale &&
		d.Subscriber == o.Subscriber && d.ServiceAddress == o.ServiceAddress && slices.Equal(d.Orders, o.Orders)
}
