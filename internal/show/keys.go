package show

import (
	"time"

	"countersign/internal/terminal"
	"countersign/internal/ticket"
)

// Key is a key as keys list prints it.
type Key struct {
	ticket.LinkKey
	State string `json:"state"` // waiting, signing, verifying, prunable
}

// KeysOf returns the states of keys of signing links, the newest first, at the time
// now. lifetime is how long a link can be valid.
func KeysOf(keys []ticket.LinkKey, now time.Time, lifetime time.Duration) []Key {
	out, signing := make([]Key, len(keys)), false
	for i, k := range keys {
		out[i] = Key{k, "verifying"}
		switch {
		case ticket.Prunable(k, now, lifetime):
			out[i].State = "prunable"
		case !signing && now.Before(k.From):
			out[i].State = "waiting"
		case !signing:
			out[i].State, signing = "signing", true
		}
	}
	return out
}

// Keys prints a table of keys.
func Keys(out *terminal.Printer, list []Key) error {
	t := out.Table("KEY", "STATE", "CREATED", "SIGNS FROM", "UNTIL")
	for _, k := range list {
		t.Row(k.ID, k.State, Moment(k.Created), Moment(k.From), Moment(k.Until))
	}
	return t.Flush()
}

// Moment is a time, or "-" for none.
func Moment(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return Stamp(t.UTC())
}
