package api

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"countersign/workflow"
)

// The codes of Twilio's error dictionary that this API uses.
const (
	codeRequest     = 20001 // the request itself is wrong
	codeAuth        = 20003
	codeMethod      = 20004
	codeForbidden   = 20403
	codeNotFound    = 20404
	codeTooMany     = 20429
	codeInternal    = 20500
	codeUnavailable = 20503
	codeUsedUp      = 22100 // the verification was tried too often
	codeOrderSIDs   = 22101
	codePhone       = 22102
	codeEmail       = 22104
	codeURL         = 22105
	codeURLMethod   = 22106
	codeImmutable   = 22107
	codeApplication = 22108
	codeAddress     = 22109
	codeNotHostable = 22110
	codeOrderStatus = 22111 // there is no such status
	codeOrderMove   = 22112 // the order cannot have that status now
	codeWrongCode   = 22113
	codeNotVerified = 22114 // nobody asked for a verification
	codeUniqueName  = 22115
	codeFriendly    = 22116
	codeExtension   = 22117
	codeBill        = 22118
	codeNoMessages  = 22119
	codeProof       = 22120 // there is no such type of verification
	codeTransfer    = 22121
	codeStatus      = 22122
	codePlace       = 21628 // an address that cannot be one
)

// fault is an error as a client sees it.
type fault struct {
	Code     int    `json:"code"`
	Message  string `json:"message"`
	MoreInfo string `json:"more_info"`
	Status   int    `json:"status"`
	Detail   string `json:"detail,omitempty"` // only of a 401, where Twilio has it

	retry int // seconds, for Retry-After
}

// Error implements error.
func (f *fault) Error() string { return f.Message }

func newFault(status, code int, format string, args ...any) *fault {
	return &fault{
		Code: code, Message: fmt.Sprintf(format, args...), Status: status,
		MoreInfo: "https://www.twilio.com/docs/errors/" + strconv.Itoa(code),
	}
}

func bad(code int, format string, args ...any) *fault {
	return newFault(http.StatusBadRequest, code, format, args...)
}

// notFound names the requested path. Twilio leaves out the version, and so
// names a path that may exist.
func notFound(path string) *fault {
	if len(path) > 200 {
		path = path[:200]
	}
	return newFault(http.StatusNotFound, codeNotFound, "The requested resource %s was not found", strings.ToValidUTF8(path, "�"))
}

func unavailable(why string) *fault {
	f := newFault(http.StatusServiceUnavailable, codeUnavailable, "Service is unavailable, please try again: %s", why)
	f.retry = 1
	return f
}

func tooMany(whose string, seconds int) *fault {
	f := newFault(http.StatusTooManyRequests, codeTooMany, "Too many requests %s; try again in %d s", whose, seconds)
	f.retry = seconds
	return f
}

// parameter names the form's parameter for an event's field, and the code of a
// value that it cannot have.
type parameter struct {
	field, name string
	code        int
}

var documentParameters = []parameter{
	{"data.hosted_number_order_sids", "HostedNumberOrderSids", codeOrderSIDs},
	{"data.address_sid", "AddressSid", codeAddress},
	{"data.email", "Email", codeEmail},
	{"data.cc_emails", "CcEmails", codeEmail},
	{"data.contact_title", "ContactTitle", codeRequest},
	{"data.contact_phone_number", "ContactPhoneNumber", codePhone},
}

// orderParameters are those of orders that documents do not have.
var orderParameters = []parameter{
	{"data.phone_number", "PhoneNumber", codePhone},
	{"data.friendly_name", "FriendlyName", codeFriendly},
	{"data.unique_name", "UniqueName", codeUniqueName},
	{"data.sms_application_sid", "SmsApplicationSid", codeApplication},
	{"data.sms_url", "SmsUrl", codeURL},
	{"data.sms_method", "SmsMethod", codeURLMethod},
	{"data.sms_fallback_url", "SmsFallbackUrl", codeURL},
	{"data.sms_fallback_method", "SmsFallbackMethod", codeURLMethod},
	{"data.status_callback_url", "StatusCallbackUrl", codeURL},
	{"data.status_callback_method", "StatusCallbackMethod", codeURLMethod},
	{"data.verification_type", "VerificationType", codeProof},
	{"data.code", "VerificationCode", codeWrongCode},
	{"data.verification_document_sid", "VerificationDocumentSid", codeBill},
}

var addressParameters = []parameter{
	{"data.customer_name", "CustomerName", codePlace},
	{"data.street", "Street", codePlace},
	{"data.street_secondary", "StreetSecondary", codePlace},
	{"data.city", "City", codePlace},
	{"data.region", "Region", codePlace},
	{"data.postal_code", "PostalCode", codePlace},
	{"data.iso_country", "IsoCountry", codePlace},
	{"data.friendly_name", "FriendlyName", codeRequest},
}

// invalid converts the fault of an event to the fault of the form from which
// the event was made.
func (r *request) invalid(p *workflow.Problem) *fault {
	for _, x := range r.route.generation.parameters {
		if rest, ok := strings.CutPrefix(p.Field, x.field); ok && (rest == "" || rest[0] == '[') {
			return bad(x.code, "%s is not valid: %s%s", x.name+rest, strings.TrimPrefix(p.Message, p.Field+": "), r.params.lostPlus(x.name))
		}
	}
	return bad(codeRequest, "%s", p.Message)
}

// refused returns the fault for an event that the rules refused.
func (h *handler) refused(r *request, p *workflow.Problem) error {
	ofOrders := r.route.path == r.route.generation.orders || r.route.letters == "HR"
	switch {
	case p.Code == workflow.CodeVerification:
		return bad(codeUsedUp, "The number cannot be verified: %s", p.Message)
	case ofOrders && p.Code == workflow.CodeStatus && r.params.values.Has("VerificationCode"):
		return bad(codeNotVerified, "VerificationCode cannot be checked: %s", p.Message)
	case ofOrders && p.Code == workflow.CodeStatus:
		return bad(codeOrderMove, "Status cannot be changed: %s", p.Message)
	case ofOrders && p.Code == workflow.CodeNumberTaken:
		return bad(codeNotHostable, "PhoneNumber cannot be hosted: %s", p.Message)
	}
	switch p.Code {
	case workflow.CodeImmutable, workflow.CodeStatus, workflow.CodeRound:
		return bad(codeImmutable, "Authorization Document cannot be changed: %s", p.Message)
	case workflow.CodeOrderTaken, workflow.CodeNumberTaken:
		return bad(codeNotHostable, "HostedNumberOrderSids cannot be hosted: %s", p.Message)
	case workflow.CodeExists:
		return bad(codeRequest, "Idempotency-Key was used before, for another request; use a new key for a new one")
	case workflow.CodeTooManyEmails:
		h.Metrics.limited.WithLabelValues("document").Inc()
		return tooManyEmails(p.Message, p.Until.Sub(h.Now()))
	case workflow.CodeAccount, workflow.CodeErased, workflow.CodeDeleted, workflow.CodeOrderUnknown, workflow.CodeAddressUnknown:
		return notFound(r.http.URL.Path)
	}
	return r.invalid(p)
}
