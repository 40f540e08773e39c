package show

import (
	"countersign/internal/mail/report"
	"countersign/internal/operator"
	"countersign/internal/terminal"
)

// Reading prints what a message to the return path was read as, before it is
// taken in.
func Reading(out *terminal.Printer, read report.Reading) error {
	switch {
	case read.Unread != nil:
		return out.Linef("would be kept as an unread report: %s", read.Unread.Reason)
	case len(read.Reports) == 0:
		return out.Linef("an automatic reply that names none of our emails: nothing to do")
	}
	for _, r := range read.Reports {
		out.Linef("%s: %s, status %s; would be published", r.Mail, r.Action, r.Status)
	}
	return nil
}

// TakenIn prints the reports that are on the log, with their results. Why a result
// is not known goes to notes: nobody has to do anything about it.
func TakenIn(out, notes *terminal.Printer, taken []operator.TakenIn) {
	for _, t := range taken {
		out.Linef("%s: %s, status %s, entry %d", t.Mail, t.Action, t.Status, t.Sequence)
		switch {
		case t.Unknown != nil:
			notes.Error("", t.Unknown)
		case t.Result != "":
			out.Linef("%s", t.Result)
		}
	}
}
