package mail_test

import (
	"regexp"
	"strings"
	"testing"

	"countersign/workflow"
)

// linkable is what mail programs make a link of, in the text that is shown.
var linkable = regexp.MustCompile(`(?i)\b(?:https?|ftp|mailto):\S+|\bwww\.\S+|[\p{L}\p{N}-]+[.。．｡](?:com|net|org|example|xn--\w+|рф)\b`)

// ours are the links and addresses that an email has of its own.
var ours = regexp.MustCompile(`https://sign\.example\.com/\S*|owner@example\.com|ops@example\.com`)

// tags are the markup of the HTML part.
var tags = regexp.MustCompile(`(?s)<style.*?</style>|<!--.*?-->|<[^>]*>`)

// TestSend_AddressesInTextOfOthersAreInert puts a phishing URL, written in many
// ways, into each text of others that an email shows.
func TestSend_AddressesInTextOfOthersAreInert(t *testing.T) {
	for _, lure := range []string{
		"https://evil.example/login", "Verify at WWW.evil.com now", "evil.com", "boss@evil.net", "mailto:boss@evil.net", "evil。com/x", "evil\u200b.\u200bcom",
		"xn--p1ai.xn--p1ai", "пример.рф", "HTTP://10.0.0.1/", "ftp://evil.org", "see:https://localhost/x",
	} {
		titled := func(kind workflow.MailKind) workflow.Mail {
			d := document()
			d.ContactTitle = lure
			m := mailOf(kind, d)
			m.Recipient = "ops@example.com"
			return m
		}
		strange := document()
		strange.Email = "www.evil.com/login@example.org"
		toCC := mailOf(workflow.MailSent, strange)
		toCC.Recipient = "ops@example.com"
		failed := mailOf(workflow.MailFailed, ended(document(), workflow.Failed, "the signature mail was rejected: 550 5.7.1 see "+lure))
		canceled := mailOf(workflow.MailCanceled, ended(document(), workflow.Canceled, lure))
		for _, l := range write(t, nil, titled(workflow.MailSignature), titled(workflow.MailReminder), titled(workflow.MailSent), failed, canceled, toCC) {
			shown := l.text + "\n" + tags.ReplaceAllString(l.html, "\n")
			shown = strings.ReplaceAll(ours.ReplaceAllString(shown, ""), "&#64;", "@")
			if m := linkable.FindString(shown); m != "" {
				t.Errorf("%q: a mail program makes a link of %q in\n%s", lure, m, l.text)
			}
		}
	}
}
