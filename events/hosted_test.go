package events_test

import (
	"countersign/events"
	"countersign/internal/eventlog"
	"countersign/workflow"
)

// besides has an event of each type of an order or an address beside the
// documents, with every field set.
func besides() []events.Event {
	orderUpdate := workflow.OrderUpdated{
		PhoneNumber: new("+14155550101"), CurrentCarrier: new("P"), FriendlyName: new("f"), UniqueName: new("u"), AddressSID: new(workflow.SID(ad)), Email: new(""),
		CCEmails: new([]string{}), ContactTitle: new("t"), ContactPhoneNumber: new(""), Capabilities: new(workflow.Capabilities{Voice: true, SMS: true, MMS: true, Fax: true}),
		IncomingPhoneNumberSID: new(workflow.SID("")), SMSApplicationSID: new(workflow.SID("AP" + hr1[2:])), SMSURL: new(""), SMSMethod: new(""), SMSFallbackURL: new("http://x"),
		SMSFallbackMethod: new("GET"), StatusCallbackURL: new("https://x/y"), StatusCallbackMethod: new("POST"), VerificationType: new(workflow.VerifyByBill),
		VerificationDocumentSID: new(workflow.SID("RI" + hr1[2:])), Extension: new("1w#*2"), CallDelay: new(0),
	}
	order := orderUpdate.Apply(workflow.OrderContent{})
	order.Email, order.CCEmails, order.ContactPhoneNumber, order.IncomingPhoneNumberSID = "owner@example.com", []string{"ops@example.com"}, "+14155550100", workflow.SID("PN"+hr1[2:])
	order.SMSURL, order.SMSMethod, order.CallDelay = "https://x.example.com/a?b=c", "POST", 60
	address := workflow.AddressContent{
		CustomerName: "Bayview Law", Street: "1 Main", StreetSecondary: "Suite 5", City: "C", Region: "CA", PostalCode: "94105", ISOCountry: "US",
		FriendlyName: "Office", EmergencyEnabled: true, AutoCorrect: true,
	}
	return []events.Event{
		events.OrderReported("/carrier", "o4", ac, hr1, workflow.OrderStatusChanged{Status: workflow.OrderTesting, PhoneNumber: "+442079460000", FailureReason: "x", LetterTooOld: true}),
		events.OrderCreated("/orders", "o1", ac, hr1, workflow.OrderCreated{OrderContent: order}),
		events.OrderUpdated("/orders", "o2", ac, hr1, orderUpdate),
		events.OrderDeleted("/orders", "o3", ac, hr1, workflow.OrderDeleted{Reason: "moved\nhouse"}),
		events.Verify("/portal", "v1", ac, hr1, workflow.Verify{Method: workflow.VerifyByCall, Code: "123456", CallDelay: 60, Extension: "w1"}),
		events.VerificationReported("/phone", "v2", ac, hr1, workflow.VerificationReported{Code: "123456", Result: "failed", CallSID: "CA" + hr1[2:]}),
		eventlog.FromPending(workflow.PendingEvent{Account: ac, Document: "_", What: "order." + hr1 + ".verification.7", At: at, Body: workflow.Verification{
			OrderSID: hr1, AccountSID: ac, Sequence: 7, PhoneNumber: "+14155550101", Method: workflow.VerifyByCall, Code: "123456", CallDelay: 1, Extension: "1",
			DocumentSID: workflow.SID("RI" + hr1[2:]), Until: at,
		}}),
		events.AddressCreated("/orders", "a1", ac, ad, workflow.AddressCreated{AddressContent: address}),
		events.AddressUpdated("/orders", "a2", ac, ad, workflow.AddressUpdated{
			CustomerName: new("B"), Street: new("1 Main"), StreetSecondary: new(""), City: new("C"), Region: new("CA"), PostalCode: new("9"), ISOCountry: new("US"),
			FriendlyName: new("f"), EmergencyEnabled: new(false), AutoCorrect: new(true),
		}),
		events.AddressDeleted("/orders", "a3", ac, ad, workflow.AddressDeleted{Reason: "moved\nhouse"}),
	}
}
