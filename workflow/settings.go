package workflow

import (
	"reflect"
	"time"
)

// Timers says when the signer of a letter is reminded, when the letter expires
// unsigned, and how long a signed one stays fresh. Times are in seconds; 0 is
// never.
type Timers struct {
	RemindAfter int64 `json:"remind_after_seconds,omitempty"` // from the moment the letter is sent to the first reminder
	RemindEvery int64 `json:"remind_every_seconds,omitempty"` // from each reminder to the next; 0 for no second one
	RemindMost  int   `json:"remind_at_most,omitempty"`       // reminders of a round
	ExpireAfter int64 `json:"expire_after_seconds,omitempty"` // from the moment the letter is sent; then the document fails
	FreshFor    int64 `json:"fresh_for_seconds,omitempty"`    // from the signature on; then the letter is too old for orders that are not completed
}

// OwnTimers are what a document has in place of the settings in force. What is
// left out is as the settings have it; 0 is never.
type OwnTimers struct {
	RemindAfter *int64 `json:"remind_after_seconds,omitempty"` // from the moment the letter is sent to the first reminder
	RemindEvery *int64 `json:"remind_every_seconds,omitempty"` // from each reminder to the next; 0 for no second one
	RemindMost  *int   `json:"remind_at_most,omitempty"`       // reminders of a round
	ExpireAfter *int64 `json:"expire_after_seconds,omitempty"` // from the moment the letter is sent; then the document fails
	FreshFor    *int64 `json:"fresh_for_seconds,omitempty"`    // from the signature on; then the letter is too old for orders that are not completed
}

// With returns the timers of a document that has its own, which may be nil.
func (t Timers) With(own *OwnTimers) Timers {
	if own != nil {
		set(&t.RemindAfter, own.RemindAfter)
		set(&t.RemindEvery, own.RemindEvery)
		set(&t.RemindMost, own.RemindMost)
		set(&t.ExpireAfter, own.ExpireAfter)
		set(&t.FreshFor, own.FreshFor)
	}
	return t
}

// orNil returns nil for timers that say nothing.
func (o *OwnTimers) orNil() *OwnTimers {
	if o == nil || *o == (OwnTimers{}) {
		return nil
	}
	return o
}

// same reports whether two documents' own timers say the same.
func (o *OwnTimers) same(other *OwnTimers) bool {
	return reflect.DeepEqual(o.orNil(), other.orNil())
}

// Seconds is a number of seconds of a contract as a duration.
func Seconds(n int64) time.Duration { return time.Duration(n) * time.Second }

// Notices lists the statuses of which cc can be told beside signing and signed.
var Notices = []Status{Canceled, Failed}
