package db_test

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"countersign/workflow"
)

// lives writes the log of whole lives, from created to registered, as
// interleaved as a busy day is: 17 entries a document, and a share of claims.
func lives(w *writer, from, n int) {
	each := func(f func(int)) {
		for i := from; i < from+n; i++ {
			f(i)
		}
	}
	subject := func(i int, what string) string { return string(account) + "." + string(px(i)) + "." + what }
	became := func(i int, s workflow.Status) {
		w.add(px(i), subject(i, "became."+string(s)+".1"), workflow.Became{Document: workflow.Document{SID: px(i), Status: s}})
	}
	mails := func(kind workflow.MailKind, no int) {
		var ids []workflow.MailID
		each(func(i int) { ids = append(ids, mailID(i, 1, kind, no)) })
		w.mails(workflow.Accepted, ids...)
	}
	each(w.created)
	each(func(i int) { became(i, workflow.Opened) })
	mails(workflow.MailSignature, 0)
	each(func(i int) { became(i, workflow.Signing) })
	mails(workflow.MailSent, 0)
	each(func(i int) { w.status(i, workflow.Signed) })
	for _, no := range []int{0, 1} {
		each(func(i int) {
			w.add(px(i), subject(i, "order."+string(hr(2*i+no))+".register"), workflow.Register{OrderSID: hr(2*i + no), DocumentSID: px(i)})
		})
	}
	each(func(i int) { became(i, workflow.Signed) })
	mails(workflow.MailSigned, 0)
	mails(workflow.MailSigned, 1)
}

// BenchmarkApply folds what a follower reads: in batches of a full pull, and
// entry by entry, as a worker does that keeps up with a quiet log. On a machine
// that does other work too, the processor's time is what to compare.
func BenchmarkApply(b *testing.B) {
	for _, bench := range []struct {
		name string
		log  func(w *writer, from, n int)
		pull int // entries a batch
		n    int // documents a round
	}{
		{"created", func(w *writer, from, n int) {
			for i := from; i < from+n; i++ {
				w.created(i)
			}
		}, 4096, 1000},
		{"lives", lives, 4096, 1000},
		{"lives entry by entry", func(w *writer, from, n int) {
			for i := range n {
				lives(w, from+i, 1)
			}
		}, 1, 50},
	} {
		b.Run(bench.name, func(b *testing.B) {
			s := open(b, b.TempDir())
			documents, entries := 0, 0
			var spent, busy time.Duration
			for b.Loop() {
				w := &writer{entries: make([]workflow.Entry, entries)}
				bench.log(w, documents, bench.n)
				documents += bench.n
				log := w.entries[entries:]
				entries = len(w.entries)
				begun, before := time.Now(), processorTime(b)
				for len(log) > 0 {
					n := min(len(log), bench.pull)
					apply(b, s, log[:n]...)
					log = log[n:]
				}
				spent += time.Since(begun)
				busy += processorTime(b) - before
			}
			b.ReportMetric(float64(entries)/spent.Seconds(), "entries/s")
			b.ReportMetric(float64(busy.Microseconds())/float64(entries), "cpu-µs/entry")
			b.ReportMetric(0, "ns/op")
			if c, err := s.Counts(b.Context(), start); err != nil || c.Position.Sequence != uint64(entries) {
				b.Fatal(fmt.Errorf("applied to %d of %d: %w", c.Position.Sequence, entries, err))
			}
		})
	}
}

// processorTime is how long the processor has worked for this process.
func processorTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
