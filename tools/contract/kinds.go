package main

import (
	"encoding/json"
	"time"

	"countersign/events"
	"countersign/internal/eventlog"
	"countersign/workflow"
)

// kind is one kind of event: what carries it, who writes it, and examples.
type kind struct {
	name     string // in the AsyncAPI document
	body     workflow.Body
	address  string            // behind the prefix
	doors    []workflow.Writer // who of Countersign's own says the same on subjects of its own, behind "by."
	writers  []string
	examples []events.Event
}

const (
	account  = "ACaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	document = "PXaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	order1   = "HRaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa1"
	order2   = "HRaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa2"
	address  = "ADaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	digest   = "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
)

const (
	anyUpstream   = "upstream services"
	orderService  = "the order service"
	bounceService = "a service that receives reports on mails"
	itself        = "Countersign, once"
)

var serviceAddress = workflow.ServiceAddress{
	Street: "1 Market Street, Suite 5", City: "San Francisco", Region: "CA", PostalCode: "94105", Country: "US",
}

var at = time.Date(2026, 11, 23, 15, 4, 5, 0, time.UTC)

// kinds lists every kind of event, upstream's first.
func kinds() []kind { return append(upstream(), own()...) }

func upstream() []kind {
	return []kind{
		{"created", workflow.Created{}, "{account}.{document}.created", []workflow.Writer{workflow.WriterAPI}, []string{anyUpstream}, []events.Event{
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
		}},
		{"updated", workflow.Updated{}, "{account}.{document}.updated", []workflow.Writer{workflow.WriterAPI, workflow.WriterOperator}, []string{anyUpstream}, []events.Event{
			timed(events.Updated("/orders", "5f0c7a1e-updated-2", account, document, workflow.Updated{
				Email: new("new.owner@example.com"), CCEmails: new([]string{}),
			})),
			timed(events.Updated("/orders", "81d3b0aa-updated-2", account, document, workflow.Updated{
				Locale: new("en"), Subscriber: new("Bayview Law LLP"), ServiceAddress: new(serviceAddress),
			})),
		}},
		{"statusChanged", workflow.StatusChanged{}, "{account}.{document}.status", []workflow.Writer{workflow.WriterPage, workflow.WriterAPI, workflow.WriterOperator}, []string{anyUpstream}, []events.Event{
			timed(events.StatusChanged("/orders", "5f0c7a1e-recall", account, document, workflow.StatusChanged{Status: workflow.Opened})),
			timed(events.StatusChanged("/orders", "5f0c7a1e-cancel", account, document, workflow.StatusChanged{
				Status: workflow.Canceled, Reason: "The numbers stay where they are.", CanceledBy: "account",
			})),
			timed(events.StatusChanged("", "sign."+document+".1", account, document, workflow.StatusChanged{
				Status: workflow.Signed, Evidence: json.RawMessage(`{"name":"Olivia Owner"}`), LetterDigest: digest, LetterKept: true, Round: 1,
			})).By(workflow.WriterPage),
		}},
		{"orderStatusChanged", workflow.OrderStatusChanged{}, "{account}.{document}.order.{order}.status", nil, []string{orderService}, []events.Event{
			timed(events.OrderStatusChanged("/carrier", "77-failed", account, document, order1, workflow.OrderStatusChanged{
				Status: workflow.OrderFailed, PhoneNumber: "+14155550101", FailureReason: "The carrier does not know the number.",
			})),
		}},
		{"resend", workflow.Resend{}, "{account}.{document}.resend", []workflow.Writer{workflow.WriterOperator}, []string{anyUpstream}, []events.Event{
			timed(events.Resend("/orders", "5f0c7a1e-resend-1", account, document, workflow.Resend{Round: 1})),
		}},
		{"bounced", workflow.Bounced{}, "{account}.{document}.bounced", []workflow.Writer{workflow.WriterBounce}, []string{bounceService}, []events.Event{
			timed(events.Bounced("/mx", "20261123150405.4F2A@mx.example.com", account, workflow.Bounced{
				Mail: document + ".1.signature.0", Action: workflow.ActionFailed, Status: "5.1.1", Diagnostic: "550 5.1.1 <…>: user unknown",
			})),
			timed(events.Bounced("/mx", "20261123190405.4F2B@mx.example.com", "", workflow.Bounced{
				Mail: document + ".1.sent.0", Action: workflow.ActionDelayed, Status: "4.4.1", Diagnostic: "connection timed out",
				Candidates: []workflow.MailID{document + ".1.signature.0"},
			})),
		}},
	}
}

func own() []kind {
	mail := workflow.MailID(document + ".1.signature.1")
	return []kind{
		{"register", workflow.Register{}, "{account}.{document}.order.{order}.register", nil, []string{itself}, []events.Event{
			owed("order."+order1+".register", workflow.Register{
				OrderSID: order1, PhoneNumber: "+14155550101", DocumentSID: document, AccountSID: account, AddressSID: address,
				Email: "owner@example.com", ContactTitle: "Owner", ContactPhoneNumber: "+14155550100", DateSigned: at, LetterDigest: digest,
			}),
		}},
		{"became", workflow.Became{}, "{account}.{document}.became.{status}.{round}", nil, []string{itself}, []events.Event{
			owed("became.signed.1", workflow.Became{Document: signed()}),
		}},
		{"refused", workflow.Refused{}, "{account}.{document}.refused.{sequence}", nil, []string{itself}, []events.Event{
			owed("refused.42", workflow.Refused{Sequence: 42, EventID: "5f0c7a1e-updated-2", Source: "/orders", Problem: workflow.Problem{
				Code: workflow.CodeInvalid, Field: "data.email", Message: `data.email: not an e-mail address: "owner"`,
			}}),
		}},
		{"erased", workflow.Erased{}, "{account}.{document}.erased", nil, []string{"Countersign"}, []events.Event{
			eventlog.Erased(at, workflow.Erased{
				DocumentSID: document, AccountSID: account, Status: workflow.Signed, Round: 1, OrderSIDs: []workflow.SID{order1},
				Entries: []workflow.ErasedEntry{{Sequence: 17, Type: workflow.TypeCreated, SHA256: digest[len("sha256:"):]}},
				Blocked: []workflow.Blocked{{Sequence: 23, OrderSID: order1, Code: workflow.CodeOrderTaken}},
			}),
		}},
		{"discarded", workflow.Discarded{}, "{account}.{document}.discarded.{sequence}", nil, []string{"Countersign, for an operator, once"}, []events.Event{
			eventlog.Discarded(account, document, at, workflow.Discarded{Sequence: 42, Reason: "The document was canceled in the meantime."}),
		}},
		{"timerDue", workflow.TimerDue{}, "{account}.{document}.due.{timer}.{round}", nil, []string{itself}, []events.Event{
			owed("due.expiry.1", workflow.TimerDue{Timer: "expiry", Round: 1, DueAt: at}),
		}},
		{"letterStale", workflow.LetterStale{}, "{account}.{document}.stale.{round}", nil, []string{itself}, []events.Event{
			owed("stale.1", workflow.LetterStale{Reason: workflow.StaleByAge, Round: 1, DateSigned: at, OrderSIDs: []workflow.SID{order2}}),
		}},
		{"mailClaimed", workflow.Claimed{}, "_.mail.claimed", nil, []string{"Countersign"}, []events.Event{
			eventlog.Claimed("worker-1/17", at, workflow.Claimed{Worker: "worker-1", Mails: []workflow.MailID{mail}}),
		}},
		{"mailSettled", workflow.Settled{}, "_.mail.settled", nil, []string{"Countersign"}, []events.Event{
			eventlog.Settled("worker-1/18", at, workflow.Settled{Worker: "worker-1", Claim: 17, Outcomes: []workflow.MailOutcome{
				{Mail: mail, Outcome: workflow.Accepted, Code: 250, Reply: "2.0.0 Ok: queued as 4F2A"},
			}}),
			eventlog.Settled("worker-1/19", at, workflow.Settled{Worker: "worker-1", Claim: 17, Outcomes: []workflow.MailOutcome{
				{Mail: mail, Outcome: workflow.Deferred, Code: 451, Reply: "4.7.1 Greylisted", RetryAfterMs: 60_000},
			}}),
		}},
		{"rulesActivated", workflow.RulesActivated{}, "_.rules.activated", nil, []string{"Countersign"}, []events.Event{
			eventlog.RulesActivated("rules-1", at, workflow.RulesActivated{
				Version: 1, ParkingLimitSeconds: 86_400, NotifyCC: []workflow.Status{workflow.Failed},
				Timers:     &workflow.Timers{RemindAfter: 259_200, RemindEvery: 259_200, RemindMost: 4, ExpireAfter: 2_592_000, FreshFor: 2_592_000},
				MailLimits: &workflow.MailLimits{Interval: 10, PerDay: 30},
			}),
		}},
		{"quarantined", workflow.Quarantined{}, "_.quarantined.{sequence}", nil, []string{itself}, []events.Event{
			eventlog.Quarantined(at, workflow.Quarantined{Sequence: 42, Crashes: 2, Worker: "worker-1"}),
		}},
	}
}

func timed(e events.Event) events.Event {
	e.Time = at
	return e
}

func owed(what string, b workflow.Body) events.Event {
	return eventlog.FromOwed(workflow.OwedEvent{Account: account, Document: document, What: what, Body: b, At: at})
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
