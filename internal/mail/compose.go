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

// letter turns owed mails into messages.
type letter struct {
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

func newLetter(c Config) (letter, error) {
	l := letter{link: c.Link, dkim: c.DKIM, now: c.Now}
	if l.now == nil {
		l.now = time.Now
	}
	var err error
	if l.from, err = mailbox(c.From); err != nil {
		return letter{}, fmt.Errorf("sender: %w", err)
	}
	if c.ReplyTo != "" {
		if l.replyTo, err = mailbox(c.ReplyTo); err != nil {
			return letter{}, fmt.Errorf("reply-to: %w", err)
		}
	}
	if c.ReturnPath != "" {
		if l.returnPath, err = mailbox(c.ReturnPath); err != nil {
			return letter{}, fmt.Errorf("return path: %w", err)
		}
	}
	l.domain = domainOf(l.from.Address)
	if l.sender = plain(l.from.Name); l.sender == "" {
		l.sender = l.domain
	}
	if l.key, err = c.DKIM.key(); err != nil {
		return letter{}, err
	}
	l.pages, err = parse()
	return l, err
}

// write makes the message of a mail. It fails where the mail names no document
// or is of a kind that there are no words for.
func (l letter) write(message Message, to *netmail.Address) (outgoing, error) {
	m := message.Mail
	if m.About == nil {
		return outgoing{}, errors.New("the mail says nothing of its document")
	}
	w := of(m.About.Locale)
	say, ok := w.kinds[m.Kind]
	if !ok {
		return outgoing{}, fmt.Errorf("there are no words for %q mails", m.Kind)
	}
	v := l.view(w, m)
	v.Attached = message.Letter != nil
	if m.Kind == workflow.MailSigned && message.Download != "" {
		v.Link, v.Expires = message.Download, loa.Moment(w.Language, message.Until)
	}
	said := say(v)
	text, html, err := l.pages.render(content{v, said, w})
	if err != nil {
		return outgoing{}, err
	}
	msg := gomail.NewMsg(gomail.WithNoDefaultUserAgent())
	msg.FromMailAddress(l.from)
	msg.ToMailAddress(to)
	if l.returnPath != nil {
		if err := msg.EnvelopeFrom(mailid.ReturnPath(l.returnPath.Address, m.ID)); err != nil {
			return outgoing{}, fmt.Errorf("return path: %w", err)
		}
	}
	if l.replyTo != nil {
		msg.ReplyToMailAddress(l.replyTo)
	}
	msg.Subject(said.Subject)
	msg.SetDateWithValue(l.now())
	l.identify(msg, m)
	msg.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834
	// "All" would keep Exchange from reporting a mail that it cannot deliver.
	msg.SetGenHeader(gomail.HeaderXAutoResponseSuppress, "DR, RN, NRN, OOF, AutoReply")
	msg.SetGenHeader("List-Id", "<authorization."+l.domain+">") // RFC 2919; for filters
	msg.SetBodyWriter(gomail.TypeTextPlain, part(text))
	msg.AddAlternativeWriter(gomail.TypeTextHTML, part(html))
	if message.Letter != nil {
		if err := msg.AttachReader(string(m.Document)+".pdf", bytes.NewReader(message.Letter), gomail.WithFileContentType("application/pdf")); err != nil {
			return outgoing{}, fmt.Errorf("attach the letter: %w", err)
		}
	}
	if l.dkim != nil {
		msg.SetDKIM(l.signer())
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
func (l letter) identify(msg *gomail.Msg, m workflow.Mail) {
	msg.SetMessageIDWithValue(string(m.ID) + "@" + l.domain)
	msg.SetGenHeader(mailid.Header, string(m.ID))
	first, current := l.root(m.Document, 1), l.root(m.Document, m.Round)
	switch own := "<" + string(m.ID) + "@" + l.domain + ">"; {
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
func (l letter) root(document workflow.SID, round int) string {
	return fmt.Sprintf("<%s.%d.%s.0@%s>", document, round, workflow.MailSignature, l.domain)
}

// signer makes a signer for one message: go-mail's keeps state of its own. The
// header fields that say who speaks to whom are signed once more than they are
// there, so that none can be added (RFC 6376 section 8.15).
//
// The list is as long as it can be: go-mail 0.8.1 folds a tag of more than
// maxTag characters after it has signed it unfolded, and nobody can verify that.
func (l letter) signer() *gomail.DKIMSigner {
	s := gomail.NewDKIMSigner(l.dkim.Domain, l.dkim.Selector, l.key)
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
