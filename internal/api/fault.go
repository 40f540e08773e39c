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
	codeOrderSIDs   = 22101
	codePhone       = 22102
	codeEmail       = 22104
	codeImmutable   = 22107
	codeAddress     = 22109
	codeNotHostable = 22110
	codeOrderStatus = 22111
	codeUniqueName  = 22115
	codeFriendly    = 22116
	codeStatus      = 22122
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

// parameters names the form's parameter for an event's field, and the code of
// a value that it cannot have.
var parameters = []struct {
	field, name string
	code        int
}{
	{"data.hosted_number_order_sids", "HostedNumberOrderSids", codeOrderSIDs},
	{"data.address_sid", "AddressSid", codeAddress},
	{"data.email", "Email", codeEmail},
	{"data.cc_emails", "CcEmails", codeEmail},
	{"data.contact_title", "ContactTitle", codeRequest},
	{"data.contact_phone_number", "ContactPhoneNumber", codePhone},
}

// invalid converts the fault of an event to the fault of the form from which
// the event was made.
func invalid(form *params, p *workflow.Problem) *fault {
	for _, x := range parameters {
		if rest, ok := strings.CutPrefix(p.Field, x.field); ok && (rest == "" || rest[0] == '[') {
			return bad(x.code, "%s is not valid: %s%s", x.name+rest, strings.TrimPrefix(p.Message, p.Field+": "), form.lostPlus(x.name))
		}
	}
	return bad(codeRequest, "%s", p.Message)
}

// refused returns the fault for an event that the rules refused.
func (h *handler) refused(r *request, p *workflow.Problem) error {
	switch p.Code {
	case workflow.CodeImmutable, workflow.CodeStatus, workflow.CodeRound:
		return bad(codeImmutable, "Authorization Document cannot be changed: %s", p.Message)
	case workflow.CodeOrderTaken, workflow.CodeNumberTaken:
		return bad(codeNotHostable, "HostedNumberOrderSids cannot be hosted: %s", p.Message)
	case workflow.CodeExists:
		return bad(codeRequest, "Idempotency-Key was used before, for another request; use a new key for a new document")
	case workflow.CodeTooManyEmails:
		h.Metrics.limited.WithLabelValues("document").Inc()
		return tooManyEmails(p.Message, p.Until.Sub(h.Now()))
	case workflow.CodeAccount, workflow.CodeErased:
		return notFound(r.http.URL.Path)
	}
	return invalid(r.params, p)
}
