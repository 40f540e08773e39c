package show

import (
	"fmt"

	"countersign/internal/eventlog"
	"countersign/internal/terminal"
)

// Snapshots prints a table of snapshots.
func Snapshots(out *terminal.Printer, list []eventlog.Snapshot) error {
	t := out.Table()
	for _, x := range list {
		t.Row(x.Name, Stamp(x.Taken), fmt.Sprintf("up to entry %d, %d bytes", x.Position.Sequence, x.Size))
	}
	return t.Flush()
}
