// Package delivery says what happened to an email that was given to the mail
// server: the outcome, the server's reply, and whom the reply is about. The mail
// client writes it and the relay reads it.
package delivery

import (
	"countersign/workflow"
)

// Result is what became of a mail.
type Result struct {
	Outcome workflow.Outcome // Accepted, Rejected, Deferred or Unknown
	Code    int              // the reply code of the server; 0 if it gave none
	Reply   string           // the server's words, or what went wrong; every address in it is "<…>"
	Stage   Stage            // how far the dialogue came; empty if it did not begin

	// Server says that the trouble is between us and the server: it is away, or it
	// refuses what has nothing to do with the recipient. Every other mail would
	// meet it too.
	Server bool
	Alike  string // with Server: equal for replies that say the same

	// Unsure says that a deferred mail was refused by a code that leaves open whom
	// it is about: it should be tried once more soon, and then it is rejected.
	Unsure bool
}

// Stage is how far the dialogue with the mail server had come.
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
