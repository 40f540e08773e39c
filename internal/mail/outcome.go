package mail

import (
	"errors"
	"fmt"
	"net/textproto"
	"regexp"
	"strings"
	"unicode"

	"countersign/workflow"
)

// Result is what became of a mail.
type Result struct {
	Outcome workflow.Outcome // Accepted, Rejected, Deferred or Unknown
	Code    int              // the reply code of the server; 0 where it gave none
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

// result says what became of a mail in a dialogue that came this far: words are
// the server's if it accepted, and err is what ended it if it did not. Whose
// fault a refusal is does not count yet; see jury.
func result(at Stage, code int, words string, err error) Result {
	r := Result{Outcome: workflow.Deferred, Code: code, Reply: words, Stage: at}
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
func gone(r Result) bool { return r.Code == 0 || r.Code == 421 }

// setup is the result of a mail for which no connection could be made.
func setup(err error) Result {
	r := Result{Outcome: workflow.Deferred, Reply: err.Error(), Stage: AtConnect, Server: true}
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

// maxReply is how many bytes of a reply are kept.
const maxReply = 500

// address matches whatever holds an at sign, written as such or as URLs do,
// with all that touches it: too much rather than too little.
var address = regexp.MustCompile(`(?i)<?(?:"(?:[^"\\]|\\.)*"|[^\s<>()\[\],;:"\\]*)(?:@|＠|%40)(?:\[[^\]\s]*\]|[^\s<>()\[\],;:"\\]*)>?`)

// blot makes a reply fit for logs and histories: one line of bounded length
// without control characters, in which no address and no secret is left.
func blot(reply string, secrets ...string) string {
	reply = strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(reply, "?"))
	for _, s := range secrets {
		if s != "" {
			reply = strings.ReplaceAll(reply, s, "<…>")
		}
	}
	reply = strings.Join(strings.Fields(address.ReplaceAllString(reply, "<…>")), " ")
	if len(reply) > maxReply {
		reply = strings.ToValidUTF8(reply[:maxReply], "") + "…"
	}
	return reply
}
