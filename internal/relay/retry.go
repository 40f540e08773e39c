package relay

import (
	"hash/fnv"
	"time"

	"countersign/workflow"
)

// Retry says when a deferred mail is tried again.
type Retry struct {
	First  time.Duration // after the first try; it doubles from try to try
	Max    time.Duration // no wait is longer
	GiveUp time.Duration // after its first try, a mail that is deferred still is rejected, and one in doubt is held
}

// serverWait bounds the wait of a mail that only met a mail server in trouble,
// so that all leave soon after it is back.
const serverWait = time.Minute

// after is the wait after the given try, the first being 1, with a tenth of
// jitter either way that follows from the mail.
func (r Retry) after(id workflow.MailID, try int) time.Duration {
	d := r.First
	for n := 1; n < try && d < r.Max; n++ {
		d *= 2
	}
	d = min(d, r.Max)
	h := fnv.New32a()
	h.Write([]byte(id))
	h.Write([]byte{byte(try)})
	return d*9/10 + d/5*time.Duration(h.Sum32()%1000)/1000
}
