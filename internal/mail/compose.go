package mail

import (
	"crypto"
	"errors"
	"fmt"
	netmail "net/mail"
	"strconv"
	"strings"
	"time"

	"github.com/emersion/go-msgauth/dkim"

	"countersign/internal/loa"
	"countersign/internal/mail/mailid"
	"countersign/workflow"
)

// composer writes the messages of pending emails.
type composer struct {
	headerFrom    string
	headerReplyTo string           // empty for none
	envelopeFrom  string           // unless there is a returnPath
	returnPath    *netmail.Address // of the envelope; nil: envelopeFrom
	listID        string
	domain        string // of the sender; Message-IDs end in it
	sender        string // what the text calls the sender
	link          func(workflow.Mail) (url string, signBy time.Time)
	now           func() time.Time
	shapes        shapes
	dkim          *DKIM         // nil: not signed
	key           crypto.Signer // of dkim
}

// outgoing is a message that is ready to be sent.
type outgoing struct {
	from, to string // of the envelope, in angle brackets
	id       workflow.MailID
	content  []byte   // until release: header and body; each line ends in CR LF
	release  func()   // ends the use of content
	secrets  []string // what a server that quotes the message must not bring into a log
	doubted  bool     // it was in doubt before
}

func newComposer(c Config) (*composer, error) {
	p := &composer{link: c.Link, dkim: c.DKIM, now: c.Now}
	if p.now == nil {
		p.now = time.Now
	}
	from, err := mailbox(c.From)
	if err != nil {
		return nil, fmt.Errorf("sender: %w", err)
	}
	p.headerFrom, p.envelopeFrom = from.String(), (&netmail.Address{Address: from.Address}).String()
	if c.ReplyTo != "" {
		replyTo, err := mailbox(c.ReplyTo)
		if err != nil {
			return nil, fmt.Errorf("reply-to: %w", err)
		}
		p.headerReplyTo = replyTo.String()
	}
	if c.ReturnPath != "" {
		if p.returnPath, err = mailbox(c.ReturnPath); err != nil {
			return nil, fmt.Errorf("return path: %w", err)
		}
	}
	p.domain = domainOf(from.Address)
	p.listID = encode("<authorization." + p.domain + ">")
	if p.sender = plain(from.Name); p.sender == "" {
		p.sender = p.domain
	}
	if p.key, err = c.DKIM.key(); err != nil {
		return nil, err
	}
	p.shapes.pages, err = parse()
	return p, err
}

// write writes the message of an email. It fails if the email has no document or its
// kind has no words.
func (c *composer) write(email Message, to *netmail.Address) (outgoing, error) {
	m := email.Mail
	if m.About == nil {
		return outgoing{}, errors.New("the email has no document")
	}
	w := of(m.About.Locale)
	if w.kinds[m.Kind] == nil {
		return outgoing{}, fmt.Errorf("there are no words for emails of the kind %q", m.Kind)
	}
	v := c.view(w, m)
	v.Attached = email.Letter != nil
	if m.Kind == workflow.MailSigned && email.Download != "" {
		v.Link, v.Expires = email.Download, loa.Moment(w.Language, email.Until)
	}
	from, err := c.sentBy(m.ID)
	if err != nil {
		return outgoing{}, fmt.Errorf("return path: %w", err)
	}
	written, err := c.message(email, v, to)
	if err != nil {
		return outgoing{}, err
	}
	out := outgoing{from: from, to: to.String(), id: m.ID, content: written.Bytes(), secrets: secrets(v.Link), release: written.release}
	if c.dkim != nil {
		if out.content, err = c.sign(out.content); err != nil {
			return outgoing{}, fmt.Errorf("sign the email by DKIM: %w", err)
		}
	}
	return out, nil
}

// sentBy returns the sender of an email's envelope.
func (c *composer) sentBy(id workflow.MailID) (string, error) {
	if c.returnPath == nil {
		return c.envelopeFrom, nil
	}
	a, err := netmail.ParseAddress(mailid.ReturnPath(c.returnPath.Address, id))
	if err != nil {
		return "", err
	}
	return (&netmail.Address{Address: a.Address}).String(), nil
}

// message writes header and body of a message.
func (c *composer) message(email Message, v view, to *netmail.Address) (*message, error) {
	values := v.values(nil)
	shape, err := c.shapes.of(email.Mail.Kind, v, values)
	if err != nil {
		return nil, err
	}
	href := ""
	if v.Link != "" {
		if href, err = c.shapes.pages.href(v.Link); err != nil {
			return nil, fmt.Errorf("write the link of an email: %w", err)
		}
	}
	b := newMessage(len(email.Letter))
	c.header(b, email.Mail, b.text(shape.subject, given{values, href}), to)
	b.body(email, shape, given{values, href})
	return b, nil
}

// header writes the header of a message up to its Content-Type.
func (c *composer) header(b *message, m workflow.Mail, subject string, to *netmail.Address) {
	b.field("Auto-Submitted", "auto-generated") // RFC 3834
	b.field("Date", c.now().Format(time.RFC1123Z))
	own, answers, references := c.identify(m)
	if answers != "" {
		b.field("In-Reply-To", encode(answers))
	}
	b.field("List-Id", c.listID) // RFC 2919; for filters
	b.field("MIME-Version", "1.0")
	b.field("Message-ID", encode(own))
	if references != "" {
		b.field("References", encode(references))
	}
	b.field("Subject", encode(subject))
	// "All" would keep Exchange from reporting a mail that it cannot deliver.
	b.field("X-Auto-Response-Suppress", "DR, RN, NRN, OOF, AutoReply")
	b.field(mailid.Header, encode(string(m.ID)))
	b.field("From", c.headerFrom)
	b.field("To", to.String())
	if c.headerReplyTo != "" {
		b.field("Reply-To", c.headerReplyTo)
	}
}

// fileName is what the letter of a document is called. A sid has letters and digits
// only; whatever else is in one is left out.
func fileName(document workflow.SID) string {
	return strings.Map(func(r rune) rune {
		if !alphanumeric(r) {
			return -1
		}
		return r
	}, string(document)) + ".pdf"
}

// identify returns the Message-ID of an email, which is the same each time the email
// is tried, and the references by which mail programs show the emails about one
// document together. A cc never got the signature email that these name; a
// common root groups all the same (RFC 5322 section 3.6.4).
func (c *composer) identify(m workflow.Mail) (own, answers, references string) {
	own = "<" + string(m.ID) + "@" + c.domain + ">"
	first := c.root(m.Document, 1)
	if own == first {
		return own, "", ""
	}
	current := c.root(m.Document, m.Round)
	switch {
	case own == current:
		return own, "", first
	case m.Round > 1:
		return own, current, first + " " + current
	}
	return own, current, current
}

// root is the Message-ID of a round's signature mail.
func (c *composer) root(document workflow.SID, round int) string {
	return "<" + string(document) + "." + strconv.Itoa(round) + "." + string(workflow.MailSignature) + ".0@" + c.domain + ">"
}

// signed are the header fields of the DKIM signature. Those that say who speaks
// to whom are listed once more than they are there, so that none can be added
// (RFC 6376 section 8.15).
var signed = []string{"From", "To", "Reply-To", "Subject", "Date", "Message-ID", "Content-Type", "From", "To", "Subject"}

// sign puts the DKIM signature before a message.
func (c *composer) sign(content []byte) ([]byte, error) {
	s, err := dkim.NewSigner(c.dkim.options(c.key))
	if err != nil {
		return nil, err
	}
	_, wrong := s.Write(content)
	if err := errors.Join(wrong, s.Close()); err != nil {
		return nil, err
	}
	return append([]byte(s.Signature()), content...), nil
}

// secrets lists what of a link must not be repeated: the link, and every part
// of its path and query that is long enough for a token.
func secrets(link string) []string {
	const shortest = 16
	list := []string{link}
	_, rest, _ := strings.Cut(link, "://")
	_, rest, _ = strings.Cut(rest, "/")
	for _, part := range strings.FieldsFunc(rest, func(r rune) bool { return strings.ContainsRune("/?&=#", r) }) {
		if len(part) >= shortest {
			list = append(list, part)
		}
	}
	return list
}
