package api

import (
	"errors"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"countersign/workflow"
)

// maxBody is how many bytes a form may have: more than an event can hold.
const maxBody = 256 << 10

// params are the parameters of a request. The first fault is kept; what is read
// after it is not used.
type params struct {
	values url.Values
	where  string
	fault  *fault
}

// parseParams reads parameters in form encoding; where says where they come from.
func parseParams(text, where string) (*params, error) {
	values, err := url.ParseQuery(text)
	if err != nil {
		return nil, bad(codeRequest, "The %s is not valid form encoding: a percent sign needs two hex digits, and pairs are separated by &", where)
	}
	for name, all := range values {
		for _, v := range all {
			if !utf8.ValidString(name) || !utf8.ValidString(v) {
				return nil, bad(codeRequest, "The %s is not valid UTF-8", where)
			}
		}
	}
	return &params{values: values, where: where}, nil
}

// checkType accepts the Content-Type of a form. A body without a Content-Type
// counts as a form.
func checkType(header http.Header) error {
	given := header.Get("Content-Type")
	if given == "" {
		return nil
	}
	kind, attributes, err := mime.ParseMediaType(given)
	// The type has no parameters, so parameters that cannot be read are
	// ignored.
	readable := err == nil || errors.Is(err, mime.ErrInvalidMediaParameter)
	if !readable || kind != "application/x-www-form-urlencoded" || !isUTF8(attributes["charset"]) {
		return newFault(http.StatusUnsupportedMediaType, codeRequest, "Content-Type must be application/x-www-form-urlencoded, in UTF-8")
	}
	return nil
}

// isUTF8 reports whether a charset is UTF-8 or a part of it: a label of UTF-8
// (WHATWG Encoding, section 4.2), US-ASCII, or none.
func isUTF8(label string) bool {
	switch strings.ToLower(strings.TrimSpace(label)) {
	case "", "us-ascii", "utf-8", "utf8", "unicode-1-1-utf-8", "unicode11utf8", "unicode20utf8", "x-unicode20utf8":
		return true
	}
	return false
}

func (p *params) fail(f *fault) {
	if p.fault == nil {
		p.fault = f
	}
}

// err is the first fault, or nil.
func (p *params) err() error {
	if p.fault == nil {
		return nil
	}
	return p.fault
}

// one reads a parameter that can be given once.
func (p *params) one(name string) (value string, present bool) {
	switch all := p.values[name]; len(all) {
	case 0:
		return "", false
	case 1:
		return all[0], true
	default:
		p.fail(bad(codeRequest, "Parameter %s is given %d times in the %s; give it once", name, len(all), p.where))
		return "", true
	}
}

// optional reads a parameter that changes something only if it is given.
func (p *params) optional(name string) *string {
	if value, present := p.one(name); present {
		return &value
	}
	return nil
}

// boolean reads a parameter that is true or false, in any case; nil if it is not
// given, or empty.
func (p *params) boolean(name string, code int) *bool {
	s, _ := p.one(name)
	switch {
	case s == "":
		return nil
	case strings.EqualFold(s, "true"), strings.EqualFold(s, "false"):
		return new(strings.EqualFold(s, "true"))
	}
	p.fail(bad(code, "%s is not valid: it must be true or false", name))
	return nil
}

// required reads a parameter that must be given.
func (p *params) required(name string) string {
	value, present := p.one(name)
	if !present {
		p.missing(name)
	}
	return value
}

func (p *params) missing(name string) {
	p.fail(bad(codeRequest, "Missing required parameter %s in the %s", name, p.where))
}

// sids reads HostedNumberOrderSids; duplicates count once.
func (p *params) sids() []workflow.SID {
	all := p.values["HostedNumberOrderSids"]
	seen := make(map[string]bool, len(all))
	sids := make([]workflow.SID, 0, len(all))
	for _, s := range all {
		if !isSID(s, "HR") {
			p.fail(bad(codeOrderSIDs, "HostedNumberOrderSids is not valid: each is HR and 32 hex digits"))
		}
		if !seen[s] {
			seen[s] = true
			sids = append(sids, workflow.SID(s))
		}
	}
	return sids
}

// ccEmails reads CcEmails. A single empty value is how clients send no value.
func (p *params) ccEmails() []string {
	all := p.values["CcEmails"]
	if len(all) == 1 && all[0] == "" {
		return []string{}
	}
	return all
}

// title checks a ContactTitle; preview requires it, so it cannot be empty.
func (p *params) title(s string) string {
	if s == "" {
		p.fail(bad(codeRequest, "ContactTitle is not valid: it is empty"))
	}
	return s
}

// phone checks a ContactPhoneNumber. It is required here, and optional in events.
func (p *params) phone(s string) string {
	if s == "" {
		p.fail(bad(codePhone, "ContactPhoneNumber is not valid: it is empty"))
	}
	return s
}

// lostPlus explains what to do if a value has a blank that may have been a plus sign:
// a plus sign that is not encoded is read as a blank.
func (p *params) lostPlus(name string) string {
	for _, value := range p.values[name] {
		blank := strings.Contains(strings.TrimSpace(value), " ")
		if strings.HasSuffix(name, "PhoneNumber") {
			blank = strings.HasPrefix(value, " ")
		}
		if blank {
			return "; write a plus sign in a form as %2B (curl: --data-urlencode), or it is read as a blank"
		}
	}
	return ""
}

// created reads the form of a new document.
func (p *params) created(g *generation) (b workflow.Created, err error) {
	if _, present := p.values["HostedNumberOrderSids"]; !present {
		p.missing("HostedNumberOrderSids")
	}
	b.HostedNumberOrderSIDs = p.sids()
	b.AddressSID = workflow.SID(p.required("AddressSid"))
	if b.AddressSID == "" {
		p.fail(bad(codeAddress, "AddressSid is not valid: it is empty"))
	}
	if b.Email = p.required("Email"); b.Email == "" {
		p.fail(bad(codeEmail, "Email is not valid: it is empty"))
	}
	if g.titled {
		b.ContactTitle = p.title(p.required("ContactTitle"))
	} else {
		b.ContactTitle, _ = p.one("ContactTitle")
	}
	b.ContactPhoneNumber = p.phone(p.required("ContactPhoneNumber"))
	b.CCEmails = p.ccEmails()
	return b, p.err()
}

// updated reads the form of a change. Only what is present changes.
func (p *params) updated() (b workflow.Updated, status workflow.Status, err error) {
	if _, present := p.values["HostedNumberOrderSids"]; present {
		b.HostedNumberOrderSIDs = new(p.sids())
	}
	if s, present := p.one("AddressSid"); present {
		b.AddressSID = new(workflow.SID(s))
	}
	if s, present := p.one("Email"); present {
		b.Email = new(s)
	}
	if s, present := p.one("ContactTitle"); present {
		b.ContactTitle = new(p.title(s))
	}
	if s, present := p.one("ContactPhoneNumber"); present {
		b.ContactPhoneNumber = new(p.phone(s))
	}
	if _, present := p.values["CcEmails"]; present {
		b.CCEmails = new(p.ccEmails())
	}
	if s, present := p.one("Status"); present {
		if status = workflow.Status(s); status != workflow.Opened && status != workflow.Signing {
			p.fail(bad(codeStatus, "Status must be opened or signing"))
		}
	}
	return b, status, p.err()
}
