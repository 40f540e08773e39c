// Package report reads what mail servers send back to the return path: delivery
// status reports (RFC 3464), failures in words, and automatic replies (RFC 3834).
// It says which emails of ours a message is about and what happened to them.
package report

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"countersign/internal/mail/mailid"
	"countersign/workflow"
)

// Reading is what a message to the return path says. Exactly one of Reports,
// Automatic and Unread tells what it is; an automatic reply that names an email
// of ours has a report, too.
type Reading struct {
	ID        string             // the message's Message-ID, or the digest of its bytes: a second copy has the same
	Reports   []workflow.Bounced // what mail servers say of emails; addresses and links in it are "<…>"
	Automatic bool               // it is an automatic reply (RFC 3834), such as a vacation notice
	Unread    *Unread            // nil: it was understood
}

// Unread is a message that was not understood. Addresses and links in it are
// replaced by "<…>".
type Unread struct {
	Digest  string            // SHA-256 of the message in hex; a second copy has the same
	Reason  string            // why it was not understood
	From    string            // the domain of its sender, "" if it has none
	Subject string            // at most 500 bytes
	Mails   []workflow.MailID // the emails of ours that it names
	Text    string            // its header, and those parts that people can read; at most 64 KiB
}

// ErrEmpty means that the message has no bytes: the pipe that should have
// delivered it is broken.
var ErrEmpty = errors.New("the message is empty: the pipe that it should come through is broken")

const (
	maxReport = 4 << 20 // bytes of a message that are read: the report comes before the letter that it brings back
	maxText   = 1 << 20 // bytes of the parts for people that are read
	maxID     = 200     // bytes of a Message-ID that is kept
)

// Read reads a message as a mail server sends it to the return path: a delivery
// status report (RFC 3464) in any shape, the text of a mail server that writes
// none, or an automatic reply. Any other message is returned as unread. Read
// fails with ErrEmpty, or with an error of from.
func Read(from io.Reader) (Reading, error) {
	raw, err := io.ReadAll(io.LimitReader(from, maxReport))
	if err == nil {
		_, err = io.Copy(io.Discard, from) // a mail server counts it as a failure if the pipe closes early
	}
	if err != nil {
		return Reading{}, fmt.Errorf("read a report: %w", err)
	}
	if raw = plainLines(raw); len(raw) == 0 {
		return Reading{}, ErrEmpty
	}
	sum := sha256.Sum256(raw)
	digest := hex.EncodeToString(sum[:])
	m := examine(parseEntity(raw), 0)
	r := Reading{ID: reportID(m.head.get("message-id"), digest)}
	reports, understood := m.reports()
	switch {
	case len(reports) > 0:
		r.Reports = reports
	case m.automatic():
		r.Automatic = true
		if ids := m.marks(); len(ids) > 0 {
			r.Reports = byDocument(workflow.Bounced{Action: workflow.ActionReplied, Status: "2.0.0"}, ids)
		}
	default:
		reason := "it is neither a delivery status report (RFC 3464) nor an automatic reply"
		if understood {
			reason = "it reports on an email, and names none that was sent from here"
		} else if m.machine() {
			reason = "a mail server wrote it, and it does not say what became of an email"
		}
		r.Unread = m.unread(digest, reason)
	}
	return r, nil
}

func reportID(id, digest string) string {
	id = strings.Trim(id, "<> \t")
	printable := !strings.ContainsFunc(id, func(r rune) bool { return r <= ' ' || r > '~' })
	if id != "" && len(id) <= maxID && printable {
		return id
	}
	return "sha256:" + digest
}

// found has the parts of a message that matter here.
type found struct {
	head     entity
	status   [][]field // of the parts that are reports: the fields about the message, and about each recipient
	loose    [][]field // the same, from parts that are not marked as reports
	returned [][]field // headers of the emails that it returns
	texts    []string  // texts for people
	words    []string  // the same, without the mails copied below
	nested   []found   // messages in it
}

// examine reads the parts of a message.
func examine(e entity, depth int) found {
	m := found{head: e}
	m.walk(e, depth)
	for _, n := range m.nested {
		if _, ok := n.outcome(); !ok {
			m.returned = append(m.returned, n.head.header)
		}
	}
	return m
}

func (m *found) walk(e entity, depth int) {
	if depth > maxNesting {
		return
	}
	kind, _ := e.kind()
	if !strings.HasPrefix(kind, "message/") {
		if parts := e.parts(); len(parts) > 0 {
			for _, p := range parts {
				m.walk(p, depth+1)
			}
			return
		}
	}
	switch kind {
	case "message/delivery-status", "message/global-delivery-status":
		m.status = append(append(m.status, own(e)...), blocks(e.decoded())...)
	case "message/rfc822", "message/global", "message/news", "message/partial":
		m.nested = append(m.nested, examine(parseEntity(plainLines(e.decoded())), depth+1))
	case "text/rfc822-headers", "message/global-headers", "message/rfc822-headers":
		all := slices.Concat(own(e)...)
		m.returned = append(m.returned, append(all, parseEntity(plainLines(e.decoded())).header...))
	default:
		m.read(e, kind)
	}
}

// own returns the fields of a report that are in the header of a part because
// the empty line after the header is missing.
func own(e entity) [][]field {
	var rest []field
	for _, f := range e.header {
		if !strings.HasPrefix(f.name, "content-") {
			rest = append(rest, f)
		}
	}
	return [][]field{rest}
}

// read takes a part that is neither a report nor a message.
func (m *found) read(e entity, kind string) {
	if strings.HasPrefix(kind, "image/") || strings.HasPrefix(kind, "application/pdf") {
		return
	}
	text := string(e.decoded())
	text = text[:min(len(text), m.room())]
	if kind == "text/html" {
		text = fromHTML(text)
	}
	if statusFields.MatchString(text) {
		m.loose = append(m.loose, blocks([]byte(text))...)
	}
	if kind == "" || strings.HasPrefix(kind, "text/") {
		before, copied := splitCopy(text)
		m.texts, m.words = append(m.texts, text), append(m.words, before)
		if copied != nil {
			m.returned = append(m.returned, copied)
		}
	}
}

// room is how many bytes of text may still be read.
func (m *found) room() int {
	left := maxText
	for _, t := range m.texts {
		left -= len(t)
	}
	return max(left, 0)
}

// reports lists what a message says about our emails, and tells whether it says
// anything about an email at all. A message that is not a report may contain
// reports that a person has forwarded.
func (m *found) reports() (list []workflow.Bounced, understood bool) {
	if b, ok := m.outcome(); ok {
		return byDocument(b, m.marks()), true
	}
	for _, n := range m.nested {
		more, ok := n.reports()
		list, understood = append(list, more...), understood || ok
	}
	return list[:min(len(list), maxReports)], understood
}

const (
	maxReports = 20 // of one message
	maxMarks   = 8  // of one report
)

// byDocument makes a report for each document whose emails are named: an event
// is about one document. It counts for the first of these emails that was sent,
// which the rules decide.
func byDocument(b workflow.Bounced, ids []workflow.MailID) (list []workflow.Bounced) {
	for _, id := range ids[:min(len(ids), maxMarks)] {
		i := slices.IndexFunc(list, func(r workflow.Bounced) bool { return r.Mail.Document() == id.Document() })
		if i >= 0 {
			list[i].Candidates = append(list[i].Candidates, id)
			continue
		}
		b.Mail = id
		list = append(list, b)
	}
	return list
}

// marks lists the emails that a report may be about, the surest mark first:
// what only our own server and the reporting one know, then what is in the
// email itself, then what the report refers to, then its words.
func (m *found) marks() (ids []workflow.MailID) {
	add := func(values ...string) {
		for _, v := range values {
			for _, id := range mailid.Find(v) {
				if !slices.Contains(ids, id) {
					ids = append(ids, id)
				}
			}
		}
	}
	status := slices.Concat(append(slices.Clone(m.status), m.loose...)...)
	add(entity{header: status}.values("original-envelope-id", "x-original-envelope-id")...)
	add(m.head.values(recipientFields...)...)
	foreign := false // it returns an email that is not ours
	for _, names := range [][]string{{strings.ToLower(mailid.Header)}, {"message-id"}, nil} {
		for _, header := range m.returned {
			for _, f := range header {
				if slices.Contains(names, f.name) || names == nil && !refers(f.name) {
					add(f.value)
				}
				foreign = foreign || f.name == "message-id" && len(mailid.Find(f.value)) == 0
			}
		}
	}
	for _, f := range status {
		add(f.value)
	}
	if foreign { // somebody's answer to an email of ours came back, and refers to it
		return ids
	}
	if answers := m.head.values("in-reply-to"); len(answers) > 0 {
		add(answers...)
	} else if references := strings.Fields(m.head.get("references")); len(references) > 0 {
		add(references[len(references)-1]) // the nearest
	}
	for _, f := range m.head.header {
		if !refers(f.name) && f.name != "message-id" {
			add(f.value)
		}
	}
	for _, text := range m.texts {
		add(referring.ReplaceAllString(text, ""))
	}
	return ids
}

// recipientFields name whom a message was sent to: the return path.
var recipientFields = []string{
	"delivered-to", "x-original-to", "envelope-to", "x-envelope-to", "x-rcpt-to", "x-delivered-to", "to", "x-forwarded-to", "resent-to", "apparently-to", "cc",
}

// refers reports whether a header field refers to other messages.
func refers(name string) bool {
	for _, word := range []string{"reply", "references", "thread", "parent"} {
		if strings.Contains(name, word) {
			return true
		}
	}
	return false
}

// daemon reports whether the message says that a mail server wrote it.
func (m *found) daemon() bool {
	kind, params := m.head.kind()
	if kind == "multipart/report" && !strings.EqualFold(params["report-type"], "disposition-notification") || m.head.get("x-failed-recipients") != "" {
		return true
	}
	return slices.ContainsFunc(m.head.values("from", "sender", "reply-to"), daemons.MatchString)
}

// machine reports whether a mail server wrote the words of the message: the
// message says so, or it wants no reply and is not an automatic reply.
func (m *found) machine() bool {
	if personal.MatchString(decodeWords(m.head.get("subject"))) {
		return false // the postmaster in person
	}
	return m.daemon() || strings.Trim(m.head.get("return-path"), " \t") == "<>" && !m.replies()
}

// automatic reports whether the message is an automatic reply (RFC 3834), or a
// notice that somebody read a mail (RFC 8098). If it says that something
// failed, it does not count as automatic, so that an operator sees it.
func (m *found) automatic() bool {
	if kind, params := m.head.kind(); kind == "multipart/report" {
		return strings.EqualFold(params["report-type"], "disposition-notification")
	}
	return m.replies() && !m.daemon() && !failureSubject.MatchString(decodeWords(m.head.get("subject")))
}

// replies reports whether the header says that a program replied: by RFC 3834,
// section 5, or by what programs wrote before it.
func (m *found) replies() bool {
	word, _, _ := strings.Cut(strings.ToLower(m.head.get("auto-submitted")), ";")
	if word = strings.TrimSpace(word); word != "" {
		return !strings.HasPrefix(word, "no")
	}
	for _, name := range []string{"x-autoreply", "x-autorespond", "x-autoresponder", "x-auto-reply-from", "x-vacation", "x-ms-exchange-inbox-rules-loop", "x-autogenerated"} {
		if v := m.head.get(name); v != "" && !strings.EqualFold(v, "no") {
			return true
		}
	}
	switch strings.ToLower(m.head.get("precedence")) {
	case "auto_reply", "auto-reply":
		return true
	}
	return awaySubject.MatchString(decodeWords(m.head.get("subject")))
}
