package eventlog

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"countersign/events"
	"countersign/workflow"
)

// NATS puts the acknowledgement of a publish on whatever reply subject the
// publisher names, so whoever may publish one event can have something stored
// on any subject of the stream. What is stored there is no event, and counts
// for nothing.
const foreignWords = "another program has put an entry on a subject that only Countersign may use; the entry is ignored (docs/security.md);"

// foreign counts such entries while the log is followed.
type foreign struct {
	count  atomic.Uint64
	mu     sync.Mutex // a comparison of replicas follows the log beside the worker
	said   time.Time  // when they were last logged
	unsaid int        // entries since then
}

// foreignEvery bounds how often they are logged.
const foreignEvery = 10 * time.Second

// met counts an entry that the follower has read, if it is foreign.
func (f *foreign) met(e workflow.Entry, log *slog.Logger) {
	if b, ok := e.Body.(workflow.Invalid); !ok || !b.Foreign {
		return
	}
	f.count.Add(1)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.unsaid++
	if now := time.Now(); now.Sub(f.said) >= foreignEvery {
		log.Warn(foreignWords+" it is kept as a dead letter", "subject", e.Subject, "sequence", e.Sequence, "entries", f.unsaid)
		f.said, f.unsaid = now, 0
	}
}

// sayForeign logs a warning about the foreign entry after which an event is
// appended.
func (l *Log) sayForeign(subject string, sequence uint64) {
	l.log.Warn(foreignWords+" an event is appended behind it", "subject", subject, "sequence", sequence)
}

// sameEvent matches entries that are the event of a message.
func sameEvent(m *nats.Msg) func(events.Message) bool {
	want := events.Decode(events.Message{Subject: m.Subject, Header: m.Header, Data: m.Data})
	return func(m events.Message) bool {
		e := events.Decode(m)
		return e.Source == want.Source && e.ID == want.ID && e.Body.Type() == want.Body.Type()
	}
}

// sameType matches entries that are events of the given type.
func sameType(typ string) func(events.Message) bool {
	return func(m events.Message) bool {
		e := events.Decode(m)
		return e.Source == events.Source && e.Body.Type() == typ
	}
}

// standing looks at the entries on a subject after a sequence. It returns the
// last entry that matches, 0 if none does, and the last entry on the subject, 0
// if it is empty. It retries until ctx ends.
func (l *Log) standing(ctx context.Context, subject string, after uint64, matches func(events.Message) bool) (own, newest uint64, err error) {
	for again := (pause{}); ; {
		own, newest, err = l.look(ctx, subject, after, matches)
		if err == nil || !again.wait(ctx) {
			return own, newest, err
		}
	}
}

func (l *Log) look(ctx context.Context, subject string, after uint64, matches func(events.Message) bool) (own, newest uint64, err error) {
	stream, err := l.handle(ctx)
	if err != nil {
		return 0, 0, err
	}
	return lastThat(ctx, l.broker.JS, stream, subject, after, matches)
}
