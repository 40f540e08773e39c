package events

import (
	"encoding/json"
	"errors"

	"countersign/workflow"
)

// bodies reads and checks the data of one kind of event.
type bodies struct {
	read func(*reader, *envelope, *topic) workflow.Body

	// check finds what read would find fault with in a body that this program has
	// made, without reading it. It is nil if only read finds everything.
	check func(r *reader, body workflow.Body, id string, to *topic)
}

// readers has the bodies of each kind of event (workflow.Kinds).
var readers = map[string]bodies{
	workflow.TypeCreated:            strict((*reader).created),
	workflow.TypeUpdated:            strict((*reader).updated),
	workflow.TypeStatusChanged:      strict((*reader).statusChanged),
	workflow.TypeOrderStatusChanged: strict((*reader).orderStatusChanged),
	workflow.TypeOrderCreated:       strict((*reader).orderCreated),
	workflow.TypeOrderUpdated:       strict((*reader).orderUpdated),
	workflow.TypeOrderDeleted:       strict((*reader).orderDeleted),
	workflow.TypeVerify:             strict((*reader).verify),
	workflow.TypeVerified:           strict((*reader).verified),
	workflow.TypeAddressCreated:     strict((*reader).addressCreated),
	workflow.TypeAddressUpdated:     strict((*reader).addressUpdated),
	workflow.TypeAddressDeleted:     strict((*reader).addressDeleted),
	workflow.TypeResend:             strict((*reader).resend),
	workflow.TypeBounced:            strict((*reader).bounced),

	workflow.TypeRegister:       own((*reader).register),
	workflow.TypeVerification:   own((*reader).verification),
	workflow.TypeBecame:         own((*reader).became),
	workflow.TypeRefused:        own((*reader).refused),
	workflow.TypeErased:         own((*reader).erased),
	workflow.TypeDiscarded:      own((*reader).discarded),
	workflow.TypeTimerDue:       own((*reader).timerDue),
	workflow.TypeIncomplete:     own((*reader).incomplete),
	workflow.TypeLetterStale:    own((*reader).letterStale),
	workflow.TypeMailClaimed:    own((*reader).claimed),
	workflow.TypeMailSettled:    own((*reader).settled),
	workflow.TypeRulesActivated: own((*reader).rulesActivated),
	workflow.TypeQuarantined:    own((*reader).quarantined),

	workflow.TypeWebhookSet:      own((*reader).webhookSet),
	workflow.TypeWebhookClaimed:  own((*reader).deliveriesClaimed),
	workflow.TypeWebhookSettled:  own((*reader).deliveriesSettled),
	workflow.TypeWebhookRedriven: own((*reader).deliveriesRedriven),
}

// strict reads events that others than Countersign may write: value by value,
// so that a problem names the field at fault.
func strict[B workflow.Body](read func(*reader, value, *topic) B) bodies {
	return bodies{read: func(r *reader, e *envelope, to *topic) workflow.Body { return read(r, e.data, to) }}
}

// own reads events that only Countersign writes. It checks no more than their
// JSON types and their subject. If the kind is on the log at most once, the id
// must follow from the subject.
func own[B workflow.Body](check func(*reader, B, *topic)) bodies {
	both := func(r *reader, body workflow.Body, id string, to *topic) {
		b, ok := body.(B)
		if !ok {
			r.fail(workflow.CodeInvalid, "data", "want %T, got %T", b, body)
			return
		}
		check(r, b, to)
		if to.kind.Once {
			r.agree("id", id == to.id)
		}
	}
	return bodies{check: both, read: func(r *reader, e *envelope, to *topic) workflow.Body {
		body, err := workflow.DecodeBody(e.typ, e.data.raw)
		var kind *json.UnmarshalTypeError
		switch {
		case errors.As(err, &kind) && kind.Field != "":
			r.fail(workflow.CodeInvalid, "data."+kind.Field, "want %s, got %s", kind.Type.Kind(), kind.Value)
		case err != nil:
			r.fail(workflow.CodeInvalid, "data", "%v", err)
		case e.data.raw[0] != '{':
			r.want(&e.data, "an object")
		}
		if r.problem != nil {
			return nil
		}
		both(r, body, e.id, to)
		return body
	}}
}
