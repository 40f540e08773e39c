package events

import (
	"regexp"

	"countersign/workflow"
)

// OrderCreated makes the event that makes an order known to its account.
func OrderCreated(source, id string, account, order workflow.SID, b workflow.OrderCreated) Event {
	return ofOrder(source, id, account, order, "created", b)
}

// OrderUpdated makes an event that changes the content of an order.
func OrderUpdated(source, id string, account, order workflow.SID, b workflow.OrderUpdated) Event {
	return ofOrder(source, id, account, order, "updated", b)
}

// OrderReported makes an event that reports the status of an order without
// naming a document.
func OrderReported(source, id string, account, order workflow.SID, b workflow.OrderStatusChanged) Event {
	b.Order = order
	return ofOrder(source, id, account, order, "status", b)
}

// Verify makes an event that asks for the verification of an order's number. Make
// the code with crypto/rand.
func Verify(source, id string, account, order workflow.SID, b workflow.Verify) Event {
	return ofOrder(source, id, account, order, "verify", b)
}

// VerificationReported makes an event that gives the code of a verification back,
// or reports what the telephony service found.
func VerificationReported(source, id string, account, order workflow.SID, b workflow.VerificationReported) Event {
	return ofOrder(source, id, account, order, "verified", b)
}

// OrderDeleted makes the event that deletes an order.
func OrderDeleted(source, id string, account, order workflow.SID, b workflow.OrderDeleted) Event {
	return ofOrder(source, id, account, order, "deleted", b)
}

func ofOrder(source, id string, account, order workflow.SID, what string, b workflow.Body) Event {
	return Event{ID: id, Source: source, Account: account, Document: Nobody, What: "order." + string(order) + "." + what, Body: b}
}

// AddressCreated makes the event that makes an address known to its account.
func AddressCreated(source, id string, account, address workflow.SID, b workflow.AddressCreated) Event {
	return ofAddress(source, id, account, address, "created", b)
}

// AddressUpdated makes an event that changes the content of an address.
func AddressUpdated(source, id string, account, address workflow.SID, b workflow.AddressUpdated) Event {
	return ofAddress(source, id, account, address, "updated", b)
}

// AddressDeleted makes the event that deletes an address.
func AddressDeleted(source, id string, account, address workflow.SID, b workflow.AddressDeleted) Event {
	return ofAddress(source, id, account, address, "deleted", b)
}

func ofAddress(source, id string, account, address workflow.SID, what string, b workflow.Body) Event {
	return Event{ID: id, Source: source, Account: account, Document: Nobody, What: "address." + string(address) + "." + what, Body: b}
}

// orderCreated reads the content of a new order. A field may be null, which
// means the same as leaving it out.
func (r *reader) orderCreated(data value, _ *topic) (b workflow.OrderCreated) {
	var u workflow.OrderUpdated
	for v := range r.members(data) {
		if !v.isNull() {
			r.orderField(v, &u)
		}
	}
	b.OrderContent = u.Apply(b.OrderContent)
	return b
}

// orderUpdated reads new values. Null is refused, because it could mean to clear
// a field or to keep it.
func (r *reader) orderUpdated(data value, _ *topic) (b workflow.OrderUpdated) {
	for v := range r.members(data) {
		r.orderField(v, &b)
	}
	if b == (workflow.OrderUpdated{}) {
		r.fail(workflow.CodeInvalid, "data", "has no field that could be updated")
	}
	return b
}

// orderField reads one field of an order, and ignores one that it does not know.
func (r *reader) orderField(v value, b *workflow.OrderUpdated) {
	switch name := string(v.name); name {
	case "phone_number":
		b.PhoneNumber = new(r.phone(v))
	case "current_carrier":
		b.CurrentCarrier = new(r.line(v, MaxName))
	case "friendly_name":
		b.FriendlyName = new(r.line(v, MaxLabel))
	case "unique_name":
		b.UniqueName = new(r.line(v, MaxLabel))
	case "address_sid":
		b.AddressSID = new(r.sidOrNone(v, "AD"))
	case "email":
		b.Email = new(r.addressOrNone(v))
	case "cc_emails":
		b.CCEmails = new(r.addresses(v))
	case "contact_title":
		b.ContactTitle = new(r.line(v, MaxTitle))
	case "contact_phone_number":
		b.ContactPhoneNumber = new(r.phone(v))
	case "capabilities":
		b.Capabilities = new(r.capabilities(v))
	case "incoming_phone_number_sid":
		b.IncomingPhoneNumberSID = new(r.sidOrNone(v, "PN"))
	case "sms_application_sid":
		b.SMSApplicationSID = new(r.sidOrNone(v, "AP"))
	case "verification_type":
		b.VerificationType = new(oneOf(r, v, workflow.VerificationTypes))
	case "verification_document_sid":
		b.VerificationDocumentSID = new(r.sidOrNone(v, "RI"))
	case "extension":
		b.Extension = new(r.dialled(v))
	case "call_delay":
		b.CallDelay = new(int(r.count(v, MaxDelay, "seconds")))
	default:
		r.orderURL(v, name, b)
	}
}

// orderURL reads a URL of an order, or the method with which it is called.
func (r *reader) orderURL(v value, name string, b *workflow.OrderUpdated) {
	switch name {
	case "sms_url":
		b.SMSURL = new(r.url(v))
	case "sms_method":
		b.SMSMethod = new(r.method(v))
	case "sms_fallback_url":
		b.SMSFallbackURL = new(r.url(v))
	case "sms_fallback_method":
		b.SMSFallbackMethod = new(r.method(v))
	case "status_callback_url":
		b.StatusCallbackURL = new(r.url(v))
	case "status_callback_method":
		b.StatusCallbackMethod = new(r.method(v))
	}
}

func (r *reader) verify(data value, _ *topic) (b workflow.Verify) {
	for v := range r.members(data) {
		if v.isNull() {
			continue
		}
		switch string(v.name) {
		case "verification_type":
			b.Method = oneOf(r, v, workflow.VerificationTypes)
		case "code":
			b.Code = r.form(v, codePattern, "4 to 10 digits")
		case "call_delay":
			b.CallDelay = int(r.count(v, MaxDelay, "seconds"))
		case "extension":
			b.Extension = r.dialled(v)
		}
	}
	switch {
	case b.Method == "":
		r.fail(workflow.CodeInvalid, "data.verification_type", "missing")
	case (b.Method == workflow.VerifyByCall) != (b.Code != ""):
		r.fail(workflow.CodeInvalid, "data.code", "must be there with the type %q, and only then", workflow.VerifyByCall)
	}
	return b
}

func (r *reader) verified(data value, _ *topic) (b workflow.VerificationReported) {
	for v := range r.members(data) {
		if v.isNull() {
			continue
		}
		switch string(v.name) {
		case "code":
			b.Code = r.form(v, codePattern, "4 to 10 digits")
		case "result":
			b.Result = oneOf(r, v, workflow.VerificationResults)
		case "call_sid":
			b.CallSID = r.form(v, callPattern, "CA and 32 hex digits")
		}
	}
	if b == (workflow.VerificationReported{}) {
		r.fail(workflow.CodeInvalid, "data", "must have a code, a result or the sid of a call")
	}
	return b
}

// form reads a text of a form that is said in words.
func (r *reader) form(v value, pattern *regexp.Regexp, words string) string {
	s := r.str(v)
	if r.problem == nil && !pattern.MatchString(s) {
		r.fail(workflow.CodeInvalid, v.path(), "must be %s", words)
	}
	return s
}

func (r *reader) orderDeleted(data value, _ *topic) workflow.OrderDeleted {
	return workflow.OrderDeleted{Reason: r.reason(data)}
}

func (r *reader) addressDeleted(data value, _ *topic) workflow.AddressDeleted {
	return workflow.AddressDeleted{Reason: r.reason(data)}
}

// reason reads the one field of an event that deletes something.
func (r *reader) reason(data value) (reason string) {
	for v := range r.members(data) {
		if !v.isNull() && string(v.name) == "reason" {
			reason = r.prose(v, MaxReason)
		}
	}
	return reason
}

// addressCreated reads the content of a new address. A field may be null, which
// means the same as leaving it out.
func (r *reader) addressCreated(data value, _ *topic) (b workflow.AddressCreated) {
	var u workflow.AddressUpdated
	for v := range r.members(data) {
		if !v.isNull() {
			r.addressField(v, &u)
		}
	}
	b.AddressContent = u.Apply(b.AddressContent)
	return b
}

// addressUpdated reads new values; null is refused as for an order.
func (r *reader) addressUpdated(data value, _ *topic) (b workflow.AddressUpdated) {
	for v := range r.members(data) {
		r.addressField(v, &b)
	}
	if b == (workflow.AddressUpdated{}) {
		r.fail(workflow.CodeInvalid, "data", "has no field that could be updated")
	}
	return b
}

// addressField reads one field of an address, and ignores one that it does not
// know.
func (r *reader) addressField(v value, b *workflow.AddressUpdated) {
	switch string(v.name) {
	case "customer_name":
		b.CustomerName = new(r.line(v, MaxName))
	case "street":
		b.Street = new(r.line(v, MaxStreet))
	case "street_secondary":
		b.StreetSecondary = new(r.line(v, MaxStreet))
	case "city":
		b.City = new(r.line(v, MaxPlace))
	case "region":
		b.Region = new(r.line(v, MaxPlace))
	case "postal_code":
		b.PostalCode = new(r.line(v, MaxPostal))
	case "iso_country":
		b.ISOCountry = new(r.country(v))
	case "friendly_name":
		b.FriendlyName = new(r.line(v, MaxLabel))
	case "emergency_enabled":
		b.EmergencyEnabled = new(r.boolean(v))
	case "auto_correct_address":
		b.AutoCorrect = new(r.boolean(v))
	}
}

func (r *reader) capabilities(object value) (c workflow.Capabilities) {
	for v := range r.members(object) {
		switch string(v.name) {
		case "voice":
			c.Voice = r.boolean(v)
		case "sms":
			c.SMS = r.boolean(v)
		case "mms":
			c.MMS = r.boolean(v)
		case "fax":
			c.Fax = r.boolean(v)
		}
	}
	return c
}

// sidOrNone reads a sid; "" means none.
func (r *reader) sidOrNone(v value, letters string) workflow.SID {
	if string(v.raw) == `""` {
		return ""
	}
	return r.sid(v, letters)
}

// addressOrNone reads an e-mail address; "" means none.
func (r *reader) addressOrNone(v value) string {
	if string(v.raw) == `""` {
		return ""
	}
	return r.address(v)
}

// url reads a URL that Countersign can call; "" means none.
func (r *reader) url(v value) string {
	s := r.line(v, MaxURL)
	if r.problem == nil && s != "" && !urlPattern.MatchString(s) {
		r.fail(workflow.CodeInvalid, v.path(), "must be a URL that begins with http:// or https://, got %s", quote(s))
	}
	return s
}

// method reads the method with which a URL is called; "" means none.
func (r *reader) method(v value) string {
	if string(v.raw) == `""` {
		return ""
	}
	return oneOf(r, v, Methods)
}

// Methods lists the methods with which a URL of an order can be called.
var Methods = []string{"GET", "POST"}

// dialled reads what is dialled after a number; "" means nothing.
func (r *reader) dialled(v value) string {
	s := r.line(v, MaxDialled)
	if r.problem == nil && !dialledPattern.MatchString(s) {
		r.fail(workflow.CodeInvalid, v.path(), "must have digits, #, * and w only, got %s", quote(s))
	}
	return s
}
