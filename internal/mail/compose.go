package mail

import (
	"bytes"
	"crypto"
	"errors"
	"fmt"
	"io"
	netmail "net/mail"
	"strings"
	"time"

	gomail "github.com/wneessen/go-mail"

	"countersign/internal/loa"
	"countersign/internal/mail/mailid"
	"countersign/workflow"
)

// composer writes the messages of pending emails.
type composer struct {
	from, replyTo *netmail.Address // replyTo may be nil
	returnPath    *netmail.Address // of the envelope; nil: from
	domain        string           // of from; Message-IDs end in it
	sender        string           // what the text calls the sender
	link          func(workflow.Mail) (url string, signBy time.Time)
	now           func() time.Time
	pages         pages
	dkim          *DKIM         // nil: not signed
	key           crypto.Signer // of dkim
}

// outgoing is a message that is ready to be sent.
type outgoing struct {
	msg     *gomail.Msg
	secrets []string // what a server that quotes the message must not bring into a log
}

func newComposer(c Config) (composer, error) {
	p := composer{link: c.Link, dkim: c.DKIM, now: c.Now}
	if p.now == nil {
		p.now = time.Now
	}
	var err error
	if p.from, err = mailbox(c.From); err != nil {
		return composer{}, fmt.Errorf("sender: %w", err)
	}
	if c.ReplyTo != "" {
		if p.replyTo, err = mailbox(c.ReplyTo); err != nil {
			return composer{}, fmt.Errorf("reply-to: %w", err)
		}
	}
	if c.ReturnPath != "" {
		if p.returnPath, err = mailbox(c.ReturnPath); err != nil {
			return composer{}, fmt.Errorf("return path: %w", err)
		}
	}
	p.domain = domainOf(p.from.Address)
	if p.sender = plain(p.from.Name); p.sender == "" {
		p.sender = p.domain
	}
	if p.key, err = c.DKIM.key(); err != nil {
		return composer{}, err
	}
	p.pages, err = parse()
	return p, err
}

// write writes the message of an email. It fails if the email has no document or its
// kind has no words.
func (c composer) write(message Message, to *netmail.Address) (outgoing, error) {
	m := message.Mail
	if m.About == nil {
		return outgoing{}, errors.New("the email has no document")
	}
	w := of(m.About.Locale)
	say, ok := w.kinds[m.Kind]
	if !ok {
		return outgoing{}, fmt.Errorf("there are no words for emails of the kind %q", m.Kind)
	}
	v := c.view(w, m)
	v.Attached = message.Letter != nil
	if m.Kind == workflow.MailSigned && message.Download != "" {
		v.Link, v.Expires = message.Download, loa.Moment(w.Language, message.Until)
	}
	said := say(v)
	text, html, err := c.pages.render(content{v, said, w})
	if err != nil {
		return outgoing{}, err
	}
	msg := gomail.NewMsg(gomail.WithNoDefaultUserAgent())
	msg.FromMailAddress(c.from)
	msg.ToMailAddress(to)
	if c.returnPath != nil {
		if err := msg.EnvelopeFrom(mailid.ReturnPath(c.returnPath.Address, m.ID)); err != nil {
			return outgoing{}, fmt.Errorf("return path: %w", err)
		}
	}
	if c.replyTo != nil {
		msg.ReplyToMailAddress(c.replyTo)
	}
	msg.Subject(said.Subject)
	msg.SetDateWithValue(c.now())
	c.identify(msg, m)
	msg.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834
	// "All" would keep Exchange from reporting a mail that it cannot deliver.
	msg.SetGenHeader(gomail.HeaderXAutoResponseSuppress, "DR, RN, NRN, OOF, AutoReply")
	msg.SetGenHeader("List-Id", "<authorization."+c.domain+">") // RFC 2919; for filters
	msg.SetBodyWriter(gomail.TypeTextPlain, part(text))
	msg.AddAlternativeWriter(gomail.TypeTextHTML, part(html))
	if message.Letter != nil {
		if err := msg.AttachReader(string(m.Document)+".pdf", bytes.NewReader(message.Letter), gomail.WithFileContentType("application/pdf")); err != nil {
			return outgoing{}, fmt.Errorf("attach the letter: %w", err)
		}
	}
	if c.dkim != nil {
		msg.SetDKIM(c.signer())
	}
	return outgoing{msg: msg, secrets: secrets(v.Link)}, nil
}

// part is how go-mail takes the content of a part without a copy.
func part(content []byte) func(io.Writer) (int64, error) {
	return func(w io.Writer) (int64, error) {
		n, err := w.Write(content)
		return int64(n), err
	}
}

// identify gives a message its id, which is the same each time the mail is
// tried, and the references by which mail programs show the mails about one
// document together. A cc never got the signature mail that these name; a
// common root groups all the same (RFC 5322 section 3.6.4).
func (c composer) identify(msg *gomail.Msg, m workflow.Mail) {
	msg.SetMessageIDWithValue(string(m.ID) + "@" + c.domain)
	msg.SetGenHeader(mailid.Header, string(m.ID))
	first, current := c.root(m.Document, 1), c.root(m.Document, m.Round)
	switch own := "<" + string(m.ID) + "@" + c.domain + ">"; {
	case own == first:
	case own == current:
		msg.SetGenHeader(gomail.HeaderReferences, first)
	case m.Round > 1:
		msg.SetGenHeader(gomail.HeaderInReplyTo, current)
		msg.SetGenHeader(gomail.HeaderReferences, first+" "+current)
	default:
		msg.SetGenHeader(gomail.HeaderInReplyTo, current)
		msg.SetGenHeader(gomail.HeaderReferences, current)
	}
}

// root is the Message-ID of a round's signature mail.
func (c composer) root(document workflow.SID, round int) string {
	return fmt.Sprintf("<%s.%d.%s.0@%s>", document, round, workflow.MailSignature, c.domain)
}

// signer makes a signer for one message: go-mail's keeps state of its own. The
// header fields that say who speaks to whom are signed once more than they are
// there, so that none can be added (RFC 6376 section 8.15).
//
// The list is as long as it can be: go-mail 0.8.1 folds a tag of more than
// maxTag characters after it has signed it unfolded, and nobody can verify that.
func (c composer) signer() *gomail.DKIMSigner {
	s := gomail.NewDKIMSigner(c.dkim.Domain, c.dkim.Selector, c.key)
	s.SignHeaders("From", "To", "Reply-To", "Subject", "Date", "Message-ID", "Content-Type")
	s.OversignHeaders("From", "To", "Subject")
	return s
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
