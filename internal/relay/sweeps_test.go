package relay

import (
	"context"
	"testing"
	"time"

	"countersign/internal/test/eventstest"
	"countersign/workflow"
)

// TestSweeps_RemovesWhatAnErasureLeaves erases a document under a worker, and one that
// the worker ends before it comes to.
func TestSweeps_RemovesWhatAnErasureLeaves(t *testing.T) {
	d := newDesk(t, time.Hour)
	erase := func(sid workflow.SID) {
		t.Helper()
		d.fold(sid, workflow.StatusChanged{Status: workflow.Canceled})
		d.fold(sid, workflow.Erased{DocumentSID: sid, AccountSID: account, Status: workflow.Canceled})
	}
	r := &Sweeps{Store: d.mail.Store, Logger: eventstest.Logger()}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		r.Run(ctx)
	}()
	erase(document)
	eventstest.Wait(t, "the sweep", func() bool { return !r.Store.Unswept() })
	const other = workflow.SID("PX00000000000000000000000000000002")
	d.fold(other, workflow.Created{AddressSID: "AD00000000000000000000000000000000", Email: "other@example.com"})
	erase(other) // the next sweep waits
	stop()
	<-ended
	if r.Store.Unswept() {
		t.Error("it ended, and left traces")
	}
}
