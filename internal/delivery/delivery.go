// Package delivery says what happened to an email that was given to the mail
// server: the outcome, the server's reply, and whom the reply is about. The mail
// client writes it and the relay reads it.
package delivery

import (
	"countersign/workflow"
)

// Result is what happened to an email.
type Result struct {
	Outcome workflow.Outcome // Accepted, Rejected, Deferred or Unknown
	Code    int              // the reply code of the server; 0 if it gave none
	Reply   string           // the server's words, or what went wrong; every address in it is "<…>"
	Stage   Stage            // how far the dialogue got; empty if it did not begin

	// Server says that the fault is between us and the server: the server is
	// away, or refuses something that does not depend on the recipient. It
	// would affect every other email, too.
	Server bool
	Alike  string // with Server: equal for replies that say the same

	// Unsure says that the email was refused with a code that does not tell
	// whether it is about the recipient or about us: retry it once soon, and
	// then reject it.
	Unsure bool
}

// Stage is how far the dialogue with the mail server got.
type Stage = string

// The stages, in order. A reply belongs to the command that it answers.
const (
	AtConnect  Stage = "connect" // TCP, TLS from the first byte, and the greeting
	AtEHLO     Stage = "EHLO"
	AtSTARTTLS Stage = "STARTTLS"
	AtAUTH     Stage = "AUTH"
	AtMAIL     Stage = "MAIL"
	AtRCPT     Stage = "RCPT"
	AtDATA     Stage = "DATA"
	AtMessage  Stage = "message"   // between DATA and the dot, when the server answers nothing
	AtDot      Stage = "final dot" // the message is there; the reply decides
)
