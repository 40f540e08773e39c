package show

import (
	"cmp"

	"countersign/internal/operator"
	"countersign/internal/terminal"
)

// Webhooks prints a table of receivers.
func Webhooks(out *terminal.Printer, list []operator.Receiver) error {
	t := out.Table("RECEIVER", "ACCOUNT", "STATUS", "PENDING", "SINCE", "DEAD", "URL", "REASON")
	for _, r := range list {
		t.Row(r.Receiver, cmp.Or(string(r.Account), "-"), cmp.Or(string(r.Status), "callbacks"), r.Pending, Moment(r.Oldest), r.Dead, cmp.Or(r.URL, "-"), r.Reason)
	}
	return t.Flush()
}
