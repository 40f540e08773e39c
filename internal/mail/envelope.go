package mail

import (
	"encoding/hex"
	"strings"

	"github.com/wneessen/go-mail/smtp"

	"countersign/internal/delivery"
)

const (
	maxEnvelopeID = 100 // characters, RFC 3461 section 4.4
	maxOriginal   = 500 // characters of ORCPT, section 4.2
)

// dsnOfMail is what MAIL says to a server that offers DSN (RFC 3461): which email
// its reports are about, and that a report need not bring back the letter.
func (out outgoing) dsnOfMail() string {
	s := " RET=HDRS"
	if id := xtext(string(out.id)); id != "" && len(id) <= maxEnvelopeID {
		s += " ENVID=" + id
	}
	return s
}

// dsnOfRcpt is what RCPT says to such a server: when to report, and on whom.
func (out outgoing) dsnOfRcpt() string {
	s := " NOTIFY=FAILURE,DELAY"
	if to := "rfc822;" + xtext(strings.TrimSuffix(strings.TrimPrefix(out.to, "<"), ">")); len(to) <= maxOriginal {
		s += " ORCPT=" + to
	}
	return s
}

// offers are the extensions of a server that an email makes use of.
type offers struct{ eightBit, dsn, pipelining, chunking bool }

// offersOf reads what the server said to EHLO.
func offersOf(c *smtp.Client) offers {
	has := func(extension string) bool {
		ok, _ := c.Extension(extension)
		return ok
	}
	return offers{has("8BITMIME"), has("DSN"), has("PIPELINING"), has("CHUNKING")}
}

// request is a command line of the dialogue, with its end.
type request struct {
	at   delivery.Stage
	line string
}

// commands returns MAIL, RCPT and DATA for an email.
func (o offers) commands(out outgoing) [3]request {
	from, to := "MAIL FROM:"+out.from, "RCPT TO:"+out.to
	if o.eightBit {
		from += " BODY=8BITMIME"
	}
	if o.dsn {
		from, to = from+out.dsnOfMail(), to+out.dsnOfRcpt()
	}
	return [3]request{{delivery.AtMAIL, from + "\r\n"}, {delivery.AtRCPT, to + "\r\n"}, {delivery.AtDATA, "DATA\r\n"}}
}

// xtext writes a value of an SMTP parameter (RFC 3461, section 4).
func xtext(s string) string {
	var b strings.Builder
	for i := range len(s) {
		switch c := s[i]; {
		case c < '!' || c > '~' || c == '+' || c == '=':
			b.WriteString("+" + strings.ToUpper(hex.EncodeToString([]byte{c})))
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}
