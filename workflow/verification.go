package workflow

import (
	"fmt"
	"slices"
	"time"
)

// The CloudEvents types of the events about the verification of an order's
// number.
const (
	TypeVerify       = "hosted_number_order.verify"
	TypeVerification = "hosted_number_order.verification"
	TypeVerified     = "hosted_number_order.verification_reported"
)

// The limits of a verification (Twilio, HostedNumberOrder resource, "Status
// values").
const (
	CodeLifetime = 10 * time.Minute // how long a code is valid, by the log's time
	MaxAttempts  = 3                // wrong or expired codes; then the order needs somebody
	MaxCalls     = 10               // verifications of an order that can be asked for
)

// Verify asks for the owner of an order's number to prove that it is theirs. Who
// publishes it makes the code, from a source of randomness that nobody can
// guess: the log is the only place that has it.
type Verify struct {
	Method    VerificationType `json:"verification_type"`    // how
	Code      string           `json:"code,omitempty"`       // what the call says, 4 to 10 digits; for phone-call
	CallDelay int              `json:"call_delay,omitempty"` // seconds before the call, 0 to 60
	Extension string           `json:"extension,omitempty"`  // what is dialled after the number: digits, #, * and w
}

// Verification asks the telephony service to call the number and say the code,
// or to look at the bill. The service reports with a verification_reported event.
type Verification struct {
	OrderSID    SID              `json:"hosted_number_order_sid"`             // the order
	AccountSID  SID              `json:"account_sid"`                         // whose order it is
	Sequence    uint64           `json:"sequence"`                            // of the event that asked for it
	PhoneNumber string           `json:"phone_number"`                        // whom to call, E.164
	Method      VerificationType `json:"verification_type"`                   // how
	Code        string           `json:"code,omitempty"`                      // what to say; for phone-call
	CallDelay   int              `json:"call_delay,omitempty"`                // seconds before the call
	Extension   string           `json:"extension,omitempty"`                 // what to dial after the number
	DocumentSID SID              `json:"verification_document_sid,omitempty"` // the bill, for phone-bill
	Until       time.Time        `json:"until"`                               // when the code stops being valid
}

// VerificationReported gives the code back, or says what the telephony service
// found.
type VerificationReported struct {
	Code    string `json:"code,omitempty"`     // the code, as the owner of the number heard it
	Result  string `json:"result,omitempty"`   // verified or failed, by the telephony service; ignored if the REST API wrote the event
	CallSID string `json:"call_sid,omitempty"` // the call, "CA…"
}

// VerificationResults lists what a telephony service can report.
var VerificationResults = []string{string(OrderVerified), string(OrderFailed)}

// VerificationState is how far the verification of an order has come.
type VerificationState struct {
	Method   VerificationType `json:"type,omitempty"`      // how
	Asked    uint64           `json:"asked_by,omitempty"`  // sequence of the event that last asked for it
	Code     string           `json:"code,omitempty"`      // the code that is valid
	Until    time.Time        `json:"until,omitzero"`      // until when it is
	Calls    int              `json:"calls,omitempty"`     // how often it was asked for
	Attempts int              `json:"attempts,omitempty"`  // wrong or expired codes, and failed calls
	CallSIDs []string         `json:"call_sids,omitempty"` // the calls that were reported
	Wrong    uint64           `json:"wrong,omitempty"`     // sequence of the last event with a wrong or an expired code
}

// Type implements Body.
func (Verify) Type() string { return TypeVerify }

// Type implements Body.
func (Verification) Type() string { return TypeVerification }

// Type implements Body.
func (VerificationReported) Type() string { return TypeVerified }

// verify begins a verification.
func (d *decider) verify(e Entry, b Verify) *Problem {
	o, p := d.created(e)
	v := o.Verification
	switch {
	case p != nil:
		return p
	case o.PhoneNumber == "":
		return problem(CodeStatus, "", "order %s has no number that could be verified", o.SID)
	case v.Attempts >= MaxAttempts || v.Calls >= MaxCalls:
		return problem(CodeVerification, "", "the verification of order %s has been tried too often", o.SID)
	case !o.Own.before(OrderVerified):
		return problem(CodeStatus, "", "order %s is %s; its number cannot be verified", o.SID, o.Own)
	}
	o.Own, o.OwnReason = OrderPendingVerification, ""
	o.Verification = VerificationState{
		Method: b.Method, Asked: e.Sequence, Code: b.Code, Until: d.now.Add(CodeLifetime), Calls: v.Calls + 1, Attempts: v.Attempts,
		CallSIDs: v.CallSIDs, Wrong: v.Wrong,
	}
	o.CallDelay, o.Extension, o.VerificationType = b.CallDelay, b.Extension, b.Method
	d.out.Pending = append(d.out.Pending, PendingEvent{
		Account: o.AccountSID, Document: "_", What: fmt.Sprintf("order.%s.verification.%d", o.SID, e.Sequence), Cause: d.cause.Sequence, At: d.now, Due: d.now,
		Body: Verification{
			OrderSID: o.SID, AccountSID: o.AccountSID, Sequence: e.Sequence, PhoneNumber: o.PhoneNumber, Method: b.Method, Code: b.Code,
			CallDelay: b.CallDelay, Extension: b.Extension, DocumentSID: o.VerificationDocumentSID, Until: o.Verification.Until,
		},
	})
	return d.changeOrder(e, o)
}

// verified applies a code or a report. A wrong code is an event that counts, and
// not one that is refused: it uses up an attempt.
func (d *decider) verified(e Entry, b VerificationReported) *Problem {
	o, p := d.created(e)
	switch {
	case p != nil:
		return p
	case o.Own != OrderPendingVerification:
		return problem(CodeStatus, "", "order %s is %s; no verification of its number is pending", o.SID, o.Own)
	}
	v := &o.Verification
	if b.CallSID != "" && !slices.Contains(v.CallSIDs, b.CallSID) && len(v.CallSIDs) < MaxCalls {
		v.CallSIDs = append(slices.Clone(v.CallSIDs), b.CallSID)
	}
	reported := b.Result
	if e.Writer() == WriterAPI {
		reported = ""
	}
	switch {
	case reported == string(OrderVerified), b.Code != "" && b.Code == v.Code && !d.now.After(v.Until):
		o.Own, v.Code = OrderVerified, ""
	case reported != "" || b.Code != "":
		v.Attempts++
		v.Wrong = e.Sequence
		if v.Attempts >= MaxAttempts {
			o.Own, o.OwnReason, v.Code = OrderActionRequired, "The number was not verified.", ""
		}
	}
	return d.changeOrder(e, o)
}

// unverified takes an order whose number is another one now back to where nobody
// has proved that it is theirs.
func (o *HostedOrder) unverified(before HostedOrder) {
	if before.PhoneNumber == o.PhoneNumber || o.Own != OrderPendingVerification && o.Own != OrderVerified {
		return
	}
	o.Own, o.OwnReason = OrderReceived, ""
	o.Verification = VerificationState{Calls: o.Verification.Calls, Attempts: o.Verification.Attempts}
}
