package main

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"countersign/events"
	"countersign/internal/eventlog"
	"countersign/workflow"
)

// kind is one kind of event, with what only the contract's documents say of it.
type kind struct {
	*workflow.Kind
	name     string            // in the AsyncAPI document
	doors    []workflow.Writer // who of Countersign's own writes it too, on subjects of its own
	writers  string            // who writes it, for people
	examples []events.Event
}

// kinds lists every kind of event. It fails if one has no example.
func kinds() ([]kind, error) {
	var all []kind
	for _, k := range workflow.Kinds() {
		name := reflect.TypeOf(k.Body).Name()
		d := kind{Kind: k, name: strings.ToLower(name[:1]) + name[1:], writers: writers(k), examples: examples[k.Type]}
		for _, w := range k.Writers {
			if slices.Contains(workflow.Doors, w) {
				d.doors = append(d.doors, w)
			}
		}
		if len(d.examples) == 0 {
			return nil, fmt.Errorf("%s has no example: add one in tools/contract/kinds.go", k.Type)
		}
		all = append(all, d)
	}
	return all, nil
}

// writers says who writes a kind of event.
func writers(k *workflow.Kind) string {
	switch k.Type {
	case workflow.TypeOrderStatusChanged:
		return "the order service"
	case workflow.TypeOrderCreated, workflow.TypeOrderUpdated, workflow.TypeOrderDeleted, workflow.TypeVerify, workflow.TypeAddressCreated, workflow.TypeAddressUpdated, workflow.TypeAddressDeleted:
		return "the service that has the orders and addresses"
	case workflow.TypeVerified:
		return "the telephony service"
	case workflow.TypeBounced:
		return "a service that receives reports on mails"
	case workflow.TypeDiscarded:
		return "Countersign, for an operator, once"
	}
	switch {
	case k.Upstream():
		return "upstream services"
	case k.Once:
		return "Countersign, once"
	}
	return "Countersign"
}

const (
	account  = "ACaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	document = "PXaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	order1   = "HRaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa1"
	order2   = "HRaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa2"
	address  = "ADaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	webhook  = "WHaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	delivery = webhook + "_" + document + "_signed_1"
	mailID   = document + ".1.signature.1"
	digest   = "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
)

var serviceAddress = workflow.ServiceAddress{
	Street: "1 Market Street, Suite 5", City: "San Francisco", Region: "CA", PostalCode: "94105", Country: "US",
}

var at = time.Date(2026, 11, 23, 15, 4, 5, 0, time.UTC)

// examples has events of each kind, for its schema and the AsyncAPI document.
var examples = map[string][]events.Event{
	workflow.TypeCreated: {
		timed(events.Created("/orders", "5f0c7a1e-created", account, document, workflow.Created{
			AddressSID: address, Email: "owner@example.com", CCEmails: []string{"ops@example.com"},
			ContactTitle: "Owner", ContactPhoneNumber: "+14155550100", HostedNumberOrderSIDs: []workflow.SID{order1, order2},
		})),
		timed(events.Created("/orders", "81d3b0aa-created", account, document, workflow.Created{
			AddressSID: address, Email: "owner@example.com",
			HostedNumberOrders: []workflow.OrderRef{{SID: order1, PhoneNumber: "+14155550101", CurrentCarrier: "Pacific Voice"}, {SID: order2}}, Hold: true,
			Locale: "es-MX", Subscriber: "Bayview Law LLP", ServiceAddress: serviceAddress,
			Timers: &workflow.OwnTimers{ExpireAfter: new(int64(7 * 86_400)), RemindMost: new(1)},
		})),
	},
	workflow.TypeUpdated: {
		timed(events.Updated("/orders", "5f0c7a1e-updated-2", account, document, workflow.Updated{
			Email: new("new.owner@example.com"), CCEmails: new([]string{}),
		})),
		timed(events.Updated("/orders", "81d3b0aa-updated-2", account, document, workflow.Updated{
			Locale: new("en"), Subscriber: new("Bayview Law LLP"), ServiceAddress: new(serviceAddress),
		})),
	},
	workflow.TypeStatusChanged: {
		timed(events.StatusChanged("/orders", "5f0c7a1e-recall", account, document, workflow.StatusChanged{Status: workflow.Opened})),
		timed(events.StatusChanged("/orders", "5f0c7a1e-cancel", account, document, workflow.StatusChanged{
			Status: workflow.Canceled, Reason: "The numbers stay where they are.", CanceledBy: "account",
		})),
		timed(events.StatusChanged("", "sign."+document+".1", account, document, workflow.StatusChanged{
			Status: workflow.Signed, Evidence: json.RawMessage(`{"name":"Olivia Owner"}`), LetterDigest: digest, LetterKept: true, Round: 1,
		})).By(workflow.WriterPage),
	},
	workflow.TypeOrderStatusChanged: {
		timed(events.OrderStatusChanged("/carrier", "77-failed", account, document, order1, workflow.OrderStatusChanged{
			Status: workflow.OrderFailed, PhoneNumber: "+14155550101", FailureReason: "The carrier does not know the number.",
		})),
	},
	workflow.TypeOrderCreated: {
		timed(events.OrderCreated("/orders", "77-created", account, order1, workflow.OrderCreated{OrderContent: workflow.OrderContent{
			PhoneNumber: "+14155550101", CurrentCarrier: "Pacific Voice", FriendlyName: "Front desk", UniqueName: "desk-1",
			AddressSID: address, Email: "owner@example.com", Capabilities: workflow.Capabilities{SMS: true},
			StatusCallbackURL: "https://portal.example.com/orders", StatusCallbackMethod: "POST",
		}})),
	},
	workflow.TypeOrderUpdated: {
		timed(events.OrderUpdated("/orders", "77-updated-2", account, order1, workflow.OrderUpdated{FriendlyName: new("Reception")})),
	},
	workflow.TypeOrderDeleted: {
		timed(events.OrderDeleted("/orders", "77-deleted", account, order1, workflow.OrderDeleted{Reason: "The customer keeps the number where it is."})),
	},
	workflow.TypeVerify: {
		timed(events.Verify("/portal", "77-verify-1", account, order1, workflow.Verify{Method: workflow.VerifyByCall, Code: "480213"})),
	},
	workflow.TypeVerified: {
		timed(events.VerificationReported("/telephony", "77-verified-1", account, order1, workflow.VerificationReported{Code: "480213", CallSID: "CAaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"})),
	},
	workflow.TypeVerification: {
		eventlog.FromPending(workflow.PendingEvent{Account: account, Document: "_", What: "order." + order1 + ".verification.42", At: at, Body: workflow.Verification{
			OrderSID: order1, AccountSID: account, Sequence: 42, PhoneNumber: "+14155550101", Method: workflow.VerifyByCall, Code: "480213", Until: at.Add(workflow.CodeLifetime),
		}}),
	},
	workflow.TypeAddressCreated: {
		timed(events.AddressCreated("/orders", "12-created", account, address, workflow.AddressCreated{AddressContent: workflow.AddressContent{
			CustomerName: "Bayview Law LLP", Street: "1 Market Street", StreetSecondary: "Suite 5", City: "San Francisco", Region: "CA",
			PostalCode: "94105", ISOCountry: "US", FriendlyName: "Office",
		}})),
	},
	workflow.TypeAddressUpdated: {
		timed(events.AddressUpdated("/orders", "12-updated-2", account, address, workflow.AddressUpdated{StreetSecondary: new("Suite 7")})),
	},
	workflow.TypeAddressDeleted: {
		timed(events.AddressDeleted("/orders", "12-deleted", account, address, workflow.AddressDeleted{Reason: "The customer moved."})),
	},
	workflow.TypeResend: {
		timed(events.Resend("/orders", "5f0c7a1e-resend-1", account, document, workflow.Resend{Round: 1})),
	},
	workflow.TypeBounced: {
		timed(events.Bounced("/mx", "20261123150405.4F2A@mx.example.com", account, workflow.Bounced{
			Mail: document + ".1.signature.0", Action: workflow.ActionFailed, Status: "5.1.1", Diagnostic: "550 5.1.1 <…>: user unknown",
		})),
		timed(events.Bounced("/mx", "20261123190405.4F2B@mx.example.com", "", workflow.Bounced{
			Mail: document + ".1.sent.0", Action: workflow.ActionDelayed, Status: "4.4.1", Diagnostic: "connection timed out",
			Candidates: []workflow.MailID{document + ".1.signature.0"},
		})),
	},

	workflow.TypeRegister: {
		owed("order."+order1+".register", workflow.Register{
			OrderSID: order1, PhoneNumber: "+14155550101", DocumentSID: document, AccountSID: account, AddressSID: address,
			Email: "owner@example.com", ContactTitle: "Owner", ContactPhoneNumber: "+14155550100", DateSigned: at, LetterDigest: digest,
		}),
	},
	workflow.TypeBecame: {
		owed("became.signed.1", workflow.Became{Document: signed()}),
	},
	workflow.TypeRefused: {
		owed("refused.42", workflow.Refused{Sequence: 42, EventID: "5f0c7a1e-updated-2", Source: "/orders", Problem: workflow.Problem{
			Code: workflow.CodeInvalid, Field: "data.email", Message: `data.email: must be an email address, got "owner"`,
		}}),
	},
	workflow.TypeErased: {
		eventlog.Erased(at, workflow.Erased{
			DocumentSID: document, AccountSID: account, Status: workflow.Signed, Round: 1, OrderSIDs: []workflow.SID{order1}, Completed: []workflow.SID{order1},
			Entries: []workflow.ErasedEntry{{Sequence: 17, Type: workflow.TypeCreated, SHA256: digest[len("sha256:"):]}},
			Blocked: []workflow.Blocked{{Sequence: 23, OrderSID: order1, Code: workflow.CodeOrderTaken}},
		}),
	},
	workflow.TypeDiscarded: {
		eventlog.Discarded(account, document, at, workflow.Discarded{Sequence: 42, Reason: "The document was canceled in the meantime."}),
	},
	workflow.TypeTimerDue: {
		owed("due.expiry.1", workflow.TimerDue{Timer: "expiry", Round: 1, DueAt: at}),
	},
	workflow.TypeLetterStale: {
		owed("stale.1", workflow.LetterStale{Reason: workflow.StaleByAge, Round: 1, DateSigned: at, OrderSIDs: []workflow.SID{order2}}),
	},
	workflow.TypeIncomplete: {
		owed("incomplete.1", workflow.Incomplete{Round: 1, WaitsFor: []workflow.LetterPart{workflow.PartNumber}, Since: at.Add(-24 * time.Hour)}),
	},
	workflow.TypeMailClaimed: {
		eventlog.Claimed("worker-1/17", at, workflow.Claimed{Worker: "worker-1", Mails: []workflow.MailID{mailID}}),
	},
	workflow.TypeMailSettled: {
		eventlog.Settled("worker-1/18", at, workflow.Settled{Worker: "worker-1", Claim: 17, Outcomes: []workflow.MailOutcome{
			{Mail: mailID, Outcome: workflow.Accepted, Code: 250, Reply: "2.0.0 Ok: queued as 4F2A"},
		}}),
		eventlog.Settled("worker-1/19", at, workflow.Settled{Worker: "worker-1", Claim: 17, Outcomes: []workflow.MailOutcome{
			{Mail: mailID, Outcome: workflow.Deferred, Code: 451, Reply: "4.7.1 Greylisted", RetryAfterMs: 60_000},
		}}),
	},
	workflow.TypeWebhookSet: {
		eventlog.WebhookSet(webhook+".set.1", at, workflow.WebhookSet{
			SID: webhook, AccountSID: account, URL: "https://example.com/countersign", Status: workflow.WebhookEnabled, Secrets: []int{1},
		}),
	},
	workflow.TypeWebhookClaimed: {
		eventlog.DeliveriesClaimed("worker-1.deliveries.7", at, workflow.DeliveriesClaimed{Worker: "worker-1", Deliveries: []workflow.DeliveryID{delivery}}),
	},
	workflow.TypeWebhookSettled: {
		eventlog.DeliveriesSettled("worker-1.delivered.7", at, workflow.DeliveriesSettled{Worker: "worker-1", Claim: 50, Outcomes: []workflow.DeliveryOutcome{
			{Delivery: delivery, Result: workflow.DeliveryFailed, Code: 503, Reply: "503 Service Unavailable", RetryAfterMs: 60_000},
		}}),
	},
	workflow.TypeWebhookRedriven: {
		eventlog.DeliveriesRedriven("redriven-1", at, workflow.DeliveriesRedriven{Deliveries: []workflow.DeliveryID{delivery}}),
	},
	workflow.TypeRulesActivated: {
		eventlog.RulesActivated("rules-1", at, workflow.RulesActivated{
			Version: 1, ParkingLimitSeconds: 86_400, LetterRequires: []workflow.LetterPart{workflow.PartNumber}, NotifyCC: []workflow.Status{workflow.Failed},
			Timers:     &workflow.Timers{RemindAfter: 259_200, RemindEvery: 259_200, RemindMost: 4, ExpireAfter: 2_592_000, FreshFor: 2_592_000},
			MailLimits: &workflow.MailLimits{Interval: 10, PerDay: 30},
		}),
	},
	workflow.TypeQuarantined: {
		eventlog.Quarantined(at, workflow.Quarantined{Sequence: 42, Crashes: 2, Worker: "worker-1"}),
	},
}

func timed(e events.Event) events.Event {
	e.Time = at
	return e
}

func owed(what string, b workflow.Body) events.Event {
	return eventlog.FromPending(workflow.PendingEvent{Account: account, Document: document, What: what, Body: b, At: at})
}

func signed() workflow.Document {
	return workflow.Document{
		SID: document, AccountSID: account, Status: workflow.Signed, Round: 1, AddressSID: address, Email: "owner@example.com",
		CCEmails: []string{"ops@example.com"}, ContactTitle: "Owner", ContactPhoneNumber: "+14155550100",
		Locale: "es-MX", Subscriber: "Bayview Law LLP", ServiceAddress: serviceAddress,
		Orders:   []workflow.Order{{SID: order1, PhoneNumber: "+14155550101", Status: workflow.OrderPendingLOA, CurrentCarrier: "Pacific Voice"}},
		Evidence: json.RawMessage(`{"name":"Olivia Owner"}`), LetterDigest: digest,
		AskedBy:     workflow.Asked{Writer: workflow.WriterPage, Source: workflow.WriterPage.Source(), Entry: 41},
		DateCreated: at.Add(-time.Hour), DateUpdated: at, DateSigned: &at,
	}
}
