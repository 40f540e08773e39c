package workflow

import (
	"errors"
	"fmt"
	"time"
)

// The ways a request can be refused. Any other error is our own trouble and
// is taken to be temporary.
var (
	ErrInvalid     = errors.New("invalid")     // says something that no event can say
	ErrNotFound    = errors.New("not found")   // names what nobody has seen
	ErrConflict    = errors.New("conflict")    // asks for what the document cannot do now
	ErrUnavailable = errors.New("unavailable") // cannot be done at the moment
)

// Code is a refusal's name, for programs.
type Code string

// The codes of refusals and dead letters.
const (
	CodeUnreadable     Code = "unreadable"      // dead letter: not an event
	CodeUnknownType    Code = "unknown_type"    // dead letter: an event, but none of ours
	CodeUnknownVersion Code = "unknown_version" // dead letter: of a schema version not known here
	CodeInvalid        Code = "invalid"         // dead letter: a field has a value it cannot have
	CodeTooLarge       Code = "too_large"       // dead letter: more bytes or items than allowed
	CodeParkedTooLong  Code = "parked_too_long" // dead letter: what it builds on never came
	CodeParkedTooMany  Code = "parked_too_many" // dead letter: too many events wait already for what it builds on
	CodeCrashed        Code = "crashed"         // dead letter: the program died of it, twice
	CodeExists         Code = "already_exists"  // the document was created before
	CodeImmutable      Code = "immutable"       // the document is not opened
	CodeStatus         Code = "status_conflict" // the machine has no such move
	CodeRound          Code = "round_conflict"  // the document is in another round
	CodeOrderTaken     Code = "order_taken"     // the order is on another live document
	CodeNumberTaken    Code = "number_taken"    // the order's telephone number is on another live document
	CodeOrderUnknown   Code = "order_unknown"   // the order is not on this document
	CodeMailUnknown    Code = "mail_unknown"    // no such mail has been sent about the document
	CodeTooManyEmails  Code = "too_many_emails" // the document has asked its signer by email too often lately
	CodeAccount        Code = "wrong_account"   // the document is another account's
	CodeErased         Code = "erased"          // the document was erased, and does not come back
)

// Codes are all codes, those of dead letters first.
var Codes = []Code{
	CodeUnreadable, CodeUnknownType, CodeUnknownVersion, CodeInvalid, CodeTooLarge, CodeParkedTooLong, CodeParkedTooMany, CodeCrashed,
	CodeExists, CodeImmutable, CodeStatus, CodeRound, CodeOrderTaken, CodeNumberTaken, CodeOrderUnknown, CodeMailUnknown, CodeTooManyEmails, CodeAccount, CodeErased,
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

	Order    SID       `json:"hosted_number_order_sid,omitempty"`    // of order_taken and number_taken: the event's order
	Document SID       `json:"authorization_document_sid,omitempty"` // of these: the document that has the order, or the number; left out if it is another account's
	Until    time.Time `json:"not_before,omitzero"`                  // of too_many_emails: when the event may be sent again
}

// Error implements error.
func (p *Problem) Error() string { return p.Message }

// Unwrap makes a Problem ErrInvalid or ErrConflict.
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
