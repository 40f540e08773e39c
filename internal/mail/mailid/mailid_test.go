package mailid

import (
	"strings"
	"testing"

	"countersign/workflow"
)

// TestVERP_SurvivesUpperAndLowerCase writes ids into addresses and reads them
// back as servers bring them.
func TestVERP_SurvivesUpperAndLowerCase(t *testing.T) {
	for _, id := range []workflow.MailID{
		"PX0123456789abcdef0123456789abcdef.1.signature.0", "PX0123456789ABCDEF0123456789abcdef.1.sent.49", "PXFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF.999999999.reminder.12345678901",
		"PX00000000000000000000000000000000.1.failed.0", "PX0123456789abcdef0123456789abcdeF.3.canceled.7", "PX0123456789abcdef0123456789abcdef.2.signed.18446744073709551615",
	} {
		s := verp(id)
		for _, as := range []string{s, strings.ToUpper(s), strings.ToLower(s)} {
			if got := unverp(as); got != id {
				t.Errorf("%s came back as %q from %s", id, got, as)
			}
		}
		if len(s) > 64 || strings.Trim(strings.ToLower(s), "abcdefghijklmnopqrstuvwxyz234567") != "" {
			t.Errorf("%s does not fit into a local part", s)
		}
		for i := range len(s) {
			if got := unverp(s[:i]); got != "" {
				t.Errorf("%s, cut off, is read as %s", s[:i], got)
			}
		}
	}
	for _, id := range []workflow.MailID{"", "x", "PX0123456789abcdef0123456789abcdef.1.other.0", "PX0123456789abcdef0123456789abcdef.1.signature.99999999999999999999"} {
		if s := verp(id); s != "" {
			t.Errorf("%s: %s", id, s)
		}
	}
}
