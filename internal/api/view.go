package api

import (
	"time"

	"countersign/db"
	"countersign/workflow"
)

// document is a document as both generations answer it: these nine keys.
type document struct {
	AddressSID  workflow.SID    `json:"address_sid"`
	CCEmails    []string        `json:"cc_emails"`
	DateCreated date            `json:"date_created"`
	DateUpdated date            `json:"date_updated"`
	Email       string          `json:"email"`
	Links       links           `json:"links"`
	SID         workflow.SID    `json:"sid"`
	Status      workflow.Status `json:"status"`
	URL         string          `json:"url"`
}

// links are the URLs of what belongs to a document.
type links struct {
	Dependents string `json:"dependent_hosted_number_orders"`
}

// date is written to the second, in UTC: clients in Python hand back a bare
// string for any other form, and those in Go fail the call.
type date time.Time

// MarshalText implements encoding.TextMarshaler.
func (d date) MarshalText() ([]byte, error) {
	return time.Time(d).UTC().AppendFormat(nil, dateLayout), nil
}

const dateLayout = "2006-01-02T15:04:05Z"

func (h *handler) document(g *generation, d workflow.Document) document {
	return h.listed(g, db.Listed{
		SID: d.SID, Status: d.Status, AddressSID: d.AddressSID, Email: d.Email, CCEmails: d.CCEmails,
		DateCreated: d.DateCreated, DateUpdated: d.DateUpdated,
	})
}

func (h *handler) listed(g *generation, d db.Listed) document {
	url := h.PublicURL + g.documents + "/" + string(d.SID)
	return document{
		AddressSID: d.AddressSID, CCEmails: addresses(d.CCEmails), DateCreated: date(d.DateCreated), DateUpdated: date(d.DateUpdated),
		Email: d.Email, Links: links{url + dependents},
		SID: d.SID, Status: d.Status, URL: url,
	}
}

func addresses(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}

// order is what a dependent order has in both generations. What no event has
// said is null.
type order struct {
	SID                    workflow.SID         `json:"sid"`
	AccountSID             workflow.SID         `json:"account_sid"`
	IncomingPhoneNumberSID *string              `json:"incoming_phone_number_sid"`
	AddressSID             workflow.SID         `json:"address_sid"`
	SigningDocumentSID     *workflow.SID        `json:"signing_document_sid"`
	PhoneNumber            *string              `json:"phone_number"`
	Capabilities           capabilities         `json:"capabilities"`
	FriendlyName           *string              `json:"friendly_name"`
	Status                 workflow.OrderStatus `json:"status"`
	FailureReason          string               `json:"failure_reason"`
	DateCreated            date                 `json:"date_created"`
	DateUpdated            date                 `json:"date_updated"`
	Email                  string               `json:"email"`
	CCEmails               []string             `json:"cc_emails"`
}

// capabilities of a hosted number: an order is always for messages.
type capabilities struct {
	MMS   bool `json:"mms"`
	SMS   bool `json:"sms"`
	Voice bool `json:"voice"`
	Fax   bool `json:"fax"`
}

// previewOrder is a dependent order in preview. Verification is not ours, so
// its fields are those of a new order; clients decode the counts as numbers.
type previewOrder struct {
	order
	UniqueName              *string  `json:"unique_name"`
	VerificationAttempts    int      `json:"verification_attempts"`
	VerificationType        string   `json:"verification_type"`
	VerificationDocumentSID *string  `json:"verification_document_sid"`
	Extension               *string  `json:"extension"`
	CallDelay               int      `json:"call_delay"`
	VerificationCode        *string  `json:"verification_code"`
	VerificationCallSIDs    []string `json:"verification_call_sids"`
}

// v2Order is a dependent order in v2.
type v2Order struct {
	order
	BulkHostingRequestSID *string `json:"bulk_hosting_request_sid"`
	NextStep              *string `json:"next_step"`
	ContactTitle          *string `json:"contact_title"`
	ContactPhoneNumber    *string `json:"contact_phone_number"`
}

func newOrder(d workflow.Document, o workflow.Order) order {
	v := order{
		SID: o.SID, AccountSID: d.AccountSID, AddressSID: d.AddressSID, PhoneNumber: orNull(o.PhoneNumber),
		Capabilities: capabilities{SMS: true}, Status: o.Status, FailureReason: o.FailureReason,
		DateCreated: date(d.DateCreated), DateUpdated: date(d.DateUpdated), Email: d.Email, CCEmails: addresses(d.CCEmails),
	}
	if !d.Status.Released() {
		v.SigningDocumentSID = &d.SID
	}
	return v
}

func (g *generation) order(d workflow.Document, o workflow.Order) any {
	if g == v2 {
		return v2Order{order: newOrder(d, o), ContactTitle: orNull(d.ContactTitle), ContactPhoneNumber: orNull(d.ContactPhoneNumber)}
	}
	return previewOrder{order: newOrder(d, o), VerificationType: "phone-call"}
}

func orNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
