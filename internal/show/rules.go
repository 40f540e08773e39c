package show

import (
	"cmp"
	"errors"
	"strings"

	"countersign/internal/terminal"
	"countersign/workflow"
)

// Rules prints the version and the settings that are in force.
func Rules(out *terminal.Printer, in workflow.RulesActivated) error {
	var t workflow.Timers
	if in.Timers != nil {
		t = *in.Timers
	}
	var l workflow.MailLimits
	if in.MailLimits != nil {
		l = *in.MailLimits
	}
	var notify []string
	for _, s := range in.NotifyCC {
		notify = append(notify, string(s))
	}
	var requires []string
	for _, p := range in.LetterRequires {
		requires = append(requires, string(p))
	}
	var err error
	for _, row := range [][2]any{
		{"in force", in.Version},
		{"known", workflow.RulesVersion()},
		{"parking-limit", workflow.Seconds(in.ParkingLimitSeconds)},
		{"remind-after", orOff(t.RemindAfter)},
		{"remind-every", orOff(t.RemindEvery)},
		{"remind-most", t.RemindMost},
		{"expire-after", orOff(t.ExpireAfter)},
		{"fresh-for", orOff(t.FreshFor)},
		{"mail-document-interval", orOff(l.Interval)},
		{"mail-document-day", l.PerDay},
		{"letter-requires", cmp.Or(strings.Join(requires, ","), "none")},
		{"notify-cc", cmp.Or(strings.Join(notify, ","), "off")},
	} {
		err = errors.Join(err, out.Tabs(row[0], row[1]))
	}
	return err
}

// orOff is a duration in seconds in the form of a setting; 0 is off.
func orOff(seconds int64) string {
	if seconds == 0 {
		return "off"
	}
	return workflow.Seconds(seconds).String()
}
