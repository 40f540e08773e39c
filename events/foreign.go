package events

import (
	"log/slog"
	"sync/atomic"
	"time"

	"countersign/workflow"
)

// NATS puts the acknowledgement of a publish on whatever reply subject the
// publisher names, so whoever may publish one event can have something stored
// on any subject of the stream. What is stored there is no event, and counts
// for nothing.
const foreignWords = "somebody else has put an entry on a subject of Countersign's own; it counts for nothing (docs/security.md);"

// foreign counts such entries as the log is followed.
type foreign struct {
	count  atomic.Uint64
	said   time.Time // when it was last spoken of; the follower's alone
	unsaid int       // entries since then
}

// foreignEvery bounds how often the log file speaks of them.
const foreignEvery = 10 * time.Second

// met counts an entry that the follower has read, if it is a foreign one.
func (f *foreign) met(e workflow.Entry, log *slog.Logger) {
	if b, ok := e.Body.(workflow.Invalid); !ok || !b.Foreign {
		return
	}
	f.count.Add(1)
	f.unsaid++
	if now := time.Now(); now.Sub(f.said) >= foreignEvery {
		log.Warn(foreignWords+" it is kept as a dead letter", "subject", e.Subject, "sequence", e.Sequence, "entries", f.unsaid)
		f.said, f.unsaid = now, 0
	}
}
