package events

import (
	"fmt"

	"github.com/nyaruka/phonenumbers"

	"countersign/workflow"
)

// assigned checks that the number plans of the world allow each phone number of
// an event. Only publishers check this, and Decode does not: number plans
// change with each release of their data, and replicas of two releases must
// read one log alike. The check also costs more than the rest of Decode.
func (r *reader) assigned(b workflow.Body) {
	switch b := b.(type) {
	case workflow.Created:
		r.number("data.contact_phone_number", b.ContactPhoneNumber)
		r.numbers(b.HostedNumberOrders)
	case workflow.Updated:
		if b.ContactPhoneNumber != nil {
			r.number("data.contact_phone_number", *b.ContactPhoneNumber)
		}
		if b.HostedNumberOrders != nil {
			r.numbers(*b.HostedNumberOrders)
		}
	case workflow.OrderCreated:
		r.number("data.phone_number", b.PhoneNumber)
		r.number("data.contact_phone_number", b.ContactPhoneNumber)
	case workflow.OrderUpdated:
		if b.PhoneNumber != nil {
			r.number("data.phone_number", *b.PhoneNumber)
		}
		if b.ContactPhoneNumber != nil {
			r.number("data.contact_phone_number", *b.ContactPhoneNumber)
		}
	case workflow.OrderStatusChanged:
		r.number("data.phone_number", b.PhoneNumber)
	}
}

func (r *reader) numbers(refs []workflow.OrderRef) {
	for i, ref := range refs {
		r.number(fmt.Sprintf("data.hosted_number_orders[%d].phone_number", i), ref.PhoneNumber)
	}
}

func (r *reader) number(field, s string) {
	if s == "" || r.problem != nil {
		return
	}
	n, err := phonenumbers.Parse(s, "")
	if err != nil || !phonenumbers.IsPossibleNumber(n) || !phonenumbers.IsValidNumber(n) ||
		phonenumbers.Format(n, phonenumbers.E164) != Ungrouped(s) {
		r.fail(workflow.CodeInvalid, field, "no phone number of the world's number plans: %s", quote(s))
	}
}
