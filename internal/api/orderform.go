package api

import (
	"slices"
	"strconv"
	"unicode/utf8"

	"countersign/db"
	"countersign/events"
	"countersign/workflow"
)

// orderFilter reads the filters of a list of orders.
func (r *request) orderFilter(statuses []workflow.OrderStatus) (q db.OrderQuery, filters []filter) {
	p, g := r.params, r.route.generation
	names := []string{"Status", "PhoneNumber", "IncomingPhoneNumberSid", "FriendlyName"}
	if g == preview {
		names = append(names, "UniqueName")
	}
	filters, get := p.filters(names...)
	q = db.OrderQuery{
		Status: workflow.OrderStatus(get("Status")), PhoneNumber: get("PhoneNumber"), IncomingSID: workflow.SID(get("IncomingPhoneNumberSid")),
		FriendlyName: get("FriendlyName"), UniqueName: get("UniqueName"),
	}
	if q.Status != "" && !slices.Contains(statuses, q.Status) {
		p.fail(bad(codeOrderStatus, "Status is not valid: it is one of %q", statuses))
	}
	if q.IncomingSID != "" && !isSID(string(q.IncomingSID), "PN") {
		p.fail(bad(codeRequest, "IncomingPhoneNumberSid is not valid: it is PN and 32 hex digits"))
	}
	p.names(g, q.FriendlyName, q.UniqueName)
	return q, filters
}

// names checks the length of an order's names.
func (p *params) names(g *generation, friendly, unique string) {
	if utf8.RuneCountInString(friendly) > g.friendlyName {
		p.fail(bad(codeFriendly, "FriendlyName is not valid: it has more than %d characters", g.friendlyName))
	}
	if utf8.RuneCountInString(unique) > events.MaxLabel {
		p.fail(bad(codeUniqueName, "UniqueName is not valid: it has more than %d characters", events.MaxLabel))
	}
}

// orderCreated reads the form of a new order.
func (p *params) orderCreated(g *generation, account workflow.SID) (b workflow.OrderCreated, err error) {
	if b.PhoneNumber = p.required("PhoneNumber"); b.PhoneNumber == "" {
		p.fail(bad(codePhone, "PhoneNumber is not valid: it is empty"))
	}
	if g == preview {
		p.required("SmsCapability")
		p.previewOrder(&b.OrderContent)
	} else {
		p.v2Order(&b.OrderContent)
	}
	if given, sms := p.optional("SmsCapability"), p.boolean("SmsCapability", codeNoMessages); given != nil && !value(sms) {
		p.fail(bad(codeNoMessages, "SmsCapability must be true: a hosted number is for messages"))
	}
	b.Capabilities.SMS = true
	if s, _ := p.one("AccountSid"); s != "" && s != string(account) {
		p.fail(bad(codeTransfer, "AccountSid must be the account that sends the request, or be left out: an order cannot be made for another account"))
	}
	b.FriendlyName, _ = p.one("FriendlyName")
	b.CCEmails = p.ccEmails()
	b.SMSURL, _ = p.one("SmsUrl")
	b.SMSMethod, _ = p.one("SmsMethod")
	b.SMSFallbackURL, _ = p.one("SmsFallbackUrl")
	b.SMSFallbackMethod, _ = p.one("SmsFallbackMethod")
	b.StatusCallbackURL, _ = p.one("StatusCallbackUrl")
	b.StatusCallbackMethod, _ = p.one("StatusCallbackMethod")
	b.SMSApplicationSID = workflow.SID(value(p.optional("SmsApplicationSid")))
	p.names(g, b.FriendlyName, b.UniqueName)
	return b, p.err()
}

// previewOrder reads what only preview has, or does not require.
func (p *params) previewOrder(c *workflow.OrderContent) {
	c.UniqueName, _ = p.one("UniqueName")
	c.AddressSID = workflow.SID(value(p.optional("AddressSid")))
	c.Email, _ = p.one("Email")
	c.VerificationType = workflow.VerificationType(value(p.optional("VerificationType")))
	c.VerificationDocumentSID = workflow.SID(value(p.optional("VerificationDocumentSid")))
	p.proof(*c)
}

// proof checks that a verification by bill has the bill.
func (p *params) proof(c workflow.OrderContent) {
	if c.VerificationType == workflow.VerifyByBill && c.VerificationDocumentSID == "" {
		p.fail(bad(codeBill, "VerificationDocumentSid is missing: a verification of type phone-bill needs it"))
	}
}

// v2Order reads what only v2 has or requires.
func (p *params) v2Order(c *workflow.OrderContent) {
	c.ContactPhoneNumber = p.phone(p.required("ContactPhoneNumber"))
	if c.AddressSID = workflow.SID(p.required("AddressSid")); c.AddressSID == "" {
		p.fail(bad(codeAddress, "AddressSid is not valid: it is empty"))
	}
	if c.Email = p.required("Email"); c.Email == "" {
		p.fail(bad(codeEmail, "Email is not valid: it is empty"))
	}
	c.ContactTitle, _ = p.one("ContactTitle")
}

// orderUpdated reads the form of a change. Only what is present changes.
func (p *params) orderUpdated(g *generation, before workflow.HostedOrder) (b workflow.OrderUpdated, err error) {
	if g == v2 {
		b.CallDelay = p.delay("VerificationCallDelay")
		b.Extension = p.optional("VerificationCallExtension")
		return b, p.err()
	}
	b = workflow.OrderUpdated{
		FriendlyName: p.optional("FriendlyName"), UniqueName: p.optional("UniqueName"), Email: p.optional("Email"),
		CallDelay: p.delay("CallDelay"), Extension: p.optional("Extension"),
	}
	if _, present := p.values["CcEmails"]; present {
		b.CCEmails = new(p.ccEmails())
	}
	if s := p.optional("VerificationType"); s != nil {
		b.VerificationType = new(workflow.VerificationType(*s))
	}
	if s := p.optional("VerificationDocumentSid"); s != nil {
		b.VerificationDocumentSID = new(workflow.SID(*s))
	}
	p.names(g, value(b.FriendlyName), value(b.UniqueName))
	if b.VerificationType != nil || b.VerificationDocumentSID != nil {
		p.proof(b.Apply(before.OrderContent))
	}
	return b, p.err()
}

// delay reads the seconds before a call.
func (p *params) delay(name string) *int {
	s := p.optional(name)
	if s == nil || *s == "" {
		return nil
	}
	n, err := strconv.Atoi(*s)
	if err != nil || n < 0 || n > events.MaxDelay {
		p.fail(bad(codeRequest, "%s is not valid: it must be 0 to %d seconds", name, events.MaxDelay))
	}
	return &n
}
