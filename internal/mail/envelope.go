package mail

import (
	"encoding/hex"
	"strings"

	"github.com/wneessen/go-mail/smtp"
)

// envelope is what the envelope of an email says beside sender and recipient, to
// a server that offers DSN (RFC 3461): which email its reports are about.
type envelope struct{ id, recipient string }

func (out outgoing) envelope() envelope {
	return envelope{string(out.id), strings.TrimSuffix(strings.TrimPrefix(out.to, "<"), ">")}
}

const (
	maxEnvelopeID = 100 // characters, RFC 3461 section 4.4
	maxOriginal   = 500 // characters of ORCPT, section 4.2
)

// mail is what RET says, and what follows it. A report need not bring back the
// letter.
func (e envelope) mail() string {
	s := "HDRS"
	if id := xtext(e.id); id != "" && len(id) <= maxEnvelopeID {
		s += " ENVID=" + id
	}
	return s
}

// rcpt is what NOTIFY says, and what follows it.
func (e envelope) rcpt() string {
	s := "FAILURE,DELAY"
	if to := "rfc822;" + xtext(e.recipient); len(to) <= maxOriginal {
		s += " ORCPT=" + to
	}
	return s
}

// name names the next email in its envelope. go-mail adds RET and NOTIFY if the
// server offers DSN, knows neither ENVID nor ORCPT, and writes what it is given.
func name(c *smtp.Client, e envelope) {
	c.SetDSNMailReturnOption(e.mail())
	c.SetDSNRcptNotifyOption(e.rcpt())
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
