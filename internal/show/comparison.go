package show

import (
	"fmt"
	"strings"

	"countersign/internal/recovery"
	"countersign/internal/terminal"
)

// Comparison prints at most limit rows in which the database differs from what it
// was compared with, and fails if there are any.
func Comparison(out *terminal.Printer, c recovery.Comparison, with string, limit int) error {
	if len(c.Rows) == 0 {
		return out.Linef("the database says what %s says, up to entry %d", with, c.At)
	}
	for _, r := range c.Rows[:min(limit, len(c.Rows))] {
		for line := range strings.Lines(r.String()) { // its values are JSON, without a line feed
			out.Linef("%s", strings.TrimSuffix(line, "\n"))
		}
	}
	if n := len(c.Rows) - limit; n > 0 {
		out.Linef("and %d rows more", n)
	}
	return fmt.Errorf("the two states differ: %d rows of the database (+) and of %s (-), at entry %d", len(c.Rows), with, c.At)
}
