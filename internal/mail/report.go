package mail

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	netmail "net/mail"
	"regexp"
	"slices"
	"strings"

	"countersign/workflow"
)

// Report is what a mail server says of a mail of ours that it had taken, in a
// report of RFC 3464.
type Report struct {
	workflow.Bounced        // addresses and links in the diagnostic are "<…>"
	ID               string // the report's Message-ID, or else the digest of its bytes: a second copy has the same
}

// The ways in which a message is no report on a mail of ours.
var (
	ErrNoReport = errors.New("not a delivery status report (RFC 3464)")
	ErrNotOurs  = errors.New("a report on no mail of ours: no Message-ID in it is one")
)

const (
	maxReport = 64 << 20 // bytes of a report, which may bring back a mail with its letter
	maxID     = 200      // bytes of a Message-ID that is kept
)

// ReadReport reads a delivery status report as a mail server sends it. It fails
// with ErrNoReport where the message is none, and with ErrNotOurs where it does
// not say which mail it is about. The errors quote nothing of it.
func ReadReport(from io.Reader) (Report, error) {
	raw, err := io.ReadAll(io.LimitReader(from, maxReport+1))
	switch {
	case err != nil:
		return Report{}, fmt.Errorf("read a report: %w", err)
	case len(raw) > maxReport:
		return Report{}, fmt.Errorf("%w: it has more than %d bytes", ErrNoReport, maxReport)
	}
	raw = withoutFromLine(raw)
	msg, err := netmail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		return Report{}, fmt.Errorf("%w: its header cannot be read", ErrNoReport)
	}
	var p reportParts
	p.walk(reportPart{msg.Header.Get("Content-Type"), msg.Header.Get("Content-Transfer-Encoding"), msg.Body}, 0)
	if p.status == nil {
		return Report{}, fmt.Errorf("%w: it has no part of the type message/delivery-status", ErrNoReport)
	}
	b, ok := p.mildest()
	if !ok {
		return Report{}, fmt.Errorf("%w: it says of no recipient what became of the mail", ErrNoReport)
	}
	if b.Mail = p.mail(msg.Header); b.Mail == "" {
		return Report{}, ErrNotOurs
	}
	return Report{Bounced: b, ID: reportID(msg.Header.Get("Message-Id"), raw)}, nil
}

// mail is the mail of ours that a report is about, "" where it is about none.
// The Message-ID that the report says decides. It may be of what somebody
// answered to a mail of ours, and then the references name that one, too.
func (p *reportParts) mail(header netmail.Header) workflow.MailID {
	for _, id := range []string{p.returned, p.status[0]["x-original-message-id"]} {
		if id != "" {
			return ourMail(id)
		}
	}
	if m := ourMail(p.status[0]["original-envelope-id"]); m != "" {
		return m
	}
	id := header.Get("In-Reply-To")
	if references := strings.Fields(header.Get("References")); id == "" && len(references) > 0 {
		id = references[len(references)-1] // the nearest
	}
	return ourMail(id)
}

// withoutFromLine takes off the line by which mailboxes and some mail servers'
// pipes begin a message.
func withoutFromLine(raw []byte) []byte {
	raw = bytes.TrimLeft(raw, "\r\n")
	if bytes.HasPrefix(raw, []byte("From ")) {
		_, raw, _ = bytes.Cut(raw, []byte("\n"))
	}
	return raw
}

func reportID(id string, raw []byte) string {
	id = strings.Trim(id, "<> \t")
	printable := !strings.ContainsFunc(id, func(r rune) bool { return r <= ' ' || r > '~' })
	if id != "" && len(id) <= maxID && printable {
		return id
	}
	sum := sha256.Sum256(raw)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// ourMail finds the id of a mail of ours in a Message-ID, "" where it is not
// one of ours.
func ourMail(id string) workflow.MailID {
	local, _, _ := strings.Cut(strings.Trim(id, "<> \t"), "@")
	if m := workflow.MailID(local); m.Valid() {
		return m
	}
	return ""
}

// severity orders the actions: where a mail went to several addresses behind
// its own, it is lost when all of them are.
var severity = []workflow.Action{
	workflow.ActionDelivered, workflow.ActionRelayed, workflow.ActionExpanded, workflow.ActionDelayed, workflow.ActionFailed,
}

// mildest is what became of the mail where it went best, ok false where no
// recipient is named.
func (p *reportParts) mildest() (b workflow.Bounced, ok bool) {
	best := len(severity)
	for _, block := range p.status {
		word, _, _ := strings.Cut(strings.ToLower(block["action"]), " ")
		action := workflow.Action(word)
		if i := slices.Index(severity, action); i >= 0 && i < best {
			best = i
			b = workflow.Bounced{Action: action, Status: statusOf(action, block), Diagnostic: diagnosticOf(block)}
		}
	}
	return b, best < len(severity)
}

var (
	status = regexp.MustCompile(`^[245]\.[0-9]{1,3}\.[0-9]{1,3}\b`)
	reply  = regexp.MustCompile(`^[245][0-9][0-9]\b`)
	// diagnosticType comes before the words: "smtp;", "x-postfix;".
	diagnosticType = regexp.MustCompile(`^[A-Za-z0-9-]+ *; *`)
	// links of ours, and whatever has the length of their tokens in it: mail
	// servers quote links as they like, with every slash encoded for one.
	links = regexp.MustCompile(`\S*(?:/sign/|/letter/|[A-Za-z0-9_-]{71})\S*`)
)

// statusOf is the status of a recipient. Where a mail server leaves it out, the
// class follows from its words, and else from the action.
func statusOf(action workflow.Action, block map[string]string) string {
	if s := status.FindString(block["status"]); s != "" {
		return s
	}
	words := diagnosticType.ReplaceAllString(block["diagnostic-code"], "")
	if code := reply.FindString(words); code != "" {
		return code[:1] + ".0.0"
	}
	switch action {
	case workflow.ActionFailed:
		return "5.0.0"
	case workflow.ActionDelayed:
		return "4.0.0"
	}
	return "2.0.0"
}

// diagnosticOf is the mail server's words on a recipient, fit to be kept.
func diagnosticOf(block map[string]string) string {
	words := diagnosticType.ReplaceAllString(block["diagnostic-code"], "")
	return blot(links.ReplaceAllString(words, "<…>"))
}
