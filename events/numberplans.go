package events

import (
	"fmt"

	"github.com/nyaruka/phonenumbers"

	"countersign/workflow"
)

// assigned holds the phone numbers that an event brings to the world's number
// plans: each must be possible and valid there. This is asked of who writes an
// event, not of who reads it. Number plans change with every release of their
// data, and replicas of two releases must read one log alike; besides, asking
// costs more than all the rest of Decode.
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
		phonenumbers.Format(n, phonenumbers.E164) != ungrouped(s) {
		r.fail(workflow.CodeInvalid, field, "no phone number of the world's number plans: %s", quote(s))
	}
}
