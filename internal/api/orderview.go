package api

import (
	"cmp"

	"countersign/workflow"
)

// order is what an order has in both generations. What no event has said is null.
type order struct {
	SID                    workflow.SID         `json:"sid"`
	AccountSID             workflow.SID         `json:"account_sid"`
	IncomingPhoneNumberSID *workflow.SID        `json:"incoming_phone_number_sid"`
	AddressSID             *workflow.SID        `json:"address_sid"`
	SigningDocumentSID     *workflow.SID        `json:"signing_document_sid"`
	PhoneNumber            *string              `json:"phone_number"`
	Capabilities           capabilities         `json:"capabilities"`
	FriendlyName           *string              `json:"friendly_name"`
	Status                 workflow.OrderStatus `json:"status"`
	FailureReason          string               `json:"failure_reason"`
	DateCreated            date                 `json:"date_created"`
	DateUpdated            date                 `json:"date_updated"`
	Email                  *string              `json:"email"`
	CCEmails               []string             `json:"cc_emails"`
	URL                    string               `json:"url,omitempty"` // dependents have none
}

// capabilities of a hosted number.
type capabilities struct {
	MMS   bool `json:"mms"`
	SMS   bool `json:"sms"`
	Voice bool `json:"voice"`
	Fax   bool `json:"fax"`
}

// previewOrder is an order in preview. Clients decode the counts as numbers. The code
// of a verification is never in an answer: the owner of the number hears it, and who
// uses the API must not be able to give it back without the owner.
type previewOrder struct {
	order
	UniqueName              *string                   `json:"unique_name"`
	VerificationAttempts    int                       `json:"verification_attempts"`
	VerificationType        workflow.VerificationType `json:"verification_type"`
	VerificationDocumentSID *workflow.SID             `json:"verification_document_sid"`
	Extension               *string                   `json:"extension"`
	CallDelay               int                       `json:"call_delay"`
	VerificationCode        *string                   `json:"verification_code"`
	VerificationCallSIDs    []string                  `json:"verification_call_sids"`
}

// v2Dependent is a dependent order in v2.
type v2Dependent struct {
	order
	BulkHostingRequestSID *string `json:"bulk_hosting_request_sid"`
	NextStep              *string `json:"next_step"`
	ContactTitle          *string `json:"contact_title"`
	ContactPhoneNumber    *string `json:"contact_phone_number"`
}

// v2Order is an order in v2.
type v2Order struct {
	v2Dependent
	VerificationAttempts      int                       `json:"verification_attempts"`
	VerificationCallSIDs      []string                  `json:"verification_call_sids"`
	VerificationCallDelay     int                       `json:"verification_call_delay"`
	VerificationCallExtension *string                   `json:"verification_call_extension"`
	VerificationCode          *string                   `json:"verification_code"`
	VerificationType          workflow.VerificationType `json:"verification_type"`
}

// viewOrder is what both generations have of an order.
func viewOrder(o workflow.HostedOrder) order {
	c := o.Capabilities
	if c == (workflow.Capabilities{}) {
		c.SMS = true // an order is for messages, if no event says otherwise
	}
	return order{
		SID: o.SID, AccountSID: o.AccountSID, IncomingPhoneNumberSID: orNull(o.IncomingPhoneNumberSID), AddressSID: orNull(o.AddressSID),
		SigningDocumentSID: orNull(o.Document), PhoneNumber: orNull(o.PhoneNumber), Capabilities: capabilities{MMS: c.MMS, SMS: c.SMS, Voice: c.Voice, Fax: c.Fax},
		FriendlyName: orNull(o.FriendlyName), Status: o.Status, FailureReason: o.Reason, DateCreated: date(o.DateCreated), DateUpdated: date(o.Updated()),
		Email: orNull(o.Email), CCEmails: addresses(o.CCEmails),
	}
}

func viewPreviewOrder(o workflow.HostedOrder) previewOrder {
	return previewOrder{
		order: viewOrder(o), UniqueName: orNull(o.UniqueName), VerificationType: cmp.Or(o.VerificationType, workflow.VerifyByCall),
		VerificationDocumentSID: orNull(o.VerificationDocumentSID), Extension: orNull(o.Extension), CallDelay: o.CallDelay,
		VerificationAttempts: o.Verification.Calls, VerificationCallSIDs: o.Verification.CallSIDs,
	}
}

func viewV2Dependent(o workflow.HostedOrder) v2Dependent {
	return v2Dependent{order: viewOrder(o), ContactTitle: orNull(o.ContactTitle), ContactPhoneNumber: orNull(o.ContactPhoneNumber)}
}

// order is an order as its own resource.
func (h *handler) order(g *generation, o workflow.HostedOrder) any {
	url := h.PublicURL + g.orders + "/" + string(o.SID)
	if g == preview {
		v := viewPreviewOrder(o)
		v.URL = url
		return v
	}
	v := v2Order{
		v2Dependent: viewV2Dependent(o), VerificationAttempts: o.Verification.Calls, VerificationCallSIDs: addresses(o.Verification.CallSIDs), VerificationCallDelay: o.CallDelay,
		VerificationCallExtension: orNull(o.Extension), VerificationType: workflow.VerifyByCall,
	}
	v.URL = url
	return v
}

// dependent is an order in the list of a document's orders.
func (g *generation) dependent(d workflow.Document, o workflow.HostedOrder) any {
	if o.Document == d.SID && d.Status.Released() {
		o.Document = ""
	}
	if g == preview {
		return viewPreviewOrder(o)
	}
	return viewV2Dependent(o)
}
