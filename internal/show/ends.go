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
	out.Linef("")
	out.Linef("%d documents: %s", len(lives), byStatus(c))
	return out.Linef("%d emails caught, %d numbers registered, %d events refused, %d dead letters", caught, c.Registers, refused, c.DeadLetters)
}

// byStatus says how many documents have each status.
func byStatus(c db.Counts) string {
	var by []string
	for _, s := range workflow.Statuses {
		by = append(by, fmt.Sprintf("%d %s", c.Documents[s], s))
	}
	return strings.Join(by, ", ")
}

// Lost says what a database knows and an empty log does not.
func Lost(c db.Counts) string {
	return fmt.Sprintf("an empty log loses what the database knows up to entry %d: documents: %s; %d emails and %d events are pending",
		c.Position.Sequence, byStatus(c), c.PendingMails, c.PendingEvents)
}

// IsOrWouldBe says whether something was done, or would be without --dry-run.
func IsOrWouldBe(dryRun bool) string {
	if dryRun {
		return "would be"
	}
	return "is"
}

// Rebuilt says that a database was made again up to an entry, or would be; kept is
// the file that it replaced, empty if there was none.
func Rebuilt(database, isOrWouldBe string, to uint64, kept string) string {
	line := fmt.Sprintf("%s %s rebuilt up to entry %d", database, isOrWouldBe, to)
	if kept != "" {
		line += "; the one before is kept as " + kept
	}
	return line
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
