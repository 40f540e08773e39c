package events

import (
	"countersign/workflow"
)

// created reads the content of a new document. An optional field may be null,
// which means the same as leaving it out.
func (r *reader) created(data value, _ *topic) (b workflow.Created) {
	for v := range r.members(data) {
		if v.isNull() {
			continue
		}
		switch string(v.name) {
		case "address_sid":
			b.AddressSID = r.sid(v, "AD")
		case "email":
			b.Email = r.address(v)
		case "cc_emails":
			b.CCEmails = r.addresses(v)
		case "contact_title":
			b.ContactTitle = r.line(v, MaxTitle)
		case "contact_phone_number":
			b.ContactPhoneNumber = r.phone(v)
		case "locale":
			b.Locale = r.locale(v)
		case "subscriber":
			b.Subscriber = r.line(v, MaxName)
		case "service_address":
			b.ServiceAddress = r.serviceAddress(v)
		case "hosted_number_order_sids":
			b.HostedNumberOrderSIDs = r.orderSIDs(v)
		case "hosted_number_orders":
			b.HostedNumberOrders = r.orders(v)
		case "hold":
			b.Hold = r.boolean(v)
		case "timers":
			b.Timers = r.timers(v)
		}
	}
	switch {
	case b.AddressSID == "":
		r.fail(workflow.CodeInvalid, "data.address_sid", "missing")
	case b.Email == "":
		r.fail(workflow.CodeInvalid, "data.email", "missing")
	case len(b.HostedNumberOrderSIDs)+len(b.HostedNumberOrders) == 0:
		r.fail(workflow.CodeInvalid, "data.hosted_number_order_sids", "missing: a document authorizes at least one order")
	}
	r.union(len(b.HostedNumberOrderSIDs)+len(b.HostedNumberOrders), b.Orders)
	return b
}

// updated reads new values. Null is refused, because it could mean to clear a
// field or to keep it.
func (r *reader) updated(data value, _ *topic) (b workflow.Updated) {
	for v := range r.members(data) {
		switch string(v.name) {
		case "address_sid":
			b.AddressSID = new(r.sid(v, "AD"))
		case "email":
			b.Email = new(r.address(v))
		case "cc_emails":
			b.CCEmails = new(r.addresses(v))
		case "contact_title":
			b.ContactTitle = new(r.line(v, MaxTitle))
		case "contact_phone_number":
			b.ContactPhoneNumber = new(r.phone(v))
		case "locale":
			b.Locale = new(r.locale(v))
		case "subscriber":
			b.Subscriber = new(r.line(v, MaxName))
		case "service_address":
			b.ServiceAddress = new(r.serviceAddress(v))
		case "hosted_number_order_sids":
			b.HostedNumberOrderSIDs = new(r.orderSIDs(v))
			r.atLeastOne(v, len(*b.HostedNumberOrderSIDs))
		case "hosted_number_orders":
			b.HostedNumberOrders = new(r.orders(v))
			r.atLeastOne(v, len(*b.HostedNumberOrders))
		case "timers":
			b.Timers = r.timers(v)
		}
	}
	if b == (workflow.Updated{}) {
		r.fail(workflow.CodeInvalid, "data", "has no field that could be updated")
	}
	n := 0
	if b.HostedNumberOrderSIDs != nil {
		n += len(*b.HostedNumberOrderSIDs)
	}
	if b.HostedNumberOrders != nil {
		n += len(*b.HostedNumberOrders)
	}
	r.union(n, func() []workflow.OrderRef { refs, _ := b.Orders(); return refs })
	return b
}

// CanceledBy lists who can cancel a document.
var CanceledBy = []string{"signer", "account"}

func (r *reader) statusChanged(data value, _ *topic) (b workflow.StatusChanged) {
	for v := range r.members(data) {
		if v.isNull() {
			continue
		}
		switch string(v.name) {
		case "status":
			b.Status = oneOf(r, v, workflow.Statuses)
		case "reason":
			b.Reason = r.prose(v, MaxReason)
		case "canceled_by":
			b.CanceledBy = r.canceledBy(v)
		case "ended_by":
			b.EndedBy = oneOf(r, v, workflow.Endings)
		case "evidence":
			b.Evidence = r.evidence(v)
		case "letter_digest":
			b.LetterDigest = r.digest(v)
		case "letter_kept":
			b.LetterKept = r.boolean(v)
		case "round":
			b.Round = r.round(v)
		}
	}
	switch {
	case b.Status == "":
		r.fail(workflow.CodeInvalid, "data.status", "missing")
	case b.CanceledBy != "" && b.Status != workflow.Canceled:
		r.fail(workflow.CodeInvalid, "data.canceled_by", "goes with the status %q only, got %q", workflow.Canceled, b.Status)
	}
	return b
}

func (r *reader) canceledBy(v value) string {
	if v.raw[0] == '"' && len(v.raw) == len(`""`) {
		return "" // not known
	}
	return oneOf(r, v, CanceledBy)
}

func (r *reader) orderStatusChanged(data value, to *topic) workflow.OrderStatusChanged {
	b := workflow.OrderStatusChanged{Order: to.order}
	for v := range r.members(data) {
		if v.isNull() {
			continue
		}
		switch string(v.name) {
		case "status":
			b.Status = oneOf(r, v, workflow.OrderStatuses)
		case "phone_number":
			b.PhoneNumber = r.phone(v)
		case "failure_reason":
			b.FailureReason = r.prose(v, MaxReason)
		case "letter_too_old":
			b.LetterTooOld = r.boolean(v)
		}
	}
	switch {
	case b.Status == "":
		r.fail(workflow.CodeInvalid, "data.status", "missing")
	case b.LetterTooOld && b.Status == workflow.OrderCompleted:
		r.fail(workflow.CodeInvalid, "data.letter_too_old", "does not go with the status %q", b.Status)
	}
	return b
}

func (r *reader) resend(data value, _ *topic) (b workflow.Resend) {
	for v := range r.members(data) {
		if !v.isNull() && string(v.name) == "round" {
			b.Round = r.round(v)
		}
	}
	return b
}

func (r *reader) bounced(data value, to *topic) (b workflow.Bounced) {
	for v := range r.members(data) {
		if v.isNull() {
			continue
		}
		switch string(v.name) {
		case "mail":
			b.Mail = workflow.MailID(r.str(v))
		case "action":
			b.Action = oneOf(r, v, workflow.Actions)
		case "status":
			b.Status = r.str(v)
		case "diagnostic":
			b.Diagnostic = r.prose(v, MaxReason)
		case "candidates":
			b.Candidates = r.candidates(v, to.document)
		}
	}
	switch {
	case r.problem != nil:
	case b.Mail == "":
		r.fail(workflow.CodeInvalid, "data.mail", "missing")
	case !b.Mail.Valid():
		r.fail(workflow.CodeInvalid, "data.mail", "must be the id of an email, got %s", quote(string(b.Mail)))
	case b.Action == "":
		r.fail(workflow.CodeInvalid, "data.action", "missing")
	case !statusPattern.MatchString(b.Status):
		r.fail(workflow.CodeInvalid, "data.status", "must be a status code such as 5.1.1, got %s", quote(b.Status))
	}
	r.agree("data.mail", b.Mail.Document() == to.document)
	return b
}

// candidates reads the other emails that a report may be about.
func (r *reader) candidates(list value, document workflow.SID) (ids []workflow.MailID) {
	for v := range r.list(list) {
		id := workflow.MailID(r.str(v))
		switch {
		case len(ids) == MaxCandidates:
			r.fail(workflow.CodeTooLarge, list.path(), "more than %d emails", MaxCandidates)
		case !id.Valid() || id.Document() != document:
			r.fail(workflow.CodeInvalid, v.path(), "want the id of an email of the subject's document, got %s", quote(string(id)))
		}
		if r.problem != nil {
			break
		}
		ids = append(ids, id)
	}
	return ids
}

// timers reads a document's own timers.
func (r *reader) timers(object value) *workflow.OwnTimers {
	var b workflow.OwnTimers
	for v := range r.members(object) {
		switch string(v.name) {
		case "remind_after_seconds":
			b.RemindAfter = r.seconds(v)
		case "remind_every_seconds":
			b.RemindEvery = r.seconds(v)
		case "remind_at_most":
			b.RemindMost = new(int(r.count(v, MaxReminds, "reminders")))
		case "expire_after_seconds":
			b.ExpireAfter = r.seconds(v)
		case "fresh_for_seconds":
			b.FreshFor = r.seconds(v)
		}
	}
	return &b
}

func (r *reader) addresses(list value) []string {
	out := []string{}
	for v := range r.list(list) {
		if len(out) == MaxCC {
			r.fail(workflow.CodeTooLarge, list.path(), "more than %d addresses", MaxCC)
			break
		}
		out = append(out, r.address(v))
	}
	return out
}

func (r *reader) orderSIDs(list value) []workflow.SID {
	out := []workflow.SID{}
	seen := make(map[workflow.SID]bool)
	for v := range r.list(list) {
		sid := r.sid(v, "HR")
		if !r.another(&list, &v, len(out), seen, sid) {
			break
		}
		out = append(out, sid)
	}
	return out
}

func (r *reader) orders(list value) []workflow.OrderRef {
	out := []workflow.OrderRef{}
	seen := make(map[workflow.SID]bool)
	for v := range r.list(list) {
		ref := r.order(v)
		if !r.another(&list, &v, len(out), seen, ref.SID) {
			break
		}
		out = append(out, ref)
	}
	return out
}

func (r *reader) order(object value) (ref workflow.OrderRef) {
	for v := range r.members(object) {
		if v.isNull() {
			continue
		}
		switch string(v.name) {
		case "sid":
			ref.SID = r.sid(v, "HR")
		case "phone_number":
			ref.PhoneNumber = r.phone(v)
		case "current_carrier":
			ref.CurrentCarrier = r.line(v, MaxName)
		}
	}
	if ref.SID == "" {
		r.fail(workflow.CodeInvalid, object.path()+".sid", "missing")
	}
	return ref
}

// another reports whether the list may have one more order after its first n.
func (r *reader) another(list, item *value, n int, seen map[workflow.SID]bool, sid workflow.SID) bool {
	switch {
	case r.problem != nil:
	case seen[sid]:
		r.fail(workflow.CodeInvalid, item.path(), "%s is in the list already", sid)
	case n == MaxOrders:
		r.fail(workflow.CodeTooLarge, list.path(), "more than %d orders", MaxOrders)
	}
	seen[sid] = true
	return r.problem == nil
}

func (r *reader) atLeastOne(list value, n int) {
	if n == 0 {
		r.fail(workflow.CodeInvalid, list.path(), "empty: a document authorizes at least one order")
	}
}

// union checks the number of orders in both lists together. It builds the union
// only if the lists together could have too many.
func (r *reader) union(sum int, orders func() []workflow.OrderRef) {
	if sum <= MaxOrders || r.problem != nil {
		return
	}
	if n := len(orders()); n > MaxOrders {
		r.fail(workflow.CodeTooLarge, "data.hosted_number_orders", "%d orders with those of hosted_number_order_sids are more than %d", n, MaxOrders)
	}
}
