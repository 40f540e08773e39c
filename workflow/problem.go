package workflow

import (
	"errors"
	"fmt"
	"time"
)

// The ways in which a request can be refused. Any other error is a fault on our
// side and counts as temporary.
var (
	ErrInvalid     = errors.New("invalid")     // it has a value that no event may have
	ErrNotFound    = errors.New("not found")   // it names something that does not exist
	ErrConflict    = errors.New("conflict")    // the document cannot do this now
	ErrUnavailable = errors.New("unavailable") // it cannot be done at the moment
)

// Code is a refusal's name, for programs.
type Code string

// The codes of refusals and dead letters.
const (
	CodeUnreadable     Code = "unreadable"           // dead letter: not an event
	CodeUnknownType    Code = "unknown_type"         // dead letter: an event of a type that the contract does not have
	CodeUnknownVersion Code = "unknown_version"      // dead letter: an event of an unknown schema version
	CodeInvalid        Code = "invalid"              // dead letter: a field has an invalid value
	CodeTooLarge       Code = "too_large"            // dead letter: more bytes or items than allowed
	CodeParkedTooLong  Code = "parked_too_long"      // dead letter: the event that it builds on did not come in time
	CodeParkedTooMany  Code = "parked_too_many"      // dead letter: too many events of the account are parked for the document
	CodeCrashed        Code = "crashed"              // dead letter: it crashed the program twice
	CodeExists         Code = "already_exists"       // the document was created before
	CodeImmutable      Code = "immutable"            // the document is not opened
	CodeStatus         Code = "status_conflict"      // the document cannot move to this status now
	CodeRound          Code = "round_conflict"       // the document is in another round
	CodeOrderTaken     Code = "order_taken"          // the order is on another live document
	CodeNumberTaken    Code = "number_taken"         // the order's telephone number is on another live document
	CodeOrderUnknown   Code = "order_unknown"        // the order is not on this document, or not created
	CodeAddressUnknown Code = "address_unknown"      // the address is not created
	CodeDeleted        Code = "deleted"              // the order or the address was deleted, and cannot be created again
	CodeVerification   Code = "verification_used_up" // the verification of the order has been tried too often
	CodeMailUnknown    Code = "mail_unknown"         // no such mail has been sent about the document
	CodeTooManyEmails  Code = "too_many_emails"      // too many emails have recently asked the signer for the signature
	CodeAccount        Code = "wrong_account"        // the document is another account's
	CodeErased         Code = "erased"               // the document was erased, and cannot be created again
)

// Codes are all codes, those of dead letters first.
var Codes = []Code{
	CodeUnreadable, CodeUnknownType, CodeUnknownVersion, CodeInvalid, CodeTooLarge, CodeParkedTooLong, CodeParkedTooMany, CodeCrashed,
	CodeExists, CodeImmutable, CodeStatus, CodeRound, CodeOrderTaken, CodeNumberTaken, CodeOrderUnknown, CodeAddressUnknown, CodeDeleted, CodeVerification, CodeMailUnknown, CodeTooManyEmails, CodeAccount, CodeErased,
}

// Dead reports whether an event with this code is a dead letter; one with any
// other code was refused.
func (c Code) Dead() bool {
	switch c {
	case CodeUnreadable, CodeUnknownType, CodeUnknownVersion, CodeInvalid, CodeTooLarge, CodeParkedTooLong, CodeParkedTooMany, CodeCrashed:
		return true
	}
	return false
}

// Problem says why an event was refused. Message may quote the event;
// keep it out of logs. It is an error: ErrInvalid for dead letters, ErrConflict
// for refusals.
type Problem struct {
	Code    Code   `json:"code"`
	Message string `json:"message"`         // a sentence for the event's publisher
	Field   string `json:"field,omitempty"` // the field it is about, "data.email"

	Order    SID       `json:"hosted_number_order_sid,omitempty"`    // for order_taken and number_taken: the event's order
	Document SID       `json:"authorization_document_sid,omitempty"` // for these: the document that has the order or the number; left out if it is another account's
	Until    time.Time `json:"not_before,omitzero"`                  // for too_many_emails: when the event may be sent again
}

// Error implements error.
func (p *Problem) Error() string { return p.Message }

// Unwrap returns ErrInvalid for a dead letter and ErrConflict for a refusal.
func (p *Problem) Unwrap() error {
	if p.Code.Dead() {
		return ErrInvalid
	}
	return ErrConflict
}

func problem(code Code, field, format string, args ...any) *Problem {
	return &Problem{Code: code, Field: field, Message: fmt.Sprintf(format, args...)}
}

// sentence returns a text that the rules write for people: the message of a
// problem, the reason of a document that failed, a line of a history. No decision
// may depend on it. Tests replace the function (internal/test/reword), so that
// every sentence is another one, and check that all decisions stay the same.
var sentence = func(text string) string { return text }
