package mail

import (
	"errors"
	"fmt"
	"net/textproto"

	"countersign/internal/delivery"
	"countersign/workflow"
)

// result says what became of a mail in a dialogue that came this far: words are
// the server's if it accepted, and err is what ended it if it did not. Whose
// fault a refusal is does not count yet; see jury.
func result(at delivery.Stage, code int, words string, err error) delivery.Result {
	r := delivery.Result{Outcome: workflow.Deferred, Code: code, Reply: words, Stage: at}
	if err != nil {
		r.Code, r.Reply = 0, fmt.Sprintf("no reply to %s: %s", at, err)
	}
	var reply *textproto.Error
	if errors.As(err, &reply) {
		r.Code, r.Reply = reply.Code, reply.Msg
	}
	switch blame(at, r.Code, enhancedOf(r.Reply), false) {
	case faultNone:
		r.Outcome = workflow.Accepted
	case faultRecipient:
		r.Outcome = workflow.Rejected
	case faultUs:
		r.Server = true
	case faultUnknown:
		r.Outcome = workflow.Unknown
	}
	return r
}

// gone reports whether the connection is of no more use: it broke, or the
// server said that it closes it (RFC 5321 section 3.8).
func gone(r delivery.Result) bool { return r.Code == 0 || r.Code == 421 }

// setup is the result of a mail for which no connection could be made.
func setup(err error) delivery.Result {
	r := delivery.Result{Outcome: workflow.Deferred, Reply: err.Error(), Stage: delivery.AtConnect, Server: true}
	var failed stageError
	if errors.As(err, &failed) {
		r.Stage, r.Reply = failed.at, failed.err.Error()
	}
	var reply *textproto.Error
	if errors.As(err, &reply) {
		r.Code, r.Reply = reply.Code, reply.Msg
	}
	return r
}
