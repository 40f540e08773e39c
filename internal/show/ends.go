package show

import (
	"fmt"
	"strings"

	"countersign/db"
	"countersign/internal/terminal"
	"countersign/workflow"
)

// Ends prints where documents that were created ended, and how much was mailed
// and registered; caught is how many emails the mail catcher has.
func Ends(out *terminal.Printer, lives []db.Life, c db.Counts, caught int) error {
	t := out.Table("ACCOUNT", "DOCUMENT", "SIGNER", "STATUS", "ROUND", "NUMBERS", "REGISTERED", "MAILS", "WHY")
	for _, l := range lives {
		d := l.Document
		t.Row(short(d.AccountSID), short(d.SID), d.Email, Status(*d),
			d.Round, len(d.Orders), registered(l), accepted(l), terminal.Short(d.Reason, 60))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	refused := 0
	for _, n := range c.Refused {
		refused += n
	}
	var by []string
	for _, s := range workflow.Statuses {
		by = append(by, fmt.Sprintf("%d %s", c.Documents[s], s))
	}
	out.Linef("")
	out.Linef("%d documents: %s", len(lives), strings.Join(by, ", "))
	return out.Linef("%d mails caught, %d numbers registered, %d events refused, %d dead letters", caught, c.Registers, refused, c.DeadLetters)
}

// short is enough of a sid to find it again.
func short(sid workflow.SID) string { return string(sid[:10]) + "…" }

func registered(l db.Life) (n int) {
	for _, e := range l.Events {
		if _, ok := e.Body.(workflow.Register); ok && e.State == db.EventDone {
			n++
		}
	}
	return n
}

func accepted(l db.Life) (n int) {
	for _, m := range l.Mails {
		if m.State == workflow.MailAccepted {
			n++
		}
	}
	return n
}
