package mail_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"countersign/internal/mail"
	"countersign/workflow"
)

// TestPoolSend_EmailsAtOnceKeepTheirContent sends emails over several connections at
// once. The memory of each message goes to the next one when it is sent.
func TestPoolSend_EmailsAtOnceKeepTheirContent(t *testing.T) {
	const writers, each = 8, 12
	server := catch(t)
	c := settings(t, server.addr)
	c.Pool = 4
	p := pool(t, c)
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				d := document()
				d.SID = workflow.SID(fmt.Sprintf("PX%032d", w*each+i))
				d.ContactTitle = fmt.Sprintf("Title of %s", d.SID)
				m := mail.Message{Mail: mailOf(workflow.MailSigned, signed(d))}
				if r := p.Send(t.Context(), m); r.Outcome != workflow.Accepted {
					t.Errorf("%+v", r)
				}
			}
		})
	}
	wg.Wait()
	seen := map[string]bool{}
	for _, raw := range server.stored() {
		l := read(t, raw)
		sid, _, _ := strings.Cut(l.header.Get("X-Countersign-Mail"), ".")
		seen[sid] = true
		for _, part := range []string{l.text, l.html} {
			if strings.Count(part, "Title of "+sid) != 1 || strings.Count(part, "Title of ") != 1 || strings.Count(part, sid) != 2 {
				t.Errorf("the email about %s is\n%s", sid, part)
			}
		}
	}
	if len(seen) != writers*each {
		t.Errorf("emails about %d documents came, want %d", len(seen), writers*each)
	}
}
