package sim

import (
	"fmt"
	"hash/fnv"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"countersign/workflow"
)

// newID makes a message id that follows from the message, so that a seed gives
// the same schedule each time. Only the intruder looks at it.
func (r *run) newID(m *nats.Msg) string {
	h := fnv.New64a()
	h.Write([]byte(m.Subject))
	h.Write(m.Data)
	return fmt.Sprintf("%s.%x.%s", r.name, h.Sum64(), m.Header.Get(jetstream.MsgIDHeader))
}

// intrude does what an upstream service can do that may publish one harmless
// event: it has the server put an acknowledgement on any subject, and takes the
// Nats-Msg-Id of a message that is on its way.
func (w *world) intrude() {
	flying := w.flying()
	if len(flying) > 0 && w.chance(2) {
		f := flying[w.rng.IntN(len(flying))]
		if f.id != "" && w.chance(2) {
			m := nats.NewMsg(fmt.Sprintf("%s%s.%s.resend", workflow.SubjectPrefix, account, sid("PX", 99)))
			m.Header.Set(jetstream.MsgIDHeader, f.id)
			m.Data = []byte(f.id)
			_, _ = w.stream.append("intruder", m)
			return
		}
		w.squat(f.subject)
		return
	}
	w.squat(w.ownSubject())
}

// squat puts an acknowledgement on a subject.
func (w *world) squat(subject string) {
	m := nats.NewMsg(subject)
	m.Data = fmt.Appendf(nil, `{"stream":"AUTHDOCS","seq":%d}`, len(w.stream.entries)+1)
	_, _ = w.stream.append("intruder", m)
}

// message on its way to the log.
type flight struct{ subject, id string }

func (w *world) flying() (list []flight) {
	for _, c := range w.ready() {
		words := strings.Fields(c.key)
		if len(words) < 2 || words[0] != "publish" && words[0] != "batch" {
			continue
		}
		f := flight{subject: words[1]}
		if words[0] == "publish" && len(words) > 2 && words[2] != "for" {
			f.id = words[2]
		}
		list = append(list, f)
	}
	return list
}

// ownSubject is a subject on which an event of Countersign's own belongs, now or
// later.
func (w *world) ownSubject() string {
	n := 1 + w.rng.IntN(len(w.stream.entries)+5)
	of := func(what string, args ...any) string {
		return fmt.Sprintf("%s%s.%s.", workflow.SubjectPrefix, account, sid("PX", 1+w.rng.IntN(4))) + fmt.Sprintf(what, args...)
	}
	switch w.rng.IntN(9) {
	case 0:
		return workflow.ClaimsSubject
	case 1:
		return workflow.SubjectPrefix + "_.mail.settled"
	case 2:
		return fmt.Sprintf("%s_.quarantined.%d", workflow.SubjectPrefix, n)
	case 3:
		return of("refused.%d", n)
	case 4:
		return of("became.%s.%d", workflow.Statuses[w.rng.IntN(len(workflow.Statuses))], 1+w.rng.IntN(3))
	case 5:
		return of("order.%s.register", sid("HR", 1+w.rng.IntN(8)))
	case 6:
		return of("due.%s.%d", []string{"expiry", "freshness", "reminder-1", fmt.Sprint("parked-", n)}[w.rng.IntN(4)], 1+w.rng.IntN(2))
	case 7:
		return of("erased")
	}
	return of("stale.%d", 1+w.rng.IntN(2))
}
