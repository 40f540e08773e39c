package mail

import (
	"errors"
	"fmt"
	"net/textproto"
	"regexp"
	"strconv"
	"strings"
	"unicode"

	gomail "github.com/wneessen/go-mail"

	"countersign/workflow"
)

// Result is what became of a mail.
type Result struct {
	Outcome workflow.Outcome // Accepted, Rejected, Deferred or Unknown
	Code    int              // the reply code of the server; 0 where it gave none
	Reply   string           // the server's words, or what went wrong; every address in it is "<…>"

	// Server says that the trouble is the server's or the connection's, from
	// dialing to AUTH: every other mail would meet it too.
	Server bool
}

// classify says what became of a mail by what go-mail says of the attempt. An
// accepted mail counts as accepted, whatever happened to the connection after.
func classify(err error, msg *gomail.Msg) Result {
	if msg.IsDelivered() {
		return Result{Outcome: workflow.Accepted, Code: 250, Reply: msg.ServerResponse()}
	}
	var failed *gomail.SendError
	if !errors.As(err, &failed) {
		return Result{Outcome: workflow.Deferred, Reply: fmt.Sprint(err)}
	}
	r := Result{Outcome: workflow.Deferred, Code: failed.ErrorCode(), Reply: words(failed)}
	switch {
	case wantsAuth(r.Code):
		r.Server = true
	case r.Code/100 == 5:
		r.Outcome = workflow.Rejected
	case r.Code == 0 && failed.Reason == gomail.ErrSMTPDataClose:
		r.Outcome = workflow.Unknown
	}
	return r
}

// wantsAuth tells the replies by which a server refuses any mail of a client
// that has not authenticated or encrypted as it should (RFC 4954 section 6,
// RFC 3207 section 4). They say nothing of the mail they answer.
func wantsAuth(code int) bool {
	switch code {
	case 530, 534, 535, 538:
		return true
	}
	return false
}

// begun reports whether the server may have seen something of the message.
func begun(err error) bool {
	var failed *gomail.SendError
	if !errors.As(err, &failed) {
		return true
	}
	switch failed.Reason {
	case gomail.ErrConnCheck, gomail.ErrSMTPMailFrom, gomail.ErrSMTPRcptTo, gomail.ErrSMTPData:
		return false
	}
	return true
}

// gone reports whether the connection is of no more use: it broke, or the
// server said that it closes it (RFC 5321 section 3.8).
func gone(r Result) bool { return r.Code == 0 || r.Code == 421 }

// setup is the result of a mail for which no connection could be made.
func setup(err error) Result {
	r := Result{Outcome: workflow.Deferred, Reply: err.Error(), Server: true}
	var reply *textproto.Error
	if errors.As(err, &reply) {
		r.Code, r.Reply = reply.Code, reply.Msg
	}
	return r
}

// words takes the server's words out of go-mail's error, which quotes them, and
// adds what became of the RSET after and who was to get the mail. Where there
// was no reply, the step that failed stays.
func words(err *gomail.SendError) string {
	s, code := err.Error(), err.ErrorCode()
	if code == 0 {
		s, _, _ = strings.Cut(s, ", ")
		return s
	}
	s = strings.TrimPrefix(s, fmt.Sprintf("%s: %d ", err.Reason, code))
	if quoted, err := strconv.QuotedPrefix(s); err == nil {
		s, _ = strconv.Unquote(quoted)
	}
	return s
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
