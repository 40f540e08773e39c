package mail

import (
	"fmt"
	"regexp"
	"strings"

	"countersign/internal/delivery"
	"countersign/internal/redact"
)

// fault says whom a reply is about.
type fault string

const (
	faultNone      fault = "accepted"
	faultRecipient fault = "this recipient" // this mail will never be accepted
	faultUs        fault = "us"             // no mail of ours is accepted until somebody changes something
	faultTemporary fault = "temporary"
	faultUnknown   fault = "unknown" // the mail may have been accepted
)

// blame says whom a reply is about. It decides by codes alone (RFC 5321 section
// 4.2.1: a client must act by the code, not by the text). alike says that mails
// to another domain got the same reply: then it is not about the recipient,
// unless a code says plainly that it is.
//
// A 5xx before RCPT and to DATA cannot be about the recipient. At RCPT and at
// the final dot RFC 3463's subject and detail decide:
//
//	5.1.x  the recipient's address; but 5.1.7 and 5.1.8 are the sender's
//	5.2.x  the recipient's mailbox; but a full one (5.2.2) is temporary
//	5.3.x  the server's system: us; but a mail too big (5.3.4) stays too big
//	5.4.x  the way to the recipient's domain; but 5.4.3 (directory server) and
//	       5.4.5 (congestion, and sending quotas) are about us
//	5.5.x  the protocol, 5.6.x the content, 5.7.x policy: us
//
// Without such a code, or with 5.0.x, which says nothing: 550, 551 and 553 are
// the recipient's, 552 is temporary (RFC 5321 section 4.5.3.1.10), and so is a
// code whose enhanced one begins with a 4. 554 ("transaction failed") says least
// of all: it is about us, because a mail that waits can still go out.
func blame(at delivery.Stage, code int, enhanced string, alike bool) fault {
	switch {
	case code/100 == 2 && at == delivery.AtDot:
		return faultNone
	case code < 400 && at == delivery.AtDot:
		return faultUnknown
	case code/100 != 5:
		return faultTemporary
	case at != delivery.AtRCPT && at != delivery.AtDot:
		return faultUs
	}
	if f := byEnhanced(code, enhanced); f != faultRecipient || !alike || plainly(code, enhanced) {
		return f
	}
	return faultUs
}

func byEnhanced(code int, enhanced string) fault {
	class, rest, _ := strings.Cut(enhanced, ".")
	subject, detail, _ := strings.Cut(rest, ".")
	switch {
	case code == 556: // the domain accepts no mail (RFC 7504 section 3)
		return faultRecipient
	case code < 510, code >= 530 && code < 540: // the command, or who may use it
		return faultUs
	case class == "4":
		return faultTemporary
	case class != "5" || subject == "0":
		return byCode(code)
	}
	switch subject {
	case "1":
		return either(detail == "7" || detail == "8", faultUs, faultRecipient)
	case "2":
		return either(detail == "2", faultTemporary, faultRecipient)
	case "3":
		return either(detail == "4", faultRecipient, faultUs)
	case "4":
		return either(detail == "3" || detail == "5", faultUs, faultRecipient)
	}
	return faultUs
}

func byCode(code int) fault {
	switch code {
	case 550, 551, 553:
		return faultRecipient
	case 552:
		return faultTemporary
	}
	return faultUs
}

func either(yes bool, a, b fault) fault {
	if yes {
		return a
	}
	return b
}

// plainly tells the codes that name the recipient's address or mailbox, or the
// mail's size, so that they are believed whoever else gets them.
func plainly(code int, enhanced string) bool {
	switch enhanced {
	case "5.1.1", "5.1.2", "5.1.3", "5.1.4", "5.1.6", "5.1.10", "5.2.1", "5.2.3", "5.2.4", "5.3.4":
		return true
	}
	return code == 556
}

// Enhanced codes are the first word (RFC 2034 section 4), in some servers
// after a number sign, and in qmail's family at the end: "(#5.1.1)".
var (
	enhancedFirst = regexp.MustCompile(`^#?([245]\.\d{1,3}\.\d{1,3})(?:[\s:;,]|$)`)
	enhancedLast  = regexp.MustCompile(`\(#([245]\.\d{1,3}\.\d{1,3})(?: - [a-z]+)?\)$`)
)

// enhancedOf takes the enhanced code out of a reply; empty if it has none.
func enhancedOf(words string) string {
	words = strings.TrimSpace(words)
	if m := enhancedFirst.FindStringSubmatch(words); m != nil {
		return m[1]
	}
	if m := enhancedLast.FindStringSubmatch(words); m != nil {
		return m[1]
	}
	return ""
}

// likeness is what two replies have in common if they say the same to different
// recipients: code and words, without the recipient and whatever looks like an
// address, a name of a host, a number, an id or a time.
func likeness(at delivery.Stage, code int, words, to string) string {
	local, domain, _ := strings.Cut(strings.ToLower(to), "@")
	var kept []string
	for _, w := range strings.Fields(redact.Reply(words)) {
		w = strings.ToLower(strings.Trim(w, `.,:;!?'"()[]<>{}`))
		if w == "" || w == local || w == domain || strings.ContainsAny(w, "…0123456789.:/=@_<>") {
			continue
		}
		kept = append(kept, w)
	}
	return fmt.Sprintf("%s %d %s %s", at, code, enhancedOf(words), strings.Join(kept, " "))
}

// stageError is what ended the preparation of a connection.
type stageError struct {
	at  delivery.Stage
	err error
}

// Error implements error.
func (e stageError) Error() string { return string(e.at) + ": " + e.err.Error() }

// Unwrap implements errors.Unwrap's interface.
func (e stageError) Unwrap() error { return e.err }
