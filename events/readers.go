package events

import (
	"encoding/json"
	"errors"

	"countersign/workflow"
)

// readers has the function that reads the data of each kind of event
// (workflow.Kinds).
var readers = map[string]func(*reader, *envelope, *topic) workflow.Body{
	workflow.TypeCreated:            strict((*reader).created),
	workflow.TypeUpdated:            strict((*reader).updated),
	workflow.TypeStatusChanged:      strict((*reader).statusChanged),
	workflow.TypeOrderStatusChanged: strict((*reader).orderStatusChanged),
	workflow.TypeResend:             strict((*reader).resend),
	workflow.TypeBounced:            strict((*reader).bounced),

	workflow.TypeRegister:       own((*reader).register),
	workflow.TypeBecame:         own((*reader).became),
	workflow.TypeRefused:        own((*reader).refused),
	workflow.TypeErased:         own((*reader).erased),
	workflow.TypeDiscarded:      own((*reader).discarded),
	workflow.TypeTimerDue:       own((*reader).timerDue),
	workflow.TypeLetterStale:    own((*reader).letterStale),
	workflow.TypeMailClaimed:    own((*reader).claimed),
	workflow.TypeMailSettled:    own((*reader).settled),
	workflow.TypeRulesActivated: own((*reader).rulesActivated),
	workflow.TypeQuarantined:    own((*reader).quarantined),
}

// strict reads events that others than Countersign may write: value by value,
// so that a problem names the field at fault.
func strict[B workflow.Body](read func(*reader, value, *topic) B) func(*reader, *envelope, *topic) workflow.Body {
	return func(r *reader, e *envelope, to *topic) workflow.Body { return read(r, e.data, to) }
}

// own reads events that only Countersign writes. It checks no more than their
// JSON types and their subject. If the kind is on the log at most once, the id
// must follow from the subject.
func own[B workflow.Body](check func(*reader, B, *topic)) func(*reader, *envelope, *topic) workflow.Body {
	return func(r *reader, e *envelope, to *topic) workflow.Body {
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
		check(r, body.(B), to)
		if to.kind.Once {
			r.agree("id", e.id == to.id)
		}
		return body
	}
}
