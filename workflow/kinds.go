package workflow

import (
	"encoding/json"
	"fmt"
	"slices"
)

// Kind is one kind of event: a row of the table kinds, from which the rest of
// the program derives how to treat an event of this kind. A kind has a body
// type, this row and a rule; package events has a reader for its data.
type Kind struct {
	Type string // CloudEvents type
	Body Body   // its zero value

	// Subjects are the subjects of the kind, without SubjectPrefix and without
	// the door of a Writer; the usual one first. A word in braces is a
	// placeholder for one token: account, document, order, address, webhook,
	// status, timer, round or sequence.
	Subjects []string
	Writers  []Writer // who may write it
	Once     bool     // it is on the log at most once: its id is its subject without SubjectPrefix
	Owed     bool     // it follows from another entry and is pending until it is on the log; such a kind is Once, too
	Waits    bool     // it is parked until its document is created

	decode func(data []byte) (Body, error)
	rule   func(d *decider, e Entry) *Problem // nil if the event only announces what the rules have decided before
}

// Upstream reports whether services other than Countersign may write the kind.
// An event that they may write asks for something, and can be refused.
func (k *Kind) Upstream() bool { return slices.Contains(k.Writers, WriterUpstream) }

var countersign = []Writer{WriterCountersign}

// kinds is the table. docs/schemas and docs/asyncapi.yaml follow its order.
var kinds = []*Kind{
	row((*decider).create, Kind{
		Subjects: []string{"{account}.{document}.created"},
		Writers:  []Writer{WriterUpstream, WriterAPI},
	}),
	row((*decider).update, Kind{
		Subjects: []string{"{account}.{document}.updated"}, Waits: true,
		Writers: []Writer{WriterUpstream, WriterAPI, WriterOperator},
	}),
	row((*decider).status, Kind{
		Subjects: []string{"{account}.{document}.status"}, Waits: true,
		Writers: []Writer{WriterUpstream, WriterPage, WriterAPI, WriterOperator},
	}),
	row((*decider).orderStatus, Kind{
		Subjects: []string{"{account}.{document}.order.{order}.status", "{account}._.order.{order}.status"}, Waits: true,
		Writers: []Writer{WriterUpstream, WriterAPI},
	}),
	row((*decider).createOrder, Kind{
		Subjects: []string{"{account}._.order.{order}.created"},
		Writers:  []Writer{WriterUpstream, WriterAPI},
	}),
	row((*decider).updateOrder, Kind{
		Subjects: []string{"{account}._.order.{order}.updated"},
		Writers:  []Writer{WriterUpstream, WriterAPI},
	}),
	row((*decider).deleteOrder, Kind{
		Subjects: []string{"{account}._.order.{order}.deleted"},
		Writers:  []Writer{WriterUpstream, WriterAPI},
	}),
	row((*decider).verify, Kind{
		Subjects: []string{"{account}._.order.{order}.verify"},
		Writers:  []Writer{WriterUpstream, WriterAPI},
	}),
	row((*decider).verified, Kind{
		Subjects: []string{"{account}._.order.{order}.verified"},
		Writers:  []Writer{WriterUpstream, WriterAPI},
	}),
	row(first((*decider).createAddress), Kind{
		Subjects: []string{"{account}._.address.{address}.created"},
		Writers:  []Writer{WriterUpstream, WriterAPI},
	}),
	row(first((*decider).updateAddress), Kind{
		Subjects: []string{"{account}._.address.{address}.updated"},
		Writers:  []Writer{WriterUpstream, WriterAPI},
	}),
	row(first((*decider).deleteAddress), Kind{
		Subjects: []string{"{account}._.address.{address}.deleted"},
		Writers:  []Writer{WriterUpstream, WriterAPI},
	}),
	row((*decider).resend, Kind{
		Subjects: []string{"{account}.{document}.resend"},
		Writers:  []Writer{WriterUpstream, WriterOperator},
	}),
	row((*decider).bounced, Kind{ // a mail's id does not tell its account
		Subjects: []string{"{account}.{document}.bounced", "_.{document}.bounced"},
		Writers:  []Writer{WriterUpstream, WriterBounce},
	}),

	row(always((*decider).registered), Kind{
		Subjects: []string{"{account}.{document}.order.{order}.register"},
		Writers:  countersign, Once: true, Owed: true,
	}),
	row[Verification](nil, Kind{
		Subjects: []string{"{account}._.order.{order}.verification.{sequence}"},
		Writers:  countersign, Once: true, Owed: true,
	}),
	row[Became](nil, Kind{
		Subjects: []string{"{account}.{document}.became.{status}.{round}"},
		Writers:  countersign, Once: true, Owed: true,
	}),
	row[Refused](nil, Kind{ // the subject of the refused event may lack a document, or an account as well
		Subjects: []string{"{account}.{document}.refused.{sequence}", "{account}._.refused.{sequence}", "_._.refused.{sequence}"},
		Writers:  countersign, Once: true, Owed: true,
	}),
	row[Erased](nil, Kind{
		Subjects: []string{"{account}.{document}.erased"},
		Writers:  countersign,
	}),
	row(always((*decider).discarded), Kind{
		Subjects: []string{"{account}.{document}.discarded.{sequence}", "_._.discarded.{sequence}"},
		Writers:  countersign, Once: true,
	}),
	row((*decider).timer, Kind{
		Subjects: []string{"{account}.{document}.due.{timer}.{round}"},
		Writers:  countersign, Once: true, Owed: true,
	}),
	row[LetterStale](nil, Kind{
		Subjects: []string{"{account}.{document}.stale.{round}"},
		Writers:  countersign, Once: true, Owed: true,
	}),
	row[Incomplete](nil, Kind{
		Subjects: []string{"{account}.{document}.incomplete.{round}"},
		Writers:  countersign, Once: true, Owed: true,
	}),
	row(always((*decider).claim), Kind{
		Subjects: []string{"_.mail.claimed"},
		Writers:  countersign,
	}),
	row(always((*decider).settle), Kind{
		Subjects: []string{"_.mail.settled"},
		Writers:  countersign,
	}),
	row[WebhookSet](nil, Kind{
		Subjects: []string{"{account}._.webhook.{webhook}.set"},
		Writers:  countersign,
	}),
	row[DeliveriesClaimed](nil, Kind{
		Subjects: []string{"_.webhook.claimed"},
		Writers:  countersign,
	}),
	row[DeliveriesSettled](nil, Kind{
		Subjects: []string{"_.webhook.settled"},
		Writers:  countersign,
	}),
	row[DeliveriesRedriven](nil, Kind{
		Subjects: []string{"_.webhook.redriven"},
		Writers:  countersign,
	}),
	row[RulesActivated](nil, Kind{
		Subjects: []string{"_.rules.activated"},
		Writers:  countersign,
	}),
	row[Quarantined](nil, Kind{
		Subjects: []string{"_.quarantined.{sequence}"},
		Writers:  countersign, Once: true,
	}),
}

// row fills in what follows from the body type and the rule.
func row[B Body](rule func(*decider, Entry, B) *Problem, k Kind) *Kind {
	var zero B
	k.Type, k.Body = zero.Type(), zero
	k.decode = func(data []byte) (Body, error) {
		var b B
		err := json.Unmarshal(data, &b)
		return b, err
	}
	if rule != nil {
		k.rule = func(d *decider, e Entry) *Problem { return rule(d, e, e.Body.(B)) }
	}
	return &k
}

// always makes a rule that never refuses.
func always[B Body](apply func(*decider, Entry, B)) func(*decider, Entry, B) *Problem {
	return func(d *decider, e Entry, b B) *Problem {
		apply(d, e, b)
		return nil
	}
}

// first makes a rule about an address out of one that is applied before any
// document is told: for a document there is nothing to do but to look whether it
// waits for the address.
func first[B Body](rule func(*decider, Entry, B) *Problem) func(*decider, Entry, B) *Problem {
	return func(d *decider, e Entry, b B) *Problem {
		if d.same = d.state.Document.SID != ""; d.same {
			return nil
		}
		return rule(d, e, b)
	}
}

var kindByType = func() map[string]*Kind {
	byType := make(map[string]*Kind, len(kinds))
	for _, k := range kinds {
		byType[k.Type] = k
	}
	return byType
}()

// Kinds lists every kind of event.
func Kinds() []*Kind { return slices.Clone(kinds) }

// KindOf returns the kind with a CloudEvents type, or nil if there is none.
func KindOf(typ string) *Kind { return kindByType[typ] }

// DecodeBody reads the JSON of a body of the given type. It fails if the type is
// unknown or the JSON has another shape. It does not check the values.
func DecodeBody(typ string, data []byte) (Body, error) {
	k := KindOf(typ)
	if k == nil {
		return nil, fmt.Errorf("unknown type %q", typ)
	}
	return k.decode(data)
}
