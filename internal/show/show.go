// Package show prints what commands found, for people as tables and for programs
// as JSON. Text from outside is escaped: it stays on its line, and steers no
// terminal.
package show

import (
	"time"

	"countersign/internal/terminal"
)

// EachJSON prints the elements of a list, each as one line of JSON.
func EachJSON[T any](out *terminal.Printer, list []T) error {
	for _, v := range list {
		if err := out.JSON(v); err != nil {
			return err
		}
	}
	return nil
}

// List prints a list: its elements as lines of JSON, or the table.
func List[T any](out *terminal.Printer, asJSON bool, list []T, table func(*terminal.Printer, []T) error) error {
	if asJSON {
		return EachJSON(out, list)
	}
	return table(out, list)
}

// Stamp is a time as tables have it. The time must be in UTC.
func Stamp(t time.Time) string { return t.Format("2006-01-02 15:04:05Z") }
