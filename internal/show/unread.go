package show

import (
	"strings"

	"countersign/internal/eventlog"
	"countersign/internal/terminal"
)

// UnreadReports prints a table of unread reports.
func UnreadReports(out *terminal.Printer, list []eventlog.Unread) error {
	t := out.Table("REPORT", "TIME", "FROM", "EMAIL", "SUBJECT", "REASON")
	for _, u := range list {
		mail := ""
		if len(u.Mails) > 0 {
			mail = string(u.Mails[0])
		}
		t.Row(u.Sequence, Stamp(u.Time), u.From, mail, u.Subject, u.Reason)
	}
	return t.Flush()
}

// UnreadReport prints an unread report and its text.
func UnreadReport(out *terminal.Printer, u eventlog.Unread) error {
	out.Linef("report %d, %s", u.Sequence, Stamp(u.Time))
	out.Linef("not read because %s", u.Reason)
	out.Linef("SHA-256 of the message: %s", u.Digest)
	for _, id := range u.Mails {
		out.Linef("it names the email %s", id)
	}
	out.Linef("")
	for line := range strings.Lines(u.Text) {
		out.Linef("%s", strings.TrimRight(line, "\n"))
	}
	out.Linef("")
	return out.Linef("when it needs no more work: countersign bounces unread discard %d", u.Sequence)
}
