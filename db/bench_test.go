package db_test

import (
	"fmt"
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

// BenchmarkApply folds what a follower reads, in batches of a full pull.
func BenchmarkApply(b *testing.B) {
	for _, bench := range []struct {
		name string
		log  func(w *writer, from, n int)
	}{
		{"created", func(w *writer, from, n int) {
			for i := from; i < from+n; i++ {
				w.created(i)
			}
		}},
		{"lives", lives},
	} {
		b.Run(bench.name, func(b *testing.B) {
			s := open(b, b.TempDir())
			documents, entries := 0, 0
			var spent time.Duration
			for b.Loop() {
				w := &writer{entries: make([]workflow.Entry, entries)}
				bench.log(w, documents, 1000)
				documents += 1000
				log := w.entries[entries:]
				entries = len(w.entries)
				begun := time.Now()
				for len(log) > 0 {
					n := min(len(log), 4096)
					apply(b, s, log[:n]...)
					log = log[n:]
				}
				spent += time.Since(begun)
			}
			b.ReportMetric(float64(entries)/spent.Seconds(), "entries/s")
			b.ReportMetric(0, "ns/op")
			if c, err := s.Counts(b.Context(), start); err != nil || c.Position.Sequence != uint64(entries) {
				b.Fatal(fmt.Errorf("applied to %d of %d: %w", c.Position.Sequence, entries, err))
			}
		})
	}
}
