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

// serverWait bounds the wait of a mail that only met a mail server which is away
// or refuses us, so that all leave soon after that ends.
const serverWait = time.Minute

// unsureWait bounds the wait of a mail whose refusal leaves open whom it is about:
// long enough for other mails to meet the same.
const unsureWait = 5 * time.Second

// The wait of a mail that is in doubt not for the first time begins with
// doubtFirst and doubles up to doubtMost, whatever the settings say: a server that
// takes mails and never says so gets few copies.
const (
	doubtFirst = 30 * time.Second
	doubtMost  = time.Hour
)

// doubtAgain is the shortest wait of a mail that was in doubt so often before.
func doubtAgain(doubts int) time.Duration {
	return min(doubtFirst<<min(doubts-1, 10), doubtMost)
}

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
