package report

import (
	"regexp"
	"slices"
	"strings"

	"countersign/internal/redact"
	"countersign/workflow"
)

const (
	maxUnread     = 64 << 10 // bytes of an unread report that are kept
	maxUnreadLine = 2 << 10  // bytes of one line of it
)

// addressed are the header fields that name people: nothing of them is kept.
var addressed = []string{"to", "cc", "bcc", "from", "sender", "reply-to", "resent-to", "resent-from", "return-path", "delivered-to", "x-original-to", "received", "dkim-signature", "authentication-results", "arc-authentication-results", "arc-message-signature", "arc-seal"}

// unread returns the part of a message that is kept if it was not understood.
func (m *found) unread(digest, reason string) *Unread {
	u := &Unread{Digest: digest, Reason: reason, Subject: fit(decodeWords(m.head.get("subject")))}
	if from := addressIn.FindString(m.head.get("from")); from != "" {
		u.From = fit(strings.ToLower(strings.Trim(from[strings.LastIndexByte(from, '@')+1:], "<>")))
	}
	u.Mails = m.anyMarks()
	u.Mails = u.Mails[:min(len(u.Mails), maxMarks)]
	var b strings.Builder
	m.describe(&b)
	u.Text = b.String()
	if len(u.Text) > maxUnread {
		u.Text = strings.ToValidUTF8(u.Text[:maxUnread], "")
	}
	return u
}

var addressIn = regexp.MustCompile(`[^\s<>"(),;:]+@[^\s<>"(),;:]+`)

// anyMarks lists the emails of ours that a message or those in it name.
func (m *found) anyMarks() []workflow.MailID {
	ids := m.marks()
	for _, n := range m.nested {
		for _, id := range n.anyMarks() {
			if !slices.Contains(ids, id) {
				ids = append(ids, id)
			}
		}
	}
	return ids
}

// describe writes what people can read of a message, without addresses and
// links.
func (m *found) describe(b *strings.Builder) {
	writeFields(b, m.head.header)
	for _, text := range m.texts {
		b.WriteByte('\n')
		for line := range strings.Lines(text) {
			b.WriteString(clean(strings.TrimRight(line, "\n")) + "\n")
			if b.Len() > maxUnread {
				return
			}
		}
	}
	for _, list := range [][][]field{m.status, m.returned} {
		for _, fields := range list {
			b.WriteByte('\n')
			writeFields(b, fields)
		}
	}
	for _, n := range m.nested {
		b.WriteString("\n--- a message in it ---\n")
		n.describe(b)
		if b.Len() > maxUnread {
			return
		}
	}
}

func writeFields(b *strings.Builder, fields []field) {
	for _, f := range fields {
		if b.Len() > maxUnread {
			return
		}
		if !slices.Contains(addressed, f.name) {
			b.WriteString(clean(f.name+": "+decodeWords(f.value)) + "\n")
		}
	}
}

// clean returns a line without addresses, links and control characters.
func clean(line string) string {
	if len(line) > maxUnreadLine {
		line = line[:maxUnreadLine]
	}
	line = strings.Map(func(r rune) rune {
		if r != '\t' && (r < ' ' || r == 0x7f) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(line, "?"))
	return redact.Addresses(links.ReplaceAllString(line, redact.Gone))
}
